//! Publications by column, in the types of the driver: what the store itself publishes needs no detour over text.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::failure::failure;
use crate::adapters::postgres::publish::{At, STEP, answers, refused};
use crate::adapters::postgres::rows::{earlier, stored_time};
use crate::adapters::postgres::session::Statement;
use crate::adapters::postgres::{Connections, PostgresStore};
use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::webhooks::model::{Publication, Published};

/// Borrows what is borrowed anyway: a payload is copied once, into the driver's message.
#[derive(Default)]
struct Publications<'a> {
    ids: Vec<Uuid>,
    tenants: Vec<&'a str>,
    types: Vec<&'a str>,
    heads: Vec<String>,
    subjects: Vec<Option<&'a str>>,
    published: Vec<DateTime<Utc>>,
    payloads: Vec<&'a [u8]>,
    keys: Vec<Option<&'a str>>,
    digests: Vec<&'a [u8]>,
    forgotten: Vec<DateTime<Utc>>,
    used: Vec<DateTime<Utc>>,
}

impl PostgresStore {
    /// Writes all of these or none, in one statement.
    pub(super) async fn publish_now(&self, all: Vec<(&Publication, At)>) -> Result<Vec<Published>> {
        let events: Vec<_> = all.iter().map(|(publication, _)| Arc::clone(&publication.event)).collect();
        let publications = Publications::of(all)?;
        let mut session = self.one_statement(STEP).await?;
        let persistent = self.inner.connections == Connections::Direct;
        let statement = publications.bind(sqlx::query(self.sql(PUBLISH)).persistent(persistent));
        let rows = statement.fetch_all(session.connection()).await;
        let rows = rows.map_err(|cause| refused(cause, |detail| publications.named_in(detail)))?;
        session.end().await?;
        let read = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let rows: std::result::Result<Vec<_>, _> = rows.iter().map(read).collect();
        let published = answers(publications.ids.len(), rows.map_err(|error| failure(STEP, error))?)?;
        let fresh = events.into_iter().zip(&published).filter(|(_, published)| published.fresh);
        self.inner.own_events.remember(fresh.map(|(event, _)| event));
        Ok(published)
    }
}

impl<'a> Publications<'a> {
    fn of(all: Vec<(&'a Publication, At)>) -> Result<Self> {
        let mut columns = Self::default();
        // What goes with keys is not asked for without any.
        let is_keyed = all.iter().any(|(publication, _)| publication.idempotency_key.is_some());
        for (publication, at) in all {
            let head = &publication.event.head;
            columns.ids.push(head.id.as_uuid());
            columns.tenants.push(head.tenant.as_str());
            columns.types.push(head.event_type.as_str());
            columns.heads.push(head.to_stored()?);
            columns.subjects.push(head.subject.as_deref());
            columns.published.push(stored_time(head.published_at));
            columns.payloads.push(&publication.event.payload);
            if is_keyed {
                columns.keys.push(publication.idempotency_key.as_deref());
                columns.digests.push(&publication.digest);
                columns.forgotten.push(earlier(at.now, at.remembered));
                columns.used.push(stored_time(at.now));
            }
        }
        Ok(columns)
    }

    fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(&self.ids)
            .bind(&self.tenants)
            .bind(&self.types)
            .bind(&self.heads)
            .bind(&self.subjects)
            .bind(&self.published)
            .bind(&self.payloads)
            .bind(&self.keys)
            .bind(&self.digests)
            .bind(&self.forgotten)
            .bind(&self.used)
    }

    /// Which event a server means that quotes its id, in whatever language.
    fn named_in(&self, detail: &str) -> Option<usize> {
        self.ids.iter().position(|id| detail.contains(&id.hyphenated().to_string()))
    }
}

const PUBLISH: &str = r#"SELECT p.place, p.event_id, p.fresh
    FROM "crossdock".publish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS p"#;
