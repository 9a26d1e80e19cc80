//! The engine's port: each method is one step of the writer or of a reader.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::adapters::sqlite::SqliteStore;
use crate::adapters::sqlite::claim::{self, Leased, end_unreadable};
use crate::adapters::sqlite::columns::nanos;
use crate::adapters::sqlite::examine::examine;
use crate::adapters::sqlite::outbox;
use crate::adapters::sqlite::publish::{self, PublicationRow};
use crate::adapters::sqlite::replays;
use crate::adapters::sqlite::retention;
use crate::adapters::sqlite::settle::{self, Results};
use crate::error::Result;
use crate::primitives::id::DeliveryId;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{Publication, Published};
use crate::webhooks::queue::{
    Advanced, ClaimRequest, Claimed, DeliveryQueue, Examination, Expired, Outbox, Retention, Sequence,
    SettleBatch, Settled,
};

#[async_trait]
impl DeliveryQueue for SqliteStore {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let rows = publications.iter().map(|one| PublicationRow::at(one, idempotency_keys, now));
        let rows: Vec<_> = rows.collect::<Result<_>>()?;
        let used_at = Some(nanos(now));
        self.write(publish::STEP, move |session| publish::publish(session, &rows, used_at)).await
    }

    async fn outbox(&self, limit: usize, _now: DateTime<Utc>) -> Result<Outbox> {
        self.read_for_engine("read the outbox", move |session| outbox::outbox(session, limit)).await
    }

    async fn fan_out(&self, mut entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        // Several events of one batch enter one order in the outbox's order.
        entries.sort_by_key(|&(sequence, _)| sequence);
        self.write("fan out events", move |session| outbox::fan_out(session, &entries, now)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let now = request.now;
        let leased = self.write("claim deliveries", move |session| claim::claim(session, &request)).await?;
        let Leased { claims: leased, after, next_due } = leased;
        let mut claims = Vec::with_capacity(leased.len());
        let mut unreadable = Vec::new();
        for one in leased {
            let id = one.id();
            match one.into_claim() {
                Ok(claim) => claims.push(claim),
                // What cannot be read back must not hold back what can: it is given up, and listed as that.
                Err(_) => unreadable.push(id),
            }
        }
        if !unreadable.is_empty() {
            let step = "give up deliveries whose events cannot be read";
            self.write(step, move |session| end_unreadable(session, &unreadable, now)).await?;
        }
        Ok(Claimed::new(claims, after, next_due, now))
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        let results = Results::of(batch)?;
        self.write("settle deliveries", move |session| settle::settle(session, &results, now)).await
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        let step = "end what has waited for too long";
        self.write(step, move |session| retention::expire(session, before, now, limit)).await
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        self.write("advance replays", move |session| replays::advance(session, &ids, now)).await
    }

    /// Dropping the future leaves some of it dropped, and the rest for the next time.
    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        let step = "drop what is past its retention";
        let mut gone = 0;
        loop {
            let turn = self.write(step, move |session| retention::tidy(session, retention, now)).await?;
            gone += turn.gone;
            if turn.is_over {
                return Ok(gone);
            }
        }
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        let path = self.path().to_owned();
        let mut found = self.read("examine the queue", move |session| examine(session, &path, now)).await?;
        found.vitals.insert("commits", i64::try_from(self.commits()).unwrap_or(i64::MAX));
        Ok(found)
    }
}
