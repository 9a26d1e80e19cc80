//! The outbox, and fan-out: events become deliveries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use crate::adapters::sqlite::columns::{limit, nanos, signed, stored, tenant, unsigned};
use crate::adapters::sqlite::fault::{Done, Fault, readable};
use crate::adapters::sqlite::lane::{Caps, Lane, webhook_at};
use crate::adapters::sqlite::order::{entrance, offer};
use crate::adapters::sqlite::session::Session;
use crate::error::{Error, ErrorKind, Problem};
use crate::events::model::EventHead;
use crate::primitives::id::{DeliveryId, WebhookId};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{DeliveryStatus, Origin, SkipReason, Webhook};
use crate::webhooks::queue::{Outbox, Sequence};

pub(super) fn outbox(session: &Session<'_>, most: usize) -> Done<Outbox> {
    let mut entries = Vec::new();
    // `None` if one of the tenant's webhooks cannot be read back.
    let mut webhooks: HashMap<TenantId, Option<Arc<[Arc<Webhook>]>>> = HashMap::new();
    let mut last = i64::MIN;
    loop {
        let wanted = most - entries.len();
        let rows =
            session.all(OUTBOX, params![last, limit(wanted)], |row| Ok((row.get(0)?, head_in(row)?)))?;
        let is_end = rows.len() < wanted || wanted == 0;
        for (n, head) in rows {
            last = n;
            // What cannot be read back waits here for somebody who mends it, and holds back nobody else.
            let Some(head) = head else { continue };
            if !webhooks.contains_key(&head.tenant) {
                let present = readable(webhooks_of(session, &head.tenant))?;
                webhooks.insert(head.tenant.clone(), present);
            }
            // Without one of the webhooks, nobody knows where the event goes.
            if webhooks.get(&head.tenant).is_some_and(Option::is_some) {
                entries.push((Sequence::new(unsigned(n)), Arc::new(head)));
            }
        }
        if is_end {
            let webhooks = webhooks.into_iter().filter_map(|(tenant, webhooks)| Some((tenant, webhooks?)));
            return Ok(Outbox::new(entries, webhooks.collect()));
        }
    }
}

fn head_in(row: &Row<'_>) -> Done<Option<EventHead>> {
    readable(stored(row, 1))
}

fn webhooks_of(session: &Session<'_>, tenant: &TenantId) -> Done<Arc<[Arc<Webhook>]>> {
    let present = session.all(WEBHOOKS, [tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    present.into_iter().map(|(lane, revision)| webhook_at(session, lane, revision)).collect()
}

/// The lanes that a step has touched, each to be saved once at its end.
#[derive(Default)]
struct Touched {
    by_name: HashMap<(TenantId, WebhookId), i64>,
    lanes: BTreeMap<i64, Lane>,
}

pub(super) fn fan_out(
    session: &Session<'_>,
    entries: &[(Sequence, FanOut)],
    now: DateTime<Utc>,
) -> Done<usize> {
    let mut touched = Touched::default();
    let mut there = 0;
    for (sequence, wanted) in entries {
        let event = signed(sequence.number());
        let entry = session.first(ENTRY, [event], |row| {
            Ok(Entry { event, tenant: tenant(row, 0)?, event_type: row.get(1)?, has_payload: row.get(2)? })
        })?;
        let Some(entry) = entry else { continue };
        session.run(TAKE, [event])?;
        there += 1;
        fan_out_one(session, &entry, wanted, &mut touched, now)?;
    }
    let caps = Caps::present(session)?;
    for lane in touched.lanes.values() {
        lane.save(session, caps, now)?;
    }
    Ok(there)
}

/// An event that is taken off the outbox.
struct Entry {
    event: i64,
    tenant: TenantId,
    event_type: String,
    has_payload: bool,
}

fn fan_out_one(
    session: &Session<'_>,
    entry: &Entry,
    wanted: &FanOut,
    touched: &mut Touched,
    now: DateTime<Utc>,
) -> Done<()> {
    for new in &wanted.deliveries {
        let lane = touched.lane(session, &entry.tenant, new.webhook)?;
        let refusal = lane.state.refusal().or_else(|| (!entry.has_payload).then_some(SkipReason::Erased));
        if let Some(reason) = refusal {
            insert(session, entry, lane.n, new.id, DeliveryStatus::Skipped(reason), now)?;
            continue;
        }
        let lane = lane.n;
        let n = insert(session, entry, lane, new.id, DeliveryStatus::Pending, now)?;
        let order_key = new.order.map(|key| signed(key.number()));
        let place = entrance(order_key);
        session.run(QUEUE, params![n, lane, 0, place, nanos(now), order_key, entry.event])?;
        if let Some(key) = order_key {
            offer(session, lane, key)?;
        }
    }
    for skip in &wanted.skips {
        let lane = touched.lane(session, &entry.tenant, skip.webhook)?;
        insert(session, entry, lane.n, skip.id, DeliveryStatus::Skipped(skip.reason), now)?;
    }
    Ok(())
}

fn insert(
    session: &Session<'_>,
    entry: &Entry,
    lane: i64,
    id: DeliveryId,
    status: DeliveryStatus,
    now: DateTime<Utc>,
) -> Done<i64> {
    let delivery = NewRow {
        id,
        tenant: &entry.tenant,
        lane,
        event: entry.event,
        event_type: &entry.event_type,
        origin: Origin::Live,
    };
    delivery.insert(session, status, now).map_err(taken)
}

/// A delivery that is to be made.
pub(super) struct NewRow<'a> {
    pub(super) id: DeliveryId,
    pub(super) tenant: &'a TenantId,
    pub(super) lane: i64,
    pub(super) event: i64,
    pub(super) event_type: &'a str,
    pub(super) origin: Origin,
}

impl NewRow<'_> {
    /// Makes the row that people see.
    pub(super) fn insert(
        &self,
        session: &Session<'_>,
        status: DeliveryStatus,
        now: DateTime<Utc>,
    ) -> Done<i64> {
        let (id, now) = (self.id.as_uuid(), nanos(now));
        let (origin, status) = (self.origin.to_stored()?, status.to_stored()?);
        let tenant = self.tenant.as_str();
        session.run(
            INSERT,
            params![id.as_bytes(), tenant, self.lane, self.event, self.event_type, origin, status, now],
        )?;
        Ok(session.connection().last_insert_rowid())
    }

    /// Makes a delivery of the same event in the replay lane.
    pub(super) fn send_again(&self, session: &Session<'_>, now: DateTime<Utc>) -> Done<i64> {
        let n = self.insert(session, DeliveryStatus::Pending, now)?;
        session.run(QUEUE, params![n, self.lane, 1, entrance(None), nanos(now), None::<i64>, 0])?;
        Ok(n)
    }
}

impl Touched {
    fn lane(&mut self, session: &Session<'_>, tenant: &TenantId, webhook: WebhookId) -> Done<&Lane> {
        let name = (tenant.clone(), webhook);
        let n = match self.by_name.get(&name) {
            Some(&n) => n,
            None => {
                let lane = Lane::find_or_make(session, tenant, webhook)?;
                let n = lane.n;
                self.by_name.insert(name, n);
                self.lanes.insert(n, lane);
                n
            }
        };
        self.lanes.get(&n).ok_or_else(|| Fault::new(ErrorKind::Internal, STEP))
    }
}

fn taken(fault: Fault) -> Fault {
    if !fault.is_duplicate() {
        return fault;
    }
    Fault::Ours(Error::new(ErrorKind::Conflict, STEP).with_problem(Problem::new(
        "entries",
        "there is a delivery with one of these ids",
        "mint a new id for every delivery",
    )))
}

const STEP: &str = "fan out events";

const OUTBOX: &str = "SELECT n, head FROM crossdock_event INDEXED BY crossdock_event_outbox \
    WHERE in_outbox = 1 AND n > ?1 ORDER BY n LIMIT ?2";
const WEBHOOKS: &str =
    "SELECT n, revision FROM crossdock_lane WHERE tenant = ?1 AND state <> 3 ORDER BY webhook";
const ENTRY: &str =
    "SELECT tenant, event_type, has_payload FROM crossdock_event WHERE n = ?1 AND in_outbox = 1";
const TAKE: &str = "UPDATE crossdock_event SET in_outbox = 0 WHERE n = ?1";
const INSERT: &str = "INSERT INTO crossdock_delivery \
    (id, tenant, lane, event, event_type, origin, status, attempts, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?8)";
const QUEUE: &str = "INSERT INTO crossdock_work \
    (n, lane, replay, place, due, order_key, sequence, token, attempts, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, ?5, ?5)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn fan_out_touches_its_own_rows() {
        let statements = [OUTBOX, WEBHOOKS, ENTRY, TAKE, INSERT, QUEUE];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
