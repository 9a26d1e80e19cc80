//! The lanes of one webhook, and when they have work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Row, Tenant};
use crate::lanes::throttle::{Brake, TokenBucket};
use crate::primitives::id::{DeliveryId, WebhookId};
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{OrderKey, SkipReason, Webhook, WebhookState};
use crate::webhooks::queue::ClaimRequest;

/// The deliveries of one webhook: what waits, what is leased, and what holds them back.
pub(super) struct Group {
    pub(super) id: WebhookId,
    pub(super) tenant: Slot<Tenant>,
    /// `None` once it was removed.
    pub(super) webhook: Option<Arc<Webhook>>,
    pub(super) rows: BTreeMap<DeliveryId, Slot<Row>>,
    pub(super) undelivered: BTreeSet<(DateTime<Utc>, Slot<Row>)>,
    /// Deliveries of published events; of an order only the one that may go next.
    pub(super) live: BTreeSet<DueKey>,
    /// Resends and replays.
    pub(super) replay: BTreeSet<DueKey>,
    pub(super) orders: BTreeMap<OrderKey, Order>,
    pub(super) stopped: BTreeSet<Slot<Row>>,
    /// All leases that were not settled; those that end first come first.
    pub(super) leases: BTreeSet<(DateTime<Utc>, Slot<Row>)>,
    /// Those of them that belong to resends and replays.
    pub(super) replay_leases: BTreeSet<(DateTime<Utc>, Slot<Row>)>,
    pub(super) held_until: Option<DateTime<Utc>>,
    pub(super) bucket: Option<TokenBucket>,
    /// No token is there before this time.
    pub(super) rate_at: Option<DateTime<Utc>>,
    pub(super) brake: Brake,
    pub(super) brake_version: u64,
    pub(super) health: WebhookHealth,
    /// Grows with every turn; the least recently served group goes first.
    pub(super) served: u64,
    /// Whether the last claim was of the replay lane: the two take turns.
    pub(super) replayed_last: bool,
    pub(super) turn: Turn,
    pub(super) is_touched: bool,
}

/// Due time and arrival of a waiting delivery.
pub(super) type DueKey = (DateTime<Utc>, u64, Slot<Row>);

/// Deliveries that go one after the other.
#[derive(Default)]
pub(super) struct Order {
    /// By their place in the outbox.
    pub(super) items: BTreeSet<(u64, Slot<Row>)>,
    /// The one that stands in the live lane.
    pub(super) offered: Option<Slot<Row>>,
    pub(super) leased: Option<Slot<Row>>,
}

/// When a group has work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    Never,
    Now,
    At(DateTime<Utc>),
}

/// Limits that hold for webhooks which say nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Caps {
    pub(super) in_flight: u32,
    pub(super) replays_in_flight: u32,
}

impl Default for Caps {
    /// What claims usually ask for: the first one need not think over every group.
    fn default() -> Self {
        let usual = ClaimRequest::new(DateTime::UNIX_EPOCH, Duration::ZERO, 0);
        Self { in_flight: usual.max_in_flight, replays_in_flight: usual.max_replays_in_flight }
    }
}

impl Group {
    pub(super) fn new(id: WebhookId, tenant: Slot<Tenant>) -> Self {
        Self {
            id,
            tenant,
            webhook: None,
            rows: BTreeMap::new(),
            undelivered: BTreeSet::new(),
            live: BTreeSet::new(),
            replay: BTreeSet::new(),
            orders: BTreeMap::new(),
            stopped: BTreeSet::new(),
            leases: BTreeSet::new(),
            replay_leases: BTreeSet::new(),
            held_until: None,
            bucket: None,
            rate_at: None,
            brake: Brake::RELEASED,
            brake_version: 0,
            health: WebhookHealth::default(),
            served: 0,
            replayed_last: false,
            turn: Turn::Never,
            is_touched: false,
        }
    }

    /// Why deliveries cannot wait here, if they cannot.
    pub(super) fn refusal(&self) -> Option<SkipReason> {
        Webhook::refusal(self.webhook.as_deref())
    }

    pub(super) fn active(&self) -> Option<&Arc<Webhook>> {
        self.webhook.as_ref().filter(|webhook| webhook.state == WebhookState::Active)
    }

    /// The earliest time at which a claim would get something, if nothing else happens.
    pub(super) fn next_at(&self, caps: Caps) -> Option<DateTime<Utc>> {
        let webhook = self.active()?;
        let slot_at = slot_free_at(&self.leases, self.cap(webhook, caps))?;
        let live_at = self.live.first().map(|&(due, ..)| due);
        let replay_at = self.replay.first().and_then(|&(due, ..)| {
            slot_free_at(&self.replay_leases, caps.replays_in_flight).map(|free| free.max(due))
        });
        let lost_at = self.leases.first().map(|&(until, _)| until);
        let work_at = [live_at, replay_at, lost_at].into_iter().flatten().min()?;
        Some(work_at.max(slot_at).max(self.held()))
    }

    /// Nothing is claimed before this time, whatever is due.
    pub(super) fn held(&self) -> DateTime<Utc> {
        let holds = [self.held_until, self.brake.open_until(), self.rate_at];
        holds.into_iter().flatten().max().unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Until when a person would say that the webhook is held back.
    pub(super) fn held_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        [self.held_until, self.brake.open_until()].into_iter().flatten().max().filter(|&until| now < until)
    }

    /// Ends what holds the webhook back, and forgets its failures; a circuit change that was made before this comes too late.
    pub(super) fn release(&mut self) {
        self.health = self.health.forgiven();
        self.held_until = None;
        self.brake = Brake::RELEASED;
        self.brake_version += 1;
    }

    /// How many may be claimed now, as far as limits go.
    pub(super) fn budget(&mut self, caps: Caps, now: DateTime<Utc>) -> usize {
        let Some(webhook) = self.active() else { return 0 };
        let cap = self.cap(webhook, caps) as usize;
        let free = cap.saturating_sub(self.leases.len());
        if now < self.held() || free == 0 {
            return 0;
        }
        match webhook.rate_limit {
            None => free,
            Some(limit) => {
                let bucket = self.bucket.get_or_insert_with(|| TokenBucket::full(&limit, now));
                free.min(bucket.available(&limit, now) as usize)
            }
        }
    }

    /// Takes tokens for what was claimed; finds out when the next token comes if there is none.
    pub(super) fn take_tokens(&mut self, count: usize, now: DateTime<Utc>) {
        let Some(limit) = self.webhook.as_ref().and_then(|webhook| webhook.rate_limit) else { return };
        let bucket = self.bucket.get_or_insert_with(|| TokenBucket::full(&limit, now));
        // A claim gives at most as many as there are tokens, and a burst fits.
        bucket.take(&limit, now, count as u32);
        let is_empty = bucket.available(&limit, now) == 0;
        self.rate_at = is_empty.then(|| bucket.next_at(&limit, now));
    }

    /// Takes the next due delivery out of its lane.
    pub(super) fn pop_due(&mut self, caps: Caps, now: DateTime<Utc>) -> Option<Slot<Row>> {
        let is_due = |lane: &BTreeSet<DueKey>| lane.first().is_some_and(|&(due, ..)| due <= now);
        let may_replay = is_due(&self.replay) && self.replay_leases.len() < caps.replays_in_flight as usize;
        let may_go = is_due(&self.live);
        if !may_replay && !may_go {
            return None;
        }
        self.replayed_last = may_replay && !(self.replayed_last && may_go);
        let lane = if self.replayed_last { &mut self.replay } else { &mut self.live };
        lane.pop_first().map(|(.., slot)| slot)
    }

    fn cap(&self, webhook: &Webhook, caps: Caps) -> u32 {
        let cap = webhook.max_in_flight.unwrap_or(caps.in_flight);
        self.brake.limit().map_or(cap, |limit| cap.min(limit))
    }
}

/// When at most `cap - 1` of these leases are left.
fn slot_free_at(leases: &BTreeSet<(DateTime<Utc>, Slot<Row>)>, cap: u32) -> Option<DateTime<Utc>> {
    let cap = cap as usize;
    if cap == 0 {
        return None;
    }
    match leases.len().checked_sub(cap) {
        None => Some(DateTime::<Utc>::MIN_UTC),
        Some(surplus) => leases.iter().nth(surplus).map(|&(until, _)| until),
    }
}
