//! What an evaluation asks of the record: paths that it knows beforehand, and tables.

use std::borrow::Cow;
use std::fmt;

use super::item::Item;

/// A path that an expression reads: known when it is compiled, so that a source can have it ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) base: Base,
    /// Names of members, from the base inwards; none for the base itself.
    pub(crate) names: Vec<Box<str>>,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Base {
    /// The element that the rule is applied to; the record itself outside of every `each`.
    Element,
    /// The whole record: `$$`.
    Root,
    /// The element around the element, so many levels up: `^` is 1, `^.^` is 2.
    Parent(u8),
}

/// The record, as an expression sees it.
pub(crate) trait Scope<'a> {
    /// The value of the read of this number, and how many of its names were followed to it.
    ///
    /// Names are followed through objects only. At a list, or wherever the source does not reach further, it stops and the
    /// evaluation goes on from there: it knows how a path maps over a list. What is not there is [`Item::Missing`] with all names
    /// followed.
    fn read(&self, read: usize) -> Result<(Item<'a>, usize), ScopeError>;

    /// What the table of this number holds for the key; the table's own rules say what a miss is.
    fn table(&self, table: usize, key: &str) -> Result<Item<'a>, ScopeError>;
}

/// Why the record or a table has no answer; it names no value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ScopeError {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element => f.write_str("$"),
            Self::Root => f.write_str("$$"),
            Self::Parent(levels) => {
                f.write_str("^")?;
                (1..*levels).try_for_each(|_| f.write_str(".^"))
            }
        }
    }
}
