//! A clock that is set by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// Time passes when the test says so: it begins at 2026-01-01 00:00 UTC, and a clone is the same clock.
///
/// ```
/// use std::time::Duration;
/// use crossdock::ports::Clock;
/// use crossdock::testing::ManualClock;
/// use futures_util::FutureExt;
///
/// let clock = ManualClock::new();
/// let alarm = clock.now() + Duration::from_secs(3600);
/// let mut sleep = clock.sleep_until(alarm);
/// assert!(sleep.as_mut().now_or_never().is_none());
///
/// assert_eq!(clock.advance_to_next_sleeper(), Some(alarm));
///
/// assert!(sleep.as_mut().now_or_never().is_some());
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Time>>);

struct Time {
    now: DateTime<Utc>,
    /// By the time they wait for, then in the order in which they came.
    sleepers: BTreeMap<(DateTime<Utc>, u64), Waker>,
    arrivals: u64,
}

impl ManualClock {
    /// A clock that shows 2026-01-01 00:00 UTC.
    pub fn new() -> Self {
        Self::starting_at(DateTime::UNIX_EPOCH + Duration::from_secs(NEW_YEAR_2026))
    }

    /// A clock that shows this time.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(Time { now, sleepers: BTreeMap::new(), arrivals: 0 })))
    }

    /// Lets time pass, and wakes whoever has slept long enough: the earliest first, and among equals the one who came
    /// first.
    pub fn advance(&self, span: Duration) {
        let to = self.now() + span;
        self.advance_to(to);
    }

    /// Lets time pass until `at`; a time in the past changes nothing.
    pub fn advance_to(&self, at: DateTime<Utc>) {
        let woken = {
            let mut time = self.time();
            time.now = time.now.max(at);
            let edge = (time.now + Duration::from_nanos(1), 0);
            let still_asleep = time.sleepers.split_off(&edge);
            std::mem::replace(&mut time.sleepers, still_asleep)
        };
        // Outside the lock: a waker may run anything.
        woken.into_values().for_each(Waker::wake);
    }

    /// Lets time pass until the first sleeper wakes up, and says when that is; `None` if nobody sleeps.
    pub fn advance_to_next_sleeper(&self) -> Option<DateTime<Utc>> {
        let &(at, _) = self.time().sleepers.first_key_value()?.0;
        self.advance_to(at);
        Some(at)
    }

    /// How many sleep.
    pub fn sleepers(&self) -> usize {
        self.time().sleepers.len()
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        // Nothing under this lock can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).field("sleepers", &self.sleepers()).finish()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.time().now
    }

    /// Dropping the future leaves nothing behind.
    async fn sleep_until(&self, at: DateTime<Utc>) {
        Sleep { clock: self.clone(), at, arrival: None }.await;
    }
}

struct Sleep {
    clock: ManualClock,
    at: DateTime<Utc>,
    arrival: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let arrival = {
            let mut time = self.clock.time();
            if at <= time.now {
                return Poll::Ready(());
            }
            let arrival = self.arrival.unwrap_or(time.arrivals);
            time.arrivals = time.arrivals.max(arrival + 1);
            time.sleepers.insert((at, arrival), cx.waker().clone());
            arrival
        };
        self.arrival = Some(arrival);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival {
            self.clock.time().sleepers.remove(&(self.at, arrival));
        }
    }
}

const NEW_YEAR_2026: u64 = 1_767_225_600;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_begins_with_the_year_2026() {
        assert_eq!(ManualClock::new().now().to_string(), "2026-01-01 00:00:00 UTC");
    }

    #[test]
    fn sleepers_wake_when_their_time_has_come() {
        let clock = ManualClock::new();
        let begin = clock.now();
        let mut early = clock.sleep_until(begin + SECOND);
        let mut late = clock.sleep_until(begin + 2 * SECOND);
        assert!(early.as_mut().now_or_never().is_none() && late.as_mut().now_or_never().is_none());

        clock.advance(SECOND);

        assert!(early.as_mut().now_or_never().is_some());
        assert!(late.as_mut().now_or_never().is_none());
        assert_eq!(clock.advance_to_next_sleeper(), Some(begin + 2 * SECOND));
        assert!(late.as_mut().now_or_never().is_some());
        assert_eq!(clock.advance_to_next_sleeper(), None);
    }

    #[test]
    fn whoever_stops_waiting_leaves_nothing_behind() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep_until(clock.now() + SECOND);
        assert!(sleep.as_mut().now_or_never().is_none());
        assert_eq!(clock.sleepers(), 1);

        drop(sleep);

        assert_eq!(clock.sleepers(), 0);
    }
}
