-- Writes all of these events or none. A row whose `fresh` is null names a key that was used for something else: then nothing
-- was written, and the transaction that this runs in goes on.
CREATE FUNCTION "crossdock".publish(
  p_ids uuid[], p_tenants text[], p_types text[], p_heads text[], p_subjects text[], p_published timestamptz[], p_payloads bytea[],
  p_keys text[], p_digests bytea[], p_known_after timestamptz[], p_at timestamptz[]
) RETURNS TABLE (place int, event_id uuid, fresh boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_ids uuid[] := '{}';
  v_fresh boolean[] := '{}';
  v_first int[];
BEGIN
  IF array_remove(p_keys, NULL) = '{}' THEN
    v_ids := p_ids;
    v_fresh := array_fill(true, ARRAY[cardinality(p_ids)]);
  ELSE
    BEGIN
      -- In the order of the keys, so that two callers never wait for each other.
      WITH first AS MATERIALIZED (
        SELECT DISTINCT ON (u.tenant COLLATE "C", u.key COLLATE "C") u.* FROM unnest(p_ids, p_tenants, p_keys, p_digests, p_known_after, p_at)
          WITH ORDINALITY AS u(id, tenant, key, digest, known_after, at, n)
        WHERE u.key IS NOT NULL ORDER BY u.tenant COLLATE "C", u.key COLLATE "C", u.n
      ), written AS (
        INSERT INTO "crossdock".idempotency AS k (tenant_id, key, event_id, digest, used_at)
        SELECT f.tenant, f.key, f.id, f.digest, f.at FROM first f ORDER BY f.tenant COLLATE "C", f.key COLLATE "C"
        ON CONFLICT (tenant_id, key) DO UPDATE
          SET event_id = excluded.event_id, digest = excluded.digest, used_at = excluded.used_at
          WHERE k.used_at <= (SELECT f.known_after FROM first f WHERE f.tenant = k.tenant_id AND f.key = k.key)
        RETURNING k.tenant_id, k.key
      )
      SELECT COALESCE(array_agg(f.n::int), '{}') INTO v_first
      FROM written w JOIN first f ON f.tenant = w.tenant_id AND f.key = w.key;

      -- A statement of its own: it sees what those have committed for whom the one above has waited.
      SELECT array_agg(CASE WHEN k.event_id IS NULL OR u.n = ANY (v_first) THEN u.id ELSE k.event_id END ORDER BY u.n),
        array_agg(CASE WHEN u.key IS NULL OR u.n = ANY (v_first) THEN true WHEN k.digest = u.digest THEN false END ORDER BY u.n)
      INTO v_ids, v_fresh
      FROM unnest(p_ids, p_tenants, p_keys, p_digests) WITH ORDINALITY AS u(id, tenant, key, digest, n)
      LEFT JOIN "crossdock".idempotency k ON k.tenant_id = u.tenant AND k.key = u.key;
      IF array_position(v_fresh, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a key was used for something else' USING ERRCODE = 'CD001';
      END IF;
    EXCEPTION WHEN SQLSTATE 'CD001' THEN
      -- The block's writes are undone; what it has found out is not.
      RETURN QUERY SELECT u.n::int, u.id, u.fresh FROM unnest(v_ids, v_fresh) WITH ORDINALITY AS u(id, fresh, n);
      RETURN;
    END;
  END IF;

  INSERT INTO "crossdock".event (id, tenant_id, event_type, published_at, subject, head)
  SELECT u.id, u.tenant, u.event_type, u.published, u.subject, u.head
  FROM unnest(p_ids, p_tenants, p_types, p_published, p_subjects, p_heads, v_fresh)
    WITH ORDINALITY AS u(id, tenant, event_type, published, subject, head, fresh, n)
  WHERE u.fresh ORDER BY u.n;
  INSERT INTO "crossdock".payload (event_id, tenant_id, body)
  SELECT u.id, u.tenant, u.body FROM unnest(p_ids, p_tenants, p_payloads, v_fresh) AS u(id, tenant, body, fresh) WHERE u.fresh;
  INSERT INTO "crossdock".outbox (event_id, tenant_id)
  SELECT u.id, u.tenant FROM unnest(p_ids, p_tenants, v_fresh) WITH ORDINALITY AS u(id, tenant, fresh, n) WHERE u.fresh ORDER BY u.n;
  RETURN QUERY SELECT u.n::int, u.id, u.fresh FROM unnest(v_ids, v_fresh) WITH ORDINALITY AS u(id, fresh, n);
END $$;

-- The oldest entries behind this one. A function, because what it deletes leaves its index full of dead entries at the very end
-- that a planner looks at, for longer than reading takes: here it plans once.
CREATE FUNCTION "crossdock".read_outbox(p_most bigint, p_behind bigint, p_except text[]) RETURNS TABLE (seq bigint, head text)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT o.seq, e.head
    FROM (
      SELECT o.seq, o.event_id FROM "crossdock".outbox o
      WHERE o.seq > p_behind AND o.tenant_id <> ALL (p_except) ORDER BY o.seq LIMIT p_most
    ) o CROSS JOIN LATERAL (SELECT e.head FROM "crossdock".event e WHERE e.id = o.event_id OFFSET 0) e
    ORDER BY o.seq;
END $$;

-- Turns outbox entries into deliveries; answers how many entries were still there. Each delivery says at which place of `p_seqs` its
-- event stands: a join of two arrays would compare each with each. A skip has a status.
CREATE FUNCTION "crossdock".fan_out(
  p_at timestamptz, p_seqs bigint[], d_places int[], d_ids uuid[], d_webhooks uuid[], d_orders bigint[], d_skips text[]
) RETURNS int
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_seqs bigint[];
  v_events uuid[];
  v_tenants text[];
  v_types text[];
  v_gone uuid[];
  -- The lane of each webhook that is meant, in the order of tenants and webhooks; 0 where there is none.
  v_places bigint[];
  v_states smallint[];
  v_lanes bigint[];
  v_present int;
  v_ordered boolean;
  v_order_lanes bigint[];
  v_orders bigint[];
BEGIN
  -- Not waited for by those who wait for the lanes. A server that crashes before this is durable has the entries in its outbox again,
  -- and nothing has come of the deliveries: whoever claims one waits for his own commit, which is durable only together with this.
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT array_agg(o.seq ORDER BY o.seq), array_agg(o.event_id ORDER BY o.seq) INTO v_seqs, v_events
  FROM (SELECT o.seq, o.event_id FROM "crossdock".outbox o WHERE o.seq = ANY (p_seqs) ORDER BY o.seq FOR UPDATE) o;
  IF v_seqs IS NULL THEN RETURN 0; END IF;
  DELETE FROM "crossdock".outbox o WHERE o.seq = ANY (v_seqs);

  IF v_seqs <> p_seqs THEN
    -- Somebody else was faster with some of them.
    SELECT array_agg(o.event_id ORDER BY s.n) INTO v_events
    FROM unnest(p_seqs) WITH ORDINALITY AS s(seq, n) LEFT JOIN unnest(v_seqs, v_events) AS o(seq, event_id) ON o.seq = s.seq;
  END IF;

  -- An erasure either waits for this or is seen by it.
  PERFORM 1 FROM unnest(v_events) AS e(id) JOIN "crossdock".payload p ON p.event_id = e.id
    -- In the order in which an erasure locks them.
    ORDER BY p.event_id FOR KEY SHARE OF p;
  GET DIAGNOSTICS v_present = ROW_COUNT;
  IF v_present < cardinality(v_seqs) THEN
    SELECT array_agg(e.id) INTO v_gone FROM unnest(v_events) AS e(id)
    WHERE NOT EXISTS (SELECT FROM "crossdock".payload p WHERE p.event_id = e.id);
  END IF;
  SELECT array_agg(ev.tenant_id::text ORDER BY e.n), array_agg(ev.event_type::text ORDER BY e.n) INTO v_tenants, v_types
  FROM unnest(v_events) WITH ORDINALITY AS e(id, n)
  LEFT JOIN LATERAL (SELECT ev.tenant_id, ev.event_type FROM "crossdock".event ev WHERE ev.id = e.id OFFSET 0) ev ON true;
  -- Once for each webhook: a lane's index is full of its old versions, which each look-up would go through.
  SELECT array_agg(COALESCE(x.id, 0) ORDER BY d.tenant COLLATE "C", d.webhook),
    array_agg(COALESCE(x.state, 0::smallint) ORDER BY d.tenant COLLATE "C", d.webhook),
    array_agg(x.id ORDER BY x.id) FILTER (WHERE d.wanted AND x.id IS NOT NULL)
  INTO v_places, v_states, v_lanes
  FROM (
    SELECT v_tenants[d.place] AS tenant, d.webhook, bool_or(d.skip IS NULL) AS wanted
    FROM unnest(d_places, d_webhooks, d_skips) AS d(place, webhook, skip) WHERE v_tenants[d.place] IS NOT NULL GROUP BY 1, 2
  ) d LEFT JOIN LATERAL (
    SELECT x.id, x.state FROM "crossdock".lane x WHERE x.tenant_id = d.tenant COLLATE "C" AND x.webhook_id = d.webhook
    ORDER BY x.rev DESC LIMIT 1
  ) x ON true;
  -- Heads of orders are only found by whoever holds the lane. Everything else is written before it is held, so that those who claim
  -- and settle need not wait for that.
  v_ordered := array_remove(d_orders, NULL) <> '{}';
  IF v_ordered THEN
    PERFORM "crossdock".hold(v_lanes);
    SELECT array_agg(COALESCE(l.state, 0::smallint) ORDER BY u.n) INTO v_states
    FROM unnest(v_places) WITH ORDINALITY AS u(id, n) LEFT JOIN LATERAL (
      SELECT x.state FROM "crossdock".lane x WHERE x.id = u.id ORDER BY x.rev DESC LIMIT 1
    ) l ON true;
  END IF;

  WITH wanted AS MATERIALIZED (
    SELECT d.*, p_seqs[d.place] AS seq, v_events[d.place] AS event_id, v_types[d.place] AS event_type, v_places[d.named] AS lane_id,
      COALESCE(d.skip, CASE
        WHEN v_states[d.named] = 0 THEN 'skipped.webhook_deleted'
        WHEN v_states[d.named] = 3 THEN 'skipped.webhook_disabled'
        WHEN v_events[d.place] = ANY (v_gone) THEN 'skipped.erased'
        ELSE 'pending' END) AS status
    FROM (
      SELECT d.*, dense_rank() OVER (ORDER BY d.tenant_id COLLATE "C", d.webhook)::int AS named FROM (
        SELECT d.*, v_tenants[d.place] AS tenant_id
        FROM unnest(d_places, d_ids, d_webhooks, d_orders, d_skips) WITH ORDINALITY AS d(place, id, webhook, order_key, skip, n)
      ) d WHERE d.tenant_id IS NOT NULL
    ) d
  ), made AS (
    INSERT INTO "crossdock".delivery (id, tenant_id, webhook_id, event_id, event_type, kind, status, origin, created_at, updated_at, next_attempt_at)
    SELECT w.id, w.tenant_id, w.webhook, w.event_id, w.event_type, CASE WHEN w.status = 'pending' THEN 0 ELSE "crossdock".kind_of(w.status) END, w.status, 'live', p_at, p_at,
      CASE WHEN w.status = 'pending' THEN p_at END FROM wanted w
  ), queued AS (
    INSERT INTO "crossdock".queue (delivery_id, lane_id, kind, offered, order_key, seq, due_at, event_id, created_at, updated_at)
    SELECT w.id, w.lane_id, 0, w.order_key IS NULL, w.order_key, w.seq, p_at, w.event_id, p_at, p_at
    FROM wanted w WHERE w.status = 'pending' ORDER BY w.seq, w.n
    RETURNING lane_id, order_key
  )
  SELECT array_agg(q.lane_id), array_agg(q.order_key) INTO v_order_lanes, v_orders FROM queued q WHERE q.order_key IS NOT NULL;
  IF v_ordered THEN
    PERFORM "crossdock".reoffer(v_order_lanes, v_orders);
  ELSE
    PERFORM "crossdock".hold(v_lanes);
    -- A webhook may have been disabled or removed since it was looked at.
    PERFORM "crossdock".skip_refused(l.id, p_at) FROM "crossdock".lanes(v_lanes) l WHERE l.state IN (0, 3);
  END IF;
  PERFORM "crossdock".schedule(v_lanes, p_at, CASE WHEN v_ordered THEN '-infinity' ELSE p_at END, 'infinity');
  RETURN cardinality(v_seqs);
END $$;
