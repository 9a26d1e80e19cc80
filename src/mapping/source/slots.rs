//! The filled slots as a source.

use std::borrow::Cow;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::source::extract::unescape;
use crate::mapping::source::trie::NONE;
use crate::mapping::source::walk;
use crate::mapping::source::{Listed, PathRef, Source, several};

/// One thing that was read, still as text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot<'a> {
    Missing,
    Null,
    Bool(bool),
    Number(&'a str),
    Text(&'a str),
    /// A string with escapes, without its quotes.
    Escaped(&'a str),
    /// A list or an object.
    Tree(&'a str),
    /// The first row of a list that `each` goes through.
    Rows(u32),
    NotAList,
    Ambiguous,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) base: u32,
    /// Rows of one list are chained, because rows of the lists within them lie between them.
    pub(crate) next: u32,
}

#[derive(Debug)]
pub(crate) struct Slots<'a> {
    pub(crate) slots: Vec<Slot<'a>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) unread: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Slots<'a> {
    fn slot(&self, rows: &[u32], path: &PathRef) -> Slot<'a> {
        let row = rows.get(path.level).and_then(|row| self.rows.get(*row as usize));
        let at = row.map(|row| (row.base + path.slot) as usize);
        at.and_then(|at| self.slots.get(at)).copied().unwrap_or(Slot::Missing)
    }
}

impl<'a> Source<'a> for Slots<'a> {
    type Row = u32;

    fn root(&self) -> u32 {
        0
    }

    fn fetch(&self, rows: &[u32], path: &PathRef, into: &mut V<'a>) -> Result<(), Failure> {
        *into = match self.slot(rows, path) {
            Slot::Missing | Slot::Rows(_) | Slot::NotAList => V::Missing,
            Slot::Null => V::Null,
            Slot::Bool(truth) => V::Bool(truth),
            Slot::Number(text) => V::Number(Cow::Borrowed(text)),
            Slot::Text(text) => V::Text(Cow::Borrowed(text)),
            Slot::Escaped(inner) => V::owned_text(unescape(inner)?),
            Slot::Tree(raw) => V::Raw(raw),
            Slot::Ambiguous => return Err(several()),
        };
        Ok(())
    }

    fn list(&self, rows: &[u32], path: &PathRef) -> Result<Listed<u32>, Failure> {
        Ok(match self.slot(rows, path) {
            Slot::Missing => Listed::Missing,
            Slot::Null => Listed::Null,
            Slot::Rows(first) => Listed::From((first != NONE).then_some(first)),
            Slot::Ambiguous => return Err(several()),
            _ => Listed::NotAList,
        })
    }

    fn next(&self, row: u32) -> Option<u32> {
        self.rows.get(row as usize).map(|row| row.next).filter(|next| *next != NONE)
    }

    fn unread(&self) -> Result<Vec<(Cow<'a, str>, V<'a>)>, Failure> {
        self.unread.iter().map(|(name, raw)| Ok((name.clone(), walk::read(raw)?))).collect()
    }
}
