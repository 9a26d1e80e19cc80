//! Who works on what, and until when.

use chrono::{DateTime, Utc};

/// Fences one claim against every other claim of the same work.
///
/// Whoever settles shows the token; if somebody else has claimed since, the tokens differ and the result is
/// logged but changes nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LeaseToken(u64);

/// A claim on a piece of work: it ends by itself, so that a crash needs no rescuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Fences this claim.
    pub token: LeaseToken,
    /// From this instant on the work is due again for anybody.
    pub until: DateTime<Utc>,
}

impl LeaseToken {
    /// The token with this number; a store must never give out the same one twice for the same work.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that a store keeps.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl Lease {
    /// A claim that ends at `until`.
    pub const fn new(token: LeaseToken, until: DateTime<Utc>) -> Self {
        Self { token, until }
    }

    /// Whether the claim still holds.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        now < self.until
    }
}
