//! Which texts of which sources are known: a map that grows in small steps.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use crate::adapters::memory::id_map::IdHasher;
use crate::primitives::id::{ReceivedId, SourceId};

/// By source and text. One map of a hundred thousand entries that doubles is moved in one go, and everybody waits behind its lock for
/// tens of milliseconds; of these, one of many small ones is moved at a time.
#[derive(Default)]
pub(super) struct KeyMap(Vec<Shard>);

/// Texts come from outside, so each shard hashes them under a key of its own.
type Shard = HashMap<(SourceId, Arc<str>), ReceivedId>;

const SHARDS: usize = 256;

impl KeyMap {
    pub(super) fn find(&self, source: SourceId, text: &Arc<str>) -> Option<ReceivedId> {
        let shard = self.0.get(place(source, text))?;
        shard.get(&(source, Arc::clone(text))).copied()
    }

    /// Notes it, unless something is there already: then answers with that.
    pub(super) fn note(&mut self, source: SourceId, text: &Arc<str>, id: ReceivedId) -> Option<ReceivedId> {
        if self.0.is_empty() {
            self.0.resize_with(SHARDS, HashMap::new);
        }
        match self.0.get_mut(place(source, text))?.entry((source, Arc::clone(text))) {
            Entry::Occupied(there) => Some(*there.get()),
            Entry::Vacant(free) => {
                free.insert(id);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, source: SourceId, text: &Arc<str>) {
        if let Some(shard) = self.0.get_mut(place(source, text)) {
            shard.remove(&(source, Arc::clone(text)));
        }
    }
}

/// Whoever chooses texts that meet in one shard gains nothing but a map that is not divided.
fn place(source: SourceId, text: &str) -> usize {
    let hash = BuildHasherDefault::<IdHasher>::default().hash_one((source, text));
    usize::from(hash.to_be_bytes()[0]) % SHARDS
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn texts_that_differ_in_a_number_are_spread() {
        let source = SourceId::mint(DateTime::UNIX_EPOCH, [7; 10]);
        let id = ReceivedId::mint(DateTime::UNIX_EPOCH, [0; 10]);
        let mut map = KeyMap::default();

        for number in 0..25_600 {
            map.note(source, &format!("id:evt_{number}").into(), id);
        }

        let largest = map.0.iter().map(HashMap::len).max();
        assert!(largest.is_some_and(|largest| largest < 400), "{largest:?} of 25,600 in one of 256");
        assert_eq!(map.find(source, &"id:evt_25599".into()), Some(id));
        assert_eq!(map.find(source, &"id:evt_25600".into()), None);
    }

    #[test]
    fn one_text_of_two_sources_is_two_entries() {
        let of = |byte| SourceId::mint(DateTime::UNIX_EPOCH, [byte; 10]);
        let id = |byte| ReceivedId::mint(DateTime::UNIX_EPOCH, [byte; 10]);
        let (mut map, text) = (KeyMap::default(), Arc::from("evt_1"));

        assert_eq!(map.note(of(1), &text, id(1)), None);
        assert_eq!(map.note(of(1), &text, id(3)), Some(id(1)));
        assert_eq!((map.find(of(1), &text), map.find(of(2), &text)), (Some(id(1)), None));
        map.note(of(2), &text, id(2));
        map.remove(of(1), &text);

        assert_eq!((map.find(of(1), &text), map.find(of(2), &text)), (None, Some(id(2))));
    }
}
