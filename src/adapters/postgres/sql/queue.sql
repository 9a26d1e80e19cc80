-- The parts that the engine's steps share. All of them expect that the caller holds the lanes.
--
-- A connection plans the steps once, often while the tables are small, and keeps its plans when they have grown. So it may only think of
-- what stays good: from row to row, through indexes. Tables that had looked small were read as a whole, and steps took three times as long.

-- These lanes as they are.
CREATE FUNCTION "crossdock".lanes(p_lanes bigint[]) RETURNS SETOF "crossdock".lane LANGUAGE sql STABLE AS $$
  SELECT l.* FROM unnest(p_lanes) AS u(id)
  CROSS JOIN LATERAL (SELECT x.* FROM "crossdock".lane x WHERE x.id = u.id ORDER BY x.rev DESC LIMIT 1) l;
$$;

-- Holds these lanes, in the order in which everybody does.
CREATE FUNCTION "crossdock".hold(p_lanes bigint[]) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  PERFORM 1 FROM (SELECT DISTINCT u.id FROM unnest(p_lanes) AS u(id) ORDER BY u.id) u
  CROSS JOIN LATERAL (SELECT x.id FROM "crossdock".lane x WHERE x.id = u.id ORDER BY x.rev DESC LIMIT 1 FOR NO KEY UPDATE) l;
END $$;

-- Whether what is new in this lane may be leased at once: nothing else of it is due, and neither a rate nor a pause nor a circuit is to be
-- minded.
CREATE FUNCTION "crossdock".is_idle(l "crossdock".lane, p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT (l).state = 1 AND ((l).due_from > p_at OR (l).next_due_at = 'infinity') AND (l).rate_per_s IS NULL
    AND ((l).held_until IS NULL OR (l).held_until <= p_at) AND ((l).brake_open_until IS NULL OR (l).brake_open_until <= p_at);
$$;

-- Offers the head of each of these orders, and nothing else of it.
CREATE FUNCTION "crossdock".reoffer(p_lanes bigint[], p_orders bigint[]) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_heads uuid[];
BEGIN
  IF p_lanes IS NULL THEN RETURN; END IF;
  SELECT array_agg(h.delivery_id) INTO v_heads
  FROM (SELECT DISTINCT * FROM unnest(p_lanes, p_orders) AS u(lane_id, order_key)) t
  CROSS JOIN LATERAL (
    SELECT q.delivery_id FROM "crossdock".queue q
    WHERE q.lane_id = t.lane_id AND q.order_key = t.order_key ORDER BY q.seq, q.arrival LIMIT 1
  ) h;
  UPDATE "crossdock".queue q SET offered = false
  FROM (SELECT DISTINCT * FROM unnest(p_lanes, p_orders) AS u(lane_id, order_key)) t
  WHERE q.lane_id = t.lane_id AND q.order_key = t.order_key AND q.offered AND q.order_key IS NOT NULL
    AND q.delivery_id <> ALL (COALESCE(v_heads, '{}'));
  UPDATE "crossdock".queue q SET offered = true WHERE q.delivery_id = ANY (v_heads) AND NOT q.offered;
END $$;

-- When something of each of these lanes can be claimed. The caller has put nothing on offer that is due before `p_from`, and leased
-- nothing until a time before `p_until`; whoever does not say has all of it looked through. Lanes that a claim has served are noted as
-- such in the same breath, since each version of a lane costs an entry in each of its indexes: which, in their ids' order, whether a
-- replay came last, and what is left of their tokens.
CREATE FUNCTION "crossdock".schedule(
  p_lanes bigint[], p_at timestamptz, p_from timestamptz DEFAULT '-infinity', p_until timestamptz DEFAULT '-infinity',
  s_lanes bigint[] DEFAULT '{}', s_replayed boolean[] DEFAULT '{}', s_tokens float8[] DEFAULT '{}'
) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_cap int;
  v_replays int;
BEGIN
  SELECT m.max_in_flight, m.max_replays_in_flight INTO v_cap, v_replays FROM "crossdock".limits m;
  UPDATE "crossdock".lane l SET rev = l.rev + 1, next_due_at = n.at, due_from = n.due_from, lease_from = n.lease_from,
    served = CASE WHEN n.served THEN nextval('"crossdock".served') ELSE l.served END,
    replayed_last = CASE WHEN n.served THEN n.replayed_last ELSE l.replayed_last END,
    tokens = CASE WHEN n.served THEN n.tokens ELSE l.tokens END,
    tokens_at = CASE WHEN n.served AND n.tokens IS NOT NULL THEN GREATEST(l.tokens_at, p_at) ELSE l.tokens_at END
  FROM (
    SELECT b.id, b.rev, b.served_now AS served, s_replayed[b.place] AS replayed_last, s_tokens[b.place] AS tokens, COALESCE(GREATEST(
        LEAST(live.due_at, CASE WHEN replay.due_at IS NOT NULL THEN GREATEST(replay.due_at, replay_slot.at) END),
        -- Without work there is nothing to wait for.
        CASE WHEN live.due_at IS NOT NULL OR replay.due_at IS NOT NULL
          THEN GREATEST(slot.at, b.held_until, b.brake_open_until, b.token_at) ELSE 'infinity' END
      ), 'infinity') AS at,
      COALESCE(LEAST(live.due_at, replay.due_at), 'infinity') AS due_from, COALESCE(f.first, 'infinity') AS lease_from
    FROM (
      SELECT k.*, CASE WHEN k.tokens_now < 1
        THEN p_at + make_interval(secs => (1 - k.tokens_now) / k.rate_per_s) + interval '1 microsecond' END AS token_at
      FROM (
        SELECT l.*, LEAST(COALESCE(l.max_in_flight, v_cap), l.brake_limit) AS cap,
          CASE WHEN l.served_now THEN s_tokens[l.place]
            ELSE LEAST(l.burst, l.tokens + GREATEST(0, extract(epoch FROM p_at - l.tokens_at)::float8) * l.rate_per_s) END AS tokens_now,
          LEAST(l.due_from, p_from) AS due_start, LEAST(l.lease_from, p_until) AS lease_start
        FROM (
          SELECT l.*, COALESCE(s_lanes[l.place] = l.id, false) AS served_now
          FROM (SELECT l.*, width_bucket(l.id, s_lanes) AS place FROM "crossdock".lanes(p_lanes) l WHERE l.state = 1 OFFSET 0) l
        ) l
      ) k
    ) b
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE q.due_at > p_at) AS live, count(*) FILTER (WHERE q.due_at > p_at AND q.kind = 1) AS replays,
        min(q.due_at) AS first
      FROM "crossdock".queue q WHERE q.lane_id = b.id AND q.state = 1 AND q.due_at >= b.lease_start
    ) f
    LEFT JOIN LATERAL (
      SELECT q.due_at FROM "crossdock".queue q
      WHERE q.lane_id = b.id AND q.kind = 0 AND q.offered AND q.due_at >= b.due_start AND q.due_at < 'infinity'
      ORDER BY q.due_at LIMIT 1
    ) live ON true
    LEFT JOIN LATERAL (
      SELECT q.due_at FROM "crossdock".queue q
      WHERE q.lane_id = b.id AND q.kind = 1 AND q.offered AND q.due_at >= b.due_start AND q.due_at < 'infinity'
      ORDER BY q.due_at LIMIT 1
    ) replay ON true
    LEFT JOIN LATERAL (
      SELECT q.due_at AS at FROM "crossdock".queue q
      WHERE f.live >= b.cap AND q.lane_id = b.id AND q.state = 1 AND q.due_at > p_at AND q.due_at >= b.lease_start
      ORDER BY q.due_at OFFSET GREATEST(0, f.live - b.cap) LIMIT 1
    ) slot ON true
    LEFT JOIN LATERAL (
      SELECT q.due_at AS at FROM "crossdock".queue q
      WHERE f.replays >= v_replays AND q.lane_id = b.id AND q.state = 1 AND q.kind = 1 AND q.due_at > p_at
        AND q.due_at >= b.lease_start
      ORDER BY q.due_at OFFSET GREATEST(0, f.replays - v_replays) LIMIT 1
    ) replay_slot ON true
    UNION ALL
    SELECT l.id, l.rev, false, NULL, NULL, 'infinity', '-infinity', '-infinity' FROM "crossdock".lanes(p_lanes) l WHERE l.state <> 1
  ) n
  WHERE l.id = n.id AND l.rev = n.rev
    AND (n.served OR (l.next_due_at, l.due_from, l.lease_from) IS DISTINCT FROM (n.at, n.due_from, n.lease_from));
END $$;

CREATE FUNCTION "crossdock".kind_of(p_status text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE split_part(p_status, '.', 1)
    WHEN 'pending' THEN 0 WHEN 'delivered' THEN 1 WHEN 'dead_letter' THEN 2 WHEN 'skipped' THEN 3 ELSE 4 END::smallint;
$$;

-- Ends these deliveries, each with its status.
CREATE FUNCTION "crossdock".finish(p_ids uuid[], p_statuses text[], p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_lanes bigint[];
  v_orders bigint[];
BEGIN
  WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(p_ids, p_statuses) AS u(id, status)
  ), gone AS (
    DELETE FROM "crossdock".queue q USING wanted w WHERE q.delivery_id = w.id
    RETURNING q.delivery_id, q.lane_id, q.order_key, q.attempt, q.last_status, q.last_error, w.status
  ), ended AS (
    UPDATE "crossdock".delivery d
    SET kind = "crossdock".kind_of(g.status), status = g.status, attempts = g.attempt, updated_at = p_at, next_attempt_at = NULL,
      last_status = g.last_status, last_error = g.last_error
    FROM gone g WHERE d.id = g.delivery_id
  )
  SELECT array_agg(g.lane_id), array_agg(g.order_key) INTO v_lanes, v_orders FROM gone g WHERE g.order_key IS NOT NULL;
  PERFORM "crossdock".reoffer(v_lanes, v_orders);
END $$;

-- Ends what waits in a lane whose webhook is disabled or gone, unless somebody works on it. Of very much, only so much that nobody
-- waits for long; the rest is left to `expire`.
CREATE FUNCTION "crossdock".skip_refused(p_lane bigint, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_status text;
  v_ids uuid[];
BEGIN
  SELECT CASE l.state WHEN 0 THEN 'skipped.webhook_deleted' WHEN 3 THEN 'skipped.webhook_disabled' END INTO v_status
  FROM "crossdock".lanes(ARRAY[p_lane]) l;
  IF v_status IS NULL THEN RETURN; END IF;
  SELECT array_agg(q.delivery_id) INTO v_ids FROM (
    SELECT q.delivery_id FROM "crossdock".queue q WHERE q.lane_id = p_lane AND NOT (q.state = 1 AND q.due_at > p_at) LIMIT 5000
  ) q;
  IF v_ids IS NOT NULL THEN
    PERFORM "crossdock".finish(v_ids, array_fill(v_status, ARRAY[cardinality(v_ids)]), p_at);
  END IF;
END $$;

-- Disables a webhook as a save would; says whether it did.
CREATE FUNCTION "crossdock".disable(p_lane bigint, p_reason text, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_stamp bigint := "crossdock".new_stamp();
BEGIN
  UPDATE "crossdock".lane l SET state = 3, version = l.version + 1, stamp = v_stamp WHERE l.id = p_lane AND l.state IN (1, 2);
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE "crossdock".webhook w
  SET state = 3, version = l.version, stamp = v_stamp, disabled_reason = p_reason, disabled_at = p_at, updated_at = p_at
  FROM "crossdock".lane l WHERE l.id = p_lane AND w.tenant_id = l.tenant_id AND w.id = l.webhook_id;
  PERFORM "crossdock".skip_refused(p_lane, p_at);
  RETURN true;
END $$;
