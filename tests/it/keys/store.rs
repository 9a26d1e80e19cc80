//! A key store that counts what it is asked for, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use crossdock::activity::{Activity, ActivityFilter, ActivityStore, ChainEnds, ChainEntry, ChainPlace};
use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{
    ApiKey, DayCount, Epoch, KeyChange, KeyFilter, KeyRecord, KeyStore, KeyUsage, KeysChanged, PublicId,
};
use crossdock::primitives::{ApiKeyId, Durability, Page, PageRequest};
use crossdock::tenancy::TenantId;
use crossdock::testing::ManualClock;
use crossdock::{Error, ErrorKind, Result};

/// A store that counts and fails. A clone is the same store.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) inner: MemoryStore,
    calls: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    is_down: Arc<AtomicBool>,
    /// A key whose row is damaged.
    damaged: Arc<Mutex<Option<ApiKeyId>>>,
    /// How long each answer takes.
    delay: Arc<Mutex<Option<(ManualClock, Duration)>>>,
}

impl Watched {
    pub(super) fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            calls: Arc::default(),
            is_down: Arc::default(),
            damaged: Arc::default(),
            delay: Arc::default(),
        }
    }

    /// What was asked for since the last time.
    pub(super) fn calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.calls.lock().expect("counters"))
    }

    /// What the log says of calls that were answered.
    pub(super) async fn inner_log(&self) -> Result<Vec<Activity>> {
        let tenant: TenantId = "acme".parse().expect("a tenant");
        let (all, page) = (ActivityFilter::default(), PageRequest::first(1_000));
        let items = self.inner.activity(&tenant, &all, page).await?.items;
        Ok(items.into_iter().filter(|entry| entry.kind.as_str().starts_with("api.")).collect())
    }

    pub(super) fn go_down(&self) {
        self.is_down.store(true, Ordering::Relaxed);
    }

    pub(super) fn come_back(&self) {
        self.is_down.store(false, Ordering::Relaxed);
    }

    /// From now on nothing can be written about this key.
    pub(super) fn damage(&self, key: ApiKeyId) {
        *self.damaged.lock().expect("a key") = Some(key);
    }

    /// From now on each answer takes so long.
    pub(super) fn slow_down(&self, clock: &ManualClock, by: Duration) {
        *self.delay.lock().expect("a delay") = Some((clock.clone(), by));
    }

    fn count(&self, what: &'static str) -> Result<()> {
        if let Some((clock, by)) = &*self.delay.lock().expect("a delay") {
            clock.advance(*by);
        }
        *self.calls.lock().expect("counters").entry(what).or_default() += 1;
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Unavailable, what)),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl KeyStore for Watched {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.count("save")?;
        self.inner.save(tenant, changes, activity, now).await
    }

    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>> {
        self.count("find")?;
        self.inner.find(id).await
    }

    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged> {
        self.count("changed_since")?;
        self.inner.changed_since(epoch, limit).await
    }

    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>> {
        self.count("key")?;
        self.inner.key(tenant, id).await
    }

    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        self.count("keys")?;
        self.inner.keys(tenant, filter, page, now).await
    }

    async fn record_usage(
        &self,
        usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.count("record_usage")?;
        let damaged = *self.damaged.lock().expect("a key");
        if usage.iter().any(|usage| Some(usage.key) == damaged) {
            return Err(Error::new(ErrorKind::Corrupt, "write down how keys were used"));
        }
        self.inner.record_usage(usage, activity, now).await
    }

    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>> {
        self.count("usage")?;
        self.inner.usage(tenant, id, from, to).await
    }

    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        self.count("lease_uses")?;
        self.inner.lease_uses(tenant, line, most, wanted, now).await
    }

    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.count("return_uses")?;
        self.inner.return_uses(tenant, line, unused, now).await
    }
}

#[async_trait::async_trait]
impl ActivityStore for Watched {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        self.inner.activity(tenant, filter, page).await
    }

    async fn append(&self, entries: Vec<Activity>) -> Result<()> {
        self.count("append")?;
        self.inner.append(entries).await
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        self.inner.chain(tenant, behind, limit).await
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        self.inner.chain_ends(tenant).await
    }
}

/// A store that claims to outlive the process.
#[derive(Clone, Debug)]
pub(super) struct Lasting(pub(super) MemoryStore);

#[async_trait::async_trait]
impl KeyStore for Lasting {
    fn durability(&self) -> Durability {
        Durability::Lasting
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.0.save(tenant, changes, activity, now).await
    }

    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>> {
        self.0.find(id).await
    }

    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged> {
        self.0.changed_since(epoch, limit).await
    }

    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>> {
        self.0.key(tenant, id).await
    }

    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        self.0.keys(tenant, filter, page, now).await
    }

    async fn record_usage(
        &self,
        usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.0.record_usage(usage, activity, now).await
    }

    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>> {
        self.0.usage(tenant, id, from, to).await
    }

    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        self.0.lease_uses(tenant, line, most, wanted, now).await
    }

    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.0.return_uses(tenant, line, unused, now).await
    }
}

#[async_trait::async_trait]
impl ActivityStore for Lasting {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        self.0.activity(tenant, filter, page).await
    }

    async fn append(&self, entries: Vec<Activity>) -> Result<()> {
        self.0.append(entries).await
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        self.0.chain(tenant, behind, limit).await
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        self.0.chain_ends(tenant).await
    }
}
