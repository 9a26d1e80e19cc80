//! Which operation fails, and how; and the ports that fail by it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::ports::{Clock, SealPlace, Sealed, Vault};
use crossdock::primitives::Secret;
use crossdock::testing::ManualClock;
use crossdock::{Error, ErrorKind, Result};

use crate::relay::relay;
use crate::simulation::executor::yield_once;

/// The first thing that goes wrong, and perhaps a second one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// Which operation of all, from 1.
    pub(super) site: usize,
    pub(super) mode: Mode,
    pub(super) when: When,
    /// So many operations later another one fails, once.
    pub(super) again: Option<(usize, When)>,
}

/// What fails, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// This one call.
    Once,
    /// This one call, with an error that nobody is asked to try again.
    Refused,
    /// This call and all of its kind, for longer than a lease.
    Kind,
    /// This call and every other, for longer than a lease.
    Everything,
    /// This call never returns: its process dies in it.
    Death,
}

/// Whether the operation has had its effect when it fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    Before,
    After,
}

/// Longer than a lease, so that others take over.
const AWAY: TimeDelta = TimeDelta::seconds(45);

/// The operations of one world; a clone is the same plan.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    clock: ManualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    operations: usize,
    sites: BTreeMap<(&'static str, &'static str), usize>,
    under_way: Vec<&'static str>,
    hit: Option<Hit>,
    again_at: Option<(usize, When)>,
    dead: Option<usize>,
}

/// The fault as it came about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) port: &'static str,
    pub(super) step: &'static str,
    until: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Works,
    Fails(When, ErrorKind),
    Dies(When),
}

impl Plan {
    pub(super) fn new(clock: ManualClock, fault: Option<Fault>) -> Self {
        Self { clock, state: Arc::new(Mutex::new(State { fault, ..State::default() })) }
    }

    /// How many operations there were.
    pub(super) fn operations(&self) -> usize {
        self.state().operations
    }

    /// How many operations of each step of each port there were.
    pub(super) fn sites(&self) -> BTreeMap<(&'static str, &'static str), usize> {
        self.state().sites.clone()
    }

    /// Where the fault was, if the world came so far.
    pub(super) fn hit(&self) -> Option<Hit> {
        self.state().hit
    }

    /// Whether somebody waits for the store, and not for the clock.
    pub(super) fn is_busy(&self) -> bool {
        !self.state().under_way.is_empty()
    }

    pub(super) fn is_under_way(&self, step: &str) -> bool {
        self.state().under_way.contains(&step)
    }

    /// Whether this process has died since somebody asked last.
    pub(super) fn has_died(&self, process: usize) -> bool {
        self.state().dead.take_if(|dead| *dead == process).is_some()
    }

    fn judge(&self, process: usize, port: &'static str, step: &'static str) -> Verdict {
        let now = self.clock.now();
        let mut state = self.state();
        state.operations += 1;
        let number = state.operations;
        *state.sites.entry((port, step)).or_default() += 1;
        let Some(fault) = state.fault else { return Verdict::Works };
        let fails = |when| Verdict::Fails(when, ErrorKind::Unavailable);
        match state.hit {
            None if number == fault.site => {
                state.hit = Some(Hit { port, step, until: now + AWAY });
                state.again_at = fault.again.map(|(later, when)| (fault.site + later, when));
                match fault.mode {
                    Mode::Once | Mode::Kind | Mode::Everything => fails(fault.when),
                    Mode::Refused => Verdict::Fails(fault.when, ErrorKind::Internal),
                    Mode::Death => {
                        state.dead = Some(process);
                        Verdict::Dies(fault.when)
                    }
                }
            }
            Some(hit) if now < hit.until && fault.mode == Mode::Everything => fails(fault.when),
            Some(hit)
                if now < hit.until && fault.mode == Mode::Kind && (hit.port, hit.step) == (port, step) =>
            {
                fails(fault.when)
            }
            _ => match state.again_at.take_if(|(at, _)| *at == number) {
                Some((_, when)) => fails(when),
                None => Verdict::Works,
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process's way to a port.
#[derive(Debug)]
pub(super) struct Faulty<P: ?Sized> {
    pub(super) inner: Arc<P>,
    pub(super) name: &'static str,
    pub(super) process: usize,
    pub(super) plan: Plan,
}

/// Counts an operation as under way until it is dropped, which it also is when its process dies.
struct UnderWay<'a>(&'a Plan, &'static str);

impl<'a> UnderWay<'a> {
    fn new(plan: &'a Plan, step: &'static str) -> Self {
        plan.state().under_way.push(step);
        Self(plan, step)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(at) = state.under_way.iter().position(|step| *step == self.1) {
            state.under_way.swap_remove(at);
        }
    }
}

impl<P: ?Sized> Faulty<P> {
    async fn around<T>(&self, step: &'static str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let verdict = self.plan.judge(self.process, self.name, step);
        let failure = |kind| Error::new(kind, step).with_source("a planned fault");
        let under_way = UnderWay::new(&self.plan, step);
        // Everybody else has a chance in between.
        yield_once().await;
        match verdict {
            Verdict::Works => call.await,
            Verdict::Fails(When::Before, kind) => Err(failure(kind)),
            Verdict::Fails(When::After, kind) => {
                call.await?;
                Err(failure(kind))
            }
            Verdict::Dies(when) => {
                if when == When::After {
                    call.await?;
                }
                drop(under_way);
                pending().await
            }
        }
    }
}

relay! { DeliveryQueue for Faulty<dyn DeliveryQueue> }
relay! { WebhookRepository for Faulty<dyn WebhookRepository> }
relay! { ActivityStore for Faulty<dyn ActivityStore> }

#[async_trait]
impl Vault for Faulty<dyn Vault> {
    async fn seal(&self, place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        self.around("seal", self.inner.seal(place, secret)).await
    }

    async fn open(&self, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        self.around("open", self.inner.open(place, sealed)).await
    }

    async fn is_current(&self, sealed: &Sealed) -> Result<bool> {
        self.around("is_current", self.inner.is_current(sealed)).await
    }
}
