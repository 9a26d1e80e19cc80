//! Deliveries as an administrator repairs them: tests, resends, stopped orders, erasure.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::note;
use crate::adapters::sqlite::columns::{limit, nanos, stored, uuid};
use crate::adapters::sqlite::deliveries::{found, is_known};
use crate::adapters::sqlite::fault::{Done, Fault, readable};
use crate::adapters::sqlite::lane::{Caps, Lane};
use crate::adapters::sqlite::order::{Place, STOPPED};
use crate::adapters::sqlite::outbox::NewRow;
use crate::adapters::sqlite::session::Session;
use crate::adapters::sqlite::webhooks::missing;
use crate::error::{Error, ErrorKind};
use crate::events::model::Event;
use crate::primitives::id::{DeliveryId, WebhookId};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{Attempt, DeadReason, Delivery, DeliveryStatus, Origin, SkipReason};
use crate::webhooks::repository::{Erasure, StoppedHead};

pub(super) fn record_test(
    session: &Session<'_>,
    event: &Event,
    delivery: &Delivery,
    attempt: &Attempt,
    activity: &[Activity],
) -> Done<()> {
    let step = "record a test";
    let fits = delivery.tenant == event.head.tenant && delivery.event == event.head.id;
    if !fits || attempt.delivery != delivery.id {
        return Err(Error::invalid(step, []).into());
    }
    let duplicate = |fault: Fault| match fault.is_duplicate() {
        true => Fault::new(ErrorKind::Conflict, step),
        false => fault,
    };
    let (head, id) = (&event.head, event.head.id.as_uuid());
    let (tenant, event_type) = (head.tenant.as_str(), head.event_type.as_str());
    let at = nanos(head.published_at);
    let columns = params![id.as_bytes(), tenant, event_type, head.subject.as_deref(), at, head.to_stored()?];
    session.run(TEST_EVENT, columns).map_err(duplicate)?;
    let number = session.connection().last_insert_rowid();
    session.run(TEST_PAYLOAD, params![number, &event.payload[..]])?;
    let lane = Lane::find_or_make(session, &head.tenant, delivery.webhook)?.n;
    let (id, event_type) = (delivery.id, delivery.event_type.as_str());
    let row = NewRow { id, tenant: &head.tenant, lane, event: number, event_type, origin: delivery.origin };
    let n = row.insert(session, delivery.status, delivery.created_at).map_err(duplicate)?;
    let error = delivery.last_error.as_ref().map(Stored::to_stored).transpose()?;
    let updated_at = nanos(delivery.updated_at);
    session.run(TEST_RESULT, params![n, delivery.attempts, updated_at, delivery.last_status, error])?;
    session.run(LOG, params![n, attempt.id.as_uuid().as_bytes(), attempt.to_stored()?])?;
    note(session, activity)
}

pub(super) fn resend(
    session: &Session<'_>,
    tenant: &TenantId,
    past: DeliveryId,
    id: DeliveryId,
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<Delivery> {
    let step = "resend a delivery";
    let row = |id: DeliveryId| found(session, tenant, id);
    let (_, event, past) = row(past)?.ok_or_else(|| missing(step))?;
    let lane = Lane::find(session, tenant, past.webhook)?.ok_or_else(|| missing(step))?;
    match lane.state.refusal() {
        Some(SkipReason::WebhookDeleted) => return Err(missing(step)),
        Some(_) => return Err(Fault::new(ErrorKind::Conflict, step)),
        None if !session.finds(HAS_PAYLOAD, [event])? => return Err(missing(step)),
        None if is_known(session, id)? => return Err(Fault::new(ErrorKind::Conflict, step)),
        None => {}
    }
    let (event_type, origin) = (past.event_type.as_str(), Origin::Resend);
    NewRow { id, tenant, lane: lane.n, event, event_type, origin }.send_again(session, now)?;
    lane.save(session, Caps::present(session)?, now)?;
    note(session, activity)?;
    row(id)?.map(|(_, _, delivery)| delivery).ok_or_else(|| Fault::new(ErrorKind::Internal, step))
}

pub(super) fn release_stopped(
    session: &Session<'_>,
    tenant: &TenantId,
    webhook: WebhookId,
    head: StoppedHead,
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<u64> {
    let lane =
        Lane::find_present(session, tenant, webhook)?.ok_or_else(|| missing("release stopped deliveries"))?;
    let stopped = session.all(STOPPED_OF_LANE, params![lane.n, STOPPED], |row| {
        let place = Place { n: row.get(0)?, lane: lane.n, order_key: row.get(1)? };
        Ok((place, row.get::<_, i64>(2)?))
    })?;
    for (place, attempts) in &stopped {
        match head {
            StoppedHead::Skip => {
                place.end(
                    session,
                    DeliveryStatus::DeadLetter(DeadReason::SkippedByPerson),
                    *attempts,
                    now,
                )?;
            }
            StoppedHead::Retry => {
                session.run(ANEW_DELIVERY, params![place.n, nanos(now)])?;
                session.run(ANEW, params![place.n, nanos(now)])?;
                place.wait(session, nanos(now))?;
            }
        }
    }
    lane.save(session, Caps::present(session)?, now)?;
    note(session, activity)?;
    Ok(stopped.len() as u64)
}

/// What a turn of erasing has done: it takes turns, so that others can write in between.
pub(super) struct ErasedPart {
    pub(super) erasure: Erasure,
    /// The event behind which the next turn goes on; `None` if nothing is left.
    pub(super) goes_on: Option<i64>,
}

/// No more events are erased in one turn.
const EVENTS_AT_ONCE: usize = 500;

/// Erases some of the events about a subject, from behind this one; the last turn writes the activity.
pub(super) fn erase_subject(
    session: &Session<'_>,
    tenant: &TenantId,
    subject: &str,
    behind: i64,
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<ErasedPart> {
    let mut erasure = Erasure::default();
    let named = params![tenant.as_str(), subject, behind, limit(EVENTS_AT_ONCE)];
    let events =
        session.all(EVENTS_ABOUT, named, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))?;
    let goes_on = events.last().filter(|_| events.len() == EVENTS_AT_ONCE).map(|&(event, _)| event);
    let mut touched = BTreeSet::new();
    for (event, has_payload) in events {
        erasure.events += u64::from(has_payload);
        drop_payload(session, event)?;
        let waiting = session.all(WAITING_OF_EVENT, params![event, nanos(now)], |row| {
            let place = Place { n: row.get(0)?, lane: row.get(1)?, order_key: row.get(2)? };
            Ok((place, row.get::<_, i64>(3)?))
        })?;
        for (place, attempts) in waiting {
            place.end(session, DeliveryStatus::Skipped(SkipReason::Erased), attempts, now)?;
            touched.insert(place.lane);
            erasure.skipped += 1;
        }
    }
    let caps = Caps::present(session)?;
    for lane in touched {
        Lane::load(session, lane)?.save(session, caps, now)?;
    }
    if goes_on.is_none() {
        note(session, activity)?;
    }
    Ok(ErasedPart { erasure, goes_on })
}

/// Drops an event's payload, and what attempts have logged about it.
pub(super) fn drop_payload(session: &Session<'_>, event: i64) -> Done<()> {
    let attempts = session.all(ATTEMPTS_OF_EVENT, [event], |row| {
        Ok((row.get::<_, i64>(0)?, uuid(row, 1)?, readable(stored::<Attempt>(row, 2))?))
    })?;
    for (delivery, id, attempt) in attempts {
        let Some(mut attempt) = attempt else {
            // Nobody can tell what it says of the event.
            session.run(FORGET_ATTEMPT, params![delivery, id.as_bytes()])?;
            continue;
        };
        attempt.forget_contents();
        session.run(FORGET_CONTENTS, params![delivery, id.as_bytes(), attempt.to_stored()?])?;
    }
    session.run(DROP_PAYLOAD, [event])?;
    session.run(HAS_NO_PAYLOAD, [event])?;
    Ok(())
}

const TEST_EVENT: &str = "INSERT INTO crossdock_event \
    (id, tenant, event_type, subject, published_at, in_outbox, has_payload, head) \
    VALUES (?1, ?2, ?3, ?4, ?5, 0, 1, ?6)";
const TEST_PAYLOAD: &str = "INSERT INTO crossdock_payload (event, bytes) VALUES (?1, ?2)";
const TEST_RESULT: &str = "UPDATE crossdock_delivery \
    SET attempts = ?2, updated_at = ?3, last_status = ?4, last_error = ?5 WHERE n = ?1";
const LOG: &str = "INSERT INTO crossdock_attempt (delivery, id, body) VALUES (?1, ?2, ?3)";
const HAS_PAYLOAD: &str = "SELECT 1 FROM crossdock_event WHERE n = ?1 AND has_payload";
const STOPPED_OF_LANE: &str =
    "SELECT n, order_key, attempts FROM crossdock_work WHERE lane = ?1 AND place = ?2";
const ANEW_DELIVERY: &str =
    "UPDATE crossdock_delivery SET status = 'pending', attempts = 0, updated_at = ?2 WHERE n = ?1";
const ANEW: &str = "UPDATE crossdock_work SET attempts = 0, updated_at = ?2 WHERE n = ?1";
const EVENTS_ABOUT: &str = "SELECT n, has_payload FROM crossdock_event WHERE tenant = ?1 AND subject = ?2 AND n > ?3 ORDER BY n LIMIT ?4";
const WAITING_OF_EVENT: &str = "SELECT w.n, w.lane, w.order_key, w.attempts FROM crossdock_delivery d \
    CROSS JOIN crossdock_work w ON w.n = d.n \
    WHERE d.event = ?1 AND NOT (w.place = 2 AND w.due > ?2) ORDER BY w.n";
const ATTEMPTS_OF_EVENT: &str = "SELECT a.delivery, a.id, a.body FROM crossdock_delivery d \
    CROSS JOIN crossdock_attempt a ON a.delivery = d.n WHERE d.event = ?1";
const FORGET_CONTENTS: &str = "UPDATE crossdock_attempt SET body = ?3 WHERE delivery = ?1 AND id = ?2";
const FORGET_ATTEMPT: &str = "DELETE FROM crossdock_attempt WHERE delivery = ?1 AND id = ?2";
const DROP_PAYLOAD: &str = "DELETE FROM crossdock_payload WHERE event = ?1";
const HAS_NO_PAYLOAD: &str = "UPDATE crossdock_event SET has_payload = 0 WHERE n = ?1";
