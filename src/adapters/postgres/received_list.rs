//! What was received, as people look at it; replays, and what goes when.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::received::plain;
use crate::adapters::postgres::rows::{Field, earlier, number, stored_time, uuid_of};
use crate::adapters::postgres::session::{Session, Statement};
use crate::error::Result;
use crate::inbound::received::{Received, ReceivedRecord, ReceivedStatus};
use crate::inbound::source::Owner;
use crate::inbound::store::{InboundErasure, InboundExamination, InboundRetention, ReceivedFilter, Replayed};
use crate::inbound::stored::subject_in_store;
use crate::primitives::id::ReceivedId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;

impl PostgresStore {
    pub(super) async fn list_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>> {
        let mut session = self.statement_of("list what was received", owner).await?;
        let found = self.wanted(&mut session, owner, filter, page, LISTS[is_trouble(filter)]).await?;
        session.end().await?;
        Ok(Page::cut(found, page, |record| Cursor::behind(record.received.id.as_uuid())))
    }

    pub(super) async fn read_received(
        &self,
        owner: &Owner,
        id: ReceivedId,
    ) -> Result<Option<ReceivedRecord>> {
        let mut session = self.statement_of("read what was received", owner).await?;
        let statement = session.statement(self.sql(ONE)).bind(owner.as_str().to_owned()).bind(id.as_uuid());
        let row = session.row(statement).await?;
        session.end().await?;
        row.map(|row| {
            let mut found = record(&row)?;
            found.received.body =
                row.field::<Option<&[u8]>>("body")?.map(Bytes::copy_from_slice).unwrap_or_default();
            Ok(found)
        })
        .transpose()
    }

    pub(super) async fn begin_anew(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: &[Activity],
        now: DateTime<Utc>,
    ) -> Result<Replayed> {
        let mut session = self.transaction_of("replay what was received", owner).await?;
        let found = self.wanted(&mut session, owner, filter, page, REPLAYABLE).await?;
        let wanted = Page::cut(found, page, |record| Cursor::behind(record.received.id.as_uuid()));
        let ids = wanted.items.iter().map(|record| record.received.id.as_uuid()).collect::<Vec<Uuid>>();
        let statement = session.statement(self.sql(BEGIN_ANEW)).bind(ids).bind(stored_time(now));
        let count = session.rows(statement).await?.len();
        self.note(&mut session, activity).await?;
        session.end().await?;
        Ok(Replayed::new(count, wanted.next))
    }

    pub(super) async fn examine_items(&self, now: DateTime<Utc>) -> Result<InboundExamination> {
        let mut session = self.one_statement("examine what was received").await?;
        let row = session.row(session.statement(self.sql(EXAMINE)).bind(stored_time(now))).await?;
        session.end().await?;
        let Some(row) = row else { return Ok(InboundExamination::default()) };
        Ok(InboundExamination::new(row.field("oldest_due")?, row.field::<i64>("dead")?.unsigned_abs()))
    }

    pub(super) async fn erase_items(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        let mut session = self.transaction_of("erase what was received", owner).await?;
        let statement = session
            .statement(self.sql(ERASE))
            .bind(owner.as_str().to_owned())
            .bind(subject_in_store(subject))
            .bind(stored_time(now));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let before = rows.iter().map(|row| row.field::<i16>("before")).collect::<Result<Vec<_>>>()?;
        let unhandled = before.iter().filter(|status| **status == 0).count();
        Ok(InboundErasure::new(before.len() as u64, unhandled as u64))
    }

    pub(super) async fn drop_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64> {
        let mut session = self.transaction("tidy up what was received").await?;
        let mut gone = 0;
        for (sql, span) in [
            (DROP_ROWS, retention.rows()),
            (DROP_BODIES, retention.of_bodies()),
            (DROP_VERSIONS, retention.rows()),
        ] {
            let statement = session.statement(self.sql(sql)).bind(earlier(now, span)).bind(number(STEP));
            gone += session.rows(statement).await?.len() as u64;
        }
        session.end().await?;
        Ok(gone)
    }

    /// What the filter wants, and one more than fits onto the page.
    async fn wanted(
        &self,
        session: &mut Session,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        sql: &'static str,
    ) -> Result<Vec<ReceivedRecord>> {
        let statement = session.statement(self.sql(sql)).persistent(false);
        let statement = bind(statement, owner, filter, page);
        session.rows(statement).await?.iter().map(record).collect()
    }
}

fn bind<'q>(
    statement: Statement<'q>,
    owner: &Owner,
    filter: &ReceivedFilter,
    page: PageRequest,
) -> Statement<'q> {
    let pattern = filter.kind.as_ref();
    let beginning = pattern.and_then(|pattern| pattern.beginning());
    let exact = pattern.filter(|_| beginning.is_none()).map(|pattern| plain(pattern.as_str()).into_owned());
    let ids = filter.ids.iter().map(|id| id.as_uuid()).collect::<Vec<Uuid>>();
    let statuses = filter.statuses.iter().map(|status| i16::from(status.number())).collect::<Vec<_>>();
    statement
        .bind(owner.as_str().to_owned())
        .bind(page.cursor().map(|cursor| cursor.row()))
        .bind(filter.source.map(|source| source.as_uuid()))
        .bind(exact)
        .bind(beginning.map(|beginning| plain(beginning).into_owned()))
        .bind(filter.from.map(stored_time))
        .bind(filter.to.map(stored_time))
        .bind((!ids.is_empty()).then_some(ids))
        .bind((!statuses.is_empty()).then_some(statuses))
        .bind(number(page.limit() as u64 + 1))
}

/// Dead letters and what could not be read have an index of their own, because they are looked for among very much else.
fn is_trouble(filter: &ReceivedFilter) -> usize {
    let is_trouble = |status: &ReceivedStatus| status.number() >= ReceivedStatus::Dead.number();
    usize::from(!filter.statuses.is_empty() && filter.statuses.iter().all(is_trouble))
}

fn record(row: &PgRow) -> Result<ReceivedRecord> {
    const STEP: &str = "read what was received";
    let mut record = ReceivedRecord::new(Received::from_stored(row.field("head")?)?);
    if record.received.id.as_uuid() != uuid_of(row, "id")? {
        return Err(corrupt(STEP, "a record has another id than its row"));
    }
    let status = u8::try_from(row.field::<i16>("status")?).ok().and_then(ReceivedStatus::from_number);
    record.status = status.ok_or_else(|| corrupt(STEP, "a status is none"))?;
    record.attempts = row.field::<i32>("attempts")?.unsigned_abs();
    record.duplicates = row.field::<i32>("duplicates")?.unsigned_abs();
    let due: DateTime<Utc> = row.field("due_at")?;
    record.due_at = (record.status == ReceivedStatus::Pending).then_some(due);
    record.ended_at = row.field("ended_at")?;
    record.note = row.field::<Option<&str>>("note")?.map(Into::into);
    record.has_body = row.field("has_body")?;
    Ok(record)
}

const STEP: u64 = 1_000;

macro_rules! list {
    ($condition:literal) => {
        concat!(
            r#"SELECT r.id, r.head, r.status, r.attempts, r.duplicates, r.due_at, r.ended_at, r.note, r.body IS NOT NULL AS has_body
            FROM "crossdock".received r WHERE r.tenant_id = $1 AND ($2::uuid IS NULL OR r.id < $2) AND "#,
            $condition,
            r#" AND ($3::uuid IS NULL OR r.source = $3) AND ($4::text IS NULL OR r.kind = $4)
            AND ($5::text IS NULL OR starts_with(r.kind, $5)) AND ($6::timestamptz IS NULL OR r.received_at >= $6)
            AND ($7::timestamptz IS NULL OR r.received_at < $7) AND ($8::uuid[] IS NULL OR r.id = ANY($8))
            AND ($9::smallint[] IS NULL OR r.status = ANY($9)) ORDER BY r.id DESC LIMIT $10"#
        )
    };
}

const LISTS: [&str; 2] = [list!("r.status >= 0"), list!("r.status >= 4")];
const REPLAYABLE: &str = list!("r.status <> 0 AND r.body IS NOT NULL");
const ONE: &str = r#"SELECT r.id, r.head, r.status, r.attempts, r.duplicates, r.due_at, r.ended_at, r.note,
    r.body IS NOT NULL AS has_body, r.body FROM "crossdock".received r WHERE r.tenant_id = $1 AND r.id = $2"#;
/// From party to party: what each has been due for longest stands first in its index. Whoever has more than so many dead letters need
/// not know how many.
const EXAMINE: &str = r#"WITH RECURSIVE p AS (
    (SELECT r.party FROM "crossdock".received r WHERE r.status = 0 ORDER BY r.party LIMIT 1)
    UNION ALL
    SELECT (SELECT r.party FROM "crossdock".received r WHERE r.status = 0 AND r.party > p.party ORDER BY r.party LIMIT 1)
    FROM p WHERE p.party IS NOT NULL
)
SELECT (SELECT min(d.due_at) FROM p CROSS JOIN LATERAL (
        SELECT r.due_at FROM "crossdock".received r
        WHERE r.status = 0 AND r.party = p.party AND r.due_at <= $1 ORDER BY r.due_at LIMIT 1
    ) d) AS oldest_due,
    (SELECT count(*) FROM (SELECT 1 FROM "crossdock".received r WHERE r.status >= 4 AND r.status = 4 LIMIT 10001) x) AS dead"#;
/// 6 is `Erased`.
const ERASE: &str = r#"WITH held AS MATERIALIZED (
    SELECT h.id, h.status FROM "crossdock".received h
    WHERE h.tenant_id = $1 AND strpos(h.head, $2) > 0 AND (h.body IS NOT NULL OR h.status IN (0, 4, 5)) ORDER BY h.id FOR NO KEY UPDATE
)
UPDATE "crossdock".received r SET status = CASE WHEN h.status IN (0, 4, 5) THEN 6 ELSE r.status END,
    ended_at = COALESCE(r.ended_at, $3), is_held = false, note = NULL, body = NULL
FROM held h WHERE r.id = h.id RETURNING h.status AS before"#;
const BEGIN_ANEW: &str = r#"UPDATE "crossdock".received r
    SET status = 0, due_at = $2, is_held = false, attempts = 0, ended_at = NULL, note = NULL
    WHERE r.id IN (SELECT h.id FROM "crossdock".received h WHERE h.id = ANY($1) AND h.status <> 0 AND h.body IS NOT NULL
        ORDER BY h.id FOR NO KEY UPDATE) RETURNING r.id"#;
const DROP_ROWS: &str = r#"DELETE FROM "crossdock".received r WHERE r.id IN (
    SELECT h.id FROM "crossdock".received h WHERE h.ended_at IS NOT NULL AND h.ended_at < $1
    ORDER BY h.ended_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING r.id"#;
const DROP_BODIES: &str = r#"UPDATE "crossdock".received r SET body = NULL WHERE r.id IN (
    SELECT h.id FROM "crossdock".received h WHERE h.ended_at IS NOT NULL AND h.body IS NOT NULL AND h.ended_at < $1
    ORDER BY h.ended_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) RETURNING r.id"#;
const DROP_VERSIONS: &str = r#"DELETE FROM "crossdock".received_version v WHERE (v.source, v.party, v.order_key) IN (
    SELECT h.source, h.party, h.order_key FROM "crossdock".received_version h WHERE h.touched_at < $1
    ORDER BY h.touched_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING v.source"#;
