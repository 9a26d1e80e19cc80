//! What the facts about a webhook mean: pure, so that each cause can be shown alone.

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::TransportErrorKind;
use crate::primitives::egress::UrlRefusal;
use crate::webhooks::fan_out::Hearing;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    AttemptError, DeadReason, Delivery, DeliveryRecord, DeliveryStatus, DisableReason, Origin, Webhook,
    WebhookState,
};

/// One thing that stands in the way, and what to do about it.
///
/// ```
/// use crossdock::webhooks::{Cause, Diagnosis};
///
/// /// What a page shows under "Why does nothing arrive?".
/// fn advice(diagnosis: &Diagnosis) -> Vec<String> {
///     let findings = diagnosis.findings.iter();
///     findings.map(|finding| format!("{}: {}", finding.cause.as_str(), finding.what_to_do)).collect()
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// What stands in the way.
    pub cause: Cause,
    /// What to do about it.
    pub what_to_do: &'static str,
}

/// What stands in the way of deliveries.
///
/// ```
/// use crossdock::webhooks::Cause;
///
/// assert_eq!(Cause::Refused(401).as_str(), "refused");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The webhook is disabled.
    Disabled(DisableReason),
    /// The webhook is paused.
    Paused,
    /// The egress policy refuses the URL now.
    UrlRefused(UrlRefusal),
    /// The webhook does not hear of the event that was asked about.
    NotHeard(Hearing),
    /// Nothing that the webhook hears of was ever published.
    NothingPublished,
    /// The event that was asked about was skipped, or given up.
    Ended(DeliveryStatus),
    /// The receiver refuses the request, and the tenant's default login was not sent to it: its host is none of those that the
    /// login may be sent to.
    LoginWithheld,
    /// The receiver refuses the signature or the login.
    Refused(u16),
    /// The receiver answers, but not that it took the delivery.
    ReceiverFails(u16),
    /// No answer comes.
    NoAnswer(TransportErrorKind),
    /// The request cannot be made: a stored secret does not open.
    Unsendable,
    /// The webhook's mapping refuses events.
    Unmapped,
    /// An order stands still behind a delivery that cannot be made.
    OrderStopped,
    /// Everything waits until then: the receiver has asked for it, or it fails so often that it is left alone.
    HeldBack(DateTime<Utc>),
    /// Something has been due since then, and no worker has come.
    NoWorker(DateTime<Utc>),
}

impl Cause {
    /// The word that logs and pages use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Disabled(_) => "disabled",
            Self::Paused => "paused",
            Self::UrlRefused(_) => "url_refused",
            Self::NotHeard(_) => "not_heard",
            Self::NothingPublished => "nothing_published",
            Self::Ended(_) => "ended",
            Self::LoginWithheld => "login_withheld",
            Self::Refused(_) => "refused",
            Self::ReceiverFails(_) => "receiver_fails",
            Self::NoAnswer(_) => "no_answer",
            Self::Unsendable => "unsendable",
            Self::Unmapped => "unmapped",
            Self::OrderStopped => "order_stopped",
            Self::HeldBack(_) => "held_back",
            Self::NoWorker(_) => "no_worker",
        }
    }
}

/// What was found out, before anybody judges it.
pub(super) struct Facts {
    pub(super) now: DateTime<Utc>,
    pub(super) url: Option<UrlRefusal>,
    /// Whether the tenant has a default login that this webhook has no part in, because of its host.
    pub(super) login_withheld: bool,
    pub(super) health: WebhookHealth,
    pub(super) held_until: Option<DateTime<Utc>>,
    pub(super) heard: Option<Hearing>,
    /// If an event was asked about: when it was published, and its newest delivery.
    pub(super) asked: Option<(DateTime<Utc>, Option<Delivery>)>,
    /// With their attempts.
    pub(super) newest: Vec<DeliveryRecord>,
    pub(super) waiting: Vec<Delivery>,
    pub(super) stopped: bool,
}

/// The judgement: pure, so that each cause can be shown alone.
pub(super) fn findings(webhook: &Webhook, facts: &Facts) -> Vec<Finding> {
    let mut causes = Vec::new();
    match webhook.state {
        WebhookState::Disabled { reason, .. } => causes.push(Cause::Disabled(reason)),
        WebhookState::Paused => causes.push(Cause::Paused),
        WebhookState::Active => {}
    }
    causes.extend(facts.url.map(Cause::UrlRefused));
    // That a disabled webhook hears nothing is said already.
    let deaf = facts.heard.filter(|heard| !matches!(heard, Hearing::Hears | Hearing::Disabled));
    causes.extend(deaf.map(Cause::NotHeard));
    let receiver = receiver(facts);
    if facts.login_withheld && matches!(receiver, Some(Cause::Refused(_))) {
        causes.push(Cause::LoginWithheld);
    }
    causes.extend(receiver);
    if let Some((_, Some(delivery))) = &facts.asked
        && delivery.status.is_final()
        && delivery.status != DeliveryStatus::Delivered
    {
        causes.push(Cause::Ended(delivery.status));
    }
    if facts.stopped {
        causes.push(Cause::OrderStopped);
    }
    let held_until = facts.held_until.filter(|&until| facts.now < until);
    causes.extend(held_until.map(Cause::HeldBack));
    let tested_only = facts.newest.iter().all(|record| record.delivery.origin == Origin::Test);
    if tested_only && facts.asked.is_none() && deaf.is_none() {
        causes.push(Cause::NothingPublished);
    }
    if webhook.state == WebhookState::Active && held_until.is_none() {
        causes.extend(overdue(facts, deaf).map(Cause::NoWorker));
    }
    causes.into_iter().map(|cause| Finding { what_to_do: what_to_do(cause), cause }).collect()
}

/// What the newest result says about the receiver.
fn receiver(facts: &Facts) -> Option<Cause> {
    let asked = facts.asked.as_ref().and_then(|(_, delivery)| delivery.as_ref());
    // Of the event that was asked about, if it was tried; else of whatever was tried last.
    let tried = asked.filter(|delivery| delivery.attempts > 0).or_else(|| {
        let tried = facts.newest.iter().filter(|record| record.delivery.attempts > 0);
        tried.max_by_key(|record| tried_at(record)).map(|record| &record.delivery)
    })?;
    if tried.status == DeliveryStatus::DeadLetter(DeadReason::Unsendable) {
        return Some(Cause::Unsendable);
    }
    match tried.last_error? {
        AttemptError::Status(status @ (401 | 403)) => Some(Cause::Refused(status)),
        AttemptError::Status(status) => Some(Cause::ReceiverFails(status)),
        AttemptError::Transport(kind) => Some(Cause::NoAnswer(kind)),
        AttemptError::Unsendable => Some(Cause::Unsendable),
        AttemptError::Unmapped => Some(Cause::Unmapped),
    }
}

/// When a delivery was last tried. A person may have ended it later: that says nothing about the receiver.
fn tried_at(record: &DeliveryRecord) -> DateTime<Utc> {
    record.attempts.last().map_or(record.delivery.updated_at, |attempt| attempt.started_at)
}

/// Since when something has been due that a worker would long have taken.
fn overdue(facts: &Facts, deaf: Option<Hearing>) -> Option<DateTime<Utc>> {
    let not_fanned_out = match &facts.asked {
        Some((published_at, None)) if deaf.is_none() => Some(*published_at),
        _ => None,
    };
    let due = facts.waiting.iter().filter_map(|delivery| delivery.next_attempt_at);
    due.chain(not_fanned_out).min().filter(|&at| at + PATIENCE < facts.now)
}

fn what_to_do(cause: Cause) -> &'static str {
    match cause {
        Cause::Disabled(DisableReason::ByPerson) => "enable the webhook, and replay what was skipped",
        Cause::Disabled(DisableReason::Gone) => {
            "the receiver has answered 410 Gone: correct the URL, enable the webhook, and replay what was skipped"
        }
        Cause::Disabled(DisableReason::Asked) => {
            "the receiver has asked for it: talk to whoever runs it, then enable the webhook"
        }
        Cause::Disabled(DisableReason::TooManyFailures) => {
            "mend the receiver, send a test, enable the webhook, and replay what was skipped"
        }
        Cause::Paused => "resume the webhook: what has waited is then delivered",
        Cause::UrlRefused(_) => {
            "change the URL to one that the operator's rules permit, or ask for an exception"
        }
        Cause::NotHeard(Hearing::NotSubscribed) => "add the event type to the webhook's events",
        Cause::NotHeard(Hearing::OtherOwner) => {
            "publish the event for the webhook's owner, or bind the webhook to none"
        }
        Cause::NotHeard(Hearing::OtherChannel) => {
            "publish the event in one of the webhook's channels, or clear them"
        }
        Cause::NotHeard(Hearing::NotEntitled) => {
            "the contract lacks the module that this event type needs; once it has it, save the webhook again"
        }
        Cause::NotHeard(Hearing::Hears | Hearing::Disabled) => "nothing",
        Cause::NothingPublished => "wait for the first event, or send a test",
        Cause::Ended(DeliveryStatus::Skipped(_)) => "replay or resend it once the webhook is active",
        Cause::Ended(_) => "resend it once the receiver is well",
        Cause::LoginWithheld => {
            "give the webhook a login of its own, or give the default login again, with this host"
        }
        Cause::Refused(_) => {
            "compare the signing secret and the login with the receiver's, rotate or update them, and send a test"
        }
        Cause::ReceiverFails(300..=399) => "redirects are not followed: set the final URL",
        Cause::ReceiverFails(404 | 405) => "correct the URL's path, or let the receiver take POST there",
        Cause::ReceiverFails(429) => "lower the webhook's rate limit to what the receiver takes",
        Cause::ReceiverFails(400..=499) => {
            "look at the receiver's answer in the attempt: it refuses the request"
        }
        Cause::ReceiverFails(_) => "look at the receiver's own log: it fails while it takes the request",
        Cause::NoAnswer(TransportErrorKind::Dns) => "check the host name and its DNS records",
        Cause::NoAnswer(TransportErrorKind::Tls) => "renew the receiver's certificate, with its whole chain",
        Cause::NoAnswer(TransportErrorKind::TimedOut) => {
            "let the receiver answer first and work afterwards, or raise the timeout"
        }
        Cause::NoAnswer(TransportErrorKind::Unconfigured) => {
            "the operator has to give the hub a transport, and the payload format or the tables that the webhook names"
        }
        Cause::NoAnswer(TransportErrorKind::Internal) => "the operator has to look at the transport",
        Cause::NoAnswer(TransportErrorKind::Protocol) => "check that the port speaks HTTP/1.1",
        Cause::NoAnswer(TransportErrorKind::Unreachable | TransportErrorKind::Broken) => {
            "check that the receiver runs and can be reached from the internet, and the webhook's own destinations"
        }
        Cause::Unsendable => "rotate the secret and give the login again: what is stored cannot be opened",
        Cause::Unmapped => {
            "mend the webhook's mapping at the field that the attempt names, send a test, and resend what was given up"
        }
        Cause::OrderStopped => "release the stopped order: retry its head, or skip it",
        Cause::HeldBack(_) => {
            "wait until then, or save the webhook's URL or login once the receiver is mended"
        }
        Cause::NoWorker(_) => "the operator has to see that a worker runs on this store",
    }
}

/// A worker looks for work at least once a second; after a minute nobody is coming.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::egress::EgressPolicy;
    use crate::primitives::id::{DeliveryId, EventId, WebhookId};
    use crate::webhooks::model::SkipReason;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn webhook() -> Webhook {
        let url = EgressPolicy::default().parse("https://erp.example.com/").expect("a URL");
        Webhook::new(WebhookId::mint(NOW, [1; 10]), "t".parse().expect("a tenant"), url, Vec::new(), NOW)
    }

    fn delivery(status: DeliveryStatus, error: Option<AttemptError>) -> Delivery {
        let webhook = webhook();
        let event_type = "order.placed".parse().expect("a type");
        let (id, event) = (DeliveryId::mint(NOW, [2; 10]), EventId::mint(NOW, [3; 10]));
        let mut delivery =
            Delivery::new(id, webhook.tenant, webhook.id, event, event_type, Origin::Live, NOW);
        delivery.status = status;
        delivery.last_error = error;
        delivery.attempts = 1;
        delivery
    }

    fn facts(newest: Vec<Delivery>) -> Facts {
        let health = WebhookHealth::default();
        let waiting: Vec<_> =
            newest.iter().filter(|one| one.status == DeliveryStatus::Pending).cloned().collect();
        let newest = newest.into_iter().map(DeliveryRecord::new).collect();
        Facts {
            now: NOW,
            url: None,
            login_withheld: false,
            health,
            held_until: None,
            heard: None,
            asked: None,
            newest,
            waiting,
            stopped: false,
        }
    }

    fn causes(webhook: &Webhook, facts: &Facts) -> Vec<Cause> {
        findings(webhook, facts).into_iter().map(|finding| finding.cause).collect()
    }

    #[test]
    fn a_healthy_webhook_has_no_findings() {
        assert_eq!(causes(&webhook(), &facts(vec![delivery(DeliveryStatus::Delivered, None)])), []);
    }

    #[test]
    fn the_last_result_tells_what_the_receiver_lacks() {
        for (error, cause) in [
            (AttemptError::Status(401), Cause::Refused(401)),
            (AttemptError::Status(403), Cause::Refused(403)),
            (AttemptError::Status(301), Cause::ReceiverFails(301)),
            (AttemptError::Status(503), Cause::ReceiverFails(503)),
            (AttemptError::Transport(TransportErrorKind::Dns), Cause::NoAnswer(TransportErrorKind::Dns)),
            (AttemptError::Transport(TransportErrorKind::Tls), Cause::NoAnswer(TransportErrorKind::Tls)),
            (AttemptError::Unsendable, Cause::Unsendable),
            (AttemptError::Unmapped, Cause::Unmapped),
        ] {
            let facts = facts(vec![delivery(DeliveryStatus::Pending, Some(error))]);
            assert_eq!(causes(&webhook(), &facts), [cause]);
        }
    }

    #[test]
    fn what_is_due_for_a_minute_lacks_a_worker() {
        let mut facts = facts(vec![delivery(DeliveryStatus::Pending, None)]);
        facts.now = NOW + PATIENCE;
        assert_eq!(causes(&webhook(), &facts), []);

        facts.now += TimeDelta::seconds(1);
        assert_eq!(causes(&webhook(), &facts), [Cause::NoWorker(NOW)]);

        facts.held_until = Some(facts.now + TimeDelta::seconds(1));
        assert_eq!(causes(&webhook(), &facts), [Cause::HeldBack(NOW + TimeDelta::seconds(62))]);
    }

    #[test]
    fn a_question_about_an_event_is_answered_by_its_delivery() {
        let skipped = delivery(DeliveryStatus::Skipped(SkipReason::WebhookDisabled), None);
        let mut facts = facts(vec![skipped.clone()]);
        facts.heard = Some(Hearing::Hears);
        facts.asked = Some((NOW, Some(skipped.clone())));
        assert_eq!(causes(&webhook(), &facts), [Cause::Ended(skipped.status)]);

        facts.heard = Some(Hearing::NotSubscribed);
        facts.asked = Some((NOW, None));
        facts.now += TimeDelta::hours(1);
        assert_eq!(causes(&webhook(), &facts), [Cause::NotHeard(Hearing::NotSubscribed)]);

        facts.heard = Some(Hearing::Hears);
        assert_eq!(causes(&webhook(), &facts), [Cause::NoWorker(NOW)]);
    }

    #[test]
    fn several_causes_are_told_together() {
        let mut webhook = webhook();
        webhook.state = WebhookState::Disabled { reason: DisableReason::TooManyFailures, at: NOW };
        let failed = delivery(DeliveryStatus::Stopped, Some(AttemptError::Status(500)));
        let mut facts = facts(vec![failed]);
        facts.url = Some(UrlRefusal::Scheme);
        facts.stopped = true;

        assert_eq!(
            causes(&webhook, &facts),
            [
                Cause::Disabled(DisableReason::TooManyFailures),
                Cause::UrlRefused(UrlRefusal::Scheme),
                Cause::ReceiverFails(500),
                Cause::OrderStopped,
            ]
        );
    }

    #[test]
    fn tests_are_not_published_events() {
        let mut tested = delivery(DeliveryStatus::Delivered, None);
        tested.origin = Origin::Test;

        assert_eq!(causes(&webhook(), &facts(vec![tested])), [Cause::NothingPublished]);
    }
}
