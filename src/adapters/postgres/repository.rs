//! What an administrator sees and changes. Dropping a future leaves either the whole step behind, or nothing of it.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::listing::{bind_filter, bind_replay, cut, limit_of};
use crate::adapters::postgres::records::unset;
use crate::adapters::postgres::rows::{Field, stored_time};
use crate::adapters::postgres::session::Session;
use crate::adapters::postgres::settle::read_health;
use crate::error::{Error, ErrorKind, Result};
use crate::events::model::Event;
use crate::primitives::id::{DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    Attempt, Delivery, DeliveryFilter, DeliveryRecord, Include, Replay, ReplayFilter, ReplayState,
    TenantDefaults, Webhook,
};
use crate::webhooks::repository::{
    Backlog, Change, Durability, Erasure, Resealed, StoppedHead, WebhookRepository,
};

#[async_trait]
impl WebhookRepository for PostgresStore {
    fn durability(&self) -> Durability {
        Durability::Lasting
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.save_all(tenant, changes, activity, now).await
    }

    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>> {
        let mut session = self.for_tenant("read a webhook", tenant).await?;
        let found = self.webhook_in(&mut session, tenant.as_str(), id.as_uuid()).await?;
        session.end().await?;
        Ok(found)
    }

    async fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Arc<Webhook>>> {
        let mut session = self.for_tenant("list webhooks", tenant).await?;
        let statement = session
            .statement(self.sql(WEBHOOKS))
            .bind(tenant.as_str().to_owned())
            .bind(page.cursor().map(|cursor| cursor.row()))
            .bind(limit_of(page));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let (rows, next) = cut(rows, page, "id")?;
        Ok(Page::new(rows.iter().map(|row| self.read_webhook(row)).collect::<Result<_>>()?, next))
    }

    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>> {
        let mut session = self.for_tenant("read a tenant's defaults", tenant).await?;
        let found = self.defaults_in(&mut session, tenant.as_str()).await?;
        session.end().await?;
        Ok(found.unwrap_or_else(|| unset(tenant)))
    }

    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>> {
        let mut session = self.for_tenant("read a webhook's health", tenant).await?;
        let statement =
            session.statement(self.sql(HEALTH)).bind(tenant.as_str().to_owned()).bind(webhook.as_uuid());
        let row = session.row(statement).await?;
        session.end().await?;
        let columns =
            ["last_success_at", "last_failure_at", "failing_since", "failed_deliveries", "warned_percent"];
        row.map(|row| read_health(&row, columns)).transpose()
    }

    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog> {
        let mut session = self.for_tenant("read a backlog", tenant).await?;
        let statement = session
            .statement(self.sql(BACKLOG))
            .bind(tenant.as_str().to_owned())
            .bind(webhook.map(|id| id.as_uuid()))
            .bind(stored_time(now));
        let row = session.row(statement).await?;
        session.end().await?;
        let mut backlog = Backlog::default();
        if let Some(row) = row {
            backlog.undelivered = row.field::<i64>("undelivered")?.unsigned_abs();
            backlog.oldest = row.field("oldest")?;
            backlog.held_until = row.field("held_until")?;
        }
        Ok(backlog)
    }

    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>> {
        let mut session = self.for_tenant("read an event", tenant).await?;
        let found = self.one_event(&mut session, tenant, id.as_uuid()).await?;
        session.end().await?;
        Ok(found)
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        self.list_deliveries(tenant, filter, include, page).await
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        let mut session = self.for_tenant("read a delivery", tenant).await?;
        let found = self.one_delivery(&mut session, tenant, id, include).await?;
        session.end().await?;
        Ok(found)
    }

    async fn record_test(
        &self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()> {
        self.keep_test(&event, &delivery, &attempt, &activity).await
    }

    async fn resend(
        &self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery> {
        let step = "resend a delivery";
        let mut session = self.transaction_for(step, tenant).await?;
        let statement = session
            .statement(self.sql(RESEND))
            .bind(stored_time(now))
            .bind(tenant.as_str().to_owned())
            .bind(past.as_uuid())
            .bind(id.as_uuid());
        let row = session.row(statement).await?;
        let answer = row.as_ref().map(|row| row.field::<&str>("answer")).transpose()?;
        match answer {
            Some("made") => {}
            Some("missing") => return Err(Error::new(ErrorKind::NotFound, step)),
            _ => return Err(Error::new(ErrorKind::Conflict, step)),
        }
        self.note(&mut session, &activity).await?;
        let made = self.one_delivery(&mut session, tenant, id, Include::default()).await?;
        session.end().await?;
        made.map(|record| record.delivery).ok_or_else(|| corrupt(step, "what was made is not there"))
    }

    async fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64> {
        let step = "preview a replay";
        let mut session = self.for_tenant(step, tenant).await?;
        let count = self.matched(&mut session, tenant, webhook, filter).await?;
        session.end().await?;
        count.ok_or_else(|| Error::new(ErrorKind::NotFound, step))
    }

    async fn start_replay(&self, mut replay: Replay, activity: Vec<Activity>) -> Result<Replay> {
        let step = "start a replay";
        let mut session = self.transaction_for(step, &replay.tenant).await?;
        let count = self.matched(&mut session, &replay.tenant, replay.webhook, &replay.filter).await?;
        replay.matched = count.ok_or_else(|| Error::new(ErrorKind::NotFound, step))?;
        let statement = session
            .statement(self.sql(START))
            .bind(replay.tenant.as_str().to_owned())
            .bind(replay.webhook.as_uuid());
        let statement = bind_replay(bind_filter(statement, &replay.filter), &replay)?;
        // The webhook may have gone since its deliveries were counted.
        if session.run(statement).await? == 0 {
            return Err(Error::new(ErrorKind::NotFound, step));
        }
        self.note(&mut session, &activity).await?;
        session.end().await?;
        Ok(replay)
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>> {
        let mut session = self.for_tenant("read a replay", tenant).await?;
        let found = self.one_replay(&mut session, tenant, id).await?;
        session.end().await?;
        Ok(found)
    }

    async fn replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>> {
        self.list_replays(tenant, page).await
    }

    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay> {
        let step = "cancel a replay";
        let mut session = self.transaction_for(step, tenant).await?;
        let statement = session
            .statement(self.sql(CANCEL))
            .bind(tenant.as_str().to_owned())
            .bind(id.as_uuid())
            .bind(stored_time(now));
        let cancelled = session.run(statement).await?;
        let found = self.one_replay(&mut session, tenant, id).await?;
        let Some(mut replay) = found else { return Err(Error::new(ErrorKind::NotFound, step)) };
        if cancelled == 0 {
            return Err(Error::new(ErrorKind::Conflict, step));
        }
        replay.state = ReplayState::Cancelled;
        self.note(&mut session, &activity).await?;
        session.end().await?;
        Ok(replay)
    }

    async fn release_stopped(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let step = "release stopped deliveries";
        let mut session = self.transaction_for(step, tenant).await?;
        let statement = session
            .statement(self.sql(RELEASE))
            .bind(stored_time(now))
            .bind(tenant.as_str().to_owned())
            .bind(webhook.as_uuid())
            .bind(head == StoppedHead::Retry);
        let row = session.row(statement).await?;
        let count = row.map(|row| row.field::<Option<i64>>("count")).transpose()?.flatten();
        let Some(count) = count else { return Err(Error::new(ErrorKind::NotFound, step)) };
        self.note(&mut session, &activity).await?;
        session.end().await?;
        Ok(count.unsigned_abs())
    }

    async fn erase_subject(
        &self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Erasure> {
        let mut session = self.transaction_for("erase a subject", tenant).await?;
        let statement = session
            .statement(self.sql(ERASE))
            .bind(stored_time(now))
            .bind(tenant.as_str().to_owned())
            .bind(subject.to_owned());
        let row = session.row(statement).await?;
        self.note(&mut session, &activity).await?;
        session.end().await?;
        let mut erasure = Erasure::default();
        if let Some(row) = row {
            erasure.events = row.field::<i64>("events")?.unsigned_abs();
            erasure.skipped = row.field::<i64>("skipped")?.unsigned_abs();
        }
        Ok(erasure)
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        let mut session = self.one_statement("list tenants").await?;
        let statement = session
            .statement(self.sql(TENANTS))
            .bind(after.map(|tenant| tenant.as_str().to_owned()))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = session.rows(statement).await?;
        session.end().await?;
        rows.iter().map(|row| row.tenant("tenant_id")).collect()
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        self.reseal_all(tenant, seals).await
    }
}

impl PostgresStore {
    pub(super) async fn webhook_in(
        &self,
        session: &mut Session,
        tenant: &str,
        id: Uuid,
    ) -> Result<Option<Arc<Webhook>>> {
        let statement = session.statement(self.sql(WEBHOOK)).bind(tenant.to_owned()).bind(id);
        session.row(statement).await?.map(|row| self.read_webhook(&row)).transpose()
    }

    pub(super) async fn defaults_in(
        &self,
        session: &mut Session,
        tenant: &str,
    ) -> Result<Option<Arc<TenantDefaults>>> {
        let statement = session.statement(self.sql(DEFAULTS)).bind(tenant.to_owned());
        session.row(statement).await?.map(|row| self.read_defaults(&row)).transpose()
    }

    /// How many deliveries a replay would send once more; `None` if there is no such webhook.
    async fn matched(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<Option<u64>> {
        let statement =
            session.statement(self.sql(MATCHED)).bind(tenant.as_str().to_owned()).bind(webhook.as_uuid());
        let row = session.row(bind_filter(statement, filter)).await?;
        row.map(|row| Ok(row.field::<i64>("count")?.unsigned_abs())).transpose()
    }
}

const WEBHOOK: &str = r#"SELECT w.* FROM "crossdock".webhook w WHERE w.tenant_id = $1 AND w.id = $2"#;
const WEBHOOKS: &str = r#"SELECT w.* FROM "crossdock".webhook w WHERE w.tenant_id = $1 AND ($2::uuid IS NULL OR w.id > $2)
    ORDER BY w.id LIMIT $3"#;
const DEFAULTS: &str =
    r#"SELECT d.tenant_id, d.stamp, d.record FROM "crossdock".tenant_defaults d WHERE d.tenant_id = $1"#;
const HEALTH: &str = r#"SELECT l.last_success_at, l.last_failure_at, l.failing_since, l.failed_deliveries, l.warned_percent
    FROM "crossdock".lane l WHERE l.tenant_id = $1 AND l.webhook_id = $2 AND l.state <> 0"#;
const BACKLOG: &str = r#"SELECT COALESCE(sum(f.count), 0)::bigint AS undelivered, min(f.oldest) AS oldest,
    max(CASE WHEN $2::uuid IS NOT NULL AND l.state <> 0 AND GREATEST(l.held_until, l.brake_open_until) > $3
        THEN GREATEST(l.held_until, l.brake_open_until) END) AS held_until
    FROM "crossdock".lane l CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(q.created_at) AS oldest FROM "crossdock".queue q WHERE q.lane_id = l.id
    ) f
    WHERE l.tenant_id = $1 AND ($2::uuid IS NULL OR l.webhook_id = $2)"#;
const RESEND: &str = r#"SELECT "crossdock".resend($1, $2, $3, $4) AS answer"#;
const MATCHED: &str = r#"SELECT (SELECT count(*) FROM "crossdock".replayed($1, $2, $3, $4, $5, $6, NULL)) AS count
    FROM "crossdock".lane l WHERE l.tenant_id = $1 AND l.webhook_id = $2 AND l.state <> 0"#;
const START: &str = r#"INSERT INTO "crossdock".replay (tenant_id, webhook_id, from_at, to_at, kinds, event_types, id, origin, per_second,
    state, matched, made, position, next_at, created_at, updated_at)
    SELECT l.tenant_id, l.webhook_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 FROM (
        SELECT l.tenant_id, l.webhook_id FROM "crossdock".lane l
        WHERE l.tenant_id = $1 AND l.webhook_id = $2 AND l.state <> 0 FOR NO KEY UPDATE
    ) l"#;
const CANCEL: &str = r#"UPDATE "crossdock".replay SET state = 2, updated_at = $3 WHERE tenant_id = $1 AND id = $2 AND state = 0"#;
const RELEASE: &str = r#"SELECT "crossdock".release_stopped($1, $2, $3, $4) AS count"#;
const ERASE: &str = r#"SELECT e.* FROM "crossdock".erase_subject($1, $2, $3) AS e"#;
const TENANTS: &str = r#"SELECT x.tenant_id FROM (
        SELECT w.tenant_id FROM "crossdock".webhook w UNION SELECT d.tenant_id FROM "crossdock".tenant_defaults d
    ) x
    WHERE $1::text IS NULL OR x.tenant_id > $1 COLLATE "C" ORDER BY x.tenant_id COLLATE "C" LIMIT $2"#;
