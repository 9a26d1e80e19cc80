//! JSON text, opened one level at a time.
//!
//! Only lists and objects are handed to serde, and their members only as raw text: whether another crate has switched on
//! `arbitrary_precision` or `preserve_order` makes no difference then.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::item::{Item, List, Opened, Unreadable, sorted};
use super::number::Number;

/// The value that is written here; a list or an object is left closed.
pub(super) fn read(raw: &RawValue) -> Result<Item<'_>, Unreadable> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Item::Null,
        Some(b't') => Item::Bool(true),
        Some(b'f') => Item::Bool(false),
        Some(b'"') => Item::Text(text_of(text)?),
        Some(b'[' | b'{') => Item::Raw(raw),
        _ => Item::Number(Number::Text(Cow::Borrowed(text))),
    })
}

/// The members of a list or an object.
pub(super) fn open(raw: &RawValue) -> Result<Opened<'_>, Unreadable> {
    let text = raw.get();
    let mut reader = serde_json::Deserializer::from_str(text);
    match text.as_bytes().first() {
        Some(b'[') => reader.deserialize_seq(Members).map_err(|_| Unreadable),
        Some(b'{') => reader.deserialize_map(Members).map_err(|_| Unreadable),
        _ => read(raw).map(Opened::Single),
    }
}

/// The member of this name in an object; what other members hold is skipped.
pub(super) fn member<'a>(raw: &'a RawValue, name: &str) -> Result<Item<'a>, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    match reader.deserialize_map(Member { name }) {
        Ok(Some(found)) => read(found),
        Ok(None) => Ok(Item::Missing),
        Err(_) => Err(Unreadable),
    }
}

/// The text between the quotes: borrowed if nothing in it is escaped.
fn text_of(json: &str) -> Result<Cow<'_, str>, Unreadable> {
    match json.get(1..json.len() - 1) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(json).map(Cow::Owned).map_err(|_| Unreadable),
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Opened<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Opened<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = members.next_element::<&'de RawValue>()? {
            items.push(read(raw).map_err(|_| unreadable())?);
        }
        Ok(Opened::List(List { items, gathered: false }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Opened<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some((name, raw)) = members.next_entry::<Name<'de>, &'de RawValue>()? {
            all.push((name.0, read(raw).map_err(|_| unreadable())?));
        }
        Ok(Opened::Object(sorted(all)))
    }
}

struct Member<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if name.0 == self.name {
                // Of two members with the same name the last stays.
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The name of a member: borrowed if nothing in it is escaped, which `Cow` by itself never is.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn unreadable<E: serde::de::Error>() -> E {
    E::custom("a text with half a character")
}
