//! What the world knows, and the rules that hold after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossdock::events::EventType;
use crossdock::lanes::{Lease, LeaseToken};
use crossdock::primitives::{DeliveryId, EventId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{Claim, OrderKey, Origin, Published, Settlement};

use super::faults::{Fault, Faults};

/// Shared by everything in one world; a world runs on one thread, the lock is never waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) webhooks: BTreeMap<WebhookId, Hook>,
    pub(crate) events: BTreeMap<EventId, Known>,
    pub(crate) live: BTreeMap<DeliveryId, Held>,
    pub(crate) answered: BTreeMap<(WebhookId, EventId), Traffic>,
    orders: BTreeMap<(WebhookId, OrderKey), (usize, DeliveryId)>,
    pub(crate) faults: Faults,
    /// The latest time that any process has shown to the store: one that was slow may show an earlier time afterwards.
    latest: DateTime<Utc>,
    pub(crate) calm: bool,
    pub(crate) violation: Option<String>,
    pub(crate) duplicates: u64,
}

/// A webhook as the world made it.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) tenant: TenantId,
    pub(crate) host: String,
    pub(crate) cap: u32,
    pub(crate) max_attempts: u32,
    /// It hears everything and nobody ever touches it: whatever happens, its deliveries may not get lost.
    pub(crate) is_anchor: bool,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) is_deleted: bool,
}

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) tenant: TenantId,
    pub(crate) event_type: EventType,
    pub(crate) index: usize,
}

#[derive(Debug)]
pub(crate) struct Held {
    webhook: WebhookId,
    lease: Lease,
}

#[derive(Debug, Default)]
pub(crate) struct Traffic {
    body: Option<Vec<u8>>,
    requests: u32,
    deliveries: BTreeSet<DeliveryId>,
    pub(crate) taken: u32,
}

/// How long a claim holds in these worlds.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

impl Ledger {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        // A panic is one of the faults.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.count(fault);
    }

    pub(crate) fn violated(&mut self, rule: &str, what: String) {
        self.violation.get_or_insert_with(|| format!("{rule}: {what}"));
    }

    /// Notes the time that a process shows to the store.
    pub(crate) fn shown(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// An event is in the store, in the order in which they came.
    pub(crate) fn published(&mut self, published: &Published, tenant: TenantId, event_type: EventType) {
        if published.fresh {
            let index = self.events.len();
            self.events.insert(published.event, Known { tenant, event_type, index });
        }
    }

    /// Rules 2 and 6: one live lease, caps and order. Answers the delivery that must have ended before this
    /// one was claimed.
    pub(crate) fn claimed(&mut self, claim: &Claim, now: DateTime<Utc>) -> Option<DeliveryId> {
        let (delivery, webhook) = (claim.delivery, claim.webhook.id);
        let now = self.shown(now);
        if let Some(held) = self.live.get(&delivery)
            && held.lease.is_live(now)
        {
            self.violated("at most one live lease per delivery", format!("{delivery} at {now}"));
        }
        self.live.insert(delivery, Held { webhook, lease: claim.lease });
        let traffic = self.answered.entry((webhook, claim.event.head.id)).or_default();
        traffic.deliveries.insert(delivery);
        let in_flight = self.live.values().filter(|held| held.webhook == webhook && held.lease.is_live(now));
        let (in_flight, cap) = (in_flight.count(), self.webhooks[&webhook].cap);
        if in_flight > cap as usize {
            self.violated("caps", format!("{webhook} has {in_flight} of {cap} in flight"));
        }
        if claim.origin == Origin::Live { self.claimed_in_order(claim) } else { None }
    }

    fn claimed_in_order(&mut self, claim: &Claim) -> Option<DeliveryId> {
        let webhook = &claim.webhook;
        let key = webhook.order_key(claim.event.head.ordering_key.as_deref())?;
        let index = self.events[&claim.event.head.id].index;
        let last = self.orders.get(&(webhook.id, key)).copied();
        if let Some((head, _)) = last.filter(|&(head, _)| index < head) {
            self.violated("order", format!("{} claims event {index} after {head}", webhook.id));
            return None;
        }
        self.orders.insert((webhook.id, key), (index, claim.delivery));
        last.filter(|&(head, _)| index > head).map(|(_, delivery)| delivery)
    }

    /// Whether the settlement shows the present lease.
    pub(crate) fn is_present(&self, settlement: &Settlement) -> bool {
        self.live.get(&settlement.delivery).is_some_and(|held| held.lease.token == settlement.lease.token)
    }

    /// Whether the lease that the settlement shows is present and has not ended either: it must be taken.
    pub(crate) fn is_live(&self, settlement: &Settlement) -> bool {
        self.is_present(settlement) && settlement.lease.is_live(self.latest)
    }

    pub(crate) fn present_token(&self, delivery: DeliveryId) -> Option<LeaseToken> {
        self.live.get(&delivery).map(|held| held.lease.token)
    }

    pub(crate) fn settled(&mut self, settlement: &Settlement) {
        self.live.remove(&settlement.delivery);
    }

    /// From now on, and until it is enabled, nothing may be sent.
    pub(crate) fn ended(&mut self, webhook: WebhookId, now: DateTime<Utc>) {
        // A worker that has stalled settles with the time at which it did: the store knows of it only now.
        let now = self.latest.max(now);
        if let Some(hook) = self.webhooks.get_mut(&webhook) {
            hook.ended_at.get_or_insert(now);
        }
    }

    /// Rules 3, 4, 5 and 8, judged when a request arrives.
    pub(crate) fn requested(
        &mut self,
        host: &str,
        event: EventId,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> WebhookId {
        let (&webhook, hook) =
            self.webhooks.iter().find(|(_, hook)| hook.host == host).expect("a request goes to a known host");
        let (tenant, max_attempts, ended_at) = (hook.tenant.clone(), hook.max_attempts, hook.ended_at);
        match self.events.get(&event) {
            Some(known) if known.tenant == tenant => {}
            _ => self.violated("tenants never see one another", format!("{host} was sent {event}")),
        }
        if ended_at.is_some_and(|at| at + LEASE < now) {
            self.violated("no attempt after disable plus lease", format!("{host} at {now}"));
        }
        let traffic = self.answered.entry((webhook, event)).or_default();
        traffic.requests += 1;
        let too_many = traffic.requests > max_attempts * traffic.deliveries.len() as u32;
        let requests = traffic.requests;
        let same = traffic.body.get_or_insert_with(|| body.to_vec()) == body;
        if too_many {
            self.violated("attempts within the policy", format!("{host} was sent {event} {requests} times"));
        }
        if !same {
            self.violated("same bytes on every attempt", format!("{host} {event}"));
        }
        webhook
    }

    pub(crate) fn taken(&mut self, webhook: WebhookId, event: EventId) {
        let traffic = self.answered.entry((webhook, event)).or_default();
        traffic.taken += 1;
        self.duplicates += u64::from(traffic.taken > 1);
    }
}
