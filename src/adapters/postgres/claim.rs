//! Claim.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::records::unset;
use crate::adapters::postgres::rows::{Field, later, read_head, small, stored_time, uuid_of};
use crate::error::Result;
use crate::events::model::Event;
use crate::lanes::lease::{Lease, LeaseToken};
use crate::lanes::throttle::Brake;
use crate::primitives::id::DeliveryId;
use crate::primitives::stored::Stored;
use crate::webhooks::model::{Claim, Origin, TenantDefaults, Webhook};
use crate::webhooks::queue::{ClaimRequest, Claimed};

impl PostgresStore {
    pub(super) async fn claim_due(&self, request: ClaimRequest) -> Result<Claimed> {
        let (now, until) = (stored_time(request.now), later(request.now, request.lease));
        let mut session = self.one_statement(STEP).await?;
        let statement = session
            .statement(self.sql(CLAIM))
            .bind(now)
            .bind(until)
            .bind(i32::try_from(request.limit).unwrap_or(i32::MAX))
            .bind(request.after.as_ref().map(|tenant| tenant.as_str().to_owned()))
            .bind(small(request.max_in_flight))
            .bind(small(request.max_replays_in_flight))
            .bind(request.except.iter().map(|tenant| tenant.as_str().to_owned()).collect::<Vec<_>>());
        let mut rows = session.rows(statement).await?;
        let Some(last) = rows.pop() else {
            return Err(corrupt(STEP, "the server has not said how it goes on"));
        };

        let stamps = rows.iter().map(|row| row.field("webhook_stamp")).collect::<Result<_>>()?;
        let webhooks = self.webhooks_by_stamp(&mut session, stamps).await?;
        let stamps: Vec<Option<i64>> =
            rows.iter().map(|row| row.field("defaults_stamp")).collect::<Result<_>>()?;
        let defaults = self.defaults_by_stamp(&mut session, stamps.into_iter().flatten().collect()).await?;
        session.end().await?;

        let mut events = HashMap::new();
        let mut claims = Vec::with_capacity(rows.len());
        for row in &rows {
            // A record that was changed between the two statements is gone under this stamp: the lease ends by itself, and the
            // next claim has the new one. Within a transaction it cannot happen.
            let webhook = webhooks.get(&row.field("webhook_stamp")?);
            let own = match row.field::<Option<i64>>("defaults_stamp")? {
                None => Some(None),
                Some(stamp) => defaults.get(&stamp).map(Some),
            };
            if let (Some(webhook), Some(own)) = (webhook, own) {
                claims.push(read_claim(row, until, webhook, own, &mut events)?);
            }
        }
        let after = last.field::<Option<&str>>("after_tenant")?.map(|_| last.tenant("after_tenant"));
        let store_time: DateTime<Utc> = last.field("store_time")?;
        let is_near = (store_time - request.now).abs() <= NEAR;
        Ok(Claimed::new(
            claims,
            after.transpose()?,
            last.field("next_due_at")?,
            if is_near { store_time } else { request.now },
        ))
    }
}

fn read_claim(
    row: &PgRow,
    until: DateTime<Utc>,
    webhook: &Arc<Webhook>,
    defaults: Option<&Arc<TenantDefaults>>,
    events: &mut HashMap<Uuid, Arc<Event>>,
) -> Result<Claim> {
    let id = uuid_of(row, "event_id")?;
    let event = match events.get(&id) {
        Some(event) => Arc::clone(event),
        None => {
            let payload = Bytes::copy_from_slice(row.field("payload")?);
            let event = Arc::new(Event::new(read_head(row)?, payload));
            events.insert(id, Arc::clone(&event));
            event
        }
    };
    let limit: Option<i32> = row.field("brake_limit")?;
    let brake = Brake::from_parts(
        row.field("brake_open_until")?,
        limit.map(i32::unsigned_abs),
        row.field::<i32>("brake_openings")?.unsigned_abs(),
        row.field("brake_ramp_at")?,
    );
    let token = LeaseToken::new(row.field::<i64>("lease_token")?.unsigned_abs());
    let claim = Claim::new(
        DeliveryId::from_uuid(row.field("delivery_id")?),
        Origin::from_stored(row.field("origin")?)?,
        row.field::<i32>("attempt")?.unsigned_abs(),
        Lease::new(token, until),
        event,
        Arc::clone(webhook),
        defaults.cloned().unwrap_or_else(|| unset(&webhook.tenant)),
    );
    Ok(claim.with_brake(brake, row.field::<i64>("brake_version")?.unsigned_abs()))
}

const STEP: &str = "claim deliveries";
/// Machines' clocks differ by less than this, or encryption in transit would not work either.
const NEAR: TimeDelta = TimeDelta::days(1);
const CLAIM: &str = r#"SELECT c.* FROM "crossdock".claim($1, $2, $3, $4, $5, $6, $7) AS c"#;
