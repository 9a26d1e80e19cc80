//! What was received: kept once, claimed, settled.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use crate::adapters::sqlite::activity::note;
use crate::adapters::sqlite::columns::{
    bytes, later, nanos, signed, small, stored, text, time, unsigned, uuid,
};
use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::adapters::sqlite::session::Session;
use crate::error::Result;
use crate::inbound::received::{
    Completion, InboundFate, InboundJob, InboundSettlement, ItemVersion, Party, Received, ReceivedRecord,
    ReceivedStatus,
};
use crate::inbound::store::{Accepted, InboundClaim, InboundClaimed, InboundSettled};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::stored::Stored;

/// An item as the writer's thread takes it: what can be turned into text before, is.
pub(super) struct NewRow {
    received: Received,
    party: Party,
    status: ReceivedStatus,
    head: String,
}

impl NewRow {
    pub(super) fn of(received: Received) -> Result<Self> {
        let (party, head) = (received.party(), received.to_stored()?);
        let fresh = ReceivedRecord::new(received);
        Ok(Self { received: fresh.received, party, status: fresh.status, head })
    }
}

pub(super) fn accept(session: &Session<'_>, rows: &[NewRow], now: DateTime<Utc>) -> Done<Vec<Accepted>> {
    rows.iter().map(|row| accept_one(session, row, now)).collect()
}

fn accept_one(session: &Session<'_>, row: &NewRow, now: DateTime<Utc>) -> Done<Accepted> {
    let (received, now) = (&row.received, nanos(now));
    let (id, source) = (received.id.as_uuid(), received.source.as_uuid());
    let occurred_at = received.version.occurred_at.unwrap_or(received.received_at);
    let has_ended = row.status != ReceivedStatus::Pending;
    let inserted = session.run(
        INSERT,
        params![
            id.as_bytes(),
            received.owner.as_str(),
            source.as_bytes(),
            &*received.dedupe_key,
            received.guard.as_deref(),
            row.party.as_str(),
            &*received.kind,
            received.order_key.as_deref(),
            received.version.sequence.unwrap_or(0),
            nanos(occurred_at),
            nanos(received.received_at),
            row.status.number(),
            now,
            has_ended.then_some(now),
            row.head,
            &received.body[..],
        ],
    )?;
    if inserted > 0 {
        return Ok(Accepted::Fresh);
    }
    let known = params![source.as_bytes(), &*received.dedupe_key, received.guard.as_deref()];
    let found = session
        .first(KNOWN, known, |row| Ok((row.get::<_, i64>(0)?, uuid(row, 1)?, row.get::<_, i64>(2)?)))?;
    // Its id is taken, and by something else.
    let (number, id, status) = found.ok_or_else(|| corrupt("an id was given twice"))?;
    let id = ReceivedId::from_uuid(id);
    if status == i64::from(ReceivedStatus::Dead.number()) {
        session.run(REARM, params![number, now, &received.body[..]])?;
        return Ok(Accepted::Rearmed(id));
    }
    session.run(COUNT, [number])?;
    Ok(Accepted::Duplicate(id))
}

pub(super) fn claim(session: &Session<'_>, claim: &InboundClaim) -> Done<InboundClaimed> {
    let mut jobs = Vec::new();
    let mut after = claim.after.clone();
    // Who has nothing that can be claimed, because it waits for something of its order, is not asked again.
    let mut skipped: BTreeSet<Party> = claim.except.iter().cloned().collect();
    while jobs.len() < claim.limit {
        let before = jobs.len();
        let due = due_parties(session, claim, after.as_ref(), &skipped, claim.limit - before)?;
        if due.is_empty() {
            break;
        }
        let quota = ((claim.limit - before) / due.len()).max(1);
        for party in due {
            let left = claim.limit - jobs.len();
            if left == 0 {
                break;
            }
            let had = jobs.len();
            lease(session, claim, &party, quota.min(left), &mut jobs)?;
            if jobs.len() > had {
                after = Some(party);
            } else {
                skipped.insert(party);
            }
        }
    }
    let next_due = match jobs.len() == claim.limit && claim.limit > 0 {
        true => Some(claim.now),
        false => next_due(session, nanos(claim.now))?,
    };
    Ok(InboundClaimed::new(jobs, after, next_due, claim.now))
}

/// Those who have something that is due, behind this one first, at most so many.
fn due_parties(
    session: &Session<'_>,
    claim: &InboundClaim,
    after: Option<&Party>,
    skipped: &BTreeSet<Party>,
    most: usize,
) -> Done<Vec<Party>> {
    let now = nanos(claim.now);
    let mut found = Vec::new();
    let begin = after.map_or("", Party::as_str);
    let mut place = begin.to_owned();
    let mut is_round = after.is_none();
    while found.len() < most {
        let next = session.first(NEXT_PARTY, [&place], |row| Ok(text(row, 0)?.to_owned()))?;
        let next = match next {
            Some(next) if !is_round || after.is_none() || *next <= *begin => next,
            _ if !is_round => {
                is_round = true;
                place.clear();
                continue;
            }
            _ => break,
        };
        let party = Party::from_kept(next.clone());
        if !skipped.contains(&party) && session.finds(IS_DUE, params![next, now])? {
            found.push(party);
        }
        place = next;
    }
    Ok(found)
}

fn lease(
    session: &Session<'_>,
    claim: &InboundClaim,
    party: &Party,
    most: usize,
    jobs: &mut Vec<InboundJob>,
) -> Done<()> {
    // One by one: what was leased stands in the way of others of its order.
    for _ in 0..most {
        let (now, until) = (nanos(claim.now), later(claim.now, claim.lease));
        let Some((number, mut job, order)) =
            session.first(DUE, params![party.as_str(), now], |row| read_job(row, until))?
        else {
            return Ok(());
        };
        session.run(LEASE, params![number, signed(job.lease.token.number()), until])?;
        if let Some(order) = order {
            let source = job.received.source.as_uuid();
            let place = params![source.as_bytes(), party.as_str(), order];
            job.latest = session.first(LATEST, place, read_version)?;
        }
        jobs.push(job);
    }
    Ok(())
}

fn read_job(row: &Row<'_>, until: i64) -> Done<(i64, InboundJob, Option<String>)> {
    let mut received: Received = stored(row, 3)?;
    received.body = bytes(row, 4)?.unwrap_or_default();
    let token = LeaseToken::new(unsigned(row.get::<_, i64>(1)?).saturating_add(1));
    let attempt = small::<u32>(row, 2)?.saturating_add(1);
    let job = InboundJob::new(Arc::new(received), attempt, Lease::new(token, time(until)));
    Ok((row.get(0)?, job, row.get(5)?))
}

fn read_version(row: &Row<'_>) -> Done<ItemVersion> {
    Ok(ItemVersion::new(row.get::<_, Option<i64>>(0)?.map(time), row.get(1)?))
}

fn next_due(session: &Session<'_>, now: i64) -> Done<Option<DateTime<Utc>>> {
    let mut first: Option<i64> = None;
    let mut place = String::new();
    while let Some(party) = session.first(NEXT_PARTY, [&place], |row| Ok(text(row, 0)?.to_owned()))? {
        let next = session.number(NEXT_DUE, params![party, now])?;
        first = first.into_iter().chain(next).min();
        place = party;
    }
    Ok(first.map(time))
}

pub(super) fn settle(
    session: &Session<'_>,
    results: &[InboundSettlement],
    now: DateTime<Utc>,
) -> Done<InboundSettled> {
    let mut settled = InboundSettled::default();
    for result in results {
        let found = held(session, result.id, result.token)?;
        match found {
            None => settled.fenced.push((result.id, result.token)),
            Some((number, status)) if status == PENDING => {
                settle_one(session, number, result, now)?;
                note(session, &result.activity)?;
            }
            // It has ended, in the host's own transaction perhaps.
            Some(_) => {}
        }
    }
    Ok(settled)
}

/// The row and the status of what is held under this token.
fn held(session: &Session<'_>, id: ReceivedId, token: LeaseToken) -> Done<Option<(i64, i64)>> {
    let id = id.as_uuid();
    session.first(HELD, params![id.as_bytes(), signed(token.number())], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn settle_one(
    session: &Session<'_>,
    number: i64,
    result: &InboundSettlement,
    now: DateTime<Utc>,
) -> Done<()> {
    let words = result.note.as_deref();
    match result.fate {
        InboundFate::RetryAt(at) => drop(session.run(RETRY, params![number, nanos(at), 0, words])?),
        InboundFate::Release(at) => drop(session.run(RETRY, params![number, nanos(at), 1, words])?),
        ended => {
            session.run(END, params![number, ended.status().number(), nanos(now), words])?;
            if ended == InboundFate::Done
                && let Some(done) =
                    session.first(VERSIONED, [number], |row| Ok((read_order(row)?, read_own(row)?)))?
                && let (Some((source, party, order)), version) = done
            {
                advance(session, source, &party, &order, version, now)?;
            }
        }
    }
    Ok(())
}

type OrderOf = (SourceId, String, String);

fn read_order(row: &Row<'_>) -> Done<Option<OrderOf>> {
    let order: Option<String> = row.get(2)?;
    order.map(|order| Ok((SourceId::from_uuid(uuid(row, 0)?), row.get(1)?, order))).transpose()
}

fn read_own(row: &Row<'_>) -> Done<ItemVersion> {
    Ok(stored::<Received>(row, 3)?.version)
}

/// Notes the newest version of an order that was done.
fn advance(
    session: &Session<'_>,
    source: SourceId,
    party: &str,
    order: &str,
    version: ItemVersion,
    now: DateTime<Utc>,
) -> Done<()> {
    let source = source.as_uuid();
    let latest = session.first(LATEST, params![source.as_bytes(), party, order], read_version)?;
    if latest.is_some_and(|latest| version.is_outdated_by(&latest)) {
        return Ok(());
    }
    let occurred_at = version.occurred_at.map(nanos);
    session
        .run(ADVANCE, params![source.as_bytes(), party, order, occurred_at, version.sequence, nanos(now)])?;
    Ok(())
}

/// Ends an item in the transaction that the session is in; says whether it was still held.
pub(super) fn complete(session: &Session<'_>, completion: &Completion) -> Done<bool> {
    let Some((number, PENDING)) = held(session, completion.id, completion.token)? else { return Ok(false) };
    let none: Option<&str> = None;
    session.run(END, params![number, ReceivedStatus::Done.number(), nanos(completion.at), none])?;
    if let Some(order) = &completion.order_key {
        let party = completion.party.as_str();
        advance(session, completion.source, party, order, completion.version, completion.at)?;
    }
    Ok(true)
}

const PENDING: i64 = 0;

const INSERT: &str = "INSERT INTO crossdock_received (id, tenant, source, dedupe_key, guard, party, kind, order_key, sequence, \
    place, received_at, status, due_at, ended_at, head, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT DO NOTHING";
const KNOWN: &str = "SELECT number, id, status FROM crossdock_received WHERE source = ?1 AND dedupe_key = ?2 \
    UNION ALL SELECT number, id, status FROM crossdock_received WHERE source = ?1 AND guard = ?3 LIMIT 1";
const COUNT: &str = "UPDATE crossdock_received SET duplicates = duplicates + 1 WHERE number = ?1";
const REARM: &str = "UPDATE crossdock_received SET duplicates = duplicates + 1, status = 0, due_at = ?2, is_held = 0, \
    attempts = 0, ended_at = NULL, note = NULL, body = coalesce(body, ?3) WHERE number = ?1";
const NEXT_PARTY: &str =
    "SELECT party FROM crossdock_received WHERE status = 0 AND party > ?1 ORDER BY party LIMIT 1";
const IS_DUE: &str =
    "SELECT 1 FROM crossdock_received WHERE status = 0 AND party = ?1 AND due_at <= ?2 LIMIT 1";
const NEXT_DUE: &str = "SELECT due_at FROM crossdock_received WHERE status = 0 AND party = ?1 AND due_at > ?2 \
    ORDER BY due_at LIMIT 1";
/// Of an order only its head, and only if nothing else of it is leased.
const DUE: &str = "SELECT q.number, q.token, q.attempts, q.head, q.body, q.order_key FROM crossdock_received q \
    WHERE q.status = 0 AND q.party = ?1 AND q.due_at <= ?2 AND (q.order_key IS NULL OR NOT EXISTS ( \
      SELECT 1 FROM crossdock_received o WHERE o.status = 0 AND o.order_key IS NOT NULL AND o.source = q.source \
        AND o.party = q.party AND o.order_key = q.order_key AND o.number <> q.number \
        AND ((o.is_held = 1 AND o.due_at > ?2) OR (o.sequence, o.place, o.id) < (q.sequence, q.place, q.id)))) \
    ORDER BY q.due_at, q.id LIMIT 1";
const LEASE: &str = "UPDATE crossdock_received SET token = ?2, is_held = 1, due_at = ?3, attempts = attempts + 1 \
    WHERE number = ?1";
const LATEST: &str = "SELECT occurred_at, sequence FROM crossdock_received_version \
    WHERE source = ?1 AND party = ?2 AND order_key = ?3";
const HELD: &str =
    "SELECT number, status FROM crossdock_received WHERE id = ?1 AND token = ?2 AND is_held = 1";
const RETRY: &str = "UPDATE crossdock_received SET due_at = ?2, is_held = 0, attempts = max(0, attempts - ?3), \
    note = coalesce(?4, note) WHERE number = ?1";
const END: &str =
    "UPDATE crossdock_received SET status = ?2, ended_at = ?3, note = coalesce(?4, note) WHERE number = ?1";
const VERSIONED: &str = "SELECT source, party, order_key, head FROM crossdock_received \
    WHERE number = ?1 AND order_key IS NOT NULL";
const ADVANCE: &str = "INSERT INTO crossdock_received_version (source, party, order_key, occurred_at, sequence, touched_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (source, party, order_key) DO UPDATE SET \
    occurred_at = excluded.occurred_at, sequence = excluded.sequence, touched_at = excluded.touched_at";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn no_statement_reads_a_whole_table() {
        let statements = [
            KNOWN, COUNT, REARM, NEXT_PARTY, IS_DUE, NEXT_DUE, DUE, LEASE, LATEST, HELD, RETRY, END,
            VERSIONED,
        ];

        assert_eq!(scans(&statements), [""; 0]);
    }
}
