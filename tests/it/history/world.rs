//! Several stores in which the same things happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::events::{Event, EventHead};
use crossdock::lanes::{Brake, RateLimit};
use crossdock::ports::EntropyExt;
use crossdock::primitives::{AttemptId, DeliveryId, EgressPolicy, EventId, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::SeededEntropy;
use crossdock::testing::conformance::Stores;
use crossdock::webhooks::fan_out::fan_out;
use crossdock::webhooks::{
    Attempt, AttemptError, BrakeChange, Change, Claim, ClaimRequest, Claimed, DeadReason, DeliveryFilter,
    DeliveryRecord, DisableReason, Distribution, FanOut, Fate, HealthChange, Include, Origin, Publication,
    Release, Replay, ReplayFilter, Retention, SettleBatch, Settlement, StatusKind, StoppedHead, Version,
    Webhook, WebhookHealth, WebhookState,
};

use super::steps::{Extras, FateKind, Settings, Step};

pub(super) const WEBHOOKS: usize = 4;
const LEASE: Duration = Duration::from_secs(60);
const REMEMBERED: Duration = Duration::from_secs(100);
const MANY: usize = 10_000;

pub(super) type Outcome = Result<(), String>;

/// A store, and what is known of it. The first of a world is the reference.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) stores: Stores,
    /// Whether something can be claimed at the very time that it tells as the next one, if nothing was erased.
    pub(crate) is_exact: bool,
}

pub(super) struct World {
    kept: Vec<Kept>,
    now: DateTime<Utc>,
    dice: SeededEntropy,
    tenants: [TenantId; 2],
    webhooks: Vec<Webhook>,
    /// Every claim that was ever given, by each store.
    claims: Vec<Vec<Claim>>,
    /// Those that are neither settled nor over.
    live: BTreeMap<DeliveryId, Claim>,
    accepted: BTreeSet<EventId>,
    fanned_out: BTreeSet<EventId>,
    /// Every delivery that fan-out has asked for.
    made: BTreeSet<DeliveryId>,
    replays: Vec<ReplayId>,
    /// What each store promised at the last claim, as long as nothing else has happened since.
    promised: Vec<Option<DateTime<Utc>>>,
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
    /// When each webhook took something last.
    successes: Vec<Option<DateTime<Utc>>>,
    outbox: Vec<EventId>,
}

impl World {
    pub(super) async fn new(settings: &[Settings], kept: Vec<Kept>) -> Self {
        let mut world = Self {
            kept,
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
            promised: Vec::new(),
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
            world.save(Change::Insert(webhook.clone())).await;
            world.webhooks.push(webhook);
        }
        world
    }

    pub(super) async fn take(&mut self, step: &Step) {
        let promised = std::mem::take(&mut self.promised);
        let now = self.now;
        match step.clone() {
            Step::Publish { tenant, count, key, subject, order } => {
                self.publish(tenant, count, key, subject, order).await;
            }
            Step::FanOut { limit } => self.fan_out(limit).await,
            Step::Distribute { limit } => self.distribute(limit).await,
            Step::Claim => self.claim_all(&promised).await,
            Step::ClaimExcept { tenant } => self.claim_except(tenant).await,
            Step::Settle { claim, fate, extras } => self.settle(claim, fate, &extras).await,
            Step::Pass { milliseconds } => {
                self.now += Duration::from_millis(milliseconds.into());
                self.promised = promised;
            }
            Step::PassUntilDue => self.pass_until_due().await,
            Step::Pause { webhook } => self.switch(webhook, WebhookState::Paused, Release::Keep).await,
            Step::Resume { webhook } => self.switch(webhook, WebhookState::Active, Release::Release).await,
            Step::Disable { webhook } => {
                let state = WebhookState::Disabled { reason: DisableReason::ByPerson, at: now };
                self.switch(webhook, state, Release::Keep).await;
            }
            Step::Remove { webhook } => {
                let id = self.webhooks[webhook].id;
                if let Some(present) = self.present(webhook).await {
                    self.save(Change::Remove { id, expected: present.version }).await;
                }
            }
            Step::Recreate { webhook } => self.recreate(webhook).await,
            Step::Reorder { webhook, ordering } => {
                self.change(webhook, Release::Keep, |new| new.ordering = ordering).await;
            }
            Step::Resend { delivery } => self.resend(delivery).await,
            Step::Replay { webhook, per_second } => self.replay(webhook, per_second).await,
            Step::CancelReplay { replay } => {
                if let Some(&id) = self.replays.get(replay % self.replays.len().max(1)) {
                    for tenant in self.tenants.clone() {
                        self.alike("cancelled", async |store: &Stores| {
                            kind(&store.repository.cancel_replay(&tenant, id, Vec::new(), now).await)
                        })
                        .await;
                    }
                }
            }
            Step::AdvanceReplays { ids } => {
                let ids: Vec<_> = (0..ids).map(|_| self.delivery_id()).collect();
                self.alike("advanced", async |store: &Stores| {
                    let advanced = store.queue.advance_replays(ids.clone(), now).await.expect("an answer");
                    (advanced.made, advanced.completed)
                })
                .await;
            }
            Step::ReleaseStopped { webhook, head } => self.release_stopped(webhook, head).await,
            Step::Erase { tenant, subject } => {
                let (tenant, subject) = (self.tenants[tenant].clone(), format!("person {subject}"));
                self.alike("erased", async |store: &Stores| {
                    kind(&store.repository.erase_subject(&tenant, &subject, Vec::new(), now).await)
                })
                .await;
                self.erased = true;
            }
            Step::Expire { seconds } => self.expire(now - Duration::from_secs(seconds.into())).await,
            Step::Tidy { seconds } => {
                let mut retention = Retention::default();
                retention.payloads = Duration::from_secs(u64::from(seconds) / 2);
                retention.history = Duration::from_secs(seconds.into());
                retention.idempotency_keys = REMEMBERED;
                for kept in &self.kept {
                    kept.stores.queue.tidy(retention, now).await.expect("an answer");
                }
                self.tidied = true;
            }
        }
    }

    /// Whether all stores show the same, and what holds in any case.
    pub(super) async fn check(&self) -> Outcome {
        self.broken.clone()?;
        let mut views = Vec::new();
        for kept in &self.kept {
            views.push(self.view(&kept.stores).await);
        }
        for (kept, view) in self.kept.iter().zip(&views).skip(1) {
            let reference = &views[0];
            self.same("webhooks", kept, &view.webhooks, &reference.webhooks)?;
            self.same("deliveries", kept, &view.records, &reference.records)?;
            self.same("replays", kept, &view.replays, &reference.replays)?;
            self.same("outbox", kept, &view.outbox, &reference.outbox)?;
            self.same("the rest", kept, &view.rest, &reference.rest)?;
            let is_near =
                |(kept, exact): (&Option<DateTime<Utc>>, &Option<DateTime<Utc>>)| match (kept, exact) {
                    (Some(kept), Some(exact)) => kept <= exact && *exact - *kept < TimeDelta::seconds(1),
                    (kept, exact) => kept == exact,
                };
            if !view.successes.iter().zip(&reference.successes).all(is_near) {
                self.same("last successes", kept, &view.successes, &reference.successes)?;
            }
        }
        self.nothing_is_lost(&views[0])
    }

    /// Everything that waits can be brought to its end.
    pub(super) async fn finish(&mut self) -> Outcome {
        for webhook in 0..WEBHOOKS {
            self.recreate(webhook).await;
            self.switch(webhook, WebhookState::Active, Release::Release).await;
            self.release_stopped(webhook, StoppedHead::Retry).await;
        }
        self.fan_out(MANY).await;
        for _ in 0..2_000 {
            let begin = self.claims.len();
            self.claim_all(&[]).await;
            for claim in begin..self.claims.len() {
                let nothing = Extras { pause: None, brake: None, disables: false };
                self.settle(claim, FateKind::Delivered, &nothing).await;
            }
            self.check().await?;
            if self.claims.len() == begin {
                let Some(next) = self.next() else { break };
                self.now = rounded_up(next);
            }
        }
        // Leases of webhooks that are gone end by themselves; what they held is a chore's.
        self.now += LEASE;
        self.expire(self.now - TimeDelta::days(1_000)).await;
        self.check().await?;
        let waiting = self.view(&self.kept[0].stores).await.records;
        let waiting: Vec<_> = waiting
            .iter()
            .map(|record| &record.delivery)
            .filter(|delivery| !delivery.status.is_final())
            .collect();
        if waiting.is_empty() { Ok(()) } else { Err(format!("never came to an end: {waiting:?}")) }
    }

    async fn publish(
        &mut self,
        tenant: usize,
        count: usize,
        key: Option<u8>,
        subject: Option<u8>,
        order: u8,
    ) {
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
        let now = self.now;
        let mut answers = self
            .alike("published", async |store: &Stores| {
                store.queue.publish(publications.clone(), REMEMBERED, now).await.map_err(|error| error.kind())
            })
            .await;
        let fresh = answers.swap_remove(0).into_iter().flatten().filter(|answer| answer.fresh);
        self.accepted.extend(fresh.map(|answer| answer.event));
    }

    async fn fan_out(&mut self, limit: usize) {
        let mut counts = Vec::new();
        let now = self.now;
        let wanted = self.look(limit).await;
        for (kept, entries) in self.kept.iter().zip(wanted) {
            let entries = entries.into_iter().map(Distribution::without_event).collect();
            counts.push(kept.stores.queue.fan_out(entries, now).await.expect("an answer"));
        }
        self.agree("fanned out", &counts);
    }

    /// What is leased at once is what a claim of the same time would give.
    async fn distribute(&mut self, limit: usize) {
        let request = ClaimRequest::new(self.now, LEASE, MANY);
        let wanted = self.look(limit).await;
        let (mut counts, mut given) = (Vec::new(), Vec::new());
        for (kept, entries) in self.kept.iter().zip(wanted) {
            let queue = &kept.stores.queue;
            let made: BTreeSet<_> =
                entries.iter().flat_map(|entry| &entry.fan_out.deliveries).map(|new| new.id).collect();
            let distributed = queue.distribute(entries, request.clone()).await.expect("an answer");
            counts.push(distributed.taken);
            let mut claimed = queue.claim(request.clone()).await.expect("an answer");
            if distributed.next_due.is_some_and(|next| next > self.now)
                && let Some(claim) = claimed.claims.iter().find(|claim| made.contains(&claim.delivery))
            {
                self.broken = Err(format!("{} said that {} is not due yet", kept.name, claim.delivery));
            }
            claimed.claims.extend(distributed.claims);
            given.push(claimed);
        }
        self.agree("fanned out", &counts);
        self.given(given, &[]);
    }

    /// What stands in the outboxes, and what is to become of it.
    async fn look(&mut self, limit: usize) -> Vec<Vec<Distribution>> {
        let mut entries: Vec<Vec<_>> = Vec::new();
        let mut wanted: Vec<FanOut> = Vec::new();
        for kept in &self.kept {
            let outbox = kept.stores.queue.outbox(limit, self.now).await.expect("an outbox");
            if entries.is_empty() {
                wanted = outbox
                    .entries
                    .iter()
                    .map(|(_, head)| fan_out(head, &outbox.webhooks[&head.tenant], || self.delivery_id()))
                    .collect();
                self.fanned_out.extend(outbox.entries.iter().map(|(_, head)| head.id));
            }
            let found = outbox.entries.into_iter().zip(&wanted);
            let entry = found.map(|((place, head), wanted)| Distribution::new(place, head, wanted.clone()));
            entries.push(entry.collect());
        }
        for wanted in &wanted {
            self.made.extend(wanted.deliveries.iter().map(|new| new.id));
            self.made.extend(wanted.skips.iter().map(|skip| skip.id));
        }
        entries
    }

    /// Claims all there is, so that no choice is left to the stores.
    async fn claim_all(&mut self, promised: &[Option<DateTime<Utc>>]) {
        self.claim(ClaimRequest::new(self.now, LEASE, MANY), promised).await;
    }

    /// Claims all there is of the others; what is promised then says nothing about this tenant.
    async fn claim_except(&mut self, tenant: usize) {
        let except = self.tenants[tenant].clone();
        let before = self.claims.len();
        self.claim(ClaimRequest::new(self.now, LEASE, MANY).except([except.clone()]), &[]).await;
        self.promised = Vec::new();
        if self.claims[before..].iter().flatten().any(|claim| claim.webhook.tenant == except) {
            self.broken = Err(format!("{except:?} was given something, which was not asked for"));
        }
    }

    async fn claim(&mut self, request: ClaimRequest, promised: &[Option<DateTime<Utc>>]) {
        let mut given: Vec<Claimed> = Vec::new();
        for kept in &self.kept {
            given.push(kept.stores.queue.claim(request.clone()).await.expect("an answer"));
        }
        self.given(given, promised);
    }

    fn given(&mut self, mut given: Vec<Claimed>, promised: &[Option<DateTime<Utc>>]) {
        for claimed in &mut given {
            claimed.claims.sort_by_key(|claim| claim.delivery);
        }
        let look = |claimed: &Claimed| -> Vec<_> {
            let look = |claim: &Claim| {
                let shown = (claim.delivery, claim.attempt, claim.origin, claim.lease.until, claim.brake);
                (shown, claim.event.clone(), claim.webhook.version)
            };
            claimed.claims.iter().map(look).collect()
        };
        let shown: Vec<_> = given.iter().map(look).collect();
        self.agree("claimed", &shown);
        for (kept, (claimed, promised)) in self.kept.iter().zip(given.iter().zip(promised)) {
            if promised.is_some_and(|promised| self.now < promised) && !claimed.claims.is_empty() {
                let name = kept.name;
                self.broken = Err(format!("{name}: something was due before {promised:?}, the next time"));
            }
        }
        for (kept, claimed) in self.kept.iter().zip(&given) {
            if claimed.next_due.is_some_and(|next| next <= self.now) {
                let (name, next) = (kept.name, claimed.next_due);
                self.broken = Err(format!("{name}: {next:?} is not later than {}", self.now));
            }
        }
        self.promised = given.iter().map(|claimed| claimed.next_due).collect();
        let begin = self.claims.len();
        let count = given.iter().map(|claimed| claimed.claims.len()).min().unwrap_or(0);
        let mut claims: Vec<_> = given.into_iter().map(|claimed| claimed.claims.into_iter()).collect();
        for _ in 0..count {
            self.claims.push(claims.iter_mut().filter_map(Iterator::next).collect());
        }
        self.limits_hold(begin);
    }

    /// What the exact store says is the next time.
    fn next(&self) -> Option<DateTime<Utc>> {
        let exact = self.kept.iter().zip(&self.promised).find(|(kept, _)| kept.is_exact);
        exact.and_then(|(_, next)| *next)
    }

    async fn pass_until_due(&mut self) {
        self.claim_all(&[]).await;
        let Some(next) = self.next() else { return };
        let promised = std::mem::take(&mut self.promised);
        let before = self.claims.len();
        self.now = rounded_up(next);
        self.claim_all(&promised).await;
        // The lease of something that was erased meanwhile ends without anything to claim.
        if self.claims.len() == before && !self.erased {
            self.broken = Err(format!("nothing was due at {next}, which was told as the next time"));
        }
    }

    async fn expire(&mut self, before: DateTime<Utc>) {
        let now = self.now;
        self.alike("expired", async |store: &Stores| {
            let mut expired = store.queue.expire(before, now, MANY).await.expect("an answer").deliveries;
            expired.sort();
            expired
        })
        .await;
    }

    async fn release_stopped(&mut self, webhook: usize, head: StoppedHead) {
        let Webhook { id, tenant, .. } = self.webhooks[webhook].clone();
        let now = self.now;
        self.alike("released", async |store: &Stores| {
            kind(&store.repository.release_stopped(&tenant, id, head, Vec::new(), now).await)
        })
        .await;
    }

    async fn settle(&mut self, claim: usize, fate: FateKind, extras: &Extras) {
        let Some(twins) = self.claims.get(claim % self.claims.len().max(1)).cloned() else { return };
        let first = twins[0].clone();
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
            first.delivery,
            first.attempt,
            self.now,
        );
        attempt.error = (fate != Fate::Delivered).then_some(AttemptError::Status(500));
        let health = match (fate, first.origin) {
            (Fate::Delivered, Origin::Live) => HealthChange::Success,
            (Fate::RetryAt(_) | Fate::DeadLetter(_), Origin::Live) => {
                HealthChange::Failure { first: first.attempt == 1 }
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
        let mut answers = Vec::new();
        for (kept, claim) in self.kept.iter().zip(&twins) {
            let results = result(claim);
            let settled = kept.stores.queue.settle(SettleBatch::new(&results), self.now).await;
            let settled = settled.expect("an answer");
            let health = settled.health.into_iter();
            let health = health.map(|moved| (moved.webhook, well(moved.before), well(moved.after)));
            answers.push((settled.fenced.len(), health.collect::<Vec<_>>()));
        }
        if answers[0].0 == 0 {
            self.live.remove(&first.delivery);
        }
        self.agree("settled", &answers);
    }

    async fn resend(&mut self, delivery: usize) {
        let records = self.view(&self.kept[0].stores).await.records;
        let Some(past) = records.get(delivery % records.len().max(1)).map(|record| &record.delivery) else {
            return;
        };
        let (id, now) = (self.delivery_id(), self.now);
        self.alike("resent", async |store: &Stores| {
            kind(&store.repository.resend(&past.tenant, past.id, id, Vec::new(), now).await)
        })
        .await;
    }

    async fn replay(&mut self, webhook: usize, per_second: u32) {
        let Webhook { id: webhook, tenant, .. } = self.webhooks[webhook].clone();
        let id = ReplayId::mint(self.now, self.dice.bytes());
        let filter = ReplayFilter::undelivered(self.now - TimeDelta::days(1), self.now + TimeDelta::days(1))
            .with_statuses([StatusKind::DeadLetter, StatusKind::Skipped, StatusKind::Delivered]);
        let replay = Replay::new(id, tenant, webhook, filter, per_second, self.now);
        self.alike("started", async |store: &Stores| {
            kind(&store.repository.start_replay(replay.clone(), Vec::new()).await)
        })
        .await;
        self.replays.push(id);
    }

    async fn switch(&mut self, webhook: usize, state: WebhookState, release: Release) {
        self.change(webhook, release, |new| new.state = state).await;
    }

    async fn change(&mut self, webhook: usize, release: Release, change: impl FnOnce(&mut Webhook)) {
        let Some(present) = self.present(webhook).await else { return };
        let mut changed = (*present).clone();
        change(&mut changed);
        changed.version = present.version.next();
        changed.updated_at = self.now;
        self.save(Change::Replace { webhook: changed, expected: present.version, release }).await;
    }

    /// Makes a webhook again under a new id, if it was removed.
    async fn recreate(&mut self, webhook: usize) {
        if self.present(webhook).await.is_none() {
            self.webhooks[webhook].id = WebhookId::mint(self.now, self.dice.bytes());
            self.save(Change::Insert(self.webhooks[webhook].clone())).await;
        }
    }

    async fn present(&self, webhook: usize) -> Option<Arc<Webhook>> {
        let webhook = &self.webhooks[webhook];
        let repository = &self.kept[0].stores.repository;
        repository.webhook(&webhook.tenant, webhook.id).await.expect("an answer")
    }

    async fn save(&mut self, change: Change) {
        let tenant = match &change {
            Change::Insert(webhook) | Change::Replace { webhook, .. } => webhook.tenant.clone(),
            Change::Remove { id, .. } => {
                self.webhooks.iter().find(|webhook| webhook.id == *id).expect("a webhook").tenant.clone()
            }
            other => panic!("no history has {other:?}"),
        };
        let now = self.now;
        self.alike("saved", async |store: &Stores| {
            kind(&store.repository.save(&tenant, vec![change.clone()], Vec::new(), now).await)
        })
        .await;
    }

    /// At most one live lease per delivery, no more per webhook than it allows, of an order at most one.
    fn limits_hold(&mut self, given: usize) {
        let now = self.now;
        self.live.retain(|_, claim| claim.lease.is_live(now));
        for claim in self.claims[given..].iter().map(|twins| &twins[0]) {
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

    async fn view(&self, store: &Stores) -> View {
        let (repository, queue) = (&store.repository, &store.queue);
        let mut include = Include::default();
        (include.payload, include.attempts) = (true, true);
        let mut view = View {
            webhooks: Vec::new(),
            records: Vec::new(),
            replays: Vec::new(),
            rest: Vec::new(),
            successes: Vec::new(),
            outbox: Vec::new(),
        };
        for tenant in &self.tenants {
            let mut page = PageRequest::first(PageRequest::MAX);
            view.webhooks.extend(repository.webhooks(tenant, page).await.expect("webhooks").items);
            view.replays.extend(repository.replays(tenant, page).await.expect("replays").items);
            loop {
                let found = repository.deliveries(tenant, &DeliveryFilter::default(), include, page).await;
                let found = found.expect("deliveries");
                view.records.extend(found.items);
                match found.next {
                    Some(next) => page = page.after(next),
                    None => break,
                }
            }
            let backlog = repository.backlog(tenant, None, self.now).await.expect("a backlog");
            view.rest.push(format!("{backlog:?}"));
        }
        for webhook in &self.webhooks {
            let (tenant, id) = (&webhook.tenant, webhook.id);
            let backlog = repository.backlog(tenant, Some(id), self.now).await.expect("a backlog");
            view.rest.push(format!("{backlog:?}"));
            let health = repository.health(tenant, id).await.expect("health");
            view.successes.push(health.as_ref().and_then(|health| health.last_success_at));
            view.rest.push(format!("{:?}", health.map(well)));
        }
        let outbox = queue.outbox(MANY, self.now).await.expect("an outbox");
        view.outbox = outbox.entries.iter().map(|(_, head)| head.id).collect();
        view
    }

    /// Takes a step in every store; they must answer alike. Gives all answers.
    async fn alike<T: Debug + PartialEq>(&mut self, what: &str, step: impl AsyncFn(&Stores) -> T) -> Vec<T> {
        let mut answers = Vec::new();
        for kept in &self.kept {
            answers.push(step(&kept.stores).await);
        }
        self.agree(what, &answers);
        answers
    }

    fn agree<T: Debug + PartialEq>(&mut self, what: &str, answers: &[T]) {
        for (kept, answer) in self.kept.iter().zip(answers).skip(1) {
            if self.broken.is_ok() {
                self.broken = self.same(what, kept, answer, &answers[0]);
            }
        }
    }

    fn same<T: Debug + PartialEq>(&self, what: &str, kept: &Kept, found: &T, reference: &T) -> Outcome {
        if found == reference {
            return Ok(());
        }
        let (name, first) = (kept.name, self.kept[0].name);
        Err(format!("{what} differ\n  {name}: {found:?}\n  {first}: {reference:?}"))
    }

    fn delivery_id(&self) -> DeliveryId {
        DeliveryId::mint(self.now, self.dice.bytes())
    }
}

/// A webhook's health without the time of its last success, which a store notes to the second.
fn well(health: WebhookHealth) -> WebhookHealth {
    let mut health = health;
    health.last_success_at = health.last_success_at.map(|_| DateTime::UNIX_EPOCH);
    health
}

fn kind<T: Debug>(answer: &crossdock::Result<T>) -> Result<String, crossdock::ErrorKind> {
    answer.as_ref().map(|value| format!("{value:?}")).map_err(crossdock::Error::kind)
}

/// Stores keep times to the microsecond, and may give a token of a rate a microsecond later than it could be given (they round
/// up, each from the time at which it looked): a world that lives by finer times could not be compared, nor one that looks at the very
/// microsecond.
fn rounded_up(time: DateTime<Utc>) -> DateTime<Utc> {
    const STEP: u32 = 10_000;
    let beyond = time.timestamp_subsec_nanos() % STEP;
    time + TimeDelta::nanoseconds(i64::from(2 * STEP - beyond))
}
