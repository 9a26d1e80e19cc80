//! Which numbers there are: up to 37 digits, up to 37 of them behind the point.

/// An exact decimal number of up to 37 digits.
///
/// Equal numbers are equal whatever their decimal places: `1.50` is `1.5`. The text of a decimal has no exponent and no trailing
/// zeros; [`Decimal::to_places`] writes a fixed number of places.
///
/// ```
/// use crossdock::mapping::{Decimal, Rounding};
///
/// let price: Decimal = "19.99".parse()?;
/// let total = price.times(Decimal::from(3))?;
///
/// assert_eq!(total.to_string(), "59.97");
/// assert_eq!(total.divided_by(Decimal::from(7), 2, Rounding::HalfUp)?.to_string(), "8.57");
/// assert!(total.divided_exactly_by(Decimal::from(7)).is_err());
/// # Ok::<(), crossdock::mapping::ArithmeticError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Decimal {
    // Below 10^37 in magnitude, so that one more digit still fits 128 bits: long division needs that.
    pub(in crate::mapping) coefficient: i128,
    // At most 37.
    pub(in crate::mapping) places: u8,
}

/// Why a calculation has no exact result.
///
/// ```
/// use crossdock::mapping::{ArithmeticError, Decimal};
///
/// let third = Decimal::from(1).divided_exactly_by(Decimal::from(3));
///
/// assert_eq!(third, Err(ArithmeticError::Inexact));
/// assert_eq!("1,5".parse::<Decimal>(), Err(ArithmeticError::NotANumber));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArithmeticError {
    /// The text is not a number.
    #[error("not a number")]
    NotANumber,
    /// The number, or the result, has more than 37 digits.
    #[error("a number of more than 37 digits")]
    TooLong,
    /// The divisor is zero.
    #[error("a division by zero")]
    DivisionByZero,
    /// The quotient has no end, and nothing said how to round it.
    #[error("a division without an exact result; round it")]
    Inexact,
}

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self { coefficient: 0, places: 0 };
    /// One.
    pub const ONE: Self = Self { coefficient: 1, places: 0 };

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.coefficient < 0
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.coefficient == 0
    }

    /// Whether nothing but zeros stands behind the point.
    pub fn is_whole(self) -> bool {
        self.places == 0 || self.whole().is_some()
    }

    /// The whole number, unless there is a fraction.
    pub fn whole(self) -> Option<i128> {
        let unit = POWERS[usize::from(self.places)];
        (self.coefficient % unit == 0).then(|| self.coefficient / unit)
    }

    /// How many digits stand behind the point, without trailing zeros.
    pub fn places(self) -> u32 {
        self.normalised().places.into()
    }

    /// The same number without trailing zeros behind the point.
    pub(super) fn normalised(mut self) -> Self {
        if self.coefficient == 0 {
            return Self::ZERO;
        }
        while self.places > 0 && self.coefficient % 10 == 0 {
            self.coefficient /= 10;
            self.places -= 1;
        }
        self
    }

    /// The number `coefficient / 10^places`, with trailing zeros dropped if it does not fit with them.
    pub(in crate::mapping) fn fitted(coefficient: i128, places: u32) -> Result<Self, ArithmeticError> {
        if coefficient.unsigned_abs() < LIMIT && places <= MOST_PLACES {
            // At most 37, as has just been seen.
            return Ok(Self { coefficient, places: places as u8 });
        }
        Self::of(coefficient < 0, coefficient.unsigned_abs(), -i64::from(places))
    }

    /// The number `magnitude * 10^exponent`.
    pub(in crate::mapping) fn of(
        negative: bool,
        mut magnitude: u128,
        mut exponent: i64,
    ) -> Result<Self, ArithmeticError> {
        if magnitude == 0 {
            return Ok(Self::ZERO);
        }
        while exponent < 0
            && (magnitude >= LIMIT || exponent < -i64::from(MOST_PLACES))
            && magnitude.is_multiple_of(10)
        {
            magnitude /= 10;
            exponent += 1;
        }
        if exponent > 0 {
            let factor = power(exponent.unsigned_abs()).ok_or(ArithmeticError::TooLong)?;
            magnitude = magnitude.checked_mul(factor).ok_or(ArithmeticError::TooLong)?;
            exponent = 0;
        }
        if magnitude >= LIMIT || exponent < -i64::from(MOST_PLACES) {
            return Err(ArithmeticError::TooLong);
        }
        let coefficient = signed(magnitude, negative)?;
        Ok(Self { coefficient, places: exponent.unsigned_abs() as u8 })
    }
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        Self { coefficient: whole.into(), places: 0 }
    }
}

impl From<u64> for Decimal {
    fn from(whole: u64) -> Self {
        Self { coefficient: whole.into(), places: 0 }
    }
}

impl From<i32> for Decimal {
    fn from(whole: i32) -> Self {
        Self { coefficient: whole.into(), places: 0 }
    }
}

impl From<u32> for Decimal {
    fn from(whole: u32) -> Self {
        Self { coefficient: whole.into(), places: 0 }
    }
}

pub(in crate::mapping) fn signed(magnitude: u128, negative: bool) -> Result<i128, ArithmeticError> {
    let magnitude = i128::try_from(magnitude).map_err(|_| ArithmeticError::TooLong)?;
    Ok(if negative { -magnitude } else { magnitude })
}

pub(in crate::mapping) fn power(exponent: u64) -> Option<u128> {
    POWERS.get(usize::try_from(exponent).ok()?).map(|power| power.unsigned_abs())
}

pub(in crate::mapping) const MOST_PLACES: u32 = 37;
pub(super) const LIMIT: u128 = 10_u128.pow(MOST_PLACES);

pub(super) const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};
