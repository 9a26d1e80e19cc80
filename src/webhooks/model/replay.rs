//! A stored job that sends past deliveries once more.

use chrono::{DateTime, Utc};

use crate::events::event_type::EventType;
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::primitives::stored::word::words;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::delivery::{Delivery, Origin, StatusKind};

/// Sends a webhook's past deliveries once more, slowly, in a lane of its own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Replay {
    /// Names the job.
    pub id: ReplayId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where the deliveries go.
    pub webhook: WebhookId,
    /// Which deliveries.
    pub filter: ReplayFilter,
    /// How many are made per second at most.
    pub per_second: u32,
    /// How it stands.
    pub state: ReplayState,
    /// How many deliveries matched when it was started.
    pub matched: u64,
    /// How many have been made so far.
    pub made: u64,
    /// The last past delivery that was looked at; the job goes on behind it.
    pub position: Option<DeliveryId>,
    /// When the next ones are made.
    pub next_at: DateTime<Utc>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which past deliveries of a webhook a replay sends once more: those that were made because their event was
/// published, each once.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReplayFilter {
    /// Only made at or after this time.
    pub from: DateTime<Utc>,
    /// Only made before this time.
    pub to: DateTime<Utc>,
    /// Only with one of these statuses, dead letters and skipped ones unless said otherwise; empty means all.
    pub statuses: Vec<StatusKind>,
    /// Only of these types; empty means all.
    pub event_types: Vec<EventType>,
}

/// How a replay stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReplayState {
    /// It makes deliveries.
    Running,
    /// It has made all of them.
    Completed,
    /// A person has ended it; what it had made goes on.
    Cancelled,
}

impl Replay {
    /// A job that begins now.
    pub fn new(
        id: ReplayId,
        tenant: TenantId,
        webhook: WebhookId,
        filter: ReplayFilter,
        per_second: u32,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            tenant,
            webhook,
            filter,
            per_second,
            state: ReplayState::Running,
            matched: 0,
            made: 0,
            position: None,
            next_at: now,
            created_at: now,
            updated_at: now,
        }
    }
}

impl ReplayFilter {
    /// Dead letters and skipped deliveries of this time range: what never arrived.
    pub fn undelivered(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self {
            from,
            to,
            statuses: vec![StatusKind::DeadLetter, StatusKind::Skipped],
            event_types: Vec::new(),
        }
    }

    /// With these statuses instead.
    #[must_use]
    pub fn with_statuses(mut self, statuses: impl IntoIterator<Item = StatusKind>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Only of these types.
    #[must_use]
    pub fn with_event_types(mut self, event_types: impl IntoIterator<Item = EventType>) -> Self {
        self.event_types = event_types.into_iter().collect();
        self
    }

    /// Whether the delivery is sent once more.
    pub fn matches(&self, delivery: &Delivery) -> bool {
        delivery.origin == Origin::Live
            && self.from <= delivery.created_at
            && delivery.created_at < self.to
            && (self.statuses.is_empty() || self.statuses.contains(&delivery.status.kind()))
            && (self.event_types.is_empty() || self.event_types.contains(&delivery.event_type))
    }
}

words!(ReplayState {
    Running => "running",
    Completed => "completed",
    Cancelled => "cancelled",
});
