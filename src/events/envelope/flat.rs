//! The payload's own fields at the top, and the envelope's beside them: for receivers that know no envelope.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::events::envelope::format::{Body, InvalidFormat, check_field_name, data_of};
use crate::events::envelope::json_text::push_string;
use crate::events::envelope::time::TimeFormat;
use crate::events::model::Event;

/// Id, time and type, then the payload's own fields in their own order.
///
/// A field of the payload that has the name of one of the envelope's fields gives way: a receiver can always rely on
/// id, time and type, and the delivery of an event that is already promised cannot fail over a name.
/// [`collisions`](Self::collisions) tells which fields would, so that it can be said beforehand. A payload
/// that is no object stands under `data`.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::events::{Event, EventHead, FlatFormat, PayloadFormat};
/// use crossdock::primitives::EventId;
///
/// let at = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(at, [7; 10]), "org_42".parse()?, "stock.counted".parse()?, at);
/// let event = Event::new(head, r#"{"sku":"A-7","units":3.10}"#);
///
/// let format = PayloadFormat::from(FlatFormat::new().with_fields("id", "at", "event")?);
///
/// assert_eq!(
///     format.render(&event).ok_or("one of ours")?.bytes,
///     r#"{"id":"evt_0000000000ew3re1r70w3ge1r7","at":"1970-01-01T00:00:00.000Z","event":"stock.counted","sku":"A-7","units":3.10}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlatFormat {
    event_id: Arc<str>,
    timestamp: Arc<str>,
    event_type: Arc<str>,
    time: TimeFormat,
}

/// The members of an object, name and value each as they stand in the text.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl FlatFormat {
    /// With the fields `eventId`, `timestamp` and `eventType`, and times in RFC 3339.
    pub fn new() -> Self {
        Self {
            event_id: "eventId".into(),
            timestamp: "timestamp".into(),
            event_type: "eventType".into(),
            time: TimeFormat::default(),
        }
    }

    /// Names the fields for the event's id, its time and its type.
    ///
    /// # Errors
    /// A name would have to be escaped, occurs twice, or is `data`.
    pub fn with_fields(
        self,
        event_id: &str,
        timestamp: &str,
        event_type: &str,
    ) -> Result<Self, InvalidFormat> {
        let names = [event_id, timestamp, event_type, DATA];
        for (index, name) in names.iter().enumerate() {
            check_field_name(name)?;
            if names[..index].contains(name) {
                return Err(InvalidFormat::FieldTaken);
            }
        }
        let (event_id, timestamp, event_type) = (event_id.into(), timestamp.into(), event_type.into());
        Ok(Self { event_id, timestamp, event_type, ..self })
    }

    /// Writes the time in another way.
    #[must_use]
    pub fn with_time(mut self, time: TimeFormat) -> Self {
        self.time = time;
        self
    }

    /// The names of the fields for the event's id, its time and its type.
    pub fn fields(&self) -> [&str; 3] {
        [&self.event_id, &self.timestamp, &self.event_type]
    }

    /// How the time is written.
    pub fn time(&self) -> &TimeFormat {
        &self.time
    }

    /// The payload's own fields that a receiver would not see, because the envelope has fields of these names.
    ///
    /// ```
    /// use crossdock::events::FlatFormat;
    ///
    /// let hidden = FlatFormat::new().collisions(br#"{"order":"A-7","timestamp":"yesterday"}"#);
    ///
    /// assert_eq!(hidden, ["timestamp"]);
    /// ```
    pub fn collisions(&self, payload: &[u8]) -> Vec<String> {
        let Some(Members(members)) = Members::of(payload) else { return Vec::new() };
        let names = members.into_iter().filter_map(|(name, _)| self.own_field(name));
        names.map(|name| name.to_string()).collect()
    }

    pub(crate) fn render(&self, event: &Event) -> Body {
        let data = data_of(event);
        let mut text = Vec::with_capacity(data.len() + ENVELOPE_BYTES);
        text.push(b'{');
        push_member(&mut text, &self.event_id, &event.id.to_string());
        push_member(&mut text, &self.timestamp, &self.time.write(event.occurred_at));
        push_member(&mut text, &self.event_type, event.event_type.as_str());
        match Members::of(data) {
            Some(Members(members)) => {
                for (name, value) in members.into_iter().filter(|(name, _)| self.own_field(name).is_none()) {
                    push_raw(&mut text, name.get(), value.get().as_bytes());
                }
            }
            None => push_raw(&mut text, "\"data\"", data),
        }
        text.push(b'}');
        Body::json(text)
    }

    /// The field of the envelope that has this name, written in JSON, if there is one.
    fn own_field(&self, name: &RawValue) -> Option<&Arc<str>> {
        let raw = name.get();
        let decoded = match raw.get(1..raw.len().saturating_sub(1)) {
            Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
            // What cannot be decoded is no ASCII name.
            _ => Cow::Owned(serde_json::from_str(raw).ok()?),
        };
        [&self.event_id, &self.timestamp, &self.event_type].into_iter().find(|own| ***own == *decoded)
    }
}

impl Default for FlatFormat {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Members<'a> {
    /// The members, if the text is an object.
    fn of(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect).map(Members)
    }
}

fn push_member(text: &mut Vec<u8>, name: &str, value: &str) {
    if text.len() > 1 {
        text.push(b',');
    }
    push_string(text, name);
    text.push(b':');
    push_string(text, value);
}

fn push_raw(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.push(b',');
    text.extend_from_slice(name.as_bytes());
    text.push(b':');
    text.extend_from_slice(value);
}

/// Where a payload stands that has no fields of its own.
const DATA: &str = "data";
/// What the envelope's fields take, more or less; only a first guess at the size.
const ENVELOPE_BYTES: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::envelope::json_text::tests::{any_json, event};
    use crate::events::envelope::time::Zone;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn rendered(payload: &str) -> String {
        let bytes = FlatFormat::new().render(&event("stock.counted", payload)).bytes;
        String::from_utf8(bytes.to_vec()).expect("UTF-8").replace(&id(), "ID")
    }

    fn id() -> String {
        event("a", "1").id.to_string()
    }

    #[test]
    fn fields_keep_their_order_and_numbers_every_digit() {
        let text = rendered(r#" {"z": 9007199254740993.10, "a" :{"b": 1e400, "c": [ 1 ]},"a2":"\u00e9"}"#);

        insta::assert_snapshot!(text, @r#"{"eventId":"ID","timestamp":"2018-04-05T17:31:00.000Z","eventType":"stock.counted","z":9007199254740993.10,"a":{"b": 1e400, "c": [ 1 ]},"a2":"\u00e9"}"#);
    }

    #[test]
    fn a_field_of_the_payload_gives_way_to_the_envelope_however_it_is_written() {
        let payload =
            r#"{"eventId":1,"a":2,"event\u0054ype":3,"timestamp":4,"timestamp":5,"eventid":6,"\ud800":7}"#;

        let text = rendered(payload);

        insta::assert_snapshot!(text, @r#"{"eventId":"ID","timestamp":"2018-04-05T17:31:00.000Z","eventType":"stock.counted","a":2,"eventid":6,"\ud800":7}"#);
        let hidden = FlatFormat::new().collisions(payload.as_bytes());
        assert_eq!(hidden, ["eventId", "eventType", "timestamp", "timestamp"]);
    }

    #[test]
    fn what_is_no_object_stands_under_data() {
        for (payload, data) in
            [("[1,2]", "[1,2]"), ("\"a\"", "\"a\""), ("null", "null"), ("3.10", "3.10"), ("", "null")]
        {
            assert!(
                rendered(payload).ends_with(&format!(r#""eventType":"stock.counted","data":{data}}}"#)),
                "{payload}"
            );
        }
        assert!(rendered("{}").ends_with(r#""eventType":"stock.counted"}"#));
    }

    #[test]
    fn a_time_is_escaped_like_any_other_text() -> Result<(), Box<dyn std::error::Error>> {
        let format = FlatFormat::new().with_time(TimeFormat::strftime("\"%Y\"\\", Zone::Utc)?);

        let value: Value = serde_json::from_slice(&format.render(&event("a", "{}")).bytes)?;

        assert_eq!(value["timestamp"], "\"2018\"\\");
        Ok(())
    }

    #[test]
    fn the_three_fields_have_three_names() {
        for (names, verdict) in [
            (["id", "at", "type"], None),
            (["eventType", "eventId", "timestamp"], None),
            (["a", "a", "b"], Some(InvalidFormat::FieldTaken)),
            (["a", "b", "a"], Some(InvalidFormat::FieldTaken)),
            (["a", "b", "data"], Some(InvalidFormat::FieldTaken)),
            (["", "a", "b"], Some(InvalidFormat::FieldName)),
            (["a", "\"", "b"], Some(InvalidFormat::FieldName)),
        ] {
            let [id, at, event_type] = names;
            assert_eq!(FlatFormat::new().with_fields(id, at, event_type).err(), verdict, "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn a_receiver_reads_the_payload_and_the_envelope(json in any_json()) {
            // Without numbers beyond a double, which the reader here could not compare.
            prop_assume!(serde_json::from_str::<Value>(&json).is_ok());
            let given: Value = serde_json::from_str(&json)?;

            let text = rendered(&json);
            let mut read: Map<String, Value> = serde_json::from_str(&text)?;

            prop_assert_eq!(read.remove("eventId"), Some("ID".into()));
            prop_assert_eq!(read.remove("timestamp"), Some("2018-04-05T17:31:00.000Z".into()));
            prop_assert_eq!(read.remove("eventType"), Some("stock.counted".into()));
            let expected = match given {
                Value::Object(mut own) => {
                    own.retain(|name, _| !["eventId", "timestamp", "eventType"].contains(&name.as_str()));
                    own
                }
                other => Map::from_iter([("data".to_owned(), other)]),
            };
            prop_assert_eq!(read, expected);
        }
    }
}
