//! Deliveries as an administrator sees them.

use std::fmt::Write;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use crate::adapters::sqlite::activity::page_of;
use crate::adapters::sqlite::columns::{
    bytes, count, limit, nanos, small, stored, stored_or_null, tenant as read_tenant, text, time, uuid,
};
use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::adapters::sqlite::lane::Lane;
use crate::adapters::sqlite::session::Session;
use crate::events::model::{Event, EventHead};
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{
    Attempt, Delivery, DeliveryFilter, DeliveryRecord, Include, Origin, ReplayFilter, StatusKind,
};

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
    found(session, tenant, id)?.map(|found| record(session, found, include)).transpose()
}

/// One of this tenant's deliveries.
pub(super) fn found(session: &Session<'_>, tenant: &TenantId, id: DeliveryId) -> Done<Option<Found>> {
    session.first(DELIVERY, params![id.as_uuid().as_bytes(), tenant.as_str()], read)
}

pub(super) fn deliveries(
    session: &Session<'_>,
    tenant: &TenantId,
    filter: &DeliveryFilter,
    include: Include,
    page: PageRequest,
) -> Done<Page<DeliveryRecord>> {
    // Named, because the planner knows nothing about how many rows each of them would leave.
    let mut query = Query::new(match (filter.event, filter.webhook) {
        (Some(_), _) => LISTED_OF_EVENT,
        (None, Some(_)) => LISTED_OF_LANE,
        (None, None) => LISTED,
    });
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

/// Number, event's number, and what people see.
pub(super) type Found = (i64, i64, Delivery);

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
    let mut query = Query::new(
        "SELECT count(*) FROM crossdock_delivery d INDEXED BY crossdock_delivery_lane WHERE 1 = 1",
    );
    wanted.narrow(&mut query);
    let counts = query.all(session, |row| count(row, 0))?;
    Ok(counts.into_iter().sum())
}

pub(super) fn find_wanted(session: &Session<'_>, wanted: &Wanted<'_>, most: usize) -> Done<Vec<Past>> {
    let mut query = Query::new(
        "SELECT d.id, d.event, d.event_type FROM crossdock_delivery d \
        INDEXED BY crossdock_delivery_lane WHERE 1 = 1",
    );
    wanted.narrow(&mut query);
    query.end("ORDER BY d.id", most);
    query.all(session, |row| {
        Ok(Past { id: DeliveryId::from_uuid(uuid(row, 0)?), event: row.get(1)?, event_type: row.get(2)? })
    })
}

pub(super) fn is_known(session: &Session<'_>, id: DeliveryId) -> Done<bool> {
    session.finds(KNOWN, [id.as_uuid().as_bytes()])
}

/// The first id that can have been minted at this time, or at the beginning of time.
fn first_id(time: Option<DateTime<Utc>>) -> Vec<u8> {
    let time = time.unwrap_or(DateTime::UNIX_EPOCH).max(DateTime::UNIX_EPOCH);
    DeliveryId::mint(time, [0; 10]).as_uuid().into_bytes().to_vec()
}

const A_DAY: TimeDelta = TimeDelta::days(1);

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
            // An id is as old as its delivery, to within what two clocks may differ by: so an index finds the span.
            self.with("d.id >= ", first_id(from.checked_sub_signed(A_DAY)));
        }
        if let Some(to) = to {
            self.with("d.created_at < ", nanos(to));
            // Ids end earlier than times do.
            let end = to.checked_add_signed(A_DAY).filter(|end| end.timestamp_millis() < 1 << 48);
            if end.is_some() {
                self.with("d.id < ", first_id(end));
            }
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

macro_rules! listed {
    ($index:literal, $rest:literal) => {
        concat!(
            "SELECT d.n, d.event, d.id, d.tenant, l.webhook, e.id, d.event_type, d.origin, d.status, ",
            "coalesce(w.attempts, d.attempts), d.created_at, coalesce(w.updated_at, d.updated_at), ",
            "d.last_status, d.last_error, CASE w.place WHEN 3 THEN NULL ELSE w.due END ",
            "FROM crossdock_delivery d ",
            $index,
            "CROSS JOIN crossdock_lane l ON l.n = d.lane ",
            "CROSS JOIN crossdock_event e ON e.n = d.event ",
            "LEFT JOIN crossdock_work w ON w.n = d.n ",
            $rest
        )
    };
}

const LISTED: &str = listed!("INDEXED BY crossdock_delivery_tenant ", "WHERE 1 = 1");
const LISTED_OF_LANE: &str = listed!("INDEXED BY crossdock_delivery_lane ", "WHERE 1 = 1");
const LISTED_OF_EVENT: &str = listed!("INDEXED BY crossdock_delivery_event ", "WHERE 1 = 1");
const DELIVERY: &str = listed!("", "WHERE d.id = ?1 AND d.tenant = ?2");
const EVENT: &str = "SELECT e.head, p.bytes FROM crossdock_event e \
    LEFT JOIN crossdock_payload p ON p.event = e.n WHERE e.id = ?1 AND e.tenant = ?2";
const EVENT_NUMBER: &str = "SELECT n FROM crossdock_event WHERE id = ?1";
const PAYLOAD: &str = "SELECT bytes FROM crossdock_payload WHERE event = ?1";
const ATTEMPTS: &str = "SELECT body FROM crossdock_attempt WHERE delivery = ?1";
const KNOWN: &str = "SELECT 1 FROM crossdock_delivery WHERE id = ?1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn one_delivery_is_found_by_its_id() {
        let statements = [DELIVERY, EVENT, EVENT_NUMBER, PAYLOAD, ATTEMPTS, KNOWN];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }

    #[test]
    fn a_page_is_read_in_the_order_of_an_index() {
        for listed in [LISTED, LISTED_OF_LANE] {
            let narrowed =
                format!("{listed} AND d.tenant = ?1 AND d.lane = ?2 AND d.id < ?3 ORDER BY d.id DESC");

            assert_eq!(scans(&[&narrowed]), Vec::<String>::new());
        }
    }
}
