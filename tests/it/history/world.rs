//! Several stores in which the same things happen.

mod queue;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::events::{Event, EventHead};
use crossdock::lanes::RateLimit;
use crossdock::ports::EntropyExt;
use crossdock::primitives::{DeliveryId, EgressPolicy, EventId, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::SeededEntropy;
use crossdock::testing::conformance::Stores;
use crossdock::webhooks::{
    Change, Claim, DisableReason, Publication, Release, Replay, ReplayFilter, Retention, StatusKind,
    StoppedHead, Webhook, WebhookState,
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
