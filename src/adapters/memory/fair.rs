//! Whose oldest goes first: a tenant that makes much must not push out what others have kept.

use std::collections::BTreeSet;

use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::Tenant;

/// Counts what is kept for each tenant; if it is too much, whoever has the most gives up some.
pub(super) struct Fair {
    most: usize,
    total: usize,
    by_count: BTreeSet<(usize, Slot<Tenant>)>,
}

impl Fair {
    pub(super) fn new(most: usize) -> Self {
        Self { most, total: 0, by_count: BTreeSet::new() }
    }

    /// What is kept for a tenant has become more, or less.
    pub(super) fn changed(&mut self, tenant: Slot<Tenant>, before: usize, after: usize) {
        if before > 0 {
            self.by_count.remove(&(before, tenant));
        }
        if after > 0 {
            self.by_count.insert((after, tenant));
        }
        self.total = self.total + after - before;
    }

    /// Who has to give up its oldest, if anybody.
    pub(super) fn excess(&self) -> Option<Slot<Tenant>> {
        let (_, tenant) = self.by_count.last().filter(|_| self.total > self.most)?;
        Some(*tenant)
    }
}
