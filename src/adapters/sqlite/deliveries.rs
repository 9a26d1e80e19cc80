//! Deliveries as an administrator sees and repairs them.

use std::fmt::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::{note, page_of};
use crate::adapters::sqlite::columns::{
    bytes, count, limit, nanos, small, stored, stored_or_null, tenant as read_tenant, text, time, uuid,
};
use crate::adapters::sqlite::fault::{Done, Fault, corrupt};
use crate::adapters::sqlite::lane::{Caps, Lane};
use crate::adapters::sqlite::order::{Place, STOPPED};
use crate::adapters::sqlite::outbox::NewRow;
use crate::adapters::sqlite::session::Session;
use crate::adapters::sqlite::webhooks::missing;
use crate::error::{Error, ErrorKind};
use crate::events::model::{Event, EventHead};
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{
    Attempt, DeadReason, Delivery, DeliveryFilter, DeliveryRecord, DeliveryStatus, Include, Origin,
    ReplayFilter, SkipReason, StatusKind,
};
use crate::webhooks::repository::{Erasure, StoppedHead};

pub(super) fn event(session: &Session<'_>, tenant: &TenantId, id: EventId) -> Done<Option<Arc<Event>>> {
    session.first(EVENT, params![id.as_uuid().as_bytes(), tenant.as_str()], |row| {
        let head = stored::<EventHead>(row, 0)?;
        Ok(Arc::new(Event::new(head, bytes(row, 1)?.unwrap_or_default())))
    })
}

pub(super) fn delivery(
    session: &Session<'_>,
    tenant: &TenantId,
    id: DeliveryId,
    include: Include,
) -> Done<Option<DeliveryRecord>> {
    let found = session.first(DELIVERY, params![id.as_uuid().as_bytes(), tenant.as_str()], read)?;
    found.map(|found| record(session, found, include)).transpose()
}

pub(super) fn deliveries(
    session: &Session<'_>,
    tenant: &TenantId,
    filter: &DeliveryFilter,
    include: Include,
    page: PageRequest,
) -> Done<Page<DeliveryRecord>> {
    let mut query = Query::new(LISTED);
    query.with("d.tenant = ", tenant.as_str().to_owned());
    if let Some(webhook) = filter.webhook {
        let Some(lane) = Lane::find(session, tenant, webhook)? else {
            return Ok(Page::new(Vec::new(), None));
        };
        query.with("d.lane = ", lane.n);
    }
    if let Some(event) = filter.event {
        let event = session.number(EVENT_NUMBER, [event.as_uuid().as_bytes()])?;
        let Some(event) = event else { return Ok(Page::new(Vec::new(), None)) };
        query.with("d.event = ", event);
    }
    if let Some(cursor) = page.cursor() {
        query.with("d.id < ", cursor.row().into_bytes().to_vec());
    }
    query.between(filter.from, filter.to);
    query.of_types(filter.event_types.iter().map(|event_type| event_type.as_str()));
    query.of_kinds(&filter.statuses);
    match filter.success {
        Some(true) => query.and("d.status = 'delivered'"),
        Some(false) => query.and("d.status <> 'delivered'"),
        None => {}
    }
    query.end("ORDER BY d.id DESC", page.limit() + 1);
    let found = page_of(query.all(session, read)?, page, |(_, _, delivery): &Found| {
        Cursor::behind(delivery.id.as_uuid())
    });
    let items = found.items.into_iter().map(|found| record(session, found, include)).collect::<Done<_>>()?;
    Ok(Page::new(items, found.next))
}

/// Number, event and what people see.
type Found = (i64, i64, Delivery);

fn read(row: &Row<'_>) -> Done<Found> {
    let event = EventId::from_uuid(uuid(row, 5)?);
    let event_type = text(row, 6)?.parse().map_err(|_| corrupt("an event's type is none"))?;
    let webhook = WebhookId::from_uuid(uuid(row, 4)?);
    let (id, made_at) = (DeliveryId::from_uuid(uuid(row, 2)?), time(row.get(10)?));
    let origin: Origin = stored(row, 7)?;
    let mut delivery = Delivery::new(id, read_tenant(row, 3)?, webhook, event, event_type, origin, made_at);
    delivery.status = stored(row, 8)?;
    delivery.attempts = small(row, 9)?;
    delivery.updated_at = time(row.get(11)?);
    delivery.last_status = row.get(12)?;
    delivery.last_error = stored_or_null(row, 13)?;
    delivery.next_attempt_at = row.get::<_, Option<i64>>(14)?.map(time);
    Ok((row.get(0)?, row.get(1)?, delivery))
}

fn record(session: &Session<'_>, (n, event, delivery): Found, include: Include) -> Done<DeliveryRecord> {
    let mut record = DeliveryRecord::new(delivery);
    if include.payload {
        record.payload = session.first(PAYLOAD, [event], |row| bytes(row, 0))?.flatten();
    }
    if include.attempts {
        record.attempts = session.all(ATTEMPTS, [n], |row| Ok(Arc::new(stored::<Attempt>(row, 0)?)))?;
        // A lost attempt may be logged after a later one.
        record.attempts.sort_by_key(|attempt| (attempt.started_at, attempt.id));
    }
    Ok(record)
}

/// Past deliveries of one lane that a replay sends once more, oldest first.
pub(super) struct Wanted<'a> {
    lane: i64,
    filter: &'a ReplayFilter,
    behind: Option<DeliveryId>,
}

/// One of them.
pub(super) struct Past {
    pub(super) id: DeliveryId,
    pub(super) event: i64,
    pub(super) event_type: String,
}

impl<'a> Wanted<'a> {
    pub(super) const fn replayed(lane: i64, filter: &'a ReplayFilter) -> Self {
        Self { lane, filter, behind: None }
    }

    /// Only those behind this one.
    pub(super) const fn behind(mut self, last: Option<DeliveryId>) -> Self {
        self.behind = last;
        self
    }

    fn narrow(&self, query: &mut Query) {
        query.with("d.lane = ", self.lane);
        query.and("d.origin = 'live'");
        query.and("EXISTS (SELECT 1 FROM crossdock_event e WHERE e.n = d.event AND e.has_payload)");
        if let Some(behind) = self.behind {
            query.with("d.id > ", behind.as_uuid().into_bytes().to_vec());
        }
        query.between(Some(self.filter.from), Some(self.filter.to));
        query.of_types(self.filter.event_types.iter().map(|event_type| event_type.as_str()));
        query.of_kinds(&self.filter.statuses);
    }
}

pub(super) fn count_wanted(session: &Session<'_>, wanted: &Wanted<'_>) -> Done<u64> {
    let mut query = Query::new("SELECT count(*) FROM crossdock_delivery d WHERE 1 = 1");
    wanted.narrow(&mut query);
    let counts = query.all(session, |row| count(row, 0))?;
    Ok(counts.into_iter().sum())
}

pub(super) fn find_wanted(session: &Session<'_>, wanted: &Wanted<'_>, most: usize) -> Done<Vec<Past>> {
    let mut query = Query::new("SELECT d.id, d.event, d.event_type FROM crossdock_delivery d WHERE 1 = 1");
    wanted.narrow(&mut query);
    query.end("ORDER BY d.id", most);
    query.all(session, |row| {
        Ok(Past { id: DeliveryId::from_uuid(uuid(row, 0)?), event: row.get(1)?, event_type: row.get(2)? })
    })
}

pub(super) fn is_known(session: &Session<'_>, id: DeliveryId) -> Done<bool> {
    session.finds(KNOWN, [id.as_uuid().as_bytes()])
}

/// A statement with conditions that differ from call to call: texts of ours, and numbered values.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.and(condition);
        self.value(value);
    }

    fn value(&mut self, value: impl Into<Value>) {
        self.values.push(value.into());
        // Writing to a string does not fail.
        let _ = write!(self.sql, "?{}", self.values.len());
    }

    fn between(&mut self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) {
        if let Some(from) = from {
            self.with("d.created_at >= ", nanos(from));
        }
        if let Some(to) = to {
            self.with("d.created_at < ", nanos(to));
        }
    }

    fn of_types<'t>(&mut self, types: impl ExactSizeIterator<Item = &'t str>) {
        if types.len() == 0 {
            return;
        }
        self.and("d.event_type IN (");
        for (index, event_type) in types.enumerate() {
            self.sql.push_str(if index == 0 { "" } else { ", " });
            self.value(event_type.to_owned());
        }
        self.sql.push(')');
    }

    fn of_kinds(&mut self, kinds: &[StatusKind]) {
        if kinds.is_empty() {
            return;
        }
        // A status is its kind, or its kind and behind a dot the reason.
        let kinds: Vec<_> = kinds.iter().map(|kind| format!("d.status GLOB '{}*'", kind.as_str())).collect();
        self.and(&format!("({})", kinds.join(" OR ")));
    }

    fn end(&mut self, order: &str, most: usize) {
        self.sql.push(' ');
        self.sql.push_str(order);
        self.sql.push_str(" LIMIT ");
        self.value(limit(most));
    }

    fn all<T>(self, session: &Session<'_>, mut read: impl FnMut(&Row<'_>) -> Done<T>) -> Done<Vec<T>> {
        let mut statement = session.connection().prepare(&self.sql)?;
        let mut rows = statement.query(params_from_iter(self.values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

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
    let row =
        |id: DeliveryId| session.first(DELIVERY, params![id.as_uuid().as_bytes(), tenant.as_str()], read);
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

pub(super) fn erase_subject(
    session: &Session<'_>,
    tenant: &TenantId,
    subject: &str,
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<Erasure> {
    let mut erasure = Erasure::default();
    let events = session.all(EVENTS_ABOUT, params![tenant.as_str(), subject], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?))
    })?;
    let mut touched = std::collections::BTreeSet::new();
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
    note(session, activity)?;
    Ok(erasure)
}

/// Drops an event's payload, and what attempts have logged about it.
pub(super) fn drop_payload(session: &Session<'_>, event: i64) -> Done<()> {
    let attempts = session.all(ATTEMPTS_OF_EVENT, [event], |row| {
        Ok((row.get::<_, i64>(0)?, uuid(row, 1)?, stored::<Attempt>(row, 2)?))
    })?;
    for (delivery, id, mut attempt) in attempts {
        attempt.forget_contents();
        session.run(FORGET_CONTENTS, params![delivery, id.as_bytes(), attempt.to_stored()?])?;
    }
    session.run(DROP_PAYLOAD, [event])?;
    session.run(HAS_NO_PAYLOAD, [event])?;
    Ok(())
}

macro_rules! listed {
    ($rest:literal) => {
        concat!(
            "SELECT d.n, d.event, d.id, d.tenant, l.webhook, e.id, d.event_type, d.origin, d.status, ",
            "coalesce(w.attempts, d.attempts), d.created_at, coalesce(w.updated_at, d.updated_at), ",
            "d.last_status, d.last_error, CASE w.place WHEN 3 THEN NULL ELSE w.due END ",
            "FROM crossdock_delivery d ",
            "CROSS JOIN crossdock_lane l ON l.n = d.lane ",
            "CROSS JOIN crossdock_event e ON e.n = d.event ",
            "LEFT JOIN crossdock_work w ON w.n = d.n ",
            $rest
        )
    };
}

const LISTED: &str = listed!("WHERE 1 = 1");
const DELIVERY: &str = listed!("WHERE d.id = ?1 AND d.tenant = ?2");
const EVENT: &str = "SELECT e.head, p.bytes FROM crossdock_event e \
    LEFT JOIN crossdock_payload p ON p.event = e.n WHERE e.id = ?1 AND e.tenant = ?2";
const EVENT_NUMBER: &str = "SELECT n FROM crossdock_event WHERE id = ?1";
const PAYLOAD: &str = "SELECT bytes FROM crossdock_payload WHERE event = ?1";
const ATTEMPTS: &str = "SELECT body FROM crossdock_attempt WHERE delivery = ?1";
const KNOWN: &str = "SELECT 1 FROM crossdock_delivery WHERE id = ?1";
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
const EVENTS_ABOUT: &str =
    "SELECT n, has_payload FROM crossdock_event WHERE tenant = ?1 AND subject = ?2 ORDER BY n";
const WAITING_OF_EVENT: &str = "SELECT w.n, w.lane, w.order_key, w.attempts FROM crossdock_delivery d \
    CROSS JOIN crossdock_work w ON w.n = d.n \
    WHERE d.event = ?1 AND NOT (w.place = 2 AND w.due > ?2) ORDER BY w.n";
const ATTEMPTS_OF_EVENT: &str = "SELECT a.delivery, a.id, a.body FROM crossdock_delivery d \
    CROSS JOIN crossdock_attempt a ON a.delivery = d.n WHERE d.event = ?1";
const FORGET_CONTENTS: &str = "UPDATE crossdock_attempt SET body = ?3 WHERE delivery = ?1 AND id = ?2";
const DROP_PAYLOAD: &str = "DELETE FROM crossdock_payload WHERE event = ?1";
const HAS_NO_PAYLOAD: &str = "UPDATE crossdock_event SET has_payload = 0 WHERE n = ?1";
