//! Publish: one statement for any number of events, in whatever transaction.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::postgres::{PgArguments, PgDatabaseError};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use crate::adapters::postgres::failure::{corrupt, failure};
use crate::adapters::postgres::rows::{earlier, stored_time};
use crate::adapters::postgres::schema::Schema;
use crate::error::{Error, ErrorKind, Result};
use crate::primitives::id::EventId;
use crate::primitives::stored::Stored;
use crate::webhooks::conflicts::{event_exists, key_was_used};
use crate::webhooks::model::{Publication, Published};

/// The statement that writes events, with its parameters, for a driver that nobody has written an adapter for.
///
/// Run [`sql`](Self::sql) in the transaction that the events belong to, with the eleven [`parameters`](Self::parameters) in their
/// order. It answers one row per event: its place, counted from 1 (`integer`), the event's id (`text`), and whether it is fresh (`boolean`, which
/// may be null). [`answers`](Self::answers) says what they mean.
///
/// ```no_run
/// use crossdock::adapters::postgres::PublishStatement;
/// # struct Driver;
/// # impl Driver {
/// #     fn query(&self, _: &str, _: &crossdock::adapters::postgres::PublishParameters) -> Vec<(i32, String, Option<bool>)> {
/// #         Vec::new()
/// #     }
/// # }
///
/// # fn f(publication: crossdock::webhooks::Publication, driver: Driver) -> crossdock::Result<()> {
/// let statement = PublishStatement::new("crossdock", &[publication])?;
///
/// let rows = driver.query(statement.sql(), statement.parameters());
///
/// assert!(statement.answers(rows)?[0].fresh);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PublishStatement {
    sql: &'static str,
    parameters: PublishParameters,
}

/// What the statement's eleven parameters are, in their order; each has one element per event.
///
/// ```no_run
/// # fn f(statement: crossdock::adapters::postgres::PublishStatement) {
/// let ids: &[String] = &statement.parameters().ids;
/// # drop(ids.len());
/// # }
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PublishParameters {
    /// `$1`, `text[]`: the events' ids as UUIDs.
    pub ids: Vec<String>,
    /// `$2`, `text[]`: their tenants.
    pub tenants: Vec<String>,
    /// `$3`, `text[]`: their types.
    pub types: Vec<String>,
    /// `$4`, `text[]`: everything about them but their payloads, in [stored form](crate::primitives::Stored).
    pub heads: Vec<String>,
    /// `$5`, `text[]`: whom they are about.
    pub subjects: Vec<Option<String>>,
    /// `$6`, `text[]`: when they were published, RFC 3339.
    pub published: Vec<String>,
    /// `$7`, `bytea[]`: their payloads.
    pub payloads: Vec<Vec<u8>>,
    /// `$8`, `text[]`: their idempotency keys.
    pub keys: Vec<Option<String>>,
    /// `$9`, `bytea[]`: what the keys are compared with.
    pub digests: Vec<Vec<u8>>,
    /// `$10`, `text[]`: until when an earlier use of a key is forgotten, RFC 3339.
    pub forgotten: Vec<String>,
    /// `$11`, `text[]`: when the keys are used, RFC 3339.
    pub used: Vec<String>,
}

impl PublishStatement {
    /// The statement that writes these events in the store of this schema, as a host's transaction does: at the time at which they were
    /// published.
    ///
    /// # Errors
    /// `Invalid` for a schema name that is none, or an event that has no stored form.
    pub fn new(schema: &str, publications: &[Publication]) -> Result<Self> {
        Self::in_schema(Schema::named(schema)?, publications)
    }

    pub(super) fn in_schema(schema: Schema, publications: &[Publication]) -> Result<Self> {
        let mut parameters = PublishParameters::default();
        for publication in publications {
            parameters.push(publication)?;
        }
        Ok(Self { sql: schema.sql(PUBLISH), parameters })
    }

    /// The statement.
    pub fn sql(&self) -> &'static str {
        self.sql
    }

    /// Its parameters.
    pub fn parameters(&self) -> &PublishParameters {
        &self.parameters
    }

    /// What the statement's rows mean, in whatever order they come.
    ///
    /// # Errors
    /// `Conflict` when an idempotency key was used with another type or payload: then nothing was written, and the transaction goes
    /// on. `Corrupt` if these are not the statement's rows.
    pub fn answers(
        &self,
        rows: impl IntoIterator<Item = (i32, String, Option<bool>)>,
    ) -> Result<Vec<Published>> {
        let read = |(place, id, fresh): (i32, String, Option<bool>)| {
            let id: Uuid = id
                .parse()
                .map_err(|error: uuid::Error| Error::new(ErrorKind::Corrupt, STEP).with_source(error))?;
            Ok((place, id, fresh))
        };
        answers(self.parameters.ids.len(), rows.into_iter().map(read).collect::<Result<_>>()?)
    }

    fn bound(&self, persistent: bool) -> Query<'_, Postgres, PgArguments> {
        let parameters = &self.parameters;
        sqlx::query(self.sql)
            .persistent(persistent)
            .bind(&parameters.ids)
            .bind(&parameters.tenants)
            .bind(&parameters.types)
            .bind(&parameters.heads)
            .bind(&parameters.subjects)
            .bind(&parameters.published)
            .bind(&parameters.payloads)
            .bind(&parameters.keys)
            .bind(&parameters.digests)
            .bind(&parameters.forgotten)
            .bind(&parameters.used)
    }

    /// Runs it on this connection, in whatever transaction that is.
    pub(super) async fn run(
        &self,
        connection: &mut PgConnection,
        persistent: bool,
    ) -> Result<Vec<Published>> {
        let rows = self.bound(persistent).fetch_all(connection).await;
        let rows = rows.map_err(|cause| refused(cause, |detail| self.named_in(detail)))?;
        let read = |row: &sqlx::postgres::PgRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let rows: std::result::Result<Vec<_>, _> = rows.iter().map(read).collect();
        self.answers(rows.map_err(|error| failure(STEP, error))?)
    }

    /// Which event a server means that quotes its id, in whatever language.
    pub(super) fn named_in(&self, detail: &str) -> Option<usize> {
        self.parameters.ids.iter().position(|id| detail.contains(id.as_str()))
    }
}

/// What the statement's rows mean for so many events.
pub(super) fn answers(events: usize, mut rows: Vec<(i32, Uuid, Option<bool>)>) -> Result<Vec<Published>> {
    rows.sort_by_key(|(place, ..)| *place);
    if rows.len() != events {
        return Err(corrupt(STEP, "there is not one answer for each event"));
    }
    if let Some(index) = rows.iter().position(|(.., fresh)| fresh.is_none()) {
        return Err(Error::new(ErrorKind::Conflict, STEP).with_problem(key_was_used(index)));
    }
    let answer = |(_, id, fresh): (i32, Uuid, Option<bool>)| {
        Published::new(EventId::from_uuid(id), fresh.unwrap_or_default())
    };
    Ok(rows.into_iter().map(answer).collect())
}

/// A refusal, with the event that it is about.
pub(super) fn refused(cause: sqlx::Error, named_in: impl Fn(&str) -> Option<usize>) -> Error {
    let detail = cause.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let index = detail.and_then(PgDatabaseError::detail).and_then(named_in);
    taken(failure(STEP, cause), index)
}

/// When a store publishes, and how long it remembers keys.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) now: DateTime<Utc>,
    pub(super) remembered: Duration,
}

impl PublishParameters {
    fn push(&mut self, publication: &Publication) -> Result<()> {
        let head = &publication.event.head;
        self.ids.push(head.id.as_uuid().hyphenated().to_string());
        self.tenants.push(head.tenant.as_str().to_owned());
        self.types.push(head.event_type.as_str().to_owned());
        self.heads.push(head.to_stored()?);
        self.subjects.push(head.subject.as_deref().map(str::to_owned));
        self.published.push(text(head.published_at));
        self.payloads.push(publication.event.payload.to_vec());
        self.keys.push(publication.idempotency_key.as_deref().map(str::to_owned));
        self.digests.push(publication.digest.to_vec());
        self.forgotten.push(text(earlier(head.published_at, publication.remembered)));
        self.used.push(text(head.published_at));
        Ok(())
    }
}

impl fmt::Debug for PublishParameters {
    /// Payloads, subjects and keys are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishParameters")
            .field("ids", &self.ids)
            .field("tenants", &self.tenants)
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}

/// The server refuses what is there already: an event's id.
pub(super) fn taken(error: Error, index: Option<usize>) -> Error {
    if error.kind() == ErrorKind::Conflict { error.with_problem(event_exists(index)) } else { error }
}

fn text(time: DateTime<Utc>) -> String {
    stored_time(time).to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(super) const STEP: &str = "publish events";
const PUBLISH: &str = r#"SELECT p.place, p.event_id::text, p.fresh FROM "crossdock".publish(
    $1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]::timestamptz[], $7::bytea[], $8::text[],
    $9::bytea[], $10::text[]::timestamptz[], $11::text[]::timestamptz[]
) AS p ORDER BY p.place"#;
