//! Polls futures on one thread, one at a time, in an order that the world chooses.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A worker process: dropping it is its death.
pub(super) struct Process {
    future: Pin<Box<dyn Future<Output = ()>>>,
    ready: Arc<Flag>,
    waker: Waker,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Process {
    pub(super) fn new(future: impl Future<Output = ()> + 'static) -> Self {
        let ready = Arc::new(Flag(AtomicBool::new(true)));
        Self { future: Box::pin(future), waker: Waker::from(Arc::clone(&ready)), ready }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.0.load(Ordering::Relaxed)
    }

    pub(super) fn poll(&mut self) {
        self.ready.0.store(false, Ordering::Relaxed);
        let mut cx = Context::from_waker(&self.waker);
        assert!(self.future.as_mut().poll(&mut cx).is_pending(), "a worker returned without a shutdown");
    }
}

/// Polls a future that needs nobody else until it is done.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("the future waits for somebody");
}

/// Gives the world one chance to do something else.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
