//! Types and depths of values.

use serde_json::Value;

use crate::mapping::evaluate::value::V;
use crate::mapping::spec::field::TargetType;

/// Whether a value has the type of a target. Nothing is turned into anything here: `1.0` is a decimal, and no integer.
pub(crate) fn fits(value: &V<'_>, wanted: TargetType) -> bool {
    match wanted {
        TargetType::Any => true,
        TargetType::String => matches!(value, V::Text(_)),
        TargetType::Boolean => matches!(value, V::Bool(_)),
        TargetType::Decimal => matches!(value, V::Number(_) | V::Decimal(_)),
        TargetType::Integer => match value {
            V::Decimal(number) => number.is_whole(),
            V::Number(text) => text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'),
            _ => false,
        },
        TargetType::Array => value.kind() == "a list",
        TargetType::Object => value.kind() == "an object",
    }
}

/// Whether lists and objects are nested deeper than this; not looked at further than that.
pub(crate) fn is_deeper(value: &Value, most: usize) -> bool {
    let deeper_inside = |value: &Value| most.checked_sub(1).is_none_or(|most| is_deeper(value, most));
    match value {
        Value::Array(items) => most == 0 || items.iter().any(deeper_inside),
        Value::Object(members) => most == 0 || members.values().any(deeper_inside),
        _ => false,
    }
}
