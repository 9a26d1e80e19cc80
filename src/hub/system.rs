//! The world as it is outside tests: the machine's clock, its dice, and wake-ups within this process.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use event_listener::Event;
use futures_timer::Delay;

use crate::ports::{Clock, Entropy, Wake, Wakened};

/// The machine's clock, in whole microseconds, without its jumps backwards.
///
/// When somebody sets the machine's clock back, this one runs at half its speed until the other has caught up: it never
/// stands still, and never shows the same span twice.
///
/// ```
/// use crossdock::hub::SystemClock;
/// use crossdock::ports::Clock;
///
/// let clock = SystemClock::new();
/// let earlier = clock.now();
///
/// assert!(clock.now() >= earlier);
/// ```
#[derive(Debug)]
pub struct SystemClock(Mutex<Reading>);

/// What was shown last, and when that was on a clock that cannot be set.
#[derive(Clone, Copy, Debug)]
struct Reading {
    shown: DateTime<Utc>,
    at: Instant,
}

impl SystemClock {
    /// The longest single sleep: a clock that is set forward meanwhile is noticed after it.
    const LOOK_AGAIN: Duration = Duration::from_secs(10);

    /// The machine's clock.
    pub fn new() -> Self {
        Self(Mutex::new(Reading { shown: machine_time(), at: Instant::now() }))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        // Two values that belong together; a panic between them is impossible.
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = reading.next(machine_time(), Instant::now());
        whole_microseconds(reading.shown)
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        while let Ok(rest) = (at - self.now()).to_std() {
            if rest.is_zero() {
                return;
            }
            Delay::new(rest.min(Self::LOOK_AGAIN)).await;
        }
    }
}

impl Reading {
    fn next(self, machine: DateTime<Utc>, at: Instant) -> Self {
        let slowly = self.shown + at.saturating_duration_since(self.at) / 2;
        Self { shown: machine.max(slowly), at }
    }
}

/// The operating system's randomness, stretched by a generator per thread that is seeded from it.
///
/// ```
/// use crossdock::hub::SystemEntropy;
/// use crossdock::ports::EntropyExt;
///
/// let (one, two): ([u8; 16], [u8; 16]) = (SystemEntropy.bytes(), SystemEntropy.bytes());
///
/// assert_ne!(one, two);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // `rand` documents this generator as cryptographically secure.
        rand::fill(buffer);
    }
}

/// Wakes whoever listens in this process.
///
/// ```
/// use crossdock::hub::LocalWake;
/// use crossdock::ports::Wake;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let bell = LocalWake::default();
/// let listener = bell.listen();
///
/// bell.wake();
///
/// listener.await;
/// # }
/// ```
#[derive(Debug, Default)]
pub struct LocalWake(Event);

impl Wake for LocalWake {
    fn wake(&self) {
        self.0.notify(usize::MAX);
    }

    fn listen(&self) -> Wakened {
        Box::pin(self.0.listen())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the `Clock` port reads the machine"
)]
fn machine_time() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// No database keeps more, and what is stored must read back as it was written.
fn whole_microseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_at_half_speed() {
        let start = Instant::now();
        let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
        let mut reading = Reading { shown: noon, at: start };
        let mut shown = Vec::new();

        // The machine is set back by 10 s and then runs on, as seen every 4 s.
        for seconds in [4, 8, 12, 16, 20, 24] {
            let machine = noon + TimeDelta::seconds(seconds) - TimeDelta::seconds(10);
            reading = reading.next(machine, start + Duration::from_secs(seconds.unsigned_abs()));
            shown.push((reading.shown - noon).num_seconds());
        }

        assert_eq!(shown, [2, 4, 6, 8, 10, 14]);
    }

    #[test]
    fn a_clock_that_is_set_forward_is_followed_at_once() {
        let start = Instant::now();
        let reading = Reading { shown: DateTime::UNIX_EPOCH, at: start };

        let later = DateTime::UNIX_EPOCH + TimeDelta::hours(1);

        assert_eq!(reading.next(later, start).shown, later);
    }

    #[test]
    fn sleeping_until_the_past_does_not_wait() {
        let clock = SystemClock::new();

        assert!(clock.sleep_until(DateTime::UNIX_EPOCH).now_or_never().is_some());
    }

    #[test]
    fn a_wake_before_anybody_listens_is_lost() {
        let bell = LocalWake::default();
        bell.wake();
        let mut early = bell.listen();
        assert!((&mut early).now_or_never().is_none());

        bell.wake();

        assert!(early.now_or_never().is_some());
        assert!(bell.listen().now_or_never().is_none());
    }
}
