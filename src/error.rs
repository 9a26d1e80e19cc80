//! The one error of everything that touches the world: kind, step, source.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What the crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what kind of failure it was, what was being done, and what lies underneath.
///
/// The text never holds a secret or a payload. [`ErrorKind`] says whether trying again helps.
///
/// ```
/// use crossdock::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "claim deliveries")
///     .with_source(std::io::Error::other("connection reset"));
///
/// assert!(error.is_transient());
/// assert_eq!(error.to_string(), "could not claim deliveries: unavailable");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    step: Cow<'static, str>,
    problems: Vec<Problem>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was; the doc of each kind says whether it is retried.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store, the vault or the network did not answer. Retried: the engine backs off and goes on.
    Unavailable,
    /// The actor may not do this. Never retried.
    Denied,
    /// There is no such record for this tenant; another tenant's record answers the same. Never retried.
    NotFound,
    /// Somebody else changed the record, or an idempotency key was used with other bytes. Retried only by
    /// a caller who has looked at the present state.
    Conflict,
    /// The input breaks a rule; [`Error::problems`] lists field, rule and fix. Never retried unchanged.
    Invalid,
    /// Stored data cannot be read back: a wrong key, a changed row, an unknown format. Never retried.
    Corrupt,
    /// A part is missing from the hub's configuration, such as a transport. Never retried.
    Unconfigured,
    /// A defect in this crate or in host code that it called. Never retried.
    Internal,
}

/// One broken rule: which field, which rule, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The field as the caller named it, such as `url` or `retry.delays[3]`; a JSON pointer into a payload is
    /// written behind it, as in `data/items/0/sku`.
    pub field: String,
    /// The rule that was broken.
    pub rule: String,
    /// What makes it right.
    pub fix: String,
}

impl Error {
    /// An error of this kind; `step` completes the sentence "could not …".
    pub fn new(kind: ErrorKind, step: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, step: step.into(), problems: Vec::new(), source: None }))
    }

    /// An [`ErrorKind::Invalid`] with everything that is wrong.
    pub fn invalid(step: impl Into<Cow<'static, str>>, problems: impl IntoIterator<Item = Problem>) -> Self {
        let mut error = Self::new(ErrorKind::Invalid, step);
        error.0.problems.extend(problems);
        error
    }

    /// Adds what lies underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds one broken rule.
    #[must_use]
    pub fn with_problem(mut self, problem: Problem) -> Self {
        self.0.problems.push(problem);
        self
    }

    /// The kind, which is also the retry rule.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn step(&self) -> &str {
        &self.0.step
    }

    /// Every broken rule: always given with [`ErrorKind::Invalid`]; with [`ErrorKind::Conflict`] and
    /// [`ErrorKind::NotFound`] where it says which part of the input is meant.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The error and everything that lies underneath, in one line.
    pub(crate) fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            words.push_str(": ");
            words.push_str(&cause.to_string());
            source = cause.source();
        }
        words
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        self.0.kind == ErrorKind::Unavailable
    }
}

impl Problem {
    /// A broken rule.
    pub fn new(field: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.field, self.rule, self.fix)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::Unconfigured => "not configured",
            Self::Internal => "internal error",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.0.step, self.0.kind)?;
        for (index, problem) in self.0.problems.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("step", &self.0.step)
            .field("problems", &self.0.problems)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
