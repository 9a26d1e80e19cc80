//! The store of a host that keeps everything else in a store of its own, and has not said where its keys are kept.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::activity::model::Activity;
use crate::api_keys::model::{ApiKey, DayCount, KeyRecord, KeyUsage};
use crate::api_keys::store::{Epoch, KeyChange, KeyFilter, KeyStore, KeysChanged};
use crate::api_keys::token::PublicId;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::durability::Durability;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;

/// Answers that there is no store for keys: keys that nobody has asked to be kept in memory would be gone with the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoKeyStore;

fn missing<T>() -> Result<T> {
    let rule = "keys need a store of their own when the hub was given one";
    let fix = "give it with `Hub::builder().key_store(…)`";
    Err(Error::new(ErrorKind::Unconfigured, "use API keys").with_problem(Problem::new(
        "key_store",
        rule,
        fix,
    )))
}

#[async_trait]
impl KeyStore for NoKeyStore {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save(&self, _: &TenantId, _: Vec<KeyChange>, _: Vec<Activity>, _: DateTime<Utc>) -> Result<()> {
        missing()
    }

    async fn find(&self, _: PublicId) -> Result<Option<Arc<ApiKey>>> {
        missing()
    }

    async fn changed_since(&self, _: Option<Epoch>, _: usize) -> Result<KeysChanged> {
        missing()
    }

    async fn key(&self, _: &TenantId, _: ApiKeyId) -> Result<Option<KeyRecord>> {
        missing()
    }

    async fn keys(
        &self,
        _: &TenantId,
        _: &KeyFilter,
        _: PageRequest,
        _: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        missing()
    }

    async fn record_usage(&self, _: Vec<KeyUsage>, _: Vec<Activity>, _: DateTime<Utc>) -> Result<()> {
        missing()
    }

    async fn usage(&self, _: &TenantId, _: ApiKeyId, _: NaiveDate, _: NaiveDate) -> Result<Vec<DayCount>> {
        missing()
    }

    async fn lease_uses(&self, _: &TenantId, _: ApiKeyId, _: u64, _: u64, _: DateTime<Utc>) -> Result<u64> {
        missing()
    }

    async fn return_uses(&self, _: &TenantId, _: ApiKeyId, _: u64, _: DateTime<Utc>) -> Result<()> {
        missing()
    }
}
