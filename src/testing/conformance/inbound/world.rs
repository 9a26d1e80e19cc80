//! A store, two tenants and the platform, and the steps that checks are made of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind};
use crate::activity::store::ActivityFilter;
use crate::error::Result;
use crate::inbound::received::{
    InboundFate, InboundJob, InboundSettlement, ItemVersion, Party, Received, ReceivedRecord,
};
use crate::inbound::scheme::Scheme;
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::{Accepted, InboundClaim, InboundClaimed, InboundSettled, SourceChange};
use crate::primitives::id::{ActivityId, ReceivedId, SourceId};
use crate::primitives::page::PageRequest;
use crate::tenancy::model::{Actor, TenantId};
use crate::testing::conformance::inbound::{InboundStoreHarness, InboundStores};
use crate::testing::conformance::{Failure, there};

pub(super) use crate::testing::conformance::world::at;

pub(super) type Found<T> = std::result::Result<T, Failure>;

/// How long checks lease for, in seconds.
pub(super) const LEASE: u64 = 60;

/// A store with nothing in it, and the steps that checks are made of.
pub(super) struct World {
    pub(super) stores: InboundStores,
    /// The tenant of most stories.
    pub(super) acme: TenantId,
    /// The tenant who must not see any of it.
    pub(super) other: TenantId,
    ids: AtomicU64,
}

impl World {
    pub(super) async fn fresh(harness: &dyn InboundStoreHarness) -> Found<Self> {
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

    pub(super) fn source_of(&self, owner: &Owner, name: &str) -> Found<Source> {
        let name: SourceName = name.parse().map_err(|_| Failure("a source's name".to_owned()))?;
        let id = match owner {
            Owner::Platform => name.platform_id(),
            Owner::Tenant(_) => SourceId::mint(at(0), self.random()),
        };
        Ok(Source::new(id, owner.clone(), name, scheme()?, at(0)))
    }

    pub(super) async fn insert(&self, source: &Source) -> Result<()> {
        self.save(&source.owner, vec![SourceChange::Insert(source.clone())]).await
    }

    pub(super) async fn save(&self, owner: &Owner, changes: Vec<SourceChange>) -> Result<()> {
        self.stores.inbound.save_sources(owner, changes, Vec::new(), at(1)).await
    }

    /// An item of a source of acme's that is not saved: what is received need not know its source.
    pub(super) fn item(&self, key: &str) -> Found<Received> {
        self.item_of(&Owner::Tenant(self.acme.clone()), key)
    }

    pub(super) fn item_of(&self, owner: &Owner, key: &str) -> Found<Received> {
        let name: SourceName = "stripe".parse().map_err(|_| Failure("a source's name".to_owned()))?;
        let id = ReceivedId::mint(at(0), self.random());
        // One source for each owner.
        let source: SourceName =
            format!("of-{}", owner.as_str()).parse().map_err(|_| Failure("a source's name".to_owned()))?;
        let mut item = Received::new(
            id,
            source.platform_id(),
            name,
            owner.clone(),
            key,
            at(0),
            format!("{{\"{key}\":1}}"),
        );
        item.kind = "invoice.paid".into();
        Ok(item)
    }

    /// An item that must stay in order with others.
    pub(super) fn ordered(&self, key: &str, order: &str, sequence: i64) -> Found<Received> {
        let mut item = self.item(key)?;
        item.order_key = Some(order.into());
        item.version = ItemVersion::new(None, Some(sequence));
        Ok(item)
    }

    pub(super) async fn accept(&self, items: Vec<Received>, seconds: i64) -> Found<Vec<Accepted>> {
        Ok(self.stores.inbound.accept(items, at(seconds)).await?)
    }

    pub(super) async fn claim(&self, limit: usize, seconds: i64) -> Found<Vec<InboundJob>> {
        Ok(self.claim_behind(limit, None, seconds).await?.jobs)
    }

    pub(super) async fn claim_behind(
        &self,
        limit: usize,
        after: Option<Party>,
        seconds: i64,
    ) -> Found<InboundClaimed> {
        let claim = InboundClaim::new(at(seconds), Duration::from_secs(LEASE), limit).with_after(after);
        Ok(self.stores.inbound.claim_received(claim).await?)
    }

    /// The one that can be claimed.
    pub(super) async fn only(&self, seconds: i64) -> Found<InboundJob> {
        let mut jobs = self.claim(10, seconds).await?;
        let job = there(jobs.pop(), "a piece of work")?;
        if jobs.is_empty() { Ok(job) } else { Err(Failure(format!("there is more: {jobs:?}"))) }
    }

    pub(super) async fn settle(
        &self,
        job: &InboundJob,
        fate: InboundFate,
        seconds: i64,
    ) -> Found<InboundSettled> {
        let results = vec![InboundSettlement::new(job, fate)];
        Ok(self.stores.inbound.settle_received(results, at(seconds)).await?)
    }

    pub(super) async fn record(&self, id: ReceivedId) -> Found<ReceivedRecord> {
        let owner = Owner::Tenant(self.acme.clone());
        there(self.stores.inbound.one_received(&owner, id).await?, "what was received")
    }

    pub(super) fn entry(&self, tenant: &TenantId, now: DateTime<Utc>) -> Activity {
        let actor = Actor::org_admin(tenant.clone(), "ada");
        Activity::new(ActivityId::mint(now, self.random()), now, &actor, ActivityKind::SourceCreated, "src_1")
    }

    pub(super) async fn log(&self, tenant: &TenantId) -> Found<Vec<Activity>> {
        let (all, page) = (ActivityFilter::default(), PageRequest::first(1_000));
        Ok(self.stores.activity.activity(tenant, &all, page).await?.items)
    }
}

pub(super) fn keys(jobs: &[InboundJob]) -> Vec<String> {
    jobs.iter().map(|job| job.received.dedupe_key.to_string()).collect()
}

pub(super) fn scheme() -> Found<Scheme> {
    let text = r#"{"check": {"signature": {"at": "header:x-signature", "signed": ["body"]}}}"#;
    serde_json::from_str(text).map_err(|error| Failure(format!("a scheme: {error}")))
}
