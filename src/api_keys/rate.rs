//! How often a key may call, counted without a lock and without a line of memory that all threads write to.
//!
//! The rate is kept as one number, the time at which everything that was admitted will have been earned (GCRA). A key with a large
//! burst takes from it in small blocks, one shard per few threads; before anything is refused, the other shards are asked for what
//! they have left. What a shard holds ends when it would be earned anew. So over any time no more is admitted than the limit says,
//! and at once no more than the burst and one block: a share of one in `8 × shards` of the burst, at most 1,024 calls. A burst
//! below `16 × shards` has no blocks and is exact.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::api_keys::shard::{Padded, shard_of, shards};

/// So many calls in a span of time, evenly earned: `600` a minute is ten a second.
///
/// ```
/// use std::time::Duration;
/// use crossdock::api_keys::CallRate;
///
/// let rate = CallRate::per_minute(600)?.with_burst(50)?;
///
/// assert_eq!((rate.calls(), rate.span(), rate.burst()), (600, Duration::from_secs(60), 50));
/// assert!(CallRate::per_second(0).is_err());
/// # Ok::<(), crossdock::api_keys::InvalidCallRate>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallRate {
    calls: u32,
    span: Duration,
    burst: u32,
}

/// The numbers are not a rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a rate is 1 to 1000000000 calls in 1 second to 1 day, with a burst of 1 to 1000000000")]
pub struct InvalidCallRate;

/// Calls that a shard has taken from the rate: their number in the upper 16 bits, and below it the millisecond at which they end.
#[derive(Debug, Default)]
struct Stock(AtomicU64);

/// What a limit has left, for the headers of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RateStanding {
    /// How many calls fit at once after a quiet time.
    pub limit: u32,
    /// How many fit now; calls that are just being made by other threads may or may not be counted.
    pub remaining: u32,
    /// How long until the whole burst is there again.
    pub reset: Duration,
    /// In which time a whole burst is earned.
    pub window: Duration,
}

/// Counts the calls of one key, or of the pair of a key and its successor.
#[derive(Debug)]
pub(crate) struct RateMeter {
    rate: CallRate,
    /// Nanoseconds that one call takes to be earned.
    interval: i64,
    /// The time, in nanoseconds, at which all that was taken will have been earned.
    earned_at: AtomicI64,
    /// How many calls a shard takes at once; with 1 there are no shards.
    block: u32,
    shards: Box<[Padded<Stock>]>,
}

impl CallRate {
    /// So many a second.
    ///
    /// # Errors
    /// None, or more than 1,000,000,000.
    pub fn per_second(calls: u32) -> Result<Self, InvalidCallRate> {
        Self::per(calls, Duration::from_secs(1))
    }

    /// So many a minute.
    ///
    /// # Errors
    /// None, or more than 1,000,000,000.
    pub fn per_minute(calls: u32) -> Result<Self, InvalidCallRate> {
        Self::per(calls, Duration::from_secs(60))
    }

    /// So many in this span; all of them may come at once unless [`with_burst`](Self::with_burst) says less.
    ///
    /// # Errors
    /// None, or more than 1,000,000,000 calls; a span below 1 s or above a day.
    pub fn per(calls: u32, span: Duration) -> Result<Self, InvalidCallRate> {
        let fits = (1..=MOST).contains(&calls) && (Duration::from_secs(1)..=LONGEST).contains(&span);
        if fits { Ok(Self { calls, span, burst: calls }) } else { Err(InvalidCallRate) }
    }

    /// So many at once after a quiet time.
    ///
    /// # Errors
    /// The burst is not 1 to 1,000,000,000.
    pub fn with_burst(self, burst: u32) -> Result<Self, InvalidCallRate> {
        if (1..=MOST).contains(&burst) { Ok(Self { burst, ..self }) } else { Err(InvalidCallRate) }
    }

    /// How many calls.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// In which span.
    pub fn span(&self) -> Duration {
        self.span
    }

    /// How many at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Nanoseconds per call, rounded up: never more than was promised.
    pub(crate) fn interval(&self) -> i64 {
        // At most a day, so it fits.
        i64::try_from(self.span.as_nanos().div_ceil(u128::from(self.calls))).unwrap_or(i64::MAX)
    }
}

/// How far the burst reaches ahead of the clock.
pub(crate) fn reach(interval: i64, calls: u32) -> i64 {
    interval.saturating_mul(i64::from(calls))
}

impl RateMeter {
    pub(crate) fn new(rate: CallRate) -> Self {
        let count = shards();
        // All shards together hold at most an eighth of the burst.
        let share = rate.burst as usize / (8 * count);
        let block = u32::try_from(share).unwrap_or(u32::MAX).clamp(1, LARGEST_BLOCK);
        let shards = if block > 1 { (0..count).map(|_| Padded::default()).collect() } else { Box::default() };
        Self { rate, interval: rate.interval(), earned_at: AtomicI64::new(i64::MIN), block, shards }
    }

    /// Admits one call at this time, in nanoseconds; otherwise says after how many nanoseconds the next one fits.
    #[inline]
    pub(crate) fn admit(&self, now: i64) -> Result<(), i64> {
        if self.shards.is_empty() {
            return self.take(1, now).map(drop);
        }
        let own = &self.shards[shard_of(self.shards.len())].0;
        if own.take_one(now) {
            return Ok(());
        }
        if let Ok(earned_at) = self.take(self.block, now) {
            own.put(self.block - 1, earned_at, now);
            return Ok(());
        }
        match self.take(1, now) {
            Err(_) if self.shards.iter().any(|shard| shard.0.take_one(now)) => Ok(()),
            taken => taken.map(drop),
        }
    }

    /// Takes so many at once, and says when they will have been earned; otherwise how long until one fits.
    fn take(&self, calls: u32, now: i64) -> Result<i64, i64> {
        let cost = reach(self.interval, calls);
        let latest = now.saturating_add(reach(self.interval, self.rate.burst));
        let mut earned_at = self.earned_at.load(Ordering::Relaxed);
        loop {
            let next = earned_at.max(now).saturating_add(cost);
            if next > latest {
                // Nothing is written: refusing is free, however many ask.
                return Err(earned_at.max(now).saturating_add(self.interval).saturating_sub(latest).max(1));
            }
            match self.earned_at.compare_exchange_weak(earned_at, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(next),
                Err(seen) => earned_at = seen,
            }
        }
    }

    /// What is left.
    pub(crate) fn standing(&self, now: i64) -> RateStanding {
        let ahead = self.earned_at.load(Ordering::Relaxed).max(now).saturating_sub(now);
        let taken = ahead.div_euclid(self.interval) + i64::from(ahead % self.interval != 0);
        let in_stock: i64 = self.shards.iter().map(|shard| i64::from(shard.0.left(now))).sum();
        let remaining = (i64::from(self.rate.burst) - taken + in_stock).clamp(0, i64::from(self.rate.burst));
        RateStanding {
            limit: self.rate.burst,
            remaining: u32::try_from(remaining).unwrap_or(0),
            reset: Duration::from_nanos(ahead.unsigned_abs()),
            window: Duration::from_nanos(self.interval.unsigned_abs()).saturating_mul(self.rate.burst),
        }
    }

    /// Whether all of the burst is there again, so that a new meter would say the same.
    pub(crate) fn is_full(&self, now: i64) -> bool {
        self.earned_at.load(Ordering::Relaxed) <= now
    }
}

impl Stock {
    /// Takes one call out, if there is one that has not ended.
    #[inline]
    fn take_one(&self, now: i64) -> bool {
        let mut stock = self.0.load(Ordering::Relaxed);
        while calls_in(stock, now) > 0 {
            match self.0.compare_exchange_weak(stock, stock - ONE_CALL, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => stock = seen,
            }
        }
        false
    }

    /// Puts calls in that end at this time. If somebody else has just done so, all of them end with the earlier ones.
    fn put(&self, calls: u32, ends_at: i64, now: i64) {
        let ends_at = millis(ends_at);
        let mut stock = self.0.load(Ordering::Relaxed);
        loop {
            let present = calls_in(stock, now);
            let end = if present == 0 { ends_at } else { ends_at.min(stock & ENDS_AT) };
            let sum = u64::from(present.saturating_add(calls)).min(MOST_CALLS);
            match self.0.compare_exchange_weak(
                stock,
                (sum << CALLS_AT) | end,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(seen) => stock = seen,
            }
        }
    }

    fn left(&self, now: i64) -> u32 {
        calls_in(self.0.load(Ordering::Relaxed), now)
    }
}

/// How many calls are in a stock and have not ended.
#[inline]
fn calls_in(stock: u64, now: i64) -> u32 {
    // 16 bits, so it fits.
    if millis(now) < stock & ENDS_AT { (stock >> CALLS_AT) as u32 } else { 0 }
}

#[inline]
fn millis(nanoseconds: i64) -> u64 {
    u64::try_from(nanoseconds / 1_000_000).unwrap_or(0).min(ENDS_AT)
}

const CALLS_AT: u32 = 48;
const ONE_CALL: u64 = 1 << CALLS_AT;
const ENDS_AT: u64 = ONE_CALL - 1;
const MOST_CALLS: u64 = u16::MAX as u64;
const MOST: u32 = 1_000_000_000;
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const LARGEST_BLOCK: u32 = 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn rate(calls: u32, burst: u32) -> CallRate {
        CallRate::per_second(calls).and_then(|rate| rate.with_burst(burst)).expect("a rate")
    }

    fn admitted(meter: &RateMeter, now: i64, asked: usize) -> usize {
        (0..asked).filter(|_| meter.admit(now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_there_at_once_and_the_rest_is_earned() {
        for burst in [1, 10, 1_000, 100_000] {
            let meter = RateMeter::new(rate(10, burst));

            assert_eq!(admitted(&meter, 0, 2 * burst as usize), burst as usize, "burst {burst}");
            assert_eq!(admitted(&meter, SECOND, 100), 10.min(burst as usize), "burst {burst}");
            assert_eq!(admitted(&meter, SECOND, 100), 0);
        }
    }

    #[test]
    fn a_refusal_says_when_the_next_call_fits() {
        for burst in [3, 3_000] {
            let meter = RateMeter::new(rate(4, burst));
            assert_eq!(admitted(&meter, 0, 2 * burst as usize), burst as usize);

            let wait = meter.admit(0).expect_err("refused");

            assert!(meter.admit(wait - 1).is_err(), "not earlier");
            assert!(meter.admit(wait).is_ok(), "but then");
        }
    }

    #[test]
    fn refusals_cost_nothing_of_the_limit() {
        let meter = RateMeter::new(rate(1, 1));
        assert!(meter.admit(0).is_ok());

        assert_eq!(admitted(&meter, SECOND - 1, 1_000_000), 0);

        assert!(meter.admit(SECOND).is_ok());
    }

    #[test]
    fn many_threads_get_what_one_gets() {
        let meter = RateMeter::new(rate(1, 50_000));
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| admitted(&meter, 0, 10_000))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a count")).sum()
        });

        // A thread that asks the others' shards may just miss what they take and put in: a block each at most.
        assert!((50_000 - 16 * LARGEST_BLOCK as usize..=50_000).contains(&admitted), "{admitted}");
        assert_eq!(self::admitted(&meter, 0, 50_000), 50_000 - admitted, "and nothing is lost");
    }

    #[test]
    fn what_is_left_can_be_told() {
        let meter = RateMeter::new(rate(10, 20));
        let window = Duration::from_secs(2);
        let whole = RateStanding { limit: 20, remaining: 20, reset: Duration::ZERO, window };
        assert_eq!(meter.standing(0), whole);

        admitted(&meter, 0, 5);

        let standing = meter.standing(0);
        assert_eq!((standing.remaining, standing.reset), (15, Duration::from_millis(500)));
        assert!(!meter.is_full(SECOND / 2 - 1) && meter.is_full(SECOND / 2));
    }

    #[test]
    fn rates_have_bounds() {
        let day = Duration::from_secs(86_400);
        for (calls, span, fits) in [
            (1, day, true),
            (1_000_000_000, Duration::from_secs(1), true),
            (0, day, false),
            (1_000_000_001, day, false),
            (1, Duration::from_millis(999), false),
            (1, day + Duration::from_secs(1), false),
        ] {
            assert_eq!(CallRate::per(calls, span).is_ok(), fits, "{calls} {span:?}");
        }
        assert!(rate(1, 1).with_burst(0).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit(
            calls in 1..2_000_u32, burst in 1..5_000_u32, steps in proptest::collection::vec((0..SECOND, 0..3_000_usize), 1..8),
        ) {
            let limit = rate(calls, burst);
            let meter = RateMeter::new(limit);
            let (mut now, mut total) = (0, 0);
            for (span, asked) in steps {
                now += span;
                total += admitted(&meter, now, asked) as i64;
                let more = if meter.block > 1 { i64::from(meter.block) } else { 0 };
                prop_assert!(total <= i64::from(burst) + more + now / limit.interval());
            }
        }
    }
}
