//! The contract of [`Clock`], sentence by sentence.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use crate::ports::Clock;
use crate::testing::conformance::{Check, Verdict, holds};

/// Stands up clocks for checks, and lets time pass on them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use crossdock::ports::Clock;
/// use crossdock::testing::ManualClock;
/// use crossdock::testing::conformance::{ClockHarness, clock_suite};
///
/// #[derive(Debug)]
/// struct ByHand(ManualClock);
///
/// #[async_trait::async_trait]
/// impl ClockHarness for ByHand {
///     fn clock(&self) -> Arc<dyn Clock> {
///         Arc::new(self.0.clone())
///     }
///
///     async fn let_pass(&self, span: Duration) {
///         self.0.advance(span);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// for check in clock_suite() {
///     assert_eq!(check.run(Arc::new(ByHand(ManualClock::new()))).await, Ok(()), "{}", check.name());
/// }
/// # }
/// ```
#[async_trait]
pub trait ClockHarness: Debug + Send + Sync + 'static {
    /// The clock.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Lets at least so much time pass on the clock: waits, or turns its hands.
    async fn let_pass(&self, span: Duration);
}

/// Every check of a [`Clock`].
pub fn clock_suite() -> Vec<Check<dyn ClockHarness>> {
    checks!["clock":
        time_never_runs_backwards,
        time_passes,
        a_sleeper_wakes_at_its_time_and_not_before,
        a_sleep_until_the_past_ends_at_once,
        sleepers_wake_in_the_order_of_their_times,
        a_sleep_may_be_given_up,
    ]
}

const SPAN: Duration = Duration::from_millis(20);

async fn time_never_runs_backwards(harness: Arc<dyn ClockHarness>) -> Verdict {
    let clock = harness.clock();
    let mut last = clock.now();
    for round in 0..1_000 {
        if round % 100 == 0 {
            harness.let_pass(Duration::from_millis(1)).await;
        }
        let now = clock.now();
        holds(last <= now, "a later reading is never earlier")?;
        last = now;
    }
    Ok(())
}

async fn time_passes(harness: Arc<dyn ClockHarness>) -> Verdict {
    let clock = harness.clock();
    let begin = clock.now();

    harness.let_pass(SPAN).await;

    holds(clock.now() >= begin + SPAN, "what passes is shown")
}

async fn a_sleeper_wakes_at_its_time_and_not_before(harness: Arc<dyn ClockHarness>) -> Verdict {
    let clock = harness.clock();
    let alarm = clock.now() + 4 * SPAN;
    let mut sleep = clock.sleep_until(alarm);

    while clock.now() < alarm {
        let is_over = sleep.as_mut().now_or_never().is_some();
        holds(!is_over || clock.now() >= alarm, "nobody wakes too early")?;
        if is_over {
            return Ok(());
        }
        harness.let_pass(SPAN).await;
    }
    sleep.await;
    holds(clock.now() >= alarm, "and everybody wakes")
}

async fn a_sleep_until_the_past_ends_at_once(harness: Arc<dyn ClockHarness>) -> Verdict {
    let clock = harness.clock();
    let now = clock.now();

    for at in [now, now - SPAN, now - Duration::from_secs(1_000_000)] {
        holds(clock.sleep_until(at).now_or_never().is_some(), "there is nothing to wait for")?;
    }
    Ok(())
}

async fn sleepers_wake_in_the_order_of_their_times(harness: Arc<dyn ClockHarness>) -> Verdict {
    let clock = harness.clock();
    let (early, late) = (clock.now() + SPAN, clock.now() + Duration::from_secs(3_600));
    let mut late_one = clock.sleep_until(late);
    let mut early_one = clock.sleep_until(early);
    holds(late_one.as_mut().now_or_never().is_none(), "it is too early for both")?;
    let _ = early_one.as_mut().now_or_never();

    while clock.now() < early {
        harness.let_pass(SPAN).await;
    }
    early_one.await;

    holds(late_one.now_or_never().is_none(), "one does not wake the other")
}

async fn a_sleep_may_be_given_up(harness: Arc<dyn ClockHarness>) -> Verdict {
    let clock = harness.clock();
    for _ in 0..100 {
        let mut sleep = clock.sleep_until(clock.now() + SPAN);
        let _ = sleep.as_mut().now_or_never();
    }

    harness.let_pass(2 * SPAN).await;

    holds(clock.sleep_until(clock.now()).now_or_never().is_some(), "the clock goes on")
}
