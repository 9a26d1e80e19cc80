//! Dice that always fall alike.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ports::Entropy;

/// The same seed gives the same bytes, in the same order: for tests only. A clone throws the same dice on.
///
/// ```
/// use crossdock::ports::EntropyExt;
/// use crossdock::testing::SeededEntropy;
///
/// let (one, same, other) = (SeededEntropy::new(7), SeededEntropy::new(7), SeededEntropy::new(8));
/// let first: [u8; 10] = one.bytes();
///
/// assert_eq!(first, same.bytes());
/// assert_ne!(first, other.bytes());
/// assert_ne!(first, one.bytes());
/// ```
#[derive(Clone)]
pub struct SeededEntropy {
    seed: u64,
    dice: Arc<Mutex<StdRng>>,
}

impl SeededEntropy {
    /// The dice of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, dice: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// What the dice were made from: print it when a test fails.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer);
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeededEntropy").field("seed", &self.seed).finish_non_exhaustive()
    }
}
