//! The port of inbound webhooks, each step one of the writer or of a reader.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::sqlite::received::NewRow;
use crate::adapters::sqlite::{SqliteStore, received, received_list, sources};
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
impl InboundStore for SqliteStore {
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
        let owner = owner.clone();
        self.write("save sources", move |session| sources::save(session, &owner, &changes, &activity)).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<Arc<Source>>> {
        self.read("find a source", move |session| sources::find(session, id)).await
    }

    async fn platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        let name = name.clone();
        self.read("find a source", move |session| sources::find_platform(session, &name)).await
    }

    async fn sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>> {
        let owner = owner.clone();
        self.read("list sources", move |session| sources::list(session, &owner, page)).await
    }

    async fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Arc<Source>>> {
        self.read("list all sources", move |session| sources::list_all(session, after, limit)).await
    }

    async fn reseal_source(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64> {
        self.write("reseal a source's secrets", move |session| sources::reseal(session, id, &seals)).await
    }

    /// What queues up while a transaction runs shares the next one, and so its wait for the disk.
    async fn accept(&self, received: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>> {
        let rows = received.into_iter().map(NewRow::of).collect::<Result<Vec<_>>>()?;
        self.write("keep what was received", move |session| received::accept(session, &rows, now)).await
    }

    async fn claim_received(&self, claim: InboundClaim) -> Result<InboundClaimed> {
        self.write("claim what was received", move |session| received::claim(session, &claim)).await
    }

    async fn settle_received(
        &self,
        results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled> {
        self.write("settle what was received", move |session| received::settle(session, &results, now)).await
    }

    async fn received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>> {
        let (owner, filter) = (owner.clone(), filter.clone());
        self.read("list what was received", move |session| {
            received_list::list(session, &owner, &filter, page)
        })
        .await
    }

    async fn one_received(&self, owner: &Owner, id: ReceivedId) -> Result<Option<ReceivedRecord>> {
        let owner = owner.clone();
        self.read("read what was received", move |session| received_list::one(session, &owner, id)).await
    }

    async fn replay_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replayed> {
        let (owner, filter) = (owner.clone(), filter.clone());
        self.write("replay what was received", move |session| {
            received_list::replay(session, &owner, &filter, page, &activity, now)
        })
        .await
    }

    async fn erase_received(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        let (owner, subject) = (owner.clone(), subject.to_owned());
        self.write("erase what was received", move |session| {
            received_list::erase(session, &owner, &subject, now)
        })
        .await
    }

    async fn examine_received(&self, now: DateTime<Utc>) -> Result<InboundExamination> {
        self.read("examine what was received", move |session| received_list::examine(session, now)).await
    }

    async fn tidy_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64> {
        self.write("tidy up what was received", move |session| received_list::tidy(session, retention, now))
            .await
    }
}
