//! CloudEvents 1.0: a vendor-neutral envelope, all in the body or with the attributes in headers.
//!
//! Sources: [the specification](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md),
//! [its JSON format](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md),
//! [its HTTP binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::events::envelope::format::{Body, InvalidFormat, data_of};
use crate::events::envelope::json_text::{HEX, push_string};
use crate::events::envelope::time::rfc3339_millis;
use crate::events::model::Event;

/// Events as CloudEvents: `id`, `source`, `type` and `time`, `subject` and the extension `traceparent` where the event
/// has them, and the payload as `data` of the content type `application/json`.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::events::{CloudEventsFormat, Event, EventHead, PayloadFormat};
/// use crossdock::primitives::EventId;
///
/// let at = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(at, [7; 10]), "org_42".parse()?, "stock.counted".parse()?, at)
///     .with_subject("SKU A-7");
/// let event = Event::new(head, r#"{"units":3.10}"#);
///
/// let structured = PayloadFormat::from(CloudEventsFormat::structured("/shop")?).render(&event);
/// assert_eq!(structured.content_type, "application/cloudevents+json; charset=utf-8");
/// assert!(structured.bytes.starts_with(br#"{"specversion":"1.0","type":"stock.counted","source":"/shop","#));
///
/// let binary = PayloadFormat::from(CloudEventsFormat::binary("/shop")?.with_type_prefix("com.example.")?).render(&event);
/// assert_eq!(binary.content_type, "application/json");
/// assert_eq!(binary.headers["ce-type"], "com.example.stock.counted");
/// assert_eq!(binary.headers["ce-subject"], "SKU%20A-7");
/// assert_eq!(binary.bytes, r#"{"units":3.10}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloudEventsFormat {
    mode: CloudEventsMode,
    source: Arc<str>,
    source_header: HeaderValue,
    type_prefix: Arc<str>,
}

/// Where the attributes of a CloudEvent stand.
///
/// ```
/// use crossdock::events::{CloudEventsFormat, CloudEventsMode};
///
/// assert_eq!(CloudEventsFormat::structured("/shop")?.mode(), CloudEventsMode::Structured);
/// # Ok::<(), crossdock::events::InvalidFormat>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CloudEventsMode {
    /// In the body, beside the data.
    Structured,
    /// In headers; the body is the data alone.
    Binary,
}

impl CloudEventsFormat {
    /// All in the body. The source names the context in which events happen, as a URI reference.
    ///
    /// # Errors
    /// The source is no URI reference of 1 to 1024 bytes.
    pub fn structured(source: &str) -> Result<Self, InvalidFormat> {
        Self::new(CloudEventsMode::Structured, source)
    }

    /// The attributes in headers, the data alone in the body.
    ///
    /// # Errors
    /// The source is no URI reference of 1 to 1024 bytes.
    pub fn binary(source: &str) -> Result<Self, InvalidFormat> {
        Self::new(CloudEventsMode::Binary, source)
    }

    /// In this mode.
    ///
    /// # Errors
    /// The source is no URI reference of 1 to 1024 bytes.
    pub fn new(mode: CloudEventsMode, source: &str) -> Result<Self, InvalidFormat> {
        if !is_uri_reference(source) {
            return Err(InvalidFormat::Source);
        }
        Ok(Self { mode, source: source.into(), source_header: header_value(source), type_prefix: "".into() })
    }

    /// Puts this in front of every type: the specification advises a reversed domain, such as `com.example.`.
    ///
    /// # Errors
    /// The prefix has other characters than letters, digits, dots, hyphens and underscores, or more than 128.
    pub fn with_type_prefix(mut self, prefix: &str) -> Result<Self, InvalidFormat> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if prefix.len() > MAX_PREFIX_BYTES || !prefix.bytes().all(is_plain) {
            return Err(InvalidFormat::TypePrefix);
        }
        self.type_prefix = prefix.into();
        Ok(self)
    }

    /// Where the attributes stand.
    pub fn mode(&self) -> CloudEventsMode {
        self.mode
    }

    /// The context in which events happen.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What stands in front of every type.
    pub fn type_prefix(&self) -> &str {
        &self.type_prefix
    }

    pub(crate) fn render(&self, event: &Event) -> Body {
        match self.mode {
            CloudEventsMode::Structured => self.structured_body(event),
            CloudEventsMode::Binary => self.binary_body(event),
        }
    }

    fn structured_body(&self, event: &Event) -> Body {
        let data = data_of(event);
        let mut text = Vec::with_capacity(data.len() + self.source.len() + ATTRIBUTES_BYTES);
        text.extend_from_slice(b"{\"specversion\":\"1.0\"");
        let event_type = self.type_of(event);
        let id = event.id.to_string();
        let time = rfc3339_millis(event.occurred_at);
        let attributes = [
            ("type", Some(event_type.as_str())),
            ("source", Some(&*self.source)),
            ("id", Some(&*id)),
            ("time", std::str::from_utf8(&time).ok()),
            ("subject", event.subject.as_deref()),
            ("datacontenttype", Some("application/json")),
            ("traceparent", event.traceparent.as_deref()),
        ];
        for (name, value) in attributes {
            let Some(value) = value else { continue };
            text.push(b',');
            push_string(&mut text, name);
            text.push(b':');
            push_string(&mut text, value);
        }
        text.extend_from_slice(b",\"data\":");
        text.extend_from_slice(data);
        text.push(b'}');
        Body::new(HeaderValue::from_static("application/cloudevents+json; charset=utf-8"), text)
    }

    fn binary_body(&self, event: &Event) -> Body {
        let mut headers = HeaderMap::with_capacity(7);
        headers.insert(CE_SPECVERSION, HeaderValue::from_static("1.0"));
        headers.insert(CE_TYPE, header_value(&self.type_of(event)));
        headers.insert(CE_SOURCE, self.source_header.clone());
        headers.insert(CE_ID, header_value(&event.id.to_string()));
        headers.insert(CE_TIME, header_value(&String::from_utf8_lossy(&rfc3339_millis(event.occurred_at))));
        if let Some(subject) = &event.subject {
            headers.insert(CE_SUBJECT, header_value(subject));
        }
        if let Some(traceparent) = &event.traceparent {
            headers.insert(CE_TRACEPARENT, header_value(traceparent));
        }
        // Shared, not copied: in this mode the payload is the body.
        let data = if event.payload.is_empty() { Bytes::from_static(b"null") } else { event.payload.clone() };
        let mut body = Body::new(HeaderValue::from_static("application/json"), data);
        body.headers = headers;
        body
    }

    fn type_of(&self, event: &Event) -> String {
        [&*self.type_prefix, event.event_type.as_str()].concat()
    }
}

/// The value of an attribute as a header: §3.1.3.2 of the HTTP binding encodes space, quotation mark, percent sign and
/// everything outside printable ASCII.
fn header_value(text: &str) -> HeaderValue {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | ..=0x20 | 0x7f.. => {
                encoded.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => encoded.push(byte),
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(encoded)).expect("printable ASCII is the value of a header")
}

/// The grammar of RFC 3986, as far as an opaque name needs it: the right characters, whole `%xx`, a scheme before the
/// first colon, one fragment.
fn is_uri_reference(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let is_hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    let first_segment = text.split(['/', '?', '#']).next().unwrap_or("");
    (1..=MAX_SOURCE_BYTES).contains(&bytes.len())
        && bytes.iter().all(|byte| is_allowed(*byte))
        && escapes
            .into_iter()
            .all(|(at, _)| is_hex(bytes.get(at + 1).copied()) && is_hex(bytes.get(at + 2).copied()))
        && bytes.iter().filter(|byte| **byte == b'#').count() <= 1
        && first_segment.split_once(':').is_none_or(|(scheme, _)| is_scheme(scheme))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TRACEPARENT: HeaderName = HeaderName::from_static("ce-traceparent");
const MAX_SOURCE_BYTES: usize = 1024;
const MAX_PREFIX_BYTES: usize = 128;
/// What the attributes take without the source, more or less; only a first guess at the size.
const ATTRIBUTES_BYTES: usize = 320;
