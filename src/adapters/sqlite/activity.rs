//! The activity log, and each tenant's chain of administrative entries in it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Row, params};

use crate::activity::chain::{
    ChainAnchor, ChainEncoding, ChainEnds, ChainEntry, ChainHash, ChainPlace, Link,
};
use crate::activity::model::Activity;
use crate::activity::store::{ActivityFilter, ActivityStore};
use crate::adapters::sqlite::SqliteStore;
use crate::adapters::sqlite::columns::{limit, nanos, signed, stored, tenant, text, unsigned, uuid};
use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::adapters::sqlite::session::Session;
use crate::error::Result;
use crate::primitives::id::ActivityId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;

/// Writes what happened into the log, and what is administrative into its tenant's chain.
pub(super) fn note<'a>(session: &Session<'_>, activity: impl IntoIterator<Item = &'a Activity>) -> Done<()> {
    for entry in activity {
        if write(session, entry)? && entry.is_administrative() {
            link(session, entry)?;
        }
    }
    Ok(())
}

/// Writes what the engine has done into the log.
pub(super) fn note_unchained<'a>(
    session: &Session<'_>,
    activity: impl IntoIterator<Item = &'a Activity>,
) -> Done<()> {
    for entry in activity {
        write(session, entry)?;
    }
    Ok(())
}

/// Says whether the entry is new.
fn write(session: &Session<'_>, entry: &Activity) -> Done<bool> {
    let (id, kind) = (entry.id.as_uuid(), entry.kind.as_str());
    let written = session.run(
        NOTE,
        params![
            entry.tenant.as_str(),
            id.as_bytes(),
            nanos(entry.at),
            kind,
            entry.subject.as_str(),
            &*entry.actor,
            entry.to_stored()?,
        ],
    )?;
    Ok(written > 0)
}

/// Only one transaction writes at a time, in whichever process: between reading the head and moving it comes nobody.
fn link(session: &Session<'_>, entry: &Activity) -> Done<()> {
    let tenant = entry.tenant.as_str();
    let ends = ends(session, &entry.tenant)?;
    let link = Link::behind(ends.head, entry.digest());
    let id = entry.id.as_uuid();
    let (sequence, hash) = (signed(link.sequence), link.hash.as_bytes());
    session.run(
        LINK,
        params![tenant, id.as_bytes(), sequence, link.previous.as_bytes(), hash, link.encoding.number(),],
    )?;
    let base = ends.base;
    session.run(HEAD, params![tenant, sequence, hash, signed(base.sequence()), base.hash().as_bytes()])?;
    Ok(())
}

fn ends(session: &Session<'_>, tenant: &TenantId) -> Done<ChainEnds> {
    let found = session
        .first(ENDS, [tenant.as_str()], |row| Ok(ChainEnds::new(anchor(row, 2, 3)?, anchor(row, 0, 1)?)))?;
    Ok(found.unwrap_or_default())
}

fn anchor(row: &Row<'_>, sequence: usize, hash: usize) -> Done<ChainAnchor> {
    Ok(ChainAnchor::new(unsigned(row.get(sequence)?), chain_hash(row, hash)?))
}

fn chain_hash(row: &Row<'_>, column: usize) -> Done<ChainHash> {
    let bytes = row.get_ref(column)?.as_blob_or_null().map_err(|_| corrupt("a hash is no blob"))?;
    Ok(ChainHash::from_stored(bytes.unwrap_or_default()))
}

fn list(
    session: &Session<'_>,
    tenant: &TenantId,
    filter: &ActivityFilter,
    page: PageRequest,
) -> Done<Page<Activity>> {
    let behind = page.cursor().map(|cursor| cursor.row().into_bytes());
    let kinds = filter.narrows_kinds().then(|| {
        let kinds = filter.kinds();
        kinds.iter().fold(String::from(","), |list, kind| list + kind.as_str() + ",")
    });
    let found = session.all(
        if filter.subject.is_some() { LIST_OF_SUBJECT } else { LIST },
        params![
            tenant.as_str(),
            behind,
            filter.subject.as_ref().map(|subject| subject.as_str()),
            kinds,
            filter.actor,
            filter.from.map(nanos),
            filter.to.map(nanos),
            limit(page.limit() + 1),
        ],
        |row| Ok((uuid(row, 1)?, text(row, 0)?.to_owned())),
    )?;
    let Page { items, next, .. } = Page::cut(found, page, |(id, _)| Cursor::behind(*id));
    // Only what is on the page need be readable.
    let entries = items.iter().map(|(_, body)| Ok(Activity::from_stored(body)?)).collect::<Done<_>>()?;
    Ok(Page::new(entries, next))
}

fn chain(
    session: &Session<'_>,
    tenant: &TenantId,
    behind: Option<ChainPlace>,
    most: usize,
) -> Done<Vec<ChainEntry>> {
    let begin = behind.map_or((i64::MIN, Vec::new()), |place| {
        (signed(place.sequence), place.id.as_uuid().as_bytes().to_vec())
    });
    session.all(CHAIN, params![tenant.as_str(), begin.0, begin.1, limit(most)], |row| {
        let id = ActivityId::from_uuid(uuid(row, 0)?);
        let encoding = row.get::<_, Option<i64>>(4)?.and_then(|number| number.try_into().ok()).unwrap_or(0);
        let encoding = ChainEncoding::from_number(encoding);
        let link = Link::new(encoding, unsigned(row.get(1)?), chain_hash(row, 2)?, chain_hash(row, 3)?);
        Ok(ChainEntry::new(id, link, contents(row, tenant, id)))
    })
}

/// What the entry says, if its record can be read and its columns say the same.
fn contents(row: &Row<'_>, tenant: &TenantId, id: ActivityId) -> Option<Activity> {
    let entry = stored::<Activity>(row, 5).ok()?;
    let same = |column, text: &str| row.get_ref(column).is_ok_and(|value| value.as_str() == Ok(text));
    let agrees = entry.id == id
        && entry.tenant == *tenant
        && row.get::<_, i64>(6) == Ok(nanos(entry.at))
        && same(7, entry.kind.as_str())
        && same(8, entry.subject.as_str())
        && same(9, &entry.actor);
    agrees.then_some(entry)
}

/// Drops old entries; chained ones only from the beginning of their chains, so that what is left hangs together. Says how many of
/// both went.
pub(super) fn forget(session: &Session<'_>, before: i64, turn: usize) -> Done<[usize; 2]> {
    let gone = session.run(FORGET, params![before, limit(turn)])?;
    let tenants = session.all(OLD_CHAINS, params![before, limit(turn)], |row| tenant(row, 0))?;
    let mut cut = 0;
    for tenant in tenants.into_iter().collect::<BTreeSet<_>>() {
        cut += cut_chain(session, &tenant, before, turn)?;
    }
    Ok([gone, cut])
}

fn cut_chain(session: &Session<'_>, tenant: &TenantId, before: i64, turn: usize) -> Done<usize> {
    let base = ends(session, tenant)?.base;
    let kept = session.number(FIRST_YOUNG, params![tenant.as_str(), before])?;
    let furthest = signed(base.sequence()).saturating_add(limit(turn));
    let last = kept.map_or(furthest, |kept| furthest.min(kept.saturating_sub(1)));
    let last = session.first(LAST_UP_TO, params![tenant.as_str(), last], |row| {
        Ok((row.get::<_, i64>(0)?, chain_hash(row, 1)?))
    })?;
    let Some((sequence, hash)) = last else { return Ok(0) };
    session.run(BASE, params![tenant.as_str(), sequence, hash.as_bytes()])?;
    session.run(CUT, params![tenant.as_str(), sequence])
}

#[async_trait]
impl ActivityStore for SqliteStore {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.read("list activity", move |session| list(session, &tenant, &filter, page)).await
    }

    async fn append(&self, entries: Vec<Activity>) -> Result<()> {
        self.write("append to the activity log", move |session| note(session, &entries)).await
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        let tenant = tenant.clone();
        self.read("read the activity chain", move |session| chain(session, &tenant, behind, limit)).await
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        let tenant = tenant.clone();
        self.read("read the ends of the activity chain", move |session| ends(session, &tenant)).await
    }
}

const NOTE: &str = "INSERT OR IGNORE INTO crossdock_activity (tenant, id, at, kind, subject, actor, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const LINK: &str = "UPDATE crossdock_activity SET sequence = ?3, previous = ?4, hash = ?5, encoding = ?6 \
    WHERE tenant = ?1 AND id = ?2";
const HEAD: &str = "INSERT INTO crossdock_activity_chain (tenant, sequence, hash, base_sequence, base_hash) \
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash";
const ENDS: &str =
    "SELECT sequence, hash, base_sequence, base_hash FROM crossdock_activity_chain WHERE tenant = ?1";
const CHAIN: &str = "SELECT id, sequence, previous, hash, encoding, body, at, kind, subject, actor \
    FROM crossdock_activity WHERE tenant = ?1 AND sequence IS NOT NULL AND (sequence, id) > (?2, ?3) \
    ORDER BY sequence, id LIMIT ?4";
const FORGET: &str = "DELETE FROM crossdock_activity WHERE (tenant, id) IN \
    (SELECT tenant, id FROM crossdock_activity WHERE at < ?1 AND sequence IS NULL ORDER BY at LIMIT ?2)";
const OLD_CHAINS: &str =
    "SELECT tenant FROM crossdock_activity WHERE at < ?1 AND sequence IS NOT NULL ORDER BY at LIMIT ?2";
const FIRST_YOUNG: &str = "SELECT sequence FROM crossdock_activity \
    WHERE tenant = ?1 AND sequence IS NOT NULL AND at >= ?2 ORDER BY sequence LIMIT 1";
const LAST_UP_TO: &str = "SELECT sequence, hash FROM crossdock_activity \
    WHERE tenant = ?1 AND sequence IS NOT NULL AND sequence <= ?2 ORDER BY sequence DESC LIMIT 1";
const BASE: &str = "UPDATE crossdock_activity_chain SET base_sequence = ?2, base_hash = ?3 WHERE tenant = ?1";
const CUT: &str =
    "DELETE FROM crossdock_activity WHERE tenant = ?1 AND sequence IS NOT NULL AND sequence <= ?2";

macro_rules! list {
    ($subject:literal) => {
        concat!(
            "SELECT body, id FROM crossdock_activity WHERE tenant = ?1 AND (?2 IS NULL OR id < ?2) AND ",
            $subject,
            " AND (?4 IS NULL OR instr(?4, ',' || kind || ',') > 0) AND (?5 IS NULL OR actor = ?5) ",
            "AND (?6 IS NULL OR at >= ?6) AND (?7 IS NULL OR at < ?7) ORDER BY id DESC LIMIT ?8"
        )
    };
}

const LIST: &str = list!("?3 IS NULL");
const LIST_OF_SUBJECT: &str = list!("subject = ?3");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn no_statement_reads_a_whole_table() {
        let statements = [LINK, ENDS, CHAIN, FORGET, OLD_CHAINS, FIRST_YOUNG, LAST_UP_TO, BASE, CUT];

        assert_eq!(scans(&statements), [""; 0]);
    }
}
