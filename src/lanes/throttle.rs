//! How much of a lane may run: in flight, rate, circuit.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::primitives::backoff::Backoff;

/// At most so many per second, with so many at once after a quiet time.
///
/// ```
/// use crossdock::lanes::RateLimit;
///
/// let limit = RateLimit::per_second(5.0)?.with_burst(10)?;
///
/// assert_eq!((limit.rate(), limit.burst()), (5.0, 10));
/// assert!(RateLimit::per_second(f64::NAN).is_err());
/// # Ok::<(), crossdock::lanes::InvalidRate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    per_second: f64,
    burst: u32,
}

/// The number is not a rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a rate is more than 0.001 and at most 100000 a second, with a burst of 1 to 100000")]
pub struct InvalidRate;

/// What is left of a [`RateLimit`] at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    tokens: f64,
    at: DateTime<Utc>,
}

/// When a failing receiver is left alone, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CircuitPolicy {
    /// No judgement on fewer results than this; 10 by default.
    pub min_samples: u32,
    /// Only results of this last span count; 60 s by default.
    pub window: Duration,
    /// Opens when at least so many of a hundred failed; 70 by default.
    pub failure_percent: u32,
    /// How long it stays open: 30 s, doubling to 15 min by default.
    pub open: Backoff,
    /// After recovery, the in-flight limit doubles at most once in this span; 5 s by default.
    pub ramp_step: Duration,
}

/// How one piece of work ended, as far as a circuit is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The other side took it.
    Success,
    /// It did not.
    Failure,
}

/// The circuit of one lane group, as the store keeps it.
///
/// Closed: nothing is held back. Open: nothing runs before [`open_until`](Self::open_until). After that a single
/// probe runs; its success lets the in-flight limit double step by step until the lane's own cap is reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Brake {
    open_until: Option<DateTime<Utc>>,
    limit: Option<u32>,
    openings: u32,
    ramp_at: Option<DateTime<Utc>>,
}

/// The results of the last span, kept by one process and lost with it: only transitions are stored.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    results: VecDeque<(DateTime<Utc>, Outcome)>,
    failures: u32,
}

impl RateLimit {
    const MAX: u32 = 100_000;

    /// So many per second, one at a time.
    ///
    /// # Errors
    /// The rate is not above 0.001 and at most 100,000.
    pub fn per_second(rate: f64) -> Result<Self, InvalidRate> {
        if rate > 0.001 && rate <= f64::from(Self::MAX) {
            Ok(Self { per_second: rate, burst: 1 })
        } else {
            Err(InvalidRate)
        }
    }

    /// So many at once after a quiet time.
    ///
    /// # Errors
    /// The burst is not 1 to 100,000.
    pub fn with_burst(self, burst: u32) -> Result<Self, InvalidRate> {
        if (1..=Self::MAX).contains(&burst) { Ok(Self { burst, ..self }) } else { Err(InvalidRate) }
    }

    /// How many per second.
    pub fn rate(&self) -> f64 {
        self.per_second
    }

    /// How many at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(limit: &RateLimit, now: DateTime<Utc>) -> Self {
        Self { tokens: f64::from(limit.burst), at: now }
    }

    /// A bucket as a store has kept it; `None` if there never was one like that.
    pub(crate) fn from_parts(tokens: f64, at: DateTime<Utc>) -> Option<Self> {
        (0.0..=f64::from(RateLimit::MAX)).contains(&tokens).then_some(Self { tokens, at })
    }

    pub(crate) fn parts(&self) -> (f64, DateTime<Utc>) {
        (self.tokens, self.at)
    }

    /// How many may run now.
    pub fn available(&self, limit: &RateLimit, now: DateTime<Utc>) -> u32 {
        // At most `burst`, so it fits.
        self.tokens_at(limit, now) as u32
    }

    /// Takes tokens for what runs now.
    pub fn take(&mut self, limit: &RateLimit, now: DateTime<Utc>, count: u32) {
        self.tokens = (self.tokens_at(limit, now) - f64::from(count)).max(0.0);
        self.at = self.at.max(now);
    }

    /// When the next token is there.
    pub fn next_at(&self, limit: &RateLimit, now: DateTime<Utc>) -> DateTime<Utc> {
        let missing = (1.0 - self.tokens_at(limit, now)).max(0.0);
        let mut at = now + Duration::from_secs_f64(missing / limit.per_second);
        // Rounded up, so that the token is there when the time has come; but not by more than that, so that whoever looks by
        // itself sees it no earlier.
        let mut step = Duration::from_nanos(1);
        while self.available(limit, at) == 0 && step < Duration::from_millis(1) {
            at += step;
            step *= 2;
        }
        at
    }

    fn tokens_at(&self, limit: &RateLimit, now: DateTime<Utc>) -> f64 {
        let quiet = (now - self.at).to_std().unwrap_or_default().as_secs_f64();
        (self.tokens + quiet * limit.per_second).min(f64::from(limit.burst))
    }
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self {
            min_samples: 10,
            window: Duration::from_secs(60),
            failure_percent: 70,
            open: Backoff::doubling(Duration::from_secs(30), Duration::from_secs(15 * 60)),
            ramp_step: Duration::from_secs(5),
        }
    }
}

impl Brake {
    /// Nothing is held back.
    pub const RELEASED: Self = Self { open_until: None, limit: None, openings: 0, ramp_at: None };

    /// A brake as a store has kept it.
    pub const fn from_parts(
        open_until: Option<DateTime<Utc>>,
        limit: Option<u32>,
        openings: u32,
        ramp_at: Option<DateTime<Utc>>,
    ) -> Self {
        Self { open_until, limit, openings, ramp_at }
    }

    /// Nothing runs before this time.
    pub const fn open_until(&self) -> Option<DateTime<Utc>> {
        self.open_until
    }

    /// At most so many in flight, however many the lane itself allows.
    pub const fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// How often in a row the circuit has opened; 0 once it has fully closed.
    pub const fn openings(&self) -> u32 {
        self.openings
    }

    /// The limit is not raised before this time.
    pub const fn ramp_at(&self) -> Option<DateTime<Utc>> {
        self.ramp_at
    }

    /// Whether nothing may run now.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// The brake after one more result, or `None` if it stays as it is; `cap` is the lane's own in-flight limit.
    pub fn after(
        &self,
        outcome: Outcome,
        samples: &mut Samples,
        policy: &CircuitPolicy,
        cap: u32,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        if self.is_open(now) {
            // A straggler that was sent before the circuit opened says nothing about the receiver's recovery.
            return None;
        }
        match (self.limit, outcome) {
            (Some(1), Outcome::Failure) => Some(self.reopened(samples, policy, now)),
            (Some(limit), Outcome::Success) => {
                samples.record(outcome, policy, now);
                self.raised(limit, policy, cap, now)
            }
            _ => {
                samples.record(outcome, policy, now);
                samples.says_failing(policy).then(|| self.reopened(samples, policy, now))
            }
        }
    }

    fn reopened(&self, samples: &mut Samples, policy: &CircuitPolicy, now: DateTime<Utc>) -> Self {
        *samples = Samples::default();
        let openings = self.openings.saturating_add(1);
        Self { open_until: Some(now + policy.open.after(openings)), limit: Some(1), openings, ramp_at: None }
    }

    fn raised(&self, limit: u32, policy: &CircuitPolicy, cap: u32, now: DateTime<Utc>) -> Option<Self> {
        if self.ramp_at.is_some_and(|at| now < at) {
            return None;
        }
        let limit = limit.saturating_mul(2);
        if limit >= cap {
            return Some(Self::RELEASED);
        }
        Some(Self { limit: Some(limit), ramp_at: Some(now + policy.ramp_step), ..*self })
    }
}

impl Samples {
    /// More results than this are not needed to judge.
    const KEPT: usize = 200;

    fn record(&mut self, outcome: Outcome, policy: &CircuitPolicy, now: DateTime<Utc>) {
        let begin = now - policy.window;
        while self.results.len() >= Self::KEPT || self.results.front().is_some_and(|&(at, _)| at < begin) {
            if let Some((_, Outcome::Failure)) = self.results.pop_front() {
                self.failures -= 1;
            }
        }
        self.failures += u32::from(outcome == Outcome::Failure);
        self.results.push_back((now, outcome));
    }

    fn says_failing(&self, policy: &CircuitPolicy) -> bool {
        // At most 200 results are kept.
        let all = self.results.len() as u32;
        all >= policy.min_samples && self.failures * 100 >= all * policy.failure_percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: u32 = 8;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
    }

    fn feed(brake: &mut Brake, samples: &mut Samples, outcome: Outcome, now: DateTime<Utc>) {
        if let Some(changed) = brake.after(outcome, samples, &CircuitPolicy::default(), CAP, now) {
            *brake = changed;
        }
    }

    fn opened() -> (Brake, Samples) {
        let (mut brake, mut samples) = (Brake::RELEASED, Samples::default());
        for _ in 0..10 {
            feed(&mut brake, &mut samples, Outcome::Failure, at(0));
        }
        (brake, samples)
    }

    #[test]
    fn ten_samples_with_seven_failures_open_the_circuit() {
        let (mut brake, mut samples) = (Brake::RELEASED, Samples::default());

        for outcome in [Outcome::Success; 3].into_iter().chain([Outcome::Failure; 6]) {
            feed(&mut brake, &mut samples, outcome, at(0));
        }
        assert_eq!(brake, Brake::RELEASED);
        feed(&mut brake, &mut samples, Outcome::Failure, at(1));

        assert_eq!(brake.open_until(), Some(at(31)));
        assert!(brake.is_open(at(30)) && !brake.is_open(at(31)));
    }

    #[test]
    fn old_samples_do_not_count() {
        let (mut brake, mut samples) = (Brake::RELEASED, Samples::default());

        for second in 0..30 {
            feed(&mut brake, &mut samples, Outcome::Failure, at(second * 10));
        }

        assert_eq!(brake, Brake::RELEASED);
    }

    #[test]
    fn a_failing_probe_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let (mut brake, mut samples) = opened();
        let mut waits = Vec::new();

        for _ in 0..7 {
            let now = brake.open_until().expect("an open circuit");
            feed(&mut brake, &mut samples, Outcome::Failure, now);
            waits.push((brake.open_until().expect("an open circuit") - now).num_seconds());
        }

        assert_eq!(waits, [60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn after_recovery_the_limit_ramps_up() {
        let (mut brake, mut samples) = opened();
        let mut limits = vec![brake.limit()];

        for second in [30, 31, 35, 36, 40] {
            feed(&mut brake, &mut samples, Outcome::Success, at(second));
            limits.push(brake.limit());
        }

        assert_eq!(limits, [Some(1), Some(2), Some(2), Some(4), Some(4), None]);
        assert_eq!(brake, Brake::RELEASED);
    }

    #[test]
    fn stragglers_do_not_move_an_open_circuit() {
        let (mut brake, mut samples) = opened();
        let open = brake;

        feed(&mut brake, &mut samples, Outcome::Failure, at(5));
        feed(&mut brake, &mut samples, Outcome::Success, at(5));

        assert_eq!(brake, open);
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() -> Result<(), InvalidRate> {
        let limit = RateLimit::per_second(2.0)?.with_burst(3)?;
        let mut bucket = TokenBucket::full(&limit, at(0));

        assert_eq!(bucket.available(&limit, at(0)), 3);
        bucket.take(&limit, at(0), 3);
        assert_eq!(bucket.available(&limit, at(0)), 0);
        let next = bucket.next_at(&limit, at(0));

        assert_eq!(bucket.available(&limit, next), 1);
        assert_eq!(bucket.available(&limit, at(1)), 2);
        assert_eq!(bucket.available(&limit, at(1_000)), 3);
        Ok(())
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        for rate in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY, 100_001.0] {
            assert_eq!(RateLimit::per_second(rate), Err(InvalidRate), "{rate}");
        }
        let one = RateLimit::per_second(1.0).expect("a rate");
        assert_eq!(one.with_burst(0), Err(InvalidRate));
    }
}
