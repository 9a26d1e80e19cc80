//! Latencies from many threads, and their percentiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts latencies in buckets that grow with the latency: each is 3 % wide, from nanoseconds to hours.
#[derive(Debug)]
pub(crate) struct Latencies(Box<[AtomicU64]>);

/// 32 buckets for each doubling.
const PRECISION: u32 = 5;
const BUCKETS: usize = 64 << PRECISION;

impl Latencies {
    pub(crate) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn record(&self, nanos: u64) {
        self.0[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        for count in &self.0 {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// The latency that so many of a thousand do not exceed, over several of these together.
    pub(crate) fn percentile<'a>(all: impl Iterator<Item = &'a Self> + Clone, per_thousand: u64) -> Duration {
        let count = |index: usize| all.clone().map(|one| one.0[index].load(Ordering::Relaxed)).sum::<u64>();
        let total: u64 = (0..BUCKETS).map(count).sum();
        let wanted = (total * per_thousand).div_ceil(1_000);
        let mut seen = 0;
        for index in 0..BUCKETS {
            seen += count(index);
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let value = nanos.max(1 << PRECISION);
    let doubling = value.ilog2() - PRECISION;
    let within = (value >> doubling) as usize - (1 << PRECISION);
    ((doubling as usize) << PRECISION) + within
}

fn upper_end(index: usize) -> u64 {
    let (doubling, within) = (index >> PRECISION, index & ((1 << PRECISION) - 1));
    ((within as u64 + (1 << PRECISION) + 1) << doubling) - 1
}
