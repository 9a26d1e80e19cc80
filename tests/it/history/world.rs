//! Two stores in which the same things happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::{Event, EventHead};
use crossdock::lanes::{Brake, RateLimit};
use crossdock::ports::EntropyExt;
use crossdock::primitives::{AttemptId, DeliveryId, EgressPolicy, EventId, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::fan_out::fan_out;
use crossdock::webhooks::{
    Attempt, AttemptError, BrakeChange, Change, Claim, ClaimRequest, Claimed, DeadReason, DeliveryFilter,
    DeliveryQueue, DeliveryRecord, DisableReason, Fate, HealthChange, Include, Origin, Publication, Release,
    Replay, ReplayFilter, Retention, SettleBatch, Settlement, StatusKind, Version, Webhook,
    WebhookRepository, WebhookState,
};
use futures_util::FutureExt;

use super::reference::SimpleStore;
use super::steps::{Extras, FateKind, Settings, Step};

pub(super) const WEBHOOKS: usize = 4;
const LEASE: Duration = Duration::from_secs(60);
const REMEMBERED: Duration = Duration::from_secs(100);
const MANY: usize = 10_000;

pub(super) type Outcome = Result<(), String>;

pub(super) struct World {
    memory: MemoryStore,
    simple: SimpleStore,
    now: DateTime<Utc>,
    dice: SeededEntropy,
    tenants: [TenantId; 2],
    webhooks: Vec<Webhook>,
    /// Every claim that was ever given, with its twin.
    claims: Vec<(Claim, Claim)>,
    /// Those that are neither settled nor over.
    live: BTreeMap<DeliveryId, Claim>,
    accepted: BTreeSet<EventId>,
    fanned_out: BTreeSet<EventId>,
    /// Every delivery that fan-out has asked for.
    made: BTreeSet<DeliveryId>,
    replays: Vec<ReplayId>,
    /// What the last claim promised, as long as nothing else has happened since.
    promised: Option<Option<DateTime<Utc>>>,
    tidied: bool,
    erased: bool,
    broken: Outcome,
}

/// What a store shows, all of it.
#[derive(Debug, PartialEq)]
struct View {
    webhooks: Vec<Arc<Webhook>>,
    records: Vec<DeliveryRecord>,
    replays: Vec<Replay>,
    rest: Vec<String>,
    outbox: Vec<EventId>,
}

impl World {
    pub(super) fn new(settings: &[Settings]) -> Self {
        let mut world = Self {
            memory: MemoryStore::new(),
            simple: SimpleStore::default(),
            now: DateTime::from_timestamp(1_767_225_600, 0).expect("a time"),
            dice: SeededEntropy::new(1),
            tenants: ["acme", "other"].map(|name| name.parse().expect("a tenant")),
            webhooks: Vec::new(),
            claims: Vec::new(),
            live: BTreeMap::new(),
            accepted: BTreeSet::new(),
            fanned_out: BTreeSet::new(),
            made: BTreeSet::new(),
            replays: Vec::new(),
            promised: None,
            tidied: false,
            erased: false,
            broken: Ok(()),
        };
        for (index, settings) in settings.iter().enumerate() {
            let tenant = world.tenants[index % 2].clone();
            let url = EgressPolicy::default().parse("https://erp.example.com/hooks").expect("a URL");
            let id = WebhookId::mint(world.now, world.dice.bytes());
            let mut webhook = Webhook::new(id, tenant, url, vec!["*".parse().expect("a pattern")], world.now);
            webhook.max_in_flight = settings.cap;
            webhook.ordering = settings.ordering;
            webhook.rate_limit = settings.rate.map(|rate| {
                let limit = RateLimit::per_second(f64::from(rate) / 1_000.0).expect("a rate");
                limit.with_burst(2).expect("a burst")
            });
            world.save(Change::Insert(webhook.clone()));
            world.webhooks.push(webhook);
        }
        world
    }

    pub(super) fn take(&mut self, step: &Step) {
        let promised = self.promised.take();
        match step.clone() {
            Step::Publish { tenant, count, key, subject, order } => {
                self.publish(tenant, count, key, subject, order);
            }
            Step::FanOut { limit } => self.fan_out(limit),
            Step::Claim => self.claim_all(promised.flatten()),
            Step::ClaimExcept { tenant } => self.claim_except(tenant),
            Step::Settle { claim, fate, extras } => self.settle(claim, fate, &extras),
            Step::Pass { milliseconds } => {
                self.now += Duration::from_millis(milliseconds.into());
                self.promised = promised;
            }
            Step::PassUntilDue => self.pass_until_due(),
            Step::Pause { webhook } => self.switch(webhook, WebhookState::Paused, Release::Keep),
            Step::Resume { webhook } => self.switch(webhook, WebhookState::Active, Release::Release),
            Step::Disable { webhook } => {
                let state = WebhookState::Disabled { reason: DisableReason::ByPerson, at: self.now };
                self.switch(webhook, state, Release::Keep);
            }
            Step::Remove { webhook } => {
                let id = self.webhooks[webhook].id;
                if let Some(present) = self.present(webhook) {
                    self.save(Change::Remove { id, expected: present.version });
                }
            }
            Step::Recreate { webhook } => self.recreate(webhook),
            Step::Reorder { webhook, ordering } => {
                self.change(webhook, Release::Keep, |new| new.ordering = ordering)
            }
            Step::Resend { delivery } => self.resend(delivery),
            Step::Replay { webhook, per_second } => self.replay(webhook, per_second),
            Step::CancelReplay { replay } => {
                if let Some(&id) = self.replays.get(replay % self.replays.len().max(1)) {
                    for tenant in &self.tenants {
                        let memory = now(self.memory.cancel_replay(tenant, id, Vec::new(), self.now));
                        let simple = now(self.simple.cancel_replay(tenant, id, Vec::new(), self.now));
                        self.broken =
                            alike("cancel", &kind(&memory), &kind(&simple)).and(self.broken.clone());
                    }
                }
            }
            Step::AdvanceReplays { ids } => {
                let ids: Vec<_> = (0..ids).map(|_| self.delivery_id()).collect();
                let memory = now(self.memory.advance_replays(ids.clone(), self.now)).expect("an answer");
                let simple = now(self.simple.advance_replays(ids, self.now)).expect("an answer");
                self.agree("made", &memory.made, &simple.made);
                self.agree("completed", &memory.completed, &simple.completed);
            }
            Step::ReleaseStopped { webhook, head } => {
                let Webhook { id, tenant, .. } = self.webhooks[webhook].clone();
                let memory = now(self.memory.release_stopped(&tenant, id, head, Vec::new(), self.now));
                let simple = now(self.simple.release_stopped(&tenant, id, head, Vec::new(), self.now));
                self.agree("released", &kind(&memory), &kind(&simple));
            }
            Step::Erase { tenant, subject } => {
                let (tenant, subject) = (self.tenants[tenant].clone(), format!("person {subject}"));
                let memory = now(self.memory.erase_subject(&tenant, &subject, Vec::new(), self.now));
                let simple = now(self.simple.erase_subject(&tenant, &subject, Vec::new(), self.now));
                self.agree("erased", &kind(&memory), &kind(&simple));
                self.erased = true;
            }
            Step::Expire { seconds } => {
                let before = self.now - Duration::from_secs(seconds.into());
                let sorted = |mut expired: crossdock::webhooks::Expired| {
                    expired.deliveries.sort();
                    expired.deliveries
                };
                let memory = now(self.memory.expire(before, self.now, MANY)).expect("an answer");
                let simple = now(self.simple.expire(before, self.now, MANY)).expect("an answer");
                self.agree("expired", &sorted(memory), &sorted(simple));
            }
            Step::Tidy { seconds } => {
                let mut retention = Retention::default();
                retention.payloads = Duration::from_secs(u64::from(seconds) / 2);
                retention.history = Duration::from_secs(seconds.into());
                retention.idempotency_keys = REMEMBERED;
                now(self.memory.tidy(retention, self.now)).expect("an answer");
                now(self.simple.tidy(retention, self.now)).expect("an answer");
                self.tidied = true;
            }
        }
    }

    /// Whether both stores show the same, and what holds in any case.
    pub(super) fn check(&self) -> Outcome {
        self.broken.clone()?;
        let (memory, simple) = (self.view(&self.memory), self.view(&self.simple));
        alike("webhooks", &memory.webhooks, &simple.webhooks)?;
        alike("deliveries", &memory.records, &simple.records)?;
        alike("replays", &memory.replays, &simple.replays)?;
        alike("outbox", &memory.outbox, &simple.outbox)?;
        alike("the rest", &memory.rest, &simple.rest)?;
        self.nothing_is_lost(&memory)
    }

    /// Everything that waits can be brought to its end.
    pub(super) fn finish(&mut self) -> Outcome {
        for webhook in 0..WEBHOOKS {
            self.recreate(webhook);
            self.switch(webhook, WebhookState::Active, Release::Release);
            let Webhook { id, tenant, .. } = self.webhooks[webhook].clone();
            let head = crossdock::webhooks::StoppedHead::Retry;
            now(self.memory.release_stopped(&tenant, id, head, Vec::new(), self.now)).expect("an answer");
            now(self.simple.release_stopped(&tenant, id, head, Vec::new(), self.now)).expect("an answer");
        }
        self.fan_out(MANY);
        for _ in 0..2_000 {
            let begin = self.claims.len();
            self.claim_all(None);
            for claim in begin..self.claims.len() {
                self.settle(
                    claim,
                    FateKind::Delivered,
                    &Extras { pause: None, brake: None, disables: false },
                );
            }
            self.check()?;
            if self.claims.len() == begin {
                let Some(Some(next)) = self.promised else { break };
                self.now = next;
            }
        }
        // Leases of webhooks that are gone end by themselves; what they held is a chore's.
        self.now += LEASE;
        let long_ago = self.now - TimeDelta::days(1_000);
        now(self.memory.expire(long_ago, self.now, MANY)).expect("an answer");
        now(self.simple.expire(long_ago, self.now, MANY)).expect("an answer");
        self.check()?;
        let waiting = self.view(&self.memory).records;
        let waiting: Vec<_> = waiting
            .iter()
            .map(|record| &record.delivery)
            .filter(|delivery| !delivery.status.is_final())
            .collect();
        if waiting.is_empty() { Ok(()) } else { Err(format!("never came to an end: {waiting:?}")) }
    }

    fn publish(&mut self, tenant: usize, count: usize, key: Option<u8>, subject: Option<u8>, order: u8) {
        let publications: Vec<_> = (0..count)
            .map(|index| {
                let id = EventId::mint(self.now, self.dice.bytes());
                let event_type = "shipment.shipped".parse().expect("a type");
                let mut head = EventHead::new(id, self.tenants[tenant].clone(), event_type, self.now)
                    .with_ordering_key(format!("order {}", (usize::from(order) + index) % 3));
                head.subject = subject.map(|subject| format!("person {subject}").into());
                let digest = [key.unwrap_or(0) + order % 2; 32];
                let publication =
                    Publication::new(Arc::new(Event::new(head, format!("{{\"id\":\"{id}\"}}"))), digest);
                match key {
                    Some(key) => publication.with_idempotency_key(format!("key {key}")),
                    None => publication,
                }
            })
            .collect();
        let memory = now(self.memory.publish(publications.clone(), REMEMBERED, self.now));
        let simple = now(self.simple.publish(publications, REMEMBERED, self.now));
        self.agree("published", &kind(&memory), &kind(&simple));
        self.accepted
            .extend(memory.iter().flatten().filter(|answer| answer.fresh).map(|answer| answer.event));
    }

    fn fan_out(&mut self, limit: usize) {
        let memory = now(self.memory.outbox(limit, self.now)).expect("an outbox");
        let simple = now(self.simple.outbox(limit, self.now)).expect("an outbox");
        let (mut mine, mut twins) = (Vec::new(), Vec::new());
        for ((sequence, head), (twin, _)) in memory.entries.iter().zip(&simple.entries) {
            let webhooks = &memory.webhooks[&head.tenant];
            let wanted = fan_out(head, webhooks, || self.delivery_id());
            self.fanned_out.insert(head.id);
            self.made.extend(wanted.deliveries.iter().map(|new| new.id));
            self.made.extend(wanted.skips.iter().map(|skip| skip.id));
            mine.push((*sequence, wanted.clone()));
            twins.push((*twin, wanted));
        }
        let memory = now(self.memory.fan_out(mine, self.now)).expect("an answer");
        let simple = now(self.simple.fan_out(twins, self.now)).expect("an answer");
        self.agree("fanned out", &memory, &simple);
    }

    /// Claims all there is, so that no choice is left to the store.
    fn claim_all(&mut self, promised: Option<DateTime<Utc>>) {
        self.claim(ClaimRequest::new(self.now, LEASE, MANY), promised);
    }

    /// Claims all there is of the others; what is promised then says nothing about this tenant.
    fn claim_except(&mut self, tenant: usize) {
        let except = self.tenants[tenant].clone();
        let before = self.claims.len();
        self.claim(ClaimRequest::new(self.now, LEASE, MANY).except([except.clone()]), None);
        self.promised = None;
        if self.claims[before..].iter().any(|(claim, _)| claim.webhook.tenant == except) {
            self.broken = Err(format!("{except:?} was given something, which was not asked for"));
        }
    }

    fn claim(&mut self, request: ClaimRequest, promised: Option<DateTime<Utc>>) {
        let sorted = |mut claimed: Claimed| {
            claimed.claims.sort_by_key(|claim| claim.delivery);
            claimed
        };
        let memory = sorted(now(self.memory.claim(request.clone())).expect("an answer"));
        let simple = sorted(now(self.simple.claim(request)).expect("an answer"));
        let look = |claimed: &Claimed| -> Vec<_> {
            let look = |claim: &Claim| {
                let shown = (claim.delivery, claim.attempt, claim.origin, claim.lease.until, claim.brake);
                (shown, claim.event.payload.clone(), claim.webhook.version)
            };
            claimed.claims.iter().map(look).collect()
        };
        self.agree("claimed", &look(&memory), &look(&simple));
        if promised.is_some_and(|promised| self.now < promised) && !memory.claims.is_empty() {
            self.broken =
                Err(format!("something was due before {promised:?}, which was told as the next time"));
        }
        if memory.next_due.is_some_and(|next| next <= self.now) {
            self.broken = Err(format!("{:?} is not later than {}", memory.next_due, self.now));
        }
        self.promised = Some(memory.next_due);
        let given = self.claims.len();
        self.claims.extend(memory.claims.into_iter().zip(simple.claims));
        self.limits_hold(given);
    }

    fn pass_until_due(&mut self) {
        self.claim_all(None);
        let Some(Some(next)) = self.promised else { return };
        let before = self.claims.len();
        self.now = next;
        self.claim_all(None);
        // The lease of something that was erased meanwhile ends without anything to claim.
        if self.claims.len() == before && !self.erased {
            self.broken = Err(format!("nothing was due at {next}, which was told as the next time"));
        }
    }

    fn settle(&mut self, claim: usize, fate: FateKind, extras: &Extras) {
        let Some((memory, simple)) = self.claims.get(claim % self.claims.len().max(1)).cloned() else {
            return;
        };
        let later = |milliseconds: u32| self.now + TimeDelta::milliseconds(milliseconds.into());
        let fate = match fate {
            FateKind::Delivered => Fate::Delivered,
            FateKind::Retry(wait) => Fate::RetryAt(later(wait)),
            FateKind::DeadLetter => Fate::DeadLetter(DeadReason::Exhausted),
            FateKind::Stop => Fate::Stop,
            FateKind::Release(wait) => Fate::Release(later(wait)),
        };
        let mut attempt = Attempt::new(
            AttemptId::mint(self.now, self.dice.bytes()),
            memory.delivery,
            memory.attempt,
            self.now,
        );
        attempt.error = (fate != Fate::Delivered).then_some(AttemptError::Status(500));
        let health = match (fate, memory.origin) {
            (Fate::Delivered, Origin::Live) => HealthChange::Success,
            (Fate::RetryAt(_) | Fate::DeadLetter(_), Origin::Live) => {
                HealthChange::Failure { first: memory.attempt == 1 }
            }
            _ => HealthChange::None,
        };
        let result = |claim: &Claim| {
            let mut result = Settlement::new(claim, fate).with_attempt(attempt.clone());
            result.health = health;
            result.pause_until = extras.pause.map(later);
            result.brake = extras.brake.map(|open| {
                let brake = Brake::from_parts(Some(later(open)), Some(1), 1, None);
                BrakeChange::new(claim.brake_version, brake)
            });
            result.disable = extras.disables.then_some(DisableReason::Gone);
            [result]
        };
        let (mine, twin) = (result(&memory), result(&simple));
        let memory = now(self.memory.settle(SettleBatch::new(&mine), self.now)).expect("an answer");
        let simple = now(self.simple.settle(SettleBatch::new(&twin), self.now)).expect("an answer");
        if memory.fenced.is_empty() {
            self.live.remove(&mine[0].delivery);
        }
        self.agree("fenced", &memory.fenced.len(), &simple.fenced.len());
        self.agree("health", &format!("{:?}", memory.health), &format!("{:?}", simple.health));
    }

    fn resend(&mut self, delivery: usize) {
        let records = self.view(&self.memory).records;
        let Some(past) = records.get(delivery % records.len().max(1)).map(|record| &record.delivery) else {
            return;
        };
        let id = self.delivery_id();
        let memory = now(self.memory.resend(&past.tenant, past.id, id, Vec::new(), self.now));
        let simple = now(self.simple.resend(&past.tenant, past.id, id, Vec::new(), self.now));
        self.agree("resent", &kind(&memory), &kind(&simple));
    }

    fn replay(&mut self, webhook: usize, per_second: u32) {
        let Webhook { id: webhook, tenant, .. } = self.webhooks[webhook].clone();
        let id = ReplayId::mint(self.now, self.dice.bytes());
        let filter = ReplayFilter::undelivered(self.now - TimeDelta::days(1), self.now + TimeDelta::days(1))
            .with_statuses([StatusKind::DeadLetter, StatusKind::Skipped, StatusKind::Delivered]);
        let replay = Replay::new(id, tenant, webhook, filter, per_second, self.now);
        let memory = now(self.memory.start_replay(replay.clone(), Vec::new()));
        let simple = now(self.simple.start_replay(replay, Vec::new()));
        self.agree("started", &kind(&memory), &kind(&simple));
        self.replays.push(id);
    }

    fn switch(&mut self, webhook: usize, state: WebhookState, release: Release) {
        self.change(webhook, release, |new| new.state = state);
    }

    fn change(&mut self, webhook: usize, release: Release, change: impl FnOnce(&mut Webhook)) {
        let Some(present) = self.present(webhook) else { return };
        let mut changed = (*present).clone();
        change(&mut changed);
        changed.version = present.version.next();
        changed.updated_at = self.now;
        self.save(Change::Replace { webhook: changed, expected: present.version, release });
    }

    /// Makes a webhook again under a new id, if it was removed.
    fn recreate(&mut self, webhook: usize) {
        if self.present(webhook).is_none() {
            self.webhooks[webhook].id = WebhookId::mint(self.now, self.dice.bytes());
            self.save(Change::Insert(self.webhooks[webhook].clone()));
        }
    }

    fn present(&self, webhook: usize) -> Option<Arc<Webhook>> {
        let webhook = &self.webhooks[webhook];
        now(self.memory.webhook(&webhook.tenant, webhook.id)).expect("an answer")
    }

    fn save(&mut self, change: Change) {
        let tenant = match &change {
            Change::Insert(webhook) | Change::Replace { webhook, .. } => webhook.tenant.clone(),
            Change::Remove { id, .. } => {
                self.webhooks.iter().find(|webhook| webhook.id == *id).expect("a webhook").tenant.clone()
            }
            other => panic!("no history has {other:?}"),
        };
        let memory = now(self.memory.save(&tenant, vec![change.clone()], Vec::new(), self.now));
        let simple = now(self.simple.save(&tenant, vec![change], Vec::new(), self.now));
        self.agree("saved", &kind(&memory), &kind(&simple));
    }

    /// At most one live lease per delivery, no more per webhook than it allows, of an order at most one.
    fn limits_hold(&mut self, given: usize) {
        let now = self.now;
        self.live.retain(|_, claim| claim.lease.is_live(now));
        for (claim, _) in &self.claims[given..] {
            if let Some(other) = self.live.insert(claim.delivery, claim.clone()) {
                self.broken = Err(format!("two live leases: {other:?} and {claim:?}"));
            }
        }
        let mut in_flight: BTreeMap<WebhookId, Vec<&Claim>> = BTreeMap::new();
        self.live.values().for_each(|claim| in_flight.entry(claim.webhook.id).or_default().push(claim));
        for claims in in_flight.values() {
            let cap = claims[0].webhook.max_in_flight.unwrap_or(8) as usize;
            let replays = claims.iter().filter(|claim| claim.origin != Origin::Live).count();
            if claims.len() > cap || replays > 1 {
                self.broken =
                    Err(format!("{} in flight, {replays} of them replays: {claims:?}", claims.len()));
            }
            // A change of ordering holds for later deliveries: only webhooks that were never changed are judged.
            let unchanged = claims
                .iter()
                .filter(|claim| claim.origin == Origin::Live && claim.webhook.version == Version::FIRST);
            let orders: Vec<_> = unchanged
                .filter_map(|claim| claim.webhook.order_key(claim.event.ordering_key.as_deref()))
                .collect();
            if orders.iter().collect::<BTreeSet<_>>().len() < orders.len() {
                self.broken = Err(format!("two of one order in flight: {claims:?}"));
            }
        }
    }

    /// Every accepted event is in the outbox, or was fanned out; every delivery that was asked for is there, until retention
    /// takes it.
    fn nothing_is_lost(&self, view: &View) -> Outcome {
        let waiting = self.accepted.iter().filter(|event| !self.fanned_out.contains(event));
        if let Some(lost) = waiting.copied().find(|event| !view.outbox.contains(event)) {
            return Err(format!("{lost} is lost"));
        }
        let there: BTreeSet<_> = view.records.iter().map(|record| record.delivery.id).collect();
        match self.made.iter().find(|id| !there.contains(id)) {
            Some(lost) if !self.tidied => Err(format!("{lost} is lost")),
            _ => Ok(()),
        }
    }

    fn view(&self, store: &(impl WebhookRepository + DeliveryQueue)) -> View {
        let mut include = Include::default();
        (include.payload, include.attempts) = (true, true);
        let mut view = View {
            webhooks: Vec::new(),
            records: Vec::new(),
            replays: Vec::new(),
            rest: Vec::new(),
            outbox: Vec::new(),
        };
        for tenant in &self.tenants {
            let mut page = PageRequest::first(PageRequest::MAX);
            view.webhooks.extend(now(store.webhooks(tenant, page)).expect("webhooks").items);
            view.replays.extend(now(store.replays(tenant, page)).expect("replays").items);
            loop {
                let found = now(store.deliveries(tenant, &DeliveryFilter::default(), include, page));
                let found = found.expect("deliveries");
                view.records.extend(found.items);
                match found.next {
                    Some(next) => page = page.after(next),
                    None => break,
                }
            }
            view.rest.push(format!("{:?}", now(store.backlog(tenant, None, self.now)).expect("a backlog")));
        }
        for webhook in &self.webhooks {
            let (tenant, id) = (&webhook.tenant, webhook.id);
            view.rest
                .push(format!("{:?}", now(store.backlog(tenant, Some(id), self.now)).expect("a backlog")));
            view.rest.push(format!("{:?}", now(store.health(tenant, id)).expect("health")));
        }
        let outbox = now(store.outbox(MANY, self.now)).expect("an outbox");
        view.outbox = outbox.entries.iter().map(|(_, head)| head.id).collect();
        view
    }

    fn agree<T: Debug + PartialEq>(&mut self, what: &str, memory: &T, simple: &T) {
        if self.broken.is_ok() {
            self.broken = alike(what, memory, simple);
        }
    }

    fn delivery_id(&self) -> DeliveryId {
        DeliveryId::mint(self.now, self.dice.bytes())
    }
}

fn alike<T: Debug + PartialEq>(what: &str, memory: &T, simple: &T) -> Outcome {
    if memory == simple {
        return Ok(());
    }
    Err(format!("{what} differ\n  in memory: {memory:?}\n  reference: {simple:?}"))
}

fn kind<T: Debug>(answer: &crossdock::Result<T>) -> Result<String, crossdock::ErrorKind> {
    answer.as_ref().map(|value| format!("{value:?}")).map_err(crossdock::Error::kind)
}

/// Neither store ever waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("no wait")
}
