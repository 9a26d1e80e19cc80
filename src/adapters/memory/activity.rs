//! The activity log, and each tenant's chain of administrative entries in it.

use std::collections::VecDeque;
use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::chain::{ChainAnchor, ChainEnds, ChainEntry, ChainPlace, Link};
use crate::activity::model::Activity;
use crate::activity::store::{ActivityFilter, ActivityStore};
use crate::adapters::memory::MemoryStore;
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{State, Tenant};
use crate::error::Result;
use crate::primitives::id::ActivityId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::TenantId;

/// An entry, and its place in the chain if it has one.
pub(super) struct Logged {
    pub(super) entry: Activity,
    link: Option<Link>,
}

/// A tenant's chain.
#[derive(Default)]
pub(super) struct Chain {
    ends: ChainEnds,
    /// What is kept of it, without a gap.
    links: VecDeque<(u64, ActivityId)>,
}

impl State {
    /// Writes what happened into the log, and what is administrative into its tenant's chain.
    pub(super) fn note<'a>(&mut self, activity: impl IntoIterator<Item = &'a Activity>) {
        for entry in activity {
            let slot = self.tenant_slot(&entry.tenant);
            let tenant = &mut self.tenants[slot];
            if tenant.activity.contains_key(&entry.id) {
                continue;
            }
            let link = entry.is_administrative().then(|| tenant.chain.link(entry));
            self.keep(slot, Logged { entry: entry.clone(), link });
        }
        self.drop_excess();
    }

    /// Writes what the engine has done into the log.
    pub(super) fn note_unchained<'a>(&mut self, activity: impl IntoIterator<Item = &'a Activity>) {
        for entry in activity {
            let slot = self.tenant_slot(&entry.tenant);
            if !self.tenants[slot].activity.contains_key(&entry.id) {
                self.keep(slot, Logged { entry: entry.clone(), link: None });
            }
        }
        self.drop_excess();
    }

    fn keep(&mut self, slot: Slot<Tenant>, logged: Logged) {
        let log = &mut self.tenants[slot].activity;
        log.insert(logged.entry.id, logged);
        let count = log.len();
        self.logged.changed(slot, count - 1, count);
    }

    fn drop_excess(&mut self) {
        while let Some(slot) = self.logged.excess() {
            let tenant = &mut self.tenants[slot];
            let before = tenant.activity.len();
            if let Some((_, oldest)) = tenant.activity.pop_first()
                && let Some(link) = oldest.link
            {
                // Whatever stands before it in the chain goes as well: a chain has no gaps.
                tenant.cut(link.anchor());
            }
            let after = tenant.activity.len();
            self.logged.changed(slot, before, after);
        }
    }

    pub(super) fn forget_activity(&mut self, before: DateTime<Utc>) -> u64 {
        let mut gone = 0;
        let tenants: Vec<_> = self.tenants.slots().collect();
        for slot in tenants {
            let tenant = &mut self.tenants[slot];
            let all = tenant.activity.len();
            tenant.cut_older(before);
            // In the order of their ids, and so of their times.
            let old = tenant.activity.values().take_while(|logged| logged.entry.at < before);
            let old: Vec<_> =
                old.filter(|logged| logged.link.is_none()).map(|logged| logged.entry.id).collect();
            for id in old {
                tenant.activity.remove(&id);
            }
            let left = tenant.activity.len();
            gone += (all - left) as u64;
            self.logged.changed(slot, all, left);
        }
        gone
    }
}

impl Tenant {
    /// Drops the beginning of the chain as long as it is older than this.
    fn cut_older(&mut self, before: DateTime<Utc>) {
        while let Some((_, id)) = self.chain.links.front()
            && let Some(oldest) = self.activity.get(id).filter(|oldest| oldest.entry.at < before)
            && let Some(link) = oldest.link
        {
            self.cut(link.anchor());
        }
    }

    /// Drops the chain up to and including this link.
    fn cut(&mut self, last: ChainAnchor) {
        while let Some((sequence, id)) = self.chain.links.front().copied()
            && sequence <= last.sequence()
        {
            self.chain.links.pop_front();
            self.activity.remove(&id);
        }
        self.chain.ends.base = last;
    }
}

impl Chain {
    fn link(&mut self, entry: &Activity) -> Link {
        let link = Link::behind(self.ends.head, entry.digest());
        self.ends.head = link.anchor();
        self.links.push_back((link.sequence, entry.id));
        link
    }
}

#[async_trait]
impl ActivityStore for MemoryStore {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        let state = self.lock("list activity")?;
        let Some(tenant) = state.tenant(tenant) else { return Ok(Page::new(Vec::new(), None)) };
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(ActivityId::from_uuid(cursor.row())));
        let newest_first =
            tenant.activity.range((Bound::Unbounded, end)).rev().map(|(_, logged)| &logged.entry);
        let wanted = newest_first.filter(|entry| filter.matches(entry)).cloned();
        Ok(Page::cut(wanted, page, |entry| Cursor::behind(entry.id.as_uuid())))
    }

    async fn append(&self, entries: Vec<Activity>) -> Result<()> {
        self.lock("append to the activity log")?.note(&entries);
        Ok(())
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        let state = self.lock("read the activity chain")?;
        let Some(tenant) = state.tenant(tenant) else { return Ok(Vec::new()) };
        let links = &tenant.chain.links;
        let behind = behind.map(|place| (place.sequence, place.id));
        let begin = links.partition_point(|link| behind.is_some_and(|behind| *link <= behind));
        let entry = |(_, id): &(u64, ActivityId)| {
            let logged = tenant.activity.get(id)?;
            Some(ChainEntry::new(*id, logged.link?, Some(logged.entry.clone())))
        };
        Ok(links.range(begin..).take(limit).filter_map(entry).collect())
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        let state = self.lock("read the ends of the activity chain")?;
        Ok(state.tenant(tenant).map(|tenant| tenant.chain.ends).unwrap_or_default())
    }
}
