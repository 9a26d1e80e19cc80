-- A second line on the management paths: they say whose rows they want, and see no others. The engine, which works for all, says
-- nothing.
CREATE OR REPLACE FUNCTION "crossdock".is_visible(p_tenant text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT COALESCE(current_setting('crossdock.tenant', true), '') IN ('', p_tenant);
$$;
DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['tenant_defaults', 'webhook', 'lane', 'event', 'payload', 'idempotency', 'outbox', 'delivery',
    'attempt', 'replay', 'activity', 'activity_chain', 'api_key', 'api_key_uses', 'api_key_day',
    'source', 'received'] LOOP
    EXECUTE format('ALTER TABLE "crossdock".%I ENABLE ROW LEVEL SECURITY', v_table);
    EXECUTE format('ALTER TABLE "crossdock".%I FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format('DROP POLICY IF EXISTS of_tenant ON "crossdock".%I', v_table);
    EXECUTE format('CREATE POLICY of_tenant ON "crossdock".%I USING ("crossdock".is_visible(tenant_id))', v_table);
  END LOOP;
END $$;
