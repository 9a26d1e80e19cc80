//! Claim: round robin over tenants, then over webhooks.

use std::collections::BTreeMap;
use std::ops::Bound;

use chrono::{DateTime, Utc};

use crate::adapters::memory::group::{Caps, Group, Turn};
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Row, State, Tenant};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::time::later;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::Claim;
use crate::webhooks::queue::{ClaimRequest, Claimed};

impl State {
    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Claimed {
        let now = request.now;
        self.adopt_caps(request);
        self.wake_due(now);
        let excepted: Vec<_> =
            request.except.iter().filter_map(|tenant| self.ready.remove_entry(tenant)).collect();
        let mut claims = Vec::new();
        let mut after = request.after.clone();
        let mut place = request.after.clone();
        while claims.len() < request.limit && !self.ready.is_empty() {
            // One round: each tenant with due work gets its share before any gets a second one.
            let tenants = self.ready.len();
            let quota = (request.limit - claims.len()).div_ceil(tenants);
            for _ in 0..tenants {
                let left = request.limit - claims.len();
                let Some((id, tenant)) = behind(&self.ready, place.as_ref()) else { break };
                if left == 0 {
                    break;
                }
                self.claim_of_tenant(tenant, quota.min(left), request, &mut claims);
                place = Some(id);
                // Whoever was cut short is the first of the next round.
                if quota <= left || self.tenants[tenant].ready.is_empty() {
                    after = place.clone();
                }
            }
        }
        self.ready.extend(excepted);
        Claimed::new(claims, after, self.timers.first().map(|&(at, _)| at), now)
    }

    /// Limits may differ from call to call; whoever waits because of one must be thought over.
    fn adopt_caps(&mut self, request: &ClaimRequest) {
        let caps =
            Caps { in_flight: request.max_in_flight, replays_in_flight: request.max_replays_in_flight };
        if self.caps != caps {
            self.caps = caps;
            let groups: Vec<_> = self.groups.slots().collect();
            for slot in groups {
                self.touch(slot);
            }
            self.schedule_touched(request.now);
        }
    }

    fn wake_due(&mut self, now: DateTime<Utc>) {
        while let Some(&(_, slot)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.set_turn(slot, Turn::Now);
        }
    }

    fn claim_of_tenant(
        &mut self,
        tenant: Slot<Tenant>,
        quota: usize,
        request: &ClaimRequest,
        claims: &mut Vec<Claim>,
    ) {
        let wanted = claims.len() + quota;
        while claims.len() < wanted {
            let lanes = self.tenants[tenant].ready.len();
            let Some(&(_, group)) = self.tenants[tenant].ready.first() else { return };
            let share = ((wanted - claims.len()) / lanes).max(1);
            let before = claims.len();
            self.claim_of_group(group, share, request, claims);
            self.next_turn(group, claims.len() > before, request.now);
        }
    }

    fn claim_of_group(
        &mut self,
        slot: Slot<Group>,
        share: usize,
        request: &ClaimRequest,
        claims: &mut Vec<Claim>,
    ) {
        let (now, caps) = (request.now, self.caps);
        self.end_leases(slot, now);
        let most = self.groups[slot].budget(caps, now).min(share);
        let waiting = self.groups[slot].live.len() + self.groups[slot].replay.len();
        claims.reserve(most.min(waiting));
        let mut given = 0;
        while given < most
            && let Some(row) = self.groups[slot].pop_due(caps, now)
        {
            claims.extend(self.claim_row(row, request));
            given += 1;
        }
        self.groups[slot].take_tokens(given, now);
    }

    fn claim_row(&mut self, slot: Slot<Row>, request: &ClaimRequest) -> Option<Claim> {
        let token = LeaseToken::new(self.number());
        let lease = Lease::new(token, later(request.now, request.lease));
        self.lease(slot, lease.until);
        let row = &mut self.rows[slot];
        row.token = Some(token);
        row.delivery.attempts += 1;
        row.delivery.updated_at = request.now;
        row.delivery.next_attempt_at = Some(lease.until);
        let group = &self.groups[row.group];
        let claim = Claim::new(
            row.delivery.id,
            row.delivery.origin,
            row.delivery.attempts,
            lease,
            self.events[row.event].event.clone(),
            group.webhook.clone()?,
            self.tenants[row.tenant].defaults.clone(),
        );
        Some(claim.with_brake(group.brake, group.brake_version))
    }

    /// Puts a group that was served behind the others of its tenant.
    fn next_turn(&mut self, slot: Slot<Group>, was_served: bool, now: DateTime<Utc>) {
        self.set_turn(slot, Turn::Never);
        self.groups[slot].served = self.number();
        let turn = match self.groups[slot].next_at(self.caps) {
            None => Turn::Never,
            // Whoever got nothing is not asked again within this claim.
            Some(at) if at <= now && was_served => Turn::Now,
            Some(at) => Turn::At(at),
        };
        self.set_turn(slot, turn);
    }
}

/// The first tenant behind this one; after the last comes the first.
fn behind(
    ready: &BTreeMap<TenantId, Slot<Tenant>>,
    place: Option<&TenantId>,
) -> Option<(TenantId, Slot<Tenant>)> {
    let later =
        place.and_then(|place| ready.range::<TenantId, _>((Bound::Excluded(place), Bound::Unbounded)).next());
    later.or_else(|| ready.first_key_value()).map(|(id, &slot)| (id.clone(), slot))
}
