//! One record as one line of JSON, and where a text that is none went wrong.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Problem, Result};

/// The number of a record's format, the field `v`: 1 is the only one so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FormatOne;

/// Writes the record straight into one text; `room` is a guess at its length.
pub(crate) fn write(step: &'static str, room: usize, record: &impl Serialize) -> Result<String> {
    let mut text = Vec::with_capacity(room);
    // The cause is left out: it may repeat what the record holds.
    serde_json::to_writer(&mut text, record).map_err(|_| unwritable(step))?;
    String::from_utf8(text).map_err(|_| unwritable(step))
}

/// Reads a record. `step` completes the sentence "could not …".
pub(crate) fn read<'a, T: Deserialize<'a>>(step: &'static str, text: &'a str) -> Result<T> {
    if !text.starts_with('{') {
        return Err(corrupt(step, TEXT));
    }
    serde_json::from_str(text).map_err(|error| corrupt(step, &place_of(&error, text)))
}

/// The error about a field that is not as it was written; it never holds what stands there.
pub(crate) fn corrupt(step: &'static str, field: &str) -> Error {
    Error::new(ErrorKind::Corrupt, step).with_problem(Problem::new(
        field,
        "what a store gives back is what it was given, by this version of the crate or an earlier one",
        "look for what has changed the row, or for a newer version that has written it",
    ))
}

fn unwritable(step: &'static str) -> Error {
    Error::invalid(step, [Problem::new(TEXT, "a record can be written as JSON", "leave out what cannot")])
}

impl Serialize for FormatOne {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for FormatOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            _ => Err(D::Error::custom("another format")),
        }
    }
}

/// The field at which reading stopped, such as `secrets[0].sealed`; the text itself if it is no JSON.
fn place_of(error: &serde_json::Error, text: &str) -> String {
    let Some(members) = members(text) else { return TEXT.to_owned() };
    // Under another format every field may be another one.
    let version = members.iter().find(|(name, _)| name == "v");
    if version.is_none_or(|(_, number)| number.get() != "1") {
        return "v".to_owned();
    }
    let before = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let mut place = String::new();
    descend(&mut place, text, text, before + error.column(), DEEPEST);
    // Serde names a missing field in its message, and there only.
    let message = error.to_string();
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    if let Some(name) = missing {
        push_member(&mut place, name);
    }
    if place.is_empty() { TEXT.to_owned() } else { place }
}

/// Appends the way to the innermost value that ends at or behind the offset, as far as it can be told.
fn descend(place: &mut String, whole: &str, value: &str, offset: usize, depth: u8) {
    let holds = |inner: &str| {
        // Where a part of the text begins, told by its address.
        let start = (inner.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        start <= offset && offset <= start.wrapping_add(inner.len())
    };
    let Some(depth) = depth.checked_sub(1) else { return };
    if let Some(members) = members(value) {
        if let Some((name, inner)) = members.iter().find(|(_, inner)| holds(inner.get())) {
            push_member(place, name);
            descend(place, whole, inner.get(), offset, depth);
        }
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value)
        && let Some(index) = items.iter().position(|inner| holds(inner.get()))
    {
        place.push_str(&format!("[{index}]"));
        descend(place, whole, items[index].get(), offset, depth);
    }
}

/// A name that cannot be a field's is somebody's label: it is not repeated.
fn push_member(place: &mut String, name: &str) {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let is_field = name.len() <= 32 && name.bytes().all(is_plain);
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(if is_field { name } else { "…" });
}

fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(text).ok().map(|Members(members)| members)
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

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

/// Stands for the whole record where no field can be told.
const TEXT: &str = "text";
/// No record is deeper; a text that is must not exhaust the stack.
const DEEPEST: u8 = 8;
