//! One way of writing a document, and the hash of it.
//!
//! The canonical form is that of RFC 8785, except for numbers: no white space, members sorted by the UTF-16 units of their names,
//! strings with the shortest escapes. RFC 8785 passes numbers through a double, which changes long ids and amounts; here a number
//! stays as it is written, so that `1`, `1.0` and `1e0` are three documents. Of a name that stands twice the last one counts.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::Serialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Says which content a document has: `sha256:` and 64 hex digits.
///
/// Two documents have the same hash if, and only if, they say the same; white space and the order of members do not matter.
///
/// ```
/// use crossdock::mapping::ContentHash;
///
/// let one = ContentHash::of_json(r#"{"id": 9007199254740993, "to": "a"}"#)?;
/// let same = ContentHash::of_json(r#"{"to":"a","id":9007199254740993}"#)?;
/// let other = ContentHash::of_json(r#"{"to":"a","id":9007199254740992}"#)?;
///
/// assert_eq!(one, same);
/// assert_ne!(one, other);
/// assert_eq!(one, one.to_string().parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContentHash([u8; 32]);

/// The text is not a content hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a content hash is `sha256:` and 64 lower-case hex digits")]
pub struct InvalidContentHash;

/// The text has no canonical form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoCanonicalForm {
    /// It is not JSON.
    #[error("the text is not JSON")]
    Syntax(#[from] serde_json::Error),
    /// It is nested too deeply.
    #[error("the text is nested more than {DEEPEST} levels deep")]
    Depth,
}

impl ContentHash {
    /// The hash of a value, as it is written in JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON, or is nested more than 128 levels deep.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, NoCanonicalForm> {
        Self::of_json(&serde_json::to_string(value)?)
    }

    /// The hash of a JSON text.
    ///
    /// # Errors
    /// The text is not JSON, or is nested more than 128 levels deep.
    pub fn of_json(text: &str) -> Result<Self, NoCanonicalForm> {
        Ok(Self(Sha256::digest(canonical_json(text)?).into()))
    }
}

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ContentHash {
    type Err = InvalidContentHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidContentHash)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidContentHash)?;
        // Upper-case digits would be a second text for the same hash.
        if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Err(InvalidContentHash)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The JSON text in its canonical form; the module's text says which one that is.
///
/// # Errors
/// The text is not JSON, or is nested more than 128 levels deep.
pub fn canonical_json(text: &str) -> Result<String, NoCanonicalForm> {
    let raw: &RawValue = serde_json::from_str(text)?;
    let mut out = String::with_capacity(text.len());
    write_canonical(raw.get(), 0, &mut out)?;
    Ok(out)
}

fn write_canonical(raw: &str, depth: usize, out: &mut String) -> Result<(), NoCanonicalForm> {
    if depth > DEEPEST {
        return Err(NoCanonicalForm::Depth);
    }
    match raw.as_bytes().first() {
        Some(b'{') => {
            let Members(mut members) = serde_json::from_str(raw)?;
            // Stable, so that of equal names the last one stays last.
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            let mut first = true;
            for (index, (name, value)) in members.iter().enumerate() {
                if members.get(index + 1).is_some_and(|(next, _)| next == name) {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                write_text(name, out);
                out.push(':');
                write_canonical(value.get(), depth + 1, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item.get(), depth + 1, out)?;
            }
            out.push(']');
        }
        Some(b'"') => write_text(&serde_json::from_str::<String>(raw)?, out),
        _ => out.push_str(raw),
    }
    Ok(())
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// An object's members in the order in which they are written, repeated names included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

const PREFIX: &str = "sha256:";

/// As deep as `serde_json` reads.
const DEEPEST: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn white_space_order_and_escapes_do_not_matter() {
        let text = "{ \"b\" : [ 1.50 , true, null ],\n \"a\": \"\\u00e9\\u000a\\/\" }";

        assert_eq!(canonical_json(text).unwrap(), "{\"a\":\"é\\n/\",\"b\":[1.50,true,null]}");
    }

    #[test]
    fn names_are_sorted_by_their_utf_16_units_as_rfc_8785_asks() {
        // U+1F600 begins with the unit D83D and so comes before U+FB33, though its code point is larger.
        let text = "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\u{80}\":3,\"\\r\":4}";

        let canonical = canonical_json(text).unwrap();

        assert_eq!(canonical, "{\"\\r\":4,\"\u{80}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let text = "[18446744073709551616,0.10,1E+2,-0]";

        assert_eq!(canonical_json(text).unwrap(), text);
    }

    #[test]
    fn of_a_name_that_stands_twice_the_last_one_counts() {
        assert_eq!(canonical_json(r#"{"a":1,"b":2,"a":3}"#).unwrap(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);

        assert!(canonical_json(&deep).is_err());
    }

    #[test]
    fn a_hash_is_read_back_in_lower_case_only() {
        let hash = ContentHash::of(&json!({"a": 1})).unwrap();

        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.to_string().to_uppercase().parse::<ContentHash>().is_err());
        assert!(format!("{PREFIX}{}", "AB".repeat(32)).parse::<ContentHash>().is_err());
        assert!("sha256:00".parse::<ContentHash>().is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_canonical_form_says_the_same_and_is_its_own(value in any_json()) {
            let canonical = canonical_json(&serde_json::to_string_pretty(&value).unwrap()).unwrap();

            prop_assert_eq!(&serde_json::from_str::<Value>(&canonical).unwrap(), &value);
            prop_assert_eq!(canonical_json(&canonical).unwrap(), canonical);
        }
    }
}
