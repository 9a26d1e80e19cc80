//! A [`Verdict`] becomes what happens next.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lanes::schedule::{InvalidSchedule, Schedule};
use crate::primitives::backoff::Jitter;
use crate::webhooks::classify::Verdict;
use crate::webhooks::model::{DeadReason, DisableReason};

/// When a failed delivery is tried again, and when it is given up.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use crossdock::primitives::Jitter;
/// use crossdock::webhooks::{DeadReason, Next, RetryPolicy, Verdict};
///
/// let policy = RetryPolicy::after_seconds([5, 30]);
/// let now = DateTime::UNIX_EPOCH;
///
/// assert_eq!(
///     policy.next(Verdict::Retry(None), 2, now, Jitter::NONE),
///     Next::RetryAt(now + TimeDelta::seconds(30)),
/// );
/// assert_eq!(policy.next(Verdict::Retry(None), 3, now, Jitter::NONE), Next::GiveUp(DeadReason::Exhausted));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetryPolicy(Schedule);

/// What happens to a delivery after an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Next {
    /// The receiver took it.
    Done,
    /// It is tried again at this time.
    RetryAt(DateTime<Utc>),
    /// It becomes a dead letter.
    GiveUp(DeadReason),
    /// It becomes a dead letter and its webhook is disabled.
    Disable(DisableReason),
}

impl RetryPolicy {
    /// 5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: about 3.2 days.
    const DEFAULT_SECONDS: [u64; 11] =
        [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

    /// Never tries again, because the receiver is not idempotent: a person looks at the failures and resends.
    pub const fn none() -> Self {
        Self(Schedule::none())
    }

    /// Waits of these many seconds, one after each failure. What is beyond a schedule's bounds (100 waits, 7 days) is
    /// cut; use [`RetryPolicy::new`] with [`Schedule::table`] to be told instead.
    pub fn after_seconds(seconds: impl IntoIterator<Item = u64>) -> Self {
        const WEEK: u64 = 7 * 24 * 60 * 60;
        let waits = seconds.into_iter().take(Schedule::MAX_RETRIES as usize);
        let waits = waits.map(|wait| Duration::from_secs(wait.min(WEEK)));
        Self(Schedule::table(waits).unwrap_or(Schedule::none()))
    }

    /// Doubling waits with full jitter.
    ///
    /// # Errors
    /// More than 100 retries, or a cap of more than 7 days.
    pub fn exponential(first: Duration, cap: Duration, retries: u32) -> Result<Self, InvalidSchedule> {
        Schedule::exponential(first, cap, retries).map(Self)
    }

    /// The policy of this schedule.
    pub const fn new(schedule: Schedule) -> Self {
        Self(schedule)
    }

    /// The schedule behind it.
    pub const fn schedule(&self) -> &Schedule {
        &self.0
    }

    /// What happens after attempt number `attempt` (from 1) ended with this verdict.
    pub fn next(&self, verdict: Verdict, attempt: u32, now: DateTime<Utc>, jitter: Jitter) -> Next {
        match verdict {
            Verdict::Delivered => Next::Done,
            Verdict::Gone => Next::Disable(DisableReason::Gone),
            Verdict::DisableAsked => Next::Disable(DisableReason::Asked),
            Verdict::Rejected => Next::GiveUp(DeadReason::Rejected),
            // The same event gives the same refusal every time, until a person mends the mapping.
            Verdict::Unmapped => Next::GiveUp(DeadReason::Unmapped),
            Verdict::Retry(not_before) => match self.0.wait(attempt, jitter) {
                Some(wait) => {
                    let planned = now + wait;
                    Next::RetryAt(not_before.map_or(planned, |asked| asked.max(planned)))
                }
                None => Next::GiveUp(DeadReason::Exhausted),
            },
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::after_seconds(Self::DEFAULT_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_receiver_may_ask_us_to_wait_longer() {
        let asked = NOW + TimeDelta::seconds(30);

        let next = RetryPolicy::after_seconds([5]).next(Verdict::Retry(Some(asked)), 1, NOW, Jitter::NONE);

        assert_eq!(next, Next::RetryAt(asked));
    }

    #[test]
    fn a_receiver_cannot_make_us_come_earlier() {
        let asked = NOW + TimeDelta::seconds(1);

        let next = RetryPolicy::after_seconds([5]).next(Verdict::Retry(Some(asked)), 1, NOW, Jitter::NONE);

        assert_eq!(next, Next::RetryAt(NOW + TimeDelta::seconds(5)));
    }

    #[test]
    fn the_default_goes_on_for_about_three_days() {
        let policy = RetryPolicy::default();
        let mut waited = TimeDelta::zero();

        for attempt in 1..12 {
            let Next::RetryAt(at) = policy.next(Verdict::Retry(None), attempt, NOW, Jitter::NONE) else {
                panic!("no retry after attempt {attempt}");
            };
            waited += at - NOW;
        }

        assert_eq!(waited.num_seconds(), 272_555);
        assert_eq!(
            policy.next(Verdict::Retry(None), 12, NOW, Jitter::NONE),
            Next::GiveUp(DeadReason::Exhausted)
        );
    }

    #[test]
    fn what_is_final_is_not_retried() {
        let policy = RetryPolicy::default();

        for (verdict, next) in [
            (Verdict::Delivered, Next::Done),
            (Verdict::Gone, Next::Disable(DisableReason::Gone)),
            (Verdict::DisableAsked, Next::Disable(DisableReason::Asked)),
            (Verdict::Rejected, Next::GiveUp(DeadReason::Rejected)),
            (Verdict::Unmapped, Next::GiveUp(DeadReason::Unmapped)),
        ] {
            assert_eq!(policy.next(verdict, 1, NOW, Jitter::NONE), next);
        }
        let none = RetryPolicy::none();
        assert_eq!(
            none.next(Verdict::Retry(None), 1, NOW, Jitter::NONE),
            Next::GiveUp(DeadReason::Exhausted)
        );
    }
}
