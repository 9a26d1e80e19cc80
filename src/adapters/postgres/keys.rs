//! API keys and their use. Dropping a future leaves either the whole step behind, or nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgRow;

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::rows::{Field, number, uuid_of};
use crate::adapters::postgres::session::Session;
use crate::api_keys::changes::{PresentKey, check_key_changes};
use crate::api_keys::model::{ApiKey, CallOutcome, DayCount, KeyRecord, KeyUsage, LastUse};
use crate::api_keys::store::{Epoch, KeyChange, KeyFilter, KeyStore, KeysChanged};
use crate::api_keys::token::PublicId;
use crate::error::{Error, ErrorKind, Result};
use crate::primitives::durability::Durability;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

#[async_trait]
impl KeyStore for PostgresStore {
    fn durability(&self) -> Durability {
        Durability::Lasting
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut session = self.transaction_for("save keys", tenant).await?;
        // Held until the end: whoever else changes keys comes after this.
        let row = session.row(session.statement(self.sql(HOLD_EPOCH))).await?;
        let mut epoch = row.map(|row| row.field::<i64>("epoch")).transpose()?.unwrap_or_default();
        self.check_keys(&mut session, tenant, &changes).await?;
        for change in changes {
            let (sql, key) = match change {
                KeyChange::Insert(key) => (INSERT, key),
                KeyChange::Replace { key, .. } => (REPLACE, key),
                KeyChange::AtMost(_) => continue,
            };
            epoch += 1;
            let statement = session
                .statement(self.sql(sql))
                .bind(key.id.as_uuid())
                .bind(tenant.as_str().to_owned())
                .bind(number(key.version.number()))
                .bind(epoch)
                .bind(PresentKey::of(&key).counts)
                .bind(key.to_stored()?);
            let statement = match sql {
                INSERT => statement.bind(key.public_id.as_str().to_owned()).bind(key.line.as_uuid()),
                _ => statement,
            };
            session.run(statement).await?;
        }
        session.run(session.statement(self.sql(PUT_EPOCH)).bind(epoch)).await?;
        self.note(&mut session, &activity).await?;
        session.end().await
    }

    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>> {
        let mut session = self.one_statement("find a key").await?;
        let statement = session.statement(self.sql(FIND)).bind(id.as_str().to_owned());
        let row = session.row(statement).await?;
        session.end().await?;
        row.map(|row| Ok(Arc::new(ApiKey::from_stored(row.field("record")?)?))).transpose()
    }

    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged> {
        let mut session = self.one_statement("hear which keys were changed").await?;
        let statement = session
            .statement(self.sql(CHANGED))
            .bind(epoch.map(|epoch| number(epoch.number())))
            .bind(number(limit as u64).saturating_add(1));
        let row = session.row(statement).await?;
        session.end().await?;
        let row = row.ok_or_else(|| Error::new(ErrorKind::Corrupt, READ))?;
        let names: Vec<String> = row.field("keys")?;
        let keys = names
            .iter()
            .map(|name| name.parse::<PublicId>().map_err(corrupt))
            .collect::<Result<Vec<PublicId>>>()?;
        let epoch = Epoch::new(row.field::<i64>("epoch")?.unsigned_abs());
        Ok(KeysChanged::new(epoch, (keys.len() <= limit).then_some(keys)))
    }

    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>> {
        let mut session = self.for_tenant("read a key", tenant).await?;
        let statement = session.statement(self.sql(KEY)).bind(tenant.as_str().to_owned()).bind(id.as_uuid());
        let row = session.row(statement).await?;
        session.end().await?;
        row.as_ref().map(read_record).transpose()
    }

    /// Reads on until the page is full: what a key is called depends on the time, so no index knows it.
    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        let mut session = self.for_tenant("list keys", tenant).await?;
        let mut behind = page.cursor().map(|cursor| cursor.row());
        let mut found = Vec::new();
        while found.len() <= page.limit() {
            let statement = session
                .statement(self.sql(KEYS))
                .bind(tenant.as_str().to_owned())
                .bind(behind)
                .bind(number(PART));
            let rows = session.rows(statement).await?;
            let Some(last) = rows.last() else { break };
            behind = Some(uuid_of(last, "id")?);
            let records = rows.iter().map(read_record).collect::<Result<Vec<_>>>()?;
            found.extend(records.into_iter().filter(|record| filter.matches(record, now)));
        }
        session.end().await?;
        Ok(Page::cut(found, page, |record| Cursor::behind(record.key.id.as_uuid())))
    }

    async fn record_usage(
        &self,
        usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut session = self.transaction("write down how keys were used").await?;
        self.add_usage(&mut session, usage).await?;
        self.note(&mut session, &activity).await?;
        session.end().await
    }

    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>> {
        let mut session = self.for_tenant("read how a key was used", tenant).await?;
        let statement = session
            .statement(self.sql(USAGE))
            .bind(tenant.as_str().to_owned())
            .bind(id.as_uuid())
            .bind(from)
            .bind(to);
        let rows = session.rows(statement).await?;
        session.end().await?;
        let read = |row: &PgRow| {
            let outcome = CallOutcome::from_stored(row.field("outcome")?)?;
            Ok(DayCount::new(row.field("day")?, outcome, row.field::<i64>("count")?.unsigned_abs()))
        };
        rows.iter().map(read).collect()
    }

    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        _now: DateTime<Utc>,
    ) -> Result<u64> {
        let mut session = self.transaction_for("lease uses of a key", tenant).await?;
        for sql in [BEGIN_USES, HOLD_USES] {
            let statement =
                session.statement(self.sql(sql)).bind(tenant.as_str().to_owned()).bind(line.as_uuid());
            let Some(row) = session.row(statement).await? else { continue };
            let used = row.field::<i64>("used")?.unsigned_abs();
            let granted = wanted.min(most.saturating_sub(used));
            let statement = session
                .statement(self.sql(PUT_USES))
                .bind(tenant.as_str().to_owned())
                .bind(line.as_uuid())
                .bind(number(used.saturating_add(granted)));
            session.run(statement).await?;
            session.end().await?;
            return Ok(granted);
        }
        // Nobody has such a line.
        session.end().await?;
        Ok(0)
    }

    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut session = self.for_tenant("give back uses of a key", tenant).await?;
        let statement = session
            .statement(self.sql(RETURN_USES))
            .bind(tenant.as_str().to_owned())
            .bind(line.as_uuid())
            .bind(number(unused));
        session.run(statement).await?;
        session.end().await
    }
}

impl PostgresStore {
    async fn check_keys(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        changes: &[KeyChange],
    ) -> Result<()> {
        let mut named = Vec::new();
        let (mut new, mut public) = (Vec::new(), Vec::new());
        let mut counted = false;
        for change in changes {
            match change {
                KeyChange::Insert(key) => {
                    new.push(key.id.as_uuid());
                    public.push(key.public_id.as_str().to_owned());
                }
                KeyChange::Replace { key, .. } => named.push(key.id.as_uuid()),
                KeyChange::AtMost(_) => counted = true,
            }
        }
        let statement =
            session.statement(self.sql(PRESENT)).bind(tenant.as_str().to_owned()).bind(named).bind(counted);
        let mut present = BTreeMap::new();
        for row in session.rows(statement).await? {
            let version = Version::new(row.field::<i64>("version")?.unsigned_abs());
            let id = ApiKeyId::from_uuid(uuid_of(&row, "id")?);
            present.insert(id, PresentKey { version, counts: row.field("counts")? });
        }
        // What policies hide, the unique indexes find.
        let statement = session.statement(self.sql(TAKEN)).bind(new).bind(public);
        let (mut taken, mut taken_ids) = (BTreeSet::new(), BTreeSet::new());
        for row in session.rows(statement).await? {
            taken_ids.insert(ApiKeyId::from_uuid(uuid_of(&row, "id")?));
            taken.insert(row.field::<&str>("public_id")?.parse::<PublicId>().map_err(corrupt)?);
        }
        check_key_changes(tenant, changes, present, taken, taken_ids)
    }
}

fn read_record(row: &PgRow) -> Result<KeyRecord> {
    let mut record = KeyRecord::new(ApiKey::from_stored(row.field("record")?)?);
    record.used = row.field::<Option<i64>>("used")?.unwrap_or_default().unsigned_abs();
    if let Some(at) = row.field::<Option<DateTime<Utc>>>("last_at")? {
        let address = row.field::<&str>("last_address")?.parse::<IpAddr>().map_err(corrupt)?;
        record.last = Some(LastUse::new(at, address, row.field::<&str>("last_route")?));
    }
    Ok(record)
}

fn corrupt(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupt, READ).with_source(cause)
}

const READ: &str = "read a row";
/// How many keys are looked at together.
const PART: u64 = 200;

macro_rules! record_where {
    ($condition:literal) => {
        concat!(
            r#"SELECT k.id, k.record, k.last_at, k.last_address, k.last_route, u.used FROM "crossdock".api_key k "#,
            r#"LEFT JOIN "crossdock".api_key_uses u ON u.tenant_id = k.tenant_id AND u.line = k.line WHERE "#,
            $condition
        )
    };
}

const HOLD_EPOCH: &str = r#"SELECT epoch FROM "crossdock".api_key_epoch FOR UPDATE"#;
const PUT_EPOCH: &str = r#"UPDATE "crossdock".api_key_epoch SET epoch = $1"#;
const PRESENT: &str = r#"SELECT id, version, counts FROM "crossdock".api_key
    WHERE tenant_id = $1 AND (id = ANY($2) OR ($3 AND counts))"#;
const TAKEN: &str =
    r#"SELECT id, public_id FROM "crossdock".api_key WHERE id = ANY($1) OR public_id = ANY($2)"#;
const INSERT: &str = r#"INSERT INTO "crossdock".api_key (id, tenant_id, version, epoch, counts, record, public_id, line)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"#;
const REPLACE: &str = r#"UPDATE "crossdock".api_key SET version = $3, epoch = $4, counts = $5, record = $6
    WHERE id = $1 AND tenant_id = $2"#;
const FIND: &str = r#"SELECT record FROM "crossdock".api_key WHERE public_id = $1"#;
/// One statement sees one state: every change up to the epoch, and none behind it.
const CHANGED: &str = r#"SELECT e.epoch, ARRAY(SELECT k.public_id FROM "crossdock".api_key k WHERE k.epoch > $1 LIMIT $2) AS keys
    FROM "crossdock".api_key_epoch e"#;
const KEY: &str = record_where!("k.tenant_id = $1 AND k.id = $2");
const KEYS: &str =
    record_where!("k.tenant_id = $1 AND ($2::uuid IS NULL OR k.id < $2) ORDER BY k.id DESC LIMIT $3");
const USAGE: &str = r#"SELECT day, outcome, count FROM "crossdock".api_key_day
    WHERE tenant_id = $1 AND key = $2 AND day BETWEEN $3 AND $4 ORDER BY day, outcome"#;
const BEGIN_USES: &str = r#"INSERT INTO "crossdock".api_key_uses (tenant_id, line, used)
    SELECT $1, $2, 0 WHERE EXISTS (SELECT FROM "crossdock".api_key WHERE tenant_id = $1 AND line = $2)
    ON CONFLICT DO NOTHING RETURNING used"#;
const HOLD_USES: &str =
    r#"SELECT used FROM "crossdock".api_key_uses WHERE tenant_id = $1 AND line = $2 FOR UPDATE"#;
const PUT_USES: &str = r#"UPDATE "crossdock".api_key_uses SET used = $3 WHERE tenant_id = $1 AND line = $2"#;
const RETURN_USES: &str =
    r#"UPDATE "crossdock".api_key_uses SET used = greatest(used - $3, 0) WHERE tenant_id = $1 AND line = $2"#;
