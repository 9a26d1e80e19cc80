//! A store that can be taken away and brought back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use crossdock::activity::{Activity, ActivityFilter, ActivityLog};
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::Event;
use crossdock::primitives::{DeliveryId, EventId, Page, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::*;
use crossdock::{Error, ErrorKind, Result};

/// A clone is the same store.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShakyStore {
    inner: MemoryStore,
    away: Arc<AtomicBool>,
}

impl ShakyStore {
    pub(crate) fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    pub(crate) fn come_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    fn answers(&self, step: &'static str) -> Result<()> {
        if self.away.load(Ordering::SeqCst) { Err(Error::new(ErrorKind::Unavailable, step)) } else { Ok(()) }
    }
}

macro_rules! relay {
    ($port:ident { $($known:item)* } $(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $port for ShakyStore {
            $($known)*

            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                self.answers(stringify!($name))?;
                self.inner.$name($($argument),*).await
            })*
        }
    };
}

relay! {
    WebhookRepository {
        fn durability(&self) -> Durability {
            self.inner.durability()
        }
    }
    fn save(tenant: &TenantId, changes: Vec<Change>, activity: Vec<Activity>, now: DateTime<Utc>) -> ();
    fn webhook(tenant: &TenantId, id: WebhookId) -> Option<Arc<Webhook>>;
    fn webhooks(tenant: &TenantId, page: PageRequest) -> Page<Arc<Webhook>>;
    fn defaults(tenant: &TenantId) -> Arc<TenantDefaults>;
    fn health(tenant: &TenantId, webhook: WebhookId) -> Option<WebhookHealth>;
    fn backlog(tenant: &TenantId, webhook: Option<WebhookId>, now: DateTime<Utc>) -> Backlog;
    fn event(tenant: &TenantId, id: EventId) -> Option<Arc<Event>>;
    fn deliveries(tenant: &TenantId, filter: &DeliveryFilter, include: Include, page: PageRequest)
        -> Page<DeliveryRecord>;
    fn delivery(tenant: &TenantId, id: DeliveryId, include: Include) -> Option<DeliveryRecord>;
    fn record_test(event: Arc<Event>, delivery: Delivery, attempt: Attempt, activity: Vec<Activity>) -> ();
    fn resend(tenant: &TenantId, past: DeliveryId, id: DeliveryId, activity: Vec<Activity>, now: DateTime<Utc>)
        -> Delivery;
    fn preview_replay(tenant: &TenantId, webhook: WebhookId, filter: &ReplayFilter) -> u64;
    fn start_replay(replay: Replay, activity: Vec<Activity>) -> Replay;
    fn replay(tenant: &TenantId, id: ReplayId) -> Option<Replay>;
    fn replays(tenant: &TenantId, page: PageRequest) -> Page<Replay>;
    fn cancel_replay(tenant: &TenantId, id: ReplayId, activity: Vec<Activity>, now: DateTime<Utc>) -> Replay;
    fn release_stopped(
        tenant: &TenantId, webhook: WebhookId, head: StoppedHead, activity: Vec<Activity>, now: DateTime<Utc>
    ) -> u64;
    fn erase_subject(tenant: &TenantId, subject: &str, activity: Vec<Activity>, now: DateTime<Utc>) -> Erasure;
    fn tenants(after: Option<&TenantId>, limit: usize) -> Vec<TenantId>;
    fn reseal(tenant: &TenantId, seals: Vec<Resealed>) -> u64;
}

relay! {
    DeliveryQueue {}
    fn publish(publications: Vec<Publication>, idempotency_keys: Duration, now: DateTime<Utc>) -> Vec<Published>;
    fn outbox(limit: usize, now: DateTime<Utc>) -> Outbox;
    fn fan_out(entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> usize;
    fn claim(request: ClaimRequest) -> Claimed;
    fn settle(batch: SettleBatch<'_>, now: DateTime<Utc>) -> Settled;
    fn expire(before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Expired;
    fn advance_replays(ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Advanced;
    fn tidy(retention: Retention, now: DateTime<Utc>) -> u64;
    fn examine(now: DateTime<Utc>) -> Examination;
}

relay! {
    ActivityLog {}
    fn activity(tenant: &TenantId, filter: &ActivityFilter, page: PageRequest) -> Page<Activity>;
}
