//! Webhooks and defaults that were read before.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::rows::Field;
use crate::adapters::postgres::session::Session;
use crate::error::{ErrorKind, Result};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{DisableReason, TenantDefaults, Version, Webhook, WebhookState};

/// Records by the stamp that names one state of one of them: stamps are drawn at random, so nothing here is ever stale. A record is
/// given only for the webhook and the tenant that it was read for all the same.
#[derive(Default)]
pub(super) struct Records {
    webhooks: Mutex<HashMap<i64, Arc<Webhook>>>,
    defaults: Mutex<HashMap<i64, Arc<TenantDefaults>>>,
}

/// What was found in a record's place.
pub(super) enum Found<T> {
    There(Arc<T>),
    Missing,
    /// The record is damaged: whoever needs it has to wait until somebody has mended it, and nobody else.
    Unreadable,
}

impl<T> Found<T> {
    fn of(read: Result<Option<Arc<T>>>) -> Result<Self> {
        match read {
            Ok(Some(record)) => Ok(Self::There(record)),
            Ok(None) => Ok(Self::Missing),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Self::Unreadable),
            Err(error) => Err(error),
        }
    }
}

impl PostgresStore {
    /// The webhooks that these rows name, with their stamp in the column of this name.
    pub(super) async fn webhooks_of<'r>(
        &self,
        session: &mut Session,
        rows: &'r [PgRow],
        stamp: &str,
    ) -> Result<HashMap<(&'r str, Uuid), Found<Webhook>>> {
        let stamps = rows.iter().map(|row| row.field(stamp)).collect::<Result<_>>()?;
        let known = self.webhooks_by_stamp(session, stamps).await?;
        let mut all = HashMap::new();
        for row in rows {
            let (tenant, id) = (row.field("tenant_id")?, row.field("webhook_id")?);
            if all.contains_key(&(tenant, id)) {
                continue;
            }
            // One that was changed between the two statements is read once more.
            let found = match known.get(&row.field(stamp)?).filter(|webhook| is_webhook(webhook, tenant, id))
            {
                Some(webhook) => Found::There(Arc::clone(webhook)),
                None => Found::of(self.webhook_in(session, tenant, id).await)?,
            };
            all.insert((tenant, id), found);
        }
        Ok(all)
    }

    /// The same for tenants' defaults; a tenant that has none is missing.
    pub(super) async fn defaults_of<'r>(
        &self,
        session: &mut Session,
        rows: &'r [PgRow],
    ) -> Result<HashMap<&'r str, Found<TenantDefaults>>> {
        let stamps: Vec<Option<i64>> =
            rows.iter().map(|row| row.field("defaults_stamp")).collect::<Result<_>>()?;
        let known = self.defaults_by_stamp(session, stamps.iter().flatten().copied().collect()).await?;
        let mut all = HashMap::new();
        for (row, stamp) in rows.iter().zip(stamps) {
            let tenant: &str = row.field("tenant_id")?;
            if all.contains_key(tenant) {
                continue;
            }
            let known = stamp.and_then(|stamp| known.get(&stamp));
            let found = match known.filter(|defaults| defaults.tenant.as_str() == tenant) {
                Some(defaults) => Found::There(Arc::clone(defaults)),
                None if stamp.is_none() => Found::Missing,
                None => Found::of(self.defaults_in(session, tenant).await)?,
            };
            all.insert(tenant, found);
        }
        Ok(all)
    }

    /// The readable webhooks with these stamps, as far as they have not changed since.
    async fn webhooks_by_stamp(
        &self,
        session: &mut Session,
        stamps: Vec<i64>,
    ) -> Result<HashMap<i64, Arc<Webhook>>> {
        let known = &self.inner.records.webhooks;
        let (mut found, missing) = look_up(known, stamps);
        if !missing.is_empty() {
            let statement = session.statement(self.sql(BY_STAMP)).bind(missing);
            for row in session.rows(statement).await? {
                if let Found::There(webhook) = Found::of(self.read_webhook(&row).map(Some))? {
                    found.insert(row.field("stamp")?, webhook);
                }
            }
        }
        Ok(found)
    }

    /// The same for tenants' defaults.
    async fn defaults_by_stamp(
        &self,
        session: &mut Session,
        stamps: Vec<i64>,
    ) -> Result<HashMap<i64, Arc<TenantDefaults>>> {
        let (mut found, missing) = look_up(&self.inner.records.defaults, stamps);
        if !missing.is_empty() {
            let statement = session.statement(self.sql(DEFAULTS_BY_STAMP)).bind(missing);
            for row in session.rows(statement).await? {
                if let Found::There(defaults) = Found::of(self.read_defaults(&row).map(Some))? {
                    found.insert(row.field("stamp")?, defaults);
                }
            }
        }
        Ok(found)
    }

    /// A webhook from its row; what the engine has changed wins over the record.
    pub(super) fn read_webhook(&self, row: &PgRow) -> Result<Arc<Webhook>> {
        let stamp = row.field("stamp")?;
        let (tenant, id) = (row.field("tenant_id")?, row.field("id")?);
        let known = lock(&self.inner.records.webhooks).get(&stamp).map(Arc::clone);
        if let Some(known) = known.filter(|webhook| is_webhook(webhook, tenant, id)) {
            return Ok(known);
        }
        let mut webhook = Webhook::from_stored(row.field("record")?)?;
        if !is_webhook(&webhook, tenant, id) {
            return Err(corrupt("read a webhook", "the record is another webhook's"));
        }
        webhook.version = Version::new(row.field::<i64>("version")?.unsigned_abs());
        webhook.updated_at = row.field("updated_at")?;
        webhook.state = match row.field::<i16>("state")? {
            1 => WebhookState::Active,
            2 => WebhookState::Paused,
            _ => WebhookState::Disabled {
                reason: disable_reason(row.field("disabled_reason")?)?,
                at: row.field("disabled_at")?,
            },
        };
        let webhook = Arc::new(webhook);
        remember(&self.inner.records.webhooks, stamp, &webhook);
        Ok(webhook)
    }

    pub(super) fn read_defaults(&self, row: &PgRow) -> Result<Arc<TenantDefaults>> {
        let stamp = row.field("stamp")?;
        let tenant: &str = row.field("tenant_id")?;
        let known = lock(&self.inner.records.defaults).get(&stamp).map(Arc::clone);
        if let Some(known) = known.filter(|defaults| defaults.tenant.as_str() == tenant) {
            return Ok(known);
        }
        let defaults = Arc::new(TenantDefaults::from_stored(row.field("record")?)?);
        if defaults.tenant.as_str() != tenant {
            return Err(corrupt("read a tenant's defaults", "the record is another tenant's"));
        }
        remember(&self.inner.records.defaults, stamp, &defaults);
        Ok(defaults)
    }
}

/// The number that stands for a state in a row.
pub(super) fn state_number(state: WebhookState) -> i16 {
    match state {
        WebhookState::Active => 1,
        WebhookState::Paused => 2,
        WebhookState::Disabled { .. } => 3,
    }
}

pub(super) fn unset(tenant: &TenantId) -> Arc<TenantDefaults> {
    Arc::new(TenantDefaults::new(tenant.clone()))
}

fn is_webhook(webhook: &Webhook, tenant: &str, id: Uuid) -> bool {
    webhook.tenant.as_str() == tenant && webhook.id.as_uuid() == id
}

fn disable_reason(word: &str) -> Result<DisableReason> {
    let all =
        [DisableReason::ByPerson, DisableReason::Gone, DisableReason::Asked, DisableReason::TooManyFailures];
    let found = all.into_iter().find(|reason| reason.as_str() == word);
    found.ok_or_else(|| corrupt("read a webhook", "there is no such reason to be disabled"))
}

fn look_up<T>(known: &Mutex<HashMap<i64, Arc<T>>>, mut stamps: Vec<i64>) -> (HashMap<i64, Arc<T>>, Vec<i64>) {
    stamps.sort_unstable();
    stamps.dedup();
    let known = lock(known);
    let found: HashMap<_, _> =
        stamps.iter().filter_map(|stamp| Some((*stamp, Arc::clone(known.get(stamp)?)))).collect();
    stamps.retain(|stamp| !found.contains_key(stamp));
    (found, stamps)
}

fn remember<T>(known: &Mutex<HashMap<i64, Arc<T>>>, stamp: i64, record: &Arc<T>) {
    let mut known = lock(known);
    if known.len() >= MOST {
        // What is in use will be read once more; finding out what is not would cost more.
        known.clear();
    }
    known.insert(stamp, Arc::clone(record));
}

fn lock<T>(known: &Mutex<HashMap<i64, Arc<T>>>) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<T>>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

const MOST: usize = 20_000;
const BY_STAMP: &str = r#"SELECT w.tenant_id, w.id, w.stamp, w.version, w.state, w.disabled_reason, w.disabled_at, w.updated_at, w.record
    FROM "crossdock".webhook w WHERE w.stamp = ANY ($1)"#;
const DEFAULTS_BY_STAMP: &str =
    r#"SELECT d.tenant_id, d.stamp, d.record FROM "crossdock".tenant_defaults d WHERE d.stamp = ANY ($1)"#;
