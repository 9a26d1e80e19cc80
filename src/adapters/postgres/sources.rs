//! Sources of inbound webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::rows::{Field, number, uuid_of};
use crate::adapters::postgres::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::inbound::changes::{PresentSource, check_source_changes};
use crate::inbound::source::{InvalidSourceName, Owner, Source, SourceName};
use crate::inbound::store::{ResealedSecret, SourceChange};
use crate::primitives::id::SourceId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::primitives::version::Version;

impl PostgresStore {
    /// A step of several statements about what this owner has.
    pub(super) async fn transaction_of(&self, step: &'static str, owner: &Owner) -> Result<Session> {
        match owner {
            Owner::Tenant(tenant) => self.transaction_for(step, tenant).await,
            Owner::Platform => self.transaction(step).await,
        }
    }

    /// The same for one statement.
    pub(super) async fn statement_of(&self, step: &'static str, owner: &Owner) -> Result<Session> {
        match owner {
            Owner::Tenant(tenant) => self.for_tenant(step, tenant).await,
            Owner::Platform => self.one_statement(step).await,
        }
    }

    pub(super) async fn put_sources(
        &self,
        owner: &Owner,
        changes: Vec<SourceChange>,
        activity: &[Activity],
    ) -> Result<()> {
        let mut session = self.transaction_of("save sources", owner).await?;
        // Whoever else changes this owner's sources comes after this: conditions are about all of them.
        session.run(session.statement(self.sql(HOLD)).bind(owner.as_str().to_owned())).await?;
        let named = changes.iter().filter_map(id_of).collect::<Vec<Uuid>>();
        let statement = session.statement(self.sql(PRESENT)).bind(owner.as_str().to_owned()).bind(named);
        let rows = session.rows(statement).await?;
        let present = rows.iter().map(present_source).collect::<Result<BTreeMap<_, _>>>()?;
        check_source_changes(owner, &changes, present)?;
        for change in changes {
            let statement = match &change {
                SourceChange::Insert(source) => session
                    .statement(self.sql(INSERT))
                    .bind(source.id.as_uuid())
                    .bind(number(source.version.number()))
                    .bind(source.to_stored()?)
                    .bind(owner.as_str().to_owned())
                    .bind(source.name.as_str().to_owned()),
                SourceChange::Replace { source, .. } => session
                    .statement(self.sql(REPLACE))
                    .bind(source.id.as_uuid())
                    .bind(number(source.version.number()))
                    .bind(source.to_stored()?),
                SourceChange::Delete(id) => session.statement(self.sql(DELETE)).bind(id.as_uuid()),
                SourceChange::AtMost(_) => continue,
            };
            session.run(statement).await?;
        }
        self.note(&mut session, activity).await?;
        session.end().await
    }

    pub(super) async fn find_source(&self, id: SourceId) -> Result<Option<Arc<Source>>> {
        let mut session = self.one_statement("find a source").await?;
        let row = session.row(session.statement(self.sql(FIND)).bind(id.as_uuid())).await?;
        session.end().await?;
        row.as_ref().map(read_source).transpose()
    }

    pub(super) async fn find_platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        let mut session = self.one_statement("find a source").await?;
        let statement = session.statement(self.sql(FIND_PLATFORM)).bind(name.as_str().to_owned());
        let row = session.row(statement).await?;
        session.end().await?;
        row.as_ref().map(read_source).transpose()
    }

    pub(super) async fn list_sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>> {
        let mut session = self.statement_of("list sources", owner).await?;
        let statement = session
            .statement(self.sql(LIST))
            .bind(owner.as_str().to_owned())
            .bind(page.cursor().map(|cursor| cursor.row()))
            .bind(number(page.limit() as u64 + 1));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let found = rows.iter().map(read_source).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(found, page, |source| Cursor::behind(source.id.as_uuid())))
    }

    pub(super) async fn list_all_sources(
        &self,
        after: Option<SourceId>,
        limit: usize,
    ) -> Result<Vec<Arc<Source>>> {
        let mut session = self.one_statement("list all sources").await?;
        let statement = session
            .statement(self.sql(LIST_ALL))
            .bind(after.map(|id| id.as_uuid()))
            .bind(number(limit as u64));
        let rows = session.rows(statement).await?;
        session.end().await?;
        rows.iter().map(read_source).collect()
    }

    pub(super) async fn reseal_secrets(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64> {
        let mut session = self.transaction("reseal a source's secrets").await?;
        let found = session.row(session.statement(self.sql(HOLD_ONE)).bind(id.as_uuid())).await?;
        let Some(row) = found else {
            session.end().await?;
            return Ok(0);
        };
        let mut source = Arc::unwrap_or_clone(read_source(&row)?);
        let resealed = seals.iter().filter(|seal| source.reseal(&seal.before, &seal.after)).count();
        if resealed > 0 {
            let statement = session.statement(self.sql(RESEAL)).bind(id.as_uuid()).bind(source.to_stored()?);
            session.run(statement).await?;
        }
        session.end().await?;
        Ok(resealed as u64)
    }
}

fn id_of(change: &SourceChange) -> Option<Uuid> {
    match change {
        SourceChange::Insert(source) | SourceChange::Replace { source, .. } => Some(source.id.as_uuid()),
        SourceChange::Delete(id) => Some(id.as_uuid()),
        SourceChange::AtMost(_) => None,
    }
}

fn read_source(row: &PgRow) -> Result<Arc<Source>> {
    Ok(Arc::new(Source::from_stored(row.field("record")?)?))
}

fn present_source(row: &PgRow) -> Result<(SourceId, PresentSource)> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "read a row");
    let owner = Owner::from_kept(row.field("tenant_id")?).ok_or_else(corrupt)?;
    let name: SourceName = row
        .field::<&str>("name")?
        .parse()
        .map_err(|cause: InvalidSourceName| corrupt().with_source(cause))?;
    let version = Version::new(row.field::<i64>("version")?.unsigned_abs());
    Ok((SourceId::from_uuid(uuid_of(row, "id")?), PresentSource::new(owner, name, version)))
}

const HOLD: &str = r#"SELECT pg_advisory_xact_lock(hashtextextended('"crossdock" sources ' || $1, 0))"#;
const PRESENT: &str =
    r#"SELECT id, tenant_id, name, version FROM "crossdock".source WHERE tenant_id = $1 OR id = ANY($2)"#;
const INSERT: &str =
    r#"INSERT INTO "crossdock".source (id, version, record, tenant_id, name) VALUES ($1, $2, $3, $4, $5)"#;
const REPLACE: &str = r#"UPDATE "crossdock".source SET version = $2, record = $3 WHERE id = $1"#;
const DELETE: &str = r#"DELETE FROM "crossdock".source WHERE id = $1"#;
const FIND: &str = r#"SELECT record FROM "crossdock".source WHERE id = $1"#;
const FIND_PLATFORM: &str = r#"SELECT record FROM "crossdock".source WHERE name = $1 AND tenant_id = ''"#;
const LIST: &str = r#"SELECT record FROM "crossdock".source WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2)
    ORDER BY id DESC LIMIT $3"#;
const LIST_ALL: &str =
    r#"SELECT record FROM "crossdock".source WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2"#;
const HOLD_ONE: &str = r#"SELECT record FROM "crossdock".source WHERE id = $1 FOR NO KEY UPDATE"#;
const RESEAL: &str = r#"UPDATE "crossdock".source SET record = $2 WHERE id = $1"#;
