//! What a lane's work is here: find the handler, run it, settle.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::activity::model::ActivityKind;
use crate::error::{Error, Result};
use crate::inbound::context::InboundContext;
use crate::inbound::handlers::{Handled, Route};
use crate::inbound::received::{InboundFate, InboundJob, InboundSettlement, Party};
use crate::inbound::store::InboundClaim;
use crate::inbound::worker::status::Board;
use crate::inbound::worker::verdict::{Completing, verdict};
use crate::lanes::schedule::Schedule;
use crate::lanes::work::{Claims, LaneWork};
use crate::ports::EntropyExt;
use crate::primitives::time::later;

/// Runs handlers.
#[derive(Debug)]
pub(super) struct Handling {
    context: Arc<InboundContext>,
    board: Arc<Board>,
    /// Where the round over parties goes on.
    after: Mutex<Option<Party>>,
    /// How far the store's clock is ahead of this one's, in microseconds: leases are judged alike by all processes.
    ahead: AtomicI64,
    is_compared: AtomicBool,
}

impl Handling {
    pub(super) fn new(context: Arc<InboundContext>, board: Arc<Board>) -> Self {
        Self {
            context,
            board,
            after: Mutex::new(None),
            ahead: AtomicI64::new(0),
            is_compared: AtomicBool::new(false),
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.context.clock.now() + TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Nothing is leased by a clock that nobody has compared with the store's.
    async fn compare_once(&self) -> Result<()> {
        if self.is_compared.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = self.now();
        let claim = InboundClaim::new(before, self.context.settings.lease, 0);
        let claimed = self.context.store.claim_received(claim).await?;
        self.correct(before, claimed.now);
        self.is_compared.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A clock that differs from the store's by more than the question took is corrected.
    fn correct(&self, before: DateTime<Utc>, store: DateTime<Utc>) {
        let after = self.now();
        let error = if store < before {
            store - before
        } else if store > after {
            store - after
        } else {
            return;
        };
        self.ahead.fetch_add(error.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }

    async fn handle(&self, job: &InboundJob) -> InboundSettlement {
        if job.is_outdated() {
            return InboundSettlement::new(job, InboundFate::Outdated);
        }
        let received = &job.received;
        // A tenant's source that was there before the host declared one of the same name is not the platform's.
        let is_disguised =
            received.owner.tenant().is_some() && self.context.platform.contains_key(&received.name);
        let route = self.context.router.find(&received.name, &received.kind).filter(|_| !is_disguised);
        let Some(route) = route else {
            return InboundSettlement::new(job, InboundFate::Ignored);
        };
        if job.attempt > self.schedule(route).max_attempts() {
            // Whoever had it last has neither finished nor failed.
            return self.settlement(
                job,
                InboundFate::Dead,
                Some("the worker was interrupted each time".to_owned()),
            );
        }
        if !job.lease.is_live(self.now()) {
            // This process stood still for longer than its lease: the item is somebody else's by now.
            return InboundSettlement::new(job, InboundFate::Release(self.now()));
        }
        let run = self.run(route, job).await;
        self.judged(job, route, run)
    }

    /// Runs a handler, within its time. A panic is a failure of this one item.
    async fn run(&self, route: &Route, job: &InboundJob) -> (Handled, Completing) {
        let limit = route.limit().unwrap_or(self.context.settings.timeout);
        let clock = &self.context.clock;
        let too_late = clock.sleep_until(later(clock.now(), limit));
        let handler = AssertUnwindSafe(route.run(job.clone(), Arc::clone(clock))).catch_unwind();
        let failed = |why: &str| (Handled::Failed(why.to_owned()), Completing::ByTheWorker);
        match select(handler, too_late).await {
            Either::Left((Ok(run), _)) if run.has_completed => (run.handled, Completing::ByTheHandler),
            Either::Left((Ok(run), _)) => (run.handled, Completing::ByTheWorker),
            Either::Left((Err(_panic), _)) => {
                self.board.panicked();
                failed("the handler panicked")
            }
            Either::Right(_) => failed("the handler took too long"),
        }
    }

    fn judged(
        &self,
        job: &InboundJob,
        route: &Route,
        (handled, completing): (Handled, Completing),
    ) -> InboundSettlement {
        let jitter = self.context.entropy.jitter();
        let schedule = self.schedule(route);
        let (fate, note) = verdict(handled, completing, job.attempt, schedule, self.now(), jitter);
        self.settlement(job, fate, note)
    }

    fn settlement(&self, job: &InboundJob, fate: InboundFate, note: Option<String>) -> InboundSettlement {
        let mut settlement = InboundSettlement::new(job, fate);
        settlement.note = note.map(Into::into);
        if let (InboundFate::Dead, Some(tenant)) = (fate, job.received.owner.tenant()) {
            let (kind, id) = (ActivityKind::ReceivedDead, job.received.id);
            let entry = self.context.activity_by_engine(tenant, kind, id, self.now());
            settlement.activity.push(entry.with_detail("source", job.received.source.to_string()));
        }
        settlement
    }

    fn schedule<'a>(&'a self, route: &'a Route) -> &'a Schedule {
        route.schedule().unwrap_or(&self.context.settings.retry)
    }
}

impl LaneWork for Handling {
    type Item = InboundJob;
    type Ticket = (Party, InboundJob);
    type Outcome = InboundSettlement;
    type Party = Party;

    async fn claim(&self, limit: usize, full: Vec<Party>) -> Result<Claims<InboundJob>> {
        self.compare_once().await?;
        let before = self.now();
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let claim =
            InboundClaim::new(before, self.context.settings.lease, limit).with_after(after).except(full);
        let claimed = self.context.store.claim_received(claim).await?;
        self.board.store_works();
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = claimed.after;
        self.correct(before, claimed.now);
        Ok(Claims { items: claimed.jobs, next_due: claimed.next_due })
    }

    fn ticket(&self, job: &InboundJob) -> (Party, InboundJob) {
        (job.received.party(), job.clone())
    }

    fn party<'t>(&self, ticket: &'t (Party, InboundJob)) -> &'t Party {
        &ticket.0
    }

    async fn work(&self, job: InboundJob) -> InboundSettlement {
        self.handle(&job).await
    }

    /// Not a handler, which is caught before: something around it, such as a clock of the host's.
    fn panicked(&self, (_, job): (Party, InboundJob)) -> InboundSettlement {
        self.board.panicked();
        let again = later(self.now(), self.context.settings.lease);
        InboundSettlement::new(&job, InboundFate::RetryAt(again))
    }

    fn abandoned(&self, (_, job): (Party, InboundJob)) -> InboundSettlement {
        // The handler may have done something: the attempt counts.
        InboundSettlement::new(&job, InboundFate::RetryAt(self.now()))
    }

    fn unbegun(&self, job: InboundJob) -> InboundSettlement {
        InboundSettlement::new(&job, InboundFate::Release(self.now()))
    }

    async fn settle(&self, results: &[InboundSettlement]) -> Result<Option<DateTime<Utc>>> {
        let settled = self.context.store.settle_received(results.to_vec(), self.now()).await?;
        let is_dead = |result: &&InboundSettlement| {
            result.fate == InboundFate::Dead && !settled.fenced.contains(&(result.id, result.token))
        };
        self.board.settled(results.len(), results.iter().filter(is_dead).count(), settled.fenced.len());
        Ok(None)
    }

    fn failed(&self, error: &Error) {
        self.board.store_failed(error, self.now());
    }
}
