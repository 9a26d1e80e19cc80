-- Limits may differ from caller to caller: lanes are scheduled by the highest, so that nobody is told too late. Limits that
-- nobody has asked for in an hour no longer count. Says whether it holds lanes now.
CREATE FUNCTION "crossdock".adopt_limits(p_cap int, p_replays int, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_known record;
  v_lanes bigint[];
BEGIN
  SELECT * INTO v_known FROM "crossdock".limits;
  IF p_cap > v_known.max_in_flight OR p_replays > v_known.max_replays_in_flight THEN
    UPDATE "crossdock".limits SET max_in_flight = GREATEST(max_in_flight, p_cap),
      max_replays_in_flight = GREATEST(max_replays_in_flight, p_replays), seen_at = p_at;
  ELSIF p_cap = v_known.max_in_flight AND p_replays = v_known.max_replays_in_flight THEN
    IF v_known.seen_at < p_at - interval '10 minutes' THEN
      UPDATE "crossdock".limits SET seen_at = p_at WHERE seen_at < p_at - interval '10 minutes';
    END IF;
    RETURN false;
  ELSIF v_known.seen_at < p_at - interval '1 hour' THEN
    UPDATE "crossdock".limits SET max_in_flight = p_cap, max_replays_in_flight = p_replays, seen_at = p_at
    WHERE seen_at < p_at - interval '1 hour';
  ELSE
    RETURN false;
  END IF;
  SELECT array_agg(l.id) INTO v_lanes FROM (
    SELECT l.id FROM "crossdock".lane l
    WHERE l.state = 1 AND EXISTS (SELECT 1 FROM "crossdock".queue q WHERE q.lane_id = l.id) ORDER BY l.id FOR NO KEY UPDATE
  ) l;
  PERFORM "crossdock".schedule(v_lanes, p_at);
  RETURN v_lanes IS NOT NULL;
END $$;

-- The next tenants behind this one that have something due, round to where it began.
CREATE FUNCTION "crossdock".due_tenants(
  p_place text, p_at timestamptz, p_most int, p_tried bigint[], p_except text[], p_known bigint[]
) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  v_found text[] := '{}';
  v_next text;
  v_place text COLLATE "C" := COALESCE(p_place, '');
  v_end text COLLATE "C";
BEGIN
  IF p_known IS NOT NULL THEN
    SELECT array_agg(t.tenant_id ORDER BY t.is_before, t.tenant_id) INTO v_found FROM (
      SELECT l.tenant_id, l.tenant_id <= v_place AS is_before FROM "crossdock".lanes(p_known) l
      WHERE l.next_due_at <= p_at AND l.id <> ALL (p_tried) AND l.tenant_id <> ALL (p_except)
      GROUP BY l.tenant_id ORDER BY 2, 1 LIMIT p_most
    ) t;
    RETURN COALESCE(v_found, '{}');
  END IF;
  WHILE cardinality(v_found) < p_most LOOP
    SELECT l.tenant_id INTO v_next FROM "crossdock".lane l
    WHERE l.tenant_id > v_place AND (v_end IS NULL OR l.tenant_id <= v_end)
      AND l.next_due_at <= p_at AND l.next_due_at < 'infinity' AND l.id <> ALL (p_tried) AND l.tenant_id <> ALL (p_except)
    ORDER BY l.tenant_id LIMIT 1;
    IF v_next IS NOT NULL THEN
      v_found := v_found || v_next;
      v_place := v_next;
    ELSIF v_end IS NULL AND p_place IS NOT NULL THEN
      v_end := p_place;
      v_place := '';
    ELSE
      EXIT;
    END IF;
  END LOOP;
  RETURN v_found;
END $$;

-- Whether old versions of lanes have piled up, because somebody holds a snapshot of the server: then indexes of what lanes wait for are
-- full of times that are over.
CREATE FUNCTION "crossdock".is_crowded() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT pg_stat_get_dead_tuples(c.oid) > 2000 + 50 * pg_stat_get_live_tuples(c.oid)
  FROM (SELECT '"crossdock".lane'::regclass::oid AS oid) c;
$$;

-- Every lane that waits for something, from one lane to the next and past all old versions.
CREATE FUNCTION "crossdock".waiting_lanes() RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
  v_lanes bigint[] := '{}';
  v_tenant text COLLATE "C" := '';
  v_webhook uuid := '00000000-0000-0000-0000-000000000000';
  v_lane bigint;
  v_due timestamptz;
BEGIN
  LOOP
    SELECT l.tenant_id, l.webhook_id, l.id, l.next_due_at INTO v_tenant, v_webhook, v_lane, v_due FROM "crossdock".lane l
    WHERE (l.tenant_id, l.webhook_id) > (v_tenant, v_webhook) ORDER BY l.tenant_id, l.webhook_id, l.rev DESC LIMIT 1;
    EXIT WHEN NOT FOUND;
    IF v_due < 'infinity' THEN v_lanes := v_lanes || v_lane; END IF;
  END LOOP;
  RETURN v_lanes;
END $$;

-- Leases what is due. Lanes are locked, not deliveries; and because a lane's leases are counted in a statement that begins after
-- the lock was had, callers that race never admit more than a limit allows. The first row, without a delivery, says how it goes on.
CREATE FUNCTION "crossdock".claim(p_at timestamptz, p_until timestamptz, p_most int, p_after text, p_cap int, p_replays int, p_except text[])
RETURNS TABLE (
  delivery_id uuid, origin text, attempt int, lease_token bigint, event_id uuid, head text, payload bytea,
  tenant_id text, webhook_id uuid, webhook_stamp bigint, defaults_stamp bigint,
  brake_open_until timestamptz, brake_limit int, brake_openings int, brake_ramp_at timestamptz, brake_version bigint,
  after_tenant text, next_due_at timestamptz, store_time timestamptz
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_left int := p_most;
  v_place text := p_after;
  v_after text := p_after;
  v_tried bigint[] := '{}';
  v_picked uuid[] := '{}';
  v_tokens bigint[] := '{}';
  v_attempts int[] := '{}';
  v_events uuid[] := '{}';
  v_kinds smallint[] := '{}';
  v_of bigint[] := '{}';
  v_tenants text[];
  v_quota int;
  v_locked bigint[];
  v_erased uuid[];
  v_new record;
  v_counts int[];
  v_served bigint[];
  v_holds boolean;
  v_next timestamptz;
  v_known bigint[];
  v_more boolean;
  -- The lanes that have given something by their ids' order, and what goes with each of their deliveries.
  v_ids bigint[];
  v_owners text[];
  v_webhooks uuid[];
  v_stamps bigint[];
  v_defaults bigint[];
  v_opens timestamptz[];
  v_limits int[];
  v_openings int[];
  v_ramps timestamptz[];
  v_versions bigint[];
  i int;
BEGIN
  v_holds := "crossdock".adopt_limits(p_cap, p_replays, p_at);
  IF "crossdock".is_crowded() THEN v_known := "crossdock".waiting_lanes(); END IF;
  WHILE v_left > 0 LOOP
    v_tenants := "crossdock".due_tenants(v_place, p_at, v_left, v_tried, p_except, v_known);
    EXIT WHEN v_tenants = '{}';
    v_quota := ceil(v_left::numeric / cardinality(v_tenants));

    -- Chosen first and locked by their ids alone: a lane that is changed between the look and the lock would otherwise be locked and
    -- not answered, and whoever holds what it does not know of must not wait. Twice as many are looked at as are wanted, because
    -- others may hold some.
    WITH candidate AS MATERIALIZED (
      SELECT t.tenant_id, x.id, x.served FROM unnest(v_tenants) AS t(tenant_id) CROSS JOIN LATERAL (
        SELECT l.id, l.served FROM "crossdock".lane l
        WHERE v_known IS NULL AND l.tenant_id = t.tenant_id COLLATE "C" AND l.next_due_at <= p_at AND l.next_due_at < 'infinity'
          AND l.id <> ALL (v_tried)
        ORDER BY l.served, l.id LIMIT 2 * v_quota
      ) x
      UNION ALL
      SELECT l.tenant_id::text, l.id, l.served FROM "crossdock".lanes(v_known) l
      WHERE l.tenant_id = ANY (v_tenants) AND l.next_due_at <= p_at AND l.id <> ALL (v_tried)
    )
    SELECT array_agg(x.id) INTO v_locked
    FROM unnest(v_tenants) AS t(tenant_id) CROSS JOIN LATERAL (
      SELECT l.id FROM (
        SELECT c.id FROM candidate c WHERE c.tenant_id = t.tenant_id ORDER BY c.served, c.id
      ) c CROSS JOIN LATERAL (
        SELECT x.id FROM "crossdock".lane x WHERE x.id = c.id ORDER BY x.rev DESC LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
      ) l LIMIT v_quota
    ) x;
    IF v_locked IS NULL THEN
      EXIT WHEN v_holds;
      -- Others are at work on all that is due: wait for one of them. Only while nothing is held, and in the order in which everybody
      -- else waits for lanes, so that no two ever wait for each other.
      v_holds := true;
      IF v_known IS NULL THEN
        PERFORM 1 FROM "crossdock".lane l
        WHERE l.tenant_id = ANY (v_tenants) AND l.next_due_at <= p_at AND l.next_due_at < 'infinity'
        ORDER BY l.id LIMIT 1 FOR NO KEY UPDATE;
      ELSE
        PERFORM "crossdock".hold(ARRAY(
          SELECT l.id FROM "crossdock".lanes(v_known) l
          WHERE l.tenant_id = ANY (v_tenants) AND l.next_due_at <= p_at AND l.id <> ALL (v_tried) ORDER BY l.id LIMIT 1
        ));
      END IF;
      CONTINUE;
    END IF;
    v_holds := true;

    -- What was erased while it was claimed is not given again.
    SELECT array_agg(q.delivery_id) INTO v_erased
    FROM "crossdock".lanes(v_locked) l JOIN "crossdock".queue q ON q.lane_id = l.id
    WHERE q.state = 1 AND q.due_at >= l.lease_from AND q.due_at <= p_at AND q.erased;
    IF v_erased IS NOT NULL THEN
      PERFORM "crossdock".finish(v_erased, array_fill('skipped.erased'::text, ARRAY[cardinality(v_erased)]), p_at);
    END IF;

    WITH budget AS MATERIALIZED (
      SELECT b.*, LEAST(v_quota, GREATEST(0, LEAST(b.cap - f.live, floor(b.tokens_now)::int)))::int AS most,
        GREATEST(0, LEAST(v_quota, p_replays - f.replays))::int AS replays
      FROM (
        SELECT l.id, l.tenant_id, l.served, l.replayed_last, l.lease_from, array_position(v_tenants, l.tenant_id::text) AS place,
          -- Behind what was erased, something of an order may be on offer that was not.
          CASE WHEN v_erased IS NULL THEN l.due_from ELSE '-infinity' END AS due_from,
          LEAST(COALESCE(l.max_in_flight, p_cap), l.brake_limit) AS cap,
          LEAST(l.burst, l.tokens + GREATEST(0, extract(epoch FROM p_at - l.tokens_at)::float8) * l.rate_per_s) AS tokens_now
        FROM "crossdock".lanes(v_locked) l
        WHERE l.state = 1
          AND (l.held_until IS NULL OR l.held_until <= p_at) AND (l.brake_open_until IS NULL OR l.brake_open_until <= p_at)
      ) b
      CROSS JOIN LATERAL (
        SELECT count(*)::int AS live, (count(*) FILTER (WHERE q.kind = 1))::int AS replays
        FROM "crossdock".queue q WHERE q.lane_id = b.id AND q.state = 1 AND q.due_at > p_at AND q.due_at >= b.lease_from
      ) f
    ), lined AS (
      -- The two lanes of a webhook take turns.
      SELECT b.id, b.place, b.served, b.most, b.tokens_now, p.*,
        row_number() OVER (PARTITION BY b.id ORDER BY 2 * p.n + CASE WHEN (p.kind = 1) = b.replayed_last THEN 1 ELSE 0 END) AS k
      FROM budget b CROSS JOIN LATERAL (
        SELECT d.*, row_number() OVER (ORDER BY d.due_at, d.arrival) AS n FROM (
          SELECT q.delivery_id, q.kind, q.state, q.due_at, q.arrival FROM "crossdock".queue q
          WHERE q.lane_id = b.id AND q.kind = 0 AND q.offered AND q.due_at >= b.due_from AND q.due_at <= p_at
            AND (q.order_key IS NULL OR NOT EXISTS (
              SELECT 1 FROM "crossdock".queue o
              WHERE o.lane_id = q.lane_id AND o.order_key = q.order_key AND o.state = 1 AND o.due_at > p_at))
          ORDER BY q.due_at, q.arrival LIMIT b.most
        ) d
        UNION ALL
        SELECT d.*, row_number() OVER (ORDER BY d.due_at, d.arrival) AS n FROM (
          SELECT q.delivery_id, q.kind, q.state, q.due_at, q.arrival FROM "crossdock".queue q
          WHERE q.lane_id = b.id AND q.kind = 1 AND q.offered AND q.due_at >= b.due_from AND q.due_at <= p_at
          ORDER BY q.due_at, q.arrival LIMIT LEAST(b.most, b.replays)
        ) d
      ) p
    ), fair AS (
      SELECT l.*, row_number() OVER (PARTITION BY l.place ORDER BY l.k, l.served, l.id) AS share FROM lined l WHERE l.k <= l.most
    ), chosen AS MATERIALIZED (
      SELECT f.* FROM fair f WHERE f.share <= v_quota ORDER BY f.place, f.share LIMIT v_left
    ), leased AS (
      UPDATE "crossdock".queue q
      SET state = 1, lease_token = nextval('"crossdock".lease_token'), due_at = p_until, attempt = q.attempt + 1, updated_at = p_at
      FROM chosen c WHERE q.delivery_id = c.delivery_id
      RETURNING c.place, c.share, q.delivery_id, q.lease_token, q.attempt, q.event_id, q.kind, q.lane_id
    ), lapsed AS (
      INSERT INTO "crossdock".lapse (ended_at) SELECT c.due_at FROM chosen c WHERE c.state = 1
    )
    SELECT g.*, s.*, (SELECT array_agg(n.count ORDER BY n.place) FROM (
        SELECT x.place, sum(x.one)::int AS count FROM (
          SELECT c.place, 1 AS one FROM chosen c UNION ALL SELECT g.place, 0 FROM generate_series(1, cardinality(v_tenants)) AS g(place)
        ) x GROUP BY x.place
      ) n) AS counts
    INTO v_new
    FROM (
      SELECT array_agg(c.id ORDER BY c.id) AS served, array_agg(c.replayed_last ORDER BY c.id) AS served_replays,
        array_agg(c.tokens_left ORDER BY c.id) AS served_tokens
      FROM (
        SELECT c.id, (array_agg(c.kind ORDER BY c.k DESC))[1] = 1 AS replayed_last, max(c.tokens_now) - count(*) AS tokens_left
        FROM chosen c GROUP BY c.id
      ) c
    ) s, (
      SELECT array_agg(g.delivery_id) AS ids, array_agg(g.lease_token) AS tokens, array_agg(g.attempt) AS attempts,
        array_agg(g.event_id) AS events, array_agg(g.kind) AS kinds, array_agg(g.lane_id) AS lanes
      FROM (SELECT * FROM leased g ORDER BY g.place, g.share) g
    ) g;
    v_counts := v_new.counts;
    v_served := v_new.served;
    PERFORM "crossdock".schedule(v_locked, p_at, CASE WHEN v_erased IS NULL THEN 'infinity' ELSE '-infinity' END::timestamptz, p_until,
      COALESCE(v_served, '{}'), v_new.served_replays, v_new.served_tokens);

    -- Whoever was cut short is the first of the next round.
    FOR i IN 1 .. cardinality(v_tenants) LOOP
      EXIT WHEN v_left = 0;
      v_place := v_tenants[i];
      IF v_quota <= v_left OR v_counts[i] < v_left THEN v_after := v_place; END IF;
      v_left := v_left - v_counts[i];
    END LOOP;
    IF v_new.ids IS NOT NULL THEN
      v_picked := v_picked || v_new.ids;
      v_tokens := v_tokens || v_new.tokens;
      v_attempts := v_attempts || v_new.attempts;
      v_events := v_events || v_new.events;
      v_kinds := v_kinds || v_new.kinds;
      v_of := v_of || v_new.lanes;
    END IF;
    -- Whoever got nothing is not asked again within this call.
    v_tried := v_tried || ARRAY(SELECT x.id FROM unnest(v_locked) AS x(id) WHERE x.id <> ALL (COALESCE(v_served, '{}')));
  END LOOP;

  IF v_known IS NULL THEN
    SELECT l.next_due_at INTO v_next FROM "crossdock".lane l
    WHERE l.next_due_at > p_at AND l.next_due_at < 'infinity' ORDER BY l.next_due_at LIMIT 1;
    v_more := v_left > 0 AND EXISTS (
      SELECT 1 FROM "crossdock".lane l WHERE l.next_due_at <= p_at AND l.next_due_at < 'infinity' AND l.tenant_id <> ALL (p_except));
  ELSE
    SELECT NULLIF(min(l.next_due_at) FILTER (WHERE l.next_due_at > p_at), 'infinity'),
      COALESCE(v_left > 0 AND bool_or(l.next_due_at <= p_at AND l.tenant_id <> ALL (p_except)), false)
    INTO v_next, v_more FROM "crossdock".lanes(v_known) l;
  END IF;
  IF v_more THEN
    -- Somebody else holds what is due.
    v_next := LEAST(v_next, p_at + interval '100 milliseconds');
  END IF;

  RETURN QUERY SELECT NULL::uuid, NULL::text, NULL::int, NULL::bigint, NULL::uuid, NULL::text, NULL::bytea, NULL::text, NULL::uuid,
    NULL::bigint, NULL::bigint, NULL::timestamptz, NULL::int, NULL::int, NULL::timestamptz, NULL::bigint, v_after, v_next, clock_timestamp();
  IF v_picked = '{}' THEN RETURN; END IF;
  -- Once for all deliveries: a lane's index is full of its old versions, which each look-up would go through.
  SELECT array_agg(l.id), array_agg(l.tenant_id::text), array_agg(l.webhook_id), array_agg(l.stamp), array_agg(l.defaults),
    array_agg(l.brake_open_until), array_agg(l.brake_limit), array_agg(l.brake_openings), array_agg(l.brake_ramp_at),
    array_agg(l.brake_version)
  INTO v_ids, v_owners, v_webhooks, v_stamps, v_defaults, v_opens, v_limits, v_openings, v_ramps, v_versions
  FROM (
    SELECT l.*, t.stamp AS defaults FROM "crossdock".lanes(ARRAY(SELECT DISTINCT unnest(v_of))) l
    LEFT JOIN LATERAL (SELECT t.stamp FROM "crossdock".tenant_defaults t WHERE t.tenant_id = l.tenant_id OFFSET 0) t ON true
    ORDER BY l.id
  ) l;
  RETURN QUERY
    SELECT u.id, COALESCE(d.origin, 'live'), u.attempt, u.token, u.event_id, e.head, p.body, v_owners[u.place], v_webhooks[u.place],
      v_stamps[u.place], v_defaults[u.place], v_opens[u.place], v_limits[u.place], v_openings[u.place], v_ramps[u.place],
      v_versions[u.place], NULL::text, NULL::timestamptz, NULL::timestamptz
    -- Fenced, because there is but one way to read them, and thinking of others took longer than reading.
    FROM (
      SELECT u.*, width_bucket(u.lane_id, v_ids) AS place
      FROM unnest(v_picked, v_tokens, v_attempts, v_events, v_kinds, v_of) WITH ORDINALITY AS u(id, token, attempt, event_id, kind, lane_id, n)
      OFFSET 0
    ) u
    CROSS JOIN LATERAL (SELECT e.head FROM "crossdock".event e WHERE e.id = u.event_id OFFSET 0) e
    CROSS JOIN LATERAL (SELECT p.body FROM "crossdock".payload p WHERE p.event_id = u.event_id OFFSET 0) p
    -- What was never sent again is live.
    LEFT JOIN LATERAL (SELECT d.origin FROM "crossdock".delivery d WHERE u.kind <> 0 AND d.id = u.id OFFSET 0) d ON true
    ORDER BY u.n;
END $$;

-- Takes leases back that their holder cannot use. With a status, the delivery ends; without one, it waits until its time, and the
-- attempt does not count.
CREATE FUNCTION "crossdock".take_back(p_at timestamptz, p_ids uuid[], p_tokens bigint[], p_due timestamptz[], p_statuses text[]) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_lanes bigint[];
  v_ids uuid[];
  v_ends text[];
BEGIN
  SELECT array_agg(DISTINCT q.lane_id) INTO v_lanes FROM "crossdock".queue q WHERE q.delivery_id = ANY (p_ids);
  PERFORM "crossdock".hold(v_lanes);
  UPDATE "crossdock".queue q
  SET state = 0, due_at = u.due, lease_token = NULL, attempt = GREATEST(0, q.attempt - 1), updated_at = p_at
  FROM unnest(p_ids, p_tokens, p_due, p_statuses) AS u(id, token, due, status)
  WHERE q.delivery_id = u.id AND q.lease_token = u.token AND NOT q.erased AND u.status IS NULL;
  SELECT array_agg(q.delivery_id), array_agg(CASE WHEN q.erased THEN 'skipped.erased' ELSE u.status END) INTO v_ids, v_ends
  FROM unnest(p_ids, p_tokens, p_statuses) AS u(id, token, status)
  JOIN "crossdock".queue q ON q.delivery_id = u.id AND q.lease_token = u.token;
  IF v_ids IS NOT NULL THEN
    PERFORM "crossdock".finish(v_ids, v_ends, p_at);
  END IF;
  -- A webhook may have been disabled or removed since.
  PERFORM "crossdock".skip_refused(l.id, p_at) FROM unnest(v_lanes) AS l(id);
  PERFORM "crossdock".schedule(v_lanes, p_at);
END $$;
