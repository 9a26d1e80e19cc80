//! One attempt's verdict becomes a settlement.

use chrono::{DateTime, Utc};

use crate::primitives::backoff::Jitter;
use crate::webhooks::classify::Verdict;
use crate::webhooks::model::{
    Claim, DeadReason, DisableReason, Fate, HealthChange, LaneStop, Ordering, Origin,
};
use crate::webhooks::retry::{Next, RetryPolicy};
use crate::webhooks::settings::Settings;

/// What a verdict means for the delivery, the webhook's health and its lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Consequence {
    pub(super) fate: Fate,
    pub(super) health: HealthChange,
    pub(super) pause_until: Option<DateTime<Utc>>,
    pub(super) disable: Option<DisableReason>,
}

/// The policy that holds for this claim: the webhook's, else the tenant's, else the hub's.
pub(super) fn retry_policy<'a>(claim: &'a Claim, settings: &'a Settings) -> &'a RetryPolicy {
    claim.webhook.retry.as_ref().or(claim.defaults.retry.as_ref()).unwrap_or(&settings.retry)
}

/// Whether the attempt may be made at all: one that was begun and lost counts as made.
pub(super) fn is_overdrawn(claim: &Claim, policy: &RetryPolicy) -> bool {
    claim.attempt > policy.schedule().max_attempts()
}

pub(super) fn consequence(
    claim: &Claim,
    verdict: Verdict,
    policy: &RetryPolicy,
    now: DateTime<Utc>,
    jitter: Jitter,
) -> Consequence {
    let (fate, disable) = match policy.next(verdict, claim.attempt, now, jitter) {
        Next::Done => (Fate::Delivered, None),
        Next::RetryAt(at) => (Fate::RetryAt(at), None),
        Next::GiveUp(reason) => (given_up(claim, reason), None),
        Next::Disable(reason) => (Fate::DeadLetter(DeadReason::Gone), Some(reason)),
    };
    let health = match verdict {
        _ if !claim.origin.counts_for_health() => HealthChange::None,
        Verdict::Delivered => HealthChange::Success,
        // The receiver is well and does not want this one, or was never asked.
        Verdict::Rejected | Verdict::Unmapped => HealthChange::None,
        Verdict::Retry(_) | Verdict::Gone | Verdict::DisableAsked => {
            HealthChange::Failure { first: claim.attempt == 1 }
        }
    };
    let pause_until = if let Verdict::Retry(not_before) = verdict { not_before } else { None };
    Consequence { fate, health, pause_until, disable }
}

/// What becomes of a delivery that cannot be made: in an order that stops, it stays as its head.
pub(super) fn given_up(claim: &Claim, reason: DeadReason) -> Fate {
    let stops = matches!(claim.webhook.ordering, Ordering::Ordered { on_exhausted: LaneStop::Stop, .. });
    let wanted_by_receiver = matches!(reason, DeadReason::Rejected | DeadReason::Gone);
    if stops && !wanted_by_receiver && claim.origin == Origin::Live {
        Fate::Stop
    } else {
        Fate::DeadLetter(reason)
    }
}
