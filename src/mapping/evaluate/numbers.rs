//! Steps on numbers: exact, or rounded as the step says.

use std::borrow::Cow;

use crate::mapping::decimal::Decimal;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::rounding::Rounding;

/// A number from a text.
pub(super) fn read<'a>(value: V<'a>, separator: char, group: Option<char>) -> Result<V<'a>, Failure> {
    let text = match value {
        V::Number(_) | V::Decimal(_) => return Ok(value),
        V::Text(text) => text,
        other => return Err(other.unexpected("text or a number")),
    };
    let not_a_number = || Failure::new("E-NUMBER", "the text is not a number");
    if separator == '.' && group.is_none() {
        return Ok(V::Decimal(text.parse().map_err(|_| not_a_number())?));
    }
    let mut plain = String::with_capacity(text.len());
    let mut decimals = false;
    for c in text.chars() {
        if c == separator && !decimals {
            decimals = true;
            plain.push('.');
        } else if Some(c) == group && !decimals && plain.ends_with(|c: char| c.is_ascii_digit()) {
            // Groups are passed over; how long they are differs between countries.
        } else if c.is_ascii_digit() || (c == '-' && plain.is_empty()) {
            plain.push(c);
        } else {
            return Err(not_a_number());
        }
    }
    Ok(V::Decimal(plain.parse().map_err(|_| not_a_number())?))
}

/// A whole number; one that is too long to calculate with passes if it is written as one.
pub(super) fn whole(value: V<'_>) -> Result<V<'_>, Failure> {
    let not_whole = || Failure::new("E-NUMBER", "the number is not whole");
    let text: Cow<'_, str> = match value {
        V::Decimal(number) => return if number.is_whole() { Ok(value) } else { Err(not_whole()) },
        V::Number(text) | V::Text(text) => text,
        other => return Err(other.unexpected("text or a number")),
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && &*text != "-0";
    if is_plain {
        return Ok(V::Number(text));
    }
    let number: Decimal = text.parse().map_err(|error| match error {
        crate::mapping::decimal::ArithmeticError::NotANumber => {
            Failure::new("E-NUMBER", "the text is not a number")
        }
        other => Failure::from(other),
    })?;
    if number.is_whole() { Ok(V::Decimal(number)) } else { Err(not_whole()) }
}

pub(super) fn round<'a>(value: V<'a>, scale: u32, mode: Option<Rounding>) -> Result<V<'a>, Failure> {
    let number = value.number()?;
    match mode {
        Some(mode) => Ok(V::Decimal(number.rounded(scale as i32, mode)?)),
        None if number.places() <= scale => Ok(V::Decimal(number)),
        None => Err(inexact()),
    }
}

pub(super) fn divide<'a>(
    number: Decimal,
    by: Decimal,
    scale: Option<u32>,
    mode: Option<Rounding>,
) -> Result<V<'a>, Failure> {
    Ok(V::Decimal(match (scale, mode) {
        (Some(scale), Some(mode)) => number.divided_by(by, scale, mode)?,
        (Some(scale), None) => {
            let exact = number.divided_exactly_by(by)?;
            if exact.places() > scale {
                return Err(inexact());
            }
            exact
        }
        (None, _) => number.divided_exactly_by(by)?,
    }))
}

pub(super) fn clamp<'a>(value: V<'a>, min: Option<Decimal>, max: Option<Decimal>) -> Result<V<'a>, Failure> {
    let number = value.number()?;
    Ok(match (min, max) {
        (Some(min), _) if number < min => V::Decimal(min),
        (_, Some(max)) if number > max => V::Decimal(max),
        _ => value,
    })
}

/// An amount in the smallest unit of its currency: whole, or it is an error.
pub(super) fn minor_units<'a>(value: &V<'_>, places: u32) -> Result<V<'a>, Failure> {
    let minor = value.number()?.scaled(places as i32)?;
    if minor.is_whole() {
        Ok(V::Decimal(minor))
    } else {
        Err(Failure::new("E-INEXACT", "the amount has more decimals than its currency"))
    }
}

pub(super) fn major_units<'a>(value: &V<'_>, places: u32) -> Result<V<'a>, Failure> {
    let minor = value.number()?;
    if !minor.is_whole() {
        return Err(Failure::new("E-NUMBER", "an amount in the smallest unit is whole"));
    }
    Ok(V::Decimal(minor.scaled(-(places as i32))?))
}

fn inexact() -> Failure {
    Failure::new("E-INEXACT", "digits would be lost, and nothing says how to round")
}
