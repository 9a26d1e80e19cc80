//! One delivery as a task of its own, so that all threads of the runtime send.

use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle};

/// Whether there are several threads that tasks could run on.
pub(super) fn has_threads() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Runs this as a task; a panic comes back to the caller. Dropping the future ends the task.
pub(super) async fn spread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match Spread(tokio::spawn(work)).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is being shut down, and whoever waits here with it.
            Err(_) => pending().await,
        },
    }
}

struct Spread<T>(JoinHandle<T>);

impl<T> Future for Spread<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Spread<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    fn run<T>(story: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        runtime.expect("a runtime").block_on(story)
    }

    #[test]
    fn what_panics_in_a_task_panics_here() {
        let caught = run(async {
            let work = std::panic::AssertUnwindSafe(spread(async { panic!("on purpose") }));
            work.catch_unwind().await
        });

        assert_eq!(caught.expect_err("a panic").downcast_ref(), Some(&"on purpose"));
    }

    #[test]
    fn a_task_ends_with_the_future_that_waits_for_it() {
        run(async {
            let held = Arc::new(());
            let inside = Arc::clone(&held);
            let mut waiting = Box::pin(spread(async move {
                pending::<()>().await;
                drop(inside);
            }));
            assert!(waiting.as_mut().now_or_never().is_none());

            drop(waiting);

            while Arc::strong_count(&held) > 1 {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn one_thread_is_not_several() {
        assert!(!has_threads());
        assert!(run(async { has_threads() }));
    }
}
