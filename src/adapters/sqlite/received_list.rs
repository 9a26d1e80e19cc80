//! What was received, as people look at it; replays, and what goes when.

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Row, params};

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::note;
use crate::adapters::sqlite::columns::{bytes, earlier, limit, nanos, small, stored, time, uuid};
use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::adapters::sqlite::session::Session;
use crate::inbound::received::{ReceivedRecord, ReceivedStatus};
use crate::inbound::source::Owner;
use crate::inbound::store::{InboundErasure, InboundExamination, InboundRetention, ReceivedFilter, Replayed};
use crate::inbound::stored::subject_in_store;
use crate::primitives::id::ReceivedId;
use crate::primitives::page::{Cursor, Page, PageRequest};

pub(super) fn list(
    session: &Session<'_>,
    owner: &Owner,
    filter: &ReceivedFilter,
    page: PageRequest,
) -> Done<Page<ReceivedRecord>> {
    let mut found = Vec::new();
    let mut behind = page.cursor();
    // Reads on until the page is full: ids and statuses of a filter are judged here.
    while found.len() <= page.limit() {
        let part = part(session, owner, filter, behind)?;
        let Some(last) = part.last() else { break };
        behind = Some(Cursor::behind(last.received.id.as_uuid()));
        found.extend(part.into_iter().filter(|record| filter.matches(record)));
    }
    Ok(Page::cut(found, page, |record| Cursor::behind(record.received.id.as_uuid())))
}

/// Some of what is behind there, newest first; nothing if nothing is. Rows that are named are looked up: everything else of their owner
/// would be read for each of them.
fn part(
    session: &Session<'_>,
    owner: &Owner,
    filter: &ReceivedFilter,
    behind: Option<Cursor>,
) -> Done<Vec<ReceivedRecord>> {
    if filter.ids.is_empty() {
        return session.all(sql(filter, &LISTS), parameters(owner, filter, behind), record);
    }
    let mut ids = filter.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let mut found = Vec::new();
    for id in ids.iter().rev().filter(|id| behind.is_none_or(|at| id.as_uuid() < at.row())) {
        found.extend(session.first(ONE, params![owner.as_str(), id.as_uuid().as_bytes()], record)?);
    }
    Ok(found)
}

pub(super) fn one(session: &Session<'_>, owner: &Owner, id: ReceivedId) -> Done<Option<ReceivedRecord>> {
    session.first(ONE, params![owner.as_str(), id.as_uuid().as_bytes()], |row| {
        let mut record = record(row)?;
        record.received.body = bytes(row, 10)?.unwrap_or_default();
        Ok(record)
    })
}

pub(super) fn replay(
    session: &Session<'_>,
    owner: &Owner,
    filter: &ReceivedFilter,
    page: PageRequest,
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<Replayed> {
    let mut wanted = Vec::new();
    let mut behind = page.cursor();
    while wanted.len() <= page.limit() {
        let part = part(session, owner, filter, behind)?;
        let Some(last) = part.last() else { break };
        behind = Some(Cursor::behind(last.received.id.as_uuid()));
        let can = |record: &ReceivedRecord| record.status != ReceivedStatus::Pending && record.has_body;
        let ids = part
            .into_iter()
            .filter(|record| can(record) && filter.matches(record))
            .map(|record| record.received.id);
        wanted.extend(ids);
    }
    let wanted = Page::cut(wanted, page, |id| Cursor::behind(id.as_uuid()));
    for id in &wanted.items {
        session.run(BEGIN_ANEW, params![id.as_uuid().as_bytes(), nanos(now)])?;
    }
    note(session, activity)?;
    Ok(Replayed::new(wanted.items.len(), wanted.next))
}

pub(super) fn examine(session: &Session<'_>, now: DateTime<Utc>) -> Done<InboundExamination> {
    let oldest_due = session.number(OLDEST_DUE, [nanos(now)])?.map(time);
    let dead = session.number(DEAD, [])?.unwrap_or_default();
    Ok(InboundExamination::new(oldest_due, dead.unsigned_abs()))
}

pub(super) fn erase(
    session: &Session<'_>,
    owner: &Owner,
    subject: &str,
    now: DateTime<Utc>,
) -> Done<InboundErasure> {
    let about = subject_in_store(subject);
    let unhandled = session.run(ERASE_PENDING, params![owner.as_str(), about, nanos(now)])?;
    let ended = session.run(ERASE_ENDED, params![owner.as_str(), about])?;
    Ok(InboundErasure::new((unhandled + ended) as u64, unhandled as u64))
}

pub(super) fn tidy(session: &Session<'_>, retention: InboundRetention, now: DateTime<Utc>) -> Done<u64> {
    let rows = session.run(DROP_ROWS, params![earlier(now, retention.rows()), limit(STEP)])?;
    let bodies = session.run(DROP_BODIES, params![earlier(now, retention.of_bodies()), limit(STEP)])?;
    let versions = session.run(DROP_VERSIONS, params![earlier(now, retention.rows()), limit(STEP)])?;
    Ok((rows + bodies + versions) as u64)
}

/// Dead letters and what could not be read have an index of their own, because they are looked for among very much else.
fn sql(filter: &ReceivedFilter, lists: &[&'static str; 2]) -> &'static str {
    let is_trouble = |status: &ReceivedStatus| status.number() >= ReceivedStatus::Dead.number();
    let only_trouble = !filter.statuses.is_empty() && filter.statuses.iter().all(is_trouble);
    lists[usize::from(only_trouble)]
}

fn parameters(owner: &Owner, filter: &ReceivedFilter, behind: Option<Cursor>) -> [Value; 8] {
    let pattern = filter.kind.as_ref();
    let beginning = pattern.and_then(|pattern| pattern.beginning());
    let exact = pattern.filter(|_| beginning.is_none()).map(|pattern| pattern.as_str().to_owned());
    [
        Value::from(owner.as_str().to_owned()),
        Value::from(behind.map(|cursor| cursor.row().as_bytes().to_vec())),
        Value::from(filter.source.map(|source| source.as_uuid().as_bytes().to_vec())),
        Value::from(exact),
        Value::from(beginning.map(str::to_owned)),
        Value::from(filter.from.map(nanos)),
        Value::from(filter.to.map(nanos)),
        Value::from(limit(PART)),
    ]
}

fn record(row: &Row<'_>) -> Done<ReceivedRecord> {
    let mut record = ReceivedRecord::new(stored(row, 0)?);
    let status = ReceivedStatus::from_number(small(row, 1)?);
    record.status = status.ok_or_else(|| corrupt("a status is none"))?;
    record.attempts = small(row, 2)?;
    record.duplicates = small(row, 3)?;
    let due = row.get::<_, i64>(4)?;
    record.due_at = (record.status == ReceivedStatus::Pending).then_some(time(due));
    record.ended_at = row.get::<_, Option<i64>>(5)?.map(time);
    record.note = row.get::<_, Option<String>>(6)?.map(Into::into);
    record.has_body = row.get(7)?;
    if uuid(row, 8)? != record.received.id.as_uuid() {
        return Err(corrupt("a record has another id than its row"));
    }
    Ok(record)
}

const STEP: usize = 1_000;
/// How many are looked at together.
const PART: usize = 200;

macro_rules! list {
    ($status:literal) => {
        concat!(
            "SELECT head, status, attempts, duplicates, due_at, ended_at, note, body IS NOT NULL, id FROM crossdock_received ",
            "WHERE tenant = ?1 AND (?2 IS NULL OR id < ?2) AND ",
            $status,
            " AND (?3 IS NULL OR source = ?3) AND (?4 IS NULL OR kind = ?4) ",
            "AND (?5 IS NULL OR substr(kind, 1, length(?5)) = ?5) AND (?6 IS NULL OR received_at >= ?6) ",
            "AND (?7 IS NULL OR received_at < ?7) ORDER BY id DESC LIMIT ?8"
        )
    };
}

const LISTS: [&str; 2] = [list!("status >= 0"), list!("status >= 4")];
const ONE: &str = "SELECT head, status, attempts, duplicates, due_at, ended_at, note, body IS NOT NULL, id, number, body \
    FROM crossdock_received WHERE id = ?2 AND tenant = ?1";
/// From party to party: what each has been due for longest stands first in its index.
const OLDEST_DUE: &str = "WITH RECURSIVE p (party) AS (
        SELECT min(party) FROM crossdock_received WHERE status = 0
        UNION ALL
        SELECT (SELECT min(r.party) FROM crossdock_received r WHERE r.status = 0 AND r.party > p.party) FROM p WHERE p.party IS NOT NULL
    )
    SELECT min((SELECT min(r.due_at) FROM crossdock_received r WHERE r.status = 0 AND r.party = p.party AND r.due_at <= ?1)) FROM p";
/// Whoever has more than so many need not know how many.
const DEAD: &str =
    "SELECT count(*) FROM (SELECT 1 FROM crossdock_received WHERE status >= 4 AND status = 4 LIMIT 10001)";
/// 6 is `Erased`. What was ended in the statement before is no longer concerned by the second one.
const ERASE_PENDING: &str = "UPDATE crossdock_received SET status = 6, ended_at = ?3, is_held = 0, note = NULL, body = NULL \
    WHERE tenant = ?1 AND status = 0 AND instr(head, ?2) > 0";
const ERASE_ENDED: &str = "UPDATE crossdock_received SET status = CASE WHEN status IN (4, 5) THEN 6 ELSE status END, is_held = 0, \
    note = NULL, body = NULL WHERE tenant = ?1 AND status <> 0 AND (body IS NOT NULL OR status IN (4, 5)) AND instr(head, ?2) > 0";
const BEGIN_ANEW: &str = "UPDATE crossdock_received SET status = 0, due_at = ?2, is_held = 0, attempts = 0, \
    ended_at = NULL, note = NULL WHERE id = ?1";
const DROP_ROWS: &str = "DELETE FROM crossdock_received WHERE number IN ( \
    SELECT number FROM crossdock_received WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
const DROP_BODIES: &str = "UPDATE crossdock_received SET body = NULL WHERE number IN ( \
    SELECT number FROM crossdock_received WHERE ended_at IS NOT NULL AND body IS NOT NULL AND ended_at < ?1 \
    ORDER BY ended_at LIMIT ?2)";
const DROP_VERSIONS: &str = "DELETE FROM crossdock_received_version WHERE (source, party, order_key) IN ( \
    SELECT source, party, order_key FROM crossdock_received_version WHERE touched_at < ?1 ORDER BY touched_at LIMIT ?2)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn no_statement_reads_a_whole_table() {
        assert_eq!(scans(&[LISTS[0], LISTS[1], ONE, BEGIN_ANEW]), [""; 0]);
    }
}
