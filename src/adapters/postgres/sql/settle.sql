-- Applies these results, at the places from the one to the other, but for some: to the queue, to what people list, and to the log of
-- attempts. Answers the places of those whose lease was the present one, and the orders that have lost their head.
--
-- Called early, before the lanes are held, it only ends what has gone well, and only while its lease lasts for longer than any statement
-- takes: till then nobody else touches it, but for those who set an order right.
CREATE FUNCTION "crossdock".apply(
  p_at timestamptz, p_early boolean, p_low int, p_high int, p_except int[], v_named bigint[], v_states smallint[], w_tenants text[],
  s_named int[], s_deliveries uuid[], s_tokens bigint[], s_fates smallint[], s_due timestamptz[], s_statuses text[],
  a_ids uuid[], a_started timestamptz[], a_records text[], a_contents bytea[], a_codes int[], a_errors text[],
  OUT places int[], OUT order_lanes bigint[], OUT orders bigint[]
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  WITH given AS MATERIALIZED (
    SELECT u.*, v_named[u.named] AS lane_id,
      CASE WHEN u.fate IN (1, 2) THEN u.status
        WHEN v_states[u.named] = 0 THEN 'skipped.webhook_deleted'
        WHEN v_states[u.named] = 3 THEN 'skipped.webhook_disabled' END AS final
    FROM unnest(
      s_named, s_deliveries, s_tokens, s_fates, s_due, s_statuses, a_ids, a_started, a_records, a_contents, a_codes, a_errors
    ) WITH ORDINALITY AS u(named, delivery, token, fate, due, status, attempt, started, record, contents, code, error, n)
    WHERE u.n BETWEEN p_low AND p_high AND u.n <> ALL (p_except) AND (NOT p_early OR u.fate = 1)
  ), ended AS (
    DELETE FROM "crossdock".queue q USING given g
    WHERE q.delivery_id = g.delivery AND q.lease_token = g.token AND q.lane_id = g.lane_id AND (g.final IS NOT NULL OR q.erased)
      AND (NOT p_early OR (q.due_at > p_at + interval '5 seconds' AND q.order_key IS NULL))
    RETURNING g.n, g.named, q.order_key, q.delivery_id, COALESCE(g.final, 'skipped.erased') AS final,
      GREATEST(0, q.attempt - (g.fate = 4)::int) AS attempts,
      CASE WHEN g.attempt IS NULL THEN q.last_status ELSE g.code END AS code,
      CASE WHEN g.attempt IS NULL THEN q.last_error ELSE g.error END AS error,
      -- What was erased has lost its payload; nothing else that is in the queue has.
      g.attempt, g.started, g.record, CASE WHEN NOT q.erased THEN g.contents END AS contents
  ), again AS (
    UPDATE "crossdock".queue q
    SET state = CASE WHEN g.fate = 5 THEN 2 ELSE 0 END, due_at = CASE WHEN g.fate = 5 THEN 'infinity' ELSE g.due END,
      lease_token = NULL, attempt = GREATEST(0, q.attempt - (g.fate = 4)::int), updated_at = p_at,
      last_status = CASE WHEN g.attempt IS NULL THEN q.last_status ELSE g.code END,
      last_error = CASE WHEN g.attempt IS NULL THEN q.last_error ELSE g.error END
    FROM given g
    WHERE g.final IS NULL AND q.delivery_id = g.delivery AND q.lease_token = g.token AND q.lane_id = g.lane_id AND NOT q.erased
    RETURNING g.n, g.named, q.order_key, q.delivery_id, g.fate, g.attempt, g.started, g.record, g.contents
  ), listed AS (
    UPDATE "crossdock".delivery d
    SET kind = "crossdock".kind_of(e.final), status = e.final, attempts = e.attempts, updated_at = p_at, next_attempt_at = NULL,
      last_status = e.code, last_error = e.error
    FROM ended e WHERE d.id = e.delivery_id
  ), stopped AS (
    UPDATE "crossdock".delivery d SET kind = 4, status = 'stopped' FROM again a WHERE a.fate = 5 AND d.id = a.delivery_id
  ), logged AS (
    INSERT INTO "crossdock".attempt (id, tenant_id, delivery_id, started_at, fenced, is_last, record, contents)
    SELECT a.attempt, w_tenants[a.named], a.delivery_id, a.started, false, a.is_last, a.record, a.contents
    FROM (
      SELECT e.n, e.named, e.delivery_id, e.attempt, e.started, true AS is_last, e.record, e.contents FROM ended e
      UNION ALL
      SELECT a.n, a.named, a.delivery_id, a.attempt, a.started, false, a.record, a.contents FROM again a
    ) a
    -- Whoever could have written it has held the same delivery. Asking first is cheaper than to be told of a conflict.
    WHERE a.attempt IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM "crossdock".attempt x WHERE x.delivery_id = a.delivery_id AND x.id = a.attempt)
  )
  SELECT COALESCE(array_agg(a.n), '{}'), array_agg(v_named[a.named] ORDER BY a.n) FILTER (WHERE a.order_key IS NOT NULL),
    array_agg(a.order_key ORDER BY a.n) FILTER (WHERE a.order_key IS NOT NULL)
  INTO places, order_lanes, orders
  FROM (
    SELECT e.n::int AS n, e.named, e.order_key FROM ended e UNION ALL SELECT a.n::int, a.named, a.order_key FROM again a
  ) a;
END $$;

-- Takes results: all that one batch says, in the order in which it says it. Fates: 1 delivered, 2 dead letter, 3 retry, 4 release,
-- 5 stop. Health: 0 nothing, 1 success, 2 failure, 3 first failure of a delivery. A judgement without a warning disables.
-- Webhooks are named once, and results and judgements say at which place theirs stands. Entries of the log name the result that they
-- belong to, or, by a negative number, the judgement. A column that says nothing of any result may be empty. `s_seconds` are the
-- results with a lease that an earlier one of the batch has had already.
-- Answers a row with a place for each result whose lease was lost, one with a negative place for each that has disabled its webhook
-- (judgements are counted behind the results), one with a webhook for each whose health has moved, and one with the place 0 and a time
-- before which nothing of these webhooks can be claimed, if that is known.
CREATE FUNCTION "crossdock".settle(
  p_at timestamptz, w_tenants text[], w_webhooks uuid[],
  s_named int[], s_deliveries uuid[], s_tokens bigint[], s_versions bigint[], s_seconds int[],
  s_fates smallint[], s_due timestamptz[], s_statuses text[],
  a_ids uuid[], a_started timestamptz[], a_records text[], a_contents bytea[], a_codes int[], a_errors text[],
  s_health smallint[], s_pauses timestamptz[],
  b_seen bigint[], b_open timestamptz[], b_limits int[], b_openings int[], b_ramps timestamptz[],
  s_disables text[],
  j_named int[], j_warned smallint[], j_disables text[],
  l_owners int[], l_ids uuid[], l_tenants text[], l_at timestamptz[], l_kinds text[], l_subjects text[], l_actors text[], l_records text[]
) RETURNS TABLE (
  place int, tenant_id text, webhook_id uuid,
  success_before timestamptz, failure_before timestamptz, failing_before timestamptz, failed_before bigint, warned_before smallint,
  success_after timestamptz, failure_after timestamptz, failing_after timestamptz, failed_after bigint, warned_after smallint
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  -- The lanes of the named webhooks, at the same places, and those that are there.
  v_named bigint[];
  v_lanes bigint[];
  v_before "crossdock".lane[];
  -- What results are judged by, at the same places.
  v_versions bigint[];
  v_states smallint[];
  v_revs bigint[];
  v_brakes bigint[];
  v_failing boolean;
  -- Lanes that do not know yet when something of them can be claimed, and when something can be of the others.
  v_waiting bigint[];
  v_next timestamptz;
  v_from timestamptz;
  v_count int := cardinality(s_deliveries);
  v_low int := 1;
  v_high int;
  -- The places of results that were applied: before the lanes were held, after that, and both.
  v_early int[] := '{}';
  v_late int[];
  v_applied int[];
  v_all_applied boolean;
  -- Whether there is anything to be said of a webhook that is well.
  v_rumoured boolean;
  v_all int[] := '{}';
  v_moved bigint[] := '{}';
  v_disabled int[] := '{}';
  v_more bigint[];
  v_order_lanes bigint[];
  v_orders bigint[];
  v_lane bigint;
  v_done boolean;
  v_ordered boolean := false;
  i int;
BEGIN
  SELECT array_agg(x.id ORDER BY u.n), array_agg(x.id) FILTER (WHERE x.id IS NOT NULL) INTO v_named, v_lanes
  FROM unnest(w_tenants, w_webhooks) WITH ORDINALITY AS u(tenant, webhook, n) LEFT JOIN LATERAL (
    SELECT x.id FROM "crossdock".lane x WHERE x.tenant_id = u.tenant COLLATE "C" AND x.webhook_id = u.webhook
    ORDER BY x.rev DESC LIMIT 1
  ) x ON true;
  -- Most of the work is done while others can claim. Only an erasure of the same tenant must not come in between.
  IF s_disables = '{}' AND 1 = ANY (s_fates) THEN
    PERFORM pg_advisory_xact_lock_shared('"crossdock".queue'::regclass::oid::int, t.key)
    FROM (SELECT DISTINCT hashtext(w.tenant) AS key FROM unnest(w_tenants) AS w(tenant) ORDER BY 1) t;
    SELECT a.places, a.order_lanes, a.orders INTO v_early, v_order_lanes, v_orders
    FROM "crossdock".apply(
      p_at, true, 1, v_count, s_seconds, v_named, '{}', w_tenants, s_named, s_deliveries, s_tokens, s_fates, s_due, s_statuses,
      a_ids, a_started, a_records, a_contents, a_codes, a_errors) a;
  END IF;
  PERFORM "crossdock".hold(v_lanes);
  v_from := COALESCE((SELECT min(u.due) FROM unnest(s_due) AS u(due)), 'infinity');

  -- What comes behind a result that disables its webhook is judged as that one has left it.
  WHILE v_low <= v_count LOOP
    v_high := v_low;
    IF s_disables = '{}' THEN v_high := v_count; END IF;
    WHILE v_high < v_count AND s_disables[v_high] IS NULL LOOP v_high := v_high + 1; END LOOP;

    -- Once for all results: a lane's index is full of its old versions, which each look-up would go through.
    SELECT array_agg(l.version ORDER BY u.n), array_agg(l.state ORDER BY u.n), array_agg(l.rev ORDER BY u.n),
      array_agg(l.brake_version ORDER BY u.n), bool_or(l.failing_since IS NOT NULL),
      bool_or(l.failing_since IS NOT NULL OR l.failed_deliveries > 0 OR l.warned_percent > 0
        OR COALESCE(l.last_success_at <= p_at - interval '1 second', true)),
      array_agg(l.id) FILTER (WHERE l.state <> 1 OR l.next_due_at > GREATEST(p_at, l.due_from) OR l.due_from > v_from),
      min(l.next_due_at) FILTER (WHERE l.state = 1)
    INTO v_versions, v_states, v_revs, v_brakes, v_failing, v_rumoured, v_waiting, v_next
    FROM unnest(v_named) WITH ORDINALITY AS u(id, n)
    LEFT JOIN LATERAL (SELECT x.* FROM "crossdock".lane x WHERE x.id = u.id ORDER BY x.rev DESC LIMIT 1) l ON true;
    IF v_before IS NULL AND (v_failing OR 2 = ANY (s_health) OR 3 = ANY (s_health)) THEN
      SELECT array_agg(l) INTO v_before FROM "crossdock".lanes(v_lanes) l;
    END IF;

    IF cardinality(v_early) < v_high - v_low + 1 THEN
      SELECT a.places, v_order_lanes || a.order_lanes, v_orders || a.orders INTO v_late, v_order_lanes, v_orders
      FROM "crossdock".apply(
        p_at, false, v_low, v_high, s_seconds || v_early, v_named, v_states, w_tenants, s_named, s_deliveries, s_tokens, s_fates, s_due,
        s_statuses, a_ids, a_started, a_records, a_contents, a_codes, a_errors) a;
    END IF;
    v_applied := v_early || COALESCE(v_late, '{}');
    v_all_applied := cardinality(v_applied) > v_high - v_low;
    v_more := NULL;
    v_lane := NULL;
    -- That all goes on well is not written down every time.
    IF v_rumoured OR 2 = ANY (s_health) OR 3 = ANY (s_health) OR s_pauses <> '{}' OR b_seen <> '{}' OR s_disables <> '{}' THEN
      WITH applied AS (
        SELECT u.n::int AS n, u.named, u.version, u.health, u.pause, u.seen
        FROM unnest(s_named, s_versions, s_health, s_pauses, b_seen) WITH ORDINALITY AS u(named, version, health, pause, seen, n)
        WHERE u.n BETWEEN v_low AND v_high AND (v_all_applied OR u.n = ANY (v_applied))
          AND v_versions[u.named] = u.version AND v_states[u.named] <> 0
      ), folded AS (
        SELECT a.named, max(a.n) FILTER (WHERE a.health = 1) AS last_success, max(a.n) FILTER (WHERE a.health >= 2) AS last_failure,
          array_agg(a.n) FILTER (WHERE a.health = 3) AS firsts, max(a.pause) AS pause,
          min(a.n) FILTER (WHERE a.seen = v_brakes[a.named]) AS braked
        FROM applied a GROUP BY a.named
      ), taken AS (
        UPDATE "crossdock".lane l
        SET rev = l.rev + 1, last_success_at = CASE WHEN f.succeeded THEN p_at ELSE l.last_success_at END,
          last_failure_at = CASE WHEN f.failed THEN p_at ELSE l.last_failure_at END,
          failing_since = CASE WHEN f.succeeded THEN CASE WHEN f.failing THEN p_at END WHEN f.failing THEN COALESCE(l.failing_since, p_at)
            ELSE l.failing_since END,
          failed_deliveries = CASE WHEN f.succeeded THEN 0 ELSE l.failed_deliveries END + f.failures,
          warned_percent = CASE WHEN f.succeeded THEN 0 ELSE l.warned_percent END,
          held_until = GREATEST(l.held_until, f.pause),
          brake_open_until = CASE WHEN f.braked IS NULL THEN l.brake_open_until ELSE b_open[f.braked] END,
          brake_limit = CASE WHEN f.braked IS NULL THEN l.brake_limit ELSE b_limits[f.braked] END,
          brake_openings = CASE WHEN f.braked IS NULL THEN l.brake_openings ELSE b_openings[f.braked] END,
          brake_ramp_at = CASE WHEN f.braked IS NULL THEN l.brake_ramp_at ELSE b_ramps[f.braked] END,
          brake_version = l.brake_version + CASE WHEN f.braked IS NULL THEN 0 ELSE 1 END
        FROM (
          SELECT f.named, f.pause, f.braked, f.last_success IS NOT NULL AS succeeded, f.last_failure IS NOT NULL AS failed,
            COALESCE(f.last_failure > COALESCE(f.last_success, 0), false) AS failing,
            (SELECT count(*) FROM unnest(f.firsts) AS x(n) WHERE x.n > COALESCE(f.last_success, 0)) AS failures
          FROM folded f
        ) f
        WHERE l.id = v_named[f.named] AND l.rev = v_revs[f.named] AND (f.succeeded OR f.failed OR f.pause IS NOT NULL OR f.braked IS NOT NULL)
        RETURNING l.id, f.succeeded OR f.failed AS moved
      )
      SELECT (SELECT array_agg(t.id) FROM taken t WHERE t.moved), (SELECT v_named[a.named] FROM applied a WHERE a.n = v_high)
      INTO v_more, v_lane;
    END IF;
    IF NOT v_all_applied THEN
      -- What has lost its lease may have left the queue.
      INSERT INTO "crossdock".attempt (id, tenant_id, delivery_id, started_at, fenced, is_last, record, contents)
      SELECT u.attempt, d.tenant_id, u.delivery, u.started, true, false, u.record,
        CASE WHEN u.contents IS NOT NULL AND EXISTS (SELECT 1 FROM "crossdock".payload p WHERE p.event_id = d.event_id) THEN u.contents END
      FROM unnest(s_named, s_deliveries, a_ids, a_started, a_records, a_contents) WITH ORDINALITY
        AS u(named, delivery, attempt, started, record, contents, n)
      CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.event_id FROM "crossdock".delivery d WHERE d.id = u.delivery AND d.tenant_id = w_tenants[u.named] COLLATE "C"
      ) d
      WHERE u.n BETWEEN v_low AND v_high AND u.n <> ALL (v_applied) AND u.attempt IS NOT NULL ORDER BY u.n
      ON CONFLICT (delivery_id, id) DO NOTHING;
    END IF;
    IF v_orders IS NOT NULL THEN
      PERFORM "crossdock".reoffer(v_order_lanes, v_orders);
      v_ordered := true;
      v_order_lanes := NULL;
      v_orders := NULL;
    END IF;
    v_all := v_all || v_applied;
    v_moved := v_moved || COALESCE(v_more, '{}');
    IF s_disables[v_high] IS NOT NULL AND v_lane IS NOT NULL THEN
      IF "crossdock".disable(v_lane, s_disables[v_high], p_at) THEN v_disabled := v_disabled || v_high; END IF;
    END IF;
    v_low := v_high + 1;
  END LOOP;
  IF cardinality(v_all) < v_count THEN
    RETURN QUERY SELECT n, NULL::text, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint,
      NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint
    FROM generate_series(1, v_count) AS n WHERE n <> ALL (v_all);
  END IF;

  FOR i IN 1 .. cardinality(j_named) LOOP
    IF j_warned[i] IS NULL THEN
      v_lane := v_named[j_named[i]];
      v_done := v_lane IS NOT NULL AND "crossdock".disable(v_lane, j_disables[i], p_at);
      IF v_done THEN v_disabled := v_disabled || (v_count + i); END IF;
    ELSE
      UPDATE "crossdock".lane l SET warned_percent = j_warned[i]
      WHERE l.id = v_named[j_named[i]] AND l.state <> 0 AND l.failing_since IS NOT NULL AND l.warned_percent < j_warned[i];
      v_done := FOUND;
    END IF;
    IF v_done THEN v_all := v_all || -i; END IF;
  END LOOP;

  IF l_owners <> '{}' THEN
    INSERT INTO "crossdock".activity (tenant_id, id, at, kind, subject, actor, record)
    SELECT u.tenant, u.id, u.at, u.kind, u.subject, u.actor, u.record
    FROM unnest(l_owners, l_ids, l_tenants, l_at, l_kinds, l_subjects, l_actors, l_records)
      AS u(owner, id, tenant, at, kind, subject, actor, record)
    WHERE u.owner = ANY (v_all) AND (u.owner < 0 OR u.kind <> 'webhook.disabled' OR u.owner = ANY (v_disabled))
    ON CONFLICT DO NOTHING;
  END IF;
  IF v_ordered OR v_disabled <> '{}' THEN
    -- A disabled webhook's lane is looked through anyway; of an order, something may be on offer that was not.
    PERFORM "crossdock".schedule(v_lanes, p_at, '-infinity', 'infinity');
  ELSIF s_pauses <> '{}' OR b_seen <> '{}' THEN
    PERFORM "crossdock".schedule(v_lanes, p_at, v_from, 'infinity');
  ELSE
    -- Whatever can be claimed already can still be. Where nothing waits but for its own time, no slot that was freed matters: what stands
    -- there is the end of a lease that may be over, and whoever looks then will put it right.
    IF v_waiting IS NOT NULL THEN
      PERFORM "crossdock".schedule(v_waiting, p_at, v_from, 'infinity');
      v_next := LEAST(v_next, (SELECT min(l.next_due_at) FROM "crossdock".lanes(v_waiting) l WHERE l.state = 1));
    END IF;
    RETURN QUERY SELECT 0, NULL::text, NULL::uuid, LEAST(v_next, '9999-12-31'), NULL::timestamptz, NULL::timestamptz, NULL::bigint,
      NULL::smallint, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint WHERE v_count > 0;
  END IF;

  IF v_disabled <> '{}' THEN
    RETURN QUERY SELECT -n, NULL::text, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint,
      NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint FROM unnest(v_disabled) AS n;
  END IF;
  IF v_before IS NOT NULL THEN
    RETURN QUERY SELECT NULL::int, a.tenant_id::text, a.webhook_id,
        b.last_success_at, b.last_failure_at, b.failing_since, b.failed_deliveries, b.warned_percent,
        a.last_success_at, a.last_failure_at, a.failing_since, a.failed_deliveries, a.warned_percent
      FROM unnest(v_before) AS b JOIN "crossdock".lanes(ARRAY(SELECT DISTINCT unnest(v_moved))) a ON a.id = b.id
      WHERE (b.failing_since IS NOT NULL OR a.failing_since IS NOT NULL);
  END IF;
END $$;
