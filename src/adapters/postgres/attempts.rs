//! An attempt in two parts: what stays, and what goes with the payload.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::rows::Field;
use crate::adapters::postgres::session::Session;
use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::webhooks::model::{Attempt, LoggedHeaders};

/// What stays, in stored form, and what goes with the payload, if there is any.
pub(super) fn parted(attempt: &Attempt) -> Result<(String, Option<Vec<u8>>)> {
    let mut bare = attempt.clone();
    bare.forget_contents();
    Ok((bare.to_stored()?, contents(attempt)))
}

impl PostgresStore {
    /// The attempts of these deliveries, oldest first.
    pub(super) async fn attempts_of(
        &self,
        session: &mut Session,
        deliveries: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, Vec<Arc<Attempt>>>> {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        let statement = session.statement(self.sql(OF)).bind(deliveries);
        for row in session.rows(statement).await? {
            found.entry(row.field("delivery_id")?).or_default().push(Arc::new(read(&row)?));
        }
        for attempts in found.values_mut() {
            // A lost attempt may be logged after a later one.
            attempts.sort_by_key(|attempt: &Arc<Attempt>| (attempt.started_at, attempt.id));
        }
        Ok(found)
    }
}

fn read(row: &PgRow) -> Result<Attempt> {
    let mut attempt = Attempt::from_stored(row.field("record")?)?;
    attempt.fenced |= row.field::<bool>("fenced")?;
    if row.field("is_last")? {
        attempt.next_attempt_at = None;
    }
    if let Some(contents) = row.field::<Option<&[u8]>>("contents")? {
        restore(&mut attempt, contents)
            .ok_or_else(|| corrupt("read an attempt", "what was logged is cut short"))?;
    }
    Ok(attempt)
}

/// Request headers, answer headers, body: each header is two lengths and both texts, each list ends with a length that no
/// name has.
fn contents(attempt: &Attempt) -> Option<Vec<u8>> {
    let Attempt { request_headers, response_headers, response_body, .. } = attempt;
    if request_headers.is_empty() && response_headers.is_empty() && response_body.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(512 + response_body.len());
    for headers in [request_headers, response_headers] {
        for (name, value) in headers.iter() {
            // The log keeps no more than a few KiB of either.
            let (name, value) = (cut(name.as_bytes()), cut(value));
            bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(&END.to_le_bytes());
    }
    bytes.extend_from_slice(response_body);
    Some(bytes)
}

fn restore(attempt: &mut Attempt, bytes: &[u8]) -> Option<()> {
    let (request, bytes) = headers(bytes)?;
    let (response, body) = headers(bytes)?;
    attempt.request_headers = LoggedHeaders::from_lines(request);
    attempt.response_headers = LoggedHeaders::from_lines(response);
    attempt.response_body = Bytes::copy_from_slice(body);
    Some(())
}

type Lines<'a> = Vec<(&'a str, &'a [u8])>;

fn headers(mut bytes: &[u8]) -> Option<(Lines<'_>, &[u8])> {
    let mut lines = Vec::new();
    loop {
        let name_length = length(&mut bytes)?;
        if name_length == END {
            return Some((lines, bytes));
        }
        let value_length = length(&mut bytes)?;
        let (name, rest) = bytes.split_at_checked(name_length.into())?;
        let (value, rest) = rest.split_at_checked(value_length.into())?;
        lines.push((std::str::from_utf8(name).ok()?, value));
        bytes = rest;
    }
}

fn length(bytes: &mut &[u8]) -> Option<u16> {
    let (length, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u16::from_le_bytes(*length))
}

fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(usize::from(END) - 1)]
}

const END: u16 = u16::MAX;
const OF: &str = r#"SELECT a.delivery_id, a.fenced, a.is_last, a.record, a.contents
    FROM "crossdock".attempt a WHERE a.delivery_id = ANY ($1)"#;

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::primitives::id::{AttemptId, DeliveryId};

    fn attempt() -> Attempt {
        let now = DateTime::UNIX_EPOCH;
        Attempt::new(AttemptId::mint(now, [1; 10]), DeliveryId::mint(now, [2; 10]), 1, now)
    }

    #[test]
    fn what_was_logged_is_kept_byte_for_byte() {
        let mut whole = attempt();
        whole.request_headers = LoggedHeaders::from_lines([("a", b"1".as_slice()), ("a", b"\xff\0")]);
        whole.response_headers = LoggedHeaders::from_lines([("empty", b"".as_slice())]);
        whole.response_body = Bytes::from_static(b"\xff\xff body");
        let bytes = contents(&whole).unwrap_or_default();

        let mut restored = attempt();
        let done = restore(&mut restored, &bytes);

        assert_eq!((done, restored), (Some(()), whole));
    }

    #[test]
    fn nothing_logged_takes_no_room() {
        assert_eq!(contents(&attempt()), None);
    }

    #[test]
    fn what_is_cut_short_is_not_guessed() {
        let mut whole = attempt();
        whole.request_headers = LoggedHeaders::from_lines([("name", b"value".as_slice())]);
        let bytes = contents(&whole).unwrap_or_default();

        for end in 0..bytes.len() {
            assert_eq!(restore(&mut attempt(), &bytes[..end]), None, "{end}");
        }
    }
}
