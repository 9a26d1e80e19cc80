//! Replays: stored jobs that send past deliveries once more.

use std::ops::Bound;

use chrono::{DateTime, TimeDelta, Utc};

use crate::activity::model::Activity;
use crate::adapters::memory::group::Group;
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Ended, Row, State};
use crate::adapters::memory::webhooks::page_of;
use crate::error::{Error, ErrorKind, Result};
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{Origin, Replay, ReplayFilter, ReplayState};
use crate::webhooks::queue::Advanced;

impl State {
    pub(super) fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64> {
        let group = self
            .group_of(tenant, webhook)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "preview a replay"))?;
        let rows = self.groups[group].rows.values();
        Ok(rows.filter(|&&slot| self.is_replayed(slot, filter)).count() as u64)
    }

    pub(super) fn start_replay(&mut self, mut replay: Replay, activity: Vec<Activity>) -> Result<Replay> {
        replay.matched = self
            .preview_replay(&replay.tenant, replay.webhook, &replay.filter)
            .map_err(|error| Error::new(error.kind(), "start a replay"))?;
        if self.replays.contains_key(&replay.id) {
            return Err(Error::new(ErrorKind::Conflict, "start a replay"));
        }
        let tenant = self.tenant_slot(&replay.tenant);
        self.tenants[tenant].replays.insert(replay.id);
        if replay.state == ReplayState::Running {
            self.running_replays.insert(replay.id);
        } else {
            self.note_end(tenant, Ended::Replay(replay.id));
        }
        self.replays.insert(replay.id, replay.clone());
        self.note(&activity);
        Ok(replay)
    }

    pub(super) fn replay(&self, tenant: &TenantId, id: ReplayId) -> Option<&Replay> {
        self.replays.get(&id).filter(|replay| replay.tenant == *tenant)
    }

    pub(super) fn list_replays(&self, tenant: &TenantId, page: PageRequest) -> Page<Replay> {
        let Some(tenant) = self.tenant(tenant) else { return Page::new(Vec::new(), None) };
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(ReplayId::from_uuid(cursor.row())));
        let newest_first = tenant.replays.range((Bound::Unbounded, end)).rev();
        let replays = newest_first.filter_map(|id| self.replays.get(id).cloned());
        page_of(replays, page, |replay| Cursor::behind(replay.id.as_uuid()))
    }

    pub(super) fn cancel_replay(
        &mut self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay> {
        let step = "cancel a replay";
        let replay = self.replay(tenant, id).ok_or_else(|| Error::new(ErrorKind::NotFound, step))?;
        if replay.state != ReplayState::Running {
            return Err(Error::new(ErrorKind::Conflict, step));
        }
        self.end_replay(id, ReplayState::Cancelled, now);
        self.note(&activity);
        let cancelled = self.replays[&id].clone();
        self.finish_step(now);
        Ok(cancelled)
    }

    pub(super) fn advance_replays(&mut self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Advanced {
        let mut advanced = Advanced::default();
        let mut ids = ids.into_iter();
        let running = self.running_replays.iter().filter_map(|id| self.replays.get(id));
        let mut running: Vec<_> = running.map(|replay| (replay.next_at, replay.id)).collect();
        running.sort_unstable();
        for (_, id) in running {
            self.advance_replay(id, &mut ids, &mut advanced, now);
        }
        self.finish_step(now);
        advanced
    }

    fn advance_replay(
        &mut self,
        id: ReplayId,
        ids: &mut impl Iterator<Item = DeliveryId>,
        advanced: &mut Advanced,
        now: DateTime<Utc>,
    ) {
        let Some(replay) = self.replays.get(&id).filter(|replay| replay.next_at <= now) else { return };
        let Some(group) = self.group_of(&replay.tenant, replay.webhook) else { return };
        if self.groups[group].refusal().is_some() {
            return;
        }
        let most = replay.per_second.max(1);
        let filter = replay.filter.clone();
        let mut position = replay.position;
        let mut made = 0;
        let at_end = loop {
            let begin = position.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = self.groups[group].rows.range((begin, Bound::Unbounded));
            let Some((past_id, past)) = rows
                .map(|(&past_id, &past)| (past_id, past))
                .find(|&(_, past)| self.is_replayed(past, &filter))
            else {
                break true;
            };
            if made == most {
                break false;
            }
            let Some(new) = ids.find(|new| !self.row_by_id.contains_key(new)) else {
                advanced.wanted += u64::from(most - made);
                break false;
            };
            self.send_again(past, new, Origin::Replay(id), now);
            position = Some(past_id);
            made += 1;
        };
        advanced.made += u64::from(made);
        let Some(replay) = self.replays.get_mut(&id) else { return };
        replay.made += u64::from(made);
        replay.position = position;
        if made > 0 {
            // As far as the rate has been used; what got nothing is the first of the next round.
            replay.next_at = now
                + TimeDelta::seconds(1) * i32::try_from(made).unwrap_or(i32::MAX)
                    / i32::try_from(most).unwrap_or(i32::MAX);
            replay.updated_at = now;
        }
        if at_end {
            advanced.completed.push((replay.tenant.clone(), replay.webhook, id));
            self.end_replay(id, ReplayState::Completed, now);
        }
    }

    pub(super) fn end_replay(&mut self, id: ReplayId, state: ReplayState, now: DateTime<Utc>) {
        self.running_replays.remove(&id);
        let Some(replay) = self.replays.get_mut(&id) else { return };
        replay.state = state;
        replay.updated_at = now;
        if let Some(&tenant) = self.tenant_by_id.get(&replay.tenant) {
            self.note_end(tenant, Ended::Replay(id));
        }
    }

    pub(super) fn running_of(&self, group: Slot<Group>) -> Vec<ReplayId> {
        let (tenant, webhook) = (&self.tenants[self.groups[group].tenant].id, self.groups[group].id);
        let running = self.running_replays.iter().filter_map(|id| self.replays.get(id));
        let mine = running.filter(|replay| replay.tenant == *tenant && replay.webhook == webhook);
        mine.map(|replay| replay.id).collect()
    }

    fn is_replayed(&self, slot: Slot<Row>, filter: &ReplayFilter) -> bool {
        let row = &self.rows[slot];
        filter.matches(&row.delivery) && self.events[row.event].has_payload
    }
}
