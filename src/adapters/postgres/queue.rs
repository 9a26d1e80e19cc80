//! The engine's storage. Dropping a future leaves either the whole step behind, or nothing of it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::names::Names;
use crate::adapters::postgres::publish::At;
use crate::adapters::postgres::rows::{Field, number, stored_time, told};
use crate::error::{Error, ErrorKind, Result};
use crate::primitives::id::DeliveryId;
use crate::primitives::stored::Stored;
use crate::webhooks::conflicts::delivery_exists;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{DeliveryStatus, Publication, Published};
use crate::webhooks::queue::{
    Advanced, ClaimRequest, Claimed, DeliveryQueue, Examination, Expired, Outbox, Retention, Sequence,
    SettleBatch, Settled,
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
        self.read_outbox(limit, now).await
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        let wanted = Wanted::of(&entries)?;
        let mut session = self.one_statement(FAN_OUT_STEP).await?;
        let statement = session
            .statement(self.sql(FAN_OUT))
            .bind(stored_time(now))
            .bind(entries.iter().map(|(place, _)| number(place.number())).collect::<Vec<_>>())
            .bind(wanted.webhooks)
            .bind(wanted.places)
            .bind(wanted.named)
            .bind(wanted.ids)
            .bind(told(wanted.orders))
            .bind(told(wanted.skips));
        let row = session.row(statement).await.map_err(taken)?;
        session.end().await?;
        let taken = row.map(|row| row.field::<i32>("taken")).transpose()?;
        Ok(taken.unwrap_or_default().unsigned_abs() as usize)
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

/// What fan-out wants, by column.
#[derive(Default)]
struct Wanted {
    webhooks: Vec<Uuid>,
    places: Vec<i32>,
    named: Vec<i32>,
    ids: Vec<Uuid>,
    orders: Vec<Option<i64>>,
    skips: Vec<Option<String>>,
}

impl Wanted {
    fn of(entries: &[(Sequence, FanOut)]) -> Result<Self> {
        let mut wanted = Self::default();
        let mut names = Names::default();
        for (place, (_, fan_out)) in (1..).zip(entries) {
            for new in &fan_out.deliveries {
                // The number's bits: only equality counts.
                let order = new.order.map(|order| order.number().cast_signed());
                wanted.push(place, names.place(new.webhook), new.id, order, None);
            }
            for skip in &fan_out.skips {
                let status = DeliveryStatus::Skipped(skip.reason).to_stored()?;
                wanted.push(place, names.place(skip.webhook), skip.id, None, Some(status));
            }
        }
        wanted.webhooks = names.all().map(|webhook| webhook.as_uuid()).collect();
        Ok(wanted)
    }

    fn push(&mut self, place: i32, named: i32, id: DeliveryId, order: Option<i64>, skip: Option<String>) {
        self.places.push(place);
        self.named.push(named);
        self.ids.push(id.as_uuid());
        self.orders.push(order);
        self.skips.push(skip);
    }
}

fn taken(error: Error) -> Error {
    if error.kind() != ErrorKind::Conflict {
        return error;
    }
    error.with_problem(delivery_exists())
}

/// So many events need no company: sharing would only let them wait for those before them.
const WORTH_A_STATEMENT: usize = 64;
const FAN_OUT_STEP: &str = "fan out events";
const FAN_OUT: &str = r#"SELECT "crossdock".fan_out($1, $2, $3, $4, $5, $6, $7, $8) AS taken"#;
