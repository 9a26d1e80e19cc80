//! Where exactness ends: quotients, and the ways in which a number is rounded.

use serde::{Deserialize, Serialize};

use super::decimal::{ArithmeticError, Decimal, MOST_PLACES, power, signed};

/// How a number that does not fit the asked decimal places is rounded.
///
/// ```
/// use crossdock::mapping::{Decimal, Rounding};
///
/// let amount: Decimal = "2.345".parse()?;
///
/// assert_eq!(amount.rounded(2, Rounding::HalfUp)?.to_string(), "2.35");
/// assert_eq!(amount.rounded(2, Rounding::HalfEven)?.to_string(), "2.34");
/// # Ok::<(), crossdock::mapping::ArithmeticError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rounding {
    /// To the nearest; a half goes away from zero, as in commerce.
    HalfUp,
    /// To the nearest; a half goes to the even digit, as in banking and statistics.
    HalfEven,
    /// To the nearest; a half goes towards zero.
    HalfDown,
    /// Away from zero.
    Up,
    /// Towards zero: the digits are cut off.
    Down,
    /// Towards positive infinity.
    Ceiling,
    /// Towards negative infinity.
    Floor,
}

impl Decimal {
    /// The quotient, rounded to this many decimal places.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], or [`ArithmeticError::TooLong`] if it has more than 37 digits.
    pub fn divided_by(self, by: Self, places: u32, rounding: Rounding) -> Result<Self, ArithmeticError> {
        if by.coefficient == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        if places > MOST_PLACES {
            return Err(ArithmeticError::TooLong);
        }
        let negative = (self.coefficient < 0) != (by.coefficient < 0);
        let numerator = self.coefficient.unsigned_abs();
        let denominator = by.coefficient.unsigned_abs();
        let shift = i64::from(places) + i64::from(by.places) - i64::from(self.places);

        let (quotient, remainder, denominator) = if shift < 0 {
            // A divisor that leaves 128 bits is more than twice any numerator: nothing but "less than half" remains.
            match power(shift.unsigned_abs()).and_then(|power| denominator.checked_mul(power)) {
                Some(denominator) => (numerator / denominator, numerator % denominator, denominator),
                None => (0, numerator, u128::MAX),
            }
        } else {
            let (mut quotient, mut remainder) = (numerator / denominator, numerator % denominator);
            for _ in 0..shift {
                if remainder == 0 && quotient == 0 {
                    break;
                }
                // The remainder is below the divisor, which is below 10^37.
                remainder *= 10;
                // Near the end of 128 bits the next digit may not fit even where the shift did.
                quotient = quotient
                    .checked_mul(10)
                    .and_then(|quotient| quotient.checked_add(remainder / denominator))
                    .ok_or(ArithmeticError::TooLong)?;
                remainder %= denominator;
            }
            (quotient, remainder, denominator)
        };
        let quotient = settle(quotient, remainder, denominator, negative, rounding);
        Self::fitted(signed(quotient, negative)?, places)
    }

    /// The quotient, if it has an end.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`]; [`ArithmeticError::Inexact`] as for 1/3; [`ArithmeticError::TooLong`] if it has
    /// more than 37 digits.
    pub fn divided_exactly_by(self, by: Self) -> Result<Self, ArithmeticError> {
        if by.coefficient == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        if self.coefficient == 0 {
            return Ok(Self::ZERO);
        }
        let negative = (self.coefficient < 0) != (by.coefficient < 0);
        let (numerator, divisor) = (self.coefficient.unsigned_abs(), by.coefficient.unsigned_abs());
        let common = greatest_common_divisor(numerator, divisor);
        let (mut numerator, mut rest) = (numerator / common, divisor / common);

        // A fraction in lowest terms ends if, and only if, its divisor holds no prime but 2 and 5.
        let twos = rest.trailing_zeros();
        rest >>= twos;
        let mut fives = 0;
        while rest.is_multiple_of(5) {
            rest /= 5;
            fives += 1;
        }
        if rest != 1 {
            return Err(ArithmeticError::Inexact);
        }
        let digits = twos.max(fives);
        for (base, times) in [(2_u128, digits - twos), (5, digits - fives)] {
            let factor = base.checked_pow(times).ok_or(ArithmeticError::TooLong)?;
            numerator = numerator.checked_mul(factor).ok_or(ArithmeticError::TooLong)?;
        }
        let exponent = i64::from(by.places) - i64::from(self.places) - i64::from(digits);
        Self::of(negative, numerator, exponent)
    }

    /// The number with at most this many decimal places; a negative count rounds to tens, hundreds and so on.
    ///
    /// # Errors
    /// [`ArithmeticError::TooLong`] if rounding away from zero needs one digit too many.
    pub fn rounded(self, places: i32, rounding: Rounding) -> Result<Self, ArithmeticError> {
        let surplus = i64::from(self.places) - i64::from(places);
        if surplus <= 0 {
            return Ok(self);
        }
        let negative = self.coefficient < 0;
        let magnitude = self.coefficient.unsigned_abs();
        // A power that leaves 128 bits is more than twice any number of 37 digits.
        let (quotient, remainder, unit) = match power(surplus.unsigned_abs()) {
            Some(unit) => (magnitude / unit, magnitude % unit, unit),
            None => (0, magnitude, u128::MAX),
        };
        let quotient = settle(quotient, remainder, unit, negative, rounding);
        Self::of(negative, quotient, -i64::from(places))
    }
}

/// The quotient after rounding; the remainder is below the divisor.
fn settle(quotient: u128, remainder: u128, divisor: u128, negative: bool, rounding: Rounding) -> u128 {
    if remainder == 0 {
        return quotient;
    }
    let half = remainder.cmp(&(divisor - remainder));
    let away = match rounding {
        Rounding::HalfUp => half.is_ge(),
        Rounding::HalfEven => half.is_gt() || (half.is_eq() && !quotient.is_multiple_of(2)),
        Rounding::HalfDown => half.is_gt(),
        Rounding::Up => true,
        Rounding::Down => false,
        Rounding::Ceiling => !negative,
        Rounding::Floor => negative,
    };
    quotient.saturating_add(u128::from(away))
}

fn greatest_common_divisor(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decimal::tests::any_decimal;
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_way_of_rounding_is_what_its_name_says() {
        let amounts = ["2.5", "3.5", "-2.5", "2.4", "2.6", "-2.6"];
        for (rounding, expected) in [
            (Rounding::HalfUp, ["3", "4", "-3", "2", "3", "-3"]),
            (Rounding::HalfEven, ["2", "4", "-2", "2", "3", "-3"]),
            (Rounding::HalfDown, ["2", "3", "-2", "2", "3", "-3"]),
            (Rounding::Up, ["3", "4", "-3", "3", "3", "-3"]),
            (Rounding::Down, ["2", "3", "-2", "2", "2", "-2"]),
            (Rounding::Ceiling, ["3", "4", "-2", "3", "3", "-2"]),
            (Rounding::Floor, ["2", "3", "-3", "2", "2", "-3"]),
        ] {
            for (amount, expected) in amounts.iter().zip(expected) {
                assert_eq!(d(amount).rounded(0, rounding), Ok(d(expected)), "{amount} {rounding:?}");
            }
        }
        assert_eq!(d("1250").rounded(-2, Rounding::HalfEven), Ok(d("1200")));
        assert_eq!(d("1250").rounded(-5, Rounding::HalfUp), Ok(Decimal::ZERO));
        assert_eq!(d("1").rounded(-36, Rounding::Up), Ok(d("1e36")));
        assert_eq!(d("1").rounded(-37, Rounding::Up), Err(ArithmeticError::TooLong));
        assert_eq!(d("1").rounded(i32::MIN, Rounding::HalfUp), Ok(Decimal::ZERO));
    }

    #[test]
    fn a_quotient_is_exact_or_rounded_but_never_quietly() {
        assert_eq!(d("1").divided_exactly_by(d("8")), Ok(d("0.125")));
        assert_eq!(d("0.3").divided_exactly_by(d("0.1")), Ok(d("3")));
        assert_eq!(d("-6").divided_exactly_by(d("0.0003")), Ok(d("-20000")));
        assert_eq!(d("1").divided_exactly_by(d("3")), Err(ArithmeticError::Inexact));
        assert_eq!(d("1").divided_exactly_by(Decimal::ZERO), Err(ArithmeticError::DivisionByZero));
        assert_eq!(d("2").divided_by(d("3"), 4, Rounding::HalfUp), Ok(d("0.6667")));
        assert_eq!(d("-2").divided_by(d("3"), 4, Rounding::Down), Ok(d("-0.6666")));
        assert_eq!(d("1e-30").divided_by(d("1e30"), 2, Rounding::Up), Ok(d("0.01")));
        assert_eq!(d("1e-30").divided_by(d("1e30"), 2, Rounding::HalfUp), Ok(Decimal::ZERO));
        assert_eq!(d("1e30").divided_by(d("1e-30"), 2, Rounding::HalfUp), Err(ArithmeticError::TooLong));
        assert_eq!(d("1").divided_by(d("3"), 38, Rounding::HalfUp), Err(ArithmeticError::TooLong));
        assert_eq!(d("-7.5").remainder(d("2")), Ok(d("-1.5")));
    }

    #[test]
    fn a_quotient_whose_last_digit_leaves_128_bits_is_too_long() {
        let (number, by) = (d("8234596270044404281195"), d("241993034918486928192.1"));

        assert_eq!(number.divided_by(by, 37, Rounding::HalfUp), Err(ArithmeticError::TooLong));
    }

    proptest! {
        #[test]
        fn rounding_stays_within_one_unit(number in any_decimal(), by in any_decimal(), places in 0..10_u32) {
            if let Ok(quotient) = number.divided_by(by, places, Rounding::HalfEven) && let Ok(back) = quotient.times(by) {
                let unit = d("1").scaled(-(places as i32)).and_then(|unit| unit.times(by.magnitude()));
                if let (Ok(unit), Ok(difference)) = (unit, number.minus(back)) {
                    prop_assert!(difference.magnitude() <= unit);
                }
            }
        }
    }
}
