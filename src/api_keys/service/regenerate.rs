//! A successor takes a key's place.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::api_keys::life::{LONGEST_GRACE, USUAL_GRACE};
use crate::api_keys::model::{ApiKey, KeyState};
use crate::error::Problem;

/// How a successor takes a key's place.
///
/// ```
/// use std::time::Duration;
/// use crossdock::api_keys::Regeneration;
///
/// let at_once = Regeneration::new().grace(Duration::ZERO);
/// # let _ = at_once;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Regeneration {
    pub(crate) grace: Duration,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Regeneration {
    /// The old key may be used for 24 hours more, but not past its own end; the successor ends when the old one would have.
    pub const fn new() -> Self {
        Self { grace: USUAL_GRACE, expires_at: None }
    }

    /// How long the old key may be used beside its successor: none to 30 days.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// When the successor ends, in the place of the old key's end.
    pub const fn expires_at(mut self, time: DateTime<Utc>) -> Self {
        self.expires_at = Some(time);
        self
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        (self.grace > LONGEST_GRACE)
            .then(|| Problem::new("grace", "a grace lasts for 30 days at most", "shorten it; 24 h is usual"))
    }
}

impl Default for Regeneration {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a key cannot have a successor, if it cannot.
pub(crate) fn refusal(key: &ApiKey, now: DateTime<Utc>) -> Option<Problem> {
    let (rule, fix) = if matches!(key.state, KeyState::Revoked { .. }) {
        ("a revoked key stays revoked", "create a new key")
    } else if matches!(key.state, KeyState::Disabled { .. }) {
        ("a successor of a disabled key would enable it", "enable it first, or create a new key")
    } else if key.successor.is_some() {
        ("a key has one successor", "regenerate its successor")
    } else if key.ends_at().is_some_and(|end| end <= now) {
        ("an expired key stays expired", "create a new key")
    } else {
        return None;
    };
    Some(Problem::new("key", rule, fix))
}
