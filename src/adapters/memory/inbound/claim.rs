//! Who works on what, and until when.

use std::ops::Bound;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::adapters::memory::inbound::Inbound;
use crate::inbound::received::{InboundJob, Party};
use crate::inbound::store::{InboundClaim, InboundClaimed};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::id::ReceivedId;
use crate::primitives::time::later;

impl Inbound {
    pub(in crate::adapters::memory) fn claim(&mut self, claim: &InboundClaim) -> InboundClaimed {
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
}

const LAST: ReceivedId = ReceivedId::from_uuid(uuid::Uuid::max());
