//! What must hold after every step, and when all has come to rest.

use crossdock::ports::Clock;
use crossdock::primitives::{EventId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    DeadReason, DeliveryQueue, DeliveryStatus, StoppedHead, WebhookRepository, WebhookState,
};

use super::World;
use crate::simulation::executor::now;
use crate::simulation::rules;

impl World {
    pub(super) fn check(&self) -> Result<(), String> {
        let mut books = self.ledger.books();
        if let Some(violation) = books.violation.take() {
            return Err(violation);
        }
        drop(books);
        // Rule 1, on one event a step: it waits to be fanned out, or its anchor has exactly one live delivery.
        match self.dice.pick(&self.published) {
            Some(&event) => self.is_accounted_for(event, |_| true),
            None => Ok(()),
        }
    }

    fn is_accounted_for(&self, event: EventId, holds: impl Fn(DeliveryStatus) -> bool) -> Result<(), String> {
        let (tenant, anchor) = {
            let books = self.ledger.books();
            let tenant = books.events[&event].tenant.clone();
            let anchor = books.webhooks.iter().find(|(_, hook)| hook.is_anchor && hook.tenant == tenant);
            (tenant, *anchor.expect("every tenant has an anchor").0)
        };
        let live =
            now(rules::live_deliveries(&self.store, &tenant, anchor, event)).expect("the memory store lists");
        match &live[..] {
            [delivery] if holds(delivery.status) => Ok(()),
            [] if self.is_in_outbox(event) => Ok(()),
            _ => Err(format!(
                "every accepted event is delivered, dead-lettered or recorded as skipped: {event} {live:?}"
            )),
        }
    }

    fn is_in_outbox(&self, event: EventId) -> bool {
        let outbox = now(self.store.outbox(usize::MAX, self.clock.now())).expect("the memory store reads");
        outbox.entries.iter().any(|(_, head)| head.id == event)
    }

    /// No more faults: whatever was accepted must now come to its end.
    pub(super) fn calm_down(&mut self) -> Result<(), String> {
        self.ledger.books().calm = true;
        for id in std::mem::take(&mut self.paused) {
            let tenant = self.ledger.books().webhooks[&id].tenant.clone();
            if let Some(webhook) = now(self.store.webhook(&tenant, id)).expect("the memory store reads")
                && webhook.state == WebhookState::Paused
            {
                self.switch(&webhook, WebhookState::Active, None);
            }
        }
        for worker in &mut self.workers {
            worker.stalled_until = None;
        }
        for polls in 0.. {
            let ready: Vec<usize> =
                (0..self.workers.len()).filter(|&index| self.workers[index].process.is_ready()).collect();
            match self.dice.pick(&ready) {
                Some(&index) => self.workers[index].process.poll(),
                None => {
                    if self.is_at_rest() {
                        break;
                    }
                    self.release_stopped();
                    self.advance();
                }
            }
            self.check()?;
            if polls == CALM_POLLS {
                return Err("every accepted event comes to its end: something starves".to_owned());
            }
        }
        for &event in &self.published {
            self.is_accounted_for(event, |status| {
                status.is_final() && status != DeliveryStatus::DeadLetter(DeadReason::Expired)
            })?;
        }
        self.delivered_was_taken()
    }

    fn delivered_was_taken(&self) -> Result<(), String> {
        let mut tenants = self.tenants.iter();
        tenants.try_for_each(|tenant| now(rules::delivered_was_taken(&self.store, &self.ledger, tenant)))
    }

    fn is_at_rest(&self) -> bool {
        let present = self.clock.now();
        let outbox = now(self.store.outbox(1, present)).expect("the memory store reads");
        outbox.entries.is_empty()
            && self.tenants.iter().all(|tenant| {
                let backlog =
                    now(self.store.backlog(tenant, None, present)).expect("the memory store counts");
                backlog.undelivered == 0
            })
    }

    fn release_stopped(&self) {
        let hooks: Vec<(WebhookId, TenantId)> = {
            let books = self.ledger.books();
            books.webhooks.iter().map(|(id, hook)| (*id, hook.tenant.clone())).collect()
        };
        for (id, tenant) in hooks {
            let released =
                self.store.release_stopped(&tenant, id, StoppedHead::Skip, Vec::new(), self.clock.now());
            // A webhook that was deleted has nothing to release.
            let _ = now(released);
        }
    }
}

/// More polls than any world has ever needed to come to rest.
const CALM_POLLS: u32 = 60_000;
