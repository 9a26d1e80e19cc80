//! Values in memory as a source.

use std::borrow::Cow;

use serde_json::Value;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::source::trie::Trie;
use crate::mapping::source::walk::{self, Found};
use crate::mapping::source::{Listed, PathRef, Source, several};

pub(crate) struct Memory<'t, 'a> {
    record: &'a Value,
    trie: &'t Trie,
}

/// One element of a list.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    list: &'a [Value],
    index: usize,
}

impl<'t, 'a> Memory<'t, 'a> {
    pub(crate) fn new(record: &'a Value, trie: &'t Trie) -> Self {
        Self { record, trie }
    }

    fn find(&self, rows: &[Element<'a>], path: &PathRef) -> Result<Option<&'a Value>, Failure> {
        let Some(row) = rows.get(path.level) else { return Ok(None) };
        let Some(value) = row.list.get(row.index) else { return Ok(None) };
        match walk::in_memory(value, &path.segments, path.pick) {
            Found::Value(value) => Ok(Some(value)),
            Found::Nothing => Ok(None),
            Found::Several => Err(several()),
        }
    }
}

impl<'a> Source<'a> for Memory<'_, 'a> {
    type Row = Element<'a>;

    fn root(&self) -> Element<'a> {
        Element { list: std::slice::from_ref(self.record), index: 0 }
    }

    fn fetch(&self, rows: &[Element<'a>], path: &PathRef) -> Result<V<'a>, Failure> {
        Ok(self.find(rows, path)?.map_or(V::Missing, V::of))
    }

    fn list(&self, rows: &[Element<'a>], path: &PathRef) -> Result<Listed<Element<'a>>, Failure> {
        Ok(match self.find(rows, path)? {
            None => Listed::Missing,
            Some(Value::Null) => Listed::Null,
            Some(Value::Array(list)) => {
                Listed::From((!list.is_empty()).then_some(Element { list, index: 0 }))
            }
            Some(_) => Listed::NotAList,
        })
    }

    fn next(&self, row: Element<'a>) -> Option<Element<'a>> {
        let index = row.index + 1;
        (index < row.list.len()).then_some(Element { index, ..row })
    }

    fn unread(&self) -> Result<Vec<(Cow<'a, str>, V<'a>)>, Failure> {
        let Value::Object(members) = self.record else { return Ok(Vec::new()) };
        let read = &self.trie.nodes[self.trie.frames[0].root as usize].names;
        let unread = members.iter().filter(|(name, _)| read.find(name).is_none());
        Ok(unread.map(|(name, value)| (Cow::Borrowed(name.as_str()), V::of(value))).collect())
    }
}
