//! The contract of [`Wake`], sentence by sentence.

use std::sync::Arc;
use std::time::Duration;

use futures_timer::Delay;
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::ports::{Wake, Wakened};
use crate::testing::conformance::{Check, Verdict, holds};

/// Every check of a [`Wake`].
///
/// Hints may be lost, so a check that waits for one gives it again and again for up to five seconds.
///
/// ```
/// use std::sync::Arc;
/// use crossdock::LocalWake;
/// use crossdock::testing::conformance::wake_suite;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// for check in wake_suite() {
///     assert_eq!(check.run(Arc::new(LocalWake::default())).await, Ok(()), "{}", check.name());
/// }
/// # }
/// ```
pub fn wake_suite() -> Vec<Check<dyn Wake>> {
    checks!["wake":
        a_wake_without_listeners_is_nothing,
        a_listener_that_nobody_wakes_waits,
        a_wake_reaches_who_listens,
        a_wake_that_came_before_is_no_wake,
        every_listener_is_woken,
        a_listener_may_give_up,
    ]
}

async fn a_wake_without_listeners_is_nothing(wake: Arc<dyn Wake>) -> Verdict {
    for _ in 0..1_000 {
        wake.wake();
    }
    Ok(())
}

async fn a_listener_that_nobody_wakes_waits(wake: Arc<dyn Wake>) -> Verdict {
    let waited = select(wake.listen(), Delay::new(Duration::from_millis(50))).await;

    holds(matches!(waited, Either::Right(_)), "there was nothing to hear")
}

async fn a_wake_reaches_who_listens(wake: Arc<dyn Wake>) -> Verdict {
    holds(hears(&*wake, wake.listen()).await, "who listens is woken")
}

async fn a_wake_that_came_before_is_no_wake(wake: Arc<dyn Wake>) -> Verdict {
    let early = wake.listen();
    holds(hears(&*wake, early).await, "who listens is woken")?;
    // What is still on its way may arrive.
    Delay::new(Duration::from_millis(50)).await;

    let late = select(wake.listen(), Delay::new(Duration::from_millis(50))).await;

    holds(matches!(late, Either::Right(_)), "who comes later waits for the next one")
}

async fn every_listener_is_woken(wake: Arc<dyn Wake>) -> Verdict {
    let listeners: Vec<_> = (0..10).map(|_| wake.listen()).collect();

    for listener in listeners {
        holds(hears(&*wake, listener).await, "everybody who listens is woken")?;
    }
    Ok(())
}

async fn a_listener_may_give_up(wake: Arc<dyn Wake>) -> Verdict {
    for _ in 0..1_000 {
        let mut listener = wake.listen();
        let _ = listener.as_mut().now_or_never();
    }

    holds(hears(&*wake, wake.listen()).await, "those who stay are woken as before")
}

/// Wakes until the listener hears it, or five seconds are over.
async fn hears(wake: &dyn Wake, mut listener: Wakened) -> bool {
    for _ in 0..500 {
        wake.wake();
        match select(listener, Delay::new(Duration::from_millis(10))).await {
            Either::Left(_) => return true,
            Either::Right((_, still)) => listener = still,
        }
    }
    false
}
