//! A path inside one value.

use std::borrow::Cow;

use serde_json::Value;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::path::Segment;
use crate::mapping::source::extract::unescape;
use crate::mapping::source::scan::{Quoted, Scanner};
use crate::mapping::source::{several, too_much};
use crate::mapping::spec::field::Pick;

#[derive(Clone, Copy)]
pub(crate) enum Found<'a> {
    Value(&'a Value),
    Nothing,
    Several,
    /// Nobody looked: the record takes more steps than a run may.
    Unpaid,
}

/// Where an index, perhaps counted from the end, leads in a list of this length.
pub(crate) fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let place = if index < 0 { length.checked_add(index)? } else { index };
    (0..length).contains(&place).then_some(place as usize)
}

/// Where one part of a path leads.
pub(crate) fn step_in_memory<'a>(value: &'a Value, segment: &Segment, pick: Option<Pick>) -> Found<'a> {
    let next = match (segment, value) {
        (Segment::Name(name), Value::Object(members)) => members.get(name.as_str()),
        (Segment::Index(index), Value::Array(list)) => {
            place(*index, list.len()).and_then(|place| list.get(place))
        }
        (Segment::Filter { names, value }, Value::Array(list)) => {
            return filtered(list, names, &V::of(value), pick);
        }
        _ => None,
    };
    next.map_or(Found::Nothing, Found::Value)
}

fn filtered<'a>(list: &'a [Value], names: &[String], wanted: &V<'_>, pick: Option<Pick>) -> Found<'a> {
    let mut matches = list
        .iter()
        .filter(|element| names_in_memory(element, names).is_some_and(|found| V::of(found).equals(wanted)));
    let found = match pick {
        Some(Pick::First) => matches.next(),
        Some(Pick::Last) => matches.next_back(),
        None => {
            let first = matches.next();
            if matches.next().is_some() {
                return Found::Several;
            }
            first
        }
    };
    found.map_or(Found::Nothing, Found::Value)
}

fn in_memory<'a>(value: &'a Value, segments: &[Segment]) -> Found<'a> {
    let mut at = value;
    for segment in segments {
        match step_in_memory(at, segment, None) {
            Found::Value(next) => at = next,
            other => return other,
        }
    }
    Found::Value(at)
}

fn names_in_memory<'a>(value: &'a Value, names: &[String]) -> Option<&'a Value> {
    names.iter().try_fold(value, |at, name| at.as_object()?.get(name.as_str()))
}

/// The value at some names inside a text that has been checked.
pub(crate) fn names_in_text<'a>(text: &'a str, names: &[String]) -> Result<V<'a>, Failure> {
    let mut at = text;
    for name in names {
        match member(at, name)? {
            Some(next) => at = next,
            None => return Ok(V::Missing),
        }
    }
    read(at)
}

fn member<'a>(text: &'a str, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut scanner = Scanner::new(text);
    if scanner.peek() != b'{' {
        return Ok(None);
    }
    scanner.at += 1;
    let (mut first, mut found) = (true, None);
    while let Some(key) = scanner.key(first)? {
        first = false;
        let value = scanner.skip()?;
        let is_meant = if key.escaped { unescape(key.inner)? == name } else { key.inner == name };
        // The last of several counts.
        if is_meant {
            found = Some(value);
        }
    }
    Ok(found)
}

/// The elements of a list in a text that has been checked; nothing if it is no list.
pub(crate) fn elements(text: &str) -> Result<Option<Vec<&str>>, Failure> {
    let mut scanner = Scanner::new(text);
    if scanner.peek() != b'[' {
        return Ok(None);
    }
    scanner.at += 1;
    let (mut first, mut found) = (true, Vec::new());
    while scanner.element(first)? {
        first = false;
        found.push(scanner.skip()?);
    }
    Ok(Some(found))
}

/// The members of an object in a text that has been checked.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, Failure> {
    let mut scanner = Scanner::new(text);
    let mut found = Vec::new();
    if scanner.peek() != b'{' {
        return Ok(found);
    }
    scanner.at += 1;
    let mut first = true;
    while let Some(key) = scanner.key(first)? {
        first = false;
        let name = if key.escaped { Cow::Owned(unescape(key.inner)?) } else { Cow::Borrowed(key.inner) };
        found.push((name, scanner.skip()?));
    }
    Ok(found)
}

/// One value of a text that has been checked.
pub(crate) fn read(text: &str) -> Result<V<'_>, Failure> {
    let mut scanner = Scanner::new(text);
    Ok(match scanner.peek() {
        b'{' | b'[' => V::Raw(&text[scanner.at..]),
        b'n' => V::Null,
        b't' => V::Bool(true),
        b'f' => V::Bool(false),
        b'"' => {
            let Quoted { inner, escaped } = scanner.string()?;
            if escaped { V::owned_text(unescape(inner)?) } else { V::Text(Cow::Borrowed(inner)) }
        }
        _ => V::Number(Cow::Borrowed(scanner.scalar()?)),
    })
}

/// The value at a path inside another one.
pub(crate) fn within<'a>(value: &V<'a>, segments: &[Segment]) -> Result<V<'a>, Failure> {
    let Some((segment, rest)) = segments.split_first() else { return Ok(value.clone()) };
    if let V::Node(node) = value {
        return match in_memory(node, segments) {
            Found::Value(found) => Ok(V::of(found)),
            Found::Nothing => Ok(V::Missing),
            Found::Several => Err(several()),
            Found::Unpaid => Err(too_much()),
        };
    }
    let next = match (segment, value) {
        (Segment::Name(name), V::Raw(raw)) => match member(raw, name)? {
            Some(found) => read(found)?,
            None => V::Missing,
        },
        (Segment::Name(name), V::Object(members)) => {
            let found = members.iter().rev().find(|(member, _)| member == name);
            found.map_or(V::Missing, |(_, value)| value.clone())
        }
        (Segment::Index(index), list) if list.is_list() => {
            let mut items = items(list.clone())?;
            place(*index, items.len()).map_or(V::Missing, |place| items.swap_remove(place))
        }
        (Segment::Filter { names, value: wanted }, list) if list.is_list() => {
            let wanted = V::of(wanted);
            let names: Vec<Segment> = names.iter().cloned().map(Segment::Name).collect();
            let mut found = V::Missing;
            for item in items(list.clone())? {
                if !within(&item, &names)?.equals(&wanted) {
                    continue;
                }
                if !matches!(found, V::Missing) {
                    return Err(several());
                }
                found = item;
            }
            found
        }
        _ => return Ok(V::Missing),
    };
    within(&next, rest)
}

/// The elements of a list.
pub(crate) fn items<'a>(list: V<'a>) -> Result<Vec<V<'a>>, Failure> {
    match list {
        V::List(items) => Ok(items),
        V::Node(Value::Array(items)) => Ok(items.iter().map(V::of).collect()),
        V::Raw(raw) => match elements(raw)? {
            Some(items) => items.into_iter().map(read).collect(),
            None => Err(V::Raw(raw).unexpected("a list")),
        },
        other => Err(other.unexpected("a list")),
    }
}
