//! Is a webhook's receiver well, and when is it given up?

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::webhooks::model::HealthChange;

/// How a webhook's receiver has done, as the store keeps it. Only deliveries of published events count; tests, resends and
/// replays do not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WebhookHealth {
    /// When it last took a delivery; noted by stores up to a second early, since most webhooks take one after the other.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When it last failed to.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// When it first failed after its last success.
    pub failing_since: Option<DateTime<Utc>>,
    /// How many different deliveries have failed since its last success.
    pub failed_deliveries: u32,
    /// The last warning that was given since then, in per cent of the way to being disabled.
    pub warned_percent: u8,
}

/// When a failing webhook is disabled: no success for `without_success`, and at least `min_failed` failed deliveries over at
/// least `min_span`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AutoDisable {
    /// 5 days by default.
    pub without_success: Duration,
    /// 20 by default.
    pub min_failed: u32,
    /// 24 hours by default.
    pub min_span: Duration,
}

/// What is to be done about a webhook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Judgement {
    /// Nothing.
    Fine,
    /// Its administrators and the operator are told how far it is on its way to being disabled: 50, 70 or 90 %.
    Warn(u8),
    /// It is disabled.
    Disable,
}

impl WebhookHealth {
    /// The health after one more result at this time.
    #[must_use]
    pub fn after(self, change: HealthChange, now: DateTime<Utc>) -> Self {
        match change {
            HealthChange::None => self,
            HealthChange::Success => Self {
                last_success_at: Some(now),
                last_failure_at: self.last_failure_at,
                failing_since: None,
                failed_deliveries: 0,
                warned_percent: 0,
            },
            HealthChange::Failure { first } => Self {
                last_failure_at: Some(now),
                failing_since: self.failing_since.or(Some(now)),
                failed_deliveries: self.failed_deliveries.saturating_add(u32::from(first)),
                ..self
            },
        }
    }

    /// The health of a receiver that was mended, or replaced: its failures no longer count.
    #[must_use]
    pub fn forgiven(self) -> Self {
        Self { failing_since: None, failed_deliveries: 0, warned_percent: 0, ..self }
    }

    /// Whether the last result was a failure.
    pub fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }
}

impl AutoDisable {
    const WARNINGS: [u8; 3] = [90, 70, 50];

    /// What is to be done about a webhook of this health.
    pub fn judge(&self, health: &WebhookHealth, now: DateTime<Utc>) -> Judgement {
        let Some(failing_since) = health.failing_since else { return Judgement::Fine };
        let quiet_since = health.last_success_at.unwrap_or(failing_since);
        let way = [
            percent(elapsed(quiet_since, now), self.without_success.as_secs_f64()),
            percent(elapsed(failing_since, now), self.min_span.as_secs_f64()),
            percent(f64::from(health.failed_deliveries), f64::from(self.min_failed)),
        ]
        .into_iter()
        .fold(100.0, f64::min);
        if way >= 100.0 {
            return Judgement::Disable;
        }
        Self::WARNINGS
            .into_iter()
            .find(|&warning| way >= f64::from(warning))
            .filter(|&warning| warning > health.warned_percent)
            .map_or(Judgement::Fine, Judgement::Warn)
    }
}

impl Default for AutoDisable {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            without_success: Duration::from_secs(5 * DAY),
            min_failed: 20,
            min_span: Duration::from_secs(DAY),
        }
    }
}

fn elapsed(since: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - since).to_std().unwrap_or_default().as_secs_f64()
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole <= 0.0 { 100.0 } else { (part * 100.0 / whole).min(100.0) }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn hour(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn failing(hours: impl IntoIterator<Item = i64>) -> WebhookHealth {
        hours.into_iter().fold(WebhookHealth::default(), |health, at| {
            health.after(HealthChange::Failure { first: true }, hour(at))
        })
    }

    #[test]
    fn five_days_and_twenty_failed_deliveries_disable() {
        let health = failing(0..20);

        assert_eq!(AutoDisable::default().judge(&health, hour(119)), Judgement::Warn(90));
        assert_eq!(AutoDisable::default().judge(&health, hour(120)), Judgement::Disable);
    }

    #[test]
    fn few_failures_never_disable_however_old() {
        let health = failing(0..19);

        assert_eq!(AutoDisable::default().judge(&health, hour(10_000)), Judgement::Warn(90));
    }

    #[test]
    fn a_burst_of_failures_after_a_quiet_week_waits_for_its_day() {
        let healthy = WebhookHealth::default().after(HealthChange::Success, hour(0));
        let health =
            (0..50).fold(healthy, |health, _| health.after(HealthChange::Failure { first: true }, hour(200)));

        assert_eq!(AutoDisable::default().judge(&health, hour(200)), Judgement::Fine);
        assert_eq!(AutoDisable::default().judge(&health, hour(212)), Judgement::Warn(50));
        assert_eq!(AutoDisable::default().judge(&health, hour(224)), Judgement::Disable);
    }

    #[test]
    fn each_warning_is_given_once() {
        let mut health = failing(0..20);
        let mut given = Vec::new();

        for at in 20..120 {
            if let Judgement::Warn(percent) = AutoDisable::default().judge(&health, hour(at)) {
                health.warned_percent = percent;
                given.push((at, percent));
            }
        }

        assert_eq!(given, [(60, 50), (84, 70), (108, 90)]);
    }

    #[test]
    fn one_success_forgets_the_failures() {
        let health = failing(0..20).after(HealthChange::Success, hour(21));

        assert!(!health.is_failing());
        assert_eq!((health.failed_deliveries, health.warned_percent), (0, 0));
    }

    #[test]
    fn a_receiver_that_was_mended_begins_anew() {
        let policy = AutoDisable::default();
        let before = failing(0..20);
        assert_eq!(policy.judge(&before, hour(120)), Judgement::Disable);

        let after = before.forgiven().after(HealthChange::Failure { first: true }, hour(120));

        assert_eq!(policy.judge(&after, hour(120)), Judgement::Fine);
    }

    #[test]
    fn retries_of_one_delivery_count_once() {
        let health = (0..100)
            .fold(failing([0]), |health, at| health.after(HealthChange::Failure { first: false }, hour(at)));

        assert_eq!(health.failed_deliveries, 1);
    }
}
