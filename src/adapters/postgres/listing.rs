//! Deliveries, events and replays as an administrator looks at them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::rows::{
    Field, delivery_columns, kind_number, number, read_delivery, read_head, small, stored_time, uuid_of,
};
use crate::adapters::postgres::session::{Session, Statement};
use crate::error::Result;
use crate::events::event_type::EventType;
use crate::events::model::Event;
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{
    DeliveryFilter, DeliveryRecord, Include, Origin, Replay, ReplayFilter, ReplayState, StatusKind,
};

impl PostgresStore {
    pub(super) async fn list_deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        let mut kinds: Vec<i16> = filter.statuses.iter().copied().map(kind_number).collect();
        if kinds.is_empty() {
            kinds.extend(ALL_KINDS);
        }
        if let Some(success) = filter.success {
            kinds.retain(|kind| (*kind == kind_number(StatusKind::Delivered)) == success);
        }
        let types: Vec<_> = filter.event_types.iter().map(|name| name.as_str().to_owned()).collect();
        let mut session = self.for_tenant(LIST_STEP, tenant).await?;
        let statement = session
            .statement(self.sql(LIST))
            // Planned for these very values: a filter that is not set costs nothing.
            .persistent(false)
            .bind(tenant.as_str().to_owned())
            .bind(page.cursor().map(|cursor| cursor.row()))
            .bind(limit_of(page))
            .bind(filter.webhook.map(|id| id.as_uuid()))
            .bind(filter.event.map(|id| id.as_uuid()))
            .bind(filter.from.map(stored_time))
            .bind(filter.to.map(stored_time))
            .bind((!types.is_empty()).then_some(types))
            .bind(kinds == [kind_number(StatusKind::DeadLetter)])
            .bind((kinds.len() < ALL_KINDS.len()).then_some(kinds));
        let rows = session.rows(statement).await?;
        let (rows, next) = cut(rows, page, "id")?;
        let items = self.records(&mut session, rows, include).await?;
        session.end().await?;
        Ok(Page::new(items, next))
    }

    pub(super) async fn one_delivery(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        let statement = session.statement(self.sql(ONE)).bind(tenant.as_str().to_owned()).bind(id.as_uuid());
        let rows = session.rows(statement).await?;
        Ok(self.records(session, rows, include).await?.pop())
    }

    async fn records(
        &self,
        session: &mut Session,
        rows: Vec<PgRow>,
        include: Include,
    ) -> Result<Vec<DeliveryRecord>> {
        let mut payloads: HashMap<Uuid, Bytes> = HashMap::new();
        if include.payload && !rows.is_empty() {
            let events: Vec<Uuid> = rows.iter().map(|row| row.field("event_id")).collect::<Result<_>>()?;
            let statement = session.statement(self.sql(PAYLOADS)).bind(events);
            for row in session.rows(statement).await? {
                payloads.insert(row.field("event_id")?, Bytes::copy_from_slice(row.field("body")?));
            }
        }
        let mut attempts = HashMap::new();
        if include.attempts && !rows.is_empty() {
            let ids = rows.iter().map(|row| row.field("id")).collect::<Result<_>>()?;
            attempts = self.attempts_of(session, ids).await?;
        }
        let record = |row: &PgRow| {
            let payload = payloads.get(&uuid_of(row, "event_id")?).cloned();
            let attempts = attempts.remove(&uuid_of(row, "id")?).unwrap_or_default();
            Ok(DeliveryRecord::new(read_delivery(row)?).with_payload(payload).with_attempts(attempts))
        };
        rows.iter().map(record).collect()
    }

    pub(super) async fn one_event(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        id: Uuid,
    ) -> Result<Option<Arc<Event>>> {
        let statement = session.statement(self.sql(EVENT)).bind(tenant.as_str().to_owned()).bind(id);
        let Some(row) = session.row(statement).await? else { return Ok(None) };
        let payload = row.field::<Option<&[u8]>>("body")?.map(Bytes::copy_from_slice);
        Ok(Some(Arc::new(Event::new(read_head(&row)?, payload.unwrap_or_default()))))
    }

    pub(super) async fn one_replay(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        id: ReplayId,
    ) -> Result<Option<Replay>> {
        let statement =
            session.statement(self.sql(REPLAY)).bind(tenant.as_str().to_owned()).bind(id.as_uuid());
        session.row(statement).await?.as_ref().map(read_replay).transpose()
    }

    pub(super) async fn list_replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>> {
        let mut session = self.for_tenant("list replays", tenant).await?;
        let statement = session
            .statement(self.sql(REPLAYS))
            .bind(tenant.as_str().to_owned())
            .bind(page.cursor().map(|cursor| cursor.row()))
            .bind(limit_of(page));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let (rows, next) = cut(rows, page, "id")?;
        Ok(Page::new(rows.iter().map(read_replay).collect::<Result<_>>()?, next))
    }
}

/// Binds which deliveries a replay is about.
pub(super) fn bind_filter<'q>(statement: Statement<'q>, filter: &ReplayFilter) -> Statement<'q> {
    let types: Vec<_> = filter.event_types.iter().map(|name| name.as_str().to_owned()).collect();
    statement
        .bind(stored_time(filter.from))
        .bind(stored_time(filter.to))
        .bind(filter.statuses.iter().copied().map(kind_number).collect::<Vec<_>>())
        .bind(types)
}

/// Binds everything of a replay but its filter.
pub(super) fn bind_replay<'q>(statement: Statement<'q>, replay: &Replay) -> Result<Statement<'q>> {
    Ok(statement
        .bind(replay.id.as_uuid())
        .bind(Origin::Replay(replay.id).to_stored()?)
        .bind(small(replay.per_second))
        .bind(replay_state_number(replay.state))
        .bind(number(replay.matched))
        .bind(number(replay.made))
        .bind(replay.position.map(|id| id.as_uuid()))
        .bind(stored_time(replay.next_at))
        .bind(stored_time(replay.created_at))
        .bind(stored_time(replay.updated_at)))
}

fn read_replay(row: &PgRow) -> Result<Replay> {
    let step = "read a replay";
    let kinds: Vec<i16> = row.field("kinds")?;
    let kind = |number: i16| {
        let found = KINDS.into_iter().find(|kind| kind_number(*kind) == number);
        found.ok_or_else(|| corrupt(step, "there is no such status"))
    };
    let types: Vec<String> = row.field("event_types")?;
    let parsed = types.iter().map(|name| name.parse::<EventType>());
    let types = parsed.collect::<std::result::Result<Vec<_>, _>>();
    let filter = ReplayFilter::undelivered(row.field("from_at")?, row.field("to_at")?)
        .with_statuses(kinds.into_iter().map(kind).collect::<Result<Vec<_>>>()?)
        .with_event_types(types.map_err(|_| corrupt(step, "there is no such event type"))?);
    let mut replay = Replay::new(
        ReplayId::from_uuid(row.field("id")?),
        row.tenant("tenant_id")?,
        WebhookId::from_uuid(row.field("webhook_id")?),
        filter,
        row.field::<i32>("per_second")?.unsigned_abs(),
        row.field("created_at")?,
    );
    replay.state = match row.field::<i16>("state")? {
        0 => ReplayState::Running,
        1 => ReplayState::Completed,
        _ => ReplayState::Cancelled,
    };
    replay.matched = row.field::<i64>("matched")?.unsigned_abs();
    replay.made = row.field::<i64>("made")?.unsigned_abs();
    replay.position = row.field::<Option<Uuid>>("position")?.map(DeliveryId::from_uuid);
    replay.next_at = row.field("next_at")?;
    replay.updated_at = row.field("updated_at")?;
    Ok(replay)
}

fn replay_state_number(state: ReplayState) -> i16 {
    match state {
        ReplayState::Running => 0,
        ReplayState::Completed => 1,
        ReplayState::Cancelled => 2,
    }
}

/// One more than fits tells whether there is a next page.
pub(super) fn limit_of(page: PageRequest) -> i64 {
    i64::try_from(page.limit()).unwrap_or(i64::MAX).saturating_add(1)
}

/// What is on the page, and where the next one begins.
pub(super) fn cut(rows: Vec<PgRow>, page: PageRequest, id: &str) -> Result<(Vec<PgRow>, Option<Cursor>)> {
    let named = rows.into_iter().map(|row| Ok((uuid_of(&row, id)?, row))).collect::<Result<Vec<_>>>()?;
    let page = Page::cut(named, page, |(id, _)| Cursor::behind(*id));
    Ok((page.items.into_iter().map(|(_, row)| row).collect(), page.next))
}

const LIST_STEP: &str = "list deliveries";
const ALL_KINDS: [i16; 5] = [0, 1, 2, 3, 4];
const KINDS: [StatusKind; 5] = [
    StatusKind::Pending,
    StatusKind::Delivered,
    StatusKind::DeadLetter,
    StatusKind::Skipped,
    StatusKind::Stopped,
];
const LIST: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    r#" FROM (
    SELECT * FROM "crossdock".delivery d
    WHERE d.tenant_id = $1 AND ($2::uuid IS NULL OR d.id < $2) AND ($4::uuid IS NULL OR d.webhook_id = $4)
        AND ($5::uuid IS NULL OR d.event_id = $5) AND ($6::timestamptz IS NULL OR d.created_at >= $6)
        AND ($7::timestamptz IS NULL OR d.created_at < $7) AND ($8::text[] IS NULL OR d.event_type = ANY ($8))
        AND (NOT $9 OR d.dead) AND ($10::smallint[] IS NULL OR d.kind = ANY ($10))
        AND ($6::timestamptz IS NULL OR d.id >= "crossdock".first_id($6 - interval '1 day'))
        AND ($7::timestamptz IS NULL OR d.id < "crossdock".first_id($7 + interval '1 day'))
    ORDER BY d.id DESC LIMIT $3
) d LEFT JOIN "crossdock".queue q ON q.delivery_id = d.id ORDER BY d.id DESC"#
);
const ONE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    r#" FROM "crossdock".delivery d LEFT JOIN "crossdock".queue q ON q.delivery_id = d.id WHERE d.tenant_id = $1 AND d.id = $2"#
);
const PAYLOADS: &str = r#"SELECT p.event_id, p.body FROM "crossdock".payload p WHERE p.event_id = ANY ($1)"#;
const EVENT: &str = r#"SELECT e.head, p.body FROM "crossdock".event e LEFT JOIN "crossdock".payload p ON p.event_id = e.id
    WHERE e.tenant_id = $1 AND e.id = $2"#;
const REPLAY: &str = r#"SELECT r.* FROM "crossdock".replay r WHERE r.tenant_id = $1 AND r.id = $2"#;
const REPLAYS: &str = r#"SELECT r.* FROM "crossdock".replay r WHERE r.tenant_id = $1 AND ($2::uuid IS NULL OR r.id < $2)
    ORDER BY r.id DESC LIMIT $3"#;
