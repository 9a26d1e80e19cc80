//! Deliveries as an administrator sees and repairs them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Ended, EventRow, Place, Row, State};
use crate::error::{Error, ErrorKind, Result};
use crate::events::model::Event;
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{
    Attempt, DeadReason, Delivery, DeliveryFilter, DeliveryRecord, DeliveryStatus, Include, Origin,
    SkipReason,
};
use crate::webhooks::repository::{Erasure, StoppedHead};

impl State {
    pub(super) fn event(&self, tenant: &TenantId, id: EventId) -> Option<Arc<Event>> {
        let row = &self.events[*self.event_by_id.get(&id)?];
        (row.event.head.tenant == *tenant).then(|| row.event.clone())
    }

    pub(super) fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Page<DeliveryRecord> {
        let nothing = || Page::new(Vec::new(), None);
        let Some(tenant) = self.tenant(tenant) else { return nothing() };
        let rows = match filter.webhook {
            None => &tenant.rows,
            Some(webhook) => match tenant.groups.get(&webhook) {
                Some(&slot) => &self.groups[slot].rows,
                None => return nothing(),
            },
        };
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(DeliveryId::from_uuid(cursor.row())));
        let matches = |&slot: &Slot<Row>| filter.matches(&self.rows[slot].delivery);
        let cursor = |slot: &Slot<Row>| Cursor::behind(self.rows[*slot].delivery.id.as_uuid());
        let page = match filter.event.map(|id| self.event_by_id.get(&id)) {
            None => {
                let newest_first = rows.range((Bound::Unbounded, end)).rev().map(|(_, &slot)| slot);
                Page::cut(newest_first.filter(matches), page, cursor)
            }
            Some(None) => return nothing(),
            // Of one event there are few.
            Some(Some(&event)) => {
                let of_event = self.deliveries_of(event).map(|slot| (self.rows[slot].delivery.id, slot));
                let mine = of_event.filter(|(id, _)| rows.contains_key(id));
                let sorted: BTreeMap<_, _> = mine.collect();
                let newest_first = sorted.range((Bound::Unbounded, end)).rev().map(|(_, &slot)| slot);
                Page::cut(newest_first.filter(matches), page, cursor)
            }
        };
        page.map(|slot| self.record(slot, include))
    }

    pub(super) fn record(&self, slot: Slot<Row>, include: Include) -> DeliveryRecord {
        let row = &self.rows[slot];
        let event = &self.events[row.event];
        let mut record = DeliveryRecord::new(row.delivery.clone());
        if include.payload && event.has_payload {
            record.payload = Some(event.event.payload.clone());
        }
        if include.attempts {
            record.attempts = row.log.clone();
            // A lost attempt may be logged after a later one.
            record.attempts.sort_by_key(|attempt| (attempt.started_at, attempt.id));
        }
        record
    }

    pub(super) fn record_test(
        &mut self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()> {
        let fits = delivery.tenant == event.head.tenant && delivery.event == event.head.id;
        if !fits || attempt.delivery != delivery.id {
            return Err(Error::invalid("record a test", []));
        }
        if self.row_by_id.contains_key(&delivery.id) || self.event_by_id.contains_key(&event.head.id) {
            return Err(Error::new(ErrorKind::Conflict, "record a test"));
        }
        let now = delivery.updated_at;
        let event = self.insert_event(event, false);
        let id = delivery.id;
        let slot = self.insert_row(delivery, event, None, 0);
        self.rows[slot].log = vec![Arc::new(attempt)];
        let tenant = self.rows[slot].tenant;
        self.note_end(tenant, Ended::Delivery(id));
        self.note(&activity);
        self.finish_step(now);
        Ok(())
    }

    pub(super) fn resend(
        &mut self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery> {
        let step = "resend a delivery";
        let past = self.row(tenant, past).ok_or_else(|| Error::new(ErrorKind::NotFound, step))?;
        let row = &self.rows[past];
        match self.groups[row.group].refusal() {
            Some(SkipReason::WebhookDeleted) => return Err(Error::new(ErrorKind::NotFound, step)),
            Some(_) => return Err(Error::new(ErrorKind::Conflict, step)),
            None if !self.events[row.event].has_payload => {
                return Err(Error::new(ErrorKind::NotFound, step));
            }
            None if self.row_by_id.contains_key(&id) => return Err(Error::new(ErrorKind::Conflict, step)),
            None => {}
        }
        let slot = self.send_again(past, id, Origin::Resend, now);
        self.note(&activity);
        self.finish_step(now);
        Ok(self.rows[slot].delivery.clone())
    }

    /// Makes a delivery of the same event in the replay lane.
    pub(super) fn send_again(
        &mut self,
        past: Slot<Row>,
        id: DeliveryId,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Slot<Row> {
        let (event, past) = (self.rows[past].event, &self.rows[past].delivery);
        let (tenant, event_type) = (past.tenant.clone(), past.event_type.clone());
        let delivery = Delivery::new(id, tenant, past.webhook, past.event, event_type, origin, now);
        let slot = self.insert_row(delivery, event, None, 0);
        self.queue_row(slot);
        slot
    }

    pub(super) fn release_stopped(
        &mut self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let group = self
            .group_of(tenant, webhook)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "release stopped deliveries"))?;
        let stopped: Vec<_> = self.groups[group].stopped.iter().copied().collect();
        for &slot in &stopped {
            match head {
                StoppedHead::Skip => {
                    self.end(slot, DeliveryStatus::DeadLetter(DeadReason::SkippedByPerson), now);
                }
                StoppedHead::Retry => {
                    self.leave(slot);
                    let delivery = &mut self.rows[slot].delivery;
                    delivery.status = DeliveryStatus::Pending;
                    delivery.attempts = 0;
                    delivery.updated_at = now;
                    self.enter(slot, now);
                }
            }
        }
        self.note(&activity);
        self.finish_step(now);
        Ok(stopped.len() as u64)
    }

    pub(super) fn erase_subject(
        &mut self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Erasure {
        let mut erasure = Erasure::default();
        let known = self.tenant(tenant).and_then(|tenant| tenant.subjects.get(subject));
        let events: Vec<_> = known.into_iter().flatten().copied().collect();
        for event in events {
            erasure.events += u64::from(self.events[event].has_payload);
            self.drop_payload(event);
            let deliveries: Vec<_> = self.deliveries_of(event).collect();
            for slot in deliveries {
                let row = &self.rows[slot];
                let waits = matches!(row.place, Place::Waiting | Place::Stopped | Place::Leased(_));
                if waits && !row.is_leased(now) {
                    self.end(slot, DeliveryStatus::Skipped(SkipReason::Erased), now);
                    erasure.skipped += 1;
                }
            }
        }
        self.note(&activity);
        self.finish_step(now);
        erasure
    }

    /// Drops an event's payload, and what attempts have logged about it.
    pub(super) fn drop_payload(&mut self, slot: Slot<EventRow>) {
        let deliveries: Vec<_> = self.deliveries_of(slot).collect();
        for row in deliveries {
            let log = self.rows[row].log.iter_mut();
            log.for_each(|attempt| Arc::make_mut(attempt).forget_contents());
        }
        let row = &mut self.events[slot];
        if row.has_payload {
            row.has_payload = false;
            let mut event = (*row.event).clone();
            event.payload = bytes::Bytes::new();
            row.event = Arc::new(event);
        }
    }
}
