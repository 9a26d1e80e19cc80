//! Where a record is written: bytes of JSON, or a value in memory.

mod bytes;
mod tree;

pub(crate) use bytes::{Bytes, write_text};
#[cfg(test)]
pub(crate) use tree::tree;
pub(crate) use tree::{Tree, VALUE, weight};

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::output::{Members, OutKey};

/// Takes a record, member by member. What was entered can be left as if it had never been there.
pub(crate) trait Sink<'p> {
    /// Begins an object that will have some of these members.
    fn enter_object(&mut self, place: Place<'_>, members: &'p Members) -> Entered;

    fn enter_list(&mut self, place: Place<'_>) -> Entered;

    /// Ends the object or list that was entered last.
    fn leave(&mut self, entered: Entered, verdict: Verdict);

    /// Whether the output is larger than it may be already: what is entered says no by itself.
    fn is_full(&self) -> bool;

    /// Writes a member or an element; a value that cannot be written leaves nothing behind. Nobody needs the value afterwards.
    fn put(&mut self, place: Place<'_>, value: &mut V<'_>) -> Result<(), Failure>;
}

/// Under which name, or as the next element.
#[derive(Clone, Copy)]
pub(crate) enum Place<'k> {
    Top,
    Key(&'k OutKey),
    Name(&'k str),
    Element,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Keep,
    Undo,
}

/// Where something was entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    mark: usize,
    is_list: bool,
}

fn name_length(place: Place<'_>) -> usize {
    match place {
        Place::Key(key) => key.name.len(),
        Place::Name(name) => name.len(),
        Place::Top | Place::Element => 0,
    }
}

pub(super) fn too_large() -> Failure {
    Failure::limit("the output is larger than it may be")
}

pub(super) fn too_deep() -> Failure {
    Failure::new("E-LIMIT", "nested deeper than values may be")
}
