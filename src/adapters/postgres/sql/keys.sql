-- API keys. They are never deleted: a revoked one is still shown, and its public id stays taken.
CREATE TABLE "crossdock".api_key (
  id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  public_id text COLLATE "C" NOT NULL UNIQUE,
  line uuid NOT NULL,
  version bigint NOT NULL,
  -- Grows over all keys: the epoch of this key's last change.
  epoch bigint NOT NULL UNIQUE,
  -- Whether it counts towards how many keys a tenant may have: a revoked one does not.
  counts boolean NOT NULL,
  last_at timestamptz,
  last_address text,
  last_route text,
  record text NOT NULL
);
CREATE INDEX ON "crossdock".api_key (tenant_id, id);
CREATE INDEX ON "crossdock".api_key (tenant_id, line);

-- Whoever changes keys holds this row until the commit: so epochs are seen in their order.
CREATE TABLE "crossdock".api_key_epoch (
  one boolean PRIMARY KEY CHECK (one),
  epoch bigint NOT NULL
);
INSERT INTO "crossdock".api_key_epoch (one, epoch) VALUES (true, 0);

-- How many uses of a line are leased.
CREATE TABLE "crossdock".api_key_uses (
  tenant_id text COLLATE "C" NOT NULL,
  line uuid NOT NULL,
  used bigint NOT NULL,
  PRIMARY KEY (tenant_id, line)
);

-- How often calls of one day ended in one way.
CREATE TABLE "crossdock".api_key_day (
  tenant_id text COLLATE "C" NOT NULL,
  key uuid NOT NULL,
  day date NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (key, day, outcome)
);
INSERT INTO "crossdock".migration (version) VALUES (2);
