//! Steps from one type to another.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::mapping::decimal::Decimal;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::sink::{Bytes, Place, Sink, too_deep};
use crate::mapping::evaluate::value::V;
use crate::mapping::limits::Limits;
use crate::mapping::source::scan::{Scanner, depth};
use crate::mapping::source::walk;
use crate::mapping::spec::step::BoolWay;

pub(super) fn string(value: V<'_>) -> Result<V<'_>, Failure> {
    match value {
        V::Bool(truth) => Ok(V::Text(Cow::Borrowed(if truth { "true" } else { "false" }))),
        other => Ok(V::Text(other.text_or_number()?)),
    }
}

pub(super) fn boolean(value: V<'_>) -> Result<V<'_>, Failure> {
    match &value {
        V::Bool(_) => Ok(value),
        V::Text(text) if text == "true" => Ok(V::Bool(true)),
        V::Text(text) if text == "false" => Ok(V::Bool(false)),
        V::Text(_) => Err(Failure::new("E-BOOL", "the text is neither `true` nor `false`")),
        other => Err(other.unexpected("text or a boolean")),
    }
}

pub(super) fn bool_map<'a>(
    value: &V<'_>,
    yes: Option<&'a Value>,
    no: Option<&'a Value>,
    way: Option<BoolWay>,
) -> Result<V<'a>, Failure> {
    match (way.unwrap_or(BoolWay::ToValue), value) {
        (BoolWay::ToValue, V::Bool(truth)) => {
            let mapped = if *truth { yes } else { no };
            mapped
                .map(V::of)
                .ok_or_else(|| Failure::new("E-BOOL", format!("nothing is said about `{truth}`")))
        }
        (BoolWay::ToValue, other) => Err(other.unexpected("a boolean")),
        (BoolWay::ToBoolean, value) => {
            if yes.is_some_and(|yes| value.equals(&V::of(yes))) {
                Ok(V::Bool(true))
            } else if no.is_some_and(|no| value.equals(&V::of(no))) {
                Ok(V::Bool(false))
            } else {
                Err(Failure::new("E-BOOL", "the value is neither that of true nor that of false"))
            }
        }
    }
}

/// The value as text: the same one, whether it was read from bytes or lies in memory.
pub(super) fn json_text<'a>(value: V<'a>, limits: &Limits) -> Result<V<'a>, Failure> {
    let mut bytes = Vec::new();
    let limits = Limits { output_bytes: limits.text_bytes, ..*limits };
    Bytes::new(&mut bytes, &limits).put(Place::Top, &mut canonical(value, limits.json_depth)?)?;
    String::from_utf8(bytes).map(V::owned_text).map_err(|_| Failure::new("E-JSON", "the value has no text"))
}

/// Without what memory does not keep of a text: members sorted, the last of several with the same name, and numbers neither with
/// an exponent nor with noughts at the end. A number longer than a decimal stays as it is written.
fn canonical<'a>(value: V<'a>, depth: usize) -> Result<V<'a>, Failure> {
    let inside = || depth.checked_sub(1).ok_or_else(too_deep);
    Ok(match value {
        V::Number(text) => match text.parse::<Decimal>() {
            Ok(number) => V::Decimal(number),
            Err(_) => V::Number(text),
        },
        V::Raw(raw) if raw.starts_with('[') => canonical(V::List(walk::items(V::Raw(raw))?), depth)?,
        V::Raw(raw) => {
            let members = walk::members(raw)?.into_iter();
            let members: Result<_, Failure> =
                members.map(|(name, raw)| Ok((name, walk::read(raw)?))).collect();
            canonical(V::Object(members?), depth)?
        }
        V::Node(Value::Object(members)) => {
            let members = members.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), V::of(value)));
            canonical(V::Object(members.collect()), depth)?
        }
        V::Node(Value::Array(items)) => canonical(V::List(items.iter().map(V::of).collect()), depth)?,
        V::List(items) => {
            let inside = inside()?;
            let items = items.into_iter().map(|item| canonical(item, inside));
            V::List(items.collect::<Result<_, _>>()?)
        }
        V::Object(members) => {
            let inside = inside()?;
            let members: BTreeMap<Cow<'a, str>, V<'a>> = members.into_iter().collect();
            let members = members.into_iter().map(|(name, value)| Ok((name, canonical(value, inside)?)));
            V::Object(members.collect::<Result<_, Failure>>()?)
        }
        other => other,
    })
}

pub(super) fn parse_json<'a>(value: V<'a>, max: Option<u32>, limits: &Limits) -> Result<V<'a>, Failure> {
    let text = value.text()?;
    let most = max.map_or(64 * 1024, |max| max as usize).min(limits.text_bytes);
    if text.len() > most {
        return Err(Failure::new("E-JSON", format!("the text has more than {most} bytes")));
    }
    let mut scanner = Scanner::new(&text);
    let raw = scanner.skip().and_then(|raw| scanner.end().map(|()| raw));
    let raw = raw.map_err(|error| Failure::new("E-JSON", format!("the text is not JSON: {}", error.what)))?;
    if depth(raw) > limits.json_depth {
        return Err(Failure::new("E-JSON", "the text is nested too deep"));
    }
    match text {
        Cow::Borrowed(text) => walk::read(text.trim_ascii()),
        Cow::Owned(_) => taken_apart(raw),
    }
}

/// A value that does not borrow from the text; its depth has been checked.
fn taken_apart<'a>(raw: &str) -> Result<V<'a>, Failure> {
    Ok(match walk::read(raw)? {
        V::Missing | V::Null => V::Null,
        V::Bool(truth) => V::Bool(truth),
        V::Decimal(number) => V::Decimal(number),
        V::Number(text) => V::Number(Cow::Owned(text.into_owned())),
        V::Text(text) => V::owned_text(text.into_owned()),
        V::Raw(raw) if raw.starts_with('[') => {
            let items = walk::elements(raw)?.unwrap_or_default();
            V::List(items.into_iter().map(taken_apart).collect::<Result<_, _>>()?)
        }
        V::Raw(raw) => {
            let members = walk::members(raw)?;
            V::Object(
                members
                    .into_iter()
                    .map(|(name, raw)| Ok((Cow::Owned(name.into_owned()), taken_apart(raw)?)))
                    .collect::<Result<_, Failure>>()?,
            )
        }
        V::Node(_) | V::List(_) | V::Object(_) => V::Null,
    })
}
