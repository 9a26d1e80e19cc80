//! A store, two tenants, and the steps that checks are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::activity::store::ActivityFilter;
use crate::events::event_type::{EventPattern, EventType};
use crate::events::model::{Event, EventHead};
use crate::primitives::egress::EgressPolicy;
use crate::primitives::id::{ActivityId, AttemptId, DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::page::PageRequest;
use crate::tenancy::model::{Actor, TenantId};
use crate::testing::conformance::{Failure, StoreHarness, Stores, there};
use crate::webhooks::fan_out::{FanOut, fan_out};
use crate::webhooks::model::{
    Attempt, AttemptError, Claim, Delivery, DeliveryFilter, DeliveryRecord, DeliveryStatus, DisableReason,
    Fate, Include, LaneStop, Ordered, Ordering as Order, Publication, Published, Settlement, Webhook,
    WebhookState,
};
use crate::webhooks::queue::{ClaimRequest, Distribution, Sequence, SettleBatch, Settled};
use crate::webhooks::repository::{Change, Release};

/// A store with nothing in it, and the steps that checks are made of.
pub(super) struct World {
    pub(super) stores: Stores,
    /// The tenant of most stories.
    pub(super) acme: TenantId,
    /// The tenant who must not see any of it.
    pub(super) other: TenantId,
    ids: AtomicU64,
}

pub(super) type Found<T> = Result<T, Failure>;

/// How long claims hold.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// How long idempotency keys are remembered.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
const NEW_YEAR_2026: i64 = 1_767_225_600;

/// So many seconds after the world began.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(NEW_YEAR_2026 + seconds, 0).unwrap_or_default()
}

/// A millisecond earlier.
pub(super) fn just_before(time: DateTime<Utc>) -> DateTime<Utc> {
    time - Duration::from_millis(1)
}

impl World {
    pub(super) async fn fresh(harness: &dyn StoreHarness) -> Found<Self> {
        let stores = harness.fresh().await?;
        Ok(Self { stores, acme: tenant("acme")?, other: tenant("other")?, ids: AtomicU64::new(1) })
    }

    /// Never the same bytes twice; ids of one millisecond sort in the order in which they were minted.
    pub(super) fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        // The id's variant takes the upper bits of the third byte: a counter does not get there.
        bytes
    }

    pub(super) fn delivery_id(&self, now: DateTime<Utc>) -> DeliveryId {
        DeliveryId::mint(now, self.random())
    }

    pub(super) fn delivery_ids(&self, count: usize, now: DateTime<Utc>) -> Vec<DeliveryId> {
        (0..count).map(|_| self.delivery_id(now)).collect()
    }

    pub(super) fn replay_id(&self, now: DateTime<Utc>) -> ReplayId {
        ReplayId::mint(now, self.random())
    }

    // ---- webhooks ----

    /// A webhook of this tenant that hears everything; not saved yet.
    pub(super) fn webhook_of(&self, tenant: &TenantId, now: DateTime<Utc>) -> Found<Webhook> {
        let url = EgressPolicy::default()
            .parse("https://erp.example.com/hooks")
            .map_err(|refusal| Failure(refusal.to_string()))?;
        let id = WebhookId::mint(now, self.random());
        Ok(Webhook::new(id, tenant.clone(), url, vec![pattern("*")?], now))
    }

    /// Saves a new webhook of acme's.
    pub(super) async fn webhook(&self) -> Found<Webhook> {
        self.webhook_with(|_| {}).await
    }

    /// Saves a new webhook of acme's, changed before.
    pub(super) async fn webhook_with(&self, change: impl FnOnce(&mut Webhook) + Send) -> Found<Webhook> {
        let mut webhook = self.webhook_of(&self.acme, at(0))?;
        change(&mut webhook);
        self.insert(webhook).await
    }

    pub(super) async fn insert(&self, webhook: Webhook) -> Found<Webhook> {
        let changes = vec![Change::Insert(webhook.clone())];
        self.stores.repository.save(&webhook.tenant, changes, Vec::new(), webhook.created_at).await?;
        Ok(webhook)
    }

    /// Saves a webhook as it is to be, made from how it is now.
    pub(super) async fn change(
        &self,
        webhook: &Webhook,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Webhook) + Send,
    ) -> Found<Webhook> {
        self.change_and(webhook, Release::Keep, now, change).await
    }

    pub(super) async fn change_and(
        &self,
        webhook: &Webhook,
        release: Release,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Webhook) + Send,
    ) -> Found<Webhook> {
        let present = self.stored(webhook).await?;
        let mut changed = (*present).clone();
        change(&mut changed);
        changed.version = present.version.next();
        changed.updated_at = now;
        let changes = vec![Change::Replace { webhook: changed.clone(), expected: present.version, release }];
        self.stores.repository.save(&webhook.tenant, changes, Vec::new(), now).await?;
        Ok(changed)
    }

    pub(super) async fn disable(&self, webhook: &Webhook, now: DateTime<Utc>) -> Found<Webhook> {
        let state = WebhookState::Disabled { reason: DisableReason::ByPerson, at: now };
        self.change(webhook, now, |webhook| webhook.state = state).await
    }

    pub(super) async fn pause(&self, webhook: &Webhook, now: DateTime<Utc>) -> Found<Webhook> {
        self.change(webhook, now, |webhook| webhook.state = WebhookState::Paused).await
    }

    pub(super) async fn remove(&self, webhook: &Webhook, now: DateTime<Utc>) -> Found<()> {
        let expected = self.stored(webhook).await?.version;
        let changes = vec![Change::Remove { id: webhook.id, expected }];
        Ok(self.stores.repository.save(&webhook.tenant, changes, Vec::new(), now).await?)
    }

    pub(super) async fn stored(&self, webhook: &Webhook) -> Found<Arc<Webhook>> {
        there(self.stores.repository.webhook(&webhook.tenant, webhook.id).await?, "a webhook that was saved")
    }

    // ---- events ----

    pub(super) fn head_of(&self, tenant: &TenantId, now: DateTime<Utc>) -> Found<EventHead> {
        let event_type = event_type("shipment.shipped")?;
        Ok(EventHead::new(EventId::mint(now, self.random()), tenant.clone(), event_type, now))
    }

    pub(super) fn head(&self, now: DateTime<Utc>) -> Found<EventHead> {
        self.head_of(&self.acme, now)
    }

    pub(super) async fn publish(&self, heads: Vec<EventHead>, now: DateTime<Utc>) -> Found<Vec<Published>> {
        let publications = heads.into_iter().map(publication).collect();
        Ok(self.stores.queue.publish(publications, REMEMBERED, now).await?)
    }

    /// Turns everything in the outbox into deliveries.
    pub(super) async fn distribute(&self, now: DateTime<Utc>) -> Found<usize> {
        let mut count = 0;
        loop {
            let entries = self.wanted(now).await?;
            if entries.is_empty() {
                return Ok(count);
            }
            count += self.stores.queue.fan_out(entries, now).await?;
        }
    }

    /// What fan-out would make of the outbox.
    pub(super) async fn wanted(&self, now: DateTime<Utc>) -> Found<Vec<(Sequence, FanOut)>> {
        Ok(self.entries(now).await?.into_iter().map(Distribution::without_event).collect())
    }

    /// The same, with the events.
    pub(super) async fn entries(&self, now: DateTime<Utc>) -> Found<Vec<Distribution>> {
        let outbox = self.stores.queue.outbox(500, now).await?;
        let mint = || self.delivery_id(now);
        let of = |head: &EventHead| outbox.webhooks.get(&head.tenant).map_or(&[][..], |all| &all[..]);
        let entry = |(sequence, head): &(Sequence, Arc<EventHead>)| {
            Distribution::new(*sequence, Arc::clone(head), fan_out(head, of(head), mint))
        };
        Ok(outbox.entries.iter().map(entry).collect())
    }

    /// Publishes so many events of acme's, and makes their deliveries.
    pub(super) async fn send(&self, count: usize, now: DateTime<Utc>) -> Found<Vec<EventId>> {
        self.send_for(&self.acme.clone(), count, now).await
    }

    pub(super) async fn send_for(
        &self,
        tenant: &TenantId,
        count: usize,
        now: DateTime<Utc>,
    ) -> Found<Vec<EventId>> {
        let heads = (0..count).map(|_| self.head_of(tenant, now)).collect::<Found<Vec<_>>>()?;
        let ids = heads.iter().map(|head| head.id).collect();
        self.publish(heads, now).await?;
        self.distribute(now).await?;
        Ok(ids)
    }

    /// Publishes events of acme's with these ordering keys, one after the other, and makes their deliveries.
    pub(super) async fn send_keyed(&self, keys: &[&str], now: DateTime<Utc>) -> Found<Vec<EventId>> {
        let mut ids = Vec::new();
        for &key in keys {
            let head = self.head(now)?.with_ordering_key(key);
            ids.push(head.id);
            self.publish(vec![head], now).await?;
        }
        self.distribute(now).await?;
        Ok(ids)
    }

    // ---- the engine ----

    pub(super) async fn claim(&self, limit: usize, now: DateTime<Utc>) -> Found<Vec<Claim>> {
        Ok(self.stores.queue.claim(ClaimRequest::new(now, LEASE, limit)).await?.claims)
    }

    /// The one delivery that is due.
    pub(super) async fn claim_one(&self, now: DateTime<Utc>) -> Found<Claim> {
        there(self.claim(1, now).await?.pop(), "a delivery that is due")
    }

    /// The attempt that somebody with this claim has made.
    pub(super) fn attempt(&self, claim: &Claim, status: u16, now: DateTime<Utc>) -> Attempt {
        let mut attempt =
            Attempt::new(AttemptId::mint(now, self.random()), claim.delivery, claim.attempt, now);
        attempt.status = Some(status);
        attempt.error = (!(200..300).contains(&status)).then_some(AttemptError::Status(status));
        attempt
    }

    /// A result with an attempt.
    pub(super) fn result(&self, claim: &Claim, fate: Fate, now: DateTime<Utc>) -> Settlement {
        let status = if fate == Fate::Delivered { 204 } else { 500 };
        Settlement::new(claim, fate).with_attempt(self.attempt(claim, status, now))
    }

    pub(super) async fn settle(&self, claim: &Claim, fate: Fate, now: DateTime<Utc>) -> Found<Settled> {
        self.settle_all(&[self.result(claim, fate, now)], now).await
    }

    pub(super) async fn settle_all(&self, settlements: &[Settlement], now: DateTime<Utc>) -> Found<Settled> {
        Ok(self.stores.queue.settle(SettleBatch::new(settlements), now).await?)
    }

    // ---- what is to be seen ----

    /// Every delivery of the tenant, newest first, with payload and attempts.
    pub(super) async fn records(&self, tenant: &TenantId) -> Found<Vec<DeliveryRecord>> {
        self.records_like(tenant, &DeliveryFilter::default()).await
    }

    pub(super) async fn records_like(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
    ) -> Found<Vec<DeliveryRecord>> {
        let mut include = Include::default();
        (include.payload, include.attempts) = (true, true);
        let mut records = Vec::new();
        let mut page = PageRequest::first(100);
        loop {
            let found = self.stores.repository.deliveries(tenant, filter, include, page).await?;
            records.extend(found.items);
            match found.next {
                Some(next) => page = page.after(next),
                None => return Ok(records),
            }
        }
    }

    /// The statuses of acme's deliveries, oldest first.
    pub(super) async fn statuses(&self) -> Found<Vec<DeliveryStatus>> {
        let records = self.records(&self.acme).await?;
        Ok(records.iter().rev().map(|record| record.delivery.status).collect())
    }

    pub(super) async fn record(&self, id: DeliveryId) -> Found<DeliveryRecord> {
        let mut include = Include::default();
        (include.payload, include.attempts) = (true, true);
        let found = self.stores.repository.delivery(&self.acme, id, include).await?;
        there(found, "a delivery that was made")
    }

    pub(super) async fn delivery(&self, id: DeliveryId) -> Found<Delivery> {
        Ok(self.record(id).await?.delivery)
    }

    // ---- the log ----

    pub(super) fn entry(&self, tenant: &TenantId, kind: ActivityKind, now: DateTime<Utc>) -> Activity {
        let actor = Actor::org_admin(tenant.clone(), "ada");
        let id = ActivityId::mint(now, self.random());
        Activity::new(id, now, &actor, kind, Subject::from("wh_1"))
    }

    /// Every entry of acme's log, newest first.
    pub(super) async fn log(&self) -> Found<Vec<Activity>> {
        let page = PageRequest::first(PageRequest::MAX);
        Ok(self.stores.activity.activity(&self.acme, &ActivityFilter::default(), page).await?.items)
    }
}

pub(super) fn tenant(name: &str) -> Found<TenantId> {
    name.parse().map_err(|error: crate::tenancy::model::InvalidTenantId| Failure(error.to_string()))
}

pub(super) fn event_type(name: &str) -> Found<EventType> {
    name.parse().map_err(|error: crate::events::event_type::InvalidEventType| Failure(error.to_string()))
}

pub(super) fn pattern(text: &str) -> Found<EventPattern> {
    text.parse().map_err(|error: crate::events::event_type::InvalidPattern| Failure(error.to_string()))
}

/// The event with a payload that only it has.
pub(super) fn publication(head: EventHead) -> Publication {
    let payload = format!(r#"{{"event":"{}"}}"#, head.id);
    Publication::new(Arc::new(Event::new(head, payload)), [0; 32])
}

/// The same under a key, with a digest of one byte.
pub(super) fn keyed(head: EventHead, key: &str, digest: u8) -> Publication {
    let mut publication = publication(head).with_idempotency_key(key);
    publication.digest = [digest; 32];
    publication
}

pub(super) const IN_ORDER: Order = Order::Ordered { by: Ordered::All, on_exhausted: LaneStop::Stop };
pub(super) const BY_KEY: Order = Order::Ordered { by: Ordered::ByKey, on_exhausted: LaneStop::Stop };

/// The events of these claims.
pub(super) fn events_of(claims: &[Claim]) -> Vec<EventId> {
    claims.iter().map(|claim| claim.event.head.id).collect()
}
