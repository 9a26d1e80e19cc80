//! Why a step failed, before it is known where.

use std::borrow::Cow;

use crate::mapping::decimal::ArithmeticError;

/// A code and a sentence without any part of the value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// Not the value is at fault but the record as a whole: no `on_error` helps.
    pub(crate) fatal: bool,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), fatal: false }
    }

    pub(crate) fn limit(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "E-LIMIT", message: message.into(), fatal: true }
    }
}

impl From<ArithmeticError> for Failure {
    fn from(error: ArithmeticError) -> Self {
        match error {
            ArithmeticError::Inexact => {
                Self::new("E-INEXACT", "the result is not exact, and nothing says how to round")
            }
            ArithmeticError::DivisionByZero => Self::new("E-NUMBER", "a division by zero"),
            ArithmeticError::TooLong => {
                Self::new("E-NUMBER", "a number of more than 37 digits cannot be calculated with")
            }
            ArithmeticError::NotANumber => Self::new("E-NUMBER", "this is not a number"),
        }
    }
}
