-- What is kept. Hot and narrow: outbox, lane, queue. History, by day: event, payload, delivery, attempt.
CREATE SCHEMA IF NOT EXISTS "crossdock";

CREATE TABLE "crossdock".migration (
  version int PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The first id that can have been minted at this time.
CREATE FUNCTION "crossdock".first_id(p_at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(GREATEST(0, floor(extract(epoch FROM LEAST(p_at, '9999-01-01')) * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid;
$$;

-- Names every state of every record, so that whoever has read one once need not read it again. Drawn at random: a sequence would
-- begin again where a backup or a standby has left it.
CREATE FUNCTION "crossdock".new_stamp() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;
$$;
-- Fences every claim against every other one.
CREATE SEQUENCE "crossdock".lease_token;
-- Who was served last stands behind the others.
CREATE SEQUENCE "crossdock".served;

CREATE TABLE "crossdock".tenant_defaults (
  tenant_id text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  stamp bigint NOT NULL,
  record text NOT NULL
);
CREATE UNIQUE INDEX tenant_defaults_stamp ON "crossdock".tenant_defaults (stamp);

-- A webhook as people see it. What the engine itself changes has columns, which win over the record.
CREATE TABLE "crossdock".webhook (
  tenant_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  version bigint NOT NULL,
  stamp bigint NOT NULL,
  state smallint NOT NULL,                 -- 1 active, 2 paused, 3 disabled
  disabled_reason text,
  disabled_at timestamptz,
  updated_at timestamptz NOT NULL,
  record text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX webhook_stamp ON "crossdock".webhook (stamp);

-- A webhook as the engine sees it: whoever changes anything in its part of the queue holds this row. It is written at every step, and
-- while somebody holds a snapshot no old version goes away: so each version has a higher `rev`, and is looked up newest first.
CREATE TABLE "crossdock".lane (
  id bigint GENERATED ALWAYS AS IDENTITY,
  rev bigint NOT NULL DEFAULT 0,
  tenant_id text COLLATE "C" NOT NULL,
  webhook_id uuid NOT NULL,
  version bigint NOT NULL,
  stamp bigint NOT NULL,
  state smallint NOT NULL,                 -- 0 deleted, 1 active, 2 paused, 3 disabled
  max_in_flight int,
  rate_per_s double precision,
  burst int,
  tokens double precision,
  tokens_at timestamptz,
  held_until timestamptz,
  brake_open_until timestamptz,
  brake_limit int,
  brake_openings int NOT NULL DEFAULT 0,
  brake_ramp_at timestamptz,
  brake_version bigint NOT NULL DEFAULT 0,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  failing_since timestamptz,
  failed_deliveries bigint NOT NULL DEFAULT 0,
  warned_percent smallint NOT NULL DEFAULT 0,
  served bigint NOT NULL DEFAULT 0,
  replayed_last boolean NOT NULL DEFAULT false,
  -- Nothing can be claimed before this time; written by `schedule` alone.
  next_due_at timestamptz NOT NULL DEFAULT 'infinity',
  -- Nothing on offer is due before the one, and no lease ends before the other: what has gone need not be looked through again.
  -- Written by `schedule` alone.
  due_from timestamptz NOT NULL DEFAULT '-infinity',
  lease_from timestamptz NOT NULL DEFAULT '-infinity',
  PRIMARY KEY (id, rev)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX lane_named ON "crossdock".lane (tenant_id, webhook_id, rev DESC);
CREATE INDEX lane_due ON "crossdock".lane (tenant_id, next_due_at) WHERE next_due_at < 'infinity';
CREATE INDEX lane_next ON "crossdock".lane (next_due_at) WHERE next_due_at < 'infinity';

-- The limits by which lanes are scheduled when their webhook says nothing: the highest that claims have asked for.
CREATE TABLE "crossdock".limits (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  max_in_flight int NOT NULL,
  max_replays_in_flight int NOT NULL,
  seen_at timestamptz NOT NULL
);
INSERT INTO "crossdock".limits (max_in_flight, max_replays_in_flight, seen_at) VALUES (8, 1, '-infinity');

CREATE TABLE "crossdock".event (
  id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  published_at timestamptz NOT NULL,
  subject text COLLATE "C",
  head text NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX event_subject ON "crossdock".event (tenant_id, subject) WHERE subject IS NOT NULL;
CREATE TABLE "crossdock".event_default PARTITION OF "crossdock".event DEFAULT;

CREATE TABLE "crossdock".payload (
  event_id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body bytea NOT NULL
) PARTITION BY RANGE (event_id);
CREATE TABLE "crossdock".payload_default PARTITION OF "crossdock".payload DEFAULT;

CREATE TABLE "crossdock".idempotency (
  tenant_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  event_id uuid NOT NULL,
  digest bytea NOT NULL,
  used_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_age ON "crossdock".idempotency (used_at);

CREATE TABLE "crossdock".outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  erased boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0);
CREATE INDEX outbox_event ON "crossdock".outbox (event_id);

-- What people list: written once when it is made and once when it ends. While it waits, what changes is in the queue.
CREATE TABLE "crossdock".delivery (
  id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  webhook_id uuid NOT NULL,
  event_id uuid NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  kind smallint NOT NULL,                  -- 0 pending, 1 delivered, 2 dead letter, 3 skipped, 4 stopped
  status text NOT NULL,
  origin text NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  next_attempt_at timestamptz,
  last_status int,
  last_error text,
  -- A column of its own, which a delivery that goes well does not change: so its update needs no index entries.
  dead boolean NOT NULL GENERATED ALWAYS AS (kind = 2) STORED
) PARTITION BY RANGE (id);
CREATE INDEX delivery_tenant ON "crossdock".delivery (tenant_id, id DESC);
CREATE INDEX delivery_webhook ON "crossdock".delivery (tenant_id, webhook_id, id DESC);
CREATE INDEX delivery_dead ON "crossdock".delivery (tenant_id, webhook_id, id) WHERE dead;
CREATE INDEX delivery_event ON "crossdock".delivery (event_id);
CREATE TABLE "crossdock".delivery_default PARTITION OF "crossdock".delivery DEFAULT WITH (fillfactor = 50);

-- `contents` is what was logged of request and answer; it goes with the payload.
CREATE TABLE "crossdock".attempt (
  id uuid NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  delivery_id uuid NOT NULL,
  started_at timestamptz NOT NULL,
  fenced boolean NOT NULL,
  is_last boolean NOT NULL,                -- the delivery has ended instead of being tried again
  record text NOT NULL,
  contents bytea,
  -- One index for both: attempts are looked up by their deliveries.
  PRIMARY KEY (delivery_id, id)
) PARTITION BY RANGE (id);
CREATE TABLE "crossdock".attempt_default PARTITION OF "crossdock".attempt DEFAULT;

-- A row only while work remains. A lease is `due_at` in the future with a token: when it ends, the row is due again.
CREATE TABLE "crossdock".queue (
  delivery_id uuid PRIMARY KEY,
  lane_id bigint NOT NULL,
  kind smallint NOT NULL,                  -- 0 live, 1 resends and replays
  state smallint NOT NULL DEFAULT 0,       -- 0 waits, 1 leased, 2 stopped
  offered boolean NOT NULL,                -- of an order, only the head is
  order_key bigint,
  seq bigint NOT NULL,                     -- the place in the outbox
  arrival bigint GENERATED ALWAYS AS IDENTITY,
  due_at timestamptz NOT NULL,
  lease_token bigint,
  attempt int NOT NULL DEFAULT 0,
  event_id uuid NOT NULL,
  erased boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  last_status int,
  last_error text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX queue_due ON "crossdock".queue (lane_id, offered, kind, due_at, arrival);
CREATE INDEX queue_order ON "crossdock".queue (lane_id, order_key, seq, arrival) WHERE order_key IS NOT NULL;
CREATE INDEX queue_head ON "crossdock".queue (lane_id, order_key) WHERE offered AND order_key IS NOT NULL;
CREATE INDEX queue_leased ON "crossdock".queue (lane_id, due_at) WHERE state = 1;

-- When leases ended that nobody had settled, as long as somebody may ask.
CREATE TABLE "crossdock".lapse (ended_at timestamptz NOT NULL);
CREATE INDEX lapse_age ON "crossdock".lapse (ended_at);

CREATE TABLE "crossdock".replay (
  id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  webhook_id uuid NOT NULL,
  origin text NOT NULL,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  kinds smallint[] NOT NULL,
  event_types text[] NOT NULL,
  per_second int NOT NULL,
  state smallint NOT NULL,                 -- 0 running, 1 completed, 2 cancelled
  matched bigint NOT NULL,
  made bigint NOT NULL,
  position uuid,
  next_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX replay_tenant ON "crossdock".replay (tenant_id, id DESC);
CREATE INDEX replay_running ON "crossdock".replay (next_at) WHERE state = 0;

CREATE TABLE "crossdock".activity (
  tenant_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  at timestamptz NOT NULL,
  kind text NOT NULL,
  subject text COLLATE "C" NOT NULL,
  actor text COLLATE "C" NOT NULL,
  record text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX activity_age ON "crossdock".activity (at);
