//! The key store's steps, each one of the writer or of a reader.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::activity::model::Activity;
use crate::adapters::sqlite::{SqliteStore, keys};
use crate::api_keys::model::{ApiKey, DayCount, KeyRecord, KeyUsage};
use crate::api_keys::store::{Epoch, KeyChange, KeyFilter, KeyStore, KeysChanged};
use crate::api_keys::token::PublicId;
use crate::error::Result;
use crate::primitives::durability::Durability;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;

#[async_trait]
impl KeyStore for SqliteStore {
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
        let tenant = tenant.clone();
        self.write("save keys", move |session| keys::save(session, &tenant, &changes, &activity)).await
    }

    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>> {
        self.read("find a key", move |session| keys::find(session, id)).await
    }

    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged> {
        self.read("hear which keys were changed", move |session| keys::changed_since(session, epoch, limit))
            .await
    }

    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>> {
        let tenant = tenant.clone();
        self.read("read a key", move |session| keys::key(session, &tenant, id)).await
    }

    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.read("list keys", move |session| keys::keys(session, &tenant, &filter, page, now)).await
    }

    async fn record_usage(
        &self,
        usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        self.write("write down how keys were used", move |session| {
            keys::record_usage(session, &usage, &activity)
        })
        .await
    }

    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>> {
        let tenant = tenant.clone();
        self.read("read how a key was used", move |session| keys::usage(session, &tenant, id, from, to)).await
    }

    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        _now: DateTime<Utc>,
    ) -> Result<u64> {
        let tenant = tenant.clone();
        self.write("lease uses of a key", move |session| keys::lease(session, &tenant, line, most, wanted))
            .await
    }

    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write("give back uses of a key", move |session| keys::give_back(session, &tenant, line, unused))
            .await
    }
}
