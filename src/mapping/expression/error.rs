//! What is wrong with an expression, where, and what to write instead.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::super::decimal::ArithmeticError;
use super::budget::Exhausted;

/// Says what is wrong with an expression or with its evaluation, and at which bytes of its text.
///
/// It never holds a value of the record: only what kind of value it was.
///
/// ```
/// use crossdock::mapping::Expression;
///
/// let error = Expression::parse("lines^(price)").unwrap_err();
///
/// assert_eq!(error.code(), "E-EXPR-REFUSED");
/// assert_eq!(error.span(), 5..6);
/// assert_eq!(error.message(), "ordering with `^( )` is not part of mapping expressions");
/// assert_eq!(error.help(), Some("`$sort(…)` sorts numbers or texts by value"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExpressionError(Box<Parts>);

/// Boxed, so that results stay small where nothing is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Parts {
    code: &'static str,
    at: Span,
    message: Cow<'static, str>,
    help: Option<Cow<'static, str>>,
}

/// Some bytes of the text of an expression.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Span {
    // The text of an expression is at most 1 KB.
    start: u16,
    end: u16,
}

impl ExpressionError {
    pub(crate) fn new(code: &'static str, at: Span, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts { code, at, message: message.into(), help: None }))
    }

    pub(crate) fn with_help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(super) fn syntax(at: Span, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SYNTAX, at, message)
    }

    pub(super) fn kind(at: Span, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(KIND, at, message)
    }

    pub(super) fn arithmetic(at: Span, error: ArithmeticError) -> Self {
        match error {
            ArithmeticError::DivisionByZero => Self::new(ZERO, at, "a division by zero"),
            ArithmeticError::Inexact => Self::new(INEXACT, at, "a division without an exact result")
                .with_help(
                    "say how to round it: `$round(a / b, 2)`, or a step `round` behind the expression",
                ),
            ArithmeticError::TooLong => Self::new(NUMBER, at, "a number of more than 37 digits"),
            ArithmeticError::NotANumber => Self::new(NUMBER, at, "not a number"),
        }
    }

    pub(super) fn exhausted(at: Span, exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::Steps => Self::new(FUEL, at, "the expression does more than one record may cost"),
            Exhausted::Bytes => Self::new(SIZE, at, "the expression builds more than one record may hold"),
            Exhausted::Text => Self::new(SIZE, at, "the expression builds a text that is too long"),
            Exhausted::Depth => Self::new(DEPTH, at, "the record is nested too deeply"),
        }
    }

    /// The stable name of the problem, such as `E-EXPR-REFUSED`.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The bytes of the expression's text that are meant.
    pub fn span(&self) -> Range<usize> {
        self.0.at.start.into()..self.0.at.end.into()
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to write instead, where there is something.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.0.code, self.0.at.start, self.0.message)?;
        match &self.0.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let cut = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self { start: cut(start), end: cut(end) }
    }

    /// From the start of this to the end of the other.
    pub(super) fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

const SYNTAX: &str = "E-EXPR-SYNTAX";
pub(super) const LIMIT: &str = "E-EXPR-LIMIT";
pub(super) const REFUSED: &str = "E-EXPR-REFUSED";
pub(super) const FUNCTION: &str = "E-EXPR-FUNCTION";
pub(super) const ARGUMENTS: &str = "E-EXPR-ARGUMENTS";
pub(super) const TEXT: &str = "E-EXPR-TEXT";
const KIND: &str = "E-EXPR-TYPE";
const ZERO: &str = "E-EXPR-ZERO";
const INEXACT: &str = "E-EXPR-INEXACT";
const NUMBER: &str = "E-EXPR-NUMBER";
const FUEL: &str = "E-EXPR-FUEL";
const SIZE: &str = "E-EXPR-SIZE";
const DEPTH: &str = "E-EXPR-DEPTH";
