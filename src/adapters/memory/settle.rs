//! Settle: results and judgements.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::ActivityKind;
use crate::adapters::memory::group::Group;
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Row, State};
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    Attempt, DeliveryStatus, DisableReason, Fate, HealthChange, Settlement, SkipReason,
};
use crate::webhooks::queue::{HealthMoved, Judged, JudgedStep, SettleBatch, Settled};

impl State {
    pub(super) fn settle(&mut self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Settled {
        let mut settled = Settled::default();
        let mut before = Vec::new();
        for settlement in batch.settlements {
            self.settle_one(settlement, now, &mut settled, &mut before);
        }
        for judged in batch.judgements {
            self.judge(judged, now, &mut settled);
        }
        settled.health = before.into_iter().filter_map(|(slot, before)| self.moved(slot, before)).collect();
        self.finish_step(now);
        settled
    }

    fn settle_one(
        &mut self,
        settlement: &Settlement,
        now: DateTime<Utc>,
        settled: &mut Settled,
        health: &mut Vec<(Slot<Group>, WebhookHealth)>,
    ) {
        let Some(slot) = self.row(&settlement.tenant, settlement.delivery) else {
            settled.fenced.push((settlement.delivery, settlement.lease.token));
            return;
        };
        if self.rows[slot].token != Some(settlement.lease.token) {
            if let Some(attempt) = &settlement.attempt {
                let mut attempt = Attempt::clone(attempt);
                attempt.fenced = true;
                self.log_attempt(slot, Arc::new(attempt));
            }
            settled.fenced.push((settlement.delivery, settlement.lease.token));
            return;
        }
        if let Some(attempt) = &settlement.attempt {
            let delivery = &mut self.rows[slot].delivery;
            delivery.last_status = attempt.status;
            delivery.last_error = attempt.error;
            self.log_attempt(slot, Arc::clone(attempt));
        }
        let group_slot = self.rows[slot].group;
        self.apply_fate(slot, settlement.fate, now);
        let present = self.groups[group_slot].webhook.as_ref().map(|webhook| webhook.version);
        if present == Some(settlement.webhook_version) {
            self.apply_to_webhook(group_slot, settlement, now, health);
            if let Some(reason) = settlement.disable
                && self.disable(group_slot, reason, now)
            {
                settled.disabled.push((settlement.tenant.clone(), settlement.webhook));
                self.note_unchained(&settlement.activity);
                return;
            }
        }
        let is_true = settlement.activity.iter().filter(|entry| entry.kind != ActivityKind::WebhookDisabled);
        self.note_unchained(is_true);
    }

    fn apply_to_webhook(
        &mut self,
        slot: Slot<Group>,
        settlement: &Settlement,
        now: DateTime<Utc>,
        health: &mut Vec<(Slot<Group>, WebhookHealth)>,
    ) {
        let group = &mut self.groups[slot];
        if settlement.health != HealthChange::None {
            if !health.iter().any(|&(known, _)| known == slot) {
                health.push((slot, group.health));
            }
            group.health = group.health.after(settlement.health, now);
        }
        group.held_until = group.held_until.max(settlement.pause_until);
        if let Some(change) = settlement.brake.filter(|change| change.seen == group.brake_version) {
            group.brake = change.brake;
            group.brake_version += 1;
        }
    }

    fn apply_fate(&mut self, slot: Slot<Row>, fate: Fate, now: DateTime<Utc>) {
        if let Fate::Release(_) = fate {
            let attempts = &mut self.rows[slot].delivery.attempts;
            *attempts = attempts.saturating_sub(1);
        }
        match (fate, self.refusal(slot)) {
            (Fate::Delivered, _) => self.end(slot, DeliveryStatus::Delivered, now),
            (Fate::DeadLetter(reason), _) => self.end(slot, DeliveryStatus::DeadLetter(reason), now),
            (_, Some(reason)) => {
                if let Some(last) = self.rows[slot].log.last_mut() {
                    Arc::make_mut(last).next_attempt_at = None;
                }
                self.end(slot, DeliveryStatus::Skipped(reason), now);
            }
            (Fate::RetryAt(at) | Fate::Release(at), None) => {
                self.leave(slot);
                self.enter(slot, at);
            }
            (Fate::Stop, None) => self.stop(slot),
        }
        let row = &mut self.rows[slot];
        row.token = None;
        row.delivery.updated_at = now;
    }

    /// Why this delivery cannot wait any longer, if it cannot.
    pub(super) fn refusal(&self, slot: Slot<Row>) -> Option<SkipReason> {
        let row = &self.rows[slot];
        let erased = || (!self.events[row.event].has_payload).then_some(SkipReason::Erased);
        self.groups[row.group].refusal().or_else(erased)
    }

    fn log_attempt(&mut self, slot: Slot<Row>, mut attempt: Arc<Attempt>) {
        let row = &mut self.rows[slot];
        // A worker settles again when it could not know whether the first time was heard.
        if row.log.iter().any(|known| known.id == attempt.id) {
            return;
        }
        if !self.events[row.event].has_payload {
            Arc::make_mut(&mut attempt).forget_contents();
        }
        // Most deliveries have one attempt.
        if row.log.is_empty() {
            row.log.reserve_exact(1);
        }
        row.log.push(attempt);
    }

    fn judge(&mut self, judged: &Judged, now: DateTime<Utc>, settled: &mut Settled) {
        let Some(slot) = self.group_of(&judged.tenant, judged.webhook) else { return };
        let health = &mut self.groups[slot].health;
        let changed = match judged.step {
            JudgedStep::Warned(percent) if health.is_failing() && percent > health.warned_percent => {
                health.warned_percent = percent;
                true
            }
            JudgedStep::Warned(_) => false,
            JudgedStep::Disable(reason) => {
                let disabled = self.disable(slot, reason, now);
                settled.disabled.extend(disabled.then(|| (judged.tenant.clone(), judged.webhook)));
                disabled
            }
        };
        if changed {
            self.note_unchained(&judged.activity);
        }
    }

    /// Disables a webhook unless it is disabled or gone; says whether it did.
    fn disable(&mut self, slot: Slot<Group>, reason: DisableReason, now: DateTime<Utc>) -> bool {
        let group = &mut self.groups[slot];
        let Some(webhook) = group.webhook.as_ref().filter(|webhook| webhook.is_enabled()) else {
            return false;
        };
        let mut webhook = (**webhook).clone();
        webhook.disable(reason, now);
        self.replace_webhook(slot, webhook, now);
        true
    }

    fn moved(&self, slot: Slot<Group>, before: WebhookHealth) -> Option<HealthMoved> {
        let group = &self.groups[slot];
        let is_news = before.is_failing() || group.health.is_failing();
        is_news
            .then(|| HealthMoved::new(self.tenants[group.tenant].id.clone(), group.id, before, group.health))
    }
}
