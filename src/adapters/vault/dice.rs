//! The operating system's dice, for vaults that were given no others.

use crate::ports::Entropy;

#[derive(Clone, Copy, Debug)]
pub(super) struct SystemDice;

impl Entropy for SystemDice {
    fn fill(&self, buffer: &mut [u8]) {
        // `rand` documents this generator as cryptographically secure.
        rand::fill(buffer);
    }
}
