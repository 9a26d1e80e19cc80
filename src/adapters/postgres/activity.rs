//! The activity log, read.

use async_trait::async_trait;

use crate::activity::log::{ActivityFilter, ActivityLog};
use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::listing::{cut, limit_of};
use crate::adapters::postgres::rows::{Field, stored_time};
use crate::error::Result;
use crate::primitives::page::{Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;

#[async_trait]
impl ActivityLog for PostgresStore {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        let mut session = self.for_tenant("list activity", tenant).await?;
        let statement = session
            .statement(self.sql(LIST))
            .persistent(false)
            .bind(tenant.as_str().to_owned())
            .bind(page.cursor().map(|cursor| cursor.row()))
            .bind(limit_of(page))
            .bind(filter.kind.map(|kind| kind.as_str()))
            .bind(filter.subject.as_ref().map(|subject| subject.as_str().to_owned()))
            .bind(filter.actor.clone())
            .bind(filter.from.map(stored_time))
            .bind(filter.to.map(stored_time));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let (rows, next) = cut(rows, page, "id")?;
        let read = |row: &sqlx::postgres::PgRow| Activity::from_stored(row.field("record")?);
        Ok(Page::new(rows.iter().map(read).collect::<Result<_>>()?, next))
    }
}

const LIST: &str = r#"SELECT a.id, a.record FROM "crossdock".activity a
    WHERE a.tenant_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($4::text IS NULL OR a.kind = $4)
        AND ($5::text IS NULL OR a.subject = $5) AND ($6::text IS NULL OR a.actor = $6)
        AND ($7::timestamptz IS NULL OR a.at >= $7) AND ($8::timestamptz IS NULL OR a.at < $8)
    ORDER BY a.id DESC LIMIT $3"#;
