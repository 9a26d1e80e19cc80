-- Sources of inbound webhooks. The platform's own have an empty tenant, which no tenant's name is.
CREATE TABLE "crossdock".source (
  id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  record text NOT NULL
);
CREATE INDEX ON "crossdock".source (tenant_id, id);
CREATE UNIQUE INDEX source_platform ON "crossdock".source (name) WHERE tenant_id = '';

-- What was received, once: `status` 0 waits for a handler, everything else has ended. States in partial indexes are literals, because
-- a parameter would not use them.
CREATE TABLE "crossdock".received (
  id uuid PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  source uuid NOT NULL,
  dedupe_key text COLLATE "C" NOT NULL,
  guard text COLLATE "C",
  -- For whom it is worked on.
  party text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  -- What it must stay in order with, how new it is, and where it stands there.
  order_key text COLLATE "C",
  occurred_at timestamptz,
  sequence bigint,
  rank bigint NOT NULL,
  place timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  status smallint NOT NULL,
  -- While it is leased, when the lease ends.
  due_at timestamptz NOT NULL,
  -- The last token that was given, and whether it still counts.
  token bigint NOT NULL DEFAULT 0,
  is_held boolean NOT NULL DEFAULT false,
  attempts int NOT NULL DEFAULT 0,
  duplicates int NOT NULL DEFAULT 0,
  ended_at timestamptz,
  note text,
  head text NOT NULL,
  -- NULL once retention has dropped it.
  body bytea
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE UNIQUE INDEX received_key ON "crossdock".received (source, dedupe_key);
CREATE UNIQUE INDEX received_guard ON "crossdock".received (source, guard) WHERE guard IS NOT NULL;
CREATE INDEX ON "crossdock".received (tenant_id, id);
CREATE INDEX received_trouble ON "crossdock".received (tenant_id, id) WHERE status >= 4;
CREATE INDEX received_due ON "crossdock".received (party, due_at, id) WHERE status = 0;
CREATE INDEX received_order ON "crossdock".received (source, party, order_key, rank, place, id) WHERE status = 0 AND order_key IS NOT NULL;
CREATE INDEX received_ended ON "crossdock".received (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX received_body ON "crossdock".received (ended_at) WHERE ended_at IS NOT NULL AND body IS NOT NULL;

-- The newest of each order that was handled.
CREATE TABLE "crossdock".received_version (
  source uuid NOT NULL,
  party text COLLATE "C" NOT NULL,
  order_key text COLLATE "C" NOT NULL,
  occurred_at timestamptz,
  sequence bigint,
  touched_at timestamptz NOT NULL,
  PRIMARY KEY (source, party, order_key)
);
CREATE INDEX ON "crossdock".received_version (touched_at);

-- Keeps items, each once. Answers for each: 0 it is new, 1 it was there, 2 it was a dead letter and is pending again.
--
-- Keys are inserted in their order, so that callers with the same ones wait for each other and never in a circle; what is there already is
-- looked for in a statement of its own, which sees what those have committed for whom the first one has waited.
CREATE FUNCTION "crossdock".accept(p_at timestamptz, p_ids uuid[], p_tenants text[], p_sources uuid[], p_keys text[], p_guards text[],
  p_parties text[], p_kinds text[], p_orders text[], p_times timestamptz[], p_sequences bigint[], p_places timestamptz[],
  p_received timestamptz[], p_statuses smallint[], p_heads text[], p_bodies bytea[])
RETURNS TABLE (n int, answer smallint, id uuid)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_fresh uuid[];
BEGIN
  WITH fresh AS (
    INSERT INTO "crossdock".received AS r (id, tenant_id, source, dedupe_key, guard, party, kind, order_key, occurred_at, sequence, rank,
      place, received_at, status, due_at, ended_at, head, body)
    SELECT u.id, u.tenant, u.source, u.key, u.guard, u.party, u.kind, u.ord, u.at, u.sequence, COALESCE(u.sequence, 0), u.place, u.received,
      u.status, p_at, CASE WHEN u.status <> 0 THEN p_at END, u.head, u.body
    FROM unnest(p_ids, p_tenants, p_sources, p_keys, p_guards, p_parties, p_kinds, p_orders, p_times, p_sequences, p_places, p_received,
      p_statuses, p_heads, p_bodies)
      AS u(id, tenant, source, key, guard, party, kind, ord, at, sequence, place, received, status, head, body)
    ORDER BY u.source, u.key
    ON CONFLICT DO NOTHING RETURNING r.id
  )
  SELECT COALESCE(array_agg(f.id), '{}') INTO v_fresh FROM fresh f;
  RETURN QUERY SELECT u.n::int, 0::smallint, u.id FROM unnest(p_ids) WITH ORDINALITY AS u(id, n) WHERE u.id = ANY (v_fresh);
  IF cardinality(v_fresh) = cardinality(p_ids) THEN RETURN; END IF;

  RETURN QUERY
  WITH copies AS MATERIALIZED (
    SELECT u.n, u.body, k.id
    FROM unnest(p_ids, p_sources, p_keys, p_guards, p_bodies) WITH ORDINALITY AS u(id, source, key, guard, body, n)
    CROSS JOIN LATERAL (
      SELECT r.id FROM "crossdock".received r WHERE r.source = u.source AND r.dedupe_key = u.key
      UNION ALL
      SELECT r.id FROM "crossdock".received r WHERE r.source = u.source AND r.guard = u.guard AND r.guard IS NOT NULL
      LIMIT 1
    ) k
    WHERE u.id <> ALL (v_fresh)
  ), held AS MATERIALIZED (
    SELECT r.id, r.status FROM "crossdock".received r
    WHERE r.id = ANY (ARRAY(SELECT c.id FROM copies c)) ORDER BY r.id FOR NO KEY UPDATE
  ), counted AS (
    UPDATE "crossdock".received r
    SET duplicates = LEAST(r.duplicates::bigint + t.count, 2147483647)::int, status = CASE WHEN h.status = 4 THEN 0 ELSE r.status END,
      due_at = CASE WHEN h.status = 4 THEN p_at ELSE r.due_at END, is_held = r.is_held AND h.status <> 4,
      attempts = CASE WHEN h.status = 4 THEN 0 ELSE r.attempts END, ended_at = CASE WHEN h.status = 4 THEN NULL ELSE r.ended_at END,
      note = CASE WHEN h.status = 4 THEN NULL ELSE r.note END, body = CASE WHEN h.status = 4 THEN COALESCE(r.body, t.body) ELSE r.body END
    FROM (SELECT c.id, count(*)::int AS count, (array_agg(c.body))[1] AS body FROM copies c GROUP BY c.id) t JOIN held h ON h.id = t.id
    WHERE r.id = t.id
  )
  SELECT c.n::int, CASE WHEN h.status = 4 THEN 2 ELSE 1 END::smallint, c.id FROM copies c JOIN held h ON h.id = c.id;
END $$;

-- The next parties behind this one that have something due, round to where it began.
CREATE FUNCTION "crossdock".due_parties(p_after text, p_at timestamptz, p_most int, p_except text[]) RETURNS text[]
LANGUAGE plpgsql SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_found text[] := '{}';
  v_next text;
  v_place text COLLATE "C" := COALESCE(p_after, '');
  v_end text COLLATE "C";
BEGIN
  WHILE cardinality(v_found) < p_most LOOP
    SELECT r.party INTO v_next FROM "crossdock".received r
    WHERE r.status = 0 AND r.party > v_place AND (v_end IS NULL OR r.party <= v_end) ORDER BY r.party LIMIT 1;
    IF v_next IS NOT NULL THEN
      v_place := v_next;
      IF v_next <> ALL (p_except)
        AND EXISTS (SELECT 1 FROM "crossdock".received r WHERE r.status = 0 AND r.party = v_next AND r.due_at <= p_at) THEN
        v_found := v_found || v_next;
      END IF;
    ELSIF v_end IS NULL AND p_after IS NOT NULL THEN
      v_end := p_after;
      v_place := '';
    ELSE
      EXIT;
    END IF;
  END LOOP;
  RETURN v_found;
END $$;

-- Leases what is due. A party is worked on by one claim at a time, and because its items are looked at in a statement that begins after its
-- lock was had, two claims never lease two of one order. The last row, without an item, says how it goes on.
CREATE FUNCTION "crossdock".claim_received(p_at timestamptz, p_until timestamptz, p_most int, p_after text, p_except text[])
RETURNS TABLE (id uuid, token bigint, attempt int, head text, body bytea, is_ordered boolean, has_latest boolean, latest_at timestamptz,
  latest_sequence bigint, after_party text, next_due_at timestamptz, store_time timestamptz)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_left int := p_most;
  v_after text := p_after;
  v_skip text[] := p_except;
  v_parties text[];
  v_party text;
  v_quota int;
  v_new uuid[];
  v_picked uuid[] := '{}';
  v_place text COLLATE "C" := '';
  v_due timestamptz;
  v_next timestamptz;
BEGIN
  WHILE v_left > 0 LOOP
    v_parties := "crossdock".due_parties(v_after, p_at, v_left, v_skip);
    EXIT WHEN cardinality(v_parties) = 0;
    v_quota := GREATEST(1, v_left / cardinality(v_parties));
    FOREACH v_party IN ARRAY v_parties LOOP
      EXIT WHEN v_left = 0;
      IF NOT pg_try_advisory_xact_lock(hashtextextended('"crossdock" inbound ' || v_party, 0)) THEN
        -- Somebody else holds what is due.
        v_skip := v_skip || v_party;
        v_next := p_at + interval '100 milliseconds';
        CONTINUE;
      END IF;
      SELECT array_agg(c.id) INTO v_new FROM (
        SELECT q.id FROM "crossdock".received q
        WHERE q.status = 0 AND q.party = v_party AND q.due_at <= p_at AND (q.order_key IS NULL OR NOT EXISTS (
          SELECT 1 FROM "crossdock".received o
          WHERE o.status = 0 AND o.order_key IS NOT NULL AND o.source = q.source AND o.party = q.party AND o.order_key = q.order_key
            AND o.id <> q.id AND ((o.is_held AND o.due_at > p_at) OR (o.rank, o.place, o.id) < (q.rank, q.place, q.id))))
        ORDER BY q.due_at, q.id LIMIT LEAST(v_quota, v_left)
      ) c;
      -- What a copy is being counted for, or a late result comes for, is passed over; nothing else leases items of this party. The condition
      -- is about the locked row alone, so that what changed meanwhile is judged as it is now.
      SELECT array_agg(l.id) INTO v_new FROM (
        SELECT q.id FROM "crossdock".received q
        WHERE q.id = ANY (v_new) AND q.status = 0 AND q.due_at <= p_at ORDER BY q.id FOR NO KEY UPDATE SKIP LOCKED
      ) l;
      IF v_new IS NULL THEN
        v_skip := v_skip || v_party;
        CONTINUE;
      END IF;
      UPDATE "crossdock".received q SET token = q.token + 1, is_held = true, due_at = p_until, attempts = q.attempts + 1
      WHERE q.id = ANY (v_new);
      v_picked := v_picked || v_new;
      v_left := v_left - cardinality(v_new);
      v_after := v_party;
    END LOOP;
  END LOOP;

  IF v_left = 0 AND p_most > 0 THEN
    v_next := p_at;
  ELSE
    LOOP
      SELECT r.party INTO v_party FROM "crossdock".received r WHERE r.status = 0 AND r.party > v_place ORDER BY r.party LIMIT 1;
      EXIT WHEN v_party IS NULL;
      SELECT r.due_at INTO v_due FROM "crossdock".received r
      WHERE r.status = 0 AND r.party = v_party AND r.due_at > p_at ORDER BY r.due_at LIMIT 1;
      v_next := LEAST(v_next, v_due);
      v_place := v_party;
    END LOOP;
  END IF;

  RETURN QUERY
    SELECT r.id, r.token, r.attempts, r.head, r.body, r.order_key IS NOT NULL, v.touched_at IS NOT NULL, v.occurred_at, v.sequence, NULL::text,
      NULL::timestamptz, NULL::timestamptz
    FROM unnest(v_picked) WITH ORDINALITY AS u(id, n)
    CROSS JOIN LATERAL (SELECT r.* FROM "crossdock".received r WHERE r.id = u.id OFFSET 0) r
    LEFT JOIN LATERAL (
      SELECT v.* FROM "crossdock".received_version v WHERE v.source = r.source AND v.party = r.party AND v.order_key = r.order_key OFFSET 0
    ) v ON true
    ORDER BY u.n;
  RETURN QUERY SELECT NULL::uuid, NULL::bigint, NULL::int, NULL::text, NULL::bytea, NULL::boolean, NULL::boolean, NULL::timestamptz, NULL::bigint,
    v_after, v_next, clock_timestamp();
END $$;

-- Takes results. Answers for each: 0 its lease had gone to somebody else, 1 it holds, 2 the item had ended before.
CREATE FUNCTION "crossdock".settle_received(p_at timestamptz, p_ids uuid[], p_tokens bigint[], p_statuses smallint[], p_due timestamptz[],
  p_back int[], p_notes text[]) RETURNS TABLE (n int, answer smallint)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  PERFORM 1 FROM "crossdock".received r WHERE r.id = ANY (p_ids) ORDER BY r.id FOR NO KEY UPDATE;
  RETURN QUERY
  WITH given AS MATERIALIZED (
    SELECT u.*, row_number() OVER (PARTITION BY u.id ORDER BY u.n) AS turn
    FROM unnest(p_ids, p_tokens, p_statuses, p_due, p_back, p_notes) WITH ORDINALITY AS u(id, token, status, due, back, note, n)
  ), found AS MATERIALIZED (
    SELECT g.*, r.status AS before FROM given g JOIN "crossdock".received r ON r.id = g.id AND r.token = g.token AND r.is_held
  ), ended AS (
    UPDATE "crossdock".received r SET status = f.status, ended_at = p_at, note = COALESCE(f.note, r.note)
    FROM found f WHERE r.id = f.id AND f.before = 0 AND f.turn = 1 AND f.status <> 0
    RETURNING r.source, r.party, r.order_key, r.occurred_at, r.sequence, r.status
  ), again AS (
    UPDATE "crossdock".received r
    SET due_at = f.due, is_held = false, attempts = GREATEST(0, r.attempts - f.back), note = COALESCE(f.note, r.note)
    FROM found f WHERE r.id = f.id AND f.before = 0 AND f.turn = 1 AND f.status = 0
  ), newest AS (
    INSERT INTO "crossdock".received_version AS v (source, party, order_key, occurred_at, sequence, touched_at)
    SELECT DISTINCT ON (e.source, e.party, e.order_key) e.source, e.party, e.order_key, e.occurred_at, e.sequence, p_at
    FROM ended e WHERE e.status = 1 AND e.order_key IS NOT NULL
    ORDER BY e.source, e.party, e.order_key, e.sequence DESC NULLS LAST, e.occurred_at DESC NULLS LAST
    ON CONFLICT (source, party, order_key) DO UPDATE
    SET occurred_at = excluded.occurred_at, sequence = excluded.sequence, touched_at = excluded.touched_at
    WHERE CASE WHEN v.sequence IS NOT NULL AND excluded.sequence IS NOT NULL THEN excluded.sequence >= v.sequence
      ELSE COALESCE(excluded.occurred_at >= v.occurred_at, true) END
  )
  SELECT g.n::int, CASE WHEN f.n IS NULL THEN 0 WHEN f.before <> 0 OR (f.turn > 1 AND d.status <> 0) THEN 2 WHEN f.turn > 1 THEN 0 ELSE 1 END::smallint
  FROM given g LEFT JOIN found f ON f.n = g.n LEFT JOIN found d ON d.id = g.id AND d.turn = 1;
END $$;

-- Ends one item, in whatever transaction this is called in; says whether it was still held. In texts, so that every driver can give them.
CREATE FUNCTION "crossdock".complete_received(p_id text, p_token text, p_at text) RETURNS boolean LANGUAGE sql AS $$
  SELECT bool_and(s.answer = 1) FROM "crossdock".settle_received(p_at::timestamptz, ARRAY[p_id::uuid], ARRAY[p_token::bigint], ARRAY[1::smallint],
    ARRAY[NULL::timestamptz], ARRAY[0], ARRAY[NULL::text]) s;
$$;
INSERT INTO "crossdock".migration (version) VALUES (4);
