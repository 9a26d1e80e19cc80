//! How far a rule can be undone, in the words of the lens literature.

use std::fmt;

/// How far something can be undone. The later, the less.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Optic {
    /// Exactly: every value on one side belongs to one on the other.
    Iso,
    /// Exactly where an inverse exists; whether one does is checked when it runs.
    PartialIso,
    /// Something is lost on the way: the way back needs the old record, and only writes what has changed.
    Lossy,
    /// Not at all, unless somebody says how.
    None,
}

/// What becomes of a rule when the mapping is reversed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Verdict {
    /// It is reversed by itself.
    Auto,
    /// It is reversed, and somebody should look at how.
    NeedsCheck,
    /// Somebody has to say how it is reversed.
    NeedsExplicit,
    /// It works one way only, and nothing is missing: a constant, a copy, or because the document says so.
    OneWay,
}

impl Optic {
    /// The kind in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iso => "exact",
            Self::PartialIso => "exact where possible",
            Self::Lossy => "lossy",
            Self::None => "none",
        }
    }
}

impl Verdict {
    /// The verdict in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "automatic",
            Self::NeedsCheck => "check",
            Self::NeedsExplicit => "say how",
            Self::OneWay => "one way",
        }
    }
}

impl fmt::Display for Optic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
