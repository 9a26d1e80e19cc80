//! How a delivery enters and leaves its lane, and which of an order goes next.

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::adapters::sqlite::columns::{limit, nanos};
use crate::adapters::sqlite::fault::Done;
use crate::adapters::sqlite::session::Session;
use crate::primitives::stored::Stored;
use crate::webhooks::model::{DeliveryStatus, SkipReason};

/// A delivery that waits, is leased or is stopped: where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) n: i64,
    pub(super) lane: i64,
    pub(super) order_key: Option<i64>,
}

/// Where a delivery enters its lane: of an order, only the one that is offered may go.
pub(super) const fn entrance(order_key: Option<i64>) -> i64 {
    match order_key {
        None => MAY_GO,
        Some(_) => BEHIND,
    }
}

impl Place {
    /// Lets the delivery wait until it is due, without an attempt.
    pub(super) fn wait(&self, session: &Session<'_>, due: i64) -> Done<()> {
        session.run(WAIT, params![self.n, entrance(self.order_key), due])?;
        self.offer(session)
    }

    /// Ends the delivery, with so many attempts.
    pub(super) fn end(
        &self,
        session: &Session<'_>,
        status: DeliveryStatus,
        attempts: i64,
        now: DateTime<Utc>,
    ) -> Done<()> {
        session.run(END, params![self.n, status.to_stored()?, attempts, nanos(now)])?;
        self.leave(session)
    }

    /// Takes the delivery out of its lane: it has ended.
    pub(super) fn leave(&self, session: &Session<'_>) -> Done<()> {
        session.run(LEAVE, [self.n])?;
        self.offer(session)
    }

    /// Lets the delivery's order go on, if it is in one.
    pub(super) fn offer(&self, session: &Session<'_>) -> Done<()> {
        match self.order_key {
            None => Ok(()),
            Some(key) => offer(session, self.lane, key),
        }
    }
}

/// Lets the one of an order go that may go next, unless one of it is out or the head stands still.
pub(super) fn offer(session: &Session<'_>, lane: i64, key: i64) -> Done<()> {
    let first_in = |place: i64| {
        session.first(FIRST_OF_ORDER, params![lane, key, place], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
    };
    let offered = first_in(MAY_GO)?;
    let wanted = if first_in(LEASED)?.is_some() {
        None
    } else {
        let heads = [(first_in(BEHIND)?, true), (offered, true), (first_in(STOPPED)?, false)];
        let head = heads.into_iter().filter_map(|(head, may_go)| Some((head?, may_go))).min();
        head.filter(|&(_, may_go)| may_go).map(|(head, _)| head)
    };
    if wanted == offered {
        return Ok(());
    }
    for (row, place) in [(offered, BEHIND), (wanted, MAY_GO)] {
        if let Some((_, n)) = row {
            session.run(PUT, [n, place])?;
        }
    }
    Ok(())
}

/// Ends what nobody has claimed of a lane, oldest first; of very much, only so much that others can soon write again. The rest is
/// left to the chores.
pub(super) fn end_unclaimed(
    session: &Session<'_>,
    lane: i64,
    reason: SkipReason,
    now: DateTime<Utc>,
) -> Done<()> {
    let unclaimed = session.all(UNCLAIMED, params![lane, nanos(now), limit(MOST_AT_ONCE)], |row| {
        Ok((Place { n: row.get(0)?, lane, order_key: row.get(1)? }, row.get::<_, i64>(2)?))
    })?;
    for (place, attempts) in unclaimed {
        place.end(session, DeliveryStatus::Skipped(reason), attempts, now)?;
    }
    Ok(())
}

/// No more deliveries of a lane end with the step that disables or removes their webhook.
const MOST_AT_ONCE: usize = 2_000;

pub(super) const MAY_GO: i64 = 0;
pub(super) const BEHIND: i64 = 1;
pub(super) const LEASED: i64 = 2;
pub(super) const STOPPED: i64 = 3;

const WAIT: &str = "UPDATE crossdock_work SET place = ?2, due = ?3 WHERE n = ?1";
const END: &str = "UPDATE crossdock_delivery SET status = ?2, attempts = ?3, updated_at = ?4 WHERE n = ?1";
const LEAVE: &str = "DELETE FROM crossdock_work WHERE n = ?1";
const PUT: &str = "UPDATE crossdock_work SET place = ?2 WHERE n = ?1";
const FIRST_OF_ORDER: &str = "SELECT sequence, n FROM crossdock_work \
    WHERE lane = ?1 AND order_key = ?2 AND place = ?3 ORDER BY sequence, n LIMIT 1";
const UNCLAIMED: &str = "SELECT n, order_key, attempts FROM crossdock_work \
    WHERE lane = ?1 AND NOT (place = 2 AND due > ?2) ORDER BY created_at, n LIMIT ?3";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn an_order_is_looked_at_by_its_index() {
        let statements = [WAIT, END, LEAVE, PUT, FIRST_OF_ORDER, UNCLAIMED];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
