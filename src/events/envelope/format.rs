//! The choice of a format, and what every format gives.

use std::fmt::{self, Debug};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Problem;
use crate::events::envelope::cloud_events::CloudEventsFormat;
use crate::events::envelope::flat::FlatFormat;
use crate::events::envelope::standard::StandardFormat;
use crate::events::model::Event;

/// How a webhook's events are written.
///
/// ```
/// use crossdock::events::{CloudEventsFormat, FlatFormat, PayloadFormat, StandardFormat};
///
/// let renamed = PayloadFormat::from(StandardFormat::new().with_type_field("eventType")?);
/// let binary = PayloadFormat::from(CloudEventsFormat::binary("https://example.com/shop")?);
/// let flat = PayloadFormat::from(FlatFormat::new());
///
/// assert_ne!(renamed, PayloadFormat::default());
/// assert_ne!(binary, flat);
///
/// // One of the host's own, by the name that its hub knows it by.
/// assert_eq!(PayloadFormat::from("edifact"), PayloadFormat::Named("edifact".into()));
/// # Ok::<(), crossdock::events::InvalidFormat>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PayloadFormat {
    /// `{"type","timestamp","data"}`.
    Standard(StandardFormat),
    /// CloudEvents 1.0.
    CloudEvents(CloudEventsFormat),
    /// The payload's own fields, and the envelope's beside them.
    Flat(FlatFormat),
    /// The host's own, by the name under which [`payload_format`](crate::HubBuilder::payload_format) was given it.
    Named(Arc<str>),
}

/// What is sent: the same for the same event, however often it is rendered.
///
/// ```
/// use crossdock::events::Body;
/// use http::HeaderValue;
///
/// let body = Body::new(HeaderValue::from_static("text/plain"), "42");
///
/// assert_eq!(body.content_type, "text/plain");
/// assert!(body.headers.is_empty());
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Body {
    /// The header `content-type`.
    pub content_type: HeaderValue,
    /// Headers that are part of the format, such as `ce-id`.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Bytes,
}

/// A format of the host's own: its hub is given it under a name, and webhooks ask for it by that name.
///
/// # Contract
/// - `render` depends on the event alone: the same event gives the same body, on every attempt and in every process.
/// - `render` copes with every payload that the catalogue lets through, and with an empty one, which an erased event has.
/// - A name stands for one way of writing, in every process and for ever: webhooks are kept with the name, and events
///   that were promised under it are still to be delivered. Another way of writing takes another name, such as `erp.2`.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{Body, CustomFormat, Event, EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::NewWebhook;
/// use http::HeaderValue;
///
/// #[derive(Debug)]
/// struct Bare;
///
/// impl CustomFormat for Bare {
///     fn render(&self, event: &Event) -> Body {
///         Body::new(HeaderValue::from_static("application/json"), event.payload.clone())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder()
///     .events(EventCatalog::new().with(EventTypeSpec::new("order.placed")))
///     .payload_format("bare", Bare)
///     .build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
///
/// let erp = NewWebhook::to("https://erp.example.com/").events(["*"]).format("bare");
/// assert!(webhooks.create(erp).await.is_ok());
///
/// let slip = NewWebhook::to("https://erp.example.com/").events(["*"]).format("bear");
/// let error = webhooks.create(slip).await.unwrap_err();
/// assert_eq!(error.problems()[0].fix, "choose among `bare`");
/// # Ok(()) }
/// ```
pub trait CustomFormat: Debug + Send + Sync + 'static {
    /// Writes the event.
    fn render(&self, event: &Event) -> Body;
}

/// A format cannot be made like that.
///
/// ```
/// use crossdock::Problem;
/// use crossdock::events::{InvalidFormat, StandardFormat};
///
/// let refused = StandardFormat::new().with_type_field("data").expect_err("taken");
///
/// assert_eq!(refused, InvalidFormat::FieldTaken);
/// assert_eq!(Problem::from(refused).field, "format.fields");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFormat {
    /// The name of a field is empty, too long, or would have to be escaped.
    #[error("a field's name is 1 to 64 printable ASCII characters without quotation marks and backslashes")]
    FieldName,
    /// Two fields would have the same name.
    #[error(
        "the fields of an envelope have names that differ, and none takes a name that the format needs itself"
    )]
    FieldTaken,
    /// The source of a CloudEvent.
    #[error("a source is a URI reference of 1 to 1024 bytes, such as `https://example.com/shop` or `/shop`")]
    Source,
    /// The beginning of a CloudEvent's type.
    #[error(
        "a type's prefix is at most 128 letters, digits, dots, hyphens and underscores, such as `com.example.`"
    )]
    TypePrefix,
    /// The pattern of a time.
    #[error("a time's pattern is 1 to 64 bytes of strftime, such as `%Y-%m-%d %H:%M:%S`")]
    TimePattern,
    /// The pattern of a time names a zone that is not the chosen one.
    #[error("a time's pattern writes the zone that was chosen, or none")]
    TimeZone,
}

impl PayloadFormat {
    /// Writes the event: every event gives a body.
    ///
    /// `None` is the answer of a format of the host's own: only the hub that was given it knows how it writes.
    pub fn render(&self, event: &Event) -> Option<Body> {
        match self {
            Self::Standard(format) => Some(format.render(event)),
            Self::CloudEvents(format) => Some(format.render(event)),
            Self::Flat(format) => Some(format.render(event)),
            Self::Named(_) => None,
        }
    }
}

impl Default for PayloadFormat {
    fn default() -> Self {
        Self::Standard(StandardFormat::default())
    }
}

impl From<StandardFormat> for PayloadFormat {
    fn from(format: StandardFormat) -> Self {
        Self::Standard(format)
    }
}

impl From<CloudEventsFormat> for PayloadFormat {
    fn from(format: CloudEventsFormat) -> Self {
        Self::CloudEvents(format)
    }
}

impl From<FlatFormat> for PayloadFormat {
    fn from(format: FlatFormat) -> Self {
        Self::Flat(format)
    }
}

impl From<&str> for PayloadFormat {
    /// The host's own format of this name.
    fn from(name: &str) -> Self {
        Self::Named(name.into())
    }
}

impl Body {
    /// A body without headers of its own.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self { content_type, headers: HeaderMap::new(), bytes: bytes.into() }
    }

    /// Adds a header that is part of the format.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn json(bytes: Vec<u8>) -> Self {
        Self::new(HeaderValue::from_static("application/json"), bytes)
    }
}

impl Debug for Body {
    /// Bytes and the values of headers are left out: they are the tenant's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("content_type", &self.content_type)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

impl From<InvalidFormat> for Problem {
    fn from(invalid: InvalidFormat) -> Self {
        let (field, fix) = match invalid {
            InvalidFormat::FieldName => ("format.fields", "give a name such as `eventType`"),
            InvalidFormat::FieldTaken => ("format.fields", "give each field a name of its own"),
            InvalidFormat::Source => {
                ("format.source", "give the URL of the product, such as `https://example.com`")
            }
            InvalidFormat::TypePrefix => {
                ("format.type_prefix", "give a reversed domain, such as `com.example.`")
            }
            InvalidFormat::TimePattern => ("format.time", "give a pattern such as `%Y-%m-%dT%H:%M:%S`"),
            InvalidFormat::TimeZone => ("format.time", "end the pattern with `%:z`, or with no zone at all"),
        };
        Self::new(field, invalid.to_string(), fix)
    }
}

/// Whether the name can stand in a JSON text as it is.
pub(crate) fn check_field_name(name: &str) -> Result<(), InvalidFormat> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
        Ok(())
    } else {
        Err(InvalidFormat::FieldName)
    }
}

/// The payload as it stands in an envelope; an erased one is nothing, which JSON calls `null`.
pub(crate) fn data_of(event: &Event) -> &[u8] {
    if event.payload.is_empty() { b"null" } else { &event.payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::envelope::json_text::tests::{any_json, event};
    use crate::events::envelope::time::{TimeFormat, Zone};
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn formats() -> Vec<PayloadFormat> {
        let pattern = TimeFormat::strftime("%c %s", Zone::Unwritten).expect("a pattern");
        vec![
            PayloadFormat::default(),
            CloudEventsFormat::structured("/shop").expect("a source").into(),
            CloudEventsFormat::binary("/shop").expect("a source").into(),
            FlatFormat::new().into(),
            FlatFormat::new().with_time(pattern).into(),
        ]
    }

    /// A guide that shows what is not so misleads; this is where its samples come from.
    #[test]
    fn the_samples_of_the_guide_are_true() -> Result<(), InvalidFormat> {
        const GUIDE: &str = include_str!("../../../docs/events.md");
        let mut event = event("shipment.shipped", r#"{"order": "A-7", "total": 9007199254740993.10}"#);
        event.head = event.head.with_subject("customer 5");
        let cloud =
            |format: CloudEventsFormat| format.with_type_prefix("com.example.").map(PayloadFormat::from);
        let source = "https://example.com/shop";

        for format in [
            PayloadFormat::default(),
            cloud(CloudEventsFormat::structured(source)?)?,
            cloud(CloudEventsFormat::binary(source)?)?,
            FlatFormat::new().into(),
        ] {
            let body = format.render(&event).expect("a format of ours");
            let mut sample = format!("content-type: {}\n", body.content_type.to_str().unwrap());
            for (name, value) in &body.headers {
                sample.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
            }
            sample.push_str(&format!("\n{}\n", String::from_utf8_lossy(&body.bytes)));
            assert!(GUIDE.contains(&sample), "not in the guide:\n{sample}");
        }
        Ok(())
    }

    #[test]
    fn formats_are_equal_if_they_write_alike() {
        for (index, left) in formats().into_iter().enumerate() {
            for (other, right) in formats().into_iter().enumerate() {
                assert_eq!(left == right, index == other, "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn debug_output_never_shows_a_body() {
        let mut event = event("a", "\"hunter2\"");
        event.head = event.head.with_subject("hunter2");

        for format in formats() {
            let text = format!("{:?}", format.render(&event).expect("a format of ours"));
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_event_is_the_same_json_every_time(json in any_json(), subject in any::<String>(), edge in 0..3) {
            let mut event = event("a.b", &json);
            event.head = event.head.with_subject(subject);
            event.head.occurred_at = [DateTime::<Utc>::MIN_UTC, event.occurred_at, DateTime::<Utc>::MAX_UTC][edge as usize];

            for format in formats() {
                let body = format.render(&event).expect("a format of ours");
                prop_assert_eq!(Some(body.clone()), format.render(&event));
                let read: Result<&RawValue, _> = serde_json::from_slice(&body.bytes);
                prop_assert!(read.is_ok(), "{:?}: {:?}", format, body.bytes);
            }
        }
    }
}
