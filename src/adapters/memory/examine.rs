//! How the queue stands, for an operator.

use chrono::{DateTime, TimeDelta, Utc};

use crate::adapters::memory::group::{DueKey, Group};
use crate::adapters::memory::state::State;
use crate::webhooks::queue::Examination;

pub(super) const MINUTE: TimeDelta = TimeDelta::minutes(1);

impl State {
    pub(super) fn examine(&self, now: DateTime<Utc>) -> Examination {
        let mut found = Examination::default();
        let waiting = self.outbox.iter().flatten();
        found.outbox = waiting.clone().count() as u64;
        found.oldest_in_outbox = waiting.map(|entry| self.events[entry.event].event.head.published_at).min();

        let minute_ago = now - MINUTE;
        let lapsed = self.lapses.iter().filter(|&&at| minute_ago < at).count();
        found.expired_leases_per_minute = lapsed as u64;
        for group in self.groups.slots().map(|slot| &self.groups[slot]) {
            let leases = group.leases.iter().map(|&(until, _)| until);
            let lost = leases.clone().filter(|&until| minute_ago < until && until <= now);
            found.expired_leases_per_minute += lost.count() as u64;
            found.live_leases += leases.filter(|&until| now < until).count() as u64;
            found.oldest_due = [found.oldest_due, due_since(group, now)].into_iter().flatten().min();
        }
        found
    }
}

fn due_since(group: &Group, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let due = |lane: &std::collections::BTreeSet<DueKey>| lane.first().map(|&(due, ..)| due);
    let lost = group.leases.first().map(|&(until, _)| until);
    [due(&group.live), due(&group.replay), lost].into_iter().flatten().filter(|&at| at <= now).min()
}
