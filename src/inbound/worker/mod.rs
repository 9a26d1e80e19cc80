//! Hands what was received to handlers.
//!
//! | file | does |
//! |---|---|
//! | `handling` | what a lane's work is here: find the handler, run it, settle |
//! | `verdict` | what a handler's answer becomes |
//! | `status` | what an operator asks of a running worker |

mod handling;
mod status;
mod verdict;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{Either, join, select};

use crate::inbound::context::InboundContext;
use crate::inbound::received::{InboundJob, Party};
use crate::inbound::worker::handling::Handling;
use crate::inbound::worker::status::Board;
pub use crate::inbound::worker::status::InboundWorkerStatus;
use crate::lanes::desk::Desk;
use crate::lanes::runner::Runner;

/// Hands what was received to the hub's handlers, drops what is older than it need be kept; from
/// [`Hub::inbound_worker`](crate::Hub::inbound_worker).
///
/// Any number of workers, in any number of processes, may run on one store. An item is handed to a handler at least once: after a crash
/// again. A handler that completes its item [in a transaction of its own](crate::inbound::Incoming::complete_in) has exactly one effect.
///
/// ```
/// use crossdock::Hub;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
///
/// hub.inbound_worker().slots(64).run_until(std::future::ready(())).await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a worker does nothing until it runs"]
pub struct InboundWorker {
    context: Arc<InboundContext>,
    board: Arc<Board>,
    slots: usize,
    slots_per_party: Option<usize>,
    grace: Duration,
}

impl InboundWorker {
    const SLOTS: usize = 256;
    const GRACE: Duration = Duration::from_secs(25);

    pub(crate) fn new(context: Arc<InboundContext>) -> Self {
        let (slots, grace) = (Self::SLOTS, Self::GRACE);
        Self { context, board: Arc::default(), slots, slots_per_party: None, grace }
    }

    /// How many handlers may run at once; 256 by default.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// How many of them one party may hold: a tenant, or a customer of one of the platform's sources. Half of them by default.
    pub fn slots_per_party(mut self, slots: usize) -> Self {
        self.slots_per_party = Some(slots.max(1));
        self
    }

    /// How long handlers at work may still take after the shutdown; 25 s by default. What is then unfinished is due again at once.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How the worker does, also while it runs.
    pub fn status(&self) -> InboundWorkerStatus {
        self.board.read()
    }

    /// Works until `shutdown` completes, lets handlers finish within the grace period, and returns.
    ///
    /// A store that goes away and comes back needs no restart: the worker backs off, says so in [`InboundWorker::status`], and carries on.
    ///
    /// Dropping the future is like a crash of the process: what was being handled is due again when its lease ends.
    pub async fn run_until(&self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = futures_channel::oneshot::channel::<()>();
        // The sender is dropped to stop everybody.
        let stopped = stopped.map(drop).shared();
        let handling = Handling::new(Arc::clone(&self.context), Arc::clone(&self.board));
        let desk = self.desk();
        let here =
            self.supervised(|| async { self.runner(&handling, &desk).run_until(stopped.clone()).await });
        let chores = self.supervised(|| self.chores(stopped.clone()));
        let until_stopped = async {
            shutdown.await;
            drop(stop);
        };
        join(until_stopped, join(here, chores)).await;
    }

    /// Works until nothing is due any more, and says when something will be: for tests with a manual clock.
    ///
    /// Dropping the future is like a crash of the process.
    pub async fn run_until_idle(&self) -> Option<DateTime<Utc>> {
        let handling = Handling::new(Arc::clone(&self.context), Arc::clone(&self.board));
        self.tidy().await;
        self.runner(&handling, &self.desk()).run_until_idle().await
    }

    /// Starts again what panics: handlers are caught one by one, but a store or a clock of the host's may panic anywhere. What was
    /// being handled comes back when its lease ends.
    async fn supervised<F: Future<Output = ()>>(&self, start: impl Fn() -> F) {
        while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
            self.board.panicked();
            let clock = &self.context.clock;
            clock.sleep_until(clock.now() + PAUSE_AFTER_PANIC).await;
        }
    }

    async fn chores(&self, stopped: impl Future<Output = ()> + Send + Unpin) {
        let clock = &self.context.clock;
        let work = std::pin::pin!(async {
            loop {
                self.tidy().await;
                clock.sleep_until(clock.now() + BETWEEN_CHORES).await;
            }
        });
        match select(stopped, work).await {
            Either::Left(((), _)) | Either::Right(((), _)) => {}
        }
    }

    /// Step by step, until a step finds nothing more.
    async fn tidy(&self) {
        loop {
            let now = self.context.clock.now();
            match self.context.store.tidy_received(self.context.settings.retention, now).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.board.store_failed(&error, now),
            }
        }
    }

    fn desk(&self) -> Desk<InboundJob, Party> {
        Desk::new(self.slots, self.slots_per_party.unwrap_or(self.slots.div_ceil(2)))
    }

    fn runner<'a>(
        &'a self,
        handling: &'a Handling,
        desk: &'a Desk<InboundJob, Party>,
    ) -> Runner<'a, Handling> {
        Runner {
            work: handling,
            clock: &*self.context.clock,
            wake: &*self.context.due,
            desk,
            grace: self.grace,
        }
    }
}

const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);
const BETWEEN_CHORES: Duration = Duration::from_secs(60);
