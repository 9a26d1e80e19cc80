//! What was received: kept once, claimed, settled.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::failure::{corrupt, failure};
use crate::adapters::postgres::rows::{Field, later, stored_time, uuid_of};
use crate::adapters::postgres::shared::{Queue, Together};
use crate::adapters::postgres::{Connections, PostgresStore};
use crate::error::{Error, ErrorKind, Result};
use crate::inbound::received::{
    InboundFate, InboundJob, InboundSettlement, ItemVersion, Party, Received, ReceivedRecord, ReceivedStatus,
};
use crate::inbound::store::{Accepted, InboundClaim, InboundClaimed, InboundSettled};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::id::ReceivedId;
use crate::primitives::stored::Stored;

/// An item on its way to the server.
pub(super) struct NewRow {
    received: Received,
    party: Party,
    status: ReceivedStatus,
    head: String,
    now: DateTime<Utc>,
}

impl NewRow {
    pub(super) fn of(received: Received, now: DateTime<Utc>) -> Result<Self> {
        let (party, head) = (received.party(), received.to_stored()?);
        let fresh = ReceivedRecord::new(received);
        Ok(Self { received: fresh.received, party, status: fresh.status, head, now })
    }
}

impl Together for NewRow {
    type Answer = Accepted;
    const STEP: &'static str = ACCEPT_STEP;

    fn queue(store: &PostgresStore) -> &Queue<Self> {
        &store.inner.accepting
    }

    fn bytes(&self) -> usize {
        self.received.body.len()
    }

    async fn write<'a>(store: &'a PostgresStore, all: Vec<&'a Self>) -> Result<Vec<Accepted>> {
        store.accept_now(&all).await
    }
}

/// Columns of new rows; what is borrowed anyway is borrowed, so that a body is copied once, into the driver's message.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    tenants: Vec<&'a str>,
    sources: Vec<Uuid>,
    keys: Vec<Cow<'a, str>>,
    guards: Vec<Option<Cow<'a, str>>>,
    parties: Vec<Cow<'a, str>>,
    kinds: Vec<Cow<'a, str>>,
    orders: Vec<Option<Cow<'a, str>>>,
    times: Vec<Option<DateTime<Utc>>>,
    sequences: Vec<Option<i64>>,
    places: Vec<DateTime<Utc>>,
    received: Vec<DateTime<Utc>>,
    statuses: Vec<i16>,
    heads: Vec<&'a str>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(rows: &[&'a NewRow]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            let received = &row.received;
            let occurred_at = received.version.occurred_at.map(stored_time);
            let received_at = stored_time(received.received_at);
            columns.ids.push(received.id.as_uuid());
            columns.tenants.push(received.owner.as_str());
            columns.sources.push(received.source.as_uuid());
            columns.keys.push(plain(&received.dedupe_key));
            columns.guards.push(received.guard.as_deref().map(plain));
            columns.parties.push(plain(row.party.as_str()));
            columns.kinds.push(plain(&received.kind));
            columns.orders.push(received.order_key.as_deref().map(plain));
            columns.times.push(occurred_at);
            columns.sequences.push(received.version.sequence);
            columns.places.push(occurred_at.unwrap_or(received_at));
            columns.received.push(received_at);
            columns.statuses.push(i16::from(row.status.number()));
            columns.heads.push(&row.head);
            columns.bodies.push(&received.body);
        }
        columns
    }
}

impl PostgresStore {
    async fn accept_now(&self, rows: &[&NewRow]) -> Result<Vec<Accepted>> {
        let Some(now) = rows.iter().map(|row| row.now).max() else { return Ok(Vec::new()) };
        let columns = Columns::of(rows);
        let mut session = self.one_statement(ACCEPT_STEP).await?;
        let persistent = self.inner.connections == Connections::Direct;
        let statement = sqlx::query(self.sql(ACCEPT))
            .persistent(persistent)
            .bind(stored_time(now))
            .bind(&columns.ids)
            .bind(&columns.tenants)
            .bind(&columns.sources)
            .bind(&columns.keys)
            .bind(&columns.guards)
            .bind(&columns.parties)
            .bind(&columns.kinds)
            .bind(&columns.orders)
            .bind(&columns.times)
            .bind(&columns.sequences)
            .bind(&columns.places)
            .bind(&columns.received)
            .bind(&columns.statuses)
            .bind(&columns.heads)
            .bind(&columns.bodies);
        let answered = statement.fetch_all(session.connection()).await;
        let answered = answered.map_err(|error| failure(ACCEPT_STEP, error))?;
        session.end().await?;
        let mut answers = vec![None; rows.len()];
        for row in &answered {
            let read = |error| failure(ACCEPT_STEP, error);
            let place = row.try_get::<i32, _>(0).map_err(read)?;
            let id = ReceivedId::from_uuid(row.try_get(2).map_err(read)?);
            let answer = match row.try_get::<i16, _>(1).map_err(read)? {
                0 => Accepted::Fresh,
                1 => Accepted::Duplicate(id),
                _ => Accepted::Rearmed(id),
            };
            if let Some(slot) = usize::try_from(place - 1).ok().and_then(|place| answers.get_mut(place)) {
                *slot = Some(answer);
            }
        }
        // One that was there and went in the same moment: the sender tries again, and then it is new.
        let gone =
            || Error::new(ErrorKind::Unavailable, ACCEPT_STEP).with_source("a copy was dropped meanwhile");
        answers.into_iter().map(|answer| answer.ok_or_else(gone)).collect()
    }

    pub(super) async fn claim_jobs(&self, claim: InboundClaim) -> Result<InboundClaimed> {
        const STEP: &str = "claim what was received";
        let (now, until) = (stored_time(claim.now), later(claim.now, claim.lease));
        let mut session = self.one_statement(STEP).await?;
        let statement = session
            .statement(self.sql(CLAIM))
            .bind(now)
            .bind(until)
            .bind(i32::try_from(claim.limit).unwrap_or(i32::MAX))
            .bind(claim.after.as_ref().map(|party| plain(party.as_str()).into_owned()))
            .bind(claim.except.iter().map(|party| plain(party.as_str()).into_owned()).collect::<Vec<_>>());
        let mut rows = session.rows(statement).await?;
        session.end().await?;
        let last = rows.pop().ok_or_else(|| corrupt(STEP, "the server has not said how it goes on"))?;
        let jobs = rows.iter().map(|row| read_job(row, until)).collect::<Result<_>>()?;
        let after = last.field::<Option<&str>>("after_party")?.map(Party::from_kept);
        let store_time: DateTime<Utc> = last.field("store_time")?;
        let is_near = (store_time - claim.now).abs() <= NEAR;
        let now = if is_near { store_time } else { claim.now };
        Ok(InboundClaimed::new(jobs, after, last.field("next_due_at")?, now))
    }

    pub(super) async fn settle_jobs(
        &self,
        results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled> {
        const STEP: &str = "settle what was received";
        let has_activity = results.iter().any(|result| !result.activity.is_empty());
        let mut session =
            if has_activity { self.transaction(STEP).await? } else { self.one_statement(STEP).await? };
        let fates = || results.iter().map(|result| result.fate);
        let is_back = |fate| i32::from(matches!(fate, InboundFate::Release(_)));
        let statement = session
            .statement(self.sql(SETTLE))
            .bind(stored_time(now))
            .bind(results.iter().map(|result| result.id.as_uuid()).collect::<Vec<_>>())
            .bind(results.iter().map(|result| result.token.number().cast_signed()).collect::<Vec<_>>())
            .bind(fates().map(|fate| i16::from(fate.status().number())).collect::<Vec<_>>())
            .bind(fates().map(|fate| fate.due_at().map(stored_time)).collect::<Vec<_>>())
            .bind(fates().map(is_back).collect::<Vec<_>>())
            .bind(
                results
                    .iter()
                    .map(|result| result.note.as_deref().map(|note| plain(note).into_owned()))
                    .collect::<Vec<_>>(),
            );
        let rows = session.rows(statement).await?;
        let (mut settled, mut activity) = (InboundSettled::default(), Vec::new());
        for row in &rows {
            let place = usize::try_from(row.field::<i32>("n")? - 1).unwrap_or(usize::MAX);
            let Some(result) = results.get(place) else { continue };
            match row.field::<i16>("answer")? {
                0 => settled.fenced.push((result.id, result.token)),
                1 => activity.extend_from_slice(&result.activity),
                _ => {}
            }
        }
        self.note(&mut session, &activity).await?;
        session.end().await?;
        Ok(settled)
    }
}

fn read_job(row: &PgRow, until: DateTime<Utc>) -> Result<InboundJob> {
    let mut received = Received::from_stored(row.field("head")?)?;
    if received.id.as_uuid() != uuid_of(row, "id")? {
        return Err(corrupt("claim what was received", "a record has another id than its row"));
    }
    received.body = row.field::<Option<&[u8]>>("body")?.map(Bytes::copy_from_slice).unwrap_or_default();
    let token = LeaseToken::new(row.field::<i64>("token")?.cast_unsigned());
    let attempt = row.field::<i32>("attempt")?.unsigned_abs();
    let mut job = InboundJob::new(Arc::new(received), attempt, Lease::new(token, until));
    if row.field::<bool>("has_latest")? {
        job.latest = Some(ItemVersion::new(row.field("latest_at")?, row.field("latest_sequence")?));
    }
    Ok(job)
}

/// The server keeps every character but one.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

const ACCEPT_STEP: &str = "keep what was received";
/// A clock that differs by more is a story's, not a machine's.
const NEAR: TimeDelta = TimeDelta::days(1);
const ACCEPT: &str = r#"SELECT a.n, a.answer, a.id
    FROM "crossdock".accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) AS a"#;
const CLAIM: &str = r#"SELECT * FROM "crossdock".claim_received($1, $2, $3, $4, $5)"#;
const SETTLE: &str =
    r#"SELECT s.n, s.answer FROM "crossdock".settle_received($1, $2, $3, $4, $5, $6, $7) AS s"#;
