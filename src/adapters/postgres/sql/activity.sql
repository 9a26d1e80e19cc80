-- Each tenant's administrative entries as a chain: the place in it, the hash before, the entry's own, and how it was made. Entries that
-- are not administrative, or older than this, have no place.
ALTER TABLE "crossdock".activity
  ADD COLUMN sequence bigint,
  ADD COLUMN previous bytea,
  ADD COLUMN hash bytea,
  ADD COLUMN encoding smallint;
CREATE INDEX activity_chain_order ON "crossdock".activity (tenant_id, sequence, id) WHERE sequence IS NOT NULL;
CREATE INDEX activity_subject ON "crossdock".activity (tenant_id, subject, id DESC);

-- Where each chain begins and ends: the last link that retention has dropped, and the last that was made, with the one before it. Who
-- makes a link holds the row until the commit, and nobody else waits for it but who makes one for the same tenant.
CREATE TABLE "crossdock".activity_chain (
  tenant_id text COLLATE "C" PRIMARY KEY,
  sequence bigint NOT NULL,
  previous bytea NOT NULL,
  hash bytea NOT NULL,
  base_sequence bigint NOT NULL,
  base_hash bytea NOT NULL
);

-- The hash of a link in encoding 1.
CREATE FUNCTION "crossdock".link_hash(p_sequence bigint, p_previous bytea, p_digest bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256('crossdock.activity.link.1'::bytea || '\x00'::bytea || int8send(p_sequence) || p_previous || p_digest);
$$;

-- Writes entries, and those that bring a digest into their tenants' chains. It is the last thing that a step does, so that a chain is
-- held for a moment.
CREATE FUNCTION "crossdock".note(
  p_ids uuid[], p_tenants text[], p_times timestamptz[], p_kinds text[], p_subjects text[], p_actors text[], p_records text[],
  p_digests bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_nothing constant bytea := decode(repeat('00', 32), 'hex');
  v_sequence bigint;
  v_previous bytea;
  v_hash bytea;
BEGIN
  FOR i IN 1 .. COALESCE(cardinality(p_ids), 0) LOOP
    INSERT INTO "crossdock".activity (tenant_id, id, at, kind, subject, actor, record)
    VALUES (p_tenants[i], p_ids[i], p_times[i], p_kinds[i], p_subjects[i], p_actors[i], p_records[i])
    ON CONFLICT DO NOTHING;
    CONTINUE WHEN NOT FOUND OR p_digests[i] IS NULL;
    INSERT INTO "crossdock".activity_chain AS c (tenant_id, sequence, previous, hash, base_sequence, base_hash)
    VALUES (p_tenants[i], 1, v_nothing, "crossdock".link_hash(1, v_nothing, p_digests[i]), 0, v_nothing)
    ON CONFLICT (tenant_id) DO UPDATE SET sequence = c.sequence + 1, previous = c.hash,
      hash = "crossdock".link_hash(c.sequence + 1, c.hash, p_digests[i])
    RETURNING c.sequence, c.previous, c.hash INTO v_sequence, v_previous, v_hash;
    UPDATE "crossdock".activity a SET sequence = v_sequence, previous = v_previous, hash = v_hash, encoding = 1
    WHERE a.tenant_id = p_tenants[i] COLLATE "C" AND a.id = p_ids[i];
  END LOOP;
END $$;

-- Drops old entries from the beginnings of their chains, so that what is left hangs together; answers how many went.
CREATE FUNCTION "crossdock".cut_chains(p_history timestamptz, p_most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_gone bigint := 0;
  v_count bigint;
  v_tenant text;
  v_base bigint;
  v_head bigint;
  v_last bigint;
  v_hash bytea;
BEGIN
  FOR v_tenant IN
    SELECT DISTINCT x.tenant_id FROM (
      SELECT o.tenant_id FROM "crossdock".activity o WHERE o.at < p_history AND o.sequence IS NOT NULL ORDER BY o.at LIMIT p_most
    ) x ORDER BY x.tenant_id
  LOOP
    -- Whatever is held has its turn next time.
    SELECT c.base_sequence, c.sequence INTO v_base, v_head FROM "crossdock".activity_chain c
    WHERE c.tenant_id = v_tenant COLLATE "C" FOR NO KEY UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    SELECT a.sequence - 1 INTO v_last FROM "crossdock".activity a
    WHERE a.tenant_id = v_tenant COLLATE "C" AND a.sequence IS NOT NULL AND a.at >= p_history ORDER BY a.sequence, a.id LIMIT 1;
    v_last := LEAST(COALESCE(v_last, v_head), v_base + p_most);
    SELECT a.sequence, a.hash INTO v_last, v_hash FROM "crossdock".activity a
    WHERE a.tenant_id = v_tenant COLLATE "C" AND a.sequence <= v_last ORDER BY a.sequence DESC, a.id DESC LIMIT 1;
    CONTINUE WHEN NOT FOUND;
    UPDATE "crossdock".activity_chain SET base_sequence = v_last, base_hash = v_hash WHERE tenant_id = v_tenant COLLATE "C";
    DELETE FROM "crossdock".activity a WHERE a.tenant_id = v_tenant COLLATE "C" AND a.sequence <= v_last;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_gone := v_gone + v_count;
  END LOOP;
  RETURN v_gone;
END $$;

-- As before, but that chained entries go by `cut_chains`.
CREATE OR REPLACE FUNCTION "crossdock".tidy(p_payloads timestamptz, p_history timestamptz, p_keys timestamptz, p_at timestamptz, p_most int)
RETURNS bigint
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_gone bigint := 0;
  v_count bigint;
  v_ids uuid[];
  v_locked uuid[];
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('crossdock tidy "crossdock".', 0)) THEN RETURN 0; END IF;

  DELETE FROM "crossdock".idempotency k WHERE (k.tenant_id, k.key) IN (
    SELECT o.tenant_id, o.key FROM "crossdock".idempotency o WHERE o.used_at <= p_keys ORDER BY o.used_at LIMIT p_most FOR UPDATE SKIP LOCKED
  );
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_gone := v_gone + v_count;
  DELETE FROM "crossdock".lapse WHERE ended_at <= p_at - interval '1 minute';
  DELETE FROM "crossdock".replay WHERE state <> 0 AND updated_at < p_history;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_gone := v_gone + v_count;
  DELETE FROM "crossdock".activity a WHERE (a.tenant_id, a.id) IN (
    SELECT o.tenant_id, o.id FROM "crossdock".activity o WHERE o.at < p_history AND o.sequence IS NULL
    ORDER BY o.at LIMIT p_most FOR UPDATE SKIP LOCKED
  );
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_gone := v_gone + v_count;
  DELETE FROM "crossdock".lane l WHERE l.state = 0 AND NOT EXISTS (SELECT 1 FROM "crossdock".queue q WHERE q.lane_id = l.id);

  -- An id is as old as its record, to within what two clocks may differ by.
  SELECT array_agg(x.id) INTO v_ids FROM (
    SELECT d.id FROM "crossdock".delivery d
    WHERE d.id < "crossdock".first_id(p_history + interval '1 day') AND d.created_at < p_history
      AND NOT EXISTS (SELECT 1 FROM "crossdock".queue q WHERE q.delivery_id = d.id)
    ORDER BY d.id LIMIT p_most
  ) x;
  IF v_ids IS NOT NULL THEN
    DELETE FROM "crossdock".attempt a USING unnest(v_ids) AS u(id) WHERE a.delivery_id = u.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_gone := v_gone + v_count;
    DELETE FROM "crossdock".delivery d USING unnest(v_ids) AS u(id) WHERE d.id = u.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_gone := v_gone + v_count;
  END IF;

  SELECT array_agg(x.id) INTO v_ids FROM (
    SELECT e.id FROM "crossdock".event e
    WHERE e.id < "crossdock".first_id(p_history + interval '1 day') AND e.published_at < p_history
      AND NOT EXISTS (SELECT 1 FROM "crossdock".outbox o WHERE o.event_id = e.id)
      AND NOT EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.event_id = e.id)
    ORDER BY e.id LIMIT p_most
  ) x;
  IF v_ids IS NOT NULL THEN
    -- Whoever sends an event again holds its payload: looked at once more behind the lock.
    SELECT array_agg(p.event_id) INTO v_locked FROM (
      SELECT p.event_id FROM unnest(v_ids) AS u(id) JOIN "crossdock".payload p ON p.event_id = u.id FOR UPDATE OF p SKIP LOCKED
    ) p;
    DELETE FROM "crossdock".event e USING unnest(v_ids) AS u(id)
    WHERE e.id = u.id AND NOT EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.event_id = e.id)
      AND (e.id = ANY (v_locked) OR NOT EXISTS (SELECT 1 FROM "crossdock".payload p WHERE p.event_id = e.id));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_gone := v_gone + v_count;
    DELETE FROM "crossdock".payload p USING unnest(v_locked) AS u(id)
    WHERE p.event_id = u.id AND NOT EXISTS (SELECT 1 FROM "crossdock".event e WHERE e.id = p.event_id);
  END IF;

  SELECT array_agg(x.event_id) INTO v_ids FROM (
    SELECT p.event_id FROM "crossdock".payload p JOIN "crossdock".event e ON e.id = p.event_id
    WHERE p.event_id < "crossdock".first_id(p_payloads + interval '1 day') AND e.published_at < p_payloads
      AND NOT EXISTS (SELECT 1 FROM "crossdock".outbox o WHERE o.event_id = p.event_id)
      AND NOT EXISTS (SELECT 1 FROM "crossdock".queue q WHERE q.event_id = p.event_id)
    ORDER BY p.event_id LIMIT p_most FOR UPDATE OF p SKIP LOCKED
  ) x;
  IF v_ids IS NOT NULL THEN
    SELECT array_agg(u.id) INTO v_ids FROM unnest(v_ids) AS u(id)
    WHERE NOT EXISTS (SELECT 1 FROM "crossdock".queue q WHERE q.event_id = u.id);
    DELETE FROM "crossdock".payload p USING unnest(v_ids) AS u(id) WHERE p.event_id = u.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_gone := v_gone + v_count;
    PERFORM "crossdock".forget_contents(v_ids);
  END IF;
  RETURN v_gone;
END $$;
INSERT INTO "crossdock".migration (version) VALUES (3);
