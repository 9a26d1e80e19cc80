//! What goes into the queue and what comes back from it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::events::model::Event;
use crate::lanes::lease::Lease;
use crate::lanes::throttle::Brake;
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::attempt::Attempt;
use crate::webhooks::model::delivery::{DeadReason, Origin};
use crate::webhooks::model::webhook::{DisableReason, TenantDefaults, Webhook};

/// An event ready to be written: checked, named and timed. This is all that a store, or a host with a transaction of
/// its own, has to write.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publication {
    /// The event.
    pub event: Arc<Event>,
    /// The host's name for this publication, if it wants to be sure that it happens once.
    pub idempotency_key: Option<Arc<str>>,
    /// What the key is compared with: SHA-256 over type and payload.
    pub digest: [u8; 32],
    /// How long the key is remembered when it is written in a transaction of the host's own; 24 hours by default.
    pub remembered: Duration,
}

/// What came of one publication.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// The event: this one, or the first one that was published under the same key.
    pub event: EventId,
    /// Whether this publication made it; `false` if the key had been used before.
    pub fresh: bool,
}

/// A delivery that is this worker's until the lease ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Why it exists.
    pub origin: Origin,
    /// Which attempt this is, counted from 1; begun and lost ones count.
    pub attempt: u32,
    /// The claim itself.
    pub lease: Lease,
    /// What is to be sent.
    pub event: Arc<Event>,
    /// Where to.
    pub webhook: Arc<Webhook>,
    /// What applies where the webhook says nothing.
    pub defaults: Arc<TenantDefaults>,
    /// The circuit of the webhook as the store knows it.
    pub brake: Brake,
    /// Names this state of the circuit; a change shows it.
    pub brake_version: u64,
}

/// What came of one claim.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settlement {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which webhook.
    pub webhook: WebhookId,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The claim; if it was lost, only the attempt is logged, as fenced.
    pub lease: Lease,
    /// The webhook's version when it was claimed: what a receiver has done says nothing about the webhook after a change.
    pub webhook_version: Version,
    /// The request that was made; `None` if none was.
    pub attempt: Option<Arc<Attempt>>,
    /// What becomes of the delivery.
    pub fate: Fate,
    /// What it means for the webhook's health.
    pub health: HealthChange,
    /// If set, all deliveries of the webhook wait until then.
    pub pause_until: Option<DateTime<Utc>>,
    /// A change of the webhook's circuit.
    pub brake: Option<BrakeChange>,
    /// If set, the webhook is disabled.
    pub disable: Option<DisableReason>,
    /// What the log is told.
    pub activity: Vec<Activity>,
}

/// What becomes of a claimed delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fate {
    /// The receiver took it.
    Delivered,
    /// It is tried again at this time.
    RetryAt(DateTime<Utc>),
    /// It is given up.
    DeadLetter(DeadReason),
    /// It stays, as the head of an order that stands still.
    Stop,
    /// Nothing was begun: it is due again at this time, and the attempt does not count.
    Release(DateTime<Utc>),
}

/// What one result means for a webhook's health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HealthChange {
    /// Nothing: a test, a resend, a replay, a released claim.
    None,
    /// The receiver took a delivery.
    Success,
    /// It did not.
    Failure {
        /// Whether it is the first failure of this delivery; only those are counted.
        first: bool,
    },
}

/// A change of a webhook's circuit: made only if the circuit is still as it was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrakeChange {
    /// The [`Claim::brake_version`] that the change was made from.
    pub seen: u64,
    /// The circuit after it.
    pub brake: Brake,
}

impl Publication {
    /// An event to be written.
    pub fn new(event: Arc<Event>, digest: [u8; 32]) -> Self {
        Self { event, idempotency_key: None, digest, remembered: REMEMBERED }
    }

    /// With the host's name for this publication.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// With a key that is remembered for so long.
    #[must_use]
    pub fn with_remembered(mut self, remembered: Duration) -> Self {
        self.remembered = remembered;
        self
    }
}

impl Published {
    /// What came of a publication.
    pub const fn new(event: EventId, fresh: bool) -> Self {
        Self { event, fresh }
    }
}

impl Claim {
    /// A claim of this delivery's next attempt.
    pub fn new(
        delivery: DeliveryId,
        origin: Origin,
        attempt: u32,
        lease: Lease,
        event: Arc<Event>,
        webhook: Arc<Webhook>,
        defaults: Arc<TenantDefaults>,
    ) -> Self {
        Self {
            delivery,
            origin,
            attempt,
            lease,
            event,
            webhook,
            defaults,
            brake: Brake::RELEASED,
            brake_version: 0,
        }
    }

    /// With the circuit as the store knows it.
    #[must_use]
    pub fn with_brake(mut self, brake: Brake, version: u64) -> Self {
        self.brake = brake;
        self.brake_version = version;
        self
    }
}

impl Settlement {
    /// This fate for this claim, and nothing else.
    pub fn new(claim: &Claim, fate: Fate) -> Self {
        Self {
            tenant: claim.webhook.tenant.clone(),
            webhook: claim.webhook.id,
            delivery: claim.delivery,
            lease: claim.lease,
            webhook_version: claim.webhook.version,
            attempt: None,
            fate,
            health: HealthChange::None,
            pause_until: None,
            brake: None,
            disable: None,
            activity: Vec::new(),
        }
    }

    /// With the request that was made.
    #[must_use]
    pub fn with_attempt(mut self, attempt: Attempt) -> Self {
        self.attempt = Some(Arc::new(attempt));
        self
    }
}

impl BrakeChange {
    /// This circuit instead of the one that was seen.
    pub const fn new(seen: u64, brake: Brake) -> Self {
        Self { seen, brake }
    }
}

const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
