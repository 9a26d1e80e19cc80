//! An event: what happened, for whom, when, and its payload.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::events::event_type::EventType;
use crate::primitives::id::EventId;
use crate::tenancy::model::{Entitlement, TenantId};

/// Everything about an event but its payload: small enough for listings and for fan-out.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::events::EventHead;
/// use crossdock::primitives::EventId;
///
/// let now = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(now, [7; 10]), "org_42".parse()?, "shipment.shipped".parse()?, now)
///     .with_owner("merchant_9")
///     .with_channels(["eu"]);
///
/// assert_eq!(head.occurred_at, head.published_at);
/// assert_eq!(head.owner.as_deref(), Some("merchant_9"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EventHead {
    /// Names the event; receivers see it as `webhook-id`, on every attempt and every replay.
    pub id: EventId,
    /// For whom it happened.
    pub tenant: TenantId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened: the time that receivers see.
    pub occurred_at: DateTime<Utc>,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// A label below the tenant, such as a merchant; webhooks can be bound to one.
    pub owner: Option<Arc<str>>,
    /// Events with the same key reach an ordered webhook in the order in which they were published.
    pub ordering_key: Option<Arc<str>>,
    /// Whom or what the event is about, so that it can be erased.
    pub subject: Option<Arc<str>>,
    /// Labels by which webhooks narrow down what they hear.
    pub channels: Vec<Arc<str>>,
    /// The modules of which a tenant needs one to hear of this type, as the catalogue had it at the time of publishing;
    /// empty means that it is open to everybody.
    pub gate: BTreeSet<Entitlement>,
    /// The host's own notes; receivers do not see them.
    pub metadata: BTreeMap<String, String>,
    /// The W3C trace context of whoever published it.
    pub traceparent: Option<Arc<str>>,
}

/// One published event, with its payload byte for byte.
///
/// It reads like its [`EventHead`]. Its `Debug` shows how long the payload is, not what it says.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::events::{Event, EventHead};
/// use crossdock::primitives::EventId;
///
/// let now = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(now, [7; 10]), "org_42".parse()?, "shipment.shipped".parse()?, now);
/// let event = Event::new(head, r#"{"order":12345678901234567890}"#);
///
/// assert_eq!(event.event_type.as_str(), "shipment.shipped");
/// assert!(!format!("{event:?}").contains("12345678901234567890"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Everything but the payload.
    pub head: EventHead,
    /// The JSON text of `data`, exactly as it was published; empty once it has been erased.
    pub payload: Bytes,
}

impl EventHead {
    /// An event that is published as it happens, without labels.
    pub fn new(id: EventId, tenant: TenantId, event_type: EventType, published_at: DateTime<Utc>) -> Self {
        Self {
            id,
            tenant,
            event_type,
            occurred_at: published_at,
            published_at,
            owner: None,
            ordering_key: None,
            subject: None,
            channels: Vec::new(),
            gate: BTreeSet::new(),
            metadata: BTreeMap::new(),
            traceparent: None,
        }
    }

    /// Says when it happened, if not at the time of publishing.
    #[must_use]
    pub fn with_occurred_at(mut self, occurred_at: DateTime<Utc>) -> Self {
        self.occurred_at = occurred_at;
        self
    }

    /// Adds the label below the tenant.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Adds the key within which order is kept.
    #[must_use]
    pub fn with_ordering_key(mut self, ordering_key: impl Into<Arc<str>>) -> Self {
        self.ordering_key = Some(ordering_key.into());
        self
    }

    /// Says whom or what the event is about.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Adds channels.
    #[must_use]
    pub fn with_channels<C: Into<Arc<str>>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels.extend(channels.into_iter().map(Into::into));
        self
    }

    /// Closes the event to tenants that have none of these modules.
    #[must_use]
    pub fn with_gate(mut self, gate: BTreeSet<Entitlement>) -> Self {
        self.gate = gate;
        self
    }

    /// Adds notes.
    #[must_use]
    pub fn with_metadata<K: Into<String>, V: Into<String>>(
        mut self,
        metadata: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.metadata.extend(metadata.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Adds the trace context.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: impl Into<Arc<str>>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }
}

impl Event {
    /// An event as the catalogue has checked it, or as a store has kept it.
    pub fn new(head: EventHead, payload: impl Into<Bytes>) -> Self {
        Self { head, payload: payload.into() }
    }
}

impl Deref for Event {
    type Target = EventHead;

    fn deref(&self) -> &EventHead {
        &self.head
    }
}

impl fmt::Debug for Event {
    /// The payload is left out: it is the tenant's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("head", &self.head).field("payload_bytes", &self.payload.len()).finish()
    }
}
