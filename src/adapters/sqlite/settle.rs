//! Settle: results and judgements.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::activity::model::{Activity, ActivityKind};
use crate::adapters::sqlite::activity::note_unchained;
use crate::adapters::sqlite::columns::{nanos, signed};
use crate::adapters::sqlite::fault::{Done, Fault, readable};
use crate::adapters::sqlite::lane::{Caps, Lane};
use crate::adapters::sqlite::order::{Place, STOPPED, entrance};
use crate::adapters::sqlite::session::Session;
use crate::adapters::sqlite::webhooks::disable;
use crate::error::{ErrorKind, Result};
use crate::primitives::stored::Stored;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    Attempt, AttemptError, DeliveryStatus, Fate, HealthChange, Settlement, SkipReason,
};
use crate::webhooks::queue::{HealthMoved, Judged, JudgedStep, SettleBatch, Settled};

/// A batch as the writer's thread takes it: what can be turned into text before, is.
pub(super) struct Results {
    settlements: Vec<(Settlement, Option<AttemptText>)>,
    judgements: Vec<Judged>,
}

/// An attempt as it is kept if nothing unusual has happened to it.
struct AttemptText {
    body: String,
    error: Option<String>,
}

impl Results {
    pub(super) fn of(batch: SettleBatch<'_>) -> Result<Self> {
        let texts = |settlement: &Settlement| settlement.attempt.as_deref().map(AttemptText::of).transpose();
        let settlements = batch.settlements.iter();
        Ok(Self {
            settlements: settlements
                .map(|settlement| Ok((settlement.clone(), texts(settlement)?)))
                .collect::<Result<_>>()?,
            judgements: batch.judgements.to_vec(),
        })
    }
}

impl AttemptText {
    fn of(attempt: &Attempt) -> Result<Self> {
        let error = attempt.error.as_ref().map(AttemptError::to_stored).transpose()?;
        Ok(Self { body: attempt.to_stored()?, error })
    }
}

pub(super) fn settle(session: &Session<'_>, results: &Results, now: DateTime<Utc>) -> Done<Settled> {
    let mut step =
        Step { session, now, lanes: BTreeMap::new(), settled: Settled::default(), before: Vec::new() };
    for (settlement, text) in &results.settlements {
        step.settle_one(settlement, text.as_ref())?;
    }
    for judged in &results.judgements {
        step.judge(judged)?;
    }
    step.end()
}

/// One call of `settle` at work.
struct Step<'a, 'c> {
    session: &'a Session<'c>,
    now: DateTime<Utc>,
    /// Lanes that were touched, each to be saved once at the end.
    lanes: BTreeMap<i64, Lane>,
    settled: Settled,
    before: Vec<(i64, WebhookHealth)>,
}

/// A delivery whose result has come.
struct Claimed {
    place: Place,
    attempts: i64,
    /// Whether it is claimed, by whoever brings the result.
    is_present: bool,
    has_payload: bool,
}

impl Step<'_, '_> {
    fn settle_one(&mut self, settlement: &Settlement, text: Option<&AttemptText>) -> Done<()> {
        let (session, now) = (self.session, self.now);
        let id = settlement.delivery.as_uuid();
        let named = params![id.as_bytes(), settlement.tenant.as_str()];
        let token = signed(settlement.lease.token.number());
        let found = session.first(FIND, named, |row| {
            let place = Place { n: row.get(0)?, lane: row.get(1)?, order_key: row.get(4)? };
            let (present, attempts): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            let is_present = present == Some(token);
            Ok(Claimed { place, attempts: attempts.unwrap_or(0), is_present, has_payload: row.get(5)? })
        })?;
        let Some(claimed) = found else {
            self.settled.fenced.push((settlement.delivery, settlement.lease.token));
            return Ok(());
        };
        if !claimed.is_present {
            self.settled.fenced.push((settlement.delivery, settlement.lease.token));
            return self.log(settlement, text, &claimed, Some(|attempt| attempt.fenced = true));
        }
        self.apply_fate(settlement, text, &claimed)?;
        let lane = claimed.place.lane;
        let present = readable(self.lane(lane)?.webhook(session))?.flatten().map(|webhook| webhook.version);
        if present == Some(settlement.webhook_version) {
            self.apply_to_webhook(lane, settlement)?;
            if let Some(reason) = settlement.disable
                && disable(session, self.lane(lane)?, reason, now)?
            {
                self.settled.disabled.push((settlement.tenant.clone(), settlement.webhook));
                return note_unchained(session, &settlement.activity);
            }
        }
        let is_true = |entry: &&Activity| entry.kind != ActivityKind::WebhookDisabled;
        note_unchained(session, settlement.activity.iter().filter(is_true))
    }

    fn apply_fate(
        &mut self,
        settlement: &Settlement,
        text: Option<&AttemptText>,
        claimed: &Claimed,
    ) -> Done<()> {
        let (session, place) = (self.session, claimed.place);
        let refusal = self.lane(place.lane)?.state.refusal();
        let refusal = refusal.or_else(|| (!claimed.has_payload).then_some(SkipReason::Erased));
        let attempts = match settlement.fate {
            Fate::Release(_) => (claimed.attempts - 1).max(0),
            _ => claimed.attempts,
        };
        let end = match (settlement.fate, refusal) {
            (Fate::Delivered, _) => Some(DeliveryStatus::Delivered),
            (Fate::DeadLetter(reason), _) => Some(DeliveryStatus::DeadLetter(reason)),
            (_, Some(reason)) => Some(DeliveryStatus::Skipped(reason)),
            (Fate::RetryAt(_) | Fate::Release(_) | Fate::Stop, None) => None,
        };
        let change: Option<fn(&mut Attempt)> = match end {
            Some(DeliveryStatus::Skipped(_)) => Some(|attempt| attempt.next_attempt_at = None),
            _ => None,
        };
        self.log(settlement, text, claimed, change)?;
        let (status, due, into) = match settlement.fate {
            Fate::RetryAt(at) | Fate::Release(at) => (DeliveryStatus::Pending, at, entrance(place.order_key)),
            _ => (DeliveryStatus::Stopped, self.now, STOPPED),
        };
        let status = end.unwrap_or(status).to_stored()?;
        let now = nanos(self.now);
        match &settlement.attempt {
            None => session.run(STATE, params![place.n, status, attempts, now])?,
            Some(attempt) => {
                let error = text.and_then(|text| text.error.as_deref());
                session.run(RESULT, params![place.n, status, attempts, now, attempt.status, error])?
            }
        };
        if end.is_some() {
            return place.leave(session);
        }
        session.run(AGAIN, params![place.n, into, nanos(due), attempts, now])?;
        place.offer(session)
    }

    fn apply_to_webhook(&mut self, n: i64, settlement: &Settlement) -> Done<()> {
        let now = self.now;
        let lane = self.lane(n)?;
        let health = lane.health;
        lane.health = health.after(settlement.health, now);
        lane.held_until = lane.held_until.max(settlement.pause_until);
        if let Some(change) = settlement.brake.filter(|change| change.seen == lane.brake_version) {
            lane.brake = change.brake;
            lane.brake_version += 1;
        }
        if settlement.health != HealthChange::None && !self.before.iter().any(|&(known, _)| known == n) {
            self.before.push((n, health));
        }
        Ok(())
    }

    /// Writes an attempt into the log, once; a worker settles again when it could not know whether the first time was heard.
    fn log(
        &self,
        settlement: &Settlement,
        text: Option<&AttemptText>,
        claimed: &Claimed,
        change: Option<fn(&mut Attempt)>,
    ) -> Done<()> {
        let (Some(attempt), Some(text)) = (settlement.attempt.as_deref(), text) else { return Ok(()) };
        let id = attempt.id.as_uuid();
        if change.is_none() && claimed.has_payload {
            self.session.run(LOG, params![claimed.place.n, id.as_bytes(), text.body])?;
            return Ok(());
        }
        let mut attempt = attempt.clone();
        if let Some(change) = change {
            change(&mut attempt);
        }
        if !claimed.has_payload {
            attempt.forget_contents();
        }
        self.session.run(LOG, params![claimed.place.n, id.as_bytes(), attempt.to_stored()?])?;
        Ok(())
    }

    fn judge(&mut self, judged: &Judged) -> Done<()> {
        let (session, now) = (self.session, self.now);
        let Some(found) = Lane::find_present(session, &judged.tenant, judged.webhook)? else { return Ok(()) };
        let n = found.n;
        let lane = self.lanes.entry(n).or_insert(found);
        let is_changed = match judged.step {
            JudgedStep::Warned(percent) => {
                let is_news = lane.health.is_failing() && percent > lane.health.warned_percent;
                if is_news {
                    lane.health.warned_percent = percent;
                }
                is_news
            }
            JudgedStep::Disable(reason) => {
                let disabled = disable(session, lane, reason, now)?;
                self.settled.disabled.extend(disabled.then(|| (judged.tenant.clone(), judged.webhook)));
                disabled
            }
        };
        if is_changed { note_unchained(session, &judged.activity) } else { Ok(()) }
    }

    fn end(mut self) -> Done<Settled> {
        let caps = Caps::present(self.session)?;
        for lane in self.lanes.values() {
            lane.save(self.session, caps, self.now)?;
        }
        for (n, before) in std::mem::take(&mut self.before) {
            let lane = self.lane(n)?;
            let after = lane.health;
            if before.is_failing() || after.is_failing() {
                let moved = HealthMoved::new(lane.tenant.clone(), lane.webhook, before, after);
                self.settled.health.push(moved);
            }
        }
        Ok(self.settled)
    }

    fn lane(&mut self, n: i64) -> Done<&mut Lane> {
        if !self.lanes.contains_key(&n) {
            self.lanes.insert(n, Lane::load(self.session, n)?);
        }
        self.lanes.get_mut(&n).ok_or_else(|| Fault::new(ErrorKind::Internal, "settle deliveries"))
    }
}

const FIND: &str = "SELECT d.n, d.lane, w.token, w.attempts, w.order_key, e.has_payload \
    FROM crossdock_delivery d \
    CROSS JOIN crossdock_event e ON e.n = d.event \
    LEFT JOIN crossdock_work w ON w.n = d.n \
    WHERE d.id = ?1 AND d.tenant = ?2";
const STATE: &str = "UPDATE crossdock_delivery SET status = ?2, attempts = ?3, updated_at = ?4 WHERE n = ?1";
const RESULT: &str = "UPDATE crossdock_delivery \
    SET status = ?2, attempts = ?3, updated_at = ?4, last_status = ?5, last_error = ?6 WHERE n = ?1";
const AGAIN: &str = "UPDATE crossdock_work \
    SET place = ?2, due = ?3, token = token + 1, attempts = ?4, updated_at = ?5 WHERE n = ?1";
const LOG: &str = "INSERT OR IGNORE INTO crossdock_attempt (delivery, id, body) VALUES (?1, ?2, ?3)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn a_result_touches_its_own_rows() {
        let statements = [FIND, STATE, RESULT, AGAIN, LOG];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
