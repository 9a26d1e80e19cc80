//! Steps on lists.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use crate::mapping::decimal::Decimal;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::questions::order;
use crate::mapping::evaluate::value::V;
use crate::mapping::path::Segment;
use crate::mapping::source::walk;
use crate::mapping::spec::step::Order;

pub(super) fn split<'a>(text: Cow<'a, str>, on: &str, max: Option<u32>) -> V<'a> {
    let most = max.map_or(usize::MAX, |max| max as usize);
    V::List(match text {
        Cow::Borrowed(text) => text.splitn(most, on).map(|part| V::Text(Cow::Borrowed(part))).collect(),
        Cow::Owned(text) => text.splitn(most, on).map(|part| V::owned_text(part.to_owned())).collect(),
    })
}

pub(super) fn join<'a>(
    items: Vec<V<'a>>,
    sep: &str,
    skip_empty: bool,
    most: usize,
) -> Result<V<'a>, Failure> {
    let mut joined = String::new();
    let mut parts = 0;
    for item in items {
        let text = match item {
            V::Missing | V::Null => Cow::Borrowed(""),
            item => item.text_or_number()?,
        };
        if text.is_empty() && skip_empty {
            continue;
        }
        if joined.len() + sep.len() + text.len() > most {
            return Err(Failure::limit("the text is longer than texts may be"));
        }
        if parts > 0 {
            joined.push_str(sep);
        }
        joined.push_str(&text);
        parts += 1;
    }
    Ok(V::owned_text(joined))
}

/// One text for values that are the same.
fn identity(value: &V<'_>) -> String {
    match value {
        V::Number(text) => match text.parse::<Decimal>() {
            Ok(number) => number.to_string(),
            // Too long to calculate with: the same if it is written in the same way.
            Err(_) => text.to_string(),
        },
        V::Decimal(number) => number.to_string(),
        V::Raw(_) | V::Node(_) | V::List(_) | V::Object(_) => sorted(value.to_value()).to_string(),
        other => other.to_value().to_string(),
    }
}

/// With members in the order of their names, whatever order maps keep.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            serde_json::Value::Object(members.into_iter().collect())
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

pub(super) fn unique(items: Vec<V<'_>>) -> V<'_> {
    let mut seen = HashSet::with_capacity(items.len());
    V::List(items.into_iter().filter(|item| seen.insert(identity(item))).collect())
}

pub(super) fn sort<'a>(mut items: Vec<V<'a>>, direction: Option<Order>) -> Result<V<'a>, Failure> {
    let comparable = items.iter().all(|item| matches!(item, V::Text(_)))
        || items.iter().all(|item| matches!(item, V::Number(_) | V::Decimal(_)));
    if !comparable {
        return Err(Failure::new(
            "E-TYPE",
            "a list is sorted if it has nothing but texts, or nothing but numbers",
        ));
    }
    items.sort_by(|a, b| {
        let ascending = order(a, b).unwrap_or(Ordering::Equal);
        if direction == Some(Order::Descending) { ascending.reverse() } else { ascending }
    });
    Ok(V::List(items))
}

pub(super) fn group_by<'a>(items: Vec<V<'a>>, path: &[Segment]) -> Result<V<'a>, Failure> {
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<(V<'a>, Vec<V<'a>>)> = Vec::new();
    for item in items {
        let key = match walk::within(&item, path)? {
            V::Missing => V::Null,
            key => key,
        };
        let place = *places.entry(identity(&key)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, members)) => members.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    let group =
        |(key, items)| V::Object(vec![(Cow::Borrowed("key"), key), (Cow::Borrowed("items"), V::List(items))]);
    Ok(V::List(groups.into_iter().map(group).collect()))
}

pub(super) fn sum<'a>(items: Vec<V<'a>>, path: &[Segment]) -> Result<V<'a>, Failure> {
    let mut sum = Decimal::ZERO;
    for item in items {
        match walk::within(&item, path)? {
            V::Missing | V::Null => {}
            number => sum = sum.plus(number.number()?)?,
        }
    }
    Ok(V::Decimal(sum))
}

/// The least or the greatest number.
pub(super) fn extreme<'a>(items: Vec<V<'a>>, path: &[Segment], wanted: Ordering) -> Result<V<'a>, Failure> {
    let mut best = V::Missing;
    for item in items {
        let number = match walk::within(&item, path)? {
            V::Missing | V::Null => continue,
            number @ (V::Number(_) | V::Decimal(_)) => number,
            other => return Err(other.unexpected("a number")),
        };
        if matches!(best, V::Missing) || number.compare_number(&best) == Some(wanted) {
            best = number;
        }
    }
    Ok(best)
}
