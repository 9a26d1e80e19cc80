//! How times, spans and numbers become columns.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Row;
use uuid::Uuid;

use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;

/// In nanoseconds.
pub(super) const MINUTE: i64 = 60_000_000_000;

/// Nanoseconds since 1970: as exact as the times themselves. What lies before 1677 or after 2262 is kept as the end of that span.
pub(super) fn nanos(time: DateTime<Utc>) -> i64 {
    let outside = if time < DateTime::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    time.timestamp_nanos_opt().unwrap_or(outside)
}

pub(super) const fn time(nanos: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(nanos)
}

/// So much earlier; what is kept for ever reaches back to the beginning of time.
pub(super) fn earlier(now: DateTime<Utc>, span: Duration) -> i64 {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    nanos(now.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC))
}

/// So much later, or the end of time.
pub(super) fn later(now: DateTime<Utc>, span: Duration) -> i64 {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    nanos(now.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC))
}

/// All 64 bits, in a column that has a sign.
pub(super) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// At most so many rows.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn count(row: &Row<'_>, column: usize) -> Done<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| corrupt("a count is negative"))
}

pub(super) fn small<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Done<T> {
    let number: i64 = row.get(column)?;
    T::try_from(number).map_err(|_| corrupt("a number is out of its range"))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Done<Uuid> {
    let bytes = row.get_ref(column)?.as_blob().map_err(|_| corrupt("an id is no blob"))?;
    Uuid::from_slice(bytes).map_err(|_| corrupt("an id does not have 16 bytes"))
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> Done<&'r str> {
    row.get_ref(column)?.as_str().map_err(|_| corrupt("a text is none"))
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> Done<Option<Bytes>> {
    let blob = row.get_ref(column)?.as_blob_or_null().map_err(|_| corrupt("a payload is no blob"))?;
    Ok(blob.map(Bytes::copy_from_slice))
}

pub(super) fn stored<T: Stored>(row: &Row<'_>, column: usize) -> Done<T> {
    Ok(T::from_stored(text(row, column)?)?)
}

pub(super) fn stored_or_null<T: Stored>(row: &Row<'_>, column: usize) -> Done<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|_| corrupt("a record is no text"))?;
    Ok(text.map(T::from_stored).transpose()?)
}

pub(super) fn tenant(row: &Row<'_>, column: usize) -> Done<TenantId> {
    text(row, column)?.parse().map_err(|_| corrupt("a tenant's id is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_kept_to_the_nanosecond() {
        let exact = DateTime::from_timestamp(1_767_225_600, 123_456_789).expect("a time");

        assert_eq!(time(nanos(exact)), exact);
        assert_eq!(time(nanos(exact - TimeDelta::days(40_000))), exact - TimeDelta::days(40_000));
    }

    #[test]
    fn what_is_out_of_the_span_is_kept_as_its_end() {
        assert_eq!(nanos(DateTime::<Utc>::MAX_UTC), i64::MAX);
        assert_eq!(nanos(DateTime::<Utc>::MIN_UTC), i64::MIN);
        assert_eq!(earlier(DateTime::UNIX_EPOCH, Duration::MAX), i64::MIN);
        assert_eq!(later(DateTime::UNIX_EPOCH, Duration::MAX), i64::MAX);
    }
}
