//! The activity log.

use rusqlite::params;

use crate::activity::log::ActivityFilter;
use crate::activity::model::Activity;
use crate::adapters::sqlite::columns::{limit, nanos, stored};
use crate::adapters::sqlite::fault::Done;
use crate::adapters::sqlite::session::Session;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;

/// Writes what happened into the log.
pub(super) fn note<'a>(session: &Session<'_>, activity: impl IntoIterator<Item = &'a Activity>) -> Done<()> {
    for entry in activity {
        let (id, kind) = (entry.id.as_uuid(), entry.kind.as_str());
        session.run(
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
    }
    Ok(())
}

pub(super) fn list(
    session: &Session<'_>,
    tenant: &TenantId,
    filter: &ActivityFilter,
    page: PageRequest,
) -> Done<Page<Activity>> {
    let behind = page.cursor().map(|cursor| cursor.row().into_bytes());
    let found = session.all(
        if filter.subject.is_some() { LIST_OF_SUBJECT } else { LIST },
        params![
            tenant.as_str(),
            behind,
            filter.subject.as_ref().map(|subject| subject.as_str()),
            filter.kind.map(|kind| kind.as_str()),
            filter.actor,
            filter.from.map(nanos),
            filter.to.map(nanos),
            limit(page.limit() + 1),
        ],
        |row| stored::<Activity>(row, 0),
    )?;
    Ok(page_of(found, page, |entry| Cursor::behind(entry.id.as_uuid())))
}

/// Cuts one page out of what was found: one more than fits says that there is a next page.
pub(super) fn page_of<T>(mut found: Vec<T>, page: PageRequest, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let is_more = found.len() > page.limit();
    found.truncate(page.limit());
    let next = if is_more { found.last().map(cursor) } else { None };
    Page::new(found, next)
}

const NOTE: &str = "INSERT OR REPLACE INTO crossdock_activity (tenant, id, at, kind, subject, actor, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

macro_rules! list {
    ($subject:literal) => {
        concat!(
            "SELECT body FROM crossdock_activity WHERE tenant = ?1 AND (?2 IS NULL OR id < ?2) AND ",
            $subject,
            " AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR actor = ?5) AND (?6 IS NULL OR at >= ?6) ",
            "AND (?7 IS NULL OR at < ?7) ORDER BY id DESC LIMIT ?8"
        )
    };
}

const LIST: &str = list!("?3 IS NULL");
const LIST_OF_SUBJECT: &str = list!("subject = ?3");
