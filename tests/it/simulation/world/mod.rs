//! One seeded world: several workers on one store, receivers that misbehave, and rules that hold after every step.
//!
//! | file | holds |
//! |---|---|
//! | `administration` | webhooks that are added, switched and removed; resends and replays |
//! | `calm` | what must hold after every step, and when all has come to rest |
//! | `hub` | a hub whose store, receivers and vault fail |

mod administration;
mod calm;
mod hub;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::Hub;
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::NewEvent;
use crossdock::ports::Clock;
use crossdock::primitives::{EventId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::{ManualClock, SeededEntropy};

use self::hub::{Parts, hub};
use super::dice::Dice;
use super::executor::{Process, now};
use super::faults::{Fault, Faults};
use super::ledger::{LEASE, Ledger};
use super::receivers::{LossyWake, in_flight};
use super::store::{FaultyStore, Phase};
use super::watched::{Defect, Watched};

pub(super) struct World {
    clock: ManualClock,
    dice: Dice,
    entropy: Arc<SeededEntropy>,
    store: MemoryStore,
    ledger: Ledger,
    watched: Watched,
    wake: Arc<LossyWake<crossdock::LocalWake>>,
    tenants: Vec<TenantId>,
    workers: Vec<Worker>,
    publisher: Hub,
    published: Vec<EventId>,
    paused: Vec<WebhookId>,
}

struct Worker {
    process: Process,
    phase: Arc<Phase>,
    stalled_until: Option<DateTime<Utc>>,
}

/// What a world that kept all rules has seen.
pub(super) struct Seen {
    pub(super) faults: Faults,
    pub(super) events: u64,
    pub(super) duplicates: u64,
}

/// Plays one world to its end.
pub(super) fn play(seed: u64, defect: Defect) -> Result<Seen, String> {
    let mut world = World::new(seed, defect);
    for _ in 0..STEPS {
        world.step();
        world.check()?;
    }
    world.calm_down()?;
    let books = world.ledger.books();
    Ok(Seen {
        faults: books.faults.clone(),
        events: world.published.len() as u64,
        duplicates: books.duplicates,
    })
}

impl World {
    fn new(seed: u64, defect: Defect) -> Self {
        let (clock, dice, ledger) = (ManualClock::new(), Dice::new(seed), Ledger::default());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let store = MemoryStore::new();
        let wake =
            LossyWake { inner: crossdock::LocalWake::default(), ledger: ledger.clone(), dice: dice.clone() };
        let tenants: Vec<TenantId> =
            (0..TENANTS).map(|number| format!("tenant_{number}").parse().expect("a tenant id")).collect();
        let wake = Arc::new(wake);
        let watched = Watched::new(Arc::new(store.clone()), Arc::new(store.clone()), ledger.clone(), defect);
        let mut world = Self {
            publisher: hub(
                &Parts { clock: &clock, dice: &dice, ledger: &ledger, entropy: &entropy, wake: &wake },
                FaultyStore {
                    inner: watched.clone(),
                    ledger: ledger.clone(),
                    dice: dice.clone(),
                    phase: Arc::default(),
                    may_panic: false,
                },
                &store,
            ),
            clock,
            dice,
            entropy,
            store,
            watched,
            ledger,
            wake,
            tenants,
            workers: Vec::new(),
            published: Vec::new(),
            paused: Vec::new(),
        };
        world.subscribe();
        for _ in 0..WORKERS {
            let worker = world.start_worker();
            world.workers.push(worker);
        }
        world
    }

    fn start_worker(&self) -> Worker {
        let phase = Arc::<Phase>::default();
        let parts = Parts {
            clock: &self.clock,
            dice: &self.dice,
            ledger: &self.ledger,
            entropy: &self.entropy,
            wake: &self.wake,
        };
        let store = FaultyStore {
            inner: self.watched.clone(),
            ledger: self.ledger.clone(),
            dice: self.dice.clone(),
            phase: Arc::clone(&phase),
            may_panic: true,
        };
        let worker = hub(&parts, store, &self.store).worker().runners(1).slots(16);
        let process = Process::new(async move { worker.run_until(std::future::pending()).await });
        Worker { process, phase, stalled_until: None }
    }

    fn step(&mut self) {
        match self.dice.below(1_000) {
            0..170 => self.publish(),
            170..200 => self.crash(),
            200..207 => self.stall(),
            207..240 => self.administrate(),
            240..250 => {
                self.ledger.books().fault(Fault::TimeJump);
                self.clock.advance(Duration::from_millis(u64::from(self.dice.below(90_000))));
            }
            250..330 => self.advance(),
            _ => self.poll_somebody(),
        }
    }

    fn poll_somebody(&mut self) {
        let present = self.clock.now();
        let ready: Vec<usize> = (0..self.workers.len())
            .filter(|&index| {
                let worker = &self.workers[index];
                worker.process.is_ready() && worker.stalled_until.is_none_or(|until| until <= present)
            })
            .collect();
        match self.dice.pick(&ready) {
            Some(&index) => self.workers[index].process.poll(),
            None => self.advance(),
        }
    }

    fn advance(&self) {
        if self.clock.advance_to_next_sleeper().is_none() {
            self.clock.advance(Duration::from_secs(1));
        }
    }

    fn publish(&mut self) {
        let tenant = self.dice.pick(&self.tenants).expect("a tenant").clone();
        let number = self.published.len();
        let mut event = NewEvent::new(tenant.clone(), "thing.happened", &serde_json::json!({ "n": number }))
            .expect("JSON");
        event = event.with_idempotency_key(format!("n-{number}"));
        if self.dice.per_mille(700) {
            event = event.with_ordering_key(format!("key-{}", self.dice.below(3)));
        }
        // A host that hears no answer asks again under the same key.
        for _ in 0..100 {
            if let Ok(published) = now(self.publisher.publish(event.clone())) {
                self.published.push(published.event);
                return;
            }
        }
        panic!("the store failed a hundred times in a row");
    }

    fn crash(&mut self) {
        let index = self.dice.below(self.workers.len() as u32) as usize;
        let phase = &self.workers[index].phase;
        let fault = if phase.before_write.load(Relaxed) > 0 {
            Fault::CrashBeforeWrite
        } else if phase.after_write.load(Relaxed) > 0 {
            Fault::CrashAfterWrite
        } else if in_flight(phase) > 0 {
            Fault::CrashInFlight
        } else {
            Fault::CrashIdle
        };
        self.ledger.books().fault(fault);
        self.workers[index] = self.start_worker();
    }

    fn stall(&mut self) {
        let index = self.dice.below(self.workers.len() as u32) as usize;
        if in_flight(&self.workers[index].phase) > 0 {
            self.ledger.books().fault(Fault::StallPastLease);
        }
        let until = self.clock.now() + LEASE + TimeDelta::milliseconds(i64::from(self.dice.below(5_000)) + 1);
        self.workers[index].stalled_until = Some(until);
        self.clock.advance(Duration::from_secs(u64::from(self.dice.below(40))));
    }
}

/// Steps of a world before it calms down.
const STEPS: u32 = 220;
const WORKERS: usize = 2;
const TENANTS: usize = 2;
