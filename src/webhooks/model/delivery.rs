//! An event on its way to a webhook.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::events::event_type::EventType;
use crate::primitives::id::{DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::stored::word::words;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::attempt::{Attempt, AttemptError};
use crate::webhooks::model::webhook::OrderKey;

/// One event for one webhook, with a state that explains itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// Names the delivery.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// What it carries.
    pub event: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// How it stands.
    pub status: DeliveryStatus,
    /// Why it exists.
    pub origin: Origin,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its status or its attempts last changed.
    pub updated_at: DateTime<Utc>,
    /// When the next attempt is due; `None` once it has ended.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last attempt, if there was an answer.
    pub last_status: Option<u16>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<AttemptError>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DeliveryStatus {
    /// It waits for its first or next attempt.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up: listed, and replayable.
    DeadLetter(DeadReason),
    /// It was never tried, or not tried again: listed, and replayable.
    Skipped(SkipReason),
    /// It is the head of an order that stands still because of it.
    Stopped,
}

/// A status without its reason, to filter by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum StatusKind {
    /// [`DeliveryStatus::Pending`].
    Pending,
    /// [`DeliveryStatus::Delivered`].
    Delivered,
    /// [`DeliveryStatus::DeadLetter`].
    DeadLetter,
    /// [`DeliveryStatus::Skipped`].
    Skipped,
    /// [`DeliveryStatus::Stopped`].
    Stopped,
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DeadReason {
    /// Every attempt of the retry policy has failed.
    Exhausted,
    /// The receiver answered 410, or asked to be disabled.
    Gone,
    /// The receiver answered `webhook-delivery: abort-message`.
    Rejected,
    /// It was still undelivered at the maximum age.
    Expired,
    /// The last attempt was begun and never ended, because its process died.
    Interrupted,
    /// The request cannot be made: a stored secret does not open, or host code failed on it.
    Unsendable,
    /// The webhook's mapping refused the event. Once the mapping is mended, it can be sent again.
    Unmapped,
    /// A person has skipped the head of a stopped order.
    SkippedByPerson,
}

/// Why a delivery was not tried, or not tried again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The webhook was disabled.
    WebhookDisabled,
    /// The webhook was deleted.
    WebhookDeleted,
    /// The event's payload was erased.
    Erased,
}

/// Why a delivery exists.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// The event was published.
    Live,
    /// A person asked for this one delivery once more.
    Resend,
    /// A replay asked for it once more.
    Replay(ReplayId),
    /// A person sent the type's example.
    Test,
}

/// A delivery that fan-out asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewDelivery {
    /// Names the delivery.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// The order in which it stands, if any.
    pub order: Option<OrderKey>,
}

/// A webhook that wants the event but must not get it now: recorded, so that it can be replayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Skip {
    /// Names the delivery that is recorded.
    pub id: DeliveryId,
    /// Whose it would have been.
    pub webhook: WebhookId,
    /// Why not.
    pub reason: SkipReason,
}

/// Which deliveries are wanted; what is not set does not filter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeliveryFilter {
    /// Only of this webhook.
    pub webhook: Option<WebhookId>,
    /// Only of this event.
    pub event: Option<EventId>,
    /// Only made at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only made before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only of these types; empty means all.
    pub event_types: Vec<EventType>,
    /// Only with one of these statuses; empty means all.
    pub statuses: Vec<StatusKind>,
    /// Only delivered (`true`), or only not delivered (`false`).
    pub success: Option<bool>,
}

/// What a listing brings along with each delivery.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Include {
    /// The event's payload.
    pub payload: bool,
    /// The attempts, oldest first.
    pub attempts: bool,
}

/// A delivery with what was asked for along with it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// The payload, if asked for and neither erased nor past its retention.
    pub payload: Option<Bytes>,
    /// The attempts, oldest first; empty if not asked for.
    pub attempts: Vec<Arc<Attempt>>,
}

impl Delivery {
    /// A delivery that waits to be made.
    pub fn new(
        id: DeliveryId,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
        event_type: EventType,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            tenant,
            webhook,
            event,
            event_type,
            status: DeliveryStatus::Pending,
            origin,
            attempts: 0,
            created_at: now,
            updated_at: now,
            next_attempt_at: Some(now),
            last_status: None,
            last_error: None,
        }
    }
}

impl DeliveryStatus {
    /// The status without its reason.
    pub const fn kind(&self) -> StatusKind {
        match self {
            Self::Pending => StatusKind::Pending,
            Self::Delivered => StatusKind::Delivered,
            Self::DeadLetter(_) => StatusKind::DeadLetter,
            Self::Skipped(_) => StatusKind::Skipped,
            Self::Stopped => StatusKind::Stopped,
        }
    }

    /// Whether nothing more happens to the delivery by itself.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Delivered | Self::DeadLetter(_) | Self::Skipped(_))
    }

    /// The reason's word, if there is a reason.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::DeadLetter(reason) => Some(reason.as_str()),
            Self::Skipped(reason) => Some(reason.as_str()),
            Self::Pending | Self::Delivered | Self::Stopped => None,
        }
    }
}

words!(StatusKind {
    Pending => "pending",
    Delivered => "delivered",
    DeadLetter => "dead_letter",
    Skipped => "skipped",
    Stopped => "stopped",
});

words!(DeadReason {
    Exhausted => "exhausted",
    Gone => "gone",
    Rejected => "rejected",
    Expired => "expired",
    Interrupted => "interrupted",
    Unsendable => "unsendable",
    Unmapped => "unmapped",
    SkippedByPerson => "skipped_by_person",
});

words!(SkipReason {
    WebhookDisabled => "webhook_disabled",
    WebhookDeleted => "webhook_deleted",
    Erased => "erased",
});

impl Origin {
    /// The word that logs and listings use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Resend => "resend",
            Self::Replay(_) => "replay",
            Self::Test => "test",
        }
    }

    /// Whether its failures count towards the webhook's health.
    pub const fn counts_for_health(self) -> bool {
        matches!(self, Self::Live)
    }
}

impl NewDelivery {
    /// A delivery to this webhook, in this order.
    pub fn new(id: DeliveryId, webhook: WebhookId, order: Option<OrderKey>) -> Self {
        Self { id, webhook, order }
    }
}

impl Skip {
    /// A recorded refusal.
    pub fn new(id: DeliveryId, webhook: WebhookId, reason: SkipReason) -> Self {
        Self { id, webhook, reason }
    }
}

impl DeliveryFilter {
    /// Whether the delivery is wanted.
    pub fn matches(&self, delivery: &Delivery) -> bool {
        self.webhook.is_none_or(|webhook| webhook == delivery.webhook)
            && self.event.is_none_or(|event| event == delivery.event)
            && self.from.is_none_or(|from| from <= delivery.created_at)
            && self.to.is_none_or(|to| delivery.created_at < to)
            && (self.event_types.is_empty() || self.event_types.contains(&delivery.event_type))
            && (self.statuses.is_empty() || self.statuses.contains(&delivery.status.kind()))
            && self.success.is_none_or(|success| success == (delivery.status == DeliveryStatus::Delivered))
    }
}

impl DeliveryRecord {
    /// A delivery alone.
    pub fn new(delivery: Delivery) -> Self {
        Self { delivery, payload: None, attempts: Vec::new() }
    }

    /// With the event's payload.
    #[must_use]
    pub fn with_payload(mut self, payload: Option<Bytes>) -> Self {
        self.payload = payload;
        self
    }

    /// With the attempts, oldest first.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Arc<Attempt>>) -> Self {
        self.attempts = attempts;
        self
    }
}

impl std::fmt::Debug for DeliveryRecord {
    /// The payload is left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeliveryRecord")
            .field("delivery", &self.delivery)
            .field("payload_bytes", &self.payload.as_ref().map(Bytes::len))
            .field("attempts", &self.attempts)
            .finish()
    }
}
