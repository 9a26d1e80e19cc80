//! The ports: each method is one step under the lock. Dropping a future leaves nothing behind, because none of
//! them ever waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::memory::MemoryStore;
use crate::error::Result;
use crate::events::model::Event;
use crate::primitives::id::{DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    Attempt, Delivery, DeliveryFilter, DeliveryRecord, Include, Publication, Published, Replay, ReplayFilter,
    TenantDefaults, Webhook,
};
use crate::webhooks::queue::{
    Advanced, ClaimRequest, Claimed, DeliveryQueue, Examination, Expired, Outbox, Retention, Sequence,
    SettleBatch, Settled,
};
use crate::webhooks::repository::{
    Backlog, Change, Durability, Erasure, Resealed, StoppedHead, WebhookRepository,
};

#[async_trait]
impl DeliveryQueue for MemoryStore {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        self.lock("publish events")?.publish(publications, idempotency_keys, now)
    }

    async fn outbox(&self, limit: usize, _now: DateTime<Utc>) -> Result<Outbox> {
        let outbox = self.lock("read the outbox")?.outbox(limit);
        Ok(outbox.into())
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        self.lock("fan out events")?.fan_out(entries, now)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        Ok(self.lock("claim deliveries")?.claim(&request))
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        Ok(self.lock("settle deliveries")?.settle(batch, now))
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        Ok(self.lock("end what has waited for too long")?.expire(before, now, limit))
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        Ok(self.lock("advance replays")?.advance_replays(ids, now))
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        Ok(self.lock("drop what is past its retention")?.tidy(retention, now))
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        Ok(self.lock("examine the queue")?.examine(now))
    }
}

#[async_trait]
impl WebhookRepository for MemoryStore {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.lock("save webhooks")?.save(tenant, changes, activity, now)
    }

    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>> {
        let state = self.lock("read a webhook")?;
        Ok(state.group_of(tenant, id).and_then(|slot| state.groups[slot].webhook.clone()))
    }

    async fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Arc<Webhook>>> {
        Ok(self.lock("list webhooks")?.webhooks(tenant, page))
    }

    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>> {
        let state = self.lock("read a tenant's defaults")?;
        let stored = state.tenant(tenant).map(|tenant| tenant.defaults.clone());
        Ok(stored.unwrap_or_else(|| Arc::new(TenantDefaults::new(tenant.clone()))))
    }

    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>> {
        let state = self.lock("read a webhook's health")?;
        Ok(state.group_of(tenant, webhook).map(|slot| state.groups[slot].health))
    }

    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog> {
        Ok(self.lock("read a backlog")?.backlog(tenant, webhook, now))
    }

    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>> {
        Ok(self.lock("read an event")?.event(tenant, id))
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        Ok(self.lock("list deliveries")?.deliveries(tenant, filter, include, page))
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        let state = self.lock("read a delivery")?;
        Ok(state.row(tenant, id).map(|slot| state.record(slot, include)))
    }

    async fn record_test(
        &self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()> {
        self.lock("record a test")?.record_test(event, delivery, attempt, activity)
    }

    async fn resend(
        &self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery> {
        self.lock("resend a delivery")?.resend(tenant, past, id, activity, now)
    }

    async fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64> {
        self.lock("preview a replay")?.preview_replay(tenant, webhook, filter)
    }

    async fn start_replay(&self, replay: Replay, activity: Vec<Activity>) -> Result<Replay> {
        self.lock("start a replay")?.start_replay(replay, activity)
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>> {
        Ok(self.lock("read a replay")?.replay(tenant, id).cloned())
    }

    async fn replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>> {
        Ok(self.lock("list replays")?.list_replays(tenant, page))
    }

    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay> {
        self.lock("cancel a replay")?.cancel_replay(tenant, id, activity, now)
    }

    async fn release_stopped(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        self.lock("release stopped deliveries")?.release_stopped(tenant, webhook, head, activity, now)
    }

    async fn erase_subject(
        &self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Erasure> {
        Ok(self.lock("erase a subject")?.erase_subject(tenant, subject, activity, now))
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        Ok(self.lock("list tenants")?.tenants_behind(after, limit))
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        Ok(self.lock("reseal secrets")?.reseal(tenant, &seals))
    }
}
