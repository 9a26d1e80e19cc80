//! Which change of a record somebody has seen.

/// Counts the changes of a record, from 1.
///
/// ```
/// use crossdock::primitives::Version;
///
/// assert_eq!(Version::FIRST.next(), Version::new(2));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(u64);

impl Version {
    /// Nothing was ever stored.
    pub const NONE: Self = Self(0);
    /// A new record's.
    pub const FIRST: Self = Self(1);

    /// The version with this number, as a store has kept it or a client names it.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The version after the next change.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
