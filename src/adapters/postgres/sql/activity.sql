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
INSERT INTO "crossdock".migration (version) VALUES (3);
