//! The port of inbound webhooks. Dropping a future leaves either the whole step behind, or nothing of it.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::received::NewRow;
use crate::error::Result;
use crate::inbound::received::{InboundSettlement, Received, ReceivedRecord};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::{
    Accepted, InboundClaim, InboundClaimed, InboundErasure, InboundExamination, InboundRetention,
    InboundSettled, InboundStore, ReceivedFilter, Replayed, ResealedSecret, SourceChange,
};
use crate::primitives::durability::Durability;
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::page::{Page, PageRequest};

#[async_trait]
impl InboundStore for PostgresStore {
    fn durability(&self) -> Durability {
        Durability::Lasting
    }

    async fn save_sources(
        &self,
        owner: &Owner,
        changes: Vec<SourceChange>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        self.put_sources(owner, changes, &activity).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<Arc<Source>>> {
        self.find_source(id).await
    }

    async fn platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        self.find_platform_source(name).await
    }

    async fn sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>> {
        self.list_sources(owner, page).await
    }

    async fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Arc<Source>>> {
        self.list_all_sources(after, limit).await
    }

    async fn reseal_source(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64> {
        self.reseal_secrets(id, seals).await
    }

    /// What is received at the same time shares a statement, and so a commit.
    async fn accept(&self, received: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>> {
        let rows =
            received.into_iter().map(|received| NewRow::of(received, now)).collect::<Result<Vec<_>>>()?;
        if rows.is_empty() { Ok(Vec::new()) } else { self.write_together(rows).await }
    }

    async fn claim_received(&self, claim: InboundClaim) -> Result<InboundClaimed> {
        self.claim_jobs(claim).await
    }

    async fn settle_received(
        &self,
        results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled> {
        self.settle_jobs(results, now).await
    }

    async fn received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>> {
        self.list_received(owner, filter, page).await
    }

    async fn one_received(&self, owner: &Owner, id: ReceivedId) -> Result<Option<ReceivedRecord>> {
        self.read_received(owner, id).await
    }

    async fn replay_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replayed> {
        self.begin_anew(owner, filter, page, &activity, now).await
    }

    async fn erase_received(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        self.erase_items(owner, subject, now).await
    }

    async fn examine_received(&self, now: DateTime<Utc>) -> Result<InboundExamination> {
        self.examine_items(now).await
    }

    async fn tidy_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64> {
        self.drop_received(retention, now).await
    }
}
