//! What nobody waits for: replays, expiry, retention, partitions.

use chrono::{DateTime, Utc};

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::rows::{Field, earlier, stored_time};
use crate::error::Result;
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::webhooks::queue::{Advanced, Expired, Retention};

impl PostgresStore {
    pub(super) async fn expire_old(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Expired> {
        let mut session = self.one_statement(EXPIRE_STEP).await?;
        let statement = session
            .statement(self.sql(EXPIRE))
            .bind(stored_time(before))
            .bind(stored_time(now))
            .bind(i32::try_from(limit).unwrap_or(i32::MAX));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let mut expired = Expired::default();
        for row in rows {
            if let Some(skipped) = row.field::<Option<i64>>("skipped")? {
                expired.skipped = skipped.unsigned_abs();
                continue;
            }
            let webhook = WebhookId::from_uuid(row.field("webhook_id")?);
            let delivery = DeliveryId::from_uuid(row.field("delivery_id")?);
            expired.deliveries.push((row.tenant("tenant_id")?, webhook, delivery));
        }
        Ok(expired)
    }

    pub(super) async fn advance(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        let ids: Vec<_> = ids.iter().map(DeliveryId::as_uuid).collect();
        let mut session = self.one_statement(ADVANCE_STEP).await?;
        let statement = session.statement(self.sql(ADVANCE)).bind(stored_time(now)).bind(ids);
        let rows = session.rows(statement).await?;
        session.end().await?;
        let mut advanced = Advanced::default();
        for row in rows {
            match row.field::<Option<_>>("replay_id")? {
                Some(id) => {
                    let webhook = WebhookId::from_uuid(row.field("webhook_id")?);
                    advanced.completed.push((row.tenant("tenant_id")?, webhook, ReplayId::from_uuid(id)));
                }
                None => {
                    advanced.made = row.field::<i64>("made")?.unsigned_abs();
                    advanced.wanted = row.field::<i64>("wanted")?.unsigned_abs();
                }
            }
        }
        Ok(advanced)
    }

    pub(super) async fn tidy_up(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        let (payloads, history) = (earlier(now, retention.payloads), earlier(now, retention.history));
        let keys = earlier(now, retention.idempotency_keys);
        // Rows first: they are not held back by partitions that cannot be made or dropped.
        let mut session = self.transaction(TIDY_STEP).await?;
        let rows = session
            .statement(self.sql(TIDY))
            .bind(payloads)
            .bind(history)
            .bind(keys)
            .bind(stored_time(now))
            .bind(AT_ONCE);
        let gone = session.row(rows).await?;
        session.end().await?;
        let mut count = gone.map_or(Ok(0), |row| row.field::<i64>("gone"))?.unsigned_abs();
        // In a transaction of its own: who changes something waits for whoever holds the tenant's chain.
        let mut session = self.transaction(TIDY_STEP).await?;
        let chains = session.statement(self.sql(CUT_CHAINS)).bind(history).bind(AT_ONCE);
        let gone = session.row(chains).await?;
        session.end().await?;
        count += gone.map_or(Ok(0), |row| row.field::<i64>("gone"))?.unsigned_abs();
        for _ in 0..DROPS_AT_ONCE {
            match self.keep_partitions(payloads, history, now).await? {
                Some(gone) => count += gone,
                None => break,
            }
        }
        Ok(count)
    }

    /// Makes partitions ahead and drops one; answers how many rows went with it. A transaction for each, because a drop locks the
    /// whole table.
    async fn keep_partitions(
        &self,
        payloads: DateTime<Utc>,
        history: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<u64>> {
        let mut session = self.transaction(TIDY_STEP).await?;
        let statement = session
            .statement(self.sql(PARTITIONS))
            .bind(stored_time(now))
            .bind(DAYS_AHEAD)
            .bind(payloads)
            .bind(history);
        let row = session.row(statement).await?;
        session.end().await?;
        let gone = row.map(|row| row.field::<Option<i64>>("gone")).transpose()?.flatten();
        Ok(gone.map(i64::unsigned_abs))
    }
}

const EXPIRE_STEP: &str = "end what has waited for too long";
const ADVANCE_STEP: &str = "advance replays";
const TIDY_STEP: &str = "drop what is past its retention";
/// Chores may rest for a weekend before a day has no partition of its own.
const DAYS_AHEAD: i32 = 3;
/// A day has four. What is left goes with the next round.
const DROPS_AT_ONCE: usize = 64;
/// More rows than this would hold locks for long; the rest goes with the next round.
const AT_ONCE: i32 = 10_000;
const EXPIRE: &str = r#"SELECT e.* FROM "crossdock".expire($1, $2, $3) AS e"#;
const ADVANCE: &str = r#"SELECT a.* FROM "crossdock".advance_replays($1, $2) AS a"#;
const PARTITIONS: &str = r#"SELECT "crossdock".keep_partitions($1, $2, $3, $4) AS gone"#;
const TIDY: &str = r#"SELECT "crossdock".tidy($1, $2, $3, $4, $5) AS gone"#;
const CUT_CHAINS: &str = r#"SELECT "crossdock".cut_chains($1, $2) AS gone"#;
