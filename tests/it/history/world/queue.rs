//! What the engine does: fan-out, claims, results.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::lanes::Brake;
use crossdock::ports::EntropyExt;
use crossdock::primitives::{AttemptId, WebhookId};
use crossdock::webhooks::fan_out::fan_out;
use crossdock::webhooks::{
    Attempt, AttemptError, BrakeChange, Claim, ClaimRequest, Claimed, DeadReason, DisableReason,
    Distribution, FanOut, Fate, HealthChange, Origin, SettleBatch, Settlement, Version,
};

use super::view::well;
use super::{LEASE, MANY, World, rounded_up};
use crate::history::steps::{Extras, FateKind};

impl World {
    pub(super) async fn fan_out(&mut self, limit: usize) {
        let mut counts = Vec::new();
        let now = self.now;
        let wanted = self.look(limit).await;
        for (kept, entries) in self.kept.iter().zip(wanted) {
            let entries = entries.into_iter().map(Distribution::without_event).collect();
            counts.push(kept.stores.queue.fan_out(entries, now).await.expect("an answer"));
        }
        self.agree("fanned out", &counts);
    }

    /// What is leased at once is what a claim of the same time would give.
    pub(super) async fn distribute(&mut self, limit: usize) {
        let request = ClaimRequest::new(self.now, LEASE, MANY);
        let wanted = self.look(limit).await;
        let (mut counts, mut given) = (Vec::new(), Vec::new());
        for (kept, entries) in self.kept.iter().zip(wanted) {
            let queue = &kept.stores.queue;
            let made: BTreeSet<_> =
                entries.iter().flat_map(|entry| &entry.fan_out.deliveries).map(|new| new.id).collect();
            let distributed = queue.distribute(entries, request.clone()).await.expect("an answer");
            counts.push(distributed.taken);
            let mut claimed = queue.claim(request.clone()).await.expect("an answer");
            if distributed.next_due.is_some_and(|next| next > self.now)
                && let Some(claim) = claimed.claims.iter().find(|claim| made.contains(&claim.delivery))
            {
                self.broken = Err(format!("{} said that {} is not due yet", kept.name, claim.delivery));
            }
            claimed.claims.extend(distributed.claims);
            given.push(claimed);
        }
        self.agree("fanned out", &counts);
        self.given(given, &[]);
    }

    /// What stands in the outboxes, and what is to become of it.
    async fn look(&mut self, limit: usize) -> Vec<Vec<Distribution>> {
        let mut entries: Vec<Vec<_>> = Vec::new();
        let mut wanted: Vec<FanOut> = Vec::new();
        for kept in &self.kept {
            let outbox = kept.stores.queue.outbox(limit, self.now).await.expect("an outbox");
            if entries.is_empty() {
                wanted = outbox
                    .entries
                    .iter()
                    .map(|(_, head)| fan_out(head, &outbox.webhooks[&head.tenant], || self.delivery_id()))
                    .collect();
                self.fanned_out.extend(outbox.entries.iter().map(|(_, head)| head.id));
            }
            let found = outbox.entries.into_iter().zip(&wanted);
            let entry = found.map(|((place, head), wanted)| Distribution::new(place, head, wanted.clone()));
            entries.push(entry.collect());
        }
        for wanted in &wanted {
            self.made.extend(wanted.deliveries.iter().map(|new| new.id));
            self.made.extend(wanted.skips.iter().map(|skip| skip.id));
        }
        entries
    }

    /// Claims all there is, so that no choice is left to the stores.
    pub(super) async fn claim_all(&mut self, promised: &[Option<DateTime<Utc>>]) {
        self.claim(ClaimRequest::new(self.now, LEASE, MANY), promised).await;
    }

    /// Claims all there is of the others; what is promised then says nothing about this tenant.
    pub(super) async fn claim_except(&mut self, tenant: usize) {
        let except = self.tenants[tenant].clone();
        let before = self.claims.len();
        self.claim(ClaimRequest::new(self.now, LEASE, MANY).except([except.clone()]), &[]).await;
        self.promised = Vec::new();
        if self.claims[before..].iter().flatten().any(|claim| claim.webhook.tenant == except) {
            self.broken = Err(format!("{except:?} was given something, which was not asked for"));
        }
    }

    async fn claim(&mut self, request: ClaimRequest, promised: &[Option<DateTime<Utc>>]) {
        let mut given: Vec<Claimed> = Vec::new();
        for kept in &self.kept {
            given.push(kept.stores.queue.claim(request.clone()).await.expect("an answer"));
        }
        self.given(given, promised);
    }

    fn given(&mut self, mut given: Vec<Claimed>, promised: &[Option<DateTime<Utc>>]) {
        for claimed in &mut given {
            claimed.claims.sort_by_key(|claim| claim.delivery);
        }
        let look = |claimed: &Claimed| -> Vec<_> {
            let look = |claim: &Claim| {
                let shown = (claim.delivery, claim.attempt, claim.origin, claim.lease.until, claim.brake);
                (shown, claim.event.clone(), claim.webhook.version)
            };
            claimed.claims.iter().map(look).collect()
        };
        let shown: Vec<_> = given.iter().map(look).collect();
        self.agree("claimed", &shown);
        for (kept, (claimed, promised)) in self.kept.iter().zip(given.iter().zip(promised)) {
            if promised.is_some_and(|promised| self.now < promised) && !claimed.claims.is_empty() {
                let name = kept.name;
                self.broken = Err(format!("{name}: something was due before {promised:?}, the next time"));
            }
        }
        for (kept, claimed) in self.kept.iter().zip(&given) {
            if claimed.next_due.is_some_and(|next| next <= self.now) {
                let (name, next) = (kept.name, claimed.next_due);
                self.broken = Err(format!("{name}: {next:?} is not later than {}", self.now));
            }
        }
        self.promised = given.iter().map(|claimed| claimed.next_due).collect();
        let begin = self.claims.len();
        let count = given.iter().map(|claimed| claimed.claims.len()).min().unwrap_or(0);
        let mut claims: Vec<_> = given.into_iter().map(|claimed| claimed.claims.into_iter()).collect();
        for _ in 0..count {
            self.claims.push(claims.iter_mut().filter_map(Iterator::next).collect());
        }
        self.limits_hold(begin);
    }

    /// What the exact store says is the next time.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        let exact = self.kept.iter().zip(&self.promised).find(|(kept, _)| kept.is_exact);
        exact.and_then(|(_, next)| *next)
    }

    pub(super) async fn pass_until_due(&mut self) {
        self.claim_all(&[]).await;
        let Some(next) = self.next() else { return };
        let promised = std::mem::take(&mut self.promised);
        let before = self.claims.len();
        self.now = rounded_up(next);
        self.claim_all(&promised).await;
        // The lease of something that was erased meanwhile ends without anything to claim.
        if self.claims.len() == before && !self.erased {
            self.broken = Err(format!("nothing was due at {next}, which was told as the next time"));
        }
    }

    pub(super) async fn settle(&mut self, claim: usize, fate: FateKind, extras: &Extras) {
        let Some(twins) = self.claims.get(claim % self.claims.len().max(1)).cloned() else { return };
        let first = twins[0].clone();
        let later = |milliseconds: u32| self.now + TimeDelta::milliseconds(milliseconds.into());
        let fate = match fate {
            FateKind::Delivered => Fate::Delivered,
            FateKind::Retry(wait) => Fate::RetryAt(later(wait)),
            FateKind::DeadLetter => Fate::DeadLetter(DeadReason::Exhausted),
            FateKind::Stop => Fate::Stop,
            FateKind::Release(wait) => Fate::Release(later(wait)),
        };
        let mut attempt = Attempt::new(
            AttemptId::mint(self.now, self.dice.bytes()),
            first.delivery,
            first.attempt,
            self.now,
        );
        attempt.error = (fate != Fate::Delivered).then_some(AttemptError::Status(500));
        let health = match (fate, first.origin) {
            (Fate::Delivered, Origin::Live) => HealthChange::Success,
            (Fate::RetryAt(_) | Fate::DeadLetter(_), Origin::Live) => {
                HealthChange::Failure { first: first.attempt == 1 }
            }
            _ => HealthChange::None,
        };
        let result = |claim: &Claim| {
            let mut result = Settlement::new(claim, fate).with_attempt(attempt.clone());
            result.health = health;
            result.pause_until = extras.pause.map(later);
            result.brake = extras.brake.map(|open| {
                let brake = Brake::from_parts(Some(later(open)), Some(1), 1, None);
                BrakeChange::new(claim.brake_version, brake)
            });
            result.disable = extras.disables.then_some(DisableReason::Gone);
            [result]
        };
        let mut answers = Vec::new();
        for (kept, claim) in self.kept.iter().zip(&twins) {
            let results = result(claim);
            let settled = kept.stores.queue.settle(SettleBatch::new(&results), self.now).await;
            let settled = settled.expect("an answer");
            let health = settled.health.into_iter();
            let health = health.map(|moved| (moved.webhook, well(moved.before), well(moved.after)));
            answers.push((settled.fenced.len(), health.collect::<Vec<_>>()));
        }
        if answers[0].0 == 0 {
            self.live.remove(&first.delivery);
        }
        self.agree("settled", &answers);
    }

    /// At most one live lease per delivery, no more per webhook than it allows, of an order at most one.
    fn limits_hold(&mut self, given: usize) {
        let now = self.now;
        self.live.retain(|_, claim| claim.lease.is_live(now));
        for claim in self.claims[given..].iter().map(|twins| &twins[0]) {
            if let Some(other) = self.live.insert(claim.delivery, claim.clone()) {
                self.broken = Err(format!("two live leases: {other:?} and {claim:?}"));
            }
        }
        let mut in_flight: BTreeMap<WebhookId, Vec<&Claim>> = BTreeMap::new();
        self.live.values().for_each(|claim| in_flight.entry(claim.webhook.id).or_default().push(claim));
        for claims in in_flight.values() {
            let cap = claims[0].webhook.max_in_flight.unwrap_or(8) as usize;
            let replays = claims.iter().filter(|claim| claim.origin != Origin::Live).count();
            if claims.len() > cap || replays > 1 {
                self.broken =
                    Err(format!("{} in flight, {replays} of them replays: {claims:?}", claims.len()));
            }
            // A change of ordering holds for later deliveries: only webhooks that were never changed are judged.
            let unchanged = claims
                .iter()
                .filter(|claim| claim.origin == Origin::Live && claim.webhook.version == Version::FIRST);
            let orders: Vec<_> = unchanged
                .filter_map(|claim| claim.webhook.order_key(claim.event.ordering_key.as_deref()))
                .collect();
            if orders.iter().collect::<BTreeSet<_>>().len() < orders.len() {
                self.broken = Err(format!("two of one order in flight: {claims:?}"));
            }
        }
    }
}
