-- Each tenant's administrative entries as a chain: the place in it, the hash before, the entry's own, and how it was made. Entries that
-- are not administrative, or older than this, have no place.
ALTER TABLE crossdock_activity ADD COLUMN sequence INTEGER;
ALTER TABLE crossdock_activity ADD COLUMN previous BLOB;
ALTER TABLE crossdock_activity ADD COLUMN hash BLOB;
ALTER TABLE crossdock_activity ADD COLUMN encoding INTEGER;
CREATE INDEX crossdock_activity_order ON crossdock_activity (tenant, sequence, id) WHERE sequence IS NOT NULL;

-- Where each chain begins and ends: the last link that retention has dropped, and the last that was made.
CREATE TABLE crossdock_activity_chain (
  tenant TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL,
  base_sequence INTEGER NOT NULL,
  base_hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;
