//! Values inside a JSON text, as slices of it.
//!
//! Nothing here recurses: what is not looked at is skipped by serde_json's own loop, so a body that is nested a hundred
//! thousand times is skipped like any other. Numbers stay the digits that they are.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The text is not JSON, has a key twice on the way, or more elements than are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::inbound) struct Unreadable;

/// The value that the steps lead to; `None` if there is none. The whole text is looked at.
pub(in crate::inbound) fn find<'t>(text: &'t str, steps: &[String]) -> Result<Option<&'t str>, Unreadable> {
    let Some((first, rest)) = steps.split_first() else {
        return whole(text).map(Some);
    };
    match child(text, first)? {
        Some(value) => follow(value, rest),
        None => Ok(None),
    }
}

/// The same, in a value that was looked at before.
pub(in crate::inbound) fn follow<'t>(
    value: &'t str,
    steps: &[String],
) -> Result<Option<&'t str>, Unreadable> {
    let mut found = Some(value);
    for step in steps {
        match found {
            Some(value) => found = child(value, step)?,
            None => break,
        }
    }
    Ok(found)
}

/// What stands under each of these keys of an object, in one go. The whole text is looked at.
pub(in crate::inbound) fn members<'t>(
    object: &'t str,
    keys: &[&str],
) -> Result<Vec<Option<&'t str>>, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(object);
    let found = reader.deserialize_map(Members { keys }).map_err(|_| Unreadable)?;
    reader.end().map_err(|_| Unreadable)?;
    Ok(found)
}

/// The elements, if the value is an array.
pub(in crate::inbound) fn elements(text: &str, most: usize) -> Result<Option<Vec<&str>>, Unreadable> {
    if !text.trim_start().starts_with('[') {
        return whole(text).map(|_| None);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = reader.deserialize_seq(Elements(most)).map_err(|_| Unreadable)?;
    reader.end().map_err(|_| Unreadable)?;
    Ok(Some(elements))
}

/// What a string, a number or a truth value says.
pub(in crate::inbound) fn text(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' if !value.contains('\\') => value.get(1..value.len() - 1).map(Cow::Borrowed),
        b'"' => serde_json::from_str(value).ok().map(Cow::Owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

/// Where in the whole a slice of it stands.
pub(in crate::inbound) fn range_in(whole: &[u8], part: &str) -> std::ops::Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

fn whole(text: &str) -> Result<&str, Unreadable> {
    serde_json::from_str::<&RawValue>(text).map(RawValue::get).map_err(|_| Unreadable)
}

fn child<'t>(text: &'t str, step: &str) -> Result<Option<&'t str>, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_any(Child { step }).map_err(|_| Unreadable)?;
    reader.end().map_err(|_| Unreadable)?;
    Ok(found)
}

struct Child<'s> {
    step: &'s str,
}

impl<'t> Visitor<'t> for Child<'_> {
    type Value = Option<&'t str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(IsKey(self.step))? {
            if !is_it {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value::<&RawValue>()?.get()).is_some() {
                // Two readers would take different ones.
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let wanted: Option<usize> = self.step.parse().ok();
        let (mut found, mut index) = (None, 0);
        loop {
            if Some(index) == wanted {
                match sequence.next_element::<&RawValue>()? {
                    Some(value) => found = Some(value.get()),
                    None => return Ok(found),
                }
            } else if sequence.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct Members<'k> {
    keys: &'k [&'k str],
}

impl<'t> Visitor<'t> for Members<'_> {
    type Value = Vec<Option<&'t str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![None; self.keys.len()];
        while let Some(which) = map.next_key_seed(WhichKey(self.keys))? {
            let Some(place) = which.and_then(|which| found.get_mut(which)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if place.replace(map.next_value::<&RawValue>()?.get()).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(found)
    }
}

struct WhichKey<'k>(&'k [&'k str]);

impl<'t> DeserializeSeed<'t> for WhichKey<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'t>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for WhichKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == key))
    }
}

struct IsKey<'s>(&'s str);

impl<'t> DeserializeSeed<'t> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'t>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

struct Elements(usize);

impl<'t> Visitor<'t> for Elements {
    type Value = Vec<&'t str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<&RawValue>()? {
            if elements.len() == self.0 {
                return Err(A::Error::custom("there are more elements than are taken"));
            }
            elements.push(element.get());
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'t>(document: &'t str, pointer: &str) -> Result<Option<&'t str>, Unreadable> {
        let pointer: crate::inbound::Pointer = pointer.parse().unwrap();
        find(document, pointer.tokens())
    }

    #[test]
    fn a_value_is_a_slice_of_the_text() {
        let document = r#" {"a": [1, {"b/c": 9007199254740993.000}], "d": "x\"y"} "#;

        assert_eq!(at(document, "/a/1/b~1c"), Ok(Some("9007199254740993.000")));
        assert_eq!(at(document, "/a/0"), Ok(Some("1")));
        assert_eq!(at(document, "/d").map(|value| value.and_then(text)), Ok(Some("x\"y".into())));
        assert_eq!(at(document, ""), Ok(Some(document.trim())));
        for pointer in ["/x", "/a/2", "/a/x", "/a/0/b", "/d/0"] {
            assert_eq!(at(document, pointer), Ok(None), "{pointer}");
        }
    }

    #[test]
    fn the_whole_text_must_be_json() {
        for document in ["", "{", r#"{"a":1}x"#, r#"{"a":1"#, r#"{"a":1,"b":}"#, "nul", r#"{"a":01}"#] {
            assert_eq!(at(document, "/a"), Err(Unreadable), "{document}");
            assert_eq!(at(document, ""), Err(Unreadable), "{document}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_nobodys() {
        assert_eq!(at(r#"{"a":1,"a":2}"#, "/a"), Err(Unreadable));
        assert_eq!(at(r#"{"a":1,"\u0061":2}"#, "/a"), Err(Unreadable));
        assert_eq!(at(r#"{"a":1,"b":2,"b":3}"#, "/a"), Ok(Some("1")));
    }

    #[test]
    fn several_members_are_read_in_one_go() {
        let all = r#" {"a": 1, "\u0062": {"c": [2]}, "d": 3} "#;

        assert_eq!(members(all, &["d", "x", "b"]), Ok(vec![Some("3"), None, Some(r#"{"c": [2]}"#)]));
        assert_eq!(members(r#"{"a": 1, "a": 2}"#, &["b", "a"]), Err(Unreadable));
        assert_eq!(members(r#"{"a": 1, "a": 2}"#, &["b"]), Ok(vec![None]));
        for broken in ["[1]", "1", "", r#"{"a": 1}}"#, r#"{"a": 1"#, r#"{"a": 1} x"#] {
            assert_eq!(members(broken, &["a"]), Err(Unreadable), "{broken}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let document = format!(r#"{{"deep":{deep},"id":"7"}}"#);

        assert_eq!(at(&document, "/id"), Ok(Some("\"7\"")));
        assert_eq!(at(&document, "/deep").map(|value| value.map(str::len)), Ok(Some(deep.len())));
        assert_eq!(elements(&deep, 10).map(|all| all.map(|all| all.len())), Ok(Some(1)));
        assert_eq!(at(&"[".repeat(100_000), "/0"), Err(Unreadable));
    }

    #[test]
    fn an_array_has_no_more_elements_than_are_taken() {
        assert_eq!(elements("[1, 2]", 2), Ok(Some(vec!["1", "2"])));
        assert_eq!(elements("[1, 2]", 1), Err(Unreadable));
        assert_eq!(elements("{}", 1), Ok(None));
        assert_eq!(elements("[]", 0), Ok(Some(Vec::new())));
    }
}
