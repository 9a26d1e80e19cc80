//! Values in memory as a source. What a path leads to, and what lies on the way, is found once per row.

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::Value;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::path::Segment;
use crate::mapping::source::trie::Trie;
use crate::mapping::source::walk::{self, Found};
use crate::mapping::source::{Listed, PathRef, PathStep, Source, several, too_much};
use crate::mapping::spec::field::Pick;

pub(crate) struct Memory<'t, 'a> {
    record: &'a Value,
    trie: &'t Trie,
    /// What has been found, for each place that rules read; in one of the two.
    few: [Cell<Known<'a>>; FEW],
    many: Box<[Cell<Known<'a>>]>,
    /// How many rows there have been.
    rows: Cell<u64>,
    /// For the elements that filters look at.
    fuel: Cell<u64>,
}

/// What was found, and in which row.
#[derive(Clone, Copy)]
struct Known<'a> {
    row: u64,
    found: Found<'a>,
}

/// One element of a list.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    list: &'a [Value],
    index: usize,
    /// No other row of the run has this number, so that what was found in another row is not taken for this one's.
    row: u64,
}

impl<'t, 'a> Memory<'t, 'a> {
    pub(crate) fn new(record: &'a Value, trie: &'t Trie, fuel: u64) -> Self {
        let many = match trie.nodes.len() {
            0..=FEW => Box::default(),
            many => vec![Cell::new(UNKNOWN); many].into(),
        };
        Self {
            record,
            trie,
            few: std::array::from_fn(|_| Cell::new(UNKNOWN)),
            many,
            rows: Cell::new(0),
            fuel: Cell::new(fuel),
        }
    }

    fn known(&self) -> &[Cell<Known<'a>>] {
        if self.many.is_empty() { &self.few } else { &self.many }
    }

    fn find(&self, rows: &[Element<'a>], path: &PathRef) -> Result<Option<&'a Value>, Failure> {
        let Some(row) = rows.get(path.level) else { return Ok(None) };
        let Some(value) = row.list.get(row.index) else { return Ok(None) };
        let known = self.known();
        let mut found = Found::Value(value);
        let mut left = path.steps.len();
        while let Some(step) = left.checked_sub(1).and_then(|last| path.steps.get(last)) {
            let before = known[step.node as usize].get();
            if before.row == row.row {
                found = before.found;
                break;
            }
            left -= 1;
        }
        for step in &path.steps[left..] {
            let Found::Value(value) = found else { break };
            found = self.follow(row.row, value, step, path.pick);
        }
        match found {
            Found::Value(value) => Ok(Some(value)),
            Found::Nothing => Ok(None),
            Found::Several => Err(several()),
            Found::Unpaid => Err(too_much()),
        }
    }

    /// Where a part of a path leads, from a value that is known.
    fn follow(&self, row: u64, value: &'a Value, step: &PathStep, pick: Option<Pick>) -> Found<'a> {
        let known = self.known();
        if let (Segment::Name(_), Value::Object(members)) = (&step.segment, value) {
            let names = &self.trie.nodes[step.above as usize].names;
            if members.len() <= OPENED.min(names.len() * MEMBERS_PER_NAME) && names.len() <= OPENED {
                for node in names.nodes() {
                    known[node as usize].set(Known { row, found: Found::Nothing });
                }
                for (name, value) in members {
                    if let Some(node) = names.find(name) {
                        known[node as usize].set(Known { row, found: Found::Value(value) });
                    }
                }
                return known[step.node as usize].get().found;
            }
        }
        if let (Segment::Filter { .. }, Value::Array(list)) = (&step.segment, value) {
            let Some(left) = self.fuel.get().checked_sub(list.len() as u64) else { return Found::Unpaid };
            self.fuel.set(left);
        }
        let found = walk::step_in_memory(value, &step.segment, pick);
        known[step.node as usize].set(Known { row, found });
        found
    }

    fn row(&self, list: &'a [Value], index: usize) -> Option<Element<'a>> {
        let row = self.rows.get() + 1;
        self.rows.set(row);
        (index < list.len()).then_some(Element { list, index, row })
    }
}

impl<'a> Source<'a> for Memory<'_, 'a> {
    type Row = Element<'a>;

    fn root(&self) -> Element<'a> {
        Element { list: std::slice::from_ref(self.record), index: 0, row: 0 }
    }

    fn fetch(&self, rows: &[Element<'a>], path: &PathRef, into: &mut V<'a>) -> Result<(), Failure> {
        match self.find(rows, path)? {
            Some(value) => *into = V::of(value),
            None => *into = V::Missing,
        }
        Ok(())
    }

    fn list(&self, rows: &[Element<'a>], path: &PathRef) -> Result<Listed<Element<'a>>, Failure> {
        Ok(match self.find(rows, path)? {
            None => Listed::Missing,
            Some(Value::Null) => Listed::Null,
            Some(Value::Array(list)) => Listed::From(self.row(list, 0)),
            Some(_) => Listed::NotAList,
        })
    }

    fn next(&self, row: Element<'a>) -> Option<Element<'a>> {
        self.row(row.list, row.index + 1)
    }

    fn unread(&self) -> Result<Vec<(Cow<'a, str>, V<'a>)>, Failure> {
        let Value::Object(members) = self.record else { return Ok(Vec::new()) };
        let read = &self.trie.nodes[self.trie.frames[0].root as usize].names;
        let unread = members.iter().filter(|(name, _)| read.find(name).is_none());
        Ok(unread.map(|(name, value)| (Cow::Borrowed(name.as_str()), V::of(value))).collect())
    }
}

/// Of no row.
const UNKNOWN: Known<'static> = Known { row: u64::MAX, found: Found::Nothing };

/// So many places need no allocation.
const FEW: usize = 96;
/// Objects of more members, or of which a smaller part is read, are asked for each name instead of being gone through.
const OPENED: usize = 64;
const MEMBERS_PER_NAME: usize = 3;
