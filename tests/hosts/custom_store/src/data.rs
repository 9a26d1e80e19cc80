//! What is kept, and the steps that several methods share.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use crossdock::activity::{Activity, ChainEnds, Link};
use crossdock::events::Event;
use crossdock::lanes::{Brake, Lease, TokenBucket};
use crossdock::primitives::{ActivityId, DeliveryId, EventId, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    Attempt, Delivery, DeliveryStatus, DisableReason, OrderKey, Origin, Replay, ReplayFilter, SkipReason,
    TenantDefaults, Webhook, WebhookHealth, WebhookState,
};
use crossdock::{Error, ErrorKind};

pub(crate) type Time = DateTime<Utc>;
/// A webhook's name, whole: another tenant's id is another name.
pub(crate) type Name = (TenantId, WebhookId);

/// What an idempotency key was used for: the event, the digest, and when.
pub type UsedFor = (EventId, [u8; 32], Time);

#[derive(Debug, Default)]
pub(crate) struct Data {
    pub hooks: BTreeMap<Name, Hook>,
    pub defaults: BTreeMap<TenantId, Arc<TenantDefaults>>,
    pub events: BTreeMap<EventId, StoredEvent>,
    pub outbox: BTreeMap<u64, EventId>,
    pub keys: BTreeMap<(TenantId, Arc<str>), UsedFor>,
    pub rows: BTreeMap<DeliveryId, Row>,
    pub replays: BTreeMap<ReplayId, Replay>,
    pub log: BTreeMap<(ActivityId, TenantId), Activity>,
    pub chains: BTreeMap<TenantId, Chain>,
    pub numbers: u64,
}

/// An entry's name, whole: another tenant's id is another name.
fn named(entry: &Activity) -> (ActivityId, TenantId) {
    (entry.id, entry.tenant.clone())
}

/// A tenant's administrative entries, by number.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub ends: ChainEnds,
    pub links: BTreeMap<(u64, ActivityId), Link>,
}

#[derive(Debug)]
pub(crate) struct Hook {
    pub webhook: Arc<Webhook>,
    pub health: WebhookHealth,
    pub held_until: Option<Time>,
    pub brake: Brake,
    pub brake_version: u64,
    pub bucket: Option<TokenBucket>,
    pub served: u64,
    pub replayed_last: bool,
}

#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub event: Arc<Event>,
    pub has_payload: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub delivery: Delivery,
    pub order: Option<OrderKey>,
    pub sequence: u64,
    pub due: Time,
    pub lease: Option<Lease>,
    pub log: Vec<Arc<Attempt>>,
}

impl Row {
    pub fn new(delivery: Delivery, order: Option<OrderKey>, sequence: u64) -> Self {
        Self { due: delivery.created_at, delivery, order, sequence, lease: None, log: Vec::new() }
    }

    pub fn name(&self) -> Name {
        (self.delivery.tenant.clone(), self.delivery.webhook)
    }

    pub fn waits(&self) -> bool {
        !self.delivery.status.is_final() && self.delivery.origin != Origin::Test
    }

    pub fn is_leased(&self, now: Time) -> bool {
        self.lease.is_some_and(|lease| lease.is_live(now))
    }

    pub fn is_replay(&self) -> bool {
        self.delivery.origin != Origin::Live
    }

    /// When somebody may claim it: a lease that ends makes it due.
    pub fn due_at(&self) -> Time {
        self.lease.map_or(self.due, |lease| lease.until)
    }

    pub fn wait_until(&mut self, due: Time, now: Time) {
        (self.due, self.lease) = (due, None);
        let delivery = &mut self.delivery;
        (delivery.status, delivery.updated_at, delivery.next_attempt_at) =
            (DeliveryStatus::Pending, now, Some(due));
    }

    /// Ends it, or lets it stand still.
    pub fn rest(&mut self, status: DeliveryStatus, now: Time) {
        self.lease = None;
        let delivery = &mut self.delivery;
        (delivery.status, delivery.updated_at, delivery.next_attempt_at) = (status, now, None);
    }
}

impl Hook {
    pub fn new(webhook: Webhook) -> Self {
        Self {
            webhook: Arc::new(webhook),
            health: WebhookHealth::default(),
            held_until: None,
            brake: Brake::RELEASED,
            brake_version: 0,
            bucket: None,
            served: 0,
            replayed_last: false,
        }
    }

    pub fn is_held(&self, now: Time) -> bool {
        self.brake.is_open(now) || self.held_until.is_some_and(|until| now < until)
    }
}

impl Data {
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub fn hook(&self, tenant: &TenantId, id: WebhookId) -> Option<&Hook> {
        self.hooks.get(&(tenant.clone(), id))
    }

    pub fn is_enabled(&self, name: &Name) -> bool {
        self.hooks.get(name).is_some_and(|hook| hook.webhook.is_enabled())
    }

    pub fn row(&self, tenant: &TenantId, id: DeliveryId) -> Option<&Row> {
        self.rows.get(&id).filter(|row| row.delivery.tenant == *tenant)
    }

    pub fn has_payload(&self, event: EventId) -> bool {
        self.events.get(&event).is_some_and(|stored| stored.has_payload)
    }

    pub fn note<'a>(&mut self, activity: impl IntoIterator<Item = &'a Activity>) {
        for entry in activity {
            if !self.log.contains_key(&named(entry)) && entry.is_administrative() {
                let chain = self.chains.entry(entry.tenant.clone()).or_default();
                let link = Link::behind(chain.ends.head, entry.digest());
                chain.ends.head = link.anchor();
                chain.links.insert((link.sequence, entry.id), link);
            }
            self.log.entry(named(entry)).or_insert_with(|| entry.clone());
        }
    }

    /// What the engine has done.
    pub fn note_unchained<'a>(&mut self, activity: impl IntoIterator<Item = &'a Activity>) {
        for entry in activity {
            self.log.entry(named(entry)).or_insert_with(|| entry.clone());
        }
    }

    /// Drops what is old: of a chain its beginning, so that it has no gaps.
    pub fn forget_log(&mut self, before: Time) {
        for (tenant, chain) in &mut self.chains {
            while let Some((&(sequence, id), link)) = chain.links.first_key_value() {
                let name = (id, tenant.clone());
                if self.log.get(&name).is_some_and(|entry| entry.at >= before) {
                    break;
                }
                chain.ends.base = link.anchor();
                self.log.remove(&name);
                chain.links.remove(&(sequence, id));
            }
        }
        let chains = &self.chains;
        let is_chained = |entry: &Activity| {
            let chain = chains.get(&entry.tenant);
            chain.is_some_and(|chain| chain.links.keys().any(|(_, id)| *id == entry.id))
        };
        self.log.retain(|_, entry| entry.at >= before || is_chained(entry));
    }

    /// Why a delivery of this webhook and event cannot wait, if it cannot.
    pub fn refusal(&self, name: &Name, event: EventId) -> Option<SkipReason> {
        match self.hooks.get(name) {
            None => Some(SkipReason::WebhookDeleted),
            Some(hook) if !hook.webhook.is_enabled() => Some(SkipReason::WebhookDisabled),
            Some(_) if !self.has_payload(event) => Some(SkipReason::Erased),
            Some(_) => None,
        }
    }

    /// Ends those of them that wait, are not claimed, and cannot wait any longer.
    pub fn skip_refused(&mut self, now: Time, which: impl Fn(&Row) -> bool) -> u64 {
        self.skip(now, |data, row| data.refusal(&row.name(), row.delivery.event).filter(|_| which(row)))
    }

    /// Ends what waits, is not claimed, and has a reason to; says how many there were.
    pub fn skip(&mut self, now: Time, why: impl Fn(&Self, &Row) -> Option<SkipReason>) -> u64 {
        let waiting = self.rows.values().filter(|row| row.waits() && !row.is_leased(now));
        let skipped: Vec<_> = waiting.filter_map(|row| Some((row.delivery.id, why(self, row)?))).collect();
        for (id, reason) in &skipped {
            if let Some(row) = self.rows.get_mut(id) {
                row.rest(DeliveryStatus::Skipped(*reason), now);
            }
        }
        skipped.len() as u64
    }

    pub fn disable(&mut self, name: &Name, reason: DisableReason, now: Time) -> bool {
        let Some(hook) = self.hooks.get_mut(name).filter(|hook| hook.webhook.is_enabled()) else {
            return false;
        };
        let webhook = Arc::make_mut(&mut hook.webhook);
        webhook.state = WebhookState::Disabled { reason, at: now };
        (webhook.version, webhook.updated_at) = (webhook.version.next(), now);
        self.skip_refused(now, |row| row.name() == *name);
        true
    }

    /// Drops a payload, and what attempts have logged about it.
    pub fn drop_payload(&mut self, id: EventId) {
        if let Some(stored) = self.events.get_mut(&id) {
            stored.has_payload = false;
            Arc::make_mut(&mut stored.event).payload = Bytes::new();
        }
        for row in self.rows.values_mut().filter(|row| row.delivery.event == id) {
            row.log.iter_mut().for_each(forget_contents);
        }
    }

    /// Which deliveries a replay sends once more, oldest first.
    pub fn replayed(
        &self,
        name: &Name,
        filter: &ReplayFilter,
        behind: Option<DeliveryId>,
    ) -> Vec<DeliveryId> {
        let rows = self.rows.values().filter(|row| row.name() == *name && filter.matches(&row.delivery));
        let rows = rows.filter(|row| self.has_payload(row.delivery.event));
        rows.map(|row| row.delivery.id).filter(|id| behind.is_none_or(|behind| behind < *id)).collect()
    }

    /// Makes a delivery of the same event in the replay lane.
    pub fn send_again(&mut self, past: &Delivery, id: DeliveryId, origin: Origin, now: Time) -> Delivery {
        let (tenant, event_type) = (past.tenant.clone(), past.event_type.clone());
        let again = Delivery::new(id, tenant, past.webhook, past.event, event_type, origin, now);
        let sequence = self.number();
        self.rows.insert(id, Row::new(again.clone(), None, sequence));
        again
    }
}

/// Forgets what an attempt has logged of request and answer.
pub(crate) fn forget_contents(attempt: &mut Arc<Attempt>) {
    let attempt = Arc::make_mut(attempt);
    attempt.request_headers = Default::default();
    attempt.response_headers = Default::default();
    attempt.response_body.clear();
}

pub(crate) fn error(kind: ErrorKind, step: &'static str) -> Error {
    Error::new(kind, step)
}
