//! API keys and their use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use rusqlite::{Row, params};

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::note;
use crate::adapters::sqlite::columns::{
    count, limit, nanos, signed, small, stored, text, time, unsigned, uuid,
};
use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::adapters::sqlite::session::Session;
use crate::api_keys::changes::{PresentKey, check_key_changes};
use crate::api_keys::model::{ApiKey, CallOutcome, DayCount, KeyRecord, KeyUsage, LastUse};
use crate::api_keys::store::{Epoch, KeyChange, KeyFilter, KeysChanged};
use crate::api_keys::token::PublicId;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

pub(super) fn save(
    session: &Session<'_>,
    tenant: &TenantId,
    changes: &[KeyChange],
    activity: &[Activity],
) -> Done<()> {
    let mut present = BTreeMap::new();
    let (mut taken, mut taken_ids) = (BTreeSet::new(), BTreeSet::new());
    for change in changes {
        match change {
            KeyChange::Insert(key) => {
                if session.finds(ID_IS_TAKEN, [key.id.as_uuid().as_bytes()])? {
                    taken_ids.insert(key.id);
                }
                if session.finds(PUBLIC_ID_IS_TAKEN, [key.public_id.as_str()])? {
                    taken.insert(key.public_id);
                }
            }
            KeyChange::Replace { key, .. } => {
                let id = key.id.as_uuid();
                present.extend(session.first(
                    PRESENT,
                    params![tenant.as_str(), id.as_bytes()],
                    present_key,
                )?);
            }
            KeyChange::AtMost(_) => present.extend(session.all(COUNTING, [tenant.as_str()], present_key)?),
        }
    }
    check_key_changes(tenant, changes, present, taken, taken_ids)?;
    for change in changes {
        let (KeyChange::Insert(key) | KeyChange::Replace { key, .. }) = change else { continue };
        let epoch = session.number(EPOCH, [])?.unwrap_or(0) + 1;
        session.run(
            PUT,
            params![
                key.id.as_uuid().as_bytes(),
                tenant.as_str(),
                key.public_id.as_str(),
                key.line.as_uuid().as_bytes(),
                signed(key.version.number()),
                epoch,
                PresentKey::of(key).counts,
                key.to_stored()?,
            ],
        )?;
    }
    note(session, activity)
}

pub(super) fn find(session: &Session<'_>, id: PublicId) -> Done<Option<Arc<ApiKey>>> {
    session.first(FIND, [id.as_str()], |row| Ok(Arc::new(stored(row, 0)?)))
}

pub(super) fn changed_since(session: &Session<'_>, since: Option<Epoch>, most: usize) -> Done<KeysChanged> {
    let epoch = Epoch::new(unsigned(session.number(EPOCH, [])?.unwrap_or(0)));
    let Some(since) = since else { return Ok(KeysChanged::new(epoch, Some(Vec::new()))) };
    let found =
        session.all(CHANGED, params![signed(since.number()), limit(most.saturating_add(1))], |row| {
            text(row, 0)?.parse().map_err(|_| corrupt("a public id is none"))
        })?;
    Ok(KeysChanged::new(epoch, (found.len() <= most).then_some(found)))
}

pub(super) fn key(session: &Session<'_>, tenant: &TenantId, id: ApiKeyId) -> Done<Option<KeyRecord>> {
    session.first(KEY, params![tenant.as_str(), id.as_uuid().as_bytes()], record)
}

/// Reads on until the page is full: what a key is called depends on the time, so no index knows it.
pub(super) fn keys(
    session: &Session<'_>,
    tenant: &TenantId,
    filter: &KeyFilter,
    page: PageRequest,
    now: DateTime<Utc>,
) -> Done<Page<KeyRecord>> {
    let mut behind = page.cursor().map(|cursor| cursor.row().into_bytes());
    let mut found = Vec::new();
    while found.len() <= page.limit() {
        let part = session.all(KEYS, params![tenant.as_str(), behind, limit(PART)], record)?;
        let Some(last) = part.last() else { break };
        behind = Some(last.key.id.as_uuid().into_bytes());
        found.extend(part.into_iter().filter(|record| filter.matches(record, now)));
    }
    Ok(Page::cut(found, page, |record| Cursor::behind(record.key.id.as_uuid())))
}

pub(super) fn record_usage(session: &Session<'_>, usage: &[KeyUsage], activity: &[Activity]) -> Done<()> {
    for used in usage {
        let id = used.key.as_uuid();
        if !session.finds(PRESENT, params![used.tenant.as_str(), id.as_bytes()])? {
            continue;
        }
        for counted in &used.counts {
            let day = counted.day.num_days_from_ce();
            let (outcome, count) = (counted.outcome.as_str(), signed(counted.count));
            session.run(ADD, params![id.as_bytes(), day, outcome, count])?;
        }
        if let Some(last) = &used.last {
            let (at, address) = (nanos(last.at), last.address.to_string());
            session.run(LAST, params![id.as_bytes(), at, address, last.route])?;
        }
        if let Some(rekeyed) = &used.rekeyed {
            let body = |row: &Row<'_>| stored::<ApiKey>(row, 0);
            let found = session.first(BODY, params![used.tenant.as_str(), id.as_bytes()], body)?;
            if let Some(mut key) = found.filter(|key| key.mac == rekeyed.before) {
                key.mac = rekeyed.after.clone();
                session.run(REKEY, params![id.as_bytes(), key.to_stored()?])?;
            }
        }
    }
    note(session, activity)
}

pub(super) fn usage(
    session: &Session<'_>,
    tenant: &TenantId,
    id: ApiKeyId,
    from: NaiveDate,
    to: NaiveDate,
) -> Done<Vec<DayCount>> {
    let (from, to) = (from.num_days_from_ce(), to.num_days_from_ce());
    session.all(USAGE, params![tenant.as_str(), id.as_uuid().as_bytes(), from, to], |row| {
        let day =
            NaiveDate::from_num_days_from_ce_opt(small(row, 0)?).ok_or_else(|| corrupt("a day is none"))?;
        Ok(DayCount::new(day, stored::<CallOutcome>(row, 1)?, count(row, 2)?))
    })
}

pub(super) fn lease(
    session: &Session<'_>,
    tenant: &TenantId,
    line: ApiKeyId,
    most: u64,
    wanted: u64,
) -> Done<u64> {
    let line = line.as_uuid();
    if !session.finds(LINE_EXISTS, params![tenant.as_str(), line.as_bytes()])? {
        return Ok(0);
    }
    let used = unsigned(session.number(USED, params![tenant.as_str(), line.as_bytes()])?.unwrap_or(0));
    let granted = wanted.min(most.saturating_sub(used));
    session.run(USE, params![tenant.as_str(), line.as_bytes(), signed(used + granted)])?;
    Ok(granted)
}

pub(super) fn give_back(session: &Session<'_>, tenant: &TenantId, line: ApiKeyId, unused: u64) -> Done<()> {
    let line = line.as_uuid();
    if let Some(used) = session.number(USED, params![tenant.as_str(), line.as_bytes()])? {
        let left = unsigned(used).saturating_sub(unused);
        session.run(USE, params![tenant.as_str(), line.as_bytes(), signed(left)])?;
    }
    Ok(())
}

fn present_key(row: &Row<'_>) -> Done<(ApiKeyId, PresentKey)> {
    let version = Version::new(unsigned(row.get(1)?));
    Ok((ApiKeyId::from_uuid(uuid(row, 0)?), PresentKey { version, counts: row.get(2)? }))
}

fn record(row: &Row<'_>) -> Done<KeyRecord> {
    let mut record = KeyRecord::new(stored(row, 0)?);
    record.used = unsigned(row.get::<_, Option<i64>>(4)?.unwrap_or(0));
    if let Some(at) = row.get(1)? {
        let address = text(row, 2)?.parse().map_err(|_| corrupt("an address is none"))?;
        record.last = Some(LastUse::new(time(at), address, text(row, 3)?));
    }
    Ok(record)
}

macro_rules! record_where {
    ($condition:literal) => {
        concat!(
            "SELECT k.body, k.last_at, k.last_address, k.last_route, u.used FROM crossdock_api_key k ",
            "LEFT JOIN crossdock_api_key_uses u ON u.tenant = k.tenant AND u.line = k.line WHERE ",
            $condition
        )
    };
}

const ID_IS_TAKEN: &str = "SELECT 1 FROM crossdock_api_key WHERE id = ?1";
const PUBLIC_ID_IS_TAKEN: &str = "SELECT 1 FROM crossdock_api_key WHERE public_id = ?1";
const PRESENT: &str = "SELECT id, version, counts FROM crossdock_api_key WHERE id = ?2 AND tenant = ?1";
const COUNTING: &str = "SELECT id, version, counts FROM crossdock_api_key WHERE tenant = ?1 AND counts = 1";
const EPOCH: &str = "SELECT max(epoch) FROM crossdock_api_key";
const PUT: &str = "INSERT INTO crossdock_api_key (id, tenant, public_id, line, version, epoch, counts, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET version = excluded.version, \
    epoch = excluded.epoch, counts = excluded.counts, body = excluded.body";
const FIND: &str = "SELECT body FROM crossdock_api_key WHERE public_id = ?1";
const CHANGED: &str = "SELECT public_id FROM crossdock_api_key WHERE epoch > ?1 LIMIT ?2";
const KEY: &str = record_where!("k.id = ?2 AND k.tenant = ?1");
const KEYS: &str = record_where!("k.tenant = ?1 AND (?2 IS NULL OR k.id < ?2) ORDER BY k.id DESC LIMIT ?3");
const BODY: &str = "SELECT body FROM crossdock_api_key WHERE id = ?2 AND tenant = ?1";
const ADD: &str = "INSERT INTO crossdock_api_key_day (key, day, outcome, count) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (key, day, outcome) DO UPDATE SET count = count + excluded.count";
const LAST: &str = "UPDATE crossdock_api_key SET last_at = ?2, last_address = ?3, last_route = ?4 \
    WHERE id = ?1 AND (last_at IS NULL OR last_at <= ?2)";
const REKEY: &str = "UPDATE crossdock_api_key SET body = ?2 WHERE id = ?1";
const USAGE: &str = "SELECT d.day, d.outcome, d.count FROM crossdock_api_key k \
    JOIN crossdock_api_key_day d ON d.key = k.id WHERE k.id = ?2 AND k.tenant = ?1 AND d.day BETWEEN ?3 AND ?4 \
    ORDER BY d.day, d.outcome";
const LINE_EXISTS: &str = "SELECT 1 FROM crossdock_api_key WHERE tenant = ?1 AND line = ?2";
const USED: &str = "SELECT used FROM crossdock_api_key_uses WHERE tenant = ?1 AND line = ?2";
const USE: &str = "INSERT INTO crossdock_api_key_uses (tenant, line, used) VALUES (?1, ?2, ?3) \
    ON CONFLICT (tenant, line) DO UPDATE SET used = excluded.used";
/// How many keys are looked at together.
const PART: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn no_statement_reads_a_whole_table() {
        let statements = [
            ID_IS_TAKEN,
            PUBLIC_ID_IS_TAKEN,
            PRESENT,
            COUNTING,
            FIND,
            CHANGED,
            KEY,
            KEYS,
            BODY,
            LAST,
            USAGE,
            LINE_EXISTS,
            USED,
        ];

        assert_eq!(scans(&statements), [""; 0]);
    }
}
