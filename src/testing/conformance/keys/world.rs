//! A key store, two tenants, and the steps that checks are made of.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind};
use crate::activity::store::ActivityFilter;
use crate::api_keys::model::{ApiKey, KeyRecord, KeyState};
use crate::api_keys::pepper::{PepperId, SecretMac};
use crate::api_keys::store::KeyChange;
use crate::api_keys::token::PublicId;
use crate::error::Result;
use crate::primitives::id::{ActivityId, ApiKeyId};
use crate::primitives::page::PageRequest;
use crate::tenancy::model::{Actor, TenantId};
use crate::testing::conformance::keys::{KeyStoreHarness, KeyStores};
use crate::testing::conformance::{Failure, Verdict, there};

pub(super) use crate::testing::conformance::world::at;

/// A store with nothing in it, and the steps that checks are made of.
pub(super) struct World {
    pub(super) stores: KeyStores,
    /// The tenant of most stories.
    pub(super) acme: TenantId,
    /// The tenant who must not see any of it.
    pub(super) other: TenantId,
    ids: AtomicU64,
}

pub(super) type Found<T> = std::result::Result<T, Failure>;

impl World {
    pub(super) async fn fresh(harness: &dyn KeyStoreHarness) -> Found<Self> {
        let tenant = |text: &str| text.parse().map_err(|_| Failure("a tenant id".to_owned()));
        let stores = harness.fresh().await?;
        Ok(Self { stores, acme: tenant("acme")?, other: tenant("other")?, ids: AtomicU64::new(1) })
    }

    /// Never the same bytes twice; ids of one millisecond sort in the order in which they were minted.
    pub(super) fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes
    }

    /// A key; not saved yet.
    pub(super) fn key_of(&self, tenant: &TenantId, now: DateTime<Utc>) -> Found<ApiKey> {
        let mut public = [0; 16];
        public[6..].copy_from_slice(&self.random());
        let id = ApiKeyId::mint(now, self.random());
        Ok(ApiKey::new(id, tenant.clone(), PublicId::mint(public), mac("2026", 7)?, "cd_live_0000…0000", now))
    }

    /// Saves a new key of acme's.
    pub(super) async fn key(&self) -> Found<ApiKey> {
        self.key_with(|_| {}).await
    }

    /// Saves a new key of acme's, changed before.
    pub(super) async fn key_with(&self, change: impl FnOnce(&mut ApiKey) + Send) -> Found<ApiKey> {
        let mut key = self.key_of(&self.acme, at(0))?;
        change(&mut key);
        self.insert(&key).await?;
        Ok(key)
    }

    pub(super) async fn insert(&self, key: &ApiKey) -> Result<()> {
        self.save(&key.tenant, vec![KeyChange::Insert(key.clone())]).await
    }

    pub(super) async fn save(&self, tenant: &TenantId, changes: Vec<KeyChange>) -> Result<()> {
        self.stores.keys.save(tenant, changes, Vec::new(), at(1)).await
    }

    /// A key as it is to be, made from how it is.
    pub(super) fn changed(key: &ApiKey, change: impl FnOnce(&mut ApiKey)) -> KeyChange {
        let mut changed = key.clone();
        change(&mut changed);
        changed.version = key.version.next();
        KeyChange::Replace { key: changed, expected: key.version }
    }

    pub(super) fn revoked(key: &ApiKey) -> KeyChange {
        Self::changed(key, |key| key.state = KeyState::Revoked { at: at(1), reason: "gone".to_owned() })
    }

    pub(super) async fn record(&self, key: &ApiKey) -> Found<KeyRecord> {
        there(self.stores.keys.key(&key.tenant, key.id).await?, "the key")
    }

    pub(super) fn entry(&self, tenant: &TenantId, now: DateTime<Utc>) -> Activity {
        let actor = Actor::org_admin(tenant.clone(), "ada");
        Activity::new(ActivityId::mint(now, self.random()), now, &actor, ActivityKind::KeyCreated, "key_1")
    }

    pub(super) async fn log(&self, tenant: &TenantId) -> Found<Vec<Activity>> {
        let (all, page) = (ActivityFilter::default(), PageRequest::first(1_000));
        Ok(self.stores.activity.activity(tenant, &all, page).await?.items)
    }
}

pub(super) fn mac(pepper: &str, seed: u8) -> Found<SecretMac> {
    let pepper: PepperId = pepper.parse().map_err(|_| Failure("the id of a pepper".to_owned()))?;
    Ok(SecretMac::new(pepper, [seed; 32]))
}

/// Two answers that must not differ in anything.
#[track_caller]
pub(super) fn alike<T: std::fmt::Debug>(foreign: Result<T>, unknown: Result<T>, what: &str) -> Verdict {
    let text = |answer: Result<T>| match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error:?}"),
    };
    crate::testing::conformance::same(text(foreign), text(unknown), what)
}
