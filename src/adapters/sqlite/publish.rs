//! Publish: an event, its payload, its place in the outbox and its idempotency key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::params;
use uuid::Uuid;

use crate::adapters::sqlite::columns::{earlier, nanos, uuid};
use crate::adapters::sqlite::fault::{Done, Fault, corrupt};
use crate::adapters::sqlite::session::Session;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::id::EventId;
use crate::primitives::stored::Stored;
use crate::webhooks::conflicts::{event_exists, key_was_used};
use crate::webhooks::model::{Publication, Published};

/// What publishing writes, as values for columns: for hosts whose transaction belongs to another driver than `rusqlite`.
///
/// [`publish_statements`] says where each of them goes.
///
/// ```
/// use std::sync::Arc;
///
/// use chrono::DateTime;
/// use crossdock::adapters::sqlite::PublicationRow;
/// use crossdock::events::{Event, EventHead};
/// use crossdock::primitives::EventId;
/// use crossdock::webhooks::Publication;
///
/// let now = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(now, [7; 10]), "org_42".parse()?, "shipment.shipped".parse()?, now);
/// let publication = Publication::new(Arc::new(Event::new(head, "{}")), [0; 32]);
///
/// let row = PublicationRow::of(&publication)?;
///
/// assert_eq!((row.tenant.as_str(), row.event_type.as_str()), ("org_42", "shipment.shipped"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct PublicationRow {
    /// The event's id.
    pub id: [u8; 16],
    /// Whose it is.
    pub tenant: String,
    /// What happened.
    pub event_type: String,
    /// Whom or what it is about.
    pub subject: Option<String>,
    /// When it was published, in nanoseconds since 1970.
    pub published_at: i64,
    /// Everything but the payload, as text.
    pub head: String,
    /// The payload, byte for byte.
    pub payload: bytes::Bytes,
    /// The idempotency key.
    pub key: Option<String>,
    /// What the key is compared with.
    pub digest: [u8; 32],
    /// Keys that were used at this time or earlier, in nanoseconds since 1970, are forgotten.
    pub forgotten: i64,
}

/// The statements of publishing; their parameters are numbered, and are fields of [`PublicationRow`].
///
/// In this order, in one transaction: if there is a key, `find_key`. If it gives a row, the event was published before: its id
/// is the first column, and the digest in the second must be equal, else the key was used for something else. If not,
/// `write_event` and `write_payload`, and `write_key` if there is a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PublishStatements {
    /// `?1` tenant, `?2` key, `?3` forgotten; gives id and digest of the event that has used the key.
    pub find_key: &'static str,
    /// `?1` id, `?2` tenant, `?3` event_type, `?4` subject, `?5` published_at, `?6` head.
    pub write_event: &'static str,
    /// `?1` payload; on the same connection right after `write_event`.
    pub write_payload: &'static str,
    /// `?1` tenant, `?2` key, `?3` id, `?4` digest, `?5` published_at.
    pub write_key: &'static str,
}

/// The statements that a driver other than `rusqlite` runs to publish in a transaction of its own.
///
/// ```
/// use crossdock::adapters::sqlite::publish_statements;
///
/// assert!(publish_statements().write_event.starts_with("INSERT INTO crossdock_event"));
/// ```
pub const fn publish_statements() -> PublishStatements {
    PublishStatements {
        find_key: FIND_KEY,
        write_event: WRITE_EVENT,
        write_payload: WRITE_PAYLOAD,
        write_key: WRITE_KEY,
    }
}

impl PublicationRow {
    /// The columns of this publication, in a transaction of the host's own.
    ///
    /// # Errors
    /// `Invalid` if the event holds something that cannot be kept.
    pub fn of(publication: &Publication) -> Result<Self> {
        let now = publication.event.head.published_at;
        Self::at(publication, publication.remembered, now)
    }

    /// The columns of this publication at this time.
    pub(super) fn at(publication: &Publication, remembered: Duration, now: DateTime<Utc>) -> Result<Self> {
        let head = &publication.event.head;
        Ok(Self {
            id: head.id.as_uuid().into_bytes(),
            tenant: head.tenant.as_str().to_owned(),
            event_type: head.event_type.as_str().to_owned(),
            subject: head.subject.as_deref().map(str::to_owned),
            published_at: nanos(head.published_at),
            head: head.to_stored()?,
            payload: publication.event.payload.clone(),
            key: publication.idempotency_key.as_deref().map(str::to_owned),
            digest: publication.digest,
            forgotten: earlier(now, remembered),
        })
    }
}

impl std::fmt::Debug for PublicationRow {
    /// Head and payload are left out: they are the tenant's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicationRow")
            .field("tenant", &self.tenant)
            .field("event_type", &self.event_type)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Writes events; `used_at` is when their keys are used.
pub(super) fn publish(
    session: &Session<'_>,
    rows: &[PublicationRow],
    used_at: Option<i64>,
) -> Done<Vec<Published>> {
    rows.iter().enumerate().map(|(index, row)| publish_one(session, index, row, used_at)).collect()
}

fn publish_one(
    session: &Session<'_>,
    index: usize,
    row: &PublicationRow,
    used_at: Option<i64>,
) -> Done<Published> {
    if let Some(key) = &row.key {
        let known = session.first(FIND_KEY, params![row.tenant, key, row.forgotten], |known| {
            let digest = known.get_ref(1)?.as_blob().map_err(|_| corrupt("a digest is no blob"))?;
            Ok((uuid(known, 0)?, digest == row.digest))
        })?;
        match known {
            Some((event, true)) => return Ok(Published::new(EventId::from_uuid(event), false)),
            Some((_, false)) => return Err(conflict(key_was_used(index))),
            None => {}
        }
    }
    let event = params![row.id, row.tenant, row.event_type, row.subject, row.published_at, row.head];
    session.run(WRITE_EVENT, event).map_err(|fault| taken(fault, index))?;
    session.run(WRITE_PAYLOAD, [&row.payload[..]])?;
    if let Some(key) = &row.key {
        let at = used_at.unwrap_or(row.published_at);
        session.run(WRITE_KEY, params![row.tenant, key, row.id, row.digest, at])?;
    }
    Ok(Published::new(EventId::from_uuid(Uuid::from_bytes(row.id)), true))
}

fn conflict(problem: Problem) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Conflict, STEP).with_problem(problem))
}

fn taken(fault: Fault, index: usize) -> Fault {
    if fault.is_duplicate() { conflict(event_exists(Some(index))) } else { fault }
}

pub(super) const STEP: &str = "publish events";

const FIND_KEY: &str = "SELECT event, digest FROM crossdock_key WHERE tenant = ?1 AND key = ?2 AND at > ?3";
const WRITE_EVENT: &str = "INSERT INTO crossdock_event \
    (id, tenant, event_type, subject, published_at, in_outbox, has_payload, head) \
    VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, ?6)";
const WRITE_PAYLOAD: &str = "INSERT INTO crossdock_payload (event, bytes) VALUES (last_insert_rowid(), ?1)";
const WRITE_KEY: &str =
    "INSERT OR REPLACE INTO crossdock_key (tenant, key, event, digest, at) VALUES (?1, ?2, ?3, ?4, ?5)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn publishing_touches_its_own_rows() {
        let statements = [FIND_KEY, WRITE_EVENT, WRITE_PAYLOAD, WRITE_KEY];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
