//! What the host hands in to be published, and what is left of it once the catalogue has said yes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::error::{Error, Problem, Result};
use crate::events::event_type::EventType;
use crate::events::model::{Event, EventHead};
use crate::primitives::id::EventId;
use crate::tenancy::model::{Entitlement, TenantId};

/// Something that happened, as the host tells it: raw until a
/// [`CompiledCatalog`](crate::events::CompiledCatalog) has checked it.
///
/// ```
/// use crossdock::events::NewEvent;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Shipment<'a> {
///     order: &'a str,
///     parcels: u32,
/// }
///
/// let event = NewEvent::new("org_42".parse()?, "shipment.shipped", &Shipment { order: "A-7", parcels: 2 })?
///     .with_idempotency_key("shipment-A-7")
///     .with_subject("customer_5");
///
/// assert_eq!(event.payload(), br#"{"order":"A-7","parcels":2}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct NewEvent {
    pub(crate) tenant: TenantId,
    pub(crate) event_type: String,
    pub(crate) payload: Payload,
    pub(crate) labels: Labels,
}

/// An event that the catalogue has accepted: of a known type, within every bound, matching its schema.
///
/// It becomes an [`Event`] once it has an id and a time, which decisions do not make up themselves.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
/// use crossdock::primitives::EventId;
/// use serde_json::json;
///
/// let catalog = EventCatalog::new().with(EventTypeSpec::new("shipment.shipped")).compile(None)?;
/// let checked = catalog.check(NewEvent::new("org_42".parse()?, "shipment.shipped", &json!({"order": "A-7"}))?)?;
///
/// let now = DateTime::UNIX_EPOCH;
/// let event = checked.into_event(EventId::mint(now, [7; 10]), now);
///
/// assert_eq!(event.payload, r#"{"order":"A-7"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CheckedEvent {
    tenant: TenantId,
    event_type: EventType,
    gate: BTreeSet<Entitlement>,
    payload: Bytes,
    labels: Labels,
    warnings: Vec<Problem>,
}

#[derive(Clone)]
pub(crate) enum Payload {
    /// Written by a serializer: it is JSON.
    Written(Bytes),
    /// Whatever the host had lying around.
    Given(Bytes),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) idempotency_key: Option<Arc<str>>,
    pub(crate) occurred_at: Option<DateTime<Utc>>,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) ordering_key: Option<Arc<str>>,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) channels: Vec<Arc<str>>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) traceparent: Option<Arc<str>>,
}

impl NewEvent {
    /// An event whose `data` is this value, which is serialised here and never again.
    ///
    /// # Errors
    /// The value cannot be written as JSON, for instance because a map's keys are no strings.
    pub fn new(
        tenant: TenantId,
        event_type: impl Into<String>,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Self> {
        let json = written(data).map_err(|cause| {
            let fix = "give a value that serde can write as JSON, with strings as keys";
            let problem = Problem::new("data", "the payload must be JSON", fix);
            Error::invalid("publish event", [problem]).with_source(cause)
        })?;
        let payload = Payload::Written(json);
        Ok(Self { tenant, event_type: event_type.into(), payload, labels: Labels::default() })
    }

    /// An event whose `data` is this JSON text; whether it is one, the catalogue checks.
    ///
    /// The bytes reach every receiver as they are, digit for digit; only white space around them is dropped.
    ///
    /// ```
    /// use crossdock::events::NewEvent;
    ///
    /// let event = NewEvent::from_json("org_42".parse()?, "stock.counted", r#"{"units":9007199254740993.10}"#);
    ///
    /// assert_eq!(event.payload(), br#"{"units":9007199254740993.10}"#);
    /// # Ok::<(), crossdock::tenancy::InvalidTenantId>(())
    /// ```
    pub fn from_json(tenant: TenantId, event_type: impl Into<String>, data: impl Into<Bytes>) -> Self {
        let payload = Payload::Given(data.into());
        Self { tenant, event_type: event_type.into(), payload, labels: Labels::default() }
    }

    /// Makes publishing repeatable: the same key returns the first event and makes nothing new.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.labels.idempotency_key = Some(key.into());
        self
    }

    /// Says when it happened, if not now.
    #[must_use]
    pub fn with_occurred_at(mut self, occurred_at: DateTime<Utc>) -> Self {
        self.labels.occurred_at = Some(occurred_at);
        self
    }

    /// Adds a label below the tenant, such as a merchant; webhooks can be bound to one.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.labels.owner = Some(owner.into());
        self
    }

    /// Adds the key within which ordered webhooks keep the order of publishing.
    #[must_use]
    pub fn with_ordering_key(mut self, ordering_key: impl Into<Arc<str>>) -> Self {
        self.labels.ordering_key = Some(ordering_key.into());
        self
    }

    /// Says whom or what the event is about, so that it can be erased.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.labels.subject = Some(subject.into());
        self
    }

    /// Adds labels by which webhooks narrow down what they hear.
    #[must_use]
    pub fn with_channels<C: Into<Arc<str>>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.labels.channels.extend(channels.into_iter().map(Into::into));
        self
    }

    /// Adds notes that stay with the event and that receivers do not see.
    #[must_use]
    pub fn with_metadata<K: Into<String>, V: Into<String>>(
        mut self,
        metadata: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.labels.metadata.extend(metadata.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Adds the W3C trace context, as the header `traceparent` spells it.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: impl Into<Arc<str>>) -> Self {
        self.labels.traceparent = Some(traceparent.into());
        self
    }

    /// For whom it happened.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What happened, as the host wrote it.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The bytes of `data`.
    pub fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Written(bytes) | Payload::Given(bytes) => bytes,
        }
    }
}

impl CheckedEvent {
    pub(crate) fn new(
        tenant: TenantId,
        event_type: EventType,
        gate: BTreeSet<Entitlement>,
        payload: Bytes,
        labels: Labels,
        warnings: Vec<Problem>,
    ) -> Self {
        Self { tenant, event_type, gate, payload, labels, warnings }
    }

    /// For whom it happened.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What happened.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The JSON text of `data`.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Under which key publishing it again makes nothing new.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.labels.idempotency_key.as_deref()
    }

    /// What the schema has against the payload, for types under [`SchemaMode::Warn`](crate::events::SchemaMode::Warn).
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The event, published now under this id.
    ///
    /// Times are cut to whole microseconds: no database keeps more, and an event must read back as it was written.
    pub fn into_event(self, id: EventId, now: DateTime<Utc>) -> Event {
        let Self { tenant, event_type, gate, payload, labels, warnings: _ } = self;
        let published_at = whole_microseconds(now);
        let head = EventHead {
            occurred_at: labels.occurred_at.map_or(published_at, whole_microseconds),
            owner: labels.owner,
            ordering_key: labels.ordering_key,
            subject: labels.subject,
            channels: labels.channels,
            gate,
            metadata: labels.metadata,
            traceparent: labels.traceparent,
            ..EventHead::new(id, tenant, event_type, published_at)
        };
        Event::new(head, payload)
    }
}

/// The value as JSON, in memory of exactly its size: a store in memory keeps it for as long as the event.
///
/// It is first written into a buffer that the thread keeps, because a buffer that has to grow with every event costs
/// several times as much.
fn written(data: &(impl Serialize + ?Sized)) -> serde_json::Result<Bytes> {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // Taken rather than borrowed: serialising a value may well make another event.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    serde_json::to_writer(&mut buffer, data)?;
    let json = Bytes::copy_from_slice(&buffer);
    if buffer.capacity() <= MOST_KEPT {
        // A thread that is ending keeps nothing.
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
    Ok(json)
}

impl fmt::Debug for NewEvent {
    /// The payload is left out: it is the tenant's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("tenant", &self.tenant)
            .field("event_type", &self.event_type)
            .field("payload_bytes", &self.payload().len())
            .field("labels", &self.labels)
            .finish()
    }
}

impl fmt::Debug for CheckedEvent {
    /// The payload is left out: it is the tenant's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedEvent")
            .field("tenant", &self.tenant)
            .field("event_type", &self.event_type)
            .field("payload_bytes", &self.payload.len())
            .field("labels", &self.labels)
            .field("warnings", &self.warnings)
            .finish()
    }
}

fn whole_microseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// A buffer that has grown beyond this is given back.
const MOST_KEPT: usize = 64 * 1024;
