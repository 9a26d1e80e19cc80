//! The engine at work: fans out, delivers, and does the chores.
//!
//! | module | does |
//! |---|---|
//! | `delivering` | what a lane's work is here: sign, send, classify, schedule, settle |
//! | `spread` | one delivery as a task of its own |
//! | `outcome` | one attempt's verdict becomes a settlement |
//! | `circuits` | the results of the last minute, per webhook |
//! | `distributing` | published events become deliveries |
//! | `ahead` | what is known of the outbox beyond the batch at hand |
//! | `pace` | how much of the outbox is taken off at once, and when |
//! | `sharing` | which part of it, while others take off events as well |
//! | `chores` | replays, notices, expiry, retention |
//! | `store_clock` | the time as the store tells it |
//! | `status` | what an operator asks of a running worker |

mod ahead;
mod chores;
mod circuits;
mod delivering;
mod distributing;
mod outcome;
mod pace;
mod sharing;
mod spread;
mod status;
mod store_clock;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{Either, join, select};
use tokio::task::JoinSet;

use crate::activity::model::{Activity, ActivityKind, ENGINE, Subject};
use crate::error::Result;
use crate::lanes::desk::Desk;
use crate::lanes::runner::Runner;
use crate::tenancy::model::{Actor, TenantId};
use crate::webhooks::context::Context;
use crate::webhooks::model::Claim;
use crate::webhooks::worker::chores::Chores;
use crate::webhooks::worker::delivering::Delivering;
use crate::webhooks::worker::distributing::Distributing;
use crate::webhooks::worker::spread::has_threads;
use crate::webhooks::worker::status::StatusBoard;
pub use crate::webhooks::worker::status::WorkerStatus;
use crate::webhooks::worker::store_clock::StoreClock;

/// Delivers: fans published events out, signs and sends, settles, and does the chores.
///
/// Any number of workers, in any number of processes, may run on one store.
///
/// ```
/// # tokio_test_block(async {
/// use crossdock::Hub;
///
/// let hub = Hub::builder().build()?;
/// let worker = hub.worker().slots(64).runners(1);
///
/// worker.run_until(std::future::ready(())).await;
/// # Ok::<(), crossdock::Error>(())
/// # });
/// # fn tokio_test_block<T, E: std::fmt::Debug>(story: impl Future<Output = Result<T, E>>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story).unwrap();
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    context: Arc<Context>,
    board: Arc<StatusBoard>,
    time: Arc<StoreClock>,
    runners: usize,
    slots: usize,
    slots_per_tenant: Option<usize>,
    grace: Duration,
}

impl Worker {
    const SLOTS: usize = 1_024;
    const GRACE: Duration = Duration::from_secs(25);

    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            time: Arc::new(StoreClock::new(Arc::clone(&context))),
            context,
            board: Arc::default(),
            runners: 1,
            slots: Self::SLOTS,
            slots_per_tenant: None,
            grace: Self::GRACE,
        }
    }

    /// How many loops claim and settle; one by default, which is polled in place. Requests are spread over all threads of the
    /// runtime in any case, so that more loops only help where one cannot claim and settle fast enough; they need a tokio
    /// runtime to run on.
    pub fn runners(mut self, runners: usize) -> Self {
        self.runners = runners.max(1);
        self
    }

    /// How many requests each loop may have in flight; 1,024 by default. It should be well above what hanging receivers
    /// of a few tenants can hold at once.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// How many of a loop's slots one tenant may hold; half of them by default. Whatever its receivers do, and however many
    /// it has, the others are for other tenants. A host with a single tenant gives it all of them.
    pub fn slots_per_tenant(mut self, slots: usize) -> Self {
        self.slots_per_tenant = Some(slots.max(1));
        self
    }

    /// How long requests in flight may still take after the shutdown; 25 s by default. What is then still in flight is
    /// due again at once.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How the worker does, also while it runs.
    pub fn status(&self) -> WorkerStatus {
        self.board.read()
    }

    /// Works until `shutdown` completes, finishes what is in flight within the grace period, and returns.
    ///
    /// A store that goes away and comes back needs no restart: the worker backs off, says so in
    /// [`Worker::status`], and carries on.
    ///
    /// Dropping the future is like a crash of the process: what was in flight is due again when its lease ends.
    pub async fn run_until(&self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = futures_channel::oneshot::channel::<()>();
        // The sender is dropped to stop everybody.
        let stopped = stopped.map(drop).shared();
        let delivering = match has_threads() {
            true => self.delivering().spreading(),
            false => Arc::new(self.delivering()),
        };

        // The set aborts its tasks when it is dropped, so that dropping this future stops them all.
        let mut others = JoinSet::new();
        for _ in 1..self.runners {
            let (worker, delivering, stopped) = (self.clone(), Arc::clone(&delivering), stopped.clone());
            others.spawn(async move {
                let desk = worker.desk();
                let run = || async { worker.runner(&delivering, &desk).run_until(stopped.clone()).await };
                worker.supervised(run).await;
            });
        }
        let desk = Desk::open(self.slots, self.share());
        let here =
            self.supervised(|| async { self.runner(&delivering, &desk).run_until(stopped.clone()).await });
        let background = async {
            self.supervised(|| self.background(&desk, stopped.clone())).await;
            desk.close();
        };
        let until_stopped = async {
            shutdown.await;
            drop(stop);
        };
        join(until_stopped, join(here, background)).await;
        while others.join_next().await.is_some() {}
    }

    /// Works until nothing is due any more, and says when something will be: for tests with a manual clock.
    ///
    /// Chores are done once. Dropping the future is like a crash of the process.
    pub async fn run_until_idle(&self) -> Option<DateTime<Utc>> {
        let delivering = self.delivering();
        let desk = self.desk();
        let distributing = Distributing::new(&self.context, &self.board, &self.time);
        let chores = Chores::new(&self.context, &self.board, &self.time);
        loop {
            let next_chore = chores.all().await;
            distributing.until_empty().await;
            let next_due = self.runner(&delivering, &desk).run_until_idle().await;
            if chores.notices().await == 0 && distributing.is_empty().await {
                return [next_due, next_chore].into_iter().flatten().min();
            }
        }
    }

    /// Starts again what panics: transports and formats are caught one by one, but a store, a clock or a vault of the
    /// host's may panic anywhere. What was in flight comes back when its lease ends.
    async fn supervised<F: Future<Output = ()>>(&self, start: impl Fn() -> F) {
        while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
            self.board.panicked();
            let clock = &self.context.clock;
            clock.sleep_until(clock.now() + PAUSE_AFTER_PANIC).await;
        }
    }

    async fn background(
        &self,
        desk: &Desk<Claim, TenantId>,
        stopped: impl Future<Output = ()> + Clone + Send + Unpin,
    ) {
        let distributing = Distributing::new(&self.context, &self.board, &self.time);
        let chores = Chores::new(&self.context, &self.board, &self.time);
        let chores = async {
            match select(stopped.clone(), std::pin::pin!(chores.for_ever())).await {
                Either::Left(((), _)) | Either::Right((_, _)) => {}
            }
        };
        join(distributing.run_until(desk, self.grace, stopped.clone()), chores).await;
    }

    fn share(&self) -> usize {
        self.slots_per_tenant.unwrap_or(self.slots.div_ceil(2))
    }

    /// For a loop that only claims.
    fn desk(&self) -> Desk<Claim, TenantId> {
        Desk::new(self.slots, self.share())
    }

    fn delivering(&self) -> Delivering {
        Delivering::new(Arc::clone(&self.context), Arc::clone(&self.board), Arc::clone(&self.time))
    }

    fn runner<'a>(
        &'a self,
        delivering: &'a Delivering,
        desk: &'a Desk<Claim, TenantId>,
    ) -> Runner<'a, Delivering> {
        Runner {
            work: delivering,
            clock: &*self.context.clock,
            wake: &*self.context.due,
            desk,
            grace: self.grace,
        }
    }
}

impl Context {
    /// An entry of the log by the engine itself.
    fn activity_by_engine(
        &self,
        tenant: &TenantId,
        kind: ActivityKind,
        subject: impl Into<Subject>,
        now: DateTime<Utc>,
    ) -> Activity {
        self.activity_by(&Actor::system(tenant.clone(), ENGINE), kind, subject, now)
    }

    /// Writes what the engine has noticed behind a step: a crash in between leaves it out.
    async fn log(&self, entries: Vec<Activity>) -> Result<()> {
        if entries.is_empty() { Ok(()) } else { self.activity.append(entries).await }
    }
}

const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);
