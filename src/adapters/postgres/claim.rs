//! Claim.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::records::{Found, unset};
use crate::adapters::postgres::rows::{Field, later, read_head, small, stored_time, uuid_of};
use crate::adapters::postgres::session::Session;
use crate::error::{ErrorKind, Result};
use crate::events::model::Event;
use crate::lanes::lease::{Lease, LeaseToken};
use crate::lanes::throttle::Brake;
use crate::primitives::id::DeliveryId;
use crate::primitives::stored::Stored;
use crate::webhooks::model::{Claim, DeadReason, DeliveryStatus, Origin, TenantDefaults, Webhook};
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
        let rows = session.rows(statement).await?;
        let Some((first, rows)) = rows.split_first() else {
            return Err(corrupt(STEP, "the server has not said how it goes on"));
        };

        let webhooks = self.webhooks_of(&mut session, rows, "webhook_stamp").await?;
        let defaults = self.defaults_of(&mut session, rows).await?;
        let mut events = HashMap::new();
        let mut claims = Vec::with_capacity(rows.len());
        let mut unused = Unused::default();
        for row in rows {
            let tenant: &str = row.field("tenant_id")?;
            let own = defaults.get(tenant);
            match sendable(webhooks.get(&(tenant, uuid_of(row, "webhook_id")?)), own, request.now) {
                Ok((webhook, own)) => match read_claim(row, until, webhook, own, &mut events) {
                    Ok(claim) => claims.push(claim),
                    Err(error) if error.kind() == ErrorKind::Corrupt => unused.end(row)?,
                    Err(error) => return Err(error),
                },
                Err(until) => unused.wait(uuid_of(row, "delivery_id")?, row.field("lease_token")?, until),
            }
        }
        let mut next_due: Option<DateTime<Utc>> = first.field("next_due_at")?;
        if !unused.is_empty() {
            // They may have stood in the way of others.
            let soon = request.now + SOON;
            next_due = Some(next_due.map_or(soon, |next| next.min(soon)));
            self.take_back(&mut session, unused, now).await?;
        }
        session.end().await?;
        let after = first.field::<Option<&str>>("after_tenant")?.map(|_| first.tenant("after_tenant"));
        let store_time: DateTime<Utc> = first.field("store_time")?;
        let is_near = (store_time - request.now).abs() <= NEAR;
        Ok(Claimed::new(claims, after.transpose()?, next_due, if is_near { store_time } else { request.now }))
    }
}

impl PostgresStore {
    pub(super) async fn take_back(
        &self,
        session: &mut Session,
        unused: Unused,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let statement = session
            .statement(self.sql(TAKE_BACK))
            .bind(now)
            .bind(unused.ids)
            .bind(unused.tokens)
            .bind(unused.due)
            .bind(unused.statuses);
        session.run(statement).await.map(|_| ())
    }
}

/// Leases that cannot be given, by column.
#[derive(Default)]
pub(super) struct Unused {
    ids: Vec<Uuid>,
    tokens: Vec<i64>,
    due: Vec<DateTime<Utc>>,
    statuses: Vec<Option<String>>,
}

impl Unused {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The delivery waits until then; it was no attempt.
    pub(super) fn wait(&mut self, delivery: Uuid, token: i64, until: DateTime<Utc>) {
        self.push(delivery, token, until, None);
    }

    /// The delivery itself cannot be read: it ends, because waiting would not help.
    fn end(&mut self, row: &PgRow) -> Result<()> {
        let status = DeliveryStatus::DeadLetter(DeadReason::Unsendable).to_stored()?;
        let delivery = uuid_of(row, "delivery_id")?;
        self.push(delivery, row.field("lease_token")?, DateTime::UNIX_EPOCH, Some(status));
        Ok(())
    }

    fn push(&mut self, delivery: Uuid, token: i64, due: DateTime<Utc>, status: Option<String>) {
        self.ids.push(delivery);
        self.tokens.push(token);
        self.due.push(due);
        self.statuses.push(status);
    }
}

/// What a delivery is sent with, or until when it has to wait.
pub(super) fn sendable<'f>(
    webhook: Option<&'f Found<Webhook>>,
    defaults: Option<&Found<TenantDefaults>>,
    now: DateTime<Utc>,
) -> std::result::Result<(&'f Arc<Webhook>, Arc<TenantDefaults>), DateTime<Utc>> {
    match (webhook, defaults) {
        // Without this record nothing can be sent, and it may be mended: everything else goes on.
        (Some(Found::Unreadable), _) | (Some(Found::There(_)), Some(Found::Unreadable)) => {
            Err(later(now, PAUSE))
        }
        (Some(Found::There(webhook)), Some(Found::There(own))) => Ok((webhook, Arc::clone(own))),
        (Some(Found::There(webhook)), _) => Ok((webhook, unset(&webhook.tenant))),
        // Removed since.
        (Some(Found::Missing) | None, _) => Err(stored_time(now)),
    }
}

fn read_claim(
    row: &PgRow,
    until: DateTime<Utc>,
    webhook: &Arc<Webhook>,
    defaults: Arc<TenantDefaults>,
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
    let brake = read_brake(row)?;
    let token = LeaseToken::new(row.field::<i64>("lease_token")?.unsigned_abs());
    let claim = Claim::new(
        DeliveryId::from_uuid(row.field("delivery_id")?),
        Origin::from_stored(row.field("origin")?)?,
        row.field::<i32>("attempt")?.unsigned_abs(),
        Lease::new(token, until),
        event,
        Arc::clone(webhook),
        defaults,
    );
    Ok(claim.with_brake(brake, row.field::<i64>("brake_version")?.unsigned_abs()))
}

pub(super) fn read_brake(row: &PgRow) -> Result<Brake> {
    let limit: Option<i32> = row.field("brake_limit")?;
    Ok(Brake::from_parts(
        row.field("brake_open_until")?,
        limit.map(i32::unsigned_abs),
        row.field::<i32>("brake_openings")?.unsigned_abs(),
        row.field("brake_ramp_at")?,
    ))
}

const STEP: &str = "claim deliveries";
/// Machines' clocks differ by less than this, or encryption in transit would not work either.
const NEAR: TimeDelta = TimeDelta::days(1);
/// How long a delivery waits for a damaged record to be mended.
pub(super) const PAUSE: Duration = Duration::from_secs(60);
const SOON: TimeDelta = TimeDelta::milliseconds(100);
const TAKE_BACK: &str = r#"SELECT "crossdock".take_back($1, $2, $3, $4, $5)"#;
const CLAIM: &str = r#"SELECT c.* FROM "crossdock".claim($1, $2, $3, $4, $5, $6, $7) AS c"#;
