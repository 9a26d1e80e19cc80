//! Counters that threads do not wait for one another at.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A value with a cache line to itself.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Padded<T>(pub(crate) T);

/// How many shards a counter has: as many as threads can run at once, rounded up to a power of two, at most 16.
pub(crate) fn shards() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| thread::available_parallelism().map_or(4, NonZero::get).next_power_of_two().min(16))
}

/// This thread's shard of so many.
#[inline]
pub(crate) fn shard_of(count: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    // While a thread ends there is no number any more; any shard will do.
    NUMBER.try_with(|number| *number).unwrap_or(0) & (count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_shard_for_every_thread() {
        let count = shards();

        assert!(count.is_power_of_two() && (1..=16).contains(&count));
        assert_eq!(shard_of(count), shard_of(count), "a thread keeps its shard");
        for count in [1, 2, 16] {
            let shards = (0..40).map(|_| thread::spawn(move || shard_of(count)).join().expect("a shard"));
            assert!(shards.into_iter().all(|shard| shard < count));
        }
    }
}
