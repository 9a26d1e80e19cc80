//! What an administrator sees of what was received, and has handled again.

use std::ops::Bound;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::adapters::memory::inbound::Inbound;
use crate::inbound::received::{ReceivedRecord, ReceivedStatus};
use crate::inbound::source::Owner;
use crate::inbound::store::{InboundExamination, ReceivedFilter, Replayed};
use crate::primitives::id::ReceivedId;
use crate::primitives::page::{Cursor, Page, PageRequest};

impl Inbound {
    fn own(&self, owner: &Owner, filter: &ReceivedFilter, page: PageRequest) -> Vec<ReceivedRecord> {
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(ReceivedId::from_uuid(cursor.row())));
        let newest_first = self.rows.range((Bound::Unbounded, end)).rev().map(|(_, row)| row);
        let own = newest_first.filter(|row| row.received.owner == *owner).map(|row| row.record(Bytes::new()));
        own.filter(|record| filter.matches(record)).take(page.limit() + 1).collect()
    }

    pub(in crate::adapters::memory) fn list(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Page<ReceivedRecord> {
        Page::cut(self.own(owner, filter, page), page, |record| Cursor::behind(record.received.id.as_uuid()))
    }

    pub(in crate::adapters::memory) fn one(&self, owner: &Owner, id: ReceivedId) -> Option<ReceivedRecord> {
        let row = self.rows.get(&id).filter(|row| row.received.owner == *owner)?;
        Some(row.record(row.received.body.clone()))
    }

    pub(in crate::adapters::memory) fn replay(
        &mut self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Replayed {
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(ReceivedId::from_uuid(cursor.row())));
        let newest_first = self.rows.range((Bound::Unbounded, end)).rev().map(|(_, row)| row);
        let can = newest_first.filter(|row| {
            row.received.owner == *owner
                && row.status != ReceivedStatus::Pending
                && row.has_body
                && filter.matches(&row.record(Bytes::new()))
        });
        let found = can.map(|row| row.received.id).take(page.limit() + 1).collect::<Vec<_>>();
        let wanted = Page::cut(found, page, |id| Cursor::behind(id.as_uuid()));
        let count = wanted.items.len();
        wanted.items.into_iter().for_each(|id| self.begin_anew(id, now));
        Replayed::new(count, wanted.next)
    }

    pub(in crate::adapters::memory) fn examine(&self, now: DateTime<Utc>) -> InboundExamination {
        let firsts = self.due.values().filter_map(|due| due.first().map(|(at, _)| *at));
        InboundExamination::new(firsts.filter(|at| *at <= now).min(), self.dead)
    }
}
