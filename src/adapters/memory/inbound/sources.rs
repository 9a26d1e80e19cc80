//! Which sources there are.

use std::ops::Bound;
use std::sync::Arc;

use crate::adapters::memory::inbound::Inbound;
use crate::error::Result;
use crate::inbound::changes::{PresentSource, check_source_changes};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::{ResealedSecret, SourceChange};
use crate::primitives::id::SourceId;
use crate::primitives::page::{Cursor, Page, PageRequest};

impl Inbound {
    pub(in crate::adapters::memory) fn save(
        &mut self,
        owner: &Owner,
        changes: Vec<SourceChange>,
    ) -> Result<()> {
        let present = self.sources.iter().map(|(id, source)| (*id, PresentSource::of(source))).collect();
        check_source_changes(owner, &changes, present)?;
        for change in changes {
            match change {
                SourceChange::Insert(source) | SourceChange::Replace { source, .. } => {
                    self.sources.insert(source.id, Arc::new(source));
                }
                SourceChange::Delete(id) => drop(self.sources.remove(&id)),
                SourceChange::AtMost(_) => {}
            }
        }
        Ok(())
    }

    pub(in crate::adapters::memory) fn source(&self, id: SourceId) -> Option<Arc<Source>> {
        self.sources.get(&id).map(Arc::clone)
    }

    pub(in crate::adapters::memory) fn platform_source(&self, name: &SourceName) -> Option<Arc<Source>> {
        let is_it = |source: &&Arc<Source>| source.owner == Owner::Platform && source.name == *name;
        self.sources.values().find(is_it).map(Arc::clone)
    }

    pub(in crate::adapters::memory) fn sources(&self, owner: &Owner, page: PageRequest) -> Page<Arc<Source>> {
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(SourceId::from_uuid(cursor.row())));
        let newest_first = self.sources.range((Bound::Unbounded, end)).rev().map(|(_, source)| source);
        let own = newest_first.filter(|source| source.owner == *owner).map(Arc::clone);
        Page::cut(own, page, |source| Cursor::behind(source.id.as_uuid()))
    }

    pub(in crate::adapters::memory) fn all_sources(
        &self,
        after: Option<SourceId>,
        limit: usize,
    ) -> Vec<Arc<Source>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.sources.range((start, Bound::Unbounded));
        behind.take(limit).map(|(_, source)| Arc::clone(source)).collect()
    }

    pub(in crate::adapters::memory) fn reseal(&mut self, id: SourceId, seals: &[ResealedSecret]) -> u64 {
        let Some(source) = self.sources.get_mut(&id) else { return 0 };
        let source = Arc::make_mut(source);
        seals.iter().filter(|seal| source.reseal(&seal.before, &seal.after)).count() as u64
    }
}
