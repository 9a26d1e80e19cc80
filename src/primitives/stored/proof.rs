//! What the stored form of every record is tested with.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseResult;
use serde_json::Value;

use crate::error::ErrorKind;
use crate::primitives::stored::Stored;

/// Something that happens to a text on the way.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// It is another text.
    Replaced(String),
    /// Some characters have given way to these.
    Patched(Index, usize, String),
    /// One of its values, at any depth, has given way to this one, or was left out.
    Swapped(Index, Option<&'static str>),
}

/// A record comes back equal, from one line.
pub(crate) fn comes_back<T: Stored + PartialEq + Debug>(record: &T) -> TestCaseResult {
    let text = record.to_stored()?;
    prop_assert!(!text.contains('\n'), "{}", text);
    prop_assert_eq!(&T::from_stored(&text)?, record, "{}", text);
    Ok(())
}

/// Any text is a record that comes back, or one error that says where and repeats nothing.
pub(crate) fn holds_out<T: Stored + PartialEq + Debug>(text: &str) -> TestCaseResult {
    match T::from_stored(text) {
        Ok(record) => comes_back(&record),
        Err(error) => {
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
            prop_assert_eq!(error.problems().len(), 1);
            let field = &*error.problems()[0].field;
            let is_path =
                field.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '[' | ']' | '…'));
            prop_assert!(is_path, "{}", field);
            Ok(())
        }
    }
}

/// The field that the error about this text names.
#[track_caller]
pub(crate) fn broken_field<T: Stored + Debug>(text: &str) -> String {
    let error = T::from_stored(text).expect_err("a text that cannot be read");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    error.problems()[0].field.clone()
}

impl Damage {
    /// What is left of the text.
    pub(crate) fn to(&self, text: &str) -> String {
        match self {
            Self::Replaced(other) => other.clone(),
            Self::Patched(at, length, patch) => {
                let characters: Vec<char> = text.chars().collect();
                let (begin, end) = characters.split_at(at.index(characters.len() + 1));
                begin.iter().copied().chain(patch.chars()).chain(end.iter().skip(*length).copied()).collect()
            }
            Self::Swapped(at, with) => {
                let Ok(mut value) = serde_json::from_str(text) else { return text.to_owned() };
                let mut places = at.index(count(&value));
                swap(&mut value, &mut places, with.and_then(|with| serde_json::from_str(with).ok()).as_ref());
                value.to_string()
            }
        }
    }
}

pub(crate) fn any_damage() -> impl Strategy<Value = Damage> {
    let fragment = select(FRAGMENTS);
    prop_oneof![
        1 => any::<String>().prop_map(Damage::Replaced),
        1 => "[{}\\[\\]\",:a-z0-9\\\\ ]{0,40}".prop_map(Damage::Replaced),
        4 => (any::<Index>(), 0_usize..12, prop_oneof![any::<String>(), fragment.prop_map(str::to_owned)])
            .prop_map(|(at, length, patch)| Damage::Patched(at, length, patch)),
        4 => (any::<Index>(), prop::option::weighted(0.8, select(FRAGMENTS)))
            .prop_map(|(at, with)| Damage::Swapped(at, with)),
    ]
}

/// Times over the whole range, often those that are near, and leap seconds.
pub(crate) fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    let time = |seconds, nanos| DateTime::from_timestamp(seconds, nanos).unwrap_or_default();
    let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    prop_oneof![
        4 => (0_i64..4_000_000_000, 0_u32..1_000_000)
            .prop_map(move |(seconds, micros)| time(seconds, micros * 1_000)),
        4 => (first.timestamp()..=last.timestamp(), 0_u32..1_000_000_000)
            .prop_map(move |(seconds, nanos)| time(seconds, nanos)),
        1 => (-1_000_000_i64..1_000_000, 1_000_000_000_u32..2_000_000_000)
            .prop_map(move |(minutes, nanos)| time(minutes * 60 + 59, nanos)),
        1 => select(vec![first, last, DateTime::UNIX_EPOCH]),
    ]
}

pub(crate) fn any_length() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (0_u64..100_000_000).prop_map(Duration::from_micros),
        1 => (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        1 => select(vec![Duration::ZERO, Duration::from_nanos(u64::MAX), Duration::MAX]),
    ]
}

pub(crate) fn any_label() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn swap(value: &mut Value, places: &mut usize, with: Option<&Value>) -> bool {
    if *places == 0 {
        *value = with.cloned().unwrap_or_default();
        return true;
    }
    *places -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| swap(item, places, with)),
        Value::Object(members) => {
            let mut gone = None;
            for (name, member) in members.iter_mut() {
                if *places == 0 && with.is_none() {
                    gone = Some(name.clone());
                    break;
                }
                if swap(member, places, with) {
                    return true;
                }
            }
            gone.is_some_and(|name| members.remove(&name).is_some())
        }
        _ => false,
    }
}

const FRAGMENTS: &[&str] = &[
    "null",
    "true",
    "0",
    "1",
    "2",
    "-1",
    "1.5",
    "1e400",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[1]",
    "[[]]",
    "{\"v\":1}",
    "{\"base64\":\"?\"}",
    "{\"standard\":{}}",
    "\"9999999-99-99T99:99:99Z\"",
    "\"340282366920938463463374607431768211455\"",
];
