//! Where values come from: JSON text from which only what is needed is taken, or values in memory. Both answer alike.
//!
//! | module | holds |
//! |---|---|
//! | `scan` | a walk over JSON text that builds nothing |
//! | `trie` | what all rules of a mapping read, as one tree |
//! | `extract` | one pass over a text, which fills a slot for each thing that is read |
//! | `slots` | the filled slots as a source |
//! | `memory` | values in memory as a source |
//! | `walk` | a path inside one value |

pub(crate) mod extract;
pub(crate) mod memory;
pub(crate) mod scan;
pub(crate) mod slots;
pub(crate) mod trie;
pub(crate) mod walk;

use std::borrow::Cow;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::path::Segment;
use crate::mapping::spec::field::Pick;

/// A path, resolved: at which element of those that are being gone through it begins, and where its value is found.
#[derive(Debug)]
pub(crate) struct PathRef {
    /// 0 is the record, 1 the element of the outermost `each`, and so on.
    pub(crate) level: usize,
    pub(crate) slot: u32,
    pub(crate) steps: Box<[PathStep]>,
    pub(crate) pick: Option<Pick>,
}

/// One part of a path.
#[derive(Debug)]
pub(crate) struct PathStep {
    pub(crate) segment: Segment,
    /// Where it leads in the tree of what all rules read.
    pub(crate) node: u32,
    /// Where it comes from.
    pub(crate) above: u32,
}

/// What stands where `each` expects a list.
pub(crate) enum Listed<R> {
    Missing,
    Null,
    NotAList,
    /// The first element, if there is one.
    From(Option<R>),
}

/// A record to read from.
pub(crate) trait Source<'a> {
    /// One element of a list that is being gone through; the record itself is the first.
    type Row: Copy;

    fn root(&self) -> Self::Row;

    /// The value at a path; `rows` are the elements that are being gone through, outermost first.
    /// Put where it stays, as the rules that use it do.
    fn fetch(&self, rows: &[Self::Row], path: &PathRef, into: &mut V<'a>) -> Result<(), Failure>;

    fn list(&self, rows: &[Self::Row], path: &PathRef) -> Result<Listed<Self::Row>, Failure>;

    fn next(&self, row: Self::Row) -> Option<Self::Row>;

    /// The members of the record that no rule reads, if the plan wants to know them.
    fn unread(&self) -> Result<Vec<(Cow<'a, str>, V<'a>)>, Failure>;
}

pub(crate) fn too_much() -> Failure {
    Failure::limit("the filters and indexes of the mapping go through more elements than a run may")
}

pub(crate) fn several() -> Failure {
    Failure::new("E-AMBIGUOUS", "several elements match the filter; `pick` says which one is meant")
}
