//! Exact decimals: what arithmetic on amounts, quantities and rates is done in.
//!
//! A decimal is a whole number of up to 37 digits and a count of decimal places. Nothing here rounds unless it is told how, and
//! nothing allocates. Binary floats are not used: `int(x * 100)` is wrong for one amount in fifteen. `rust_decimal` was looked at
//! and left: its `checked_mul` and `checked_add` round silently when the exact result has more than 28 digits.
//!
//! Numbers that merely pass through a mapping never come here; they stay the text that they were, of any length.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::number_text::NumberText;

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
    pub(super) coefficient: i128,
    // At most 37.
    pub(super) places: u8,
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

    /// The sum.
    ///
    /// # Errors
    /// [`ArithmeticError::TooLong`] if it has more than 37 digits.
    pub fn plus(self, other: Self) -> Result<Self, ArithmeticError> {
        if self.places == other.places {
            // Two numbers below 10^37 cannot leave 128 bits.
            return Self::fitted(self.coefficient + other.coefficient, self.places.into());
        }
        match align(self, other) {
            Some((left, right, places)) => Self::fitted(left + right, places),
            None => {
                let (left, right, places) =
                    align(self.normalised(), other.normalised()).ok_or(ArithmeticError::TooLong)?;
                Self::fitted(left + right, places)
            }
        }
    }

    /// The difference.
    ///
    /// # Errors
    /// [`ArithmeticError::TooLong`] if it has more than 37 digits.
    pub fn minus(self, other: Self) -> Result<Self, ArithmeticError> {
        self.plus(other.negated())
    }

    /// The product, exactly.
    ///
    /// # Errors
    /// [`ArithmeticError::TooLong`] if it has more than 37 digits.
    pub fn times(self, other: Self) -> Result<Self, ArithmeticError> {
        let places = u32::from(self.places) + u32::from(other.places);
        if let Some(product) = product(self.coefficient, other.coefficient) {
            return Self::fitted(product, places);
        }
        let (left, right) = (self.normalised(), other.normalised());
        let places = u32::from(left.places) + u32::from(right.places);
        let product = left.coefficient.checked_mul(right.coefficient).ok_or(ArithmeticError::TooLong)?;
        Self::fitted(product, places)
    }

    /// What is left when the divisor was taken away as often as it fits; it has the sign of `self`.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], or [`ArithmeticError::TooLong`] if the two lie more than 37 digits apart.
    pub fn remainder(self, by: Self) -> Result<Self, ArithmeticError> {
        if by.coefficient == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        let aligned = align(self, by).or_else(|| align(self.normalised(), by.normalised()));
        let (left, right, places) = aligned.ok_or(ArithmeticError::TooLong)?;
        Self::fitted(left % right, places)
    }

    /// The number times ten to this power, exactly.
    ///
    /// # Errors
    /// [`ArithmeticError::TooLong`] if it has more than 37 digits.
    pub fn scaled(self, power: i32) -> Result<Self, ArithmeticError> {
        let exponent = i64::from(power) - i64::from(self.places);
        Self::of(self.coefficient < 0, self.coefficient.unsigned_abs(), exponent)
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { coefficient: -self.coefficient, ..self }
    }

    /// The number without its sign.
    #[must_use]
    pub fn magnitude(self) -> Self {
        Self { coefficient: self.coefficient.abs(), ..self }
    }

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

    /// The text with exactly this many digits behind the point, such as `12.50`; `None` if the number has more, so that nothing is
    /// rounded here.
    pub fn to_places(self, places: u32) -> Option<String> {
        let number = self.normalised();
        let missing = usize::try_from(places.checked_sub(number.places.into())?).ok()?;
        if places > MOST_PLACES {
            return None;
        }
        let mut text = number.to_string();
        if number.places == 0 && missing > 0 {
            text.push('.');
        }
        text.extend(std::iter::repeat_n('0', missing));
        Some(text)
    }

    /// Appends the text: no exponent, no trailing zeros. The same as `Display`, without its machinery.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let mut buffer = [0; TEXT];
        out.extend_from_slice(self.text(&mut buffer));
    }

    /// The same number without trailing zeros behind the point.
    fn normalised(mut self) -> Self {
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
    pub(super) fn fitted(coefficient: i128, places: u32) -> Result<Self, ArithmeticError> {
        if coefficient.unsigned_abs() < LIMIT && places <= MOST_PLACES {
            // At most 37, as has just been seen.
            return Ok(Self { coefficient, places: places as u8 });
        }
        Self::of(coefficient < 0, coefficient.unsigned_abs(), -i64::from(places))
    }

    /// The number `magnitude * 10^exponent`.
    pub(super) fn of(
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

    /// The text, written from the end of the buffer.
    fn text(self, buffer: &mut [u8; TEXT]) -> &[u8] {
        let number = self.normalised();
        let mut rest = number.coefficient.unsigned_abs();
        let mut at = TEXT;
        let mut written = 0;
        loop {
            if written == u32::from(number.places) && number.places > 0 {
                at -= 1;
                buffer[at] = b'.';
            }
            at -= 1;
            // Below ten.
            buffer[at] = b'0'
                + if let Ok(small) = u64::try_from(rest) {
                    rest = u128::from(small / 10);
                    (small % 10) as u8
                } else {
                    let digit = (rest % 10) as u8;
                    rest /= 10;
                    digit
                };
            written += 1;
            if rest == 0 && written > u32::from(number.places) {
                break;
            }
        }
        if number.coefficient < 0 {
            at -= 1;
            buffer[at] = b'-';
        }
        &buffer[at..]
    }
}

impl std::str::FromStr for Decimal {
    type Err = ArithmeticError;

    /// Reads a number as JSON writes it, also with an exponent; leading zeros are taken as well, because fixed-width texts have
    /// them. Not `+1`, `.5`, `5.`, nor anything around the number.
    fn from_str(text: &str) -> Result<Self, ArithmeticError> {
        let written = NumberText::read(text).ok_or(ArithmeticError::NotANumber)?;
        if written.exponent == 0 && written.whole.len() + written.fraction.len() <= SHORT {
            let mut magnitude = 0_u64;
            for digit in written.whole.iter().chain(written.fraction) {
                magnitude = magnitude * 10 + u64::from(digit - b'0');
            }
            let coefficient = if written.negative { -i128::from(magnitude) } else { i128::from(magnitude) };
            return Ok(Self { coefficient, places: written.fraction.len() as u8 });
        }
        let mut magnitude = 0_u128;
        let mut count = 0_i64;
        for digit in written.significant() {
            count += 1;
            if count > MOST_PLACES.into() {
                return Err(ArithmeticError::TooLong);
            }
            magnitude = magnitude * 10 + u128::from(digit - b'0');
        }
        Self::of(written.negative, magnitude, written.magnitude() - count)
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

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.places == other.places {
            return self.coefficient.cmp(&other.coefficient);
        }
        match align(*self, *other) {
            Some((left, right, _)) => left.cmp(&right),
            // The one with fewer places did not fit when it was lengthened, so it is the greater in size.
            None if self.places < other.places => self.coefficient.cmp(&0),
            None => 0.cmp(&other.coefficient),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let number = self.normalised();
        number.coefficient.hash(state);
        number.places.hash(state);
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; TEXT];
        let text = std::str::from_utf8(self.text(&mut buffer)).map_err(|_| fmt::Error)?;
        f.pad(text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both coefficients at the same number of places, unless one leaves 128 bits or the sum could.
fn align(left: Decimal, right: Decimal) -> Option<(i128, i128, u32)> {
    let places = left.places.max(right.places);
    let lengthen = |number: Decimal| {
        let longer = number.coefficient.checked_mul(POWERS[usize::from(places - number.places)])?;
        (longer.unsigned_abs() < i128::MAX.unsigned_abs() / 2).then_some(longer)
    };
    Some((lengthen(left)?, lengthen(right)?, places.into()))
}

/// The product; two numbers of 64 bits take the short way.
fn product(left: i128, right: i128) -> Option<i128> {
    match (i64::try_from(left), i64::try_from(right)) {
        (Ok(left), Ok(right)) => Some(i128::from(left) * i128::from(right)),
        _ => left.checked_mul(right),
    }
}

pub(super) fn signed(magnitude: u128, negative: bool) -> Result<i128, ArithmeticError> {
    let magnitude = i128::try_from(magnitude).map_err(|_| ArithmeticError::TooLong)?;
    Ok(if negative { -magnitude } else { magnitude })
}

pub(super) fn power(exponent: u64) -> Option<u128> {
    POWERS.get(usize::try_from(exponent).ok()?).map(|power| power.unsigned_abs())
}

pub(super) const MOST_PLACES: u32 = 37;
const LIMIT: u128 = 10_u128.pow(MOST_PLACES);
/// As many digits as always fit 64 bits.
const SHORT: usize = 18;
/// 37 digits, or a zero before as many; the point; the sign.
const TEXT: usize = 40;

const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::super::number_text::compare_numbers;
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_number_is_read_as_json_writes_it() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e5", "0"),
            ("0e999999999999999999999", "0"),
            ("12.50", "12.5"),
            ("0012.50", "12.5"),
            ("-0.001", "-0.001"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("1.5e+1", "15"),
            ("18446744073709551615", "18446744073709551615"),
            ("450789469123456789", "450789469123456789"),
            ("9999999999999999999999999999999999999", "9999999999999999999999999999999999999"),
            ("-0.9999999999999999999999999999999999999", "-0.9999999999999999999999999999999999999"),
            ("1.00000000000000000000000000000000000000000000000000000000000000", "1"),
        ] {
            assert_eq!(d(text).to_string(), canonical, "{text}");
        }
        for text in [
            "", "-", "+1", ".5", "5.", "1,5", " 1", "1 ", "1e", "1e+", "0x10", "NaN", "Infinity", "1.2.3",
            "１",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(ArithmeticError::NotANumber), "{text}");
        }
        for text in ["1e37", "1e-38", "10000000000000000000000000000000000000", "1e999999999999999999999"] {
            assert_eq!(text.parse::<Decimal>(), Err(ArithmeticError::TooLong), "{text}");
        }
    }

    #[test]
    fn arithmetic_leaves_its_range_with_an_error() {
        let large = d("9999999999999999999999999999999999999");

        assert_eq!(large.plus(Decimal::ONE), Err(ArithmeticError::TooLong));
        assert_eq!(large.times(large), Err(ArithmeticError::TooLong));
        assert_eq!(large.plus(d("0.1")), Err(ArithmeticError::TooLong));
        assert_eq!(large.scaled(1), Err(ArithmeticError::TooLong));
        assert_eq!(large.scaled(-38), Err(ArithmeticError::TooLong));
        assert_eq!(d("10").scaled(-38), Ok(d("1e-37")));
        assert_eq!(d("1.000000000000000000").times(d("1e36")), Ok(d("1e36")));
        assert_eq!(d("1e36").plus(d("1.0000")), Ok(d("1000000000000000000000000000000000001")));
    }

    #[test]
    fn equal_numbers_are_one_key() {
        let set: HashSet<Decimal> = ["1", "1.0", "1.00", "10e-1", "0", "-0.0"].into_iter().map(d).collect();

        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_fixed_number_of_places_never_rounds() {
        assert_eq!(d("12.5").to_places(2).as_deref(), Some("12.50"));
        assert_eq!(d("12").to_places(2).as_deref(), Some("12.00"));
        assert_eq!(d("12").to_places(0).as_deref(), Some("12"));
        assert_eq!(d("12.500").to_places(1).as_deref(), Some("12.5"));
        assert_eq!(d("12.55").to_places(1), None);
        assert_eq!(d("-0.05").to_places(3).as_deref(), Some("-0.050"));
    }

    pub(in crate::mapping) fn any_decimal() -> impl Strategy<Value = Decimal> {
        (any::<bool>(), 0..LIMIT, 0..=MOST_PLACES, 0..=37_u32).prop_map(
            |(negative, magnitude, places, cut)| {
                let magnitude = magnitude / 10_u128.pow(cut);
                Decimal::of(negative, magnitude, -i64::from(places)).unwrap_or(Decimal::ZERO)
            },
        )
    }

    proptest! {
        #[test]
        fn the_text_is_the_number(number in any_decimal()) {
            let text = number.to_string();

            prop_assert_eq!(d(&text), number);
            prop_assert!(!text.contains('e'));
            prop_assert_eq!(compare_numbers(&text, &d(&text).to_string()), Some(Ordering::Equal));
        }

        #[test]
        fn two_orders_agree(left in any_decimal(), right in any_decimal()) {
            prop_assert_eq!(compare_numbers(&left.to_string(), &right.to_string()), Some(left.cmp(&right)));
        }

        #[test]
        fn what_was_added_can_be_taken_away(left in any_decimal(), right in any_decimal()) {
            if let Ok(sum) = left.plus(right) {
                prop_assert_eq!(sum.minus(right), Ok(left));
            }
        }

        #[test]
        fn what_was_multiplied_can_be_divided(left in any_decimal(), right in any_decimal()) {
            if let Ok(product) = left.times(right) && !right.is_zero() {
                prop_assert_eq!(product.divided_exactly_by(right), Ok(left));
                prop_assert_eq!(product.remainder(right).map(Decimal::is_zero).unwrap_or(true) || !left.is_whole(), true);
            }
        }

        #[test]
        fn any_text_is_a_number_or_an_error(text in "[-+0-9.eE]{0,60}") {
            if let Ok(number) = text.parse::<Decimal>() {
                prop_assert_eq!(compare_numbers(&text, &number.to_string()), Some(Ordering::Equal));
            }
        }
    }
}
