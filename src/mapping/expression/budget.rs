//! How much one evaluation may do and hold. What would be too large is refused before it is allocated.

use std::cell::Cell;

/// What is left for an evaluation.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    longest_text: usize,
}

/// What was used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exhausted {
    Steps,
    Bytes,
    Text,
    Depth,
}

impl Budget {
    /// So many steps, so many bytes held by all values that are built, and so many bytes in one text.
    pub(crate) fn new(steps: u64, bytes: u64, longest_text: usize) -> Self {
        Self { steps: Cell::new(steps), bytes: Cell::new(bytes), longest_text }
    }

    /// The steps that are left.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Pays for work that allocates nothing.
    pub(super) fn spend(&self, steps: u64) -> Result<(), Exhausted> {
        let left = self.steps.get().checked_sub(steps).ok_or(Exhausted::Steps)?;
        self.steps.set(left);
        Ok(())
    }

    /// Pays for reading this much text.
    pub(super) fn read(&self, length: usize) -> Result<(), Exhausted> {
        self.spend(1 + as_steps(length) / TEXT_PER_STEP)
    }

    /// Pays for building a text of this many bytes.
    pub(super) fn text(&self, length: usize) -> Result<(), Exhausted> {
        if length > self.longest_text {
            return Err(Exhausted::Text);
        }
        self.read(length)?;
        self.hold(as_steps(length))
    }

    /// Pays for this many members of a list or an object.
    pub(super) fn members(&self, count: usize) -> Result<(), Exhausted> {
        self.spend(as_steps(count))?;
        self.hold(as_steps(count).saturating_mul(MEMBER))
    }

    fn hold(&self, bytes: u64) -> Result<(), Exhausted> {
        let left = self.bytes.get().checked_sub(bytes).ok_or(Exhausted::Bytes)?;
        self.bytes.set(left);
        Ok(())
    }
}

impl Default for Budget {
    /// The limits of one rule on one record.
    fn default() -> Self {
        Self::new(5_000_000, 16 << 20, 1 << 20)
    }
}

fn as_steps(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const TEXT_PER_STEP: u64 = 64;
/// What a value in a list takes, rounded up.
const MEMBER: u64 = 64;
