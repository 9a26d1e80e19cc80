//! The activity log, and each tenant's chain of administrative entries in it. Dropping a future leaves its step made or not made.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::activity::chain::{
    ChainAnchor, ChainEncoding, ChainEnds, ChainEntry, ChainHash, ChainPlace, Link,
};
use crate::activity::model::Activity;
use crate::activity::store::{ActivityFilter, ActivityStore};
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::listing::{cut, limit_of};
use crate::adapters::postgres::rows::{Field, number, stored_time, uuid_of};
use crate::error::Result;
use crate::primitives::id::ActivityId;
use crate::primitives::page::{Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;

#[async_trait]
impl ActivityStore for PostgresStore {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        let kinds = filter.narrows_kinds().then(|| {
            let kinds = filter.kinds();
            kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()
        });
        let mut session = self.for_tenant("list activity", tenant).await?;
        let statement = session
            .statement(self.sql(LIST))
            .persistent(false)
            .bind(tenant.as_str().to_owned())
            .bind(page.cursor().map(|cursor| cursor.row()))
            .bind(limit_of(page))
            .bind(kinds)
            .bind(filter.subject.as_ref().map(|subject| subject.as_str().to_owned()))
            .bind(filter.actor.clone())
            .bind(filter.from.map(stored_time))
            .bind(filter.to.map(stored_time));
        let rows = session.rows(statement).await?;
        session.end().await?;
        let (rows, next) = cut(rows, page, "id")?;
        let read = |row: &PgRow| Activity::from_stored(row.field("record")?);
        Ok(Page::new(rows.iter().map(read).collect::<Result<_>>()?, next))
    }

    async fn append(&self, entries: Vec<Activity>) -> Result<()> {
        let mut session = self.transaction("append to the activity log").await?;
        self.note(&mut session, &entries).await?;
        session.end().await
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        let behind = behind
            .map_or((i64::MIN, Uuid::nil()), |place| (place.sequence.cast_signed(), place.id.as_uuid()));
        let mut session = self.for_tenant("read the activity chain", tenant).await?;
        let statement = session
            .statement(self.sql(CHAIN))
            .bind(tenant.as_str().to_owned())
            .bind(behind.0)
            .bind(behind.1)
            .bind(number(limit as u64));
        let rows = session.rows(statement).await?;
        session.end().await?;
        rows.iter().map(|row| read_chained(row, tenant)).collect()
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        let mut session = self.for_tenant("read the ends of the activity chain", tenant).await?;
        let statement = session.statement(self.sql(ENDS)).bind(tenant.as_str().to_owned());
        let row = session.row(statement).await?;
        session.end().await?;
        let Some(row) = row else { return Ok(ChainEnds::default()) };
        let anchor = |sequence, hash| -> Result<ChainAnchor> {
            let hash = ChainHash::from_stored(row.field(hash)?);
            Ok(ChainAnchor::new(row.field::<i64>(sequence)?.cast_unsigned(), hash))
        };
        Ok(ChainEnds::new(anchor("base_sequence", "base_hash")?, anchor("sequence", "hash")?))
    }
}

fn read_chained(row: &PgRow, tenant: &TenantId) -> Result<ChainEntry> {
    let id = ActivityId::from_uuid(uuid_of(row, "id")?);
    let encoding = row.field::<Option<i16>>("encoding")?.and_then(|number| number.try_into().ok());
    let hash = |name| -> Result<ChainHash> {
        Ok(ChainHash::from_stored(row.field::<Option<&[u8]>>(name)?.unwrap_or_default()))
    };
    let link = Link::new(
        ChainEncoding::from_number(encoding.unwrap_or(0)),
        row.field::<i64>("sequence")?.cast_unsigned(),
        hash("previous")?,
        hash("hash")?,
    );
    // What cannot be read, or contradicts its columns, is there without its contents.
    let contents = match Activity::from_stored(row.field("record")?) {
        Ok(entry) => agrees(row, &entry, tenant, id)?.then_some(entry),
        Err(_) => None,
    };
    Ok(ChainEntry::new(id, link, contents))
}

fn agrees(row: &PgRow, entry: &Activity, tenant: &TenantId, id: ActivityId) -> Result<bool> {
    let at = row.field::<DateTime<Utc>>("at")?;
    Ok(entry.id == id
        && entry.tenant == *tenant
        && at.timestamp_micros() == stored_time(entry.at).timestamp_micros()
        && row.field::<&str>("kind")? == entry.kind.as_str()
        && row.field::<&str>("subject")? == entry.subject.as_str()
        && row.field::<&str>("actor")? == &*entry.actor)
}

const LIST: &str = r#"SELECT a.id, a.record FROM "crossdock".activity a
    WHERE a.tenant_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($4::text[] IS NULL OR a.kind = ANY ($4))
        AND ($5::text IS NULL OR a.subject = $5) AND ($6::text IS NULL OR a.actor = $6)
        AND ($7::timestamptz IS NULL OR a.at >= $7) AND ($8::timestamptz IS NULL OR a.at < $8)
    ORDER BY a.id DESC LIMIT $3"#;
const CHAIN: &str = r#"SELECT a.id, a.sequence, a.previous, a.hash, a.encoding, a.at, a.kind, a.subject, a.actor, a.record
    FROM "crossdock".activity a
    WHERE a.tenant_id = $1 AND a.sequence IS NOT NULL AND (a.sequence, a.id) > ($2, $3)
    ORDER BY a.sequence, a.id LIMIT $4"#;
const ENDS: &str =
    r#"SELECT sequence, hash, base_sequence, base_hash FROM "crossdock".activity_chain WHERE tenant_id = $1"#;
