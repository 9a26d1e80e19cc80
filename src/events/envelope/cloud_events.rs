//! CloudEvents 1.0: a vendor-neutral envelope, all in the body or with the attributes in headers.
//!
//! Sources: [the specification](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md),
//! [its JSON format](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md),
//! [its HTTP binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::events::envelope::attribute::{header_value, is_uri_reference};
use crate::events::envelope::format::{Body, InvalidFormat, data_of};
use crate::events::envelope::json_text::push_string;
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
/// let structured = PayloadFormat::from(CloudEventsFormat::structured("/shop")?);
/// let structured = structured.render(&event).ok_or("one of ours")?;
/// assert_eq!(structured.content_type, "application/cloudevents+json; charset=utf-8");
/// assert!(structured.bytes.starts_with(br#"{"specversion":"1.0","type":"stock.counted","source":"/shop","#));
///
/// let binary = PayloadFormat::from(CloudEventsFormat::binary("/shop")?.with_type_prefix("com.example.")?);
/// let binary = binary.render(&event).ok_or("one of ours")?;
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

const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TRACEPARENT: HeaderName = HeaderName::from_static("ce-traceparent");
const MAX_PREFIX_BYTES: usize = 128;
/// What the attributes take without the source, more or less; only a first guess at the size.
const ATTRIBUTES_BYTES: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::envelope::json_text::tests::{any_json, event};
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    /// The third example of §3.2 of the JSON format, 1.0.2.
    const JSON_OBJECT: &str = r#"{
        "specversion" : "1.0",
        "type" : "com.example.someevent",
        "source" : "/mycontext",
        "subject": null,
        "id" : "C234-1234-1234",
        "time" : "2018-04-05T17:31:00Z",
        "comexampleextension1" : "value",
        "comexampleothervalue" : 5,
        "datacontenttype" : "application/json",
        "data" : {
            "appinfoA" : "abc",
            "appinfoB" : 123,
            "appinfoC" : true
        }
    }"#;

    /// The same event, re-encoded there for the binary mode of HTTP.
    const JSON_OBJECT_BINARY: &str = r#"ce-specversion: 1.0
ce-type: com.example.someevent
ce-source: /mycontext
ce-id: C234-1234-1234
ce-time: 2018-04-05T17:31:00Z
ce-comexampleextension1: value
ce-comexampleothervalue: 5
content-type: application/json

{
  "appinfoA" : "abc",
  "appinfoB" : 123,
  "appinfoC" : true
}
"#;

    /// The fourth example of §3.2: a JSON string, whose content type is implied.
    const JSON_STRING: &str = r#"{
        "specversion" : "1.0",
        "type" : "com.example.someevent",
        "source" : "/mycontext",
        "subject": null,
        "id" : "D234-1234-1234",
        "time" : "2018-04-05T17:31:00Z",
        "comexampleextension1" : "value",
        "comexampleothervalue" : 5,
        "data" : "I'm just a string"
    }"#;

    /// What the specification's example says of one of our events: ids and extensions are the producer's own, an
    /// unset attribute is `null` or left out, a time may have a fraction, and a missing content type is JSON.
    fn as_ours(example: &str, id: &str) -> Value {
        let mut value: Value = serde_json::from_str(example).expect("an example");
        let attributes = value.as_object_mut().expect("an object");
        attributes.retain(|name, value| !name.starts_with("comexample") && !value.is_null());
        attributes.insert("id".into(), id.into());
        attributes.insert("time".into(), "2018-04-05T17:31:00.000Z".into());
        attributes.entry("datacontenttype").or_insert("application/json".into());
        value
    }

    fn structured(event: &Event) -> Value {
        let body = CloudEventsFormat::structured("/mycontext").expect("a source").render(event);
        serde_json::from_slice(&body.bytes).expect("JSON")
    }

    fn binary(event: &Event) -> Body {
        CloudEventsFormat::binary("/mycontext").expect("a source").render(event)
    }

    fn lines(body: &Body) -> BTreeMap<String, String> {
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        let headers = body.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        headers.chain([("content-type".to_owned(), text(&body.content_type))]).collect()
    }

    #[test]
    fn structured_events_say_what_the_examples_of_the_json_format_say() {
        for example in [JSON_OBJECT, JSON_STRING] {
            let data: BTreeMap<&str, &RawValue> = serde_json::from_str(example).expect("an example");
            let event = event("com.example.someevent", data["data"].get());

            assert_eq!(structured(&event), as_ours(example, &event.id.to_string()));
        }
    }

    #[test]
    fn binary_events_say_what_the_example_of_the_json_format_says() {
        let (head, data) = JSON_OBJECT_BINARY.split_once("\n\n").expect("head and body");
        let event = event("com.example.someevent", data);

        let body = binary(&event);

        let mut expected: BTreeMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| !name.starts_with("ce-comexample"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        expected.insert("ce-id".into(), event.id.to_string());
        expected.insert("ce-time".into(), "2018-04-05T17:31:00.000Z".into());
        assert_eq!(lines(&body), expected);
        assert_eq!(body.bytes, data);
    }

    #[test]
    fn the_content_types_are_those_of_the_http_binding() {
        // §3.1.4 and §3.2.4 of the HTTP binding; a parameter `charset` means nothing to `application/json` (RFC 8259, §11).
        let event = event("a", "1");

        assert_eq!(binary(&event).content_type, "application/json");
        let structured = CloudEventsFormat::structured("/mycontext").expect("a source").render(&event);
        assert_eq!(structured.content_type, "application/cloudevents+json; charset=utf-8");
        assert!(structured.headers.is_empty());
    }

    #[test]
    fn a_percent_sign_in_the_source_is_encoded_in_its_header_and_not_in_the_body() {
        let source = "https://example.com/a%20b";
        let event = event("a", "1");

        let header = CloudEventsFormat::binary(source).expect("a source").render(&event);
        let body = CloudEventsFormat::structured(source).expect("a source").render(&event);

        assert_eq!(header.headers[CE_SOURCE], "https://example.com/a%2520b");
        assert!(String::from_utf8_lossy(&body.bytes).contains(r#""source":"https://example.com/a%20b""#));
    }

    #[test]
    fn subject_and_trace_context_are_written_where_the_event_has_them() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut event = event("a", "1");
        event.head = event.head.with_subject("Größe \"7\"").with_traceparent(traceparent);

        let headers = binary(&event).headers;
        let body = structured(&event);

        assert_eq!(headers[CE_SUBJECT], "Gr%C3%B6%C3%9Fe%20%227%22");
        assert_eq!(headers[CE_TRACEPARENT], traceparent);
        assert_eq!((&body["subject"], &body["traceparent"]), (&json!("Größe \"7\""), &json!(traceparent)));
    }

    #[test]
    fn an_erased_payload_is_null() {
        assert_eq!(structured(&event("a", ""))["data"], Value::Null);
        assert_eq!(binary(&event("a", "")).bytes, "null");
    }

    #[test]
    fn a_source_that_is_none_is_refused() {
        for source in ["", "a b", "größe", &"a".repeat(1025)] {
            assert_eq!(CloudEventsFormat::structured(source).err(), Some(InvalidFormat::Source), "{source}");
        }
    }

    #[test]
    fn a_prefix_stands_before_every_type() {
        let format = CloudEventsFormat::structured("/a").expect("a source");

        for prefix in ["com/", "a b", "ä", "a\n", &"a".repeat(129)] {
            assert_eq!(
                format.clone().with_type_prefix(prefix).err(),
                Some(InvalidFormat::TypePrefix),
                "{prefix}"
            );
        }
        let event = event("some.event", "1");
        let body = format.with_type_prefix("com.example.").expect("a prefix").render(&event);
        assert!(String::from_utf8_lossy(&body.bytes).contains(r#""type":"com.example.some.event""#));
    }

    proptest! {
        #[test]
        fn data_is_the_payload_byte_for_byte_in_both_modes(json in any_json()) {
            let event = event("a.b", &json);
            let body = CloudEventsFormat::structured("/mycontext").expect("a source").render(&event);

            let attributes: BTreeMap<String, &RawValue> = serde_json::from_slice(&body.bytes)?;
            prop_assert_eq!(attributes["data"].get(), json.as_str());
            prop_assert_eq!(binary(&event).bytes, json);
        }
    }
}
