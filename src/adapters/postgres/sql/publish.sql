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
  INSERT INTO "crossdock".outbox (event_id, tenant_id, event_type)
  SELECT u.id, u.tenant, u.event_type FROM unnest(p_ids, p_tenants, p_types, v_fresh) WITH ORDINALITY AS u(id, tenant, event_type, fresh, n)
  WHERE u.fresh ORDER BY u.n;
  RETURN QUERY SELECT u.n::int, u.id, u.fresh FROM unnest(v_ids, v_fresh) WITH ORDINALITY AS u(id, fresh, n);
END $$;

-- The oldest entries behind this one, of all tenants or of those with an even (0) or an odd (1) hash, in their order, with the heads of
-- their events or without; then the webhooks of their tenants, with what names
-- the state that each is in. A function, because what it deletes leaves its index full of dead entries at the very end that a planner
-- looks at, for longer than reading takes: here it plans once.
CREATE FUNCTION "crossdock".read_outbox(p_most bigint, p_behind bigint, p_half int, p_except text[], p_bare boolean)
RETURNS TABLE (seq bigint, event_id uuid, head text, tenant_id text, webhook_id uuid, stamp bigint)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_seqs bigint[];
  v_events uuid[];
  v_tenants text[];
BEGIN
  SELECT array_agg(o.seq ORDER BY o.seq), array_agg(o.event_id ORDER BY o.seq), array_agg(o.tenant_id::text)
  INTO v_seqs, v_events, v_tenants
  FROM (
    SELECT o.seq, o.event_id, o.tenant_id FROM (
      SELECT o.seq, o.event_id, o.tenant_id FROM "crossdock".outbox o
      WHERE o.seq > p_behind AND o.tenant_id <> ALL (p_except)
      -- What the other half has piled up is not looked through for a few of this one.
      ORDER BY o.seq LIMIT CASE WHEN p_half IS NULL THEN p_most ELSE 10 * p_most END
    ) o
    WHERE p_half IS NULL OR hashtext(o.tenant_id) & 1 = p_half ORDER BY o.seq LIMIT p_most
  ) o;
  IF v_seqs IS NULL THEN RETURN; END IF;
  IF p_bare THEN
    RETURN QUERY SELECT u.seq, u.event_id, NULL::text, NULL::text, NULL::uuid, NULL::bigint FROM unnest(v_seqs, v_events) AS u(seq, event_id)
      ORDER BY u.seq;
  ELSE
    RETURN QUERY SELECT u.seq, u.event_id, e.head, NULL::text, NULL::uuid, NULL::bigint FROM unnest(v_seqs, v_events) AS u(seq, event_id)
      CROSS JOIN LATERAL (SELECT e.head FROM "crossdock".event e WHERE e.id = u.event_id OFFSET 0) e
      ORDER BY u.seq;
  END IF;
  -- A statement of its own, behind the one for the entries: whatever was saved before one of them was published is there.
  RETURN QUERY SELECT NULL::bigint, NULL::uuid, NULL::text, w.tenant_id::text, w.id, w.stamp FROM "crossdock".webhook w
    WHERE w.tenant_id = ANY (ARRAY(SELECT DISTINCT t.name FROM unnest(v_tenants) AS t(name))) ORDER BY w.tenant_id, w.id;
END $$;

-- Turns outbox entries into deliveries. Webhooks are named once; each delivery says at which place of `p_seqs` its event stands, and at
-- which one its webhook: a join of two arrays would compare each with each. A skip has a status.
--
-- With a time in `p_until`, it leases to the caller at once what a claim would give first: all of a lane in which nothing is due, up to
-- what may be in flight, but nothing of an order, of a webhook with a rate, or of the tenants in `p_full`. That saves writing each
-- delivery a second time.
--
-- Answers bodies, by the place of their event, but for events that the caller knows; then how many entries were still there, with a
-- time before which nothing can be claimed of these webhooks; then the lanes of which something is leased, each with a name, and the
-- leases, by the place of the delivery.
CREATE FUNCTION "crossdock".fan_out(
  p_at timestamptz, p_seqs bigint[], w_webhooks uuid[], d_places int[], d_named int[], d_ids uuid[], d_orders bigint[], d_skips text[],
  p_until timestamptz, p_cap int, p_full text[], e_known boolean[]
) RETURNS TABLE (
  taken int, named int, tenant_id text, webhook_id uuid, webhook_stamp bigint, defaults_stamp bigint,
  brake_open_until timestamptz, brake_limit int, brake_openings int, brake_ramp_at timestamptz, brake_version bigint,
  event int, body bytea, delivery int, lease_token bigint, next_due_at timestamptz
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_seqs bigint[];
  -- At the same places; empty where somebody else was faster.
  v_events uuid[];
  v_tenants text[];
  v_types text[];
  v_gone uuid[];
  -- Whether a name stands for webhooks of several tenants.
  v_mixed boolean;
  -- The lanes of the named webhooks, at the same places.
  v_named bigint[];
  v_states smallint[];
  v_lanes bigint[];
  v_refusing bigint[];
  v_waiting bigint[];
  -- When something can be claimed of the lanes that were left with something.
  v_next timestamptz;
  v_held bigint;
  v_orphans uuid[];
  v_ordered boolean;
  -- What is to wait in the queue, in the order in which it does.
  q_ids uuid[];
  q_named int[];
  q_seqs bigint[];
  q_events uuid[];
  q_orders bigint[];
  q_deliveries int[];
  q_places int[];
  q_tokens bigint[];
  -- What may be leased: by name, as it looked before the lanes were held; the lanes, and how much of each.
  v_idle boolean[];
  v_free_lanes bigint[];
  v_free int[];
  v_leasing bigint[];
  v_turned bigint[];
BEGIN
  -- Their index gives them in the order in which everybody locks them. An erasure either waits for this or is seen by it.
  WITH taken AS (
    DELETE FROM "crossdock".outbox o WHERE o.seq = ANY (p_seqs) RETURNING o.seq, o.event_id, o.tenant_id, o.event_type, o.erased
  ), sorted AS (
    SELECT * FROM taken t ORDER BY t.seq
  )
  SELECT array_agg(t.seq), array_agg(t.event_id), array_agg(t.tenant_id::text), array_agg(t.event_type::text),
    array_agg(t.event_id) FILTER (WHERE t.erased)
  INTO v_seqs, v_events, v_tenants, v_types, v_gone FROM sorted t;
  IF v_seqs IS NULL THEN RETURN; END IF;

  IF v_seqs <> p_seqs THEN
    SELECT array_agg(o.event_id ORDER BY s.n), array_agg(o.tenant_id ORDER BY s.n), array_agg(o.event_type ORDER BY s.n)
    INTO v_events, v_tenants, v_types
    FROM unnest(p_seqs) WITH ORDINALITY AS s(seq, n)
    LEFT JOIN unnest(v_seqs, v_events, v_tenants, v_types) AS o(seq, event_id, tenant_id, event_type) ON o.seq = s.seq;
  END IF;

  -- Once for each webhook: a lane's index is full of its old versions, which each look-up would go through.
  LOOP
    SELECT array_agg(x.id ORDER BY w.named), array_agg(COALESCE(x.state, 0::smallint) ORDER BY w.named),
      array_agg(p_until IS NOT NULL AND x.is_idle AND w.tenant <> ALL (p_full) ORDER BY w.named),
      array_agg(x.id) FILTER (WHERE w.wanted AND x.id IS NOT NULL), bool_or(w.tenant <> w.other)
    INTO v_named, v_states, v_idle, v_lanes, v_mixed
    FROM (
      SELECT d.named, min(d.tenant COLLATE "C") AS tenant, max(d.tenant COLLATE "C") AS other, bool_or(d.wanted) AS wanted FROM (
        SELECT d.named, v_tenants[d.place] AS tenant, d.skip IS NULL AND v_events[d.place] IS NOT NULL AS wanted
        FROM unnest(d_places, d_named, d_skips) AS d(place, named, skip)
        UNION ALL
        SELECT n, NULL, false FROM generate_subscripts(w_webhooks, 1) AS n
      ) d GROUP BY d.named
    ) w LEFT JOIN LATERAL (
      SELECT x.id, x.state, "crossdock".is_idle(x, p_at) AS is_idle FROM "crossdock".lane x
      WHERE x.tenant_id = w.tenant COLLATE "C" AND x.webhook_id = w_webhooks[w.named] ORDER BY x.rev DESC LIMIT 1
    ) x ON true;
    EXIT WHEN v_mixed IS NOT TRUE;
    -- Tenants whose webhooks were copied from one another: each gets a name of its own.
    WITH d AS MATERIALIZED (
      SELECT d.n, d.named, dense_rank() OVER (ORDER BY d.named, v_tenants[d.place] COLLATE "C")::int AS again
      FROM unnest(d_places, d_named) WITH ORDINALITY AS d(place, named, n)
    )
    SELECT array_agg(d.again ORDER BY d.n), (
      SELECT array_agg(w.webhook ORDER BY w.again) FROM (SELECT DISTINCT x.again, w_webhooks[x.named] AS webhook FROM d x) w
    ) INTO d_named, w_webhooks FROM d;
  END LOOP;
  -- Heads of orders are only found by whoever holds the lane. Everything else is written before it is held, so that those who claim
  -- and settle need not wait for that.
  v_ordered := array_remove(d_orders, NULL) <> '{}';
  IF v_ordered THEN
    PERFORM "crossdock".hold(v_lanes);
    SELECT array_agg(COALESCE(l.state, 0::smallint) ORDER BY u.n) INTO v_states
    FROM unnest(v_named) WITH ORDINALITY AS u(id, n) LEFT JOIN LATERAL (
      SELECT x.state FROM "crossdock".lane x WHERE x.id = u.id ORDER BY x.rev DESC LIMIT 1
    ) l ON true;
  END IF;

  WITH wanted AS MATERIALIZED (
    SELECT d.id, d.named, d.place, d.order_key, d.n, p_seqs[d.place] AS seq, v_events[d.place] AS event_id, v_tenants[d.place] AS tenant_id,
      v_types[d.place] AS event_type,
      COALESCE(d.skip, CASE
        WHEN v_states[d.named] = 0 THEN 'skipped.webhook_deleted'
        WHEN v_states[d.named] = 3 THEN 'skipped.webhook_disabled'
        WHEN v_events[d.place] = ANY (v_gone) THEN 'skipped.erased'
        ELSE 'pending' END) AS status
    FROM unnest(d_places, d_named, d_ids, d_orders, d_skips) WITH ORDINALITY AS d(place, named, id, order_key, skip, n)
    WHERE v_events[d.place] IS NOT NULL
  ), made AS (
    INSERT INTO "crossdock".delivery (id, tenant_id, webhook_id, event_id, event_type, kind, status, origin, created_at, updated_at, next_attempt_at)
    SELECT w.id, w.tenant_id, w_webhooks[w.named], w.event_id, w.event_type,
      CASE WHEN w.status = 'pending' THEN 0 ELSE "crossdock".kind_of(w.status) END, w.status, 'live', p_at, p_at,
      CASE WHEN w.status = 'pending' THEN p_at END FROM wanted w
  )
  SELECT array_agg(w.id), array_agg(w.named), array_agg(w.seq), array_agg(w.event_id), array_agg(w.order_key), array_agg(w.n::int),
    array_agg(w.place)
  INTO q_ids, q_named, q_seqs, q_events, q_orders, q_deliveries, q_places
  FROM (SELECT * FROM wanted w WHERE w.status = 'pending' ORDER BY w.seq, w.n) w;

  IF true = ANY (v_idle) THEN
    RETURN QUERY SELECT NULL::int, NULL::int, NULL::text, NULL::uuid, NULL::bigint, NULL::bigint, NULL::timestamptz, NULL::int,
        NULL::int, NULL::timestamptz, NULL::bigint, e.place, p.body, NULL::int, NULL::bigint, NULL::timestamptz
      FROM (
        SELECT DISTINCT u.place FROM unnest(q_named, q_places, q_orders) AS u(named, place, order_key)
        WHERE v_idle[u.named] AND u.order_key IS NULL AND e_known[u.place] IS NOT TRUE
      ) e CROSS JOIN LATERAL (SELECT p.body FROM "crossdock".payload p WHERE p.event_id = v_events[e.place] OFFSET 0) p;
    IF NOT v_ordered THEN PERFORM "crossdock".hold(v_lanes); END IF;
    SELECT array_agg(l.id ORDER BY l.id), array_agg(l.cap - f.live ORDER BY l.id) INTO v_free_lanes, v_free
    FROM (
      SELECT l.id, l.lease_from, LEAST(COALESCE(l.max_in_flight, p_cap), l.brake_limit) AS cap
      FROM "crossdock".lanes(ARRAY(SELECT u.id FROM unnest(v_named, v_idle) AS u(id, idle) WHERE u.idle)) l
      WHERE "crossdock".is_idle(l, p_at)
    ) l CROSS JOIN LATERAL (
      SELECT count(*)::int AS live FROM "crossdock".queue q
      WHERE q.lane_id = l.id AND q.state = 1 AND q.due_at > p_at AND q.due_at >= l.lease_from
    ) f;
    IF v_free_lanes IS NOT NULL THEN
      SELECT array_agg(CASE WHEN r.k <= r.free THEN nextval('"crossdock".lease_token') END ORDER BY r.n),
        array_agg(DISTINCT r.lane_id) FILTER (WHERE r.k <= r.free)
      INTO q_tokens, v_leasing
      FROM (
        SELECT q.n, q.lane_id, row_number() OVER (PARTITION BY q.lane_id ORDER BY q.n) AS k,
          CASE WHEN v_free_lanes[q.place] = q.lane_id AND q.order_key IS NULL THEN v_free[q.place] END AS free
        FROM (
          SELECT u.n, u.order_key, v_named[u.named] AS lane_id, width_bucket(v_named[u.named], v_free_lanes) AS place
          FROM unnest(q_named, q_orders) WITH ORDINALITY AS u(named, order_key, n) OFFSET 0
        ) q
      ) r;
    END IF;
  END IF;
  INSERT INTO "crossdock".queue (
    delivery_id, lane_id, kind, state, offered, order_key, seq, due_at, lease_token, attempt, event_id, created_at, updated_at)
  SELECT u.id, v_named[u.named], 0, CASE WHEN u.token IS NULL THEN 0 ELSE 1 END, u.order_key IS NULL, u.order_key, u.seq,
    CASE WHEN u.token IS NULL THEN p_at ELSE p_until END, u.token, CASE WHEN u.token IS NULL THEN 0 ELSE 1 END, u.event_id, p_at, p_at
  FROM unnest(q_ids, q_named, q_seqs, q_events, q_orders, q_tokens) AS u(id, named, seq, event_id, order_key, token);
  IF v_ordered THEN
    PERFORM "crossdock".reoffer(
      (SELECT array_agg(v_named[u.named]) FROM unnest(q_named, q_orders) AS u(named, order_key) WHERE u.order_key IS NOT NULL),
      array_remove(q_orders, NULL));
  ELSIF true = ANY (v_idle) IS NOT TRUE THEN
    PERFORM "crossdock".hold(v_lanes);
  END IF;
  -- Whatever can be claimed already can still be: it needs no look.
  SELECT array_agg(l.id) FILTER (WHERE l.state IN (0, 3)),
    array_agg(l.id) FILTER (WHERE l.state <> 1 OR l.next_due_at > p_at OR l.due_from > p_at OR v_ordered),
    count(*), min(l.next_due_at) FILTER (WHERE l.state = 1)
  INTO v_refusing, v_waiting, v_held, v_next FROM "crossdock".lanes(v_lanes) l;
  IF q_tokens IS NOT NULL THEN
    -- Lanes of which everything was leased have nothing new that waits.
    SELECT array_agg(w.id) INTO v_waiting FROM unnest(v_waiting) AS w(id)
    WHERE w.id IN (SELECT v_named[u.named] FROM unnest(q_named, q_tokens) AS u(named, token) WHERE u.token IS NULL);
  END IF;
  IF v_held < cardinality(v_lanes) THEN
    -- Removed, and its lane swept away, since it was looked at.
    SELECT array_agg(q.delivery_id) INTO v_orphans FROM unnest(v_lanes) AS u(id) JOIN "crossdock".queue q ON q.lane_id = u.id
    WHERE NOT EXISTS (SELECT 1 FROM "crossdock".lane x WHERE x.id = u.id);
    IF v_orphans IS NOT NULL THEN
      PERFORM "crossdock".finish(v_orphans, array_fill('skipped.webhook_deleted'::text, ARRAY[cardinality(v_orphans)]), p_at);
    END IF;
  END IF;
  IF v_refusing IS NOT NULL THEN
    -- A webhook may have been disabled or removed since it was looked at.
    PERFORM "crossdock".skip_refused(l.id, p_at) FROM unnest(v_refusing) AS l(id);
  END IF;
  IF v_waiting IS NOT NULL THEN
    -- Of an order, something may be on offer that was due before.
    PERFORM "crossdock".schedule(v_waiting, p_at, CASE WHEN v_ordered THEN '-infinity' ELSE p_at END, COALESCE(p_until, 'infinity'));
    v_next := LEAST(v_next, (SELECT min(l.next_due_at) FROM "crossdock".lanes(v_waiting) l WHERE l.state = 1));
  END IF;
  RETURN QUERY SELECT cardinality(v_seqs), NULL::int, NULL::text, NULL::uuid, NULL::bigint, NULL::bigint, NULL::timestamptz, NULL::int,
    NULL::int, NULL::timestamptz, NULL::bigint, NULL::int, NULL::bytea, NULL::int, NULL::bigint, LEAST(v_next, '9999-12-31');
  IF v_leasing IS NULL THEN
    -- Not waited for by those who wait for the lanes. A server that crashes before this is durable has the entries in its outbox again,
    -- and nothing has come of the deliveries: whoever claims one waits for his own commit, which is durable only together with this.
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN;
  END IF;

  -- Behind what was leased of the live lane it is the other one's turn, as behind a claim.
  SELECT array_agg(l.id), COALESCE(array_agg(l.id ORDER BY l.id) FILTER (WHERE l.replayed_last), '{}') INTO v_waiting, v_turned
  FROM "crossdock".lanes(v_leasing) l
  WHERE l.next_due_at > p_until OR l.due_from > p_until OR l.lease_from > p_until OR l.replayed_last;
  IF v_waiting IS NOT NULL THEN
    PERFORM "crossdock".schedule(v_waiting, p_at, p_until, p_until, v_turned, array_fill(false, ARRAY[cardinality(v_turned)]));
  END IF;
  RETURN QUERY SELECT NULL::int, u.named::int, l.tenant_id::text, l.webhook_id, l.stamp, t.stamp, l.brake_open_until, l.brake_limit,
      l.brake_openings, l.brake_ramp_at, l.brake_version, NULL::int, NULL::bytea, NULL::int, NULL::bigint, NULL::timestamptz
    FROM unnest(v_named) WITH ORDINALITY AS u(id, named)
    CROSS JOIN LATERAL (SELECT x.* FROM "crossdock".lane x WHERE x.id = u.id ORDER BY x.rev DESC LIMIT 1) l
    LEFT JOIN LATERAL (SELECT t.stamp FROM "crossdock".tenant_defaults t WHERE t.tenant_id = l.tenant_id OFFSET 0) t ON true
    WHERE u.id = ANY (v_leasing);
  RETURN QUERY SELECT NULL::int, u.named, NULL::text, NULL::uuid, NULL::bigint, NULL::bigint, NULL::timestamptz, NULL::int,
      NULL::int, NULL::timestamptz, NULL::bigint, u.place, NULL::bytea, u.delivery, u.token, NULL::timestamptz
    FROM unnest(q_named, q_places, q_deliveries, q_tokens) AS u(named, place, delivery, token) WHERE u.token IS NOT NULL;
END $$;
