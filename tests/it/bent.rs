//! A store that says it lasts, and can be bent: it goes away, somebody comes between two of its steps, or it stands worse than
//! it does.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use crossdock::activity::{Activity, ActivityFilter, ActivityLog};
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::Event;
use crossdock::primitives::{DeliveryId, EventId, Page, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    Advanced, Attempt, Backlog, Change, ClaimRequest, Claimed, Delivery, DeliveryFilter, DeliveryQueue,
    DeliveryRecord, Durability, Erasure, Examination, Expired, FanOut, Include, Outbox, Publication,
    Published, Replay, ReplayFilter, Resealed, Retention, Sequence, SettleBatch, Settled, StoppedHead,
    TenantDefaults, Webhook, WebhookHealth, WebhookRepository,
};
use crossdock::{Error, ErrorKind, Result};

/// A store in memory behind bends that a test sets; a clone is the same store.
#[derive(Clone, Default)]
pub(crate) struct Bent {
    pub(crate) inner: MemoryStore,
    bend: Arc<Mutex<Bend>>,
}

type Interruption = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
type Worsening = Box<dyn Fn(&mut Examination) + Send>;
type Time = Box<dyn Fn() -> DateTime<Utc> + Send>;

#[derive(Default)]
struct Bend {
    is_away: bool,
    before_reseal: Option<Interruption>,
    examination: Option<Worsening>,
    time: Option<Time>,
    settles_singly: bool,
}

impl Bent {
    /// It does not answer, until it is back.
    pub(crate) fn go_away(&self) {
        self.locked(|bend| bend.is_away = true);
    }

    pub(crate) fn come_back(&self) {
        self.locked(|bend| bend.is_away = false);
    }

    /// Somebody acts once, between the reading of secrets and their resealing.
    pub(crate) fn before_reseal<F: Future<Output = ()> + Send + 'static>(
        &self,
        act: impl FnOnce() -> F + Send + 'static,
    ) {
        self.locked(|bend| bend.before_reseal = Some(Box::new(|| Box::pin(act()))));
    }

    /// It has a clock of its own.
    pub(crate) fn tell_time(&self, now: impl Fn() -> DateTime<Utc> + Send + 'static) {
        self.locked(|bend| bend.time = Some(Box::new(now)));
    }

    /// It is away whenever more than one result is brought.
    pub(crate) fn settle_singly(&self) {
        self.locked(|bend| bend.settles_singly = true);
    }

    /// It tells a doctor something else.
    pub(crate) fn examined_as(&self, change: impl Fn(&mut Examination) + Send + 'static) {
        self.locked(|bend| bend.examination = Some(Box::new(change)));
    }

    fn locked<T>(&self, look: impl FnOnce(&mut Bend) -> T) -> T {
        look(&mut self.bend.lock().expect("no panic under the lock"))
    }

    fn ask(&self) -> Result<&MemoryStore> {
        match self.locked(|bend| bend.is_away) {
            false => Ok(&self.inner),
            true => {
                Err(Error::new(ErrorKind::Unavailable, "reach the store").with_source("connection refused"))
            }
        }
    }
}

impl fmt::Debug for Bent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bent").finish_non_exhaustive()
    }
}

#[async_trait]
impl ActivityLog for Bent {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        self.ask()?.activity(tenant, filter, page).await
    }
}

#[async_trait]
impl DeliveryQueue for Bent {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        self.ask()?.publish(publications, keys, now).await
    }

    async fn outbox(&self, limit: usize, now: DateTime<Utc>) -> Result<Outbox> {
        self.ask()?.outbox(limit, now).await
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        self.ask()?.fan_out(entries, now).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let mut claimed = self.ask()?.claim(request).await?;
        claimed.now = self.locked(|bend| bend.time.as_ref().map_or(claimed.now, |time| time()));
        Ok(claimed)
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        if batch.settlements.len() > 1 && self.locked(|bend| bend.settles_singly) {
            return Err(
                Error::new(ErrorKind::Unavailable, "settle deliveries").with_source("statement timeout")
            );
        }
        self.ask()?.settle(batch, now).await
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        self.ask()?.expire(before, now, limit).await
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        self.ask()?.advance_replays(ids, now).await
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        self.ask()?.tidy(retention, now).await
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        let mut found = self.ask()?.examine(now).await?;
        self.locked(|bend| bend.examination.iter().for_each(|change| change(&mut found)));
        Ok(found)
    }
}

#[async_trait]
impl WebhookRepository for Bent {
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
        self.ask()?.save(tenant, changes, activity, now).await
    }

    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>> {
        self.ask()?.webhook(tenant, id).await
    }

    async fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Arc<Webhook>>> {
        self.ask()?.webhooks(tenant, page).await
    }

    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>> {
        self.ask()?.defaults(tenant).await
    }

    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>> {
        self.ask()?.health(tenant, webhook).await
    }

    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog> {
        self.ask()?.backlog(tenant, webhook, now).await
    }

    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>> {
        self.ask()?.event(tenant, id).await
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        self.ask()?.deliveries(tenant, filter, include, page).await
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        self.ask()?.delivery(tenant, id, include).await
    }

    async fn record_test(
        &self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()> {
        self.ask()?.record_test(event, delivery, attempt, activity).await
    }

    async fn resend(
        &self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery> {
        self.ask()?.resend(tenant, past, id, activity, now).await
    }

    async fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64> {
        self.ask()?.preview_replay(tenant, webhook, filter).await
    }

    async fn start_replay(&self, replay: Replay, activity: Vec<Activity>) -> Result<Replay> {
        self.ask()?.start_replay(replay, activity).await
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>> {
        self.ask()?.replay(tenant, id).await
    }

    async fn replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>> {
        self.ask()?.replays(tenant, page).await
    }

    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay> {
        self.ask()?.cancel_replay(tenant, id, activity, now).await
    }

    async fn release_stopped(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        self.ask()?.release_stopped(tenant, webhook, head, activity, now).await
    }

    async fn erase_subject(
        &self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Erasure> {
        self.ask()?.erase_subject(tenant, subject, activity, now).await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        self.ask()?.tenants(after, limit).await
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        let before = self.locked(|bend| bend.before_reseal.take());
        if let Some(before) = before {
            before().await;
        }
        self.ask()?.reseal(tenant, seals).await
    }
}
