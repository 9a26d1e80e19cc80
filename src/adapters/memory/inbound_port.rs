//! The port of inbound webhooks: each method is one step under the lock.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::memory::MemoryStore;
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
impl InboundStore for MemoryStore {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save_sources(
        &self,
        owner: &Owner,
        changes: Vec<SourceChange>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut state = self.lock("save sources")?;
        state.inbound.save(owner, changes)?;
        state.note(&activity);
        Ok(())
    }

    async fn source(&self, id: SourceId) -> Result<Option<Arc<Source>>> {
        Ok(self.lock("find a source")?.inbound.source(id))
    }

    async fn platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        Ok(self.lock("find a source")?.inbound.platform_source(name))
    }

    async fn sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>> {
        Ok(self.lock("list sources")?.inbound.sources(owner, page))
    }

    async fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Arc<Source>>> {
        Ok(self.lock("list all sources")?.inbound.all_sources(after, limit))
    }

    async fn reseal_source(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64> {
        Ok(self.lock("reseal a source's secrets")?.inbound.reseal(id, &seals))
    }

    async fn accept(&self, mut received: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>> {
        // A body is often a part of what the web server has read, several times its size: that is not kept with it.
        received.iter_mut().for_each(|one| one.body = Bytes::copy_from_slice(&one.body));
        Ok(self.lock("keep what was received")?.inbound.accept(received, now))
    }

    async fn claim_received(&self, claim: InboundClaim) -> Result<InboundClaimed> {
        Ok(self.lock("claim what was received")?.inbound.claim(&claim))
    }

    async fn settle_received(
        &self,
        results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled> {
        let mut state = self.lock("settle what was received")?;
        let (settled, held) = state.inbound.settle(&results, now);
        held.into_iter().for_each(|index| state.note(&results[index].activity));
        Ok(settled)
    }

    async fn received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>> {
        Ok(self.lock("list what was received")?.inbound.list(owner, filter, page))
    }

    async fn one_received(&self, owner: &Owner, id: ReceivedId) -> Result<Option<ReceivedRecord>> {
        Ok(self.lock("read what was received")?.inbound.one(owner, id))
    }

    async fn replay_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replayed> {
        let mut state = self.lock("replay what was received")?;
        let replayed = state.inbound.replay(owner, filter, page, now);
        state.note(&activity);
        Ok(replayed)
    }

    async fn erase_received(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        Ok(self.lock("erase what was received")?.inbound.erase(owner, subject, now))
    }

    async fn examine_received(&self, now: DateTime<Utc>) -> Result<InboundExamination> {
        Ok(self.lock("examine what was received")?.inbound.examine(now))
    }

    async fn tidy_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64> {
        let mut state = self.lock("tidy up what was received")?;
        Ok(state.inbound.tidy(retention, HISTORY, now))
    }
}

/// So many bodies of what has ended are kept, of all owners together.
const HISTORY: usize = 10_000;
