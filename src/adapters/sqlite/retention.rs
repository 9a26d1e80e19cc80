//! What goes, and when: retention, and what has waited for too long.

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::adapters::sqlite::activity;
use crate::adapters::sqlite::columns::{earlier, limit, nanos, tenant, uuid};
use crate::adapters::sqlite::fault::Done;
use crate::adapters::sqlite::lane::{Caps, Lane, State};
use crate::adapters::sqlite::order::Place;
use crate::adapters::sqlite::repair::drop_payload;
use crate::adapters::sqlite::session::Session;
use crate::primitives::id::{DeliveryId, WebhookId};
use crate::webhooks::model::{DeadReason, DeliveryStatus, SkipReason};
use crate::webhooks::queue::{Expired, Retention};

pub(super) fn expire(
    session: &Session<'_>,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    most: usize,
) -> Done<Expired> {
    let mut touched = std::collections::BTreeSet::new();
    let mut left = most;
    let mut expired = Expired::default();
    for sql in [REFUSED, ERASED] {
        let refused = session.all(sql, params![nanos(now), limit(left)], |row| {
            let place = Place { n: row.get(0)?, lane: row.get(1)?, order_key: row.get(2)? };
            let refusal = State::read(row, 4)?.refusal().unwrap_or(SkipReason::Erased);
            Ok((place, row.get::<_, i64>(3)?, refusal))
        })?;
        left -= refused.len();
        expired.skipped += refused.len() as u64;
        for (place, attempts, reason) in refused {
            place.end(session, DeliveryStatus::Skipped(reason), attempts, now)?;
            touched.insert(place.lane);
        }
    }
    let old = session.all(OLD, params![nanos(before), nanos(now), limit(left)], |row| {
        let place = Place { n: row.get(0)?, lane: row.get(1)?, order_key: row.get(2)? };
        let name =
            (tenant(row, 4)?, WebhookId::from_uuid(uuid(row, 5)?), DeliveryId::from_uuid(uuid(row, 6)?));
        Ok((place, row.get::<_, i64>(3)?, name))
    })?;
    for (place, attempts, name) in old {
        place.end(session, DeliveryStatus::DeadLetter(DeadReason::Expired), attempts, now)?;
        touched.insert(place.lane);
        expired.deliveries.push(name);
    }
    let caps = Caps::present(session)?;
    for lane in touched {
        Lane::load(session, lane)?.save(session, caps, now)?;
    }
    Ok(expired)
}

/// What a turn of tidying has done: it takes turns, so that others can write in between.
pub(super) struct Tidied {
    pub(super) gone: u64,
    pub(super) is_over: bool,
}

/// Drops some of what is past its retention.
pub(super) fn tidy(session: &Session<'_>, retention: Retention, now: DateTime<Utc>) -> Done<Tidied> {
    let (history, payloads) = (earlier(now, retention.history), earlier(now, retention.payloads));
    let mut gone = 0;
    let mut is_over = true;
    let mut went = |count: usize| {
        gone += count as u64;
        is_over &= count < TURN;
    };
    let turn = limit(TURN);
    went(session.run(FORGET_KEYS, params![earlier(now, retention.idempotency_keys), turn])?);
    went(session.run(FORGET_REPLAYS, params![history, turn])?);
    activity::forget(session, history, TURN)?.into_iter().for_each(&mut went);
    let rows = session.all(OLD_DELIVERIES, params![history, turn], |row| Ok(row.get::<_, i64>(0)?))?;
    went(rows.len());
    for n in rows {
        went(session.run(FORGET_ATTEMPTS, [n])?);
        session.run(FORGET_DELIVERY, [n])?;
    }
    let dropped = session.all(OLD_PAYLOADS, params![payloads, turn], |row| Ok(row.get::<_, i64>(0)?))?;
    went(dropped.len());
    for event in dropped {
        drop_payload(session, event)?;
    }
    let events = session.all(OLD_EVENTS, params![history, turn], |row| Ok(row.get::<_, i64>(0)?))?;
    went(events.len());
    for event in events {
        session.run(FORGET_PAYLOAD, [event])?;
        session.run(FORGET_EVENT, [event])?;
    }
    if is_over {
        session.run(FORGET_LANES, [])?;
    }
    Ok(Tidied { gone, is_over })
}

/// No more rows of a kind go in one turn.
const TURN: usize = 1_000;

/// What is left of webhooks that are disabled or gone. Lane by lane, so that an index finds them.
const REFUSED: &str = "SELECT w.n, w.lane, w.order_key, w.attempts, l.state FROM crossdock_lane l \
    CROSS JOIN crossdock_work w ON w.lane = l.n AND NOT (w.place = 2 AND w.due > ?1) WHERE l.state >= 2 LIMIT ?2";
/// What was claimed and lost, and erased meanwhile.
const ERASED: &str = "SELECT w.n, w.lane, w.order_key, w.attempts, l.state FROM crossdock_lane l \
    CROSS JOIN crossdock_work w ON w.lane = l.n AND w.place = 2 AND w.replay IN (0, 1) AND w.due <= ?1 \
    CROSS JOIN crossdock_delivery d ON d.n = w.n \
    CROSS JOIN crossdock_event e ON e.n = d.event \
    WHERE NOT e.has_payload LIMIT ?2";
const OLD: &str = "SELECT w.n, w.lane, w.order_key, w.attempts, l.tenant, l.webhook, d.id FROM crossdock_lane l \
    CROSS JOIN crossdock_work w ON w.lane = l.n AND w.created_at < ?1 \
    CROSS JOIN crossdock_delivery d ON d.n = w.n \
    WHERE NOT (w.place = 2 AND w.due > ?2) LIMIT ?3";
const FORGET_KEYS: &str = "DELETE FROM crossdock_key WHERE (tenant, key) IN \
    (SELECT tenant, key FROM crossdock_key WHERE at <= ?1 ORDER BY at LIMIT ?2)";
const FORGET_REPLAYS: &str = "DELETE FROM crossdock_replay WHERE id IN \
    (SELECT id FROM crossdock_replay WHERE state <> 'running' AND updated_at < ?1 LIMIT ?2)";
const OLD_DELIVERIES: &str = "SELECT n FROM crossdock_delivery INDEXED BY crossdock_delivery_age \
    WHERE status <> 'pending' AND status <> 'stopped' AND created_at < ?1 ORDER BY created_at LIMIT ?2";
const FORGET_ATTEMPTS: &str = "DELETE FROM crossdock_attempt WHERE delivery = ?1";
const FORGET_DELIVERY: &str = "DELETE FROM crossdock_delivery WHERE n = ?1";
const OLD_PAYLOADS: &str = "SELECT e.n FROM crossdock_event e INDEXED BY crossdock_event_age \
    WHERE e.has_payload = 1 AND e.published_at < ?1 AND e.in_outbox = 0 \
    AND NOT EXISTS (SELECT 1 FROM crossdock_delivery d CROSS JOIN crossdock_work w ON w.n = d.n WHERE d.event = e.n) \
    ORDER BY e.published_at LIMIT ?2";
const OLD_EVENTS: &str = "SELECT e.n FROM crossdock_event e INDEXED BY crossdock_event_age \
    WHERE e.has_payload IN (0, 1) AND e.published_at < ?1 AND e.in_outbox = 0 \
    AND NOT EXISTS (SELECT 1 FROM crossdock_delivery d WHERE d.event = e.n) LIMIT ?2";
const FORGET_PAYLOAD: &str = "DELETE FROM crossdock_payload WHERE event = ?1";
const FORGET_EVENT: &str = "DELETE FROM crossdock_event WHERE n = ?1";
/// Lanes whose webhook is gone outlive it only as long as there are deliveries.
const FORGET_LANES: &str = "DELETE FROM crossdock_lane WHERE state = 3 \
    AND NOT EXISTS (SELECT 1 FROM crossdock_delivery d WHERE d.lane = crossdock_lane.n)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn retention_looks_only_at_what_is_old() {
        let statements = [
            FORGET_KEYS,
            OLD_DELIVERIES,
            FORGET_ATTEMPTS,
            FORGET_DELIVERY,
            OLD_PAYLOADS,
            OLD_EVENTS,
            FORGET_PAYLOAD,
            FORGET_EVENT,
        ];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
