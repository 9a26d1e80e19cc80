//! Sums, products and remainders: exactly, or not at all.

use crate::mapping::decimal::model::{ArithmeticError, Decimal, POWERS};

impl Decimal {
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
}

/// Both coefficients at the same number of places, unless one leaves 128 bits or the sum could.
pub(super) fn align(left: Decimal, right: Decimal) -> Option<(i128, i128, u32)> {
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
