//! Webhooks that a statement names once, however many rows are about them.

use std::collections::HashMap;
use std::hash::Hash;

/// Names in the order in which they came up; they are counted from 1, as the server counts.
#[derive(Debug)]
pub(super) struct Names<T> {
    places: HashMap<T, i32>,
    all: Vec<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash> Names<T> {
    /// Where this name stands.
    pub(super) fn place(&mut self, name: T) -> i32 {
        *self.places.entry(name).or_insert_with(|| {
            self.all.push(name);
            // A statement has far fewer rows: its parameters would not fit into a message.
            i32::try_from(self.all.len()).unwrap_or(i32::MAX)
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = T> + '_ {
        self.all.iter().copied()
    }
}
