-- Saves a webhook, of which the caller knows that it may; `p_release` ends circuit and waiting.
CREATE FUNCTION "crossdock".put_webhook(
  p_at timestamptz, p_tenant text, p_id uuid, p_version bigint, p_state smallint, p_reason text, p_disabled_at timestamptz,
  p_updated_at timestamptz, p_record text, p_max_in_flight int, p_rate double precision, p_burst int, p_new boolean, p_release boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_stamp bigint := "crossdock".new_stamp();
  v_lane bigint;
BEGIN
  IF p_new THEN
    INSERT INTO "crossdock".webhook (tenant_id, id, version, stamp, state, disabled_reason, disabled_at, updated_at, record)
    VALUES (p_tenant, p_id, p_version, v_stamp, p_state, p_reason, p_disabled_at, p_updated_at, p_record);
  ELSE
    UPDATE "crossdock".webhook
    SET version = p_version, stamp = v_stamp, state = p_state, disabled_reason = p_reason, disabled_at = p_disabled_at,
      updated_at = p_updated_at, record = p_record
    WHERE tenant_id = p_tenant COLLATE "C" AND id = p_id;
  END IF;
  -- Whoever saves a webhook holds its row, so that there is one lane of this name: a unique index would have every version of it, and
  -- whoever looks a lane up might be led through all of them.
  UPDATE "crossdock".lane l SET rev = l.rev + 1,
    version = p_version, stamp = v_stamp, state = p_state, max_in_flight = p_max_in_flight, rate_per_s = p_rate, burst = p_burst,
    -- A new rate begins with a full bucket.
    tokens = CASE WHEN NOT p_new AND l.rate_per_s = p_rate AND l.burst = p_burst THEN l.tokens ELSE p_burst END,
    tokens_at = CASE WHEN NOT p_new AND l.rate_per_s = p_rate AND l.burst = p_burst THEN l.tokens_at
      WHEN p_rate IS NOT NULL THEN p_at END
  WHERE l.tenant_id = p_tenant COLLATE "C" AND l.webhook_id = p_id RETURNING l.id INTO v_lane;
  IF NOT FOUND THEN
    INSERT INTO "crossdock".lane (tenant_id, webhook_id, version, stamp, state, max_in_flight, rate_per_s, burst, tokens, tokens_at)
    VALUES (p_tenant, p_id, p_version, v_stamp, p_state, p_max_in_flight, p_rate, p_burst, p_burst, CASE WHEN p_rate IS NOT NULL THEN p_at END)
    RETURNING id INTO v_lane;
  END IF;
  IF p_release THEN PERFORM "crossdock".release(v_lane); END IF;
  PERFORM "crossdock".skip_refused(v_lane, p_at);
  PERFORM "crossdock".schedule(ARRAY[v_lane], p_at);
END $$;

-- Ends circuit and waiting, and forgives the failures so far; a circuit change that was made before this comes too late.
CREATE FUNCTION "crossdock".release(p_lane bigint) RETURNS void LANGUAGE sql AS $$
  UPDATE "crossdock".lane SET held_until = NULL, brake_open_until = NULL, brake_limit = NULL, brake_openings = 0, brake_ramp_at = NULL,
    brake_version = brake_version + 1, failing_since = NULL, failed_deliveries = 0, warned_percent = 0
  WHERE id = p_lane;
$$;

CREATE FUNCTION "crossdock".remove_webhook(p_at timestamptz, p_tenant text, p_id uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_lane bigint;
BEGIN
  DELETE FROM "crossdock".webhook WHERE tenant_id = p_tenant COLLATE "C" AND id = p_id;
  UPDATE "crossdock".lane SET state = 0, last_success_at = NULL, last_failure_at = NULL
  WHERE tenant_id = p_tenant COLLATE "C" AND webhook_id = p_id RETURNING id INTO v_lane;
  PERFORM "crossdock".release(v_lane);
  UPDATE "crossdock".replay SET state = 2, updated_at = p_at
  WHERE tenant_id = p_tenant COLLATE "C" AND webhook_id = p_id AND state = 0;
  PERFORM "crossdock".skip_refused(v_lane, p_at);
  PERFORM "crossdock".schedule(ARRAY[v_lane], p_at);
END $$;

-- Makes deliveries of the same events in the replay lane.
CREATE FUNCTION "crossdock".send_again(p_lane bigint, p_past uuid[], p_ids uuid[], p_origin text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  WITH made AS (
    INSERT INTO "crossdock".delivery (id, tenant_id, webhook_id, event_id, event_type, kind, status, origin, created_at, updated_at, next_attempt_at)
    SELECT u.id, d.tenant_id, d.webhook_id, d.event_id, d.event_type, 0, 'pending', p_origin, p_at, p_at, p_at
    FROM unnest(p_past, p_ids) AS u(past, id) JOIN "crossdock".delivery d ON d.id = u.past
  )
  INSERT INTO "crossdock".queue (delivery_id, lane_id, kind, offered, seq, due_at, event_id, created_at, updated_at)
  SELECT u.id, p_lane, 1, true, 0, p_at, d.event_id, p_at, p_at
  FROM unnest(p_past, p_ids) WITH ORDINALITY AS u(past, id, n) JOIN "crossdock".delivery d ON d.id = u.past ORDER BY u.n;
  PERFORM "crossdock".schedule(ARRAY[p_lane], p_at);
END $$;

-- Answers `made`, or why not.
CREATE FUNCTION "crossdock".resend(p_at timestamptz, p_tenant text, p_past uuid, p_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_event uuid;
  v_webhook uuid;
  v_lane bigint;
  v_state smallint;
  v_kept boolean;
BEGIN
  SELECT d.event_id, d.webhook_id INTO v_event, v_webhook FROM "crossdock".delivery d
  WHERE d.id = p_past AND d.tenant_id = p_tenant COLLATE "C";
  IF NOT FOUND THEN RETURN 'missing'; END IF;
  PERFORM 1 FROM "crossdock".payload p WHERE p.event_id = v_event FOR KEY SHARE;
  v_kept := FOUND;
  SELECT l.id, l.state INTO v_lane, v_state FROM "crossdock".lane l
  WHERE l.tenant_id = p_tenant COLLATE "C" AND l.webhook_id = v_webhook FOR NO KEY UPDATE;
  IF NOT FOUND OR v_state = 0 THEN RETURN 'missing'; END IF;
  IF v_state = 3 THEN RETURN 'disabled'; END IF;
  IF NOT v_kept THEN RETURN 'missing'; END IF;
  IF EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.id = p_id) THEN RETURN 'taken'; END IF;
  PERFORM "crossdock".send_again(v_lane, ARRAY[p_past], ARRAY[p_id], 'resend', p_at);
  RETURN 'made';
END $$;

-- Which deliveries a replay sends once more, oldest first.
CREATE FUNCTION "crossdock".replayed(
  p_tenant text, p_webhook uuid, p_from timestamptz, p_to timestamptz, p_kinds smallint[], p_types text[], p_behind uuid
) RETURNS TABLE (id uuid, event_id uuid) LANGUAGE sql STABLE AS $$
  SELECT d.id, d.event_id FROM "crossdock".delivery d
  WHERE d.tenant_id = p_tenant COLLATE "C" AND d.webhook_id = p_webhook AND d.origin = 'live'
    AND d.id > COALESCE(p_behind, '00000000-0000-0000-0000-000000000000')
    AND p_from <= d.created_at AND d.created_at < p_to
    -- An id is as old as its record, to within what two clocks may differ by: this much an index answers.
    AND d.id >= "crossdock".first_id(p_from - interval '1 day') AND d.id < "crossdock".first_id(p_to + interval '1 day')
    AND (p_kinds = '{}' OR d.kind = ANY (p_kinds)) AND (p_types = '{}' OR d.event_type = ANY (p_types))
    AND EXISTS (SELECT 1 FROM "crossdock".payload p WHERE p.event_id = d.event_id)
  ORDER BY d.id;
$$;

-- A row for each replay that has ended, and a last one that says how many were made and wanted.
CREATE FUNCTION "crossdock".advance_replays(p_at timestamptz, p_ids uuid[])
RETURNS TABLE (tenant_id text, webhook_id uuid, replay_id uuid, made bigint, wanted bigint)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_ids uuid[];
  v_replay record;
  v_past uuid[];
  v_events uuid[];
  v_kept uuid[];
  v_stop int;
  v_is_over boolean;
  v_count int;
  v_given int;
  v_most int;
  v_made bigint := 0;
  v_wanted bigint := 0;
BEGIN
  -- Lanes before replays, as a removal has it.
  PERFORM 1 FROM "crossdock".lane l
  WHERE l.id IN (
    SELECT x.id FROM "crossdock".replay r JOIN "crossdock".lane x ON x.tenant_id = r.tenant_id AND x.webhook_id = r.webhook_id
    WHERE r.state = 0 AND r.next_at <= p_at
  ) ORDER BY l.id FOR NO KEY UPDATE;
  SELECT COALESCE(array_agg(u.id ORDER BY u.n), '{}') INTO v_ids FROM unnest(p_ids) WITH ORDINALITY AS u(id, n)
  WHERE NOT EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.id = u.id);

  FOR v_replay IN
    SELECT r.*, l.id AS lane_id FROM "crossdock".replay r
    JOIN "crossdock".lane l ON l.tenant_id = r.tenant_id AND l.webhook_id = r.webhook_id AND l.state IN (1, 2)
    WHERE r.state = 0 AND r.next_at <= p_at ORDER BY r.next_at, r.id FOR UPDATE OF r
  LOOP
    v_most := GREATEST(1, v_replay.per_second);
    SELECT array_agg(x.id ORDER BY x.id), array_agg(x.event_id ORDER BY x.id) INTO v_past, v_events FROM (
      SELECT d.id, d.event_id FROM "crossdock".replayed(
        v_replay.tenant_id, v_replay.webhook_id, v_replay.from_at, v_replay.to_at, v_replay.kinds, v_replay.event_types, v_replay.position
      ) d ORDER BY d.id LIMIT v_most + 1
    ) x;
    SELECT COALESCE(array_agg(p.event_id), '{}') INTO v_kept FROM (
      SELECT p.event_id FROM "crossdock".payload p WHERE p.event_id = ANY (v_events) ORDER BY p.event_id FOR KEY SHARE SKIP LOCKED
    ) p;
    -- A payload that somebody is about to drop may stay after all, and waiting for it would be a deadlock: this goes as far as there,
    -- and on from there next time.
    SELECT min(u.n)::int INTO v_stop FROM unnest(v_events) WITH ORDINALITY AS u(id, n) WHERE u.id <> ALL (v_kept);
    v_count := COALESCE(v_stop - 1, cardinality(v_past), 0);
    v_given := LEAST(v_count, v_most, cardinality(v_ids));
    IF v_given > 0 THEN
      PERFORM "crossdock".send_again(v_replay.lane_id, v_past[1:v_given], v_ids[1:v_given], v_replay.origin, p_at);
      v_ids := v_ids[v_given + 1:];
    END IF;
    v_is_over := v_given = v_count AND v_stop IS NULL;
    v_made := v_made + v_given;
    v_wanted := v_wanted + LEAST(v_count, v_most) - v_given;
    UPDATE "crossdock".replay r
    SET made = r.made + v_given, position = CASE WHEN v_given > 0 THEN v_past[v_given] ELSE r.position END,
      -- As far as the rate has been used. Whoever got nothing stands before whoever did.
      next_at = CASE WHEN v_given > 0 THEN p_at + interval '1 second' * v_given / v_most ELSE r.next_at END,
      state = CASE WHEN v_is_over THEN 1 ELSE 0 END,
      updated_at = CASE WHEN v_given > 0 OR v_is_over THEN p_at ELSE r.updated_at END
    WHERE r.id = v_replay.id;
    IF v_is_over THEN
      RETURN QUERY SELECT v_replay.tenant_id::text, v_replay.webhook_id, v_replay.id, NULL::bigint, NULL::bigint;
    END IF;
  END LOOP;
  RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::uuid, v_made, v_wanted;
END $$;

CREATE FUNCTION "crossdock".release_stopped(p_at timestamptz, p_tenant text, p_webhook uuid, p_retry boolean) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_lane bigint;
  v_ids uuid[];
BEGIN
  SELECT l.id INTO v_lane FROM "crossdock".lane l
  WHERE l.tenant_id = p_tenant COLLATE "C" AND l.webhook_id = p_webhook AND l.state <> 0 FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT array_agg(q.delivery_id) INTO v_ids FROM "crossdock".queue q WHERE q.lane_id = v_lane AND q.state = 2;
  IF v_ids IS NULL THEN RETURN 0; END IF;
  IF p_retry THEN
    UPDATE "crossdock".queue SET state = 0, attempt = 0, due_at = p_at, updated_at = p_at WHERE delivery_id = ANY (v_ids);
    UPDATE "crossdock".delivery SET kind = 0, status = 'pending' WHERE id = ANY (v_ids);
  ELSE
    PERFORM "crossdock".finish(v_ids, array_fill('dead_letter.skipped_by_person'::text, ARRAY[cardinality(v_ids)]), p_at);
  END IF;
  PERFORM "crossdock".schedule(ARRAY[v_lane], p_at);
  RETURN cardinality(v_ids);
END $$;

CREATE FUNCTION "crossdock".erase_subject(p_at timestamptz, p_tenant text, p_subject text)
RETURNS TABLE (events bigint, skipped bigint)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_events uuid[];
  v_lanes bigint[];
  v_ids uuid[];
  v_gone bigint;
BEGIN
  -- Results that are taken without holding a lane are either there by now, or come after this.
  PERFORM pg_advisory_xact_lock('"crossdock".queue'::regclass::oid::int, hashtext(p_tenant));
  SELECT COALESCE(array_agg(e.id), '{}') INTO v_events FROM "crossdock".event e
  WHERE e.tenant_id = p_tenant COLLATE "C" AND e.subject = p_subject COLLATE "C";
  -- A fan-out either is done by now or will see this. In the order in which everybody locks them.
  PERFORM 1 FROM "crossdock".outbox o WHERE o.event_id = ANY (v_events) ORDER BY o.seq FOR UPDATE;
  UPDATE "crossdock".outbox o SET erased = true WHERE o.event_id = ANY (v_events);
  PERFORM 1 FROM "crossdock".payload p WHERE p.event_id = ANY (v_events) ORDER BY p.event_id FOR UPDATE;
  DELETE FROM "crossdock".payload p WHERE p.event_id = ANY (v_events);
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  SELECT array_agg(l.id) INTO v_lanes FROM (
    SELECT l.id FROM "crossdock".lane l
    WHERE l.id IN (
      SELECT x.id FROM "crossdock".delivery d JOIN "crossdock".lane x ON x.tenant_id = d.tenant_id AND x.webhook_id = d.webhook_id
      WHERE d.event_id = ANY (v_events)
    ) ORDER BY l.id FOR NO KEY UPDATE
  ) l;
  PERFORM "crossdock".forget_contents(v_events);
  UPDATE "crossdock".queue q SET erased = true
  FROM "crossdock".delivery d WHERE d.event_id = ANY (v_events) AND q.delivery_id = d.id;
  SELECT array_agg(q.delivery_id) INTO v_ids FROM "crossdock".delivery d JOIN "crossdock".queue q ON q.delivery_id = d.id
  WHERE d.event_id = ANY (v_events) AND NOT (q.state = 1 AND q.due_at > p_at);
  IF v_ids IS NOT NULL THEN
    PERFORM "crossdock".finish(v_ids, array_fill('skipped.erased'::text, ARRAY[cardinality(v_ids)]), p_at);
  END IF;
  PERFORM "crossdock".schedule(v_lanes, p_at);
  RETURN QUERY SELECT v_gone, COALESCE(cardinality(v_ids), 0)::bigint;
END $$;

-- Forgets what attempts have logged about these events.
CREATE FUNCTION "crossdock".forget_contents(p_events uuid[]) RETURNS void
LANGUAGE sql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
  UPDATE "crossdock".attempt a SET contents = NULL
  FROM "crossdock".delivery d WHERE d.event_id = ANY (p_events) AND a.delivery_id = d.id AND a.contents IS NOT NULL;
$$;
