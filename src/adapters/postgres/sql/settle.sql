-- Takes results: all that one batch says, in the order in which it says it. Fates: 1 delivered, 2 dead letter, 3 retry, 4 release,
-- 5 stop. Health: 0 nothing, 1 success, 2 failure, 3 first failure of a delivery. A judgement without a warning disables.
-- Entries of the log name the result that they belong to, or, by a negative number, the judgement.
-- A column that says nothing of any result may be empty.
-- Answers a row with a place for each result whose lease was lost, one with a negative place for each that has disabled its webhook
-- (judgements are counted behind the results), and one with a webhook for each whose health has moved.
CREATE FUNCTION "crossdock".settle(
  p_at timestamptz,
  s_tenants text[], s_webhooks uuid[], s_deliveries uuid[], s_tokens bigint[], s_versions bigint[],
  s_fates smallint[], s_due timestamptz[], s_statuses text[],
  a_ids uuid[], a_started timestamptz[], a_records text[], a_contents bytea[], a_codes int[], a_errors text[],
  s_health smallint[], s_pauses timestamptz[],
  b_seen bigint[], b_open timestamptz[], b_limits int[], b_openings int[], b_ramps timestamptz[],
  s_disables text[],
  j_tenants text[], j_webhooks uuid[], j_warned smallint[], j_disables text[],
  l_owners int[], l_ids uuid[], l_tenants text[], l_at timestamptz[], l_kinds text[], l_subjects text[], l_actors text[], l_records text[]
) RETURNS TABLE (
  place int, tenant_id text, webhook_id uuid,
  success_before timestamptz, failure_before timestamptz, failing_before timestamptz, failed_before bigint, warned_before smallint,
  success_after timestamptz, failure_after timestamptz, failing_after timestamptz, failed_after bigint, warned_after smallint
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_lanes bigint[];
  v_before "crossdock".lane[];
  -- Deliveries of which there are several results: hardly ever any.
  v_doubles uuid[];
  v_now "crossdock".lane[];
  -- The held lanes by their ids' order, and what results are judged by.
  v_ids bigint[];
  v_tenants text[];
  v_versions bigint[];
  v_states smallint[];
  v_revs bigint[];
  v_brakes bigint[];
  v_from timestamptz;
  v_count int := cardinality(s_deliveries);
  v_low int := 1;
  v_high int;
  v_applied int[];
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
  SELECT array_agg(l.id) INTO v_lanes FROM (
    SELECT q.lane_id AS id FROM "crossdock".queue q WHERE q.delivery_id = ANY (s_deliveries)
    UNION
    SELECT x.id FROM (SELECT DISTINCT * FROM unnest(s_tenants || j_tenants, s_webhooks || j_webhooks) AS u(tenant, webhook)) u
    CROSS JOIN LATERAL (
      SELECT x.id FROM "crossdock".lane x WHERE x.tenant_id = u.tenant COLLATE "C" AND x.webhook_id = u.webhook
      ORDER BY x.rev DESC LIMIT 1
    ) x
  ) l;
  PERFORM "crossdock".hold(v_lanes);

  SELECT COALESCE(array_agg(d.id), '{}') INTO v_doubles
  FROM (SELECT u.id FROM unnest(s_deliveries) AS u(id) GROUP BY u.id HAVING count(*) > 1) d;

  -- What comes behind a result that disables its webhook is judged as that one has left it.
  WHILE v_low <= v_count LOOP
    v_high := v_low;
    IF s_disables = '{}' THEN v_high := v_count; END IF;
    WHILE v_high < v_count AND s_disables[v_high] IS NULL LOOP v_high := v_high + 1; END LOOP;

    -- Once for all results: a lane's index is full of its old versions, which each look-up would go through.
    SELECT array_agg(l), array_agg(l.id), array_agg(l.tenant_id::text), array_agg(l.version), array_agg(l.state), array_agg(l.rev),
      array_agg(l.brake_version)
    INTO v_now, v_ids, v_tenants, v_versions, v_states, v_revs, v_brakes
    FROM (SELECT * FROM "crossdock".lanes(v_lanes) l ORDER BY l.id) l;
    v_before := COALESCE(v_before, v_now);

    WITH given AS MATERIALIZED (
      SELECT u.* FROM unnest(
        s_tenants, s_deliveries, s_tokens, s_versions, s_fates, s_due, s_statuses, a_ids, a_started, a_records, a_contents, a_codes,
        a_errors, s_health, s_pauses, b_seen, b_open, b_limits, b_openings, b_ramps
      ) WITH ORDINALITY AS u(
        tenant, delivery, token, version, fate, due, status, attempt, started, record, contents, code,
        error, health, pause, seen, open, brake_limit, openings, ramp, n
      ) WHERE u.n BETWEEN v_low AND v_high
    ), judged AS MATERIALIZED (
      SELECT g.*, q.delivery_id IS NOT NULL AS present, q.lane_id, q.order_key, q.event_id,
        v_versions[q.place] = g.version AND v_states[q.place] <> 0 AS counts, v_revs[q.place] AS rev, v_brakes[q.place] AS brake_version,
        CASE WHEN g.fate IN (1, 2) THEN g.status
          WHEN v_states[q.place] = 0 THEN 'skipped.webhook_deleted'
          WHEN v_states[q.place] = 3 THEN 'skipped.webhook_disabled'
          WHEN q.erased THEN 'skipped.erased' END AS final
      FROM given g
      LEFT JOIN LATERAL (
        SELECT q.* FROM (
          SELECT q.delivery_id, q.lane_id, q.order_key, q.event_id, q.erased, width_bucket(q.lane_id, v_ids) AS place
          FROM "crossdock".queue q WHERE q.delivery_id = g.delivery AND q.lease_token = g.token OFFSET 0
        ) q
        WHERE v_ids[q.place] = q.lane_id AND v_tenants[q.place] = g.tenant
      ) q ON true
    ), applied AS MATERIALIZED (
      -- Of several results with the same lease, the first one.
      SELECT j.* FROM judged j
      WHERE j.present AND (j.delivery <> ALL (v_doubles)
        OR NOT EXISTS (SELECT 1 FROM judged x WHERE x.present AND x.delivery = j.delivery AND x.n < j.n))
    ), ended AS (
      DELETE FROM "crossdock".queue q USING applied a WHERE q.delivery_id = a.delivery AND a.final IS NOT NULL
      RETURNING q.delivery_id, a.final, GREATEST(0, q.attempt - (a.fate = 4)::int) AS attempt,
        CASE WHEN a.attempt IS NULL THEN q.last_status ELSE a.code END AS code,
        CASE WHEN a.attempt IS NULL THEN q.last_error ELSE a.error END AS error
    ), listed AS (
      UPDATE "crossdock".delivery d
      SET kind = "crossdock".kind_of(e.final), status = e.final, attempts = e.attempt, updated_at = p_at, next_attempt_at = NULL,
        last_status = e.code, last_error = e.error
      FROM ended e WHERE d.id = e.delivery_id
    ), again AS (
      UPDATE "crossdock".queue q
      SET state = CASE WHEN a.fate = 5 THEN 2 ELSE 0 END, due_at = CASE WHEN a.fate = 5 THEN 'infinity' ELSE a.due END,
        lease_token = NULL, attempt = GREATEST(0, q.attempt - (a.fate = 4)::int), updated_at = p_at,
        last_status = CASE WHEN a.attempt IS NULL THEN q.last_status ELSE a.code END,
        last_error = CASE WHEN a.attempt IS NULL THEN q.last_error ELSE a.error END
      FROM applied a WHERE q.delivery_id = a.delivery AND a.final IS NULL
    ), stopped AS (
      UPDATE "crossdock".delivery d SET kind = 4, status = 'stopped'
      FROM applied a WHERE d.id = a.delivery AND a.final IS NULL AND a.fate = 5
    ), logged AS (
      INSERT INTO "crossdock".attempt (id, tenant_id, delivery_id, started_at, fenced, is_last, record, contents)
      SELECT a.attempt, a.tenant, a.delivery, a.started, false, a.final IS NOT NULL, a.record,
        CASE WHEN a.contents IS NOT NULL AND EXISTS (SELECT 1 FROM "crossdock".payload p WHERE p.event_id = a.event_id) THEN a.contents END
      FROM applied a
      -- Whoever could have written it holds the same lane. Asking first is cheaper than to be told of a conflict.
      WHERE a.attempt IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "crossdock".attempt x WHERE x.delivery_id = a.delivery AND x.id = a.attempt)
      ORDER BY a.n
    ), told AS (
      SELECT a.lane_id, max(a.n) FILTER (WHERE a.health = 1) AS last_success FROM applied a WHERE a.counts GROUP BY a.lane_id
    ), folded AS (
      SELECT a.lane_id,
        bool_or(a.health = 1) AS succeeded,
        bool_or(a.health >= 2) AS failed,
        bool_or(a.health >= 2 AND a.n > COALESCE(t.last_success, 0)) AS failing,
        count(*) FILTER (WHERE a.health = 3 AND a.n > COALESCE(t.last_success, 0)) AS failures,
        max(a.pause) AS pause,
        min(a.n) FILTER (WHERE a.seen = a.brake_version) AS braked,
        max(a.rev) AS rev
      FROM applied a JOIN told t ON t.lane_id = a.lane_id
      WHERE a.counts GROUP BY a.lane_id
    ), taken AS (
      UPDATE "crossdock".lane l
      SET rev = l.rev + 1, last_success_at = CASE WHEN f.succeeded THEN p_at ELSE l.last_success_at END,
        last_failure_at = CASE WHEN f.failed THEN p_at ELSE l.last_failure_at END,
        failing_since = CASE WHEN f.succeeded THEN CASE WHEN f.failing THEN p_at END WHEN f.failing THEN COALESCE(l.failing_since, p_at)
          ELSE l.failing_since END,
        failed_deliveries = CASE WHEN f.succeeded THEN 0 ELSE l.failed_deliveries END + f.failures,
        warned_percent = CASE WHEN f.succeeded THEN 0 ELSE l.warned_percent END,
        held_until = GREATEST(l.held_until, f.pause),
        brake_open_until = CASE WHEN f.braked IS NULL THEN l.brake_open_until ELSE b.open END,
        brake_limit = CASE WHEN f.braked IS NULL THEN l.brake_limit ELSE b.brake_limit END,
        brake_openings = CASE WHEN f.braked IS NULL THEN l.brake_openings ELSE b.openings END,
        brake_ramp_at = CASE WHEN f.braked IS NULL THEN l.brake_ramp_at ELSE b.ramp END,
        brake_version = l.brake_version + CASE WHEN f.braked IS NULL THEN 0 ELSE 1 END
      FROM folded f LEFT JOIN applied b ON b.n = f.braked
      WHERE l.id = f.lane_id AND l.rev = f.rev AND (f.succeeded OR f.failed OR f.pause IS NOT NULL OR f.braked IS NOT NULL)
      RETURNING l.id, f.succeeded OR f.failed AS moved
    )
    SELECT (SELECT array_agg(a.n::int) FROM applied a),
      (SELECT array_agg(a.lane_id ORDER BY a.n) FROM applied a WHERE a.order_key IS NOT NULL),
      (SELECT array_agg(a.order_key ORDER BY a.n) FROM applied a WHERE a.order_key IS NOT NULL),
      (SELECT array_agg(t.id) FROM taken t WHERE t.moved),
      (SELECT a.lane_id FROM applied a WHERE a.n = v_high AND a.counts)
    INTO v_applied, v_order_lanes, v_orders, v_more, v_lane;
    IF cardinality(COALESCE(v_applied, '{}')) <= v_high - v_low THEN
      -- What has lost its lease may have left the queue.
      INSERT INTO "crossdock".attempt (id, tenant_id, delivery_id, started_at, fenced, is_last, record, contents)
      SELECT u.attempt, d.tenant_id, u.delivery, u.started, true, false, u.record,
        CASE WHEN u.contents IS NOT NULL AND EXISTS (SELECT 1 FROM "crossdock".payload p WHERE p.event_id = d.event_id) THEN u.contents END
      FROM unnest(s_tenants, s_deliveries, a_ids, a_started, a_records, a_contents) WITH ORDINALITY
        AS u(tenant, delivery, attempt, started, record, contents, n)
      CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.event_id FROM "crossdock".delivery d WHERE d.id = u.delivery AND d.tenant_id = u.tenant COLLATE "C"
      ) d
      WHERE u.n BETWEEN v_low AND v_high AND u.n <> ALL (COALESCE(v_applied, '{}')) AND u.attempt IS NOT NULL ORDER BY u.n
      ON CONFLICT (delivery_id, id) DO NOTHING;
    END IF;
    PERFORM "crossdock".reoffer(v_order_lanes, v_orders);
    v_ordered := v_ordered OR v_orders IS NOT NULL;
    v_all := v_all || COALESCE(v_applied, '{}');
    v_moved := v_moved || COALESCE(v_more, '{}');
    IF s_disables[v_high] IS NOT NULL AND v_lane IS NOT NULL THEN
      IF "crossdock".disable(v_lane, s_disables[v_high], p_at) THEN v_disabled := v_disabled || v_high; END IF;
    END IF;
    v_low := v_high + 1;
  END LOOP;

  FOR i IN 1 .. cardinality(j_webhooks) LOOP
    IF j_warned[i] IS NULL THEN
      SELECT l.id INTO v_lane FROM "crossdock".lane l
      WHERE l.tenant_id = j_tenants[i] COLLATE "C" AND l.webhook_id = j_webhooks[i];
      v_done := v_lane IS NOT NULL AND "crossdock".disable(v_lane, j_disables[i], p_at);
      IF v_done THEN v_disabled := v_disabled || (v_count + i); END IF;
    ELSE
      UPDATE "crossdock".lane l SET warned_percent = j_warned[i]
      WHERE l.tenant_id = j_tenants[i] COLLATE "C" AND l.webhook_id = j_webhooks[i] AND l.state <> 0
        AND l.failing_since IS NOT NULL AND l.warned_percent < j_warned[i];
      v_done := FOUND;
    END IF;
    IF v_done THEN v_all := v_all || -i; END IF;
  END LOOP;

  INSERT INTO "crossdock".activity (tenant_id, id, at, kind, subject, actor, record)
  SELECT u.tenant, u.id, u.at, u.kind, u.subject, u.actor, u.record
  FROM unnest(l_owners, l_ids, l_tenants, l_at, l_kinds, l_subjects, l_actors, l_records)
    AS u(owner, id, tenant, at, kind, subject, actor, record)
  WHERE u.owner = ANY (v_all) AND (u.owner < 0 OR u.kind <> 'webhook.disabled' OR u.owner = ANY (v_disabled))
  ON CONFLICT DO NOTHING;
  -- A disabled webhook's lane is looked through anyway; of an order, something may be on offer that was not.
  v_from := CASE WHEN v_ordered OR v_disabled <> '{}' THEN '-infinity'::timestamptz
    ELSE COALESCE((SELECT min(u.due) FROM unnest(s_due) AS u(due)), 'infinity') END;
  PERFORM "crossdock".schedule(v_lanes, p_at, v_from, 'infinity');

  RETURN QUERY SELECT n, NULL::text, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint,
      NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::smallint
    FROM generate_series(1, v_count) AS n WHERE n <> ALL (v_all)
    UNION ALL
    SELECT -n, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest(v_disabled) AS n;
  RETURN QUERY SELECT NULL::int, a.tenant_id::text, a.webhook_id,
      b.last_success_at, b.last_failure_at, b.failing_since, b.failed_deliveries, b.warned_percent,
      a.last_success_at, a.last_failure_at, a.failing_since, a.failed_deliveries, a.warned_percent
    FROM unnest(v_before) AS b JOIN "crossdock".lanes(ARRAY(SELECT DISTINCT unnest(v_moved))) a ON a.id = b.id
    WHERE (b.failing_since IS NOT NULL OR a.failing_since IS NOT NULL);
END $$;
