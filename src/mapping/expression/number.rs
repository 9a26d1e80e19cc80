//! Numbers during an evaluation: as they were written, exact, or a quotient that nobody has rounded yet.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::decimal::{ArithmeticError, Decimal};
use super::super::number_text::compare_numbers;
use super::super::rounding::Rounding;

#[derive(Clone, Debug)]
pub(crate) enum Number<'a> {
    /// As it is written in the record, of any length: it passes unchanged.
    Text(Cow<'a, str>),
    Exact(Decimal),
    /// A quotient without an end: numerator and denominator. It can be rounded, and calculated with, but not given out.
    Quotient(Box<(Decimal, Decimal)>),
}

impl Number<'_> {
    /// The number as numerator and denominator.
    fn fraction(&self) -> Result<(Decimal, Decimal), ArithmeticError> {
        match self {
            Self::Text(text) => Ok((text.parse()?, Decimal::ONE)),
            Self::Exact(number) => Ok((*number, Decimal::ONE)),
            Self::Quotient(both) => Ok(**both),
        }
    }

    /// The number, if it is not an unrounded quotient.
    pub(crate) fn exact(&self) -> Result<Decimal, ArithmeticError> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Exact(number) => Ok(*number),
            Self::Quotient(_) => Err(ArithmeticError::Inexact),
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Number<'static>, ArithmeticError> {
        let ((a, b), (c, d)) = (self.fraction()?, other.fraction()?);
        if b == Decimal::ONE && d == Decimal::ONE {
            return a.plus(c).map(Number::Exact);
        }
        quotient(a.times(d)?.plus(c.times(b)?)?, b.times(d)?)
    }

    pub(super) fn minus(&self, other: &Self) -> Result<Number<'static>, ArithmeticError> {
        self.plus(&other.negated()?)
    }

    pub(super) fn times(&self, other: &Self) -> Result<Number<'static>, ArithmeticError> {
        let ((a, b), (c, d)) = (self.fraction()?, other.fraction()?);
        if b == Decimal::ONE && d == Decimal::ONE {
            return a.times(c).map(Number::Exact);
        }
        quotient(a.times(c)?, b.times(d)?)
    }

    pub(super) fn divided_by(&self, other: &Self) -> Result<Number<'static>, ArithmeticError> {
        let ((a, b), (c, d)) = (self.fraction()?, other.fraction()?);
        quotient(a.times(d)?, b.times(c)?)
    }

    pub(super) fn remainder(&self, other: &Self) -> Result<Number<'static>, ArithmeticError> {
        self.exact()?.remainder(other.exact()?).map(Number::Exact)
    }

    pub(super) fn negated(&self) -> Result<Number<'static>, ArithmeticError> {
        Ok(match self.fraction()? {
            (number, one) if one == Decimal::ONE => Number::Exact(number.negated()),
            (numerator, denominator) => Number::Quotient(Box::new((numerator.negated(), denominator))),
        })
    }

    pub(super) fn magnitude(&self) -> Result<Number<'static>, ArithmeticError> {
        Ok(match self.fraction()? {
            (number, one) if one == Decimal::ONE => Number::Exact(number.magnitude()),
            (numerator, denominator) => {
                Number::Quotient(Box::new((numerator.magnitude(), denominator.magnitude())))
            }
        })
    }

    /// Rounded to this many places; fewer than none rounds to tens and hundreds.
    pub(crate) fn rounded(&self, places: i32, rounding: Rounding) -> Result<Decimal, ArithmeticError> {
        match self.fraction()? {
            (number, one) if one == Decimal::ONE => number.rounded(places, rounding),
            (numerator, denominator) => {
                // Rounding to tens is rounding the tenth part to a whole.
                let coarse = places.min(0);
                let fine = u32::try_from(places).unwrap_or(0);
                numerator.scaled(coarse)?.divided_by(denominator, fine, rounding)?.scaled(-coarse)
            }
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => compare_numbers(text, "0") == Some(Ordering::Equal),
            Self::Exact(number) => number.is_zero(),
            Self::Quotient(_) => false,
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Result<Ordering, ArithmeticError> {
        let both = match (self, other) {
            // Of any length, without reading them as decimals.
            (Self::Text(left), Self::Text(right)) => return compare_texts(left, right),
            _ => self.fraction().and_then(|left| Ok((left, other.fraction()?))),
        };
        match both {
            Ok(((a, b), (c, d))) => {
                let order = a.times(d)?.cmp(&c.times(b)?);
                Ok(if b.is_negative() == d.is_negative() { order } else { order.reverse() })
            }
            // One of them is longer than a decimal; the other one has a text.
            Err(ArithmeticError::TooLong) => match (self, other) {
                (Self::Text(left), Self::Exact(right)) => compare_texts(left, &right.to_string()),
                (Self::Exact(left), Self::Text(right)) => compare_texts(&left.to_string(), right),
                _ => Err(ArithmeticError::TooLong),
            },
            Err(error) => Err(error),
        }
    }

    /// The text without an exponent and without trailing zeros; a number longer than a decimal stays as it is written.
    pub(crate) fn canonical(&self) -> Result<Cow<'_, str>, ArithmeticError> {
        match self {
            Self::Text(text) => match text.parse::<Decimal>() {
                Ok(number) => Ok(Cow::Owned(number.to_string())),
                Err(ArithmeticError::TooLong) => Ok(Cow::Borrowed(text)),
                Err(error) => Err(error),
            },
            Self::Exact(number) => Ok(Cow::Owned(number.to_string())),
            Self::Quotient(_) => Err(ArithmeticError::Inexact),
        }
    }
}

/// The exact quotient, or the unrounded one.
fn quotient(numerator: Decimal, denominator: Decimal) -> Result<Number<'static>, ArithmeticError> {
    match numerator.divided_exactly_by(denominator) {
        Ok(number) => Ok(Number::Exact(number)),
        Err(ArithmeticError::Inexact) => Ok(Number::Quotient(Box::new((numerator, denominator)))),
        Err(error) => Err(error),
    }
}

fn compare_texts(left: &str, right: &str) -> Result<Ordering, ArithmeticError> {
    compare_numbers(left, right).ok_or(ArithmeticError::NotANumber)
}
