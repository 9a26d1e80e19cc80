//! How the queue stands, for an operator.

use chrono::{DateTime, Utc};

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::rows::{Field, stored_time};
use crate::error::Result;
use crate::webhooks::queue::Examination;

impl PostgresStore {
    pub(super) async fn examination(&self, now: DateTime<Utc>) -> Result<Examination> {
        // An operator wants to know of a wrong version, not to be refused because of it.
        let mut session = self.unchecked_transaction(STEP).await?;
        let mut found = Examination::default();
        let version = self.version_in(&mut session).await?;
        found.vitals.insert("schema_version", version.into());
        let name = self.inner.schema.name();
        let statement = session.statement(self.sql(EXAMINE)).bind(stored_time(now)).bind(name);
        if let Some(row) = session.row(statement).await? {
            found.outbox = row.field::<i64>("outbox")?.unsigned_abs();
            found.oldest_in_outbox = row.field("oldest_in_outbox")?;
            found.oldest_due = row.field("oldest_due")?;
            found.live_leases = row.field::<i64>("live_leases")?.unsigned_abs();
            found.expired_leases_per_minute = row.field::<i64>("expired_leases")?.unsigned_abs();
            found.store_clock = row.field("store_clock")?;
            for name in ["default_partition_rows", "oldest_transaction_seconds", "dead_tuples"] {
                found.vitals.insert(name, row.field(name)?);
            }
        }
        session.end().await?;
        Ok(found)
    }
}

const STEP: &str = "examine the queue";
const EXAMINE: &str = r#"SELECT
    (SELECT count(*) FROM "crossdock".outbox) AS outbox,
    (SELECT e.published_at FROM "crossdock".outbox o JOIN "crossdock".event e ON e.id = o.event_id ORDER BY o.seq LIMIT 1)
        AS oldest_in_outbox,
    (SELECT min(d.due_at) FROM "crossdock".lane l CROSS JOIN (VALUES (0::smallint), (1::smallint)) k(kind) CROSS JOIN LATERAL (
        SELECT q.due_at FROM "crossdock".queue q
        WHERE q.lane_id = l.id AND q.kind = k.kind AND q.offered AND q.due_at <= $1 ORDER BY q.due_at LIMIT 1
    ) d) AS oldest_due,
    (SELECT count(*) FROM "crossdock".queue q WHERE q.state = 1 AND q.due_at > $1) AS live_leases,
    (SELECT count(*) FROM "crossdock".lapse p WHERE p.ended_at > $1 - interval '1 minute')
        + (SELECT count(*) FROM "crossdock".queue q
            WHERE q.state = 1 AND q.due_at <= $1 AND q.due_at > $1 - interval '1 minute') AS expired_leases,
    clock_timestamp() AS store_clock,
    -- Usually none; whoever has more than this many need not know how many.
    (SELECT count(*) FROM (
        (SELECT 1 FROM "crossdock".event_default LIMIT 100000) UNION ALL (SELECT 1 FROM "crossdock".payload_default LIMIT 100000)
        UNION ALL (SELECT 1 FROM "crossdock".delivery_default LIMIT 100000)
        UNION ALL (SELECT 1 FROM "crossdock".attempt_default LIMIT 100000)
    ) r) AS default_partition_rows,
    (SELECT COALESCE(max(extract(epoch FROM clock_timestamp() - a.xact_start)), 0)::bigint FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()) AS oldest_transaction_seconds,
    (SELECT COALESCE(sum(s.n_dead_tup), 0)::bigint FROM pg_stat_all_tables s WHERE s.schemaname = $2) AS dead_tuples"#;
