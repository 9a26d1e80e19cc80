//! One seeded world: several workers on one store, receivers that misbehave, and rules that hold after every step.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::Hub;
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::lanes::RateLimit;
use crossdock::ports::{Clock, EntropyExt};
use crossdock::primitives::{Backoff, DeliveryId, EgressPolicy, EventId, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::{ManualClock, SeededEntropy};
use crossdock::webhooks::sign::{SignatureScheme, SigningSecret};
use crossdock::webhooks::{
    Change, DeadReason, DeliveryFilter, DeliveryQueue, DeliveryStatus, DisableReason, Include, LaneStop,
    Ordered, Ordering, Release, Replay, ReplayFilter, RetryPolicy, Settings, StoppedHead, StoredSecret,
    Webhook, WebhookRepository, WebhookState,
};

use super::dice::Dice;
use super::executor::{Process, now};
use super::faults::{Fault, Faults};
use super::ledger::{Hook, LEASE, Ledger};
use super::receivers::{LossyWake, Receivers, ShakyVault, in_flight};
use super::rules;
use super::store::{FaultyStore, Phase};
use super::watched::{Defect, Watched};

/// Steps of a world before it calms down.
pub(super) const STEPS: u32 = 220;
const WORKERS: usize = 2;
const TENANTS: usize = 2;
const MAX_ATTEMPTS: u32 = 4;
/// More polls than any world has ever needed to come to rest.
const CALM_POLLS: u32 = 60_000;

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

    /// Two tenants with the same set of webhooks: an anchor, ordered ones, a small cap, a rate, a signed one.
    fn subscribe(&mut self) {
        for tenant in self.tenants.clone() {
            let ordered = |by, on_exhausted| Ordering::Ordered { by, on_exhausted };
            let cap = 1 + self.dice.below(3);
            let kinds: [(&str, Ordering, Option<u32>); 5] = [
                ("anchor", Ordering::Unordered, None),
                ("keyed", ordered(Ordered::ByKey, LaneStop::Skip), None),
                ("whole", ordered(Ordered::All, LaneStop::Stop), None),
                ("narrow", Ordering::Unordered, Some(cap)),
                ("slow", Ordering::Unordered, None),
            ];
            for (name, ordering, cap) in kinds {
                self.add_webhook(&tenant, name, ordering, cap);
            }
        }
    }

    fn add_webhook(&mut self, tenant: &TenantId, name: &str, ordering: Ordering, cap: Option<u32>) {
        let id = WebhookId::mint(self.clock.now(), self.entropy.bytes());
        let host = format!("{name}.{}.example.com", tenant.as_str().replace('_', "-"));
        let url = policy().parse(&format!("https://{host}/")).expect("a URL");
        let events = vec!["*".parse().expect("a pattern")];
        let mut webhook = Webhook::new(id, tenant.clone(), url, events, self.clock.now());
        webhook.ordering = ordering;
        webhook.max_in_flight = cap;
        if name == "slow" {
            webhook.rate_limit = Some(RateLimit::per_second(2.0).expect("a rate"));
        }
        if name == "narrow" {
            let secret = SigningSecret::generate(self.entropy.bytes()).to_bytes();
            let sealed = crossdock::ports::Sealed::new(secret.expose().to_vec());
            webhook.secrets = vec![StoredSecret::new(sealed, self.clock.now())];
            webhook.schemes = vec![SignatureScheme::Standard];
        }
        let hook = Hook {
            tenant: tenant.clone(),
            host,
            cap: cap.unwrap_or(settings().max_in_flight),
            max_attempts: MAX_ATTEMPTS,
            is_anchor: name == "anchor",
            ended_at: None,
            is_deleted: false,
        };
        self.ledger.books().webhooks.insert(id, hook);
        self.save(tenant, Change::Insert(webhook));
    }

    fn save(&self, tenant: &TenantId, change: Change) {
        // What is disabled or removed ends the deliveries whose lease is over by this time; a worker may settle with an earlier one.
        self.ledger.books().shown(self.clock.now());
        now(self.store.save(tenant, vec![change], Vec::new(), self.clock.now()))
            .expect("the memory store saves");
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

    fn administrate(&mut self) {
        let candidates: Vec<WebhookId> = {
            let books = self.ledger.books();
            let open = books.webhooks.iter().filter(|(_, hook)| !hook.is_anchor && !hook.is_deleted);
            open.map(|(id, _)| *id).collect()
        };
        let Some(&id) = self.dice.pick(&candidates) else { return };
        let tenant = self.ledger.books().webhooks[&id].tenant.clone();
        let Some(webhook) = now(self.store.webhook(&tenant, id)).expect("the memory store reads") else {
            return;
        };
        match self.dice.below(100) {
            0..25 => self.switch(&webhook, WebhookState::Paused, Some(Fault::Paused)),
            25..65 => self.switch(&webhook, WebhookState::Active, None),
            65..73 => {
                let reason = DisableReason::ByPerson;
                let state = WebhookState::Disabled { reason, at: self.clock.now() };
                self.switch(&webhook, state, Some(Fault::Disabled));
            }
            73..75 => {
                let mut books = self.ledger.books();
                books.fault(Fault::Deleted);
                books.ended(id, self.clock.now());
                if let Some(hook) = books.webhooks.get_mut(&id) {
                    hook.is_deleted = true;
                }
                drop(books);
                self.save(&tenant, Change::Remove { id, expected: webhook.version });
            }
            75..90 => self.resend(&tenant),
            _ => self.replay(&tenant, id),
        }
    }

    fn switch(&mut self, webhook: &Webhook, state: WebhookState, fault: Option<Fault>) {
        let mut changed = webhook.clone();
        changed.version = webhook.version.next();
        changed.state = state;
        {
            let mut books = self.ledger.books();
            if let Some(fault) = fault {
                books.fault(fault);
            }
            match state {
                WebhookState::Disabled { .. } => books.ended(webhook.id, self.clock.now()),
                _ => books.webhooks.get_mut(&webhook.id).expect("a known webhook").ended_at = None,
            }
        }
        self.paused.retain(|id| *id != webhook.id);
        if state == WebhookState::Paused {
            self.paused.push(webhook.id);
        }
        let change = Change::Replace { webhook: changed, expected: webhook.version, release: Release::Keep };
        self.save(&webhook.tenant, change);
    }

    fn resend(&mut self, tenant: &TenantId) {
        let page = now(self.store.deliveries(
            tenant,
            &DeliveryFilter::default(),
            Include::default(),
            PageRequest::first(20),
        ));
        let rows = page.expect("the memory store lists").items;
        let Some(row) = self.dice.pick(&rows) else { return };
        let id = DeliveryId::mint(self.clock.now(), self.entropy.bytes());
        let resent = now(self.store.resend(tenant, row.delivery.id, id, Vec::new(), self.clock.now()));
        if resent.is_ok() {
            self.ledger.books().fault(Fault::Resent);
        }
    }

    fn replay(&mut self, tenant: &TenantId, webhook: WebhookId) {
        let at = self.clock.now();
        let id = ReplayId::mint(at, self.entropy.bytes());
        let filter = ReplayFilter::undelivered(at - TimeDelta::hours(1), at);
        let replay = Replay::new(id, tenant.clone(), webhook, filter, 5, at);
        if now(self.store.start_replay(replay, Vec::new())).is_ok() {
            self.ledger.books().fault(Fault::Replayed);
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut books = self.ledger.books();
        if let Some(violation) = books.violation.take() {
            return Err(violation);
        }
        drop(books);
        // Rule 1, on one event a step: it waits to be fanned out, or its anchor has exactly one live delivery.
        match self.dice.pick(&self.published) {
            Some(&event) => self.is_accounted_for(event, |_| true),
            None => Ok(()),
        }
    }

    fn is_accounted_for(&self, event: EventId, holds: impl Fn(DeliveryStatus) -> bool) -> Result<(), String> {
        let (tenant, anchor) = {
            let books = self.ledger.books();
            let tenant = books.events[&event].tenant.clone();
            let anchor = books.webhooks.iter().find(|(_, hook)| hook.is_anchor && hook.tenant == tenant);
            (tenant, *anchor.expect("every tenant has an anchor").0)
        };
        let live =
            now(rules::live_deliveries(&self.store, &tenant, anchor, event)).expect("the memory store lists");
        match &live[..] {
            [delivery] if holds(delivery.status) => Ok(()),
            [] if self.is_in_outbox(event) => Ok(()),
            _ => Err(format!(
                "every accepted event is delivered, dead-lettered or recorded as skipped: {event} {live:?}"
            )),
        }
    }

    fn is_in_outbox(&self, event: EventId) -> bool {
        let outbox = now(self.store.outbox(usize::MAX, self.clock.now())).expect("the memory store reads");
        outbox.entries.iter().any(|(_, head)| head.id == event)
    }

    /// No more faults: whatever was accepted must now come to its end.
    fn calm_down(&mut self) -> Result<(), String> {
        self.ledger.books().calm = true;
        for id in std::mem::take(&mut self.paused) {
            let tenant = self.ledger.books().webhooks[&id].tenant.clone();
            if let Some(webhook) = now(self.store.webhook(&tenant, id)).expect("the memory store reads")
                && webhook.state == WebhookState::Paused
            {
                self.switch(&webhook, WebhookState::Active, None);
            }
        }
        for worker in &mut self.workers {
            worker.stalled_until = None;
        }
        for polls in 0.. {
            let ready: Vec<usize> =
                (0..self.workers.len()).filter(|&index| self.workers[index].process.is_ready()).collect();
            match self.dice.pick(&ready) {
                Some(&index) => self.workers[index].process.poll(),
                None => {
                    if self.is_at_rest() {
                        break;
                    }
                    self.release_stopped();
                    self.advance();
                }
            }
            self.check()?;
            if polls == CALM_POLLS {
                return Err("every accepted event comes to its end: something starves".to_owned());
            }
        }
        for &event in &self.published {
            self.is_accounted_for(event, |status| {
                status.is_final() && status != DeliveryStatus::DeadLetter(DeadReason::Expired)
            })?;
        }
        self.delivered_was_taken()
    }

    fn delivered_was_taken(&self) -> Result<(), String> {
        let mut tenants = self.tenants.iter();
        tenants.try_for_each(|tenant| now(rules::delivered_was_taken(&self.store, &self.ledger, tenant)))
    }

    fn is_at_rest(&self) -> bool {
        let present = self.clock.now();
        let outbox = now(self.store.outbox(1, present)).expect("the memory store reads");
        outbox.entries.is_empty()
            && self.tenants.iter().all(|tenant| {
                let backlog =
                    now(self.store.backlog(tenant, None, present)).expect("the memory store counts");
                backlog.undelivered == 0
            })
    }

    fn release_stopped(&self) {
        let hooks: Vec<(WebhookId, TenantId)> = {
            let books = self.ledger.books();
            books.webhooks.iter().map(|(id, hook)| (*id, hook.tenant.clone())).collect()
        };
        for (id, tenant) in hooks {
            let released =
                self.store.release_stopped(&tenant, id, StoppedHead::Skip, Vec::new(), self.clock.now());
            // A webhook that was deleted has nothing to release.
            let _ = now(released);
        }
    }
}

struct Parts<'a> {
    clock: &'a ManualClock,
    dice: &'a Dice,
    ledger: &'a Ledger,
    entropy: &'a Arc<SeededEntropy>,
    wake: &'a Arc<LossyWake<crossdock::LocalWake>>,
}

fn hub(parts: &Parts<'_>, store: FaultyStore, records: &MemoryStore) -> Hub {
    let receivers = Receivers {
        clock: parts.clock.clone(),
        ledger: parts.ledger.clone(),
        dice: parts.dice.clone(),
        phase: Arc::clone(&store.phase),
    };
    let vault = ShakyVault { ledger: parts.ledger.clone(), dice: parts.dice.clone() };
    Hub::builder()
        .store_parts(Arc::new(records.clone()), Arc::new(store), Arc::new(records.clone()))
        .events(EventCatalog::new().with(EventTypeSpec::new("thing.happened")))
        .clock(parts.clock.clone())
        .entropy(Arc::clone(parts.entropy))
        .wake(Arc::clone(parts.wake))
        .vault(vault)
        .transport(receivers)
        .egress(policy())
        .settings(settings())
        .build()
        .expect("the hub of a world is well made")
}

fn policy() -> EgressPolicy {
    EgressPolicy::default()
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.retry = RetryPolicy::after_seconds([1, 5, 20]);
    settings.lease = LEASE;
    settings.limits.total = Duration::from_secs(10);
    settings.circuit.open = Backoff::doubling(Duration::from_secs(2), Duration::from_secs(8));
    settings.circuit.ramp_step = Duration::from_secs(1);
    settings.auto_disable.without_success = Duration::from_secs(100_000_000);
    settings.max_age = Duration::from_secs(1_000 * 24 * 60 * 60);
    settings
}
