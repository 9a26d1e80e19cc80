//! `{"type","timestamp","data"}`: the body that Standard Webhooks recommends.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::sync::Arc;

use crate::events::envelope::format::{Body, InvalidFormat, check_field_name, data_of};
use crate::events::envelope::time::rfc3339_millis;
use crate::events::model::Event;

/// Type, time and data, in this order.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::events::{Event, EventHead, PayloadFormat, StandardFormat};
/// use crossdock::primitives::EventId;
///
/// let at = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(at, [7; 10]), "org_42".parse()?, "stock.counted".parse()?, at);
/// let format = PayloadFormat::from(StandardFormat::new().with_type_field("kind")?);
///
/// assert_eq!(
///     format.render(&Event::new(head, "[1]")).ok_or("one of ours")?.bytes,
///     r#"{"kind":"stock.counted","timestamp":"1970-01-01T00:00:00.000Z","data":[1]}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StandardFormat {
    type_field: Arc<str>,
}

impl StandardFormat {
    /// With the event's type under `type`.
    pub fn new() -> Self {
        Self { type_field: "type".into() }
    }

    /// Puts the event's type under another name, such as `kind` or `eventType`.
    ///
    /// # Errors
    /// The name would have to be escaped, or is `timestamp` or `data`.
    pub fn with_type_field(self, name: &str) -> Result<Self, InvalidFormat> {
        check_field_name(name)?;
        if matches!(name, "timestamp" | "data") {
            return Err(InvalidFormat::FieldTaken);
        }
        Ok(Self { type_field: name.into() })
    }

    /// The name under which the event's type stands.
    pub fn type_field(&self) -> &str {
        &self.type_field
    }

    pub(crate) fn render(&self, event: &Event) -> Body {
        Body::json(self.text(event))
    }

    fn text(&self, event: &Event) -> Vec<u8> {
        let timestamp = rfc3339_millis(event.occurred_at);
        // Neither the field's name nor a type's name holds anything that JSON escapes.
        let parts: [&[u8]; 9] = [
            b"{\"",
            self.type_field.as_bytes(),
            b"\":\"",
            event.event_type.as_str().as_bytes(),
            b"\",\"timestamp\":\"",
            &timestamp,
            b"\",\"data\":",
            data_of(event),
            b"}",
        ];
        // One allocation of exactly this size, which `Bytes` then takes over as it is.
        let mut text = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| text.extend_from_slice(part));
        text
    }
}

impl Default for StandardFormat {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::envelope::json_text::tests::{any_json, event};
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    #[test]
    fn the_text_takes_one_allocation() {
        let text = StandardFormat::new().text(&event("shipment.shipped", r#"{"a":1}"#));

        assert_eq!(text.capacity(), text.len());
    }

    #[test]
    fn an_erased_payload_is_null() {
        let text = StandardFormat::new().text(&event("a", ""));

        assert_eq!(text, br#"{"type":"a","timestamp":"2018-04-05T17:31:00.000Z","data":null}"#);
    }

    #[test]
    fn the_type_has_a_field_of_its_own() {
        for name in ["type", "kind", "eventType", "event-type", "@type", "event type"] {
            assert!(StandardFormat::new().with_type_field(name).is_ok(), "{name}");
        }
        for (name, refusal) in [
            ("timestamp", InvalidFormat::FieldTaken),
            ("data", InvalidFormat::FieldTaken),
            ("", InvalidFormat::FieldName),
            ("a\"b", InvalidFormat::FieldName),
            ("a\\u0062", InvalidFormat::FieldName),
            ("a\n", InvalidFormat::FieldName),
            ("größe", InvalidFormat::FieldName),
            (&"x".repeat(65), InvalidFormat::FieldName),
        ] {
            assert_eq!(StandardFormat::new().with_type_field(name), Err(refusal), "{name}");
        }
    }

    proptest! {
        #[test]
        fn data_holds_the_payload_byte_for_byte(json in any_json()) {
            let text = StandardFormat::new().text(&event("a.b", &json));

            let fields: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(&text)?;
            prop_assert_eq!(fields["data"].get(), json.as_str());
            prop_assert_eq!(fields["type"].get(), r#""a.b""#);
            prop_assert_eq!(fields.len(), 3);
        }
    }
}
