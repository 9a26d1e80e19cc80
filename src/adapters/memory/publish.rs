//! Publish and fan out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Ended, EventRow, Key, KeyPlace, OutboxEntry, State, Tenant};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::model::{Event, EventHead};
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::tenancy::model::TenantId;
use crate::webhooks::conflicts::{delivery_exists, event_exists, key_was_used};
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{
    Delivery, DeliveryStatus, NewDelivery, Origin, Publication, Published, Skip, SkipReason, Webhook,
};
use crate::webhooks::queue::{Outbox, Sequence};

/// What is in the outbox, before its heads are copied outside the lock.
pub(super) struct OutboxEvents {
    entries: Vec<(Sequence, Arc<Event>)>,
    webhooks: HashMap<TenantId, Arc<[Arc<Webhook>]>>,
}

impl From<OutboxEvents> for Outbox {
    fn from(OutboxEvents { entries, webhooks }: OutboxEvents) -> Self {
        let heads = entries.into_iter().map(|(place, event)| (place, Arc::new(event.head.clone())));
        Outbox::new(heads.collect(), webhooks)
    }
}

/// Keys that earlier publications of the same call use.
type CallKeys<'a> = HashMap<(&'a TenantId, &'a str), (EventId, [u8; 32])>;

impl State {
    pub(super) fn publish(
        &mut self,
        publications: Vec<Publication>,
        remembered: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let answers = self.answers(&publications, remembered, now)?;
        for (publication, answer) in publications.into_iter().zip(&answers) {
            if answer.fresh {
                self.publish_one(publication, now);
            }
        }
        Ok(answers)
    }

    /// What each publication comes to; changes nothing.
    fn answers(
        &self,
        publications: &[Publication],
        remembered: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let mut call = CallKeys::new();
        let mut answers = Vec::with_capacity(publications.len());
        for (index, publication) in publications.iter().enumerate() {
            let head = &publication.event.head;
            let known = publication.idempotency_key.as_deref().and_then(|key| {
                let stored = self.tenant(&head.tenant).and_then(|tenant| tenant.keys.get(key));
                let stored = stored.filter(|known| is_remembered(known.at, remembered, now));
                let stored = stored.map(|known| (known.event, known.digest));
                stored.or_else(|| call.get(&(&head.tenant, key)).copied())
            });
            match known {
                Some((event, digest)) if digest == publication.digest => {
                    answers.push(Published::new(event, false));
                }
                Some(_) => return Err(conflict("publish events", key_was_used(index))),
                None if self.event_by_id.contains_key(&head.id) => {
                    return Err(conflict("publish events", event_exists(Some(index))));
                }
                None => {
                    if let Some(key) = publication.idempotency_key.as_deref() {
                        call.insert((&head.tenant, key), (head.id, publication.digest));
                    }
                    answers.push(Published::new(head.id, true));
                }
            }
        }
        Ok(answers)
    }

    fn publish_one(&mut self, publication: Publication, now: DateTime<Utc>) {
        let id = publication.event.head.id;
        let event = self.insert_event(publication.event, true);
        let tenant = self.events[event].tenant;
        if let Some(text) = publication.idempotency_key {
            let serial = self.number();
            let key = Key { event: id, digest: publication.digest, at: now, serial };
            if let Some(old) = self.tenants[tenant].keys.insert(text.clone(), key) {
                self.keys_by_age.remove(&(old.at, old.serial));
            }
            self.keys_by_age.insert((now, serial), KeyPlace { tenant, key: text });
        }
        self.outbox.push_back(Some(OutboxEntry { event, tenant }));
    }

    pub(super) fn outbox(&mut self, limit: usize) -> OutboxEvents {
        let mut entries = Vec::with_capacity(limit.min(self.outbox.len()));
        let mut webhooks = HashMap::new();
        let mut last = None;
        for (number, entry) in (self.outbox_begin..).zip(&self.outbox) {
            let Some(entry) = entry else { continue };
            if entries.len() == limit {
                break;
            }
            entries.push((Sequence::new(number), self.events[entry.event].event.clone()));
            // Events come in runs of one tenant.
            if last != Some(entry.tenant) {
                last = Some(entry.tenant);
                let tenant = &mut self.tenants[entry.tenant];
                if !webhooks.contains_key(&tenant.id) {
                    let groups = &self.groups;
                    let listed = tenant.listed.get_or_insert_with(|| {
                        let all = tenant.groups.values();
                        all.filter_map(|&group| groups[group].webhook.clone())
                            .collect::<Arc<[Arc<Webhook>]>>()
                    });
                    webhooks.insert(tenant.id.clone(), listed.clone());
                }
            }
        }
        OutboxEvents { entries, webhooks }
    }

    pub(super) fn fan_out(
        &mut self,
        mut entries: Vec<(Sequence, FanOut)>,
        now: DateTime<Utc>,
    ) -> Result<usize> {
        // Several events of one batch enter one order in the outbox's order.
        entries.sort_by_key(|&(sequence, _)| sequence);
        entries.retain(|&(sequence, _)| self.outbox_index(sequence).is_some());
        let taken = entries.iter().any(|(_, wanted)| {
            let made = wanted.deliveries.iter().map(|delivery| delivery.id);
            made.chain(wanted.skips.iter().map(|skip| skip.id)).any(|id| self.row_by_id.contains_key(&id))
        });
        if taken {
            return Err(conflict("fan out events", delivery_exists()));
        }
        let mut there = 0;
        for (sequence, wanted) in entries {
            let Some(entry) = self.outbox_index(sequence).and_then(|index| self.outbox[index].take()) else {
                continue;
            };
            there += 1;
            self.fan_out_one(sequence, entry, wanted, now);
        }
        while let Some(None) = self.outbox.front() {
            self.outbox.pop_front();
            self.outbox_begin += 1;
        }
        self.finish_step(now);
        Ok(there)
    }

    fn fan_out_one(&mut self, sequence: Sequence, entry: OutboxEntry, wanted: FanOut, now: DateTime<Utc>) {
        let OutboxEntry { event, tenant } = entry;
        let row = &mut self.events[event];
        row.in_outbox = false;
        let whole = row.event.clone();
        let head = &whole.head;
        for new in wanted.deliveries {
            self.deliver(head, (event, tenant), sequence, new, now);
        }
        for Skip { id, webhook, reason } in wanted.skips {
            if !self.row_by_id.contains_key(&id) {
                let delivery = delivery_of(head, id, webhook, now);
                let slot = self.insert_row(delivery, event, None, 0);
                self.end(slot, DeliveryStatus::Skipped(reason), now);
            }
        }
        if self.events[event].deliveries.is_none() {
            self.note_end(tenant, Ended::Event(head.id));
        }
    }

    fn deliver(
        &mut self,
        head: &EventHead,
        (event, tenant): (Slot<EventRow>, Slot<Tenant>),
        sequence: Sequence,
        new: NewDelivery,
        now: DateTime<Utc>,
    ) {
        if self.row_by_id.contains_key(&new.id) {
            return;
        }
        let group = self.group_slot(tenant, new.webhook);
        let refusal = self.groups[group].refusal();
        let refusal = refusal.or_else(|| (!self.events[event].has_payload).then_some(SkipReason::Erased));
        let delivery = delivery_of(head, new.id, new.webhook, now);
        let slot = self.insert_row(delivery, event, new.order, sequence.number());
        match refusal {
            Some(reason) => self.end(slot, DeliveryStatus::Skipped(reason), now),
            None => self.queue_row(slot),
        }
    }

    fn outbox_index(&self, sequence: Sequence) -> Option<usize> {
        let index = usize::try_from(sequence.number().checked_sub(self.outbox_begin)?).ok()?;
        self.outbox.get(index)?.as_ref().map(|_| index)
    }
}

fn delivery_of(head: &EventHead, id: DeliveryId, webhook: WebhookId, now: DateTime<Utc>) -> Delivery {
    Delivery::new(id, head.tenant.clone(), webhook, head.id, head.event_type.clone(), Origin::Live, now)
}

fn conflict(step: &'static str, problem: Problem) -> Error {
    Error::new(ErrorKind::Conflict, step).with_problem(problem)
}

fn is_remembered(at: DateTime<Utc>, span: Duration, now: DateTime<Utc>) -> bool {
    // A time that was shown earlier but is later, by another machine's clock, is remembered as well.
    (now - at).to_std().map_or(true, |age| age < span)
}
