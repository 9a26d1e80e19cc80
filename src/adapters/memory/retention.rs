//! What goes, and when: the bound on history, retention, and what has waited for too long.

use chrono::{DateTime, Utc};

use crate::adapters::memory::examine::MINUTE;
use crate::adapters::memory::group::Group;
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Ended, KeyPlace, Place, State, Tenant};
use crate::primitives::id::ReplayId;
use crate::primitives::time::earlier;
use crate::webhooks::model::{DeadReason, DeliveryStatus, Replay, ReplayState};
use crate::webhooks::queue::{Expired, Retention};

impl State {
    /// What every step that changes something does at its end.
    pub(super) fn finish_step(&mut self, now: DateTime<Utc>) {
        while self.lapses.front().is_some_and(|&at| at <= now - MINUTE) {
            self.lapses.pop_front();
        }
        while let Some(tenant) = self.history.excess() {
            self.drop_oldest(tenant);
        }
        self.schedule_touched(now);
    }

    fn drop_oldest(&mut self, tenant: Slot<Tenant>) {
        let all = &mut self.tenants[tenant].ended;
        let before = all.len();
        let oldest = all.pop_front();
        if all.capacity() > MUCH_ROOM && all.capacity() / 4 > all.len() {
            // This tenant had nearly everything once, and others have taken its place.
            all.shrink_to(all.len() * 2);
        }
        self.history.changed(tenant, before, all.len());
        match oldest {
            Some(Ended::Delivery(id)) => {
                if let Some(&slot) = self.row_by_id.get(&id) {
                    self.drop_row(slot);
                }
            }
            Some(Ended::Event(id)) => {
                if let Some(&slot) = self.event_by_id.get(&id) {
                    self.drop_event_if_unused(slot);
                }
            }
            Some(Ended::Replay(id)) => self.forget_replay(id),
            None => {}
        }
    }

    pub(super) fn expire(&mut self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Expired {
        let mut expired = Expired::default();
        let mut left = limit;
        let groups: Vec<_> = self.groups.slots().collect();
        for group in groups {
            let skipped = self.skip_lost(group, now, left);
            expired.skipped += skipped as u64;
            left -= skipped;
            if left == 0 {
                break;
            }
            let undelivered = self.groups[group].undelivered.iter();
            let old = undelivered.take_while(|&&(made, _)| made < before).map(|&(_, slot)| slot);
            let old: Vec<_> = old.filter(|&slot| !self.rows[slot].is_leased(now)).take(left).collect();
            left -= old.len();
            for slot in old {
                let delivery = &self.rows[slot].delivery;
                expired.deliveries.push((delivery.tenant.clone(), delivery.webhook, delivery.id));
                self.end(slot, DeliveryStatus::DeadLetter(DeadReason::Expired), now);
            }
        }
        self.finish_step(now);
        expired
    }

    /// Ends what was claimed and lost, and cannot wait any longer; says how many there were.
    fn skip_lost(&mut self, group: Slot<Group>, now: DateTime<Utc>, most: usize) -> usize {
        let leases = self.groups[group].leases.iter();
        let lost = leases.take_while(|&&(until, _)| until <= now).map(|&(_, slot)| slot);
        let refused: Vec<_> = lost.filter_map(|slot| Some((slot, self.refusal(slot)?))).take(most).collect();
        for &(slot, reason) in &refused {
            self.end(slot, DeliveryStatus::Skipped(reason), now);
        }
        refused.len()
    }

    pub(super) fn tidy(&mut self, retention: Retention, now: DateTime<Utc>) -> u64 {
        let (history, payloads) = (earlier(now, retention.history), earlier(now, retention.payloads));
        let mut gone = self.forget_keys(earlier(now, retention.idempotency_keys));
        let replays = self.forget_replays(history);
        gone += replays + self.forget_activity(history);
        if replays > 0 || self.oldest.row < history || self.oldest.payload < payloads {
            gone += self.forget_rows(history) + self.forget_events(history, payloads);
            self.forget_ended();
        }
        self.finish_step(now);
        gone
    }

    /// What is gone already needs not be dropped when there is too much.
    fn forget_ended(&mut self) {
        let tenants: Vec<_> = self.tenants.slots().collect();
        for tenant in tenants {
            let all = &mut self.tenants[tenant].ended;
            let before = all.len();
            all.retain(|ended| match ended {
                Ended::Delivery(id) => self.row_by_id.contains_key(id),
                Ended::Event(id) => self.event_by_id.contains_key(id),
                Ended::Replay(id) => self.replays.contains_key(id),
            });
            self.history.changed(tenant, before, all.len());
        }
    }

    fn forget_rows(&mut self, before: DateTime<Utc>) -> u64 {
        self.oldest.row = DateTime::<Utc>::MAX_UTC;
        let mut gone = 0;
        let rows: Vec<_> = self.rows.slots().collect();
        for slot in rows {
            let row = &self.rows[slot];
            if row.place == Place::Ended && row.delivery.created_at < before {
                gone += self.drop_row(slot);
            } else {
                self.oldest.row = self.oldest.row.min(row.delivery.created_at);
            }
        }
        gone
    }

    fn forget_events(&mut self, history: DateTime<Utc>, payloads: DateTime<Utc>) -> u64 {
        self.oldest.payload = DateTime::<Utc>::MAX_UTC;
        let mut gone = 0;
        let events: Vec<_> = self.events.slots().collect();
        for slot in events {
            let row = &self.events[slot];
            let published_at = row.event.head.published_at;
            if published_at < history && row.deliveries.is_none() && !row.in_outbox {
                gone += self.drop_event_if_unused(slot);
                continue;
            }
            let is_needed = row.in_outbox
                || self.deliveries_of(slot).any(|delivery| self.rows[delivery].place != Place::Ended);
            let row = &self.events[slot];
            self.oldest.row = self.oldest.row.min(published_at);
            if published_at < payloads && row.has_payload && !is_needed {
                self.drop_payload(slot);
                gone += 1;
            } else if row.has_payload {
                self.oldest.payload = self.oldest.payload.min(published_at);
            }
        }
        gone
    }

    fn forget_replays(&mut self, before: DateTime<Utc>) -> u64 {
        let over = |replay: &&Replay| replay.state != ReplayState::Running && replay.updated_at < before;
        let over: Vec<_> = self.replays.values().filter(over).map(|replay| replay.id).collect();
        for &id in &over {
            self.forget_replay(id);
        }
        over.len() as u64
    }

    fn forget_replay(&mut self, id: ReplayId) {
        if let Some(replay) = self.replays.remove(&id) {
            let tenant = self.tenant_slot(&replay.tenant);
            self.tenants[tenant].replays.remove(&id);
        }
    }

    fn forget_keys(&mut self, before: DateTime<Utc>) -> u64 {
        let mut gone = 0;
        while let Some(entry) = self.keys_by_age.first_entry()
            && entry.key().0 <= before
        {
            let KeyPlace { tenant, key } = entry.remove();
            self.tenants[tenant].keys.remove(&key);
            gone += 1;
        }
        gone
    }
}

/// A queue with more room than this is made smaller once it is nearly empty.
const MUCH_ROOM: usize = 64;
