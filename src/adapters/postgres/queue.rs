//! The engine's storage. Dropping a future leaves either the whole step behind, or nothing of it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::publish::At;
use crate::error::Result;
use crate::primitives::id::DeliveryId;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{Publication, Published};
use crate::webhooks::queue::{
    Advanced, ClaimRequest, Claimed, DeliveryQueue, Distributed, Distribution, Examination, Expired, Half,
    Outbox, Retention, Sequence, SettleBatch, Settled,
};

#[async_trait]
impl DeliveryQueue for PostgresStore {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        if publications.is_empty() {
            return Ok(Vec::new());
        }
        let at = At { now, remembered: idempotency_keys };
        let is_worth_a_statement = publications.len() >= WORTH_A_STATEMENT;
        if !is_worth_a_statement
            && publications.iter().all(|publication| publication.idempotency_key.is_none())
        {
            let all = publications.into_iter().map(|publication| (publication, at)).collect();
            return self.write_together(all).await;
        }
        self.publish_now(publications.iter().map(|publication| (publication, at)).collect()).await
    }

    async fn outbox(&self, limit: usize, now: DateTime<Utc>) -> Result<Outbox> {
        self.read_outbox(None, limit, now).await
    }

    async fn outbox_half(&self, half: Half, limit: usize, now: DateTime<Utc>) -> Result<Option<Outbox>> {
        Ok(Some(self.read_outbox(Some(half), limit, now).await?))
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        self.fan_out_entries(&entries, now).await
    }

    async fn distribute(&self, entries: Vec<Distribution>, request: ClaimRequest) -> Result<Distributed> {
        self.fan_out_and_lease(entries, request).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        self.claim_due(request).await
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        self.settle_batch(batch, now).await
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        self.expire_old(before, now, limit).await
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        self.advance(ids, now).await
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        self.tidy_up(retention, now).await
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        self.examination(now).await
    }
}

/// So many events need no company: sharing would only let them wait for those before them.
const WORTH_A_STATEMENT: usize = 64;
