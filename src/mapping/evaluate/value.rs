//! What flows through a rule: values that stay borrowed until a step must change them.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use crate::mapping::decimal::Decimal;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::sink;
use crate::mapping::number_text::compare_numbers;

/// A value on its way from source to target.
#[derive(Clone, Debug)]
pub(crate) enum V<'a> {
    Missing,
    Null,
    Bool(bool),
    /// A number as it is written in JSON: exact, of any length.
    Number(Cow<'a, str>),
    Decimal(Decimal),
    Text(Cow<'a, str>),
    /// A list or an object of the input, as JSON text that has been checked.
    Raw(&'a str),
    /// A list or an object in memory.
    Node(&'a Value),
    List(Vec<V<'a>>),
    Object(Vec<(Cow<'a, str>, V<'a>)>),
}

impl<'a> V<'a> {
    #[inline]
    pub(crate) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::of_number(number),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Node(value),
        }
    }

    pub(crate) fn of_number(number: &serde_json::Number) -> Self {
        // Whatever features serde_json has, its text is the number; short cuts for what fits a word.
        if let Some(whole) = number.as_i64() {
            Self::Decimal(Decimal::from(whole))
        } else if let Some(whole) = number.as_u64() {
            Self::Decimal(Decimal::from(whole))
        } else {
            Self::Number(Cow::Owned(number.to_string()))
        }
    }

    pub(crate) fn owned_text(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }

    /// In words, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) | Self::Decimal(_) => "a number",
            Self::Text(_) => "text",
            Self::Raw(raw) => {
                if raw.starts_with('[') {
                    "a list"
                } else {
                    "an object"
                }
            }
            Self::Node(Value::Array(_)) | Self::List(_) => "a list",
            Self::Node(_) | Self::Object(_) => "an object",
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        self.kind() == "a list"
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Missing | Self::Null)
    }

    /// Roughly the bytes that have to be looked at to read, copy or compare the value: what a step on it costs. A scalar knows its
    /// own at once; a value in memory or one that steps have built is gone through, as the step is about to do.
    #[inline]
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Missing | Self::Null | Self::Bool(_) | Self::Decimal(_) => 0,
            Self::Number(text) | Self::Text(text) => text.len(),
            Self::Raw(raw) => raw.len(),
            Self::Node(node) => sink::weight(node),
            Self::List(items) => items.iter().map(|item| sink::VALUE + item.weight()).sum(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| sink::VALUE + name.len() + value.weight()).sum()
            }
        }
    }

    /// The text; numbers do not become text here.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, Failure> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unexpected("text")),
        }
    }

    /// The text, or the number as it is written.
    pub(crate) fn text_or_number(self) -> Result<Cow<'a, str>, Failure> {
        match self {
            Self::Text(text) | Self::Number(text) => Ok(text),
            Self::Decimal(number) => Ok(Cow::Owned(number.to_string())),
            other => Err(other.unexpected("text or a number")),
        }
    }

    pub(crate) fn number(&self) -> Result<Decimal, Failure> {
        match self {
            Self::Decimal(number) => Ok(*number),
            Self::Number(text) => text.parse().map_err(Failure::from),
            other => Err(other.unexpected("a number")),
        }
    }

    pub(crate) fn unexpected(&self, wanted: &str) -> Failure {
        let hint = match (self, wanted) {
            (Self::Text(_), "a number") => "; text becomes a number by `decimal` or `int`",
            (Self::Number(_) | Self::Decimal(_), "text") => "; a number becomes text by `string`",
            _ => "",
        };
        Failure::new("E-TYPE", format!("expected {wanted}, found {}{hint}", self.kind()))
    }

    /// Whether two values are the same: numbers as numbers, lists and objects part by part.
    pub(crate) fn equals(&self, other: &V<'_>) -> bool {
        match (self, other) {
            (V::Null, V::Null) | (V::Missing, V::Missing) => true,
            (V::Bool(a), V::Bool(b)) => a == b,
            (V::Text(a), V::Text(b)) => a == b,
            (V::Decimal(a), V::Decimal(b)) => a == b,
            (V::Number(_) | V::Decimal(_), V::Number(_) | V::Decimal(_)) => {
                self.compare_number(other) == Some(Ordering::Equal)
            }
            (
                V::Raw(_) | V::Node(_) | V::List(_) | V::Object(_),
                V::Raw(_) | V::Node(_) | V::List(_) | V::Object(_),
            ) => same_tree(&self.to_value(), &other.to_value()),
            _ => false,
        }
    }

    /// The order of two numbers; nothing if one of them is none.
    pub(crate) fn compare_number(&self, other: &V<'_>) -> Option<Ordering> {
        match (self, other) {
            (V::Decimal(a), V::Decimal(b)) => Some(a.cmp(b)),
            _ => compare_numbers(&self.number_text()?, &other.number_text()?),
        }
    }

    fn number_text(&self) -> Option<Cow<'_, str>> {
        match self {
            V::Number(text) => Some(Cow::Borrowed(text)),
            V::Decimal(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    /// The value in memory, for traces and comparisons. What is missing is null; a number that memory cannot hold exactly
    /// becomes text.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Missing | Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(text) => {
                number_value(text).unwrap_or_else(|| Value::String(text.clone().into_owned()))
            }
            Self::Decimal(number) => {
                let text = number.to_string();
                number_value(&text).unwrap_or(Value::String(text))
            }
            Self::Text(text) => Value::String(text.clone().into_owned()),
            // It was checked when it was read; what is nested deeper than serde_json reads is shown as text.
            Self::Raw(raw) => serde_json::from_str(raw).unwrap_or_else(|_| Value::String((*raw).to_owned())),
            Self::Node(value) => (*value).clone(),
            Self::List(items) => Value::Array(items.iter().map(V::to_value).collect()),
            Self::Object(members) => Value::Object(
                members.iter().map(|(name, value)| (name.clone().into_owned(), value.to_value())).collect(),
            ),
        }
    }
}

/// The number in memory, if it is short enough to be seen to be exact there: whole, or of up to 15 digits.
pub(crate) fn short_decimal(number: Decimal) -> Option<Value> {
    let whole = i64::try_from(number.coefficient).ok()?;
    if number.places == 0 {
        return Some(Value::from(whole));
    }
    let unit = *UNITS.get(usize::from(number.places))?;
    if whole % unit == 0 {
        return Some(Value::from(whole / unit));
    }
    // Floats hold both exactly, so that the quotient is the float nearest to the number; and no other number of so few digits is
    // nearest to it, so that it is written as this one.
    let is_short = whole.unsigned_abs() < FLOAT_DIGITS;
    is_short.then(|| Value::from(whole as f64 / unit as f64))
}

const FLOAT_DIGITS: u64 = 10_u64.pow(f64::DIGITS);
const UNITS: [i64; f64::DIGITS as usize + 1] = {
    let mut units = [1; f64::DIGITS as usize + 1];
    let mut at = 1;
    while at < units.len() {
        units[at] = units[at - 1] * 10;
        at += 1;
    }
    units
};

/// The number, if memory holds it exactly.
pub(crate) fn number_value(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        // Minus nought is a float in memory.
        return if text == "-0" { Some(Value::from(-0.0)) } else { Some(Value::from(whole)) };
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(Value::from(whole));
    }
    // Not by serde_json: unless `float_roundtrip` is switched on, it may read a neighbour of the number.
    let float: f64 = text.parse().ok()?;
    let is_same =
        |number: &serde_json::Number| compare_numbers(&number.to_string(), text) == Some(Ordering::Equal);
    serde_json::Number::from_f64(float)
        .filter(is_same)
        // With `arbitrary_precision`, the text itself is the number.
        .or_else(|| serde_json::from_str(text).ok().filter(is_same))
        .map(Value::Number)
}

fn same_tree(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || compare_numbers(&a.to_string(), &b.to_string()) == Some(Ordering::Equal)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_tree(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_tree(a, b)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_decimal_in_memory_is_the_number_that_its_text_is() -> Result<(), Failure> {
        for (text, is_short) in [
            ("0", true),
            ("0.00", true),
            ("-12.50", true),
            ("17.00", true),
            ("0.1", true),
            ("0.000000000000001", true),
            ("999999999999.999", true),
            ("-9223372036854775808", true),
            ("1000000000000.001", false),
            ("9223372036854775808", false),
            ("0.0000000000000001", false),
        ] {
            let short = short_decimal(text.parse()?);

            assert_eq!(short.is_some(), is_short, "{text}");
            let short_text = short.map(|short| V::of(&short).to_value().to_string());
            let told = short_text.and_then(|text| text.parse::<Decimal>().ok());
            assert!(told.is_none_or(|told| text.parse() == Ok(told)), "{text} {told:?}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_short_way_into_memory_gives_what_the_long_way_gives(digits in any::<i64>(), places in 0_i32..20) {
            for digits in [digits, digits % 1_000_000_000_000_000, digits % 100_000] {
                let Ok(number) = Decimal::from(digits).scaled(-places) else { continue };
                if let Some(short) = short_decimal(number) {
                    prop_assert_eq!(Some(short), number_value(&number.to_string()));
                }
            }
        }
    }
}
