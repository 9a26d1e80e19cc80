//! Maps that are keyed by ids which the engine itself has minted.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by ids. These are random already and nobody outside chooses them, so a hash that withstands chosen keys would
/// only cost.
pub(super) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Multiplies what it is given.
#[derive(Clone, Copy, Default)]
pub(super) struct IdHasher(u64);

/// Odd, and without a pattern: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(size_of::<u64>()) {
            let mut word = [0; size_of::<u64>()];
            word[..piece.len()].copy_from_slice(piece);
            // The map looks at the lowest and at the highest bits; turning brings the mixed ones down.
            self.0 = (self.0 ^ u64::from_be_bytes(word)).wrapping_mul(SPREAD).rotate_left(32);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use chrono::DateTime;

    use super::*;
    use crate::primitives::id::DeliveryId;

    #[test]
    fn ids_that_differ_in_one_bit_fall_apart() {
        let hasher = BuildHasherDefault::<IdHasher>::default();
        let one_bit = |bit: u32| {
            let random = 1_u128.checked_shl(bit).unwrap_or(0).to_be_bytes();
            hasher
                .hash_one(DeliveryId::mint(DateTime::UNIX_EPOCH, random[6..].try_into().expect("ten bytes")))
        };

        let low: HashSet<u64> = (0..74).map(|bit| one_bit(bit) & 0xff).collect();
        let high: HashSet<u64> = (0..74).map(|bit| one_bit(bit) >> 57).collect();

        assert!(low.len() > 40 && high.len() > 30, "{} and {}", low.len(), high.len());
    }
}
