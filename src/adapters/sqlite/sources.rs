//! Sources of inbound webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Row, params};

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::note;
use crate::adapters::sqlite::columns::{limit, signed, stored, text, unsigned, uuid};
use crate::adapters::sqlite::fault::{Done, corrupt};
use crate::adapters::sqlite::session::Session;
use crate::inbound::changes::{PresentSource, check_source_changes};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::{ResealedSecret, SourceChange};
use crate::primitives::id::SourceId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::primitives::version::Version;

pub(super) fn save(
    session: &Session<'_>,
    owner: &Owner,
    changes: &[SourceChange],
    activity: &[Activity],
) -> Done<()> {
    let mut present: BTreeMap<_, _> =
        session.all(OF_OWNER, [owner.as_str()], present_source)?.into_iter().collect();
    for change in changes {
        let id = match change {
            SourceChange::Insert(source) | SourceChange::Replace { source, .. } => source.id,
            SourceChange::Delete(id) => *id,
            SourceChange::AtMost(_) => continue,
        };
        present.extend(session.first(PRESENT, [id.as_uuid().as_bytes()], present_source)?);
    }
    check_source_changes(owner, changes, present)?;
    for change in changes {
        match change {
            SourceChange::Insert(source) | SourceChange::Replace { source, .. } => {
                let (id, version) = (source.id.as_uuid(), signed(source.version.number()));
                let body = source.to_stored()?;
                session
                    .run(PUT, params![id.as_bytes(), owner.as_str(), source.name.as_str(), version, body])?;
            }
            SourceChange::Delete(id) => drop(session.run(DELETE, [id.as_uuid().as_bytes()])?),
            SourceChange::AtMost(_) => {}
        }
    }
    note(session, activity)
}

pub(super) fn find(session: &Session<'_>, id: SourceId) -> Done<Option<Arc<Source>>> {
    session.first(FIND, [id.as_uuid().as_bytes()], shared)
}

pub(super) fn find_platform(session: &Session<'_>, name: &SourceName) -> Done<Option<Arc<Source>>> {
    session.first(FIND_PLATFORM, [name.as_str()], shared)
}

pub(super) fn list(session: &Session<'_>, owner: &Owner, page: PageRequest) -> Done<Page<Arc<Source>>> {
    let behind = page.cursor().map(|cursor| cursor.row().into_bytes());
    let found = session.all(LIST, params![owner.as_str(), behind, limit(page.limit() + 1)], shared)?;
    Ok(Page::cut(found, page, |source| Cursor::behind(source.id.as_uuid())))
}

pub(super) fn list_all(
    session: &Session<'_>,
    after: Option<SourceId>,
    most: usize,
) -> Done<Vec<Arc<Source>>> {
    // Nothing is less than an empty value: every id is behind it.
    let behind = after.map_or_else(Vec::new, |id| id.as_uuid().as_bytes().to_vec());
    session.all(LIST_ALL, params![behind, limit(most)], shared)
}

pub(super) fn reseal(session: &Session<'_>, id: SourceId, seals: &[ResealedSecret]) -> Done<u64> {
    let Some(mut source) = find(session, id)?.map(Arc::unwrap_or_clone) else { return Ok(0) };
    let resealed = seals.iter().filter(|seal| source.reseal(&seal.before, &seal.after)).count();
    if resealed > 0 {
        session.run(RESEAL, params![id.as_uuid().as_bytes(), source.to_stored()?])?;
    }
    Ok(resealed as u64)
}

fn shared(row: &Row<'_>) -> Done<Arc<Source>> {
    Ok(Arc::new(stored(row, 0)?))
}

fn present_source(row: &Row<'_>) -> Done<(SourceId, PresentSource)> {
    let owner = Owner::from_kept(text(row, 1)?).ok_or_else(|| corrupt("a tenant's id is none"))?;
    let name = text(row, 2)?.parse().map_err(|_| corrupt("a source's name is none"))?;
    let version = Version::new(unsigned(row.get(3)?));
    Ok((SourceId::from_uuid(uuid(row, 0)?), PresentSource::new(owner, name, version)))
}

const OF_OWNER: &str = "SELECT id, tenant, name, version FROM crossdock_source WHERE tenant = ?1";
const PRESENT: &str = "SELECT id, tenant, name, version FROM crossdock_source WHERE id = ?1";
const PUT: &str = "INSERT INTO crossdock_source (id, tenant, name, version, body) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body";
const DELETE: &str = "DELETE FROM crossdock_source WHERE id = ?1";
const FIND: &str = "SELECT body FROM crossdock_source WHERE id = ?1";
const FIND_PLATFORM: &str = "SELECT body FROM crossdock_source WHERE name = ?1 AND tenant = ''";
const LIST: &str = "SELECT body FROM crossdock_source WHERE tenant = ?1 AND (?2 IS NULL OR id < ?2) \
    ORDER BY id DESC LIMIT ?3";
const LIST_ALL: &str = "SELECT body FROM crossdock_source WHERE id > ?1 ORDER BY id LIMIT ?2";
const RESEAL: &str = "UPDATE crossdock_source SET body = ?2 WHERE id = ?1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn no_statement_reads_a_whole_table() {
        assert_eq!(scans(&[OF_OWNER, PRESENT, DELETE, FIND, FIND_PLATFORM, LIST, LIST_ALL, RESEAL]), [""; 0]);
    }
}
