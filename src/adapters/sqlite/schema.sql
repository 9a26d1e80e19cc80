-- What has happened in the engine as a whole: one row.
CREATE TABLE crossdock_engine (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  -- Grows with every turn of a lane.
  served INTEGER NOT NULL,
  -- The limits for which `crossdock_lane.next_at` was worked out.
  in_flight INTEGER NOT NULL,
  replays_in_flight INTEGER NOT NULL,
  -- When a claim has last asked for them.
  limits_at INTEGER NOT NULL
) STRICT;

-- The deliveries of one webhook: what holds them back, and when the next of them can go. It outlives its webhook as long as
-- there are deliveries.
CREATE TABLE crossdock_lane (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  webhook BLOB NOT NULL,
  -- 0 active, 1 paused, 2 disabled, 3 there is no such webhook any more.
  state INTEGER NOT NULL,
  -- Grows with every change of the webhook's row, so that a copy in memory can be trusted.
  revision INTEGER NOT NULL,
  health TEXT,
  held_until INTEGER,
  brake TEXT,
  brake_version INTEGER NOT NULL,
  bucket TEXT,
  -- No token is there before this time.
  rate_at INTEGER,
  -- The least recently served goes first.
  served INTEGER NOT NULL,
  -- Whether the last claim was a resend or a replay: the two take turns.
  replayed_last INTEGER NOT NULL,
  -- Whether something can be claimed now, as far as is known; if not, when.
  ready INTEGER NOT NULL,
  next_at INTEGER,
  UNIQUE (tenant, webhook)
) STRICT;
CREATE INDEX crossdock_lane_ready ON crossdock_lane (tenant, served) WHERE ready = 1;
CREATE INDEX crossdock_lane_next ON crossdock_lane (next_at) WHERE ready = 0 AND next_at IS NOT NULL;

CREATE TABLE crossdock_webhook (
  lane INTEGER PRIMARY KEY REFERENCES crossdock_lane (n),
  version INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE crossdock_defaults (
  tenant TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Published events; `n` is the place in the order of fan-out.
CREATE TABLE crossdock_event (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  event_type TEXT NOT NULL,
  subject TEXT,
  published_at INTEGER NOT NULL,
  in_outbox INTEGER NOT NULL,
  has_payload INTEGER NOT NULL,
  head TEXT NOT NULL
) STRICT;
CREATE INDEX crossdock_event_outbox ON crossdock_event (in_outbox) WHERE in_outbox = 1;
CREATE INDEX crossdock_event_age ON crossdock_event (has_payload, published_at);
CREATE INDEX crossdock_event_subject ON crossdock_event (tenant, subject) WHERE subject IS NOT NULL;

-- Payloads, byte for byte.
CREATE TABLE crossdock_payload (
  event INTEGER PRIMARY KEY REFERENCES crossdock_event (n),
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE crossdock_key (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  event BLOB NOT NULL,
  digest BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX crossdock_key_age ON crossdock_key (at);

-- What people list: one row per event and webhook, written when it is made and when it has ended.
CREATE TABLE crossdock_delivery (
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  lane INTEGER NOT NULL REFERENCES crossdock_lane (n),
  event INTEGER NOT NULL REFERENCES crossdock_event (n),
  event_type TEXT NOT NULL,
  origin TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_status INTEGER,
  last_error TEXT
) STRICT;
CREATE INDEX crossdock_delivery_tenant ON crossdock_delivery (tenant, id);
CREATE INDEX crossdock_delivery_lane ON crossdock_delivery (lane, id);
CREATE INDEX crossdock_delivery_event ON crossdock_delivery (event);
CREATE INDEX crossdock_delivery_age ON crossdock_delivery (created_at)
  WHERE status <> 'pending' AND status <> 'stopped';

-- Hot and narrow: a row only while work remains. It knows better than the delivery how many attempts there were.
CREATE TABLE crossdock_work (
  n INTEGER PRIMARY KEY REFERENCES crossdock_delivery (n),
  lane INTEGER NOT NULL,
  -- 0 published, 1 resent or replayed.
  replay INTEGER NOT NULL,
  -- 0 may go when due, 1 waits behind the head of its order, 2 leased, 3 stopped.
  place INTEGER NOT NULL,
  -- When it may go; of what is leased, when the lease ends.
  due INTEGER NOT NULL,
  order_key INTEGER,
  sequence INTEGER NOT NULL,
  -- Grows with every claim and with every result, so that an old claim is told from the present one.
  token INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX crossdock_work_due ON crossdock_work (lane, place, replay, due);
CREATE INDEX crossdock_work_age ON crossdock_work (lane, created_at);
CREATE INDEX crossdock_work_order ON crossdock_work (lane, order_key, place, sequence) WHERE order_key IS NOT NULL;

CREATE TABLE crossdock_attempt (
  delivery INTEGER NOT NULL REFERENCES crossdock_delivery (n),
  id BLOB NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (delivery, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE crossdock_replay (
  id BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  lane INTEGER NOT NULL,
  state TEXT NOT NULL,
  next_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX crossdock_replay_tenant ON crossdock_replay (tenant, id);
CREATE INDEX crossdock_replay_running ON crossdock_replay (state, lane, id) WHERE state = 'running';

CREATE TABLE crossdock_activity (
  tenant TEXT NOT NULL,
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  actor TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX crossdock_activity_subject ON crossdock_activity (tenant, subject, id);
CREATE INDEX crossdock_activity_age ON crossdock_activity (at);

-- When leases ended that were claimed anew, as long as anybody may ask for them.
CREATE TABLE crossdock_lapse (at INTEGER NOT NULL) STRICT;
CREATE INDEX crossdock_lapse_at ON crossdock_lapse (at);

-- What claims usually ask for: the first one need not think over every lane.
INSERT INTO crossdock_engine (one, served, in_flight, replays_in_flight, limits_at) VALUES (1, 0, 8, 1, 0);
