//! Webhooks and defaults that were read before.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::PgRow;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::rows::Field;
use crate::adapters::postgres::session::Session;
use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{DisableReason, TenantDefaults, Version, Webhook, WebhookState};

/// Records by the stamp that names one state of one of them: a stamp is never given twice, so nothing here is ever stale.
#[derive(Default)]
pub(super) struct Records {
    webhooks: Mutex<HashMap<i64, Arc<Webhook>>>,
    defaults: Mutex<HashMap<i64, Arc<TenantDefaults>>>,
}

impl PostgresStore {
    /// The webhooks with these stamps, as far as they have not changed since.
    pub(super) async fn webhooks_by_stamp(
        &self,
        session: &mut Session,
        stamps: Vec<i64>,
    ) -> Result<HashMap<i64, Arc<Webhook>>> {
        let known = &self.inner.records.webhooks;
        let (mut found, missing) = look_up(known, stamps);
        if !missing.is_empty() {
            let statement = session.statement(self.sql(BY_STAMP)).bind(missing);
            for row in session.rows(statement).await? {
                found.insert(row.field("stamp")?, self.read_webhook(&row)?);
            }
        }
        Ok(found)
    }

    /// The same for tenants' defaults.
    pub(super) async fn defaults_by_stamp(
        &self,
        session: &mut Session,
        stamps: Vec<i64>,
    ) -> Result<HashMap<i64, Arc<TenantDefaults>>> {
        let (mut found, missing) = look_up(&self.inner.records.defaults, stamps);
        if !missing.is_empty() {
            let statement = session.statement(self.sql(DEFAULTS_BY_STAMP)).bind(missing);
            for row in session.rows(statement).await? {
                found.insert(row.field("stamp")?, self.read_defaults(&row)?);
            }
        }
        Ok(found)
    }

    /// A webhook from its row; what the engine has changed wins over the record.
    pub(super) fn read_webhook(&self, row: &PgRow) -> Result<Arc<Webhook>> {
        let stamp = row.field("stamp")?;
        if let Some(known) = lock(&self.inner.records.webhooks).get(&stamp) {
            return Ok(Arc::clone(known));
        }
        let mut webhook = Webhook::from_stored(row.field("record")?)?;
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
        if let Some(known) = lock(&self.inner.records.defaults).get(&stamp) {
            return Ok(Arc::clone(known));
        }
        let defaults = Arc::new(TenantDefaults::from_stored(row.field("record")?)?);
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
const BY_STAMP: &str = r#"SELECT w.stamp, w.version, w.state, w.disabled_reason, w.disabled_at, w.updated_at, w.record
    FROM "crossdock".webhook w WHERE w.stamp = ANY ($1)"#;
const DEFAULTS_BY_STAMP: &str =
    r#"SELECT d.stamp, d.record FROM "crossdock".tenant_defaults d WHERE d.stamp = ANY ($1)"#;
