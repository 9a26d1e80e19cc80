//! How often a key may be used in all: uses are leased from the store in blocks and spent here.
//!
//! A key is never used more often than it may be. A process that ends without giving back what it has leased loses at most one
//! block of them, and one block more for each process that does.

use std::sync::atomic::{AtomicU64, Ordering};

/// What this process has leased and not spent yet.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    left: AtomicU64,
}

/// How many uses are leased at once, of so many in all: one in sixty-four, 1 to 256.
pub(crate) fn block(of: u64) -> u64 {
    (of / 64).clamp(1, 256)
}

impl Lease {
    /// Spends one use; `false` when there is none here.
    #[inline]
    pub(crate) fn spend(&self) -> bool {
        let mut left = self.left.load(Ordering::Relaxed);
        while left > 0 {
            match self.left.compare_exchange_weak(left, left - 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => left = seen,
            }
        }
        false
    }

    /// Adds what the store has granted.
    pub(crate) fn add(&self, granted: u64) {
        self.left.fetch_add(granted, Ordering::Relaxed);
    }

    /// Takes everything out, to be given back.
    pub(crate) fn drain(&self) -> u64 {
        self.left.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_leased_is_spent_once() {
        let lease = Lease::default();
        assert!(!lease.spend());

        lease.add(3);

        assert_eq!((0..10).filter(|_| lease.spend()).count(), 3);
        lease.add(2);
        assert_eq!((lease.drain(), lease.drain()), (2, 0));
    }

    #[test]
    fn threads_together_spend_no_more_than_was_leased() {
        let lease = Lease::default();
        lease.add(10_000);

        let spent: usize = std::thread::scope(|scope| {
            let spend = || (0..5_000).filter(|_| lease.spend()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(spend)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a count")).sum()
        });

        assert_eq!(spent, 10_000);
    }

    #[test]
    fn few_uses_are_leased_one_by_one() {
        assert_eq!([1, 63, 128, 6_400, 1_000_000].map(block), [1, 1, 2, 100, 256]);
    }
}
