//! What a lane's work is here: sign, send, classify, schedule, settle.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind};
use crate::error::{Error, Result};
use crate::lanes::throttle::Outcome;
use crate::lanes::work::{Claims, LaneWork};
use crate::ports::EntropyExt;
use crate::primitives::id::{AttemptId, WebhookId};
use crate::tenancy::model::TenantId;
use crate::webhooks::classify::Verdict;
use crate::webhooks::context::Context;
use crate::webhooks::dispatch::{AttemptName, Sent};
use crate::webhooks::health::Judgement;
use crate::webhooks::model::{Attempt, AttemptError, Claim, DeadReason, DisableReason, Fate, Settlement};
use crate::webhooks::notice::{Notice, NoticeKind};
use crate::webhooks::queue::{HealthMoved, Judged, JudgedStep, SettleBatch};
use crate::webhooks::worker::circuits::Circuits;
use crate::webhooks::worker::outcome::{Consequence, consequence, given_up, is_overdrawn, retry_policy};
use crate::webhooks::worker::spread::spread;
use crate::webhooks::worker::status::StatusBoard;
use crate::webhooks::worker::store_clock::StoreClock;

/// Makes deliveries.
#[derive(Debug)]
pub(super) struct Delivering {
    context: Arc<Context>,
    board: Arc<StatusBoard>,
    time: Arc<StoreClock>,
    circuits: Circuits,
    /// Where the round over tenants goes on.
    after: Mutex<Option<TenantId>>,
    /// Itself, if each delivery is a task of its own.
    spread: Option<Weak<Self>>,
}

impl Delivering {
    pub(super) fn new(context: Arc<Context>, board: Arc<StatusBoard>, time: Arc<StoreClock>) -> Self {
        Self { context, board, time, circuits: Circuits::default(), after: Mutex::new(None), spread: None }
    }

    /// Each delivery becomes a task of its own: on two cores that brought a tenth more deliveries per second, because the loop
    /// that claims and settles no longer does all the sending.
    pub(super) fn spreading(self) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { spread: Some(Weak::clone(this)), ..self })
    }

    fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }

    async fn deliver(&self, claim: Claim) -> Settlement {
        let context = &*self.context;
        let policy = retry_policy(&claim, &context.settings);
        if is_overdrawn(&claim, policy) {
            return self.settlement(&claim, given_up(&claim, DeadReason::Interrupted), None);
        }
        let now = self.now();
        if !claim.lease.is_live(now) {
            // This process stood still for longer than its lease: the delivery is somebody else's by now.
            return self.settlement(&claim, Fate::Release(now), None);
        }
        let name = AttemptName {
            id: AttemptId::mint(now, context.entropy.bytes()),
            delivery: claim.delivery,
            number: claim.attempt,
            started_at: now,
        };
        match context.dispatcher.send(&claim.webhook, &claim.defaults, &claim.event, name).await {
            Ok(sent) => {
                self.board.vault_works();
                self.sent(&claim, sent)
            }
            Err(error) => self.unsendable(&claim, name, &error),
        }
    }

    fn sent(&self, claim: &Claim, sent: Sent) -> Settlement {
        let Sent { mut attempt, verdict } = sent;
        let settings = &self.context.settings;
        let policy = retry_policy(claim, settings);
        let now = self.now();
        let Consequence { fate, health, pause_until, disable } =
            consequence(claim, verdict, policy, now, self.context.entropy.jitter());
        if let Fate::RetryAt(at) = fate {
            attempt.next_attempt_at = Some(at);
        }
        let cap = claim.webhook.max_in_flight.unwrap_or(settings.max_in_flight);

        let mut settlement = self.settlement(claim, fate, Some(attempt));
        settlement.brake = circuit_outcome(verdict)
            .and_then(|outcome| self.circuits.record(claim, outcome, &settings.circuit, cap, now));
        settlement.health = health;
        settlement.pause_until = pause_until;
        settlement.disable = disable;
        if let Some(reason) = disable {
            let webhook = &claim.webhook;
            let kind = ActivityKind::WebhookDisabled;
            let entry = self.context.activity_by_engine(&webhook.tenant, kind, webhook.id, now);
            settlement.activity.push(entry.with_detail("reason", reason.as_str()));
        }
        settlement
    }

    fn unsendable(&self, claim: &Claim, name: AttemptName, error: &Error) -> Settlement {
        if error.is_transient() {
            // Nothing was begun, so the attempt does not count: the vault will be back.
            self.board.vault_failed(error, self.now());
            return self.settlement(claim, Fate::Release(self.now() + VAULT_PAUSE), None);
        }
        let mut attempt = Attempt::new(name.id, name.delivery, name.number, name.started_at);
        attempt.error = Some(AttemptError::Unsendable);
        self.settlement(claim, given_up(claim, DeadReason::Unsendable), Some(attempt))
    }

    fn settlement(&self, claim: &Claim, fate: Fate, attempt: Option<Attempt>) -> Settlement {
        let mut settlement = Settlement::new(claim, fate);
        settlement.attempt = attempt.map(Arc::new);
        let (kind, reason) = match fate {
            Fate::DeadLetter(reason) => (ActivityKind::DeadLettered, Some(reason.as_str())),
            Fate::Stop => (ActivityKind::LaneStopped, None),
            Fate::Delivered | Fate::RetryAt(_) | Fate::Release(_) => return settlement,
        };
        let mut entry =
            self.context.activity_by_engine(&settlement.tenant, kind, settlement.delivery, self.now());
        entry = entry.with_detail("webhook", settlement.webhook.to_string());
        if let Some(reason) = reason {
            entry = entry.with_detail("reason", reason);
        }
        settlement.activity.push(entry);
        settlement
    }

    /// Tells the operator what has come of a result; a webhook is disabled by the first result that says so, and is no longer
    /// among those that were.
    fn tell(&self, settlement: &Settlement, disabled: &mut Vec<(TenantId, WebhookId)>, now: DateTime<Utc>) {
        let tell = |kind| {
            self.context.tell(Notice::new(now, settlement.tenant.clone(), settlement.webhook, kind));
        };
        match settlement.fate {
            Fate::DeadLetter(reason) => tell(NoticeKind::DeadLetter(settlement.delivery, reason)),
            Fate::Stop => tell(NoticeKind::LaneStopped(settlement.delivery)),
            Fate::Delivered | Fate::RetryAt(_) | Fate::Release(_) => {}
        }
        let is_named = |(tenant, webhook): &(TenantId, WebhookId)| {
            *webhook == settlement.webhook && *tenant == settlement.tenant
        };
        if let Some(reason) = settlement.disable
            && let Some(place) = disabled.iter().position(is_named)
        {
            disabled.swap_remove(place);
            tell(NoticeKind::Disabled(reason));
        }
        if let Some(until) = settlement.brake.and_then(|change| change.brake.open_until())
            && until > now
        {
            tell(NoticeKind::CircuitOpened(until));
        }
    }

    /// Warns about webhooks that fail, disables those that have failed for too long, and welcomes back the others: of those, what the
    /// log is told.
    fn judge(&self, moved: &[HealthMoved], now: DateTime<Utc>) -> (Vec<Judged>, Vec<Activity>) {
        let (mut judged, mut welcome) = (Vec::new(), Vec::new());
        for HealthMoved { tenant, webhook, before, after } in moved {
            let judge = |kind, step, name, value: String| {
                let entry = self.context.activity_by_engine(tenant, kind, *webhook, now);
                Judged::new(tenant.clone(), *webhook, step, vec![entry.with_detail(name, value)])
            };
            match self.context.settings.auto_disable.judge(after, now) {
                Judgement::Warn(percent) => judged.push(judge(
                    ActivityKind::WebhookFailing,
                    JudgedStep::Warned(percent),
                    "percent",
                    percent.to_string(),
                )),
                Judgement::Disable => {
                    let reason = DisableReason::TooManyFailures;
                    judged.push(judge(
                        ActivityKind::WebhookDisabled,
                        JudgedStep::Disable(reason),
                        "reason",
                        reason.as_str().to_owned(),
                    ));
                }
                Judgement::Fine if before.warned_percent > 0 && !after.is_failing() => {
                    let notice = Notice::new(now, tenant.clone(), *webhook, NoticeKind::Recovered);
                    self.context.tell(notice);
                    let kind = ActivityKind::WebhookRecovered;
                    welcome.push(self.context.activity_by_engine(tenant, kind, *webhook, now));
                }
                Judgement::Fine => {}
            }
        }
        (judged, welcome)
    }

    async fn pronounce(&self, judged: Vec<Judged>, now: DateTime<Utc>) -> Result<()> {
        let settled = self.context.queue.settle(SettleBatch::judged(&judged), now).await?;
        for Judged { tenant, webhook, step, .. } in judged {
            let name = (tenant, webhook);
            let kind = match step {
                JudgedStep::Warned(percent) => NoticeKind::Failing(percent),
                // Somebody else has disabled or removed it in between, and has told of it.
                JudgedStep::Disable(_) if !settled.disabled.contains(&name) => continue,
                JudgedStep::Disable(reason) => NoticeKind::Disabled(reason),
            };
            self.context.tell(Notice::new(now, name.0, webhook, kind));
        }
        Ok(())
    }
}

impl LaneWork for Delivering {
    type Item = Claim;
    type Ticket = Claim;
    type Outcome = Settlement;
    type Party = TenantId;

    async fn claim(&self, limit: usize, full: Vec<TenantId>) -> Result<Claims<Claim>> {
        let before = self.time.compared().await?;
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = self.time.request(before, limit).with_after(after).except(full);
        let claimed = self.context.queue.claim(request).await?;
        self.board.store_works();
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = claimed.after;
        self.time.correct(before, claimed.now);
        Ok(Claims { items: claimed.claims, next_due: claimed.next_due.map(|due| self.time.by_the_hub(due)) })
    }

    fn ticket(&self, claim: &Claim) -> Claim {
        claim.clone()
    }

    fn party<'t>(&self, ticket: &'t Claim) -> &'t TenantId {
        &ticket.webhook.tenant
    }

    async fn work(&self, claim: Claim) -> Settlement {
        match self.spread.as_ref().and_then(Weak::upgrade) {
            Some(this) => spread(async move { this.deliver(claim).await }).await,
            None => self.deliver(claim).await,
        }
    }

    fn panicked(&self, claim: Claim) -> Settlement {
        self.board.panicked();
        let name = AttemptId::mint(self.now(), self.context.entropy.bytes());
        let mut attempt = Attempt::new(name, claim.delivery, claim.attempt, self.now());
        attempt.error = Some(AttemptError::Unsendable);
        self.sent(&claim, Sent { attempt, verdict: Verdict::Retry(None) })
    }

    fn abandoned(&self, claim: Claim) -> Settlement {
        // The request may have arrived: the attempt counts.
        self.settlement(&claim, Fate::RetryAt(self.now()), None)
    }

    fn unbegun(&self, claim: Claim) -> Settlement {
        self.settlement(&claim, Fate::Release(self.now()), None)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Option<DateTime<Utc>>> {
        let now = self.now();
        let mut settled = self.context.queue.settle(SettleBatch::new(settlements), now).await?;
        self.board.settled(settlements.len(), settled.fenced.len());
        for settlement in settlements {
            if !settled.fenced.contains(&(settlement.delivery, settlement.lease.token)) {
                self.tell(settlement, &mut settled.disabled, now);
            }
        }
        if !settled.health.is_empty() {
            let (judged, welcome) = self.judge(&settled.health, now);
            self.context.log(welcome).await.unwrap_or_else(|error| self.failed(&error));
            if !judged.is_empty() {
                // A crash before this only delays it: the next failure is judged again.
                self.pronounce(judged, now).await.unwrap_or_else(|error| self.failed(&error));
            }
        }
        Ok(settled.next_due.map(|due| self.time.by_the_hub(due)))
    }

    fn failed(&self, error: &Error) {
        self.board.store_failed(error, self.now());
    }
}

/// What a verdict says about the receiver; nothing if it was never asked.
fn circuit_outcome(verdict: Verdict) -> Option<Outcome> {
    match verdict {
        // The receiver is well; it does not want this one.
        Verdict::Delivered | Verdict::Rejected => Some(Outcome::Success),
        Verdict::Retry(_) | Verdict::Gone | Verdict::DisableAsked => Some(Outcome::Failure),
        Verdict::Unmapped => None,
    }
}

/// How long a delivery waits when the vault is away.
const VAULT_PAUSE: Duration = Duration::from_secs(5);
