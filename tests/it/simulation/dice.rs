//! The dice of one world.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[derive(Clone, Debug)]
pub(super) struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(super) fn per_mille(&self, chance: u32) -> bool {
        self.below(1_000) < chance
    }

    /// A number from 0 to `end`, without `end`.
    pub(super) fn below(&self, end: u32) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..end.max(1))
    }

    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u32) as usize)
    }
}
