//! Sources, and what was received from them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::adapters::memory::key_map::KeyMap;
use crate::error::Result;
use crate::inbound::changes::{PresentSource, check_source_changes};
use crate::inbound::received::{
    InboundFate, InboundJob, InboundSettlement, ItemVersion, Party, Received, ReceivedRecord, ReceivedStatus,
};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::{
    Accepted, InboundClaim, InboundClaimed, InboundErasure, InboundExamination, InboundRetention,
    InboundSettled, ReceivedFilter, Replayed, ResealedSecret, SourceChange,
};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::time::{earlier, later};

/// All sources, and everything that was received.
#[derive(Default)]
pub(super) struct Inbound {
    sources: BTreeMap<SourceId, Arc<Source>>,
    rows: BTreeMap<ReceivedId, Row>,
    by_key: KeyMap,
    by_guard: KeyMap,
    /// What can be claimed, or is leased, by its time; of an order only its head.
    due: BTreeMap<Party, BTreeSet<(DateTime<Utc>, ReceivedId)>>,
    orders: HashMap<Order, Line>,
    /// What has ended, the longest ago first; an entry is stale if the row has another time now.
    ended: BTreeSet<(DateTime<Utc>, ReceivedId)>,
    /// What has ended and has its body, in that order.
    with_body: VecDeque<ReceivedId>,
    /// How many are dead letters.
    dead: u64,
    token: u64,
}

/// What must stay in order.
type Order = (SourceId, Party, Arc<str>);
/// Where something stands in its order.
type Place = (i64, DateTime<Utc>, ReceivedId);

#[derive(Default)]
struct Line {
    pending: BTreeSet<Place>,
    /// The one that can be claimed, or is leased.
    offered: Option<ReceivedId>,
    latest: Option<ItemVersion>,
    touched_at: DateTime<Utc>,
}

struct Row {
    received: Arc<Received>,
    party: Party,
    has_body: bool,
    status: ReceivedStatus,
    attempts: u32,
    duplicates: u32,
    due: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// Outlives the lease: a late result counts as long as nobody else has claimed.
    token: Option<LeaseToken>,
    is_leased: bool,
    note: Option<Arc<str>>,
}

impl Row {
    fn order(&self) -> Option<Order> {
        let key = self.received.order_key.as_ref()?;
        Some((self.received.source, self.party.clone(), Arc::clone(key)))
    }

    /// A redelivery or somebody's work could still make something of it.
    fn is_unfinished(&self) -> bool {
        matches!(self.status, ReceivedStatus::Pending | ReceivedStatus::Dead | ReceivedStatus::Unparsable)
    }

    fn can_be_erased(&self) -> bool {
        self.has_body || self.is_unfinished()
    }

    fn place(&self) -> Place {
        let version = self.received.version;
        let at = version.occurred_at.unwrap_or(self.received.received_at);
        (version.sequence.unwrap_or(0), at, self.received.id)
    }

    fn record(&self, body: Bytes) -> ReceivedRecord {
        let mut received = (*self.received).clone();
        received.body = body;
        let mut record = ReceivedRecord::new(received);
        record.has_body = self.has_body;
        record.status = self.status;
        record.attempts = self.attempts;
        record.duplicates = self.duplicates;
        record.due_at = (self.status == ReceivedStatus::Pending).then_some(self.due);
        record.ended_at = self.ended_at;
        record.note.clone_from(&self.note);
        record
    }
}

impl Inbound {
    pub(super) fn save(&mut self, owner: &Owner, changes: Vec<SourceChange>) -> Result<()> {
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

    pub(super) fn source(&self, id: SourceId) -> Option<Arc<Source>> {
        self.sources.get(&id).map(Arc::clone)
    }

    pub(super) fn platform_source(&self, name: &SourceName) -> Option<Arc<Source>> {
        let is_it = |source: &&Arc<Source>| source.owner == Owner::Platform && source.name == *name;
        self.sources.values().find(is_it).map(Arc::clone)
    }

    pub(super) fn sources(&self, owner: &Owner, page: PageRequest) -> Page<Arc<Source>> {
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(SourceId::from_uuid(cursor.row())));
        let newest_first = self.sources.range((Bound::Unbounded, end)).rev().map(|(_, source)| source);
        let own = newest_first.filter(|source| source.owner == *owner).map(Arc::clone);
        Page::cut(own, page, |source| Cursor::behind(source.id.as_uuid()))
    }

    pub(super) fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Vec<Arc<Source>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.sources.range((start, Bound::Unbounded));
        behind.take(limit).map(|(_, source)| Arc::clone(source)).collect()
    }

    pub(super) fn reseal(&mut self, id: SourceId, seals: &[ResealedSecret]) -> u64 {
        let Some(source) = self.sources.get_mut(&id) else { return 0 };
        let source = Arc::make_mut(source);
        seals.iter().filter(|seal| source.reseal(&seal.before, &seal.after)).count() as u64
    }

    pub(super) fn accept(&mut self, all: Vec<Received>, now: DateTime<Utc>) -> Vec<Accepted> {
        all.into_iter().map(|received| self.accept_one(received, now)).collect()
    }

    fn accept_one(&mut self, received: Received, now: DateTime<Utc>) -> Accepted {
        let (source, id) = (received.source, received.id);
        if let Some(guard) = &received.guard {
            let by_guard = || self.by_guard.find(source, guard);
            if let Some(known) = self.by_key.find(source, &received.dedupe_key).or_else(by_guard) {
                return self.copy_came(known, received, now);
            }
            self.by_guard.note(source, guard, id);
        }
        if let Some(known) = self.by_key.note(source, &received.dedupe_key, id) {
            return self.copy_came(known, received, now);
        }
        let fresh = ReceivedRecord::new(received);
        let row = Row {
            party: fresh.received.party(),
            received: Arc::new(fresh.received),
            has_body: true,
            status: fresh.status,
            attempts: 0,
            duplicates: 0,
            due: now,
            ended_at: None,
            token: None,
            is_leased: false,
            note: None,
        };
        self.rows.insert(id, row);
        match fresh.status {
            ReceivedStatus::Pending => self.enter(id, now),
            ended => self.end(id, ended, now),
        }
        Accepted::Fresh
    }

    fn copy_came(&mut self, id: ReceivedId, copy: Received, now: DateTime<Utc>) -> Accepted {
        let Some(row) = self.rows.get_mut(&id) else { return Accepted::Duplicate(id) };
        row.duplicates = row.duplicates.saturating_add(1);
        if row.status != ReceivedStatus::Dead {
            return Accepted::Duplicate(id);
        }
        if !row.has_body {
            Arc::make_mut(&mut row.received).body = copy.body;
            row.has_body = true;
        }
        self.begin_anew(id, now);
        Accepted::Rearmed(id)
    }

    /// What has ended is pending again.
    fn begin_anew(&mut self, id: ReceivedId, now: DateTime<Utc>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(at) = row.ended_at.take() {
            self.ended.remove(&(at, id));
        }
        self.dead -= u64::from(row.status == ReceivedStatus::Dead);
        // Whoever held it last must not settle it now.
        (row.status, row.attempts, row.token, row.note) = (ReceivedStatus::Pending, 0, None, None);
        self.enter(id, now);
    }

    /// Lines up what is pending.
    fn enter(&mut self, id: ReceivedId, due: DateTime<Utc>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        (row.due, row.is_leased) = (due, false);
        let (order, place, party) = (row.order(), row.place(), row.party.clone());
        match order {
            None => drop(self.due.entry(party).or_default().insert((due, id))),
            Some(order) => {
                self.orders.entry(order.clone()).or_default().pending.insert(place);
                self.offer(&order);
            }
        }
    }

    /// Offers the head of an order, unless somebody works on it.
    fn offer(&mut self, order: &Order) {
        let Some(line) = self.orders.get_mut(order) else { return };
        let head = line.pending.first().map(|(_, _, id)| *id);
        if let Some(offered) = line.offered {
            let is_leased = self.rows.get(&offered).is_some_and(|row| row.is_leased);
            if is_leased || Some(offered) == head {
                return;
            }
            if let (Some(row), Some(due)) = (self.rows.get(&offered), self.due.get_mut(&order.1)) {
                due.remove(&(row.due, offered));
            }
        }
        line.offered = head;
        if let Some(row) = head.and_then(|head| self.rows.get(&head)) {
            self.due.entry(order.1.clone()).or_default().insert((row.due, row.received.id));
        } else if line.latest.is_none() {
            self.orders.remove(order);
        }
    }

    /// Takes something that is pending out of every line.
    fn leave(&mut self, id: ReceivedId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.is_leased = false;
        if let Some(due) = self.due.get_mut(&row.party) {
            due.remove(&(row.due, id));
            if due.is_empty() {
                self.due.remove(&row.party);
            }
        }
        let Some(order) = row.order() else { return };
        if let Some(line) = self.orders.get_mut(&order) {
            line.pending.remove(&row.place());
            line.offered = line.offered.filter(|offered| *offered != id);
        }
        self.offer(&order);
    }

    fn end(&mut self, id: ReceivedId, status: ReceivedStatus, now: DateTime<Utc>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        (row.status, row.ended_at) = (status, Some(now));
        self.dead += u64::from(status == ReceivedStatus::Dead);
        self.ended.insert((now, id));
        self.with_body.push_back(id);
    }

    pub(super) fn claim(&mut self, claim: &InboundClaim) -> InboundClaimed {
        let (now, until) = (claim.now, later(claim.now, claim.lease));
        let mut jobs = Vec::new();
        let mut after = claim.after.clone();
        // Round after round, each party gets one.
        while jobs.len() < claim.limit {
            let before = jobs.len();
            for party in self.parties_behind(after.as_ref()) {
                if jobs.len() == claim.limit {
                    break;
                }
                if claim.except.contains(&party) {
                    continue;
                }
                if let Some(job) = self.lease_one(&party, now, until) {
                    jobs.push(job);
                    after = Some(party);
                }
            }
            if jobs.len() == before {
                break;
            }
        }
        let firsts = self.due.values().filter_map(|due| {
            let mut times = due.range((Bound::Excluded((now, LAST)), Bound::Unbounded));
            times.next().map(|(at, _)| *at)
        });
        let next_due = firsts.min();
        InboundClaimed::new(jobs, after, next_due, now)
    }

    /// All that have work, behind this one first.
    fn parties_behind(&self, after: Option<&Party>) -> Vec<Party> {
        let Some(after) = after else { return self.due.keys().cloned().collect() };
        let behind = self.due.range((Bound::Excluded(after.clone()), Bound::Unbounded));
        let before = self.due.range(..=after.clone());
        behind.chain(before).map(|(party, _)| party.clone()).collect()
    }

    fn lease_one(&mut self, party: &Party, now: DateTime<Utc>, until: DateTime<Utc>) -> Option<InboundJob> {
        let (due, id) = *self.due.get(party)?.first().filter(|(due, _)| *due <= now)?;
        self.token += 1;
        let token = LeaseToken::new(self.token);
        let row = self.rows.get_mut(&id)?;
        (row.token, row.is_leased, row.due) = (Some(token), true, until);
        row.attempts = row.attempts.saturating_add(1);
        let mut job = InboundJob::new(Arc::clone(&row.received), row.attempts, Lease::new(token, until));
        let lined = self.due.get_mut(party)?;
        lined.remove(&(due, id));
        lined.insert((until, id));
        job.latest = row.order().and_then(|order| self.orders.get(&order)?.latest);
        Some(job)
    }

    /// Takes results; tells of each whether it was fenced, and whether it held.
    pub(super) fn settle(
        &mut self,
        results: &[InboundSettlement],
        now: DateTime<Utc>,
    ) -> (InboundSettled, Vec<usize>) {
        let (mut settled, mut held) = (InboundSettled::default(), Vec::new());
        for (index, result) in results.iter().enumerate() {
            match self.rows.get(&result.id).filter(|row| row.token == Some(result.token)) {
                None => settled.fenced.push((result.id, result.token)),
                Some(row) if row.status != ReceivedStatus::Pending => {}
                Some(_) => {
                    self.settle_one(result, now);
                    held.push(index);
                }
            }
        }
        (settled, held)
    }

    fn settle_one(&mut self, result: &InboundSettlement, now: DateTime<Utc>) {
        self.leave(result.id);
        let Some(row) = self.rows.get_mut(&result.id) else { return };
        if let Some(note) = &result.note {
            row.note = Some(Arc::clone(note));
        }
        if let InboundFate::Release(_) = result.fate {
            row.attempts = row.attempts.saturating_sub(1);
        }
        match result.fate {
            InboundFate::RetryAt(at) | InboundFate::Release(at) => {
                // Whoever settles twice is fenced the second time.
                row.token = None;
                self.enter(result.id, at);
            }
            ended => {
                let (order, version) = (row.order(), row.received.version);
                self.end(result.id, ended.status(), now);
                if let (InboundFate::Done, Some(order)) = (ended, order) {
                    let line = self.orders.entry(order).or_default();
                    line.touched_at = now;
                    if line.latest.is_none_or(|latest| !version.is_outdated_by(&latest)) {
                        line.latest = Some(version);
                    }
                }
            }
        }
    }

    fn own(&self, owner: &Owner, filter: &ReceivedFilter, page: PageRequest) -> Vec<ReceivedRecord> {
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(ReceivedId::from_uuid(cursor.row())));
        let newest_first = self.rows.range((Bound::Unbounded, end)).rev().map(|(_, row)| row);
        let own = newest_first.filter(|row| row.received.owner == *owner).map(|row| row.record(Bytes::new()));
        own.filter(|record| filter.matches(record)).take(page.limit() + 1).collect()
    }

    pub(super) fn list(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Page<ReceivedRecord> {
        Page::cut(self.own(owner, filter, page), page, |record| Cursor::behind(record.received.id.as_uuid()))
    }

    pub(super) fn one(&self, owner: &Owner, id: ReceivedId) -> Option<ReceivedRecord> {
        let row = self.rows.get(&id).filter(|row| row.received.owner == *owner)?;
        Some(row.record(row.received.body.clone()))
    }

    pub(super) fn replay(
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

    pub(super) fn examine(&self, now: DateTime<Utc>) -> InboundExamination {
        let firsts = self.due.values().filter_map(|due| due.first().map(|(at, _)| *at));
        InboundExamination::new(firsts.filter(|at| *at <= now).min(), self.dead)
    }

    pub(super) fn erase(&mut self, owner: &Owner, subject: &str, now: DateTime<Utc>) -> InboundErasure {
        let is_about_it = |row: &Row| {
            row.received.owner == *owner
                && row.received.subject.as_deref() == Some(subject)
                && row.can_be_erased()
        };
        let about: Vec<_> = self.rows.iter().filter(|(_, row)| is_about_it(row)).map(|(id, _)| *id).collect();
        let mut erasure = InboundErasure::new(about.len() as u64, 0);
        for id in about {
            let Some(row) = self.rows.get(&id) else { continue };
            let status = row.status;
            if status == ReceivedStatus::Pending {
                erasure.unhandled += 1;
                self.leave(id);
                self.end(id, ReceivedStatus::Erased, now);
            }
            let Some(row) = self.rows.get_mut(&id) else { continue };
            self.dead -= u64::from(row.status == ReceivedStatus::Dead);
            if row.is_unfinished() {
                row.status = ReceivedStatus::Erased;
            }
            // Whoever works on it must not settle it now.
            (row.token, row.note, row.has_body) = (None, None, false);
            Arc::make_mut(&mut row.received).body = Bytes::new();
        }
        erasure
    }

    /// Beside what is too old, the bodies of what has ended longest ago go when there are more than `history`.
    pub(super) fn tidy(&mut self, retention: InboundRetention, history: usize, now: DateTime<Utc>) -> u64 {
        let mut gone = 0;
        let before = earlier(now, retention.rows());
        let old: Vec<_> = self.ended.iter().take_while(|(at, _)| *at < before).take(STEP).copied().collect();
        for place in old {
            self.ended.remove(&place);
            if let Some(row) = self.rows.remove(&place.1) {
                self.dead -= u64::from(row.status == ReceivedStatus::Dead);
                self.by_key.remove(row.received.source, &row.received.dedupe_key);
                if let Some(guard) = &row.received.guard {
                    self.by_guard.remove(row.received.source, guard);
                }
                gone += 1;
            }
        }
        let before = earlier(now, retention.of_bodies());
        for _ in 0..STEP {
            let Some(id) = self.with_body.front().copied() else { break };
            let has_ended = |row: &&mut Row| row.ended_at.is_some() && row.has_body;
            let row = self.rows.get_mut(&id).filter(has_ended);
            let is_too_much = self.with_body.len() > history;
            if let Some(row) = row {
                if !is_too_much && row.ended_at.is_none_or(|at| at >= before) {
                    break;
                }
                Arc::make_mut(&mut row.received).body = Bytes::new();
                row.has_body = false;
                gone += 1;
            }
            self.with_body.pop_front();
        }
        self.orders
            .retain(|_, line| !line.pending.is_empty() || line.touched_at >= earlier(now, retention.rows()));
        gone
    }
}

const STEP: usize = 1_000;
const LAST: ReceivedId = ReceivedId::from_uuid(uuid::Uuid::max());
