//! The administrator's ports: each method is one step of the writer or of a reader.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::sqlite::SqliteStore;
use crate::adapters::sqlite::deliveries;
use crate::adapters::sqlite::repair;
use crate::adapters::sqlite::replays;
use crate::adapters::sqlite::webhooks;
use crate::error::Result;
use crate::events::model::Event;
use crate::primitives::id::{DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    Attempt, Delivery, DeliveryFilter, DeliveryRecord, Include, Replay, ReplayFilter, TenantDefaults, Webhook,
};
use crate::webhooks::repository::{
    Backlog, Change, Durability, Erasure, Resealed, StoppedHead, WebhookRepository,
};

#[async_trait]
impl WebhookRepository for SqliteStore {
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
        let tenant = tenant.clone();
        self.write("save webhooks", move |session| webhooks::save(session, &tenant, &changes, &activity, now))
            .await
    }

    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>> {
        let tenant = tenant.clone();
        self.read("read a webhook", move |session| webhooks::webhook(session, &tenant, id)).await
    }

    async fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Arc<Webhook>>> {
        let tenant = tenant.clone();
        self.read("list webhooks", move |session| webhooks::webhooks(session, &tenant, page)).await
    }

    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>> {
        let tenant = tenant.clone();
        self.read("read a tenant's defaults", move |session| webhooks::defaults_of(session, &tenant)).await
    }

    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>> {
        let tenant = tenant.clone();
        self.read("read a webhook's health", move |session| webhooks::health(session, &tenant, webhook)).await
    }

    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog> {
        let tenant = tenant.clone();
        self.read("read a backlog", move |session| webhooks::backlog(session, &tenant, webhook, now)).await
    }

    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>> {
        let tenant = tenant.clone();
        self.read("read an event", move |session| deliveries::event(session, &tenant, id)).await
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.read("list deliveries", move |session| {
            deliveries::deliveries(session, &tenant, &filter, include, page)
        })
        .await
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        let tenant = tenant.clone();
        self.read("read a delivery", move |session| deliveries::delivery(session, &tenant, id, include)).await
    }

    async fn record_test(
        &self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()> {
        self.write("record a test", move |session| {
            repair::record_test(session, &event, &delivery, &attempt, &activity)
        })
        .await
    }

    async fn resend(
        &self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery> {
        let tenant = tenant.clone();
        self.write("resend a delivery", move |session| {
            repair::resend(session, &tenant, past, id, &activity, now)
        })
        .await
    }

    async fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        let step = "preview a replay";
        self.read(step, move |session| replays::preview(session, &tenant, webhook, &filter, step)).await
    }

    async fn start_replay(&self, mut replay: Replay, activity: Vec<Activity>) -> Result<Replay> {
        let step = replays::START;
        let (tenant, webhook, filter) = (replay.tenant.clone(), replay.webhook, replay.filter.clone());
        // Counting may take long: whoever writes does not wait for it.
        replay.matched = self
            .read(step, move |session| replays::preview(session, &tenant, webhook, &filter, step))
            .await?;
        let started = replay.clone();
        self.write(step, move |session| replays::start(session, &replay, &activity)).await?;
        Ok(started)
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>> {
        let tenant = tenant.clone();
        self.read("read a replay", move |session| replays::replay(session, &tenant, id)).await
    }

    async fn replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>> {
        let tenant = tenant.clone();
        self.read("list replays", move |session| replays::list(session, &tenant, page)).await
    }

    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay> {
        let tenant = tenant.clone();
        self.write("cancel a replay", move |session| replays::cancel(session, &tenant, id, &activity, now))
            .await
    }

    async fn release_stopped(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let tenant = tenant.clone();
        self.write("release stopped deliveries", move |session| {
            repair::release_stopped(session, &tenant, webhook, head, &activity, now)
        })
        .await
    }

    /// Dropping the future leaves some of it erased, and no entry in the log; asking again erases the rest.
    async fn erase_subject(
        &self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Erasure> {
        let mut erased = Erasure::default();
        let mut behind = Some(0);
        while let Some(last) = behind {
            let (tenant, subject, activity) = (tenant.clone(), subject.to_owned(), activity.clone());
            let part = self
                .write("erase a subject", move |session| {
                    repair::erase_subject(session, &tenant, &subject, last, &activity, now)
                })
                .await?;
            erased.events += part.erasure.events;
            erased.skipped += part.erasure.skipped;
            behind = part.goes_on;
        }
        Ok(erased)
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        let after = after.cloned();
        self.read("list tenants", move |session| webhooks::tenants(session, after.as_ref(), limit)).await
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        let tenant = tenant.clone();
        self.write("reseal secrets", move |session| webhooks::reseal(session, &tenant, &seals)).await
    }
}
