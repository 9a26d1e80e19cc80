//! The engine's storage.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::activity::{Activity, ActivityKind};
use crossdock::lanes::{Lease, LeaseToken, TokenBucket};
use crossdock::primitives::{DeliveryId, EventId, earlier};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    Advanced, Claim, ClaimRequest, Claimed, DeadReason, Delivery, DeliveryQueue, DeliveryStatus, Examination,
    Expired, FanOut, Fate, HealthChange, HealthMoved, Judged, JudgedStep, Origin, Outbox, Publication,
    Published, ReplayState, Retention, Sequence, SettleBatch, Settled, Settlement, TenantDefaults,
    WebhookState,
};
use crossdock::{ErrorKind, Result};

use super::SimpleStore;
use super::data::{Data, Hook, Name, Row, StoredEvent, Time, error, forget_contents};

#[async_trait::async_trait]
impl DeliveryQueue for SimpleStore {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let mut data = self.data();
        let mut keys = data.keys.clone();
        let mut answers = Vec::new();
        for (index, new) in publications.iter().enumerate() {
            let head = &new.event.head;
            let key = new.idempotency_key.as_ref().map(|key| (head.tenant.clone(), key.clone()));
            let known = key
                .as_ref()
                .and_then(|key| keys.get(key))
                .filter(|known| known.2 > earlier(now, idempotency_keys));
            match known {
                Some((event, digest, _)) if *digest == new.digest => {
                    answers.push(Published::new(*event, false))
                }
                Some(_) => {
                    let field = format!("publications[{index}].idempotency_key");
                    let problem = crossdock::Problem::new(field, "the key was used", "use a new key");
                    return Err(error(ErrorKind::Conflict, "publish events").with_problem(problem));
                }
                None if data.events.contains_key(&head.id) => {
                    return Err(error(ErrorKind::Conflict, "publish events"));
                }
                None => {
                    keys.extend(key.map(|key| (key, (head.id, new.digest, now))));
                    answers.push(Published::new(head.id, true));
                }
            }
        }
        data.keys = keys;
        for (new, _) in publications.into_iter().zip(&answers).filter(|(_, answer)| answer.fresh) {
            let (id, sequence) = (new.event.head.id, data.number());
            data.events.insert(id, StoredEvent { event: new.event, has_payload: true });
            data.outbox.insert(sequence, id);
        }
        Ok(answers)
    }

    async fn outbox(&self, limit: usize, _now: DateTime<Utc>) -> Result<Outbox> {
        let data = self.data();
        let (mut entries, mut webhooks) = (Vec::new(), HashMap::new());
        for (sequence, event) in data.outbox.iter().take(limit) {
            let head = &data.events[event].event.head;
            entries.push((Sequence::new(*sequence), Arc::new(head.clone())));
            let of_tenant = data.hooks.values().filter(|hook| hook.webhook.tenant == head.tenant);
            webhooks.insert(head.tenant.clone(), of_tenant.map(|hook| hook.webhook.clone()).collect());
        }
        Ok(Outbox::new(entries, webhooks))
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        let mut data = self.data();
        let there: Vec<_> = entries
            .into_iter()
            .filter(|(sequence, _)| data.outbox.contains_key(&sequence.number()))
            .collect();
        let mut ids = there.iter().flat_map(|(_, wanted)| wanted.deliveries.iter().map(|new| new.id));
        if ids.any(|id| data.rows.contains_key(&id)) {
            return Err(error(ErrorKind::Conflict, "fan out events"));
        }
        let count = there.len();
        for (sequence, wanted) in there {
            let Some(event) = data.outbox.remove(&sequence.number()) else { continue };
            let head = data.events[&event].event.head.clone();
            let made = |id, webhook| {
                let (tenant, event_type) = (head.tenant.clone(), head.event_type.clone());
                Delivery::new(id, tenant, webhook, head.id, event_type, Origin::Live, now)
            };
            for new in wanted.deliveries {
                let mut row = Row::new(made(new.id, new.webhook), new.order, sequence.number());
                if let Some(reason) = data.refusal(&row.name(), event) {
                    row.rest(DeliveryStatus::Skipped(reason), now);
                }
                data.rows.insert(new.id, row);
            }
            for skip in wanted.skips {
                let mut row = Row::new(made(skip.id, skip.webhook), None, 0);
                row.rest(DeliveryStatus::Skipped(skip.reason), now);
                data.rows.insert(skip.id, row);
            }
        }
        Ok(count)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let mut data = self.data();
        data.skip_erased(&request);
        let (mut claims, mut after) = (Vec::new(), request.after.clone());
        while claims.len() < request.limit
            && let Some(id) = data.next_claimable(after.as_ref(), &request)
        {
            let claim = data.claim(id, &request);
            after = Some(claim.webhook.tenant.clone());
            claims.push(claim);
        }
        let next_due = data.next_due(request.now);
        Ok(Claimed::new(claims, after, next_due, request.now))
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        let mut data = self.data();
        let mut settled = Settled::default();
        let mut before: Vec<(Name, _)> = Vec::new();
        for settlement in batch.settlements {
            let name = (settlement.tenant.clone(), settlement.webhook);
            let counts = |hook: &&Hook| hook.webhook.version == settlement.webhook_version;
            let health = data.hooks.get(&name).filter(counts).map(|hook| hook.health);
            if !data.settle(settlement, now, &mut settled) {
                settled.fenced.push((settlement.delivery, settlement.lease.token));
            } else if settlement.health != HealthChange::None
                && !before.iter().any(|(known, _)| *known == name)
            {
                before.extend(health.map(|health| (name, health)));
            }
        }
        for judged in batch.judgements {
            data.judge(judged, now, &mut settled);
        }
        for ((tenant, webhook), before) in before {
            let after = data.hook(&tenant, webhook).map(|hook| hook.health);
            if let Some(after) = after.filter(|after| before.is_failing() || after.is_failing()) {
                settled.health.push(HealthMoved::new(tenant, webhook, before, after));
            }
        }
        Ok(settled)
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        let mut data = self.data();
        let mut expired = Expired::default();
        expired.skipped = data.skip_refused(now, |row| row.lease.is_some());
        let waiting = data.rows.values_mut().filter(|row| row.waits() && !row.is_leased(now));
        for row in waiting.filter(|row| row.delivery.created_at < before).take(limit) {
            row.rest(DeliveryStatus::DeadLetter(DeadReason::Expired), now);
            expired.deliveries.push((row.delivery.tenant.clone(), row.delivery.webhook, row.delivery.id));
        }
        Ok(expired)
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        let mut data = self.data();
        let mut advanced = Advanced::default();
        let mut ids: Vec<_> = ids.into_iter().rev().filter(|id| !data.rows.contains_key(id)).collect();
        let running = data.replays.values().filter(|replay| replay.state == ReplayState::Running);
        let due = running.filter(|replay| replay.next_at <= now);
        let mut due: Vec<_> = due.map(|replay| (replay.next_at, replay.id)).collect();
        due.sort();
        for (_, id) in due {
            data.advance(id, &mut ids, &mut advanced, now);
        }
        Ok(advanced)
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        let data = &mut *self.data();
        let size = |data: &Data| {
            data.rows.len() + data.events.len() + data.replays.len() + data.keys.len() + data.log.len()
        };
        let before = size(data);
        let (history, payloads) = (earlier(now, retention.history), earlier(now, retention.payloads));
        data.keys.retain(|_, (_, _, at)| *at > earlier(now, retention.idempotency_keys));
        data.forget_log(history);
        data.rows.retain(|_, row| row.waits() || row.delivery.created_at >= history);
        data.replays.retain(|_, replay| replay.state == ReplayState::Running || replay.updated_at >= history);
        let is_old = |event: &StoredEvent, time| event.event.head.published_at < time;
        let (rows, outbox) = (&data.rows, &data.outbox);
        let is_queued = |id: &EventId| outbox.values().any(|queued| queued == id);
        data.events.retain(|id, event| {
            !is_old(event, history) || is_queued(id) || rows.values().any(|row| row.delivery.event == *id)
        });
        let waits =
            |id: &EventId| is_queued(id) || rows.values().any(|row| row.waits() && row.delivery.event == *id);
        let old = data.events.iter().filter(|(_, event)| event.has_payload && is_old(event, payloads));
        let dropped: Vec<_> = old.map(|(id, _)| *id).filter(|id| !waits(id)).collect();
        dropped.iter().for_each(|id| data.drop_payload(*id));
        Ok((before - size(data) + dropped.len()) as u64)
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        let data = self.data();
        let mut found = Examination::default();
        found.outbox = data.outbox.len() as u64;
        found.oldest_in_outbox = data.outbox.values().map(|id| data.events[id].event.head.published_at).min();
        let waiting = || data.rows.values().filter(|row| row.waits());
        let pending = waiting().filter(|row| row.delivery.status == DeliveryStatus::Pending);
        found.oldest_due = pending.map(Row::due_at).filter(|at| *at <= now).min();
        let leases = || waiting().filter_map(|row| row.lease);
        found.live_leases = leases().filter(|lease| lease.is_live(now)).count() as u64;
        let minute_ago = now - TimeDelta::minutes(1);
        let lapsed = leases().filter(|lease| minute_ago < lease.until && lease.until <= now);
        found.expired_leases_per_minute = lapsed.count() as u64;
        Ok(found)
    }
}

impl Data {
    /// Ends what was erased while it was claimed, instead of giving it again.
    fn skip_erased(&mut self, request: &ClaimRequest) {
        let open = self.hooks.iter().filter(|(name, hook)| self.is_open(name, hook, request));
        let open: Vec<_> = open.map(|(name, _)| name.clone()).collect();
        self.skip_refused(request.now, |row| row.lease.is_some() && open.contains(&row.name()));
    }

    /// Round robin over tenants from behind this one, then over webhooks, then by lane, then by due time.
    fn next_claimable(&self, after: Option<&TenantId>, request: &ClaimRequest) -> Option<DeliveryId> {
        let open: Vec<_> =
            self.hooks.iter().filter(|(name, hook)| self.is_open(name, hook, request)).collect();
        let choose = |tenants: (Bound<&TenantId>, Bound<&TenantId>)| {
            let rows = self.rows.values().filter(|row| self.is_claimable(row, request));
            let candidates = rows.filter_map(|row| {
                let (name, hook) = open.iter().find(|(name, _)| **name == row.name())?;
                let is_behind = std::ops::RangeBounds::contains(&tenants, &name.0);
                let repeats_lane = row.is_replay() == hook.replayed_last;
                let place = (&name.0, hook.served, name.1, repeats_lane, row.due_at(), row.sequence);
                is_behind.then_some((place, row.delivery.id))
            });
            candidates.min().map(|(_, id)| id)
        };
        after
            .and_then(|after| choose((Bound::Excluded(after), Bound::Unbounded)))
            .or_else(|| choose((Bound::Unbounded, Bound::Unbounded)))
    }

    /// Whether limits let one more of this webhook go.
    fn is_open(&self, name: &Name, hook: &Hook, request: &ClaimRequest) -> bool {
        let now = request.now;
        let live = self.rows.values().filter(|row| row.name() == *name && row.is_leased(now)).count();
        let cap = hook.webhook.max_in_flight.unwrap_or(request.max_in_flight);
        let cap = hook.brake.limit().map_or(cap, |limit| limit.min(cap));
        let token = hook.webhook.rate_limit.is_none_or(|limit| {
            hook.bucket.unwrap_or(TokenBucket::full(&limit, now)).available(&limit, now) > 0
        });
        let is_asked_for = !request.except.contains(&name.0) && hook.webhook.state == WebhookState::Active;
        is_asked_for && !hook.is_held(now) && live < cap as usize && token
    }

    fn is_claimable(&self, row: &Row, request: &ClaimRequest) -> bool {
        let now = request.now;
        let is_due = row.delivery.status == DeliveryStatus::Pending && row.due_at() <= now;
        if !is_due || !row.waits() {
            return false;
        }
        let mut mine = self.rows.values().filter(|other| other.name() == row.name());
        if row.is_replay() {
            let live = mine.filter(|other| other.is_replay() && other.is_leased(now)).count();
            return live < request.max_replays_in_flight as usize;
        }
        // Of an order, the oldest goes, unless one of them is out.
        row.order.is_none()
            || mine.all(|other| {
                let same_order = other.order == row.order && other.waits();
                !same_order || (row.sequence <= other.sequence && !other.is_leased(now))
            })
    }

    fn claim(&mut self, id: DeliveryId, request: &ClaimRequest) -> Claim {
        let (now, number) = (request.now, self.number());
        let lease = Lease::new(LeaseToken::new(number), now + request.lease);
        let row = self.rows.get_mut(&id).expect("a row that was found claimable");
        row.lease = Some(lease);
        row.delivery.attempts += 1;
        (row.delivery.updated_at, row.delivery.next_attempt_at) = (now, Some(lease.until));
        let hook = self.hooks.get_mut(&row.name()).expect("a claimable row has its webhook");
        (hook.served, hook.replayed_last) = (number, row.is_replay());
        if let Some(limit) = hook.webhook.rate_limit {
            hook.bucket.get_or_insert(TokenBucket::full(&limit, now)).take(&limit, now, 1);
        }
        let tenant = &row.delivery.tenant;
        let unset = || Arc::new(TenantDefaults::new(tenant.clone()));
        let defaults = self.defaults.get(tenant).cloned().unwrap_or_else(unset);
        let event = self.events[&row.delivery.event].event.clone();
        let (origin, attempt) = (row.delivery.origin, row.delivery.attempts);
        Claim::new(id, origin, attempt, lease, event, hook.webhook.clone(), defaults)
            .with_brake(hook.brake, hook.brake_version)
    }

    /// The next time at which anything may change.
    fn next_due(&self, now: Time) -> Option<Time> {
        let rows = self.rows.values().filter(|row| row.waits()).map(Row::due_at);
        let holds = self.hooks.values().flat_map(|hook| {
            let token =
                hook.webhook.rate_limit.zip(hook.bucket).map(|(limit, bucket)| bucket.next_at(&limit, now));
            [hook.held_until, hook.brake.open_until(), token].into_iter().flatten()
        });
        rows.chain(holds).filter(|at| *at > now).min()
    }

    /// Applies one result; says whether its lease was the present one.
    fn settle(&mut self, settlement: &Settlement, now: Time, settled: &mut Settled) -> bool {
        let Some(row) = self.row(&settlement.tenant, settlement.delivery) else { return false };
        let (id, name, event) = (row.delivery.id, row.name(), row.delivery.event);
        let is_present = row.lease.is_some_and(|lease| lease.token == settlement.lease.token);
        let (refusal, has_payload) = (self.refusal(&name, event), self.has_payload(event));
        let Some(row) = self.rows.get_mut(&id) else { return false };
        if let Some(attempt) = &settlement.attempt
            && !row.log.iter().any(|known| known.id == attempt.id)
        {
            let mut attempt = attempt.clone();
            if !has_payload {
                forget_contents(&mut attempt);
            }
            if !is_present {
                Arc::make_mut(&mut attempt).fenced = true;
            }
            row.log.push(attempt);
        }
        if !is_present {
            return false;
        }
        if let Some(attempt) = &settlement.attempt {
            (row.delivery.last_status, row.delivery.last_error) = (attempt.status, attempt.error);
        }
        if let Fate::Release(_) = settlement.fate {
            row.delivery.attempts -= 1;
        }
        match (settlement.fate, refusal) {
            (Fate::Delivered, _) => row.rest(DeliveryStatus::Delivered, now),
            (Fate::DeadLetter(reason), _) => row.rest(DeliveryStatus::DeadLetter(reason), now),
            (_, Some(reason)) => row.rest(DeliveryStatus::Skipped(reason), now),
            (Fate::RetryAt(at) | Fate::Release(at), None) => row.wait_until(at, now),
            (_, None) => row.rest(DeliveryStatus::Stopped, now),
        }
        let present = self.hooks.get(&name).map(|hook| hook.webhook.version);
        let counts = present == Some(settlement.webhook_version);
        if let Some(hook) = self.hooks.get_mut(&name).filter(|_| counts) {
            hook.health = hook.health.after(settlement.health, now);
            hook.held_until = hook.held_until.max(settlement.pause_until);
            if let Some(change) = settlement.brake.filter(|change| change.seen == hook.brake_version) {
                (hook.brake, hook.brake_version) = (change.brake, hook.brake_version + 1);
            }
        }
        let disabled = counts && settlement.disable.is_some_and(|reason| self.disable(&name, reason, now));
        settled.disabled.extend(disabled.then_some(name));
        let is_true = |entry: &&Activity| disabled || entry.kind != ActivityKind::WebhookDisabled;
        self.note_unchained(settlement.activity.iter().filter(is_true));
        true
    }

    fn judge(&mut self, judged: &Judged, now: Time, settled: &mut Settled) {
        let name = (judged.tenant.clone(), judged.webhook);
        let Some(hook) = self.hooks.get_mut(&name) else { return };
        let is_changed = match judged.step {
            JudgedStep::Warned(percent) => {
                let is_news = hook.health.is_failing() && percent > hook.health.warned_percent;
                hook.health.warned_percent = if is_news { percent } else { hook.health.warned_percent };
                is_news
            }
            JudgedStep::Disable(reason) => {
                let disabled = self.disable(&name, reason, now);
                settled.disabled.extend(disabled.then_some(name));
                disabled
            }
            _ => false,
        };
        if is_changed {
            self.note_unchained(&judged.activity);
        }
    }

    fn advance(
        &mut self,
        id: crossdock::primitives::ReplayId,
        ids: &mut Vec<DeliveryId>,
        advanced: &mut Advanced,
        now: Time,
    ) {
        let mut replay = self.replays[&id].clone();
        let name = (replay.tenant.clone(), replay.webhook);
        if !self.is_enabled(&name) {
            return;
        }
        let rest = self.replayed(&name, &replay.filter, replay.position);
        let most = replay.per_second.max(1);
        let share = rest.len().min(most as usize);
        let made = share.min(ids.len());
        for past in &rest[..made] {
            let past = self.rows[past].delivery.clone();
            if let Some(new) = ids.pop() {
                self.send_again(&past, new, Origin::Replay(id), now);
                replay.position = Some(past.id);
            }
        }
        advanced.made += made as u64;
        advanced.wanted += (share - made) as u64;
        replay.made += made as u64;
        // As far as the rate was used: what could not be made for want of ids is due at once.
        if made > 0 {
            replay.next_at = now + TimeDelta::seconds(1) * made as i32 / most as i32;
        }
        if made == rest.len() {
            replay.state = ReplayState::Completed;
            advanced.completed.push((name.0, name.1, id));
        }
        if made > 0 || replay.state == ReplayState::Completed {
            replay.updated_at = now;
        }
        self.replays.insert(id, replay);
    }
}
