//! Everything the store knows, and how rows come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::adapters::memory::activity::{Chain, Logged};
use crate::adapters::memory::fair::Fair;
use crate::adapters::memory::group::{Caps, Group};
use crate::adapters::memory::id_map::IdMap;
use crate::adapters::memory::inbound::Inbound;
use crate::adapters::memory::keys::Keys;
use crate::adapters::memory::slab::{Slab, Slot};
use crate::events::model::Event;
use crate::lanes::lease::LeaseToken;
use crate::primitives::id::{ActivityId, DeliveryId, EventId, ReplayId, WebhookId};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{
    Attempt, Delivery, DeliveryStatus, OrderKey, Origin, Replay, TenantDefaults, Webhook,
};

/// Everything the store knows. The hash maps are only ever asked for one key: no order comes from them.
pub(super) struct State {
    pub(super) tenants: Slab<Tenant>,
    pub(super) tenant_by_id: HashMap<TenantId, Slot<Tenant>>,
    pub(super) events: Slab<EventRow>,
    pub(super) event_by_id: IdMap<EventId, Slot<EventRow>>,
    pub(super) rows: Slab<Row>,
    pub(super) row_by_id: IdMap<DeliveryId, Slot<Row>>,
    pub(super) groups: Slab<Group>,
    /// From `outbox_begin` on, one entry per sequence number; `None` where it was fanned out already.
    pub(super) outbox: VecDeque<Option<OutboxEntry>>,
    pub(super) outbox_begin: u64,
    /// By their time, then in the order in which they came.
    pub(super) keys_by_age: BTreeMap<(DateTime<Utc>, u64), KeyPlace>,
    pub(super) replays: BTreeMap<ReplayId, Replay>,
    pub(super) running_replays: BTreeSet<ReplayId>,
    /// Counts what has ended.
    pub(super) history: Fair,
    /// Counts the entries of the activity log.
    pub(super) logged: Fair,
    /// Tenants with a group that has work now, in the order in which claims go round.
    pub(super) ready: BTreeMap<TenantId, Slot<Tenant>>,
    /// Groups that will have work, by the time of it.
    pub(super) timers: BTreeSet<(DateTime<Utc>, Slot<Group>)>,
    /// Groups whose turn must be thought over.
    pub(super) touched: Vec<Slot<Group>>,
    pub(super) caps: Caps,
    pub(super) counter: u64,
    /// What nobody needs any more: dropped when the lock is free again, because it is much and lies far apart.
    pub(super) forgotten: Forgotten,
    pub(super) oldest: Oldest,
    /// When leases ended that were claimed anew, as long as anybody may ask for them.
    pub(super) lapses: VecDeque<DateTime<Utc>>,
    pub(super) keys: Keys,
    pub(super) inbound: Inbound,
}

/// Nothing is older than this: retention need not look before then.
#[derive(Clone, Copy)]
pub(super) struct Oldest {
    /// Deliveries and events.
    pub(super) row: DateTime<Utc>,
    /// Events that have their payload.
    pub(super) payload: DateTime<Utc>,
}

/// What was kept about deliveries and events.
#[derive(Default)]
pub(super) struct Forgotten {
    pub(super) logs: Vec<Vec<Arc<Attempt>>>,
    pub(super) events: Vec<Arc<Event>>,
}

pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) defaults: Arc<TenantDefaults>,
    /// Groups of webhooks that exist, or did and still have deliveries.
    pub(super) groups: BTreeMap<WebhookId, Slot<Group>>,
    /// The webhooks that exist, in the order of creation; `None` after a change.
    pub(super) listed: Option<Arc<[Arc<Webhook>]>>,
    pub(super) rows: BTreeMap<DeliveryId, Slot<Row>>,
    pub(super) keys: HashMap<Arc<str>, Key>,
    pub(super) subjects: HashMap<Arc<str>, BTreeSet<Slot<EventRow>>>,
    pub(super) replays: BTreeSet<ReplayId>,
    pub(super) activity: BTreeMap<ActivityId, Logged>,
    pub(super) chain: Chain,
    /// What has ended, in that order: the front goes first when there is too much.
    pub(super) ended: VecDeque<Ended>,
    /// Groups with work now, the least recently served first.
    pub(super) ready: BTreeSet<(u64, Slot<Group>)>,
}

/// What an idempotency key was used for.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) event: EventId,
    pub(super) digest: [u8; 32],
    pub(super) at: DateTime<Utc>,
    pub(super) serial: u64,
}

/// Where an idempotency key is kept.
pub(super) struct KeyPlace {
    pub(super) tenant: Slot<Tenant>,
    pub(super) key: Arc<str>,
}

pub(super) struct OutboxEntry {
    pub(super) event: Slot<EventRow>,
    pub(super) tenant: Slot<Tenant>,
}

pub(super) struct EventRow {
    pub(super) event: Arc<Event>,
    pub(super) tenant: Slot<Tenant>,
    pub(super) in_outbox: bool,
    /// Whether the payload is there, or was erased or dropped.
    pub(super) has_payload: bool,
    /// The newest delivery of the event; the others hang behind it.
    pub(super) deliveries: Option<Slot<Row>>,
}

pub(super) struct Row {
    pub(super) delivery: Delivery,
    pub(super) event: Slot<EventRow>,
    pub(super) group: Slot<Group>,
    pub(super) tenant: Slot<Tenant>,
    pub(super) order: Option<OrderKey>,
    /// The place in its order.
    pub(super) sequence: u64,
    /// Breaks ties between equal due times.
    pub(super) arrival: u64,
    pub(super) due: DateTime<Utc>,
    pub(super) place: Place,
    /// Outlives the lease: a late result counts as long as nobody else has claimed.
    pub(super) token: Option<LeaseToken>,
    pub(super) log: Vec<Arc<Attempt>>,
    pub(super) newer: Option<Slot<Row>>,
    pub(super) older: Option<Slot<Row>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Waiting,
    Leased(DateTime<Utc>),
    Stopped,
    Ended,
}

pub(super) enum Ended {
    Delivery(DeliveryId),
    /// An event that nobody wanted.
    Event(EventId),
    Replay(ReplayId),
}

impl State {
    pub(super) fn new(history: usize, activity: usize) -> Self {
        Self {
            tenants: Slab::default(),
            tenant_by_id: HashMap::new(),
            events: Slab::default(),
            event_by_id: IdMap::default(),
            rows: Slab::default(),
            row_by_id: IdMap::default(),
            groups: Slab::default(),
            outbox: VecDeque::new(),
            outbox_begin: 1,
            keys_by_age: BTreeMap::new(),
            replays: BTreeMap::new(),
            running_replays: BTreeSet::new(),
            history: Fair::new(history),
            logged: Fair::new(activity),
            ready: BTreeMap::new(),
            timers: BTreeSet::new(),
            touched: Vec::new(),
            caps: Caps::default(),
            counter: 0,
            forgotten: Forgotten::default(),
            oldest: Oldest { row: DateTime::<Utc>::MAX_UTC, payload: DateTime::<Utc>::MAX_UTC },
            lapses: VecDeque::new(),
            keys: Keys::default(),
            inbound: Inbound::default(),
        }
    }

    /// A number that was never given before.
    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The tenant's slot; makes one for a tenant that writes for the first time.
    pub(super) fn tenant_slot(&mut self, id: &TenantId) -> Slot<Tenant> {
        if let Some(&slot) = self.tenant_by_id.get(id) {
            return slot;
        }
        let slot = self.tenants.insert(Tenant::new(id.clone()));
        self.tenant_by_id.insert(id.clone(), slot);
        slot
    }

    pub(super) fn tenant(&self, id: &TenantId) -> Option<&Tenant> {
        self.tenant_by_id.get(id).map(|&slot| &self.tenants[slot])
    }

    /// The group of a webhook that exists.
    pub(super) fn group_of(&self, tenant: &TenantId, webhook: WebhookId) -> Option<Slot<Group>> {
        let slot = *self.tenant(tenant)?.groups.get(&webhook)?;
        self.groups[slot].webhook.is_some().then_some(slot)
    }

    /// The group of a webhook whether it exists or not.
    pub(super) fn group_slot(&mut self, tenant: Slot<Tenant>, webhook: WebhookId) -> Slot<Group> {
        if let Some(&slot) = self.tenants[tenant].groups.get(&webhook) {
            return slot;
        }
        let slot = self.groups.insert(Group::new(webhook, tenant));
        self.tenants[tenant].groups.insert(webhook, slot);
        slot
    }

    /// One of this tenant's deliveries.
    pub(super) fn row(&self, tenant: &TenantId, id: DeliveryId) -> Option<Slot<Row>> {
        let slot = *self.row_by_id.get(&id)?;
        (self.rows[slot].delivery.tenant == *tenant).then_some(slot)
    }

    pub(super) fn insert_event(&mut self, event: Arc<Event>, in_outbox: bool) -> Slot<EventRow> {
        let tenant = self.tenant_slot(&event.head.tenant);
        let published_at = event.head.published_at;
        self.oldest.row = self.oldest.row.min(published_at);
        self.oldest.payload = self.oldest.payload.min(published_at);
        let (id, subject) = (event.head.id, event.head.subject.clone());
        let slot =
            self.events.insert(EventRow { event, tenant, in_outbox, has_payload: true, deliveries: None });
        self.event_by_id.insert(id, slot);
        if let Some(subject) = subject {
            self.tenants[tenant].subjects.entry(subject).or_default().insert(slot);
        }
        slot
    }

    /// A delivery that is listed, but neither waits nor has ended yet.
    pub(super) fn insert_row(
        &mut self,
        delivery: Delivery,
        event: Slot<EventRow>,
        order: Option<OrderKey>,
        sequence: u64,
    ) -> Slot<Row> {
        let tenant = self.events[event].tenant;
        let (id, due) = (delivery.id, delivery.created_at);
        self.oldest.row = self.oldest.row.min(due);
        let group = self.group_slot(tenant, delivery.webhook);
        let arrival = self.number();
        let older = self.events[event].deliveries;
        let slot = self.rows.insert(Row {
            delivery,
            event,
            group,
            tenant,
            order,
            sequence,
            arrival,
            due,
            place: Place::Ended,
            token: None,
            log: Vec::new(),
            newer: None,
            older,
        });
        if let Some(older) = older {
            self.rows[older].newer = Some(slot);
        }
        self.events[event].deliveries = Some(slot);
        self.row_by_id.insert(id, slot);
        self.tenants[tenant].rows.insert(id, slot);
        self.groups[group].rows.insert(id, slot);
        slot
    }

    /// Lets a new delivery wait for its first attempt.
    pub(super) fn queue_row(&mut self, slot: Slot<Row>) {
        let row = &self.rows[slot];
        self.groups[row.group].undelivered.insert((row.delivery.created_at, slot));
        self.enter(slot, row.due);
    }

    /// Ends a delivery, wherever it is.
    pub(super) fn end(&mut self, slot: Slot<Row>, status: DeliveryStatus, now: DateTime<Utc>) {
        self.leave(slot);
        let row = &mut self.rows[slot];
        row.token = None;
        row.delivery.status = status;
        row.delivery.updated_at = now;
        row.delivery.next_attempt_at = None;
        self.groups[row.group].undelivered.remove(&(row.delivery.created_at, slot));
        let (tenant, id) = (row.tenant, row.delivery.id);
        self.note_end(tenant, Ended::Delivery(id));
    }

    /// From now on it is kept only as long as there is room.
    pub(super) fn note_end(&mut self, tenant: Slot<Tenant>, ended: Ended) {
        let all = &mut self.tenants[tenant].ended;
        self.history.changed(tenant, all.len(), all.len() + 1);
        all.push_back(ended);
    }

    /// The deliveries of an event, newest first.
    pub(super) fn deliveries_of(&self, event: Slot<EventRow>) -> impl Iterator<Item = Slot<Row>> {
        std::iter::successors(self.events[event].deliveries, |&slot| self.rows[slot].older)
    }

    /// Forgets a delivery that has ended, and its event if nothing else needs it; answers how many rows went.
    pub(super) fn drop_row(&mut self, slot: Slot<Row>) -> u64 {
        let row = self.rows.remove(slot);
        let id = row.delivery.id;
        self.row_by_id.remove(&id);
        self.tenants[row.tenant].rows.remove(&id);
        self.groups[row.group].rows.remove(&id);
        match row.newer {
            Some(newer) => self.rows[newer].older = row.older,
            None => self.events[row.event].deliveries = row.older,
        }
        if let Some(older) = row.older {
            self.rows[older].newer = row.newer;
        }
        self.drop_group_if_unused(row.group);
        let attempts = row.log.len() as u64;
        self.forgotten.logs.push(row.log);
        1 + attempts + self.drop_event_if_unused(row.event)
    }

    pub(super) fn drop_event_if_unused(&mut self, slot: Slot<EventRow>) -> u64 {
        let row = &self.events[slot];
        if row.in_outbox || row.deliveries.is_some() {
            return 0;
        }
        let row = self.events.remove(slot);
        self.event_by_id.remove(&row.event.head.id);
        if let Some(subject) = &row.event.head.subject {
            let subjects = &mut self.tenants[row.tenant].subjects;
            if let Some(events) = subjects.get_mut(subject) {
                events.remove(&slot);
                if events.is_empty() {
                    subjects.remove(subject);
                }
            }
        }
        self.forgotten.events.push(row.event);
        1
    }

    pub(super) fn drop_group_if_unused(&mut self, slot: Slot<Group>) {
        let group = &self.groups[slot];
        if group.webhook.is_none() && group.rows.is_empty() && !group.is_touched {
            let group = self.groups.remove(slot);
            self.tenants[group.tenant].groups.remove(&group.id);
        }
    }
}

impl Tenant {
    fn new(id: TenantId) -> Self {
        Self {
            defaults: Arc::new(TenantDefaults::new(id.clone())),
            id,
            groups: BTreeMap::new(),
            listed: None,
            rows: BTreeMap::new(),
            keys: HashMap::new(),
            subjects: HashMap::new(),
            replays: BTreeSet::new(),
            activity: BTreeMap::new(),
            chain: Chain::default(),
            ended: VecDeque::new(),
            ready: BTreeSet::new(),
        }
    }
}

impl Row {
    /// Resends and replays run in a lane of their own.
    pub(super) fn is_replay(&self) -> bool {
        self.delivery.origin != Origin::Live
    }

    pub(super) fn is_leased(&self, now: DateTime<Utc>) -> bool {
        matches!(self.place, Place::Leased(until) if now < until)
    }
}
