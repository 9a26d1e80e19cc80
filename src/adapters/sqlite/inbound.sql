-- Sources of inbound webhooks. The platform's own have no tenant.
CREATE TABLE crossdock_source (
  id BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX crossdock_source_tenant ON crossdock_source (tenant, id);
CREATE UNIQUE INDEX crossdock_source_platform ON crossdock_source (name) WHERE tenant = '';

-- What was received, once: `status` 0 waits for a handler, everything else has ended.
CREATE TABLE crossdock_received (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  source BLOB NOT NULL,
  dedupe_key TEXT NOT NULL,
  guard TEXT,
  -- For whom it is worked on.
  party TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- What it must stay in order with, and where it stands there.
  order_key TEXT,
  sequence INTEGER NOT NULL,
  place INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  -- While it is leased, when the lease ends.
  due_at INTEGER NOT NULL,
  -- The last token that was given, and whether it still counts.
  token INTEGER NOT NULL DEFAULT 0,
  is_held INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  duplicates INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER,
  note TEXT,
  head TEXT NOT NULL,
  -- NULL once retention has dropped it.
  body BLOB
) STRICT;
CREATE UNIQUE INDEX crossdock_received_key ON crossdock_received (source, dedupe_key);
CREATE UNIQUE INDEX crossdock_received_guard ON crossdock_received (source, guard) WHERE guard IS NOT NULL;
CREATE INDEX crossdock_received_tenant ON crossdock_received (tenant, id);
CREATE INDEX crossdock_received_trouble ON crossdock_received (tenant, id) WHERE status >= 4;
CREATE INDEX crossdock_received_due ON crossdock_received (party, due_at, id) WHERE status = 0;
CREATE INDEX crossdock_received_order ON crossdock_received (source, party, order_key, sequence, place, id)
  WHERE status = 0 AND order_key IS NOT NULL;
CREATE INDEX crossdock_received_ended ON crossdock_received (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX crossdock_received_body ON crossdock_received (ended_at) WHERE ended_at IS NOT NULL AND body IS NOT NULL;

-- The newest of each order that was handled.
CREATE TABLE crossdock_received_version (
  source BLOB NOT NULL,
  party TEXT NOT NULL,
  order_key TEXT NOT NULL,
  occurred_at INTEGER,
  sequence INTEGER,
  touched_at INTEGER NOT NULL,
  PRIMARY KEY (source, party, order_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX crossdock_received_version_age ON crossdock_received_version (touched_at);
