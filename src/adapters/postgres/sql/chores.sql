-- What has waited for too long and is not being worked on, oldest first. An id is as old as its record, to within what two clocks may
-- differ by: this much an index answers, and what it passes over ends an hour later.
CREATE FUNCTION "crossdock".overdue(p_before timestamptz, p_at timestamptz, p_most int) RETURNS TABLE (delivery_id uuid, lane_id bigint)
LANGUAGE sql STABLE SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
  SELECT q.delivery_id, q.lane_id FROM "crossdock".queue q
  WHERE q.delivery_id < "crossdock".first_id(p_before + interval '1 hour') AND q.created_at < p_before
    AND NOT (q.state = 1 AND q.due_at > p_at)
  ORDER BY q.delivery_id LIMIT p_most;
$$;

-- Ends what has waited for too long as dead letters, and what cannot wait as skipped; answers the dead letters, and in a row of its
-- own how many were skipped.
CREATE FUNCTION "crossdock".expire(p_before timestamptz, p_at timestamptz, p_most int)
RETURNS TABLE (tenant_id text, webhook_id uuid, delivery_id uuid, skipped bigint)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_lanes bigint[];
  v_ids uuid[];
  v_statuses text[];
  v_skipped bigint := 0;
BEGIN
  SELECT array_agg(l.id) INTO v_lanes FROM (
    SELECT l.id FROM "crossdock".lane l
    WHERE EXISTS (
        SELECT 1 FROM "crossdock".queue q
        WHERE q.lane_id = l.id AND q.state = 1 AND q.due_at >= l.lease_from AND q.due_at <= p_at AND q.erased)
      OR l.state IN (0, 3) AND EXISTS (
        SELECT 1 FROM "crossdock".queue q WHERE q.lane_id = l.id AND NOT (q.state = 1 AND q.due_at > p_at))
      OR l.id IN (SELECT o.lane_id FROM "crossdock".overdue(p_before, p_at, p_most) o)
    ORDER BY l.id LIMIT p_most FOR NO KEY UPDATE
  ) l;
  IF v_lanes IS NULL THEN RETURN; END IF;

  SELECT array_agg(x.delivery_id), array_agg(x.status) INTO v_ids, v_statuses FROM (
    SELECT q.delivery_id,
      CASE l.state WHEN 0 THEN 'skipped.webhook_deleted' WHEN 3 THEN 'skipped.webhook_disabled' ELSE 'skipped.erased' END AS status
    FROM "crossdock".lane l JOIN "crossdock".queue q ON q.lane_id = l.id
    WHERE l.id = ANY (v_lanes) AND (
      q.state = 1 AND q.due_at <= p_at AND q.erased OR l.state IN (0, 3) AND NOT (q.state = 1 AND q.due_at > p_at)
    ) LIMIT p_most
  ) x;
  IF v_ids IS NOT NULL THEN
    PERFORM "crossdock".finish(v_ids, v_statuses, p_at);
    v_skipped := cardinality(v_ids);
  END IF;

  SELECT array_agg(o.delivery_id) INTO v_ids FROM "crossdock".overdue(p_before, p_at, (p_most - v_skipped)::int) o
  WHERE o.lane_id = ANY (v_lanes);
  IF v_ids IS NOT NULL THEN
    PERFORM "crossdock".finish(v_ids, array_fill('dead_letter.expired'::text, ARRAY[cardinality(v_ids)]), p_at);
  END IF;
  PERFORM "crossdock".schedule(v_lanes, p_at);
  RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::uuid, v_skipped;
  RETURN QUERY SELECT d.tenant_id::text, d.webhook_id, d.id, NULL::bigint FROM unnest(v_ids) AS u(id) JOIN "crossdock".delivery d ON d.id = u.id;
END $$;

-- Drops what is past its retention, a bounded amount at a time; answers how many rows went. Nothing undelivered goes. One at a
-- time: whoever comes second goes away again.
CREATE FUNCTION "crossdock".tidy(p_payloads timestamptz, p_history timestamptz, p_keys timestamptz, p_at timestamptz, p_most int)
RETURNS bigint
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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
    -- Those with a place in a chain go by `cut_chains`.
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
      AND NOT EXISTS (
        SELECT 1 FROM "crossdock".delivery d JOIN "crossdock".queue q ON q.delivery_id = d.id WHERE d.event_id = p.event_id)
    ORDER BY p.event_id LIMIT p_most FOR UPDATE OF p SKIP LOCKED
  ) x;
  IF v_ids IS NOT NULL THEN
    SELECT array_agg(u.id) INTO v_ids FROM unnest(v_ids) AS u(id)
    WHERE NOT EXISTS (
      SELECT 1 FROM "crossdock".delivery d JOIN "crossdock".queue q ON q.delivery_id = d.id WHERE d.event_id = u.id);
    DELETE FROM "crossdock".payload p USING unnest(v_ids) AS u(id) WHERE p.event_id = u.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_gone := v_gone + v_count;
    PERFORM "crossdock".forget_contents(v_ids);
  END IF;
  RETURN v_gone;
END $$;

-- Makes a partition ahead, or else drops one that is past its retention, but never one that something undelivered still needs; answers
-- about how many rows went with it, NULL if there was nothing to make or drop. One at a time: each locks a whole table until its
-- transaction ends. Whatever is locked at the moment has its turn next time. Without the right to do any of this, everything lies in
-- the default partitions and goes row by row.
CREATE FUNCTION "crossdock".keep_partitions(p_at timestamptz, p_ahead int, p_payloads timestamptz, p_history timestamptz)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_table text;
  v_name text;
  v_day timestamptz;
  v_low uuid;
  v_high uuid;
  v_needed boolean;
  v_question text;
  v_rows bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('crossdock partitions "crossdock".', 0)) THEN RETURN NULL; END IF;
  PERFORM set_config('lock_timeout', '500ms', true);
  FOREACH v_table IN ARRAY ARRAY['event', 'payload', 'delivery', 'attempt'] LOOP
    FOR i IN 0 .. p_ahead LOOP
      v_day := date_trunc('day', p_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + i * interval '1 day';
      v_name := v_table || '_' || to_char(v_day AT TIME ZONE 'UTC', 'YYYYMMDD');
      CONTINUE WHEN to_regclass('"crossdock".' || v_name) IS NOT NULL;
      v_low := "crossdock".first_id(v_day);
      v_high := "crossdock".first_id(v_day + interval '1 day');
      BEGIN
        -- What already lies in the default partition for this day stays there, and goes row by row. Asked beforehand, because
        -- ATTACH finds out by reading all of it behind a lock.
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM "crossdock".%1$I x WHERE x.%2$I >= $1 AND x.%2$I < $2)', v_table || '_default',
          CASE v_table WHEN 'payload' THEN 'event_id' ELSE 'id' END) INTO v_needed USING v_low, v_high;
        CONTINUE WHEN v_needed;
        EXECUTE format('CREATE TABLE "crossdock".%I (LIKE "crossdock".%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)',
          v_name, v_table);
        -- Each row is written twice, and the second time onto its own page.
        IF v_table = 'delivery' THEN EXECUTE format('ALTER TABLE "crossdock".%I SET (fillfactor = 50)', v_name); END IF;
        EXECUTE format('ALTER TABLE "crossdock".%I ATTACH PARTITION "crossdock".%I FOR VALUES FROM (%L) TO (%L)',
          v_table, v_name, v_low, v_high);
        -- One by one: it locks the default partition, and whoever reads two tables would wait for one of us while we wait for them.
        RETURN 0;
      EXCEPTION WHEN check_violation OR lock_not_available OR deadlock_detected OR duplicate_table OR insufficient_privilege THEN NULL;
      END;
    END LOOP;
  END LOOP;

  -- Deliveries before the events that they are of.
  FOREACH v_table IN ARRAY ARRAY['delivery', 'attempt', 'payload', 'event'] LOOP
    FOR v_name IN
      SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = ('"crossdock".' || v_table)::regclass AND c.relname ~ ('^' || v_table || '_[0-9]{8}$')
      ORDER BY c.relname
    LOOP
      v_day := to_date(right(v_name, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC';
      -- A record may be a little younger than its id.
      EXIT WHEN v_day + interval '2 days' > CASE WHEN v_table = 'payload' THEN GREATEST(p_payloads, p_history) ELSE p_history END;
      v_low := "crossdock".first_id(v_day);
      v_high := "crossdock".first_id(v_day + CASE v_table WHEN 'attempt' THEN interval '2 days' ELSE interval '1 day' END);
      v_question := CASE v_table
        -- An attempt is not older than its delivery, but for clocks that differ: without any this old, nobody asks for it.
        WHEN 'attempt' THEN 'SELECT EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.id < $2)'
        WHEN 'delivery' THEN 'SELECT EXISTS (SELECT 1 FROM "crossdock".queue q WHERE q.delivery_id >= $1 AND q.delivery_id < $2)'
        -- While a delivery is listed, its payload goes row by row, together with what attempts have logged.
        WHEN 'payload' THEN format('SELECT EXISTS (SELECT 1 FROM "crossdock".%I) AND (
          EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.event_id >= $1 AND d.event_id < $2)
          OR EXISTS (SELECT 1 FROM "crossdock".outbox o WHERE o.event_id >= $1 AND o.event_id < $2))', v_name)
        ELSE 'SELECT EXISTS (SELECT 1 FROM "crossdock".outbox o WHERE o.event_id >= $1 AND o.event_id < $2)
          OR EXISTS (SELECT 1 FROM "crossdock".delivery d WHERE d.event_id >= $1 AND d.event_id < $2)' END;
      BEGIN
        EXECUTE v_question INTO v_needed USING v_low, v_high;
        CONTINUE WHEN v_needed;
        -- Asked once more behind the lock: from then on, nobody adds what would need it.
        EXECUTE format('LOCK TABLE "crossdock".%I IN ACCESS EXCLUSIVE MODE', v_name);
        EXECUTE v_question INTO v_needed USING v_low, v_high;
        CONTINUE WHEN v_needed;
        SELECT GREATEST(0, c.reltuples)::bigint INTO v_rows FROM pg_class c WHERE c.oid = ('"crossdock".' || v_name)::regclass;
        EXECUTE format('DROP TABLE "crossdock".%I', v_name);
        RETURN v_rows;
      EXCEPTION WHEN lock_not_available OR deadlock_detected OR insufficient_privilege THEN NULL;
      END;
    END LOOP;
  END LOOP;
  RETURN NULL;
END $$;
