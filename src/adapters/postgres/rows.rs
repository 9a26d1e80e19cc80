//! How values become columns, and back.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, Row, Type};
use uuid::Uuid;

use crate::adapters::postgres::failure::failure;
use crate::error::{Error, ErrorKind, Result};
use crate::events::model::EventHead;
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{AttemptError, Delivery, DeliveryStatus, Origin, StatusKind};

type Time = DateTime<Utc>;

/// Columns by name; one that cannot be read is `Corrupt`.
pub(super) trait Field {
    fn field<'r, T: Decode<'r, Postgres> + Type<Postgres>>(&'r self, name: &str) -> Result<T>;

    fn tenant(&self, name: &str) -> Result<TenantId>;
}

impl Field for PgRow {
    fn field<'r, T: Decode<'r, Postgres> + Type<Postgres>>(&'r self, name: &str) -> Result<T> {
        self.try_get(name).map_err(|error| failure(READ, error))
    }

    fn tenant(&self, name: &str) -> Result<TenantId> {
        let text: &str = self.field(name)?;
        text.parse().map_err(|error| Error::new(ErrorKind::Corrupt, READ).with_source(error))
    }
}

/// The columns of [`read_delivery`], of a delivery `d` and its row `q` in the queue, if it still has one: that knows better.
macro_rules! delivery_columns {
    () => {
        "d.id, d.tenant_id, d.webhook_id, d.event_id, d.event_type, d.status, d.origin, d.created_at, \
         COALESCE(q.attempt, d.attempts) AS attempts, COALESCE(q.updated_at, d.updated_at) AS updated_at, \
         CASE WHEN q.delivery_id IS NULL THEN d.next_attempt_at WHEN q.state <> 2 THEN q.due_at END AS next_attempt_at, \
         CASE WHEN q.delivery_id IS NULL THEN d.last_status ELSE q.last_status END AS last_status, \
         CASE WHEN q.delivery_id IS NULL THEN d.last_error ELSE q.last_error END AS last_error"
    };
}
pub(super) use delivery_columns;

pub(super) fn read_delivery(row: &PgRow) -> Result<Delivery> {
    let error: Option<&str> = row.field("last_error")?;
    let event_type: &str = row.field("event_type")?;
    let event_type =
        event_type.parse().map_err(|error| Error::new(ErrorKind::Corrupt, READ).with_source(error))?;
    let mut delivery = Delivery::new(
        DeliveryId::from_uuid(row.field("id")?),
        row.tenant("tenant_id")?,
        WebhookId::from_uuid(row.field("webhook_id")?),
        EventId::from_uuid(row.field("event_id")?),
        event_type,
        Origin::from_stored(row.field("origin")?)?,
        row.field("created_at")?,
    );
    delivery.status = DeliveryStatus::from_stored(row.field("status")?)?;
    delivery.attempts = row.field::<i32>("attempts")?.unsigned_abs();
    delivery.updated_at = row.field("updated_at")?;
    delivery.next_attempt_at = row.field("next_attempt_at")?;
    delivery.last_status = row.field::<Option<i32>>("last_status")?.and_then(|code| code.try_into().ok());
    delivery.last_error = error.map(AttemptError::from_stored).transpose()?;
    Ok(delivery)
}

pub(super) fn read_head(row: &PgRow) -> Result<EventHead> {
    EventHead::from_stored(row.field("head")?)
}

pub(super) fn kind_number(kind: StatusKind) -> i16 {
    match kind {
        StatusKind::Pending => 0,
        StatusKind::Delivered => 1,
        StatusKind::DeadLetter => 2,
        StatusKind::Skipped => 3,
        StatusKind::Stopped => 4,
    }
}

/// A time as the server can keep it: what is further away is as good as never.
pub(super) fn stored_time(time: Time) -> Time {
    time.clamp(earliest(), latest())
}

pub(super) fn stored_times(times: impl IntoIterator<Item = Option<Time>>) -> Vec<Option<Time>> {
    times.into_iter().map(|time| time.map(stored_time)).collect()
}

/// A column that says nothing at all is not sent: most of them do not when all goes well, and the server unfolds each.
pub(super) fn told<T>(column: Vec<Option<T>>) -> Vec<Option<T>> {
    if column.iter().all(Option::is_none) { Vec::new() } else { column }
}

pub(super) fn earlier(now: Time, span: std::time::Duration) -> Time {
    stored_time(crate::primitives::time::earlier(now, span))
}

pub(super) fn later(now: Time, span: std::time::Duration) -> Time {
    stored_time(crate::primitives::time::later(now, span))
}

pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(super) fn uuid_of(row: &PgRow, name: &str) -> Result<Uuid> {
    row.field(name)
}

/// The year 1.
fn earliest() -> Time {
    DateTime::from_timestamp(-62_135_596_800, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// The year 9999.
fn latest() -> Time {
    DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

const READ: &str = "read a row";
