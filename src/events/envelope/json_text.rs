//! Writing JSON text straight into a buffer.

/// Appends the text as a JSON string.
pub(crate) fn push_string(buffer: &mut Vec<u8>, text: &str) {
    buffer.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => buffer.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                buffer.extend_from_slice(b"\\u00");
                buffer.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => buffer.push(byte),
        }
    }
    buffer.push(b'"');
}

pub(crate) const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::events::model::{Event, EventHead};
    use crate::primitives::id::EventId;
    use proptest::prelude::*;

    /// The time of the examples in the CloudEvents specification.
    pub(crate) fn event(event_type: &str, payload: &str) -> Event {
        let at = "2018-04-05T17:31:00Z".parse().expect("a time");
        let tenant = "org_42".parse().expect("a tenant");
        let head =
            EventHead::new(EventId::mint(at, [7; 10]), tenant, event_type.parse().expect("a type"), at);
        Event::new(head, payload.to_owned())
    }

    /// JSON texts as hosts may publish them, with numbers that no double holds, and with white space.
    pub(crate) fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            any::<String>().prop_map(|text| string(&text)),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let member =
                (any_name(), inner.clone()).prop_map(|(name, value)| format!("{} : {value}", string(&name)));
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[ {}]", items.join(", "))),
                proptest::collection::vec(member, 0..4)
                    .prop_map(|members| format!("{{{} }}", members.join(",\n"))),
            ]
        })
    }

    /// Names of members, often those that an envelope uses itself.
    fn any_name() -> impl Strategy<Value = String> {
        prop_oneof!["eventId|timestamp|eventType|data|type", any::<String>()]
    }

    fn string(text: &str) -> String {
        let mut buffer = Vec::new();
        push_string(&mut buffer, text);
        String::from_utf8(buffer).expect("UTF-8")
    }

    proptest! {
        #[test]
        fn a_string_reads_back_as_it_was(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&string(&text))?, text);
        }
    }

    #[test]
    fn only_what_must_be_escaped_is() {
        assert_eq!(string("a\"\\/\u{1f}\n\u{7f}é😀"), "\"a\\\"\\\\/\\u001F\\u000A\u{7f}é😀\"");
    }
}
