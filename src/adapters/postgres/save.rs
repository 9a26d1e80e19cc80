//! Webhooks as an administrator changes them: all changes of a call in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::records::state_number;
use crate::adapters::postgres::rows::{Field, number, small, stored_time};
use crate::adapters::postgres::session::Session;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::id::WebhookId;
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::changes::check_changes;
use crate::webhooks::model::{TenantDefaults, Version, Webhook, WebhookState};
use crate::webhooks::repository::{Change, Release, Resealed};

impl PostgresStore {
    pub(super) async fn save_all(
        &self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut session = self.transaction_for(STEP, tenant).await?;
        let mut versions = self.all_versions(&mut session, tenant, &changes).await?;
        versions.extend(self.versions_of(&mut session, tenant, &changes).await?);
        let defaults = self.defaults_version(&mut session, tenant, &changes).await?;
        check_changes(tenant, &changes, versions, defaults)?;
        for change in changes {
            self.apply(&mut session, tenant, change, now).await.map_err(raced)?;
        }
        self.note(&mut session, &activity).await?;
        session.end().await
    }

    /// The versions of all the tenant's webhooks, if they are to be counted: then one such save comes after the other.
    async fn all_versions(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        changes: &[Change],
    ) -> Result<BTreeMap<WebhookId, Version>> {
        if !changes.iter().any(|change| matches!(change, Change::AtMost(_))) {
            return Ok(BTreeMap::new());
        }
        let count = format!("crossdock {} counts webhooks of {}", self.inner.schema.name(), tenant.as_str());
        session.run(session.statement(QUEUE_UP).bind(count)).await?;
        let statement = session.statement(self.sql(VERSIONS)).bind(tenant.as_str().to_owned());
        read_versions(&session.rows(statement).await?)
    }

    /// The versions of what is to be changed, held from now on.
    async fn versions_of(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        changes: &[Change],
    ) -> Result<BTreeMap<WebhookId, Version>> {
        let named = changes.iter().filter_map(|change| match change {
            Change::Insert(webhook) | Change::Replace { webhook, .. } => Some(webhook.id.as_uuid()),
            Change::Remove { id, .. } => Some(id.as_uuid()),
            Change::Defaults { .. } | Change::AtMost(_) => None,
        });
        let statement = session
            .statement(self.sql(HOLD))
            .bind(tenant.as_str().to_owned())
            .bind(named.collect::<Vec<Uuid>>());
        read_versions(&session.rows(statement).await?)
    }

    async fn defaults_version(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        changes: &[Change],
    ) -> Result<Version> {
        if !changes.iter().any(|change| matches!(change, Change::Defaults { .. })) {
            return Ok(Version::NONE);
        }
        let statement = session.statement(self.sql(HOLD_DEFAULTS)).bind(tenant.as_str().to_owned());
        match session.row(statement).await? {
            Some(row) => Ok(Version::new(row.field::<i64>("version")?.unsigned_abs())),
            None => Ok(Version::NONE),
        }
    }

    async fn apply(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        change: Change,
        now: DateTime<Utc>,
    ) -> Result<()> {
        match change {
            Change::Insert(webhook) => self.put(session, &webhook, Put::New, Release::Keep, now).await,
            Change::Replace { webhook, release, .. } => {
                self.put(session, &webhook, Put::Known, release, now).await
            }
            Change::Remove { id, .. } => {
                let statement = session
                    .statement(self.sql(REMOVE))
                    .bind(stored_time(now))
                    .bind(tenant.as_str().to_owned())
                    .bind(id.as_uuid());
                session.run(statement).await.map(|_| ())
            }
            Change::Defaults { defaults, expected } => {
                let sql = if expected == Version::NONE { FIRST_DEFAULTS } else { DEFAULTS };
                self.put_defaults(session, sql, &defaults).await
            }
            Change::AtMost(_) => Ok(()),
        }
    }

    async fn put(
        &self,
        session: &mut Session,
        webhook: &Webhook,
        put: Put,
        release: Release,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let (reason, disabled_at) = match webhook.state {
            WebhookState::Disabled { reason, at } => (Some(reason.as_str()), Some(stored_time(at))),
            WebhookState::Active | WebhookState::Paused => (None, None),
        };
        let statement = session
            .statement(self.sql(PUT))
            .bind(stored_time(now))
            .bind(webhook.tenant.as_str().to_owned())
            .bind(webhook.id.as_uuid())
            .bind(number(webhook.version.number()))
            .bind(state_number(webhook.state))
            .bind(reason)
            .bind(disabled_at)
            .bind(stored_time(webhook.updated_at))
            .bind(webhook.to_stored()?)
            .bind(webhook.max_in_flight.map(small))
            .bind(webhook.rate_limit.map(|limit| limit.rate()))
            .bind(webhook.rate_limit.map(|limit| small(limit.burst())))
            .bind(put == Put::New)
            .bind(release == Release::Release);
        session.run(statement).await.map(|_| ())
    }

    async fn put_defaults(
        &self,
        session: &mut Session,
        sql: &'static str,
        defaults: &TenantDefaults,
    ) -> Result<()> {
        let statement = session
            .statement(self.sql(sql))
            .bind(defaults.tenant.as_str().to_owned())
            .bind(number(defaults.version.number()))
            .bind(defaults.to_stored()?);
        session.run(statement).await.map(|_| ())
    }

    /// Puts seals in the place of others; everything else stays as it is.
    pub(super) async fn reseal_all(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        let mut session = self.transaction_for(RESEAL_STEP, tenant).await?;
        let name = tenant.as_str().to_owned();
        let mut count = 0;
        let mut by_record: BTreeMap<Option<WebhookId>, Vec<Resealed>> = BTreeMap::new();
        for seal in seals {
            by_record.entry(seal.webhook).or_default().push(seal);
        }
        // Lanes in their order, and defaults behind them, as a save has it.
        let named: Vec<Uuid> = by_record.keys().flatten().map(WebhookId::as_uuid).collect();
        session.run(session.statement(self.sql(HOLD)).bind(name.clone()).bind(named)).await?;
        let defaults = by_record.remove(&None).map(|seals| (None, seals));
        for (webhook, seals) in by_record.into_iter().chain(defaults) {
            let hold = match webhook {
                Some(id) => session.statement(self.sql(HOLD_RECORD)).bind(name.clone()).bind(id.as_uuid()),
                None => session.statement(self.sql(HOLD_DEFAULTS)).bind(name.clone()),
            };
            let Some(row) = session.row(hold).await? else { continue };
            let (done, record) = match webhook {
                Some(_) => {
                    let mut record = Arc::unwrap_or_clone(self.read_webhook(&row)?);
                    let done = seals.iter().filter(|seal| record.reseal(&seal.before, &seal.after)).count();
                    (done, record.to_stored()?)
                }
                None => {
                    let mut record = Arc::unwrap_or_clone(self.read_defaults(&row)?);
                    let done = seals.iter().filter(|seal| record.reseal(&seal.before, &seal.after)).count();
                    (done, record.to_stored()?)
                }
            };
            if done == 0 {
                continue;
            }
            count += done as u64;
            let write = match webhook {
                Some(id) => {
                    session.statement(self.sql(RESEAL)).bind(name.clone()).bind(record).bind(id.as_uuid())
                }
                None => session.statement(self.sql(RESEAL_DEFAULTS)).bind(name.clone()).bind(record),
            };
            session.run(write).await?;
        }
        session.end().await?;
        Ok(count)
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Put {
    New,
    Known,
}

/// Somebody else has inserted the same record at the same time.
fn raced(error: Error) -> Error {
    if error.kind() != ErrorKind::Conflict {
        return error;
    }
    error.with_problem(Problem::new(
        "changes",
        "there is a record with this id",
        "look at the present state and try again",
    ))
}

fn read_versions(rows: &[PgRow]) -> Result<BTreeMap<WebhookId, Version>> {
    let read = |row: &PgRow| {
        let version = Version::new(row.field::<i64>("version")?.unsigned_abs());
        Ok((WebhookId::from_uuid(row.field("webhook_id")?), version))
    };
    rows.iter().map(read).collect()
}

const STEP: &str = "save webhooks";
const RESEAL_STEP: &str = "reseal secrets";
/// The lock goes with the transaction, so that it suits a pooler. It comes before all others that a save takes.
const QUEUE_UP: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
const VERSIONS: &str =
    r#"SELECT l.webhook_id, l.version FROM "crossdock".lane l WHERE l.tenant_id = $1 AND l.state <> 0"#;
const HOLD: &str = r#"SELECT l.webhook_id, l.version FROM "crossdock".lane l
    WHERE l.tenant_id = $1 AND l.webhook_id = ANY ($2) AND l.state <> 0 ORDER BY l.id FOR NO KEY UPDATE"#;
const HOLD_DEFAULTS: &str = r#"SELECT d.tenant_id, d.version, d.stamp, d.record FROM "crossdock".tenant_defaults d
    WHERE d.tenant_id = $1 FOR UPDATE"#;
const HOLD_RECORD: &str = r#"SELECT w.tenant_id, w.id, w.stamp, w.version, w.state, w.disabled_reason, w.disabled_at, w.updated_at, w.record
    FROM "crossdock".lane l JOIN "crossdock".webhook w ON w.tenant_id = l.tenant_id AND w.id = l.webhook_id
    WHERE l.tenant_id = $1 AND l.webhook_id = $2 AND l.state <> 0 FOR NO KEY UPDATE"#;
const PUT: &str =
    r#"SELECT "crossdock".put_webhook($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"#;
const REMOVE: &str = r#"SELECT "crossdock".remove_webhook($1, $2, $3)"#;
const FIRST_DEFAULTS: &str = r#"INSERT INTO "crossdock".tenant_defaults (tenant_id, version, stamp, record)
    VALUES ($1, $2, "crossdock".new_stamp(), $3)"#;
const DEFAULTS: &str = r#"UPDATE "crossdock".tenant_defaults SET version = $2, stamp = "crossdock".new_stamp(), record = $3
    WHERE tenant_id = $1"#;
const RESEAL: &str = r#"WITH s AS (SELECT "crossdock".new_stamp() AS stamp), l AS (
    UPDATE "crossdock".lane l SET stamp = s.stamp FROM s WHERE l.tenant_id = $1 AND l.webhook_id = $3
)
UPDATE "crossdock".webhook w SET stamp = s.stamp, record = $2 FROM s WHERE w.tenant_id = $1 AND w.id = $3"#;
const RESEAL_DEFAULTS: &str = r#"UPDATE "crossdock".tenant_defaults SET stamp = "crossdock".new_stamp(), record = $2
    WHERE tenant_id = $1"#;
