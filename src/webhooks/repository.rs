//! Port: what an administrator sees and changes.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::error::Result;
use crate::events::model::Event;
use crate::ports::Sealed;
pub use crate::primitives::durability::Durability;
use crate::primitives::id::{DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    Attempt, Delivery, DeliveryFilter, DeliveryRecord, Include, Replay, ReplayFilter, TenantDefaults,
    Version, Webhook,
};

/// One of the changes that are saved together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A new webhook.
    Insert(Webhook),
    /// A webhook as it is to be, with a version one above the present one.
    Replace {
        /// The webhook as it is to be.
        webhook: Webhook,
        /// The version that this was made from.
        expected: Version,
        /// Whether its circuit and its waiting end: its receiver is another one now, or was mended.
        release: Release,
    },
    /// A webhook that is to be no more.
    Remove {
        /// Which one.
        id: WebhookId,
        /// The version that was looked at.
        expected: Version,
    },
    /// The tenant's defaults as they are to be, with a version one above the present one.
    Defaults {
        /// The defaults as they are to be.
        defaults: TenantDefaults,
        /// The version that this was made from.
        expected: Version,
    },
    /// Nothing by itself, but a condition: with the changes before it, the tenant has at most so many webhooks.
    AtMost(usize),
}

/// Whether what holds a webhook back ends with a change.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Release {
    /// Circuit and waiting stay.
    Keep,
    /// Circuit and waiting end, and the failures so far are [forgiven](WebhookHealth::forgiven): otherwise the first failure
    /// after a webhook was enabled again would disable it at once.
    Release,
}

/// How much of a webhook's work is undone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backlog {
    /// Deliveries that are pending or stopped.
    pub undelivered: u64,
    /// When the oldest of them was made.
    pub oldest: Option<DateTime<Utc>>,
    /// Until when the webhook is held back by its receiver's wish or by its circuit.
    pub held_until: Option<DateTime<Utc>>,
}

/// What becomes of the heads of stopped orders.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoppedHead {
    /// They are tried once more, from their first attempt.
    Retry,
    /// They become dead letters, and the next ones go.
    Skip,
}

/// A secret that was sealed anew, such as under a newer key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Resealed {
    /// The webhook that holds it; `None` if it is the tenant's defaults.
    pub webhook: Option<WebhookId>,
    /// The seal as it was read.
    pub before: Sealed,
    /// The seal in its place.
    pub after: Sealed,
}

/// What an erasure has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Erasure {
    /// How many events' payloads are gone.
    pub events: u64,
    /// How many deliveries that still waited are now skipped.
    pub skipped: u64,
    /// How many received items are erased: not a repository's business, the hub adds it.
    pub received: u64,
    /// How many of these still waited for a handler.
    pub unhandled: u64,
}

/// Keeps webhooks, deliveries, attempts and replays as people see them.
///
/// # Contract
/// - Another tenant's id answers exactly like an id that does not exist: `None`, an empty page or backlog, `NotFound`.
/// - What is saved is given back with every field as it was, times to the microsecond at least.
/// - `save` makes all changes or none, and writes the activity with them. A `Replace`, `Remove` or `Defaults` whose
///   `expected` is not the present version is `Conflict`; one of a webhook that does not exist is `NotFound`; an `Insert` of
///   one that does is `Conflict`; a record of another tenant than `tenant` is `Invalid`. Each change sees those before it. An
///   `AtMost` that does not hold is `Conflict`, also when saves race: together they never pass it.
/// - After a save that disables a webhook, its waiting and stopped deliveries that nobody has claimed are skipped
///   (`WebhookDisabled`); after a removal (`WebhookDeleted`), which also cancels its replays. Claimed ones end that way
///   instead of being retried; a claim whose lease has ended is none. Of many, a store may skip some thousand with the save and
///   leave the rest to the queue's `expire`: none of them is given in between, unless the webhook is enabled again. The same
///   holds for a settlement or a judgement that disables.
/// - A paused webhook's deliveries wait; after it is active again they are due.
/// - A change of ordering holds for deliveries that are made after it.
/// - A `Replace` with `Release` ends circuit and waiting and leaves the health [forgiven](WebhookHealth::forgiven).
/// - `webhooks` lists in the order of creation, `deliveries` and `replays` newest first: in the order of their ids. Every row
///   that exists throughout is on exactly one page, and every page but the last is full.
/// - `record_test` stores event, delivery and attempt as they are, and queues nothing.
/// - `resend` makes one pending delivery of the same event, in the replay lane; `NotFound` if the delivery, its payload
///   or its webhook is gone, `Conflict` if the webhook is disabled.
/// - A new replay makes nothing yet; the queue's `advance_replays` does. `preview_replay` counts what would be made.
/// - A cancelled replay makes nothing more. Cancelling one that has ended is `Conflict`.
/// - `release_stopped` ends every stop of the webhook and says how many there were. What is tried again is due at once, and its
///   attempts are counted anew.
/// - `erase_subject` drops the payloads of the subject's events and the bodies and headers that their attempts have logged;
///   rows stay; deliveries of them that still waited or were stopped are skipped (`Erased`), unless they are claimed.
/// - `tenants` lists every tenant that has a webhook or defaults, in the order of their ids, byte by byte.
/// - `reseal` puts `after` wherever the record holds `before`, and changes nothing else, no version either; it answers how many
///   of `seals` were still there. What is no longer there is passed over.
#[async_trait]
pub trait WebhookRepository: Debug + Send + Sync + 'static {
    /// Whether what is kept outlives the process.
    fn durability(&self) -> Durability;

    /// Saves changes together, or none of them.
    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// One webhook.
    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>>;

    /// One page of the tenant's webhooks.
    async fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Arc<Webhook>>>;

    /// What applies where a webhook says nothing; version 0 if nothing was ever set.
    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>>;

    /// How the webhook's receiver has done; `None` if there is no such webhook.
    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>>;

    /// How much is undone: of one webhook, or of all the tenant's.
    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog>;

    /// One event, with its payload as long as that is kept (else an empty one).
    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>>;

    /// One page of deliveries.
    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>>;

    /// One delivery.
    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>>;

    /// Stores what a test has sent.
    async fn record_test(
        &self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()>;

    /// Asks for one past delivery once more, under a new id.
    async fn resend(
        &self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery>;

    /// How many deliveries a replay with this filter would make.
    async fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64>;

    /// Stores a new replay, with what it matches counted.
    async fn start_replay(&self, replay: Replay, activity: Vec<Activity>) -> Result<Replay>;

    /// One replay.
    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>>;

    /// One page of the tenant's replays, newest first.
    async fn replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>>;

    /// Ends a replay.
    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay>;

    /// Lets the webhook's stopped orders go on.
    async fn release_stopped(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// Erases what is known about a subject.
    async fn erase_subject(
        &self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Erasure>;

    /// Tenants behind this one, at most so many: for work that goes over all secrets.
    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>>;

    /// Puts seals in the place of others; answers how many.
    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64>;
}

impl Resealed {
    /// A seal in the place of another.
    pub fn new(webhook: Option<WebhookId>, before: Sealed, after: Sealed) -> Self {
        Self { webhook, before, after }
    }
}
