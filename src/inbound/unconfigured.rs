//! Stands where a host with a store of its own has not said where inbound webhooks are kept.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inbound::received::{InboundSettlement, Received, ReceivedRecord};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::{
    Accepted, InboundClaim, InboundClaimed, InboundErasure, InboundExamination, InboundRetention,
    InboundSettled, InboundStore, ReceivedFilter, Replayed, ResealedSecret, SourceChange,
};
use crate::primitives::durability::Durability;
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::page::{Page, PageRequest};

/// Keeps nothing.
#[derive(Debug)]
pub(crate) struct NoInboundStore;

fn unconfigured<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unconfigured, "keep inbound webhooks").with_problem(Problem::new(
        "inbound_store",
        "a hub with a store of the host's own is told where inbound webhooks are kept",
        "give the same store with `.inbound_store(store)`",
    )))
}

#[async_trait]
impl InboundStore for NoInboundStore {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save_sources(
        &self,
        _: &Owner,
        _: Vec<SourceChange>,
        _: Vec<Activity>,
        _: DateTime<Utc>,
    ) -> Result<()> {
        unconfigured()
    }

    async fn source(&self, _: SourceId) -> Result<Option<Arc<Source>>> {
        unconfigured()
    }

    async fn platform_source(&self, _: &SourceName) -> Result<Option<Arc<Source>>> {
        unconfigured()
    }

    async fn sources(&self, _: &Owner, _: PageRequest) -> Result<Page<Arc<Source>>> {
        unconfigured()
    }

    /// There is nothing to seal anew.
    async fn all_sources(&self, _: Option<SourceId>, _: usize) -> Result<Vec<Arc<Source>>> {
        Ok(Vec::new())
    }

    async fn reseal_source(&self, _: SourceId, _: Vec<ResealedSecret>) -> Result<u64> {
        unconfigured()
    }

    async fn accept(&self, _: Vec<Received>, _: DateTime<Utc>) -> Result<Vec<Accepted>> {
        unconfigured()
    }

    async fn claim_received(&self, _: InboundClaim) -> Result<InboundClaimed> {
        unconfigured()
    }

    async fn settle_received(&self, _: Vec<InboundSettlement>, _: DateTime<Utc>) -> Result<InboundSettled> {
        unconfigured()
    }

    async fn received(&self, _: &Owner, _: &ReceivedFilter, _: PageRequest) -> Result<Page<ReceivedRecord>> {
        unconfigured()
    }

    async fn one_received(&self, _: &Owner, _: ReceivedId) -> Result<Option<ReceivedRecord>> {
        unconfigured()
    }

    async fn replay_received(
        &self,
        _: &Owner,
        _: &ReceivedFilter,
        _: PageRequest,
        _: Vec<Activity>,
        _: DateTime<Utc>,
    ) -> Result<Replayed> {
        unconfigured()
    }

    /// There is nothing to erase.
    async fn erase_received(&self, _: &Owner, _: &str, _: DateTime<Utc>) -> Result<InboundErasure> {
        Ok(InboundErasure::default())
    }

    /// Nothing stands here.
    async fn examine_received(&self, _: DateTime<Utc>) -> Result<InboundExamination> {
        Ok(InboundExamination::default())
    }

    async fn tidy_received(&self, _: InboundRetention, _: DateTime<Utc>) -> Result<u64> {
        unconfigured()
    }
}
