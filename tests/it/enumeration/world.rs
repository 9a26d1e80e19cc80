//! One host and two workers, each a process of its own, on one store in virtual time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::activity::ActivityStore;
use crossdock::events::{EventCatalog, EventTypeSpec};
use crossdock::hub::Admin;
use crossdock::ports::{Clock, SealPlace, Sealed, Vault};
use crossdock::primitives::{EgressPolicy, Secret};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{ManualClock, SeededEntropy};
use crossdock::webhooks::{DeliveryQueue, WebhookRepository, Worker};
use crossdock::{Error, ErrorKind, Hub, LocalWake, Result};

use super::defects::Flaw;
use super::plan::{Fault, Faulty, Plan};
use super::receivers::Receivers;
use super::records::Records;
use crate::simulation::ledger::Ledger;
use crate::simulation::settings::settings;
use crate::simulation::watched::{Defect, Watched};

/// A store with nothing in it.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) queue: Arc<dyn DeliveryQueue>,
    pub(super) records: Arc<dyn WebhookRepository>,
    pub(super) log: Arc<dyn ActivityStore>,
    /// Its clock is the world's: a server's own may show another day.
    pub(super) begin: DateTime<Utc>,
}

pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) ledger: Ledger,
    pub(super) plan: Plan,
    pub(super) ground: Ground,
    pub(super) receivers: Receivers,
    entropy: Arc<SeededEntropy>,
    wake: Arc<LocalWake>,
    vault: Mutex<Arc<dyn Vault>>,
    queue: Arc<dyn DeliveryQueue>,
    records: Arc<dyn WebhookRepository>,
    flaw: Flaw,
    /// The host's, then the workers'.
    processes: Mutex<Vec<Hub>>,
}

const HOST: usize = 0;
const WORKERS: usize = 2;
pub(super) const MAX_ATTEMPTS: u32 = 4;

impl World {
    pub(super) fn new(ground: Ground, fault: Option<Fault>, flaw: Flaw) -> Self {
        let clock = ManualClock::starting_at(ground.begin);
        let ledger = Ledger::default();
        let plan = Plan::new(clock.clone(), fault);
        let defaults = (settings().max_in_flight, MAX_ATTEMPTS);
        let records: Arc<dyn WebhookRepository> =
            Arc::new(Records { inner: Arc::clone(&ground.records), ledger: ledger.clone(), defaults });
        let defect = if flaw == Flaw::NoFencing { Defect::NoFencing } else { Defect::None };
        let watched =
            Watched::new(Arc::clone(&ground.queue), Arc::clone(&ground.records), ledger.clone(), defect);
        let world = Self {
            receivers: Receivers::new(clock.clone(), ledger.clone()),
            clock,
            ledger,
            plan,
            ground,
            entropy: Arc::new(SeededEntropy::new(7)),
            wake: Arc::default(),
            vault: Mutex::new(Arc::new(Labels("2026-01"))),
            queue: Arc::new(watched),
            records,
            flaw,
            processes: Mutex::default(),
        };
        world.start_all();
        world
    }

    /// A process as it begins.
    fn start(&self, process: usize) -> Hub {
        let plan = &self.plan;
        let queue =
            Faulty { inner: Arc::clone(&self.queue), name: "DeliveryQueue", process, plan: plan.clone() };
        let records = Faulty {
            inner: Arc::clone(&self.records),
            name: "WebhookRepository",
            process,
            plan: plan.clone(),
        };
        let log = Faulty {
            inner: Arc::clone(&self.ground.log),
            name: "ActivityStore",
            process,
            plan: plan.clone(),
        };
        let vault =
            Faulty { inner: Arc::clone(&lock(&self.vault)), name: "Vault", process, plan: plan.clone() };
        Hub::builder()
            .store_parts(Arc::new(records), self.flaw.bend(Arc::new(queue), &self.queue), Arc::new(log))
            .events(
                EventCatalog::new().with(EventTypeSpec::new("thing.happened").example(serde_json::json!({}))),
            )
            .clock(self.clock.clone())
            .entropy(Arc::clone(&self.entropy))
            .wake(Arc::clone(&self.wake))
            .vault(vault)
            .transport(self.receivers.clone())
            .egress(EgressPolicy::default())
            .settings(settings())
            .publish_notices()
            .build()
            .expect("the hub of a world is well made")
    }

    /// Every process is started again with a newer key.
    pub(super) fn change_keys(&self) {
        *lock(&self.vault) = Arc::new(Labels("2026-07"));
        self.start_all();
    }

    fn start_all(&self) {
        *lock(&self.processes) = (HOST..=WORKERS).map(|process| self.start(process)).collect();
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The host does something, and tries again as long as it is not answered: hosts and people do.
    pub(super) async fn insist<T>(&self, act: impl AsyncFn(Hub) -> Result<T>) -> Result<T> {
        for _ in 0..TRIES {
            match self.try_once(&act).await {
                Err(error) if is_worth_a_try(&error) => self.clock.advance(Duration::from_secs(1)),
                answer => return answer,
            }
        }
        Err(Error::new(ErrorKind::Internal, "be answered, however often it was tried"))
    }

    /// The same for an administrator.
    pub(super) async fn administrate<T>(
        &self,
        tenant: &TenantId,
        act: impl AsyncFn(Admin) -> Result<T>,
    ) -> Result<T> {
        self.insist(async |hub: Hub| act(hub.admin(Actor::org_admin(tenant.clone(), "ada"))).await).await
    }

    async fn try_once<T>(&self, act: &impl AsyncFn(Hub) -> Result<T>) -> Result<T> {
        let hub = lock(&self.processes)[HOST].clone();
        let mut call = pin!(act(hub));
        let answer = poll_fn(|cx| {
            loop {
                if let Poll::Ready(answer) = call.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                if self.plan.has_died(HOST) {
                    return Poll::Ready(None);
                }
                if self.plan.is_busy() {
                    return Poll::Pending;
                }
                self.clock
                    .advance_to_next_sleeper()
                    .expect("whoever waits, waits for the store or the clock");
            }
        });
        match answer.await {
            Some(answer) => answer,
            None => {
                lock(&self.processes)[HOST] = self.start(HOST);
                Err(Error::new(ErrorKind::Unavailable, "live"))
            }
        }
    }

    /// One worker works until nothing is due within this time.
    pub(super) async fn work(&self, longest: Duration) {
        self.work_as(1, longest).await;
    }

    /// All workers do.
    pub(super) async fn work_together(&self, longest: Duration) {
        self.work_as(WORKERS, longest).await;
    }

    async fn work_as(&self, workers: usize, longest: Duration) {
        let end = self.now() + longest;
        loop {
            let run = |worker: Worker| async move { worker.run_until_idle().await };
            let due = self.run(workers, end, run, || false).await;
            match due.into_iter().flatten().min() {
                Some(at) if at <= end => self.clock.advance_to(at),
                _ => return,
            }
        }
    }

    /// The workers work until something holds, and are shut down in this moment, with little time left.
    pub(super) async fn work_until_shutdown(&self, when: impl Fn(&Plan, &Ledger) -> bool) {
        let stop = Arc::new(AtomicBool::new(false));
        let run = |worker: Worker| {
            let stop = Arc::clone(&stop);
            async move {
                let stopped =
                    poll_fn(|_| if stop.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending });
                worker.grace(Duration::from_secs(2)).run_until(stopped).await;
                None
            }
        };
        let end = self.now() + TimeDelta::minutes(5);
        self.run(WORKERS, end, run, || {
            let begins = !stop.load(Ordering::Relaxed) && when(&self.plan, &self.ledger);
            stop.fetch_or(begins, Ordering::Relaxed);
            begins
        })
        .await;
    }

    /// Polls all workers until they return or the time is over; one that dies is started again.
    async fn run<F: Future<Output = Option<DateTime<Utc>>> + Send + 'static>(
        &self,
        workers: usize,
        end: DateTime<Utc>,
        run: impl Fn(Worker) -> F,
        has_changed: impl Fn() -> bool,
    ) -> Vec<Option<DateTime<Utc>>> {
        type Turn = Pin<Box<dyn Future<Output = Option<DateTime<Utc>>> + Send>>;
        let start = |index: usize| -> Turn {
            let hub = lock(&self.processes)[index + 1].clone();
            Box::pin(run(hub.worker().runners(1).slots(16)))
        };
        let mut turns: Vec<Option<Turn>> = (0..workers).map(|index| Some(start(index))).collect();
        let mut due = vec![None; workers];
        let mut poll_all = |cx: &mut Context<'_>| {
            let mut died = false;
            let somebody_works = turns.iter().any(Option::is_some);
            for (index, place) in turns.iter_mut().enumerate() {
                // While others are still at work, such as on results that nobody takes, their leases may end.
                if place.is_none() && somebody_works && due[index].is_some_and(|at| at <= self.now()) {
                    *place = Some(start(index));
                }
                if let Some(turn) = place
                    && let Poll::Ready(next) = turn.as_mut().poll(cx)
                {
                    due[index] = next;
                    *place = None;
                }
                if self.plan.has_died(index + 1) {
                    lock(&self.processes)[index + 1] = self.start(index + 1);
                    *place = Some(start(index));
                    died = true;
                }
            }
            match died || has_changed() {
                true => None,
                false => Some(turns.iter().all(Option::is_none)),
            }
        };
        poll_fn(|cx| {
            loop {
                match poll_all(cx) {
                    None => continue,
                    Some(true) => return Poll::Ready(()),
                    Some(false) if self.plan.is_busy() => return Poll::Pending,
                    Some(false) => {}
                }
                // Whoever waits now, waits for the clock.
                if self.now() >= end || self.clock.advance_to_next_sleeper().is_none() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
        due
    }
}

/// Everything but a refusal for good; an error that says not to try again is tried again by people, later.
fn is_worth_a_try(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seals with no more than the name of a key: thousands of worlds seal thousands of secrets.
#[derive(Debug)]
struct Labels(&'static str);

#[async_trait]
impl Vault for Labels {
    async fn seal(&self, _place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        Ok(Sealed::new([self.0.as_bytes(), secret.expose()].concat()))
    }

    async fn open(&self, _place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        Ok(Secret::new(sealed.as_bytes()[self.0.len()..].to_vec()))
    }

    async fn is_current(&self, sealed: &Sealed) -> Result<bool> {
        Ok(sealed.as_bytes().starts_with(self.0.as_bytes()))
    }
}

/// More than any fault lasts.
const TRIES: usize = 100;
