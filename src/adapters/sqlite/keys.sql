-- API keys. They are never deleted: a revoked one is still shown, and its public id stays taken.
CREATE TABLE crossdock_api_key (
  id BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  public_id TEXT NOT NULL UNIQUE,
  line BLOB NOT NULL,
  version INTEGER NOT NULL,
  -- Grows over all keys: the epoch of this key's last change.
  epoch INTEGER NOT NULL,
  -- Whether it counts towards how many keys a tenant may have: a revoked one does not.
  counts INTEGER NOT NULL,
  last_at INTEGER,
  last_address TEXT,
  last_route TEXT,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX crossdock_api_key_tenant ON crossdock_api_key (tenant, id);
CREATE INDEX crossdock_api_key_counts ON crossdock_api_key (tenant) WHERE counts = 1;
CREATE INDEX crossdock_api_key_line ON crossdock_api_key (tenant, line);
CREATE UNIQUE INDEX crossdock_api_key_epoch ON crossdock_api_key (epoch);

-- How many uses of a line are leased.
CREATE TABLE crossdock_api_key_uses (
  tenant TEXT NOT NULL,
  line BLOB NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (tenant, line)
) STRICT, WITHOUT ROWID;

-- How often calls of one day ended in one way; days are counted from 1970.
CREATE TABLE crossdock_api_key_day (
  key BLOB NOT NULL,
  day INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (key, day, outcome)
) STRICT, WITHOUT ROWID;
