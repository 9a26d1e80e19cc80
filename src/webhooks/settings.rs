//! The numbers that hold for a whole hub; most can be set per webhook as well.

use std::time::Duration;

use http::HeaderValue;

use crate::error::Problem;
use crate::lanes::throttle::CircuitPolicy;
use crate::mapping::Limits;
use crate::ports::ExchangeLimits;
use crate::webhooks::health::AutoDisable;
use crate::webhooks::queue::Retention;
use crate::webhooks::retry::RetryPolicy;

/// The numbers that hold for a whole hub; each has a default that suits most.
///
/// ```
/// use std::time::Duration;
/// use crossdock::webhooks::{RetryPolicy, Settings};
///
/// let mut settings = Settings::default();
/// settings.retry = RetryPolicy::after_seconds([1, 10, 60]);
///
/// assert_eq!(settings.max_in_flight, 8);
/// assert_eq!(settings.max_age, Duration::from_secs(30 * 24 * 60 * 60));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What requests call themselves; `crossdock/<version>` unless the host puts its product's name here.
    pub user_agent: HeaderValue,
    /// For webhooks and tenants that have no policy of their own.
    pub retry: RetryPolicy,
    /// Bounds of one request.
    pub limits: ExchangeLimits,
    /// Requests of one webhook at once, unless it says otherwise; 8.
    pub max_in_flight: u32,
    /// Resends and replays of one webhook at once; 1.
    pub max_replays_in_flight: u32,
    /// How long a claim holds; must exceed the longest request by 10 s; 60 s.
    pub lease: Duration,
    /// When a failing receiver is left alone.
    pub circuit: CircuitPolicy,
    /// When a failing webhook is disabled.
    pub auto_disable: AutoDisable,
    /// What is kept until when.
    pub retention: Retention,
    /// What is still undelivered at this age becomes a dead letter; 30 days.
    pub max_age: Duration,
    /// How many webhooks a tenant may have; 1,000.
    pub max_webhooks: usize,
    /// How many replays of a tenant may run at once; 10.
    pub max_running_replays: usize,
    /// What the mapping of a webhook may cost: documents of 64 KiB and 500 rules, 1 MiB in and out, a million steps.
    pub mapping_limits: Limits,
}

impl Settings {
    /// What must lie between the longest request and the end of its lease: time to settle.
    pub const LEASE_MARGIN: Duration = Duration::from_secs(10);
    /// A tenant's timeout is at least this long.
    pub const MIN_TIMEOUT: Duration = Duration::from_secs(1);
    /// The most requests of one webhook at once.
    pub const MAX_IN_FLIGHT: u32 = 1_000;

    /// The longest time that one request may be allowed, so that it can be settled before its lease ends.
    pub fn longest_timeout(&self) -> Duration {
        self.lease.saturating_sub(Self::LEASE_MARGIN)
    }

    /// Every number that makes no sense, or makes none beside the others.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let limits = &self.limits;
        let in_flight = 1..=Self::MAX_IN_FLIGHT;
        let rules = [
            (limits.connect.is_zero(), "limits.connect", "a connection takes time", "give it 5 s"),
            (limits.total < Self::MIN_TIMEOUT, "limits.total", "a request takes 1 s or more", "give it 20 s"),
            (limits.read == 0, "limits.read", "an answer has at least one byte", "read 64 KiB"),
            (
                limits.keep > limits.read,
                "limits.keep",
                "no more of an answer is kept than is read of it",
                "keep 16 KiB, or read more",
            ),
            (
                limits.total > self.longest_timeout(),
                "lease",
                "a lease is longer than the longest request by 10 s, so that its result still counts",
                "lengthen the lease, or shorten `limits.total`",
            ),
            (
                !in_flight.contains(&self.max_in_flight),
                "max_in_flight",
                "a webhook has 1 to 1000 requests in flight",
                "use 8",
            ),
            (
                !in_flight.contains(&self.max_replays_in_flight),
                "max_replays_in_flight",
                "a webhook has 1 to 1000 resends and replays in flight",
                "use 1",
            ),
            (
                !(1..=100).contains(&self.circuit.failure_percent),
                "circuit.failure_percent",
                "a share is 1 to 100 per cent",
                "use 70",
            ),
            (self.circuit.min_samples == 0, "circuit.min_samples", "nobody is judged unheard", "use 10"),
            (self.circuit.window.is_zero(), "circuit.window", "a window has a length", "use 60 s"),
            (self.max_age.is_zero(), "max_age", "a delivery has time to be made", "use 30 days"),
            (self.max_webhooks == 0, "max_webhooks", "a tenant may have a webhook", "use 1000"),
            (self.max_running_replays == 0, "max_running_replays", "a tenant may run a replay", "use 10"),
            (
                self.retention.history < self.retention.payloads,
                "retention.history",
                "an event is kept at least as long as its payload",
                "lengthen it, or shorten `retention.payloads`",
            ),
        ];
        rules
            .into_iter()
            .filter(|(broken, ..)| *broken)
            .map(|(_, field, rule, fix)| Problem::new(format!("settings.{field}"), rule, fix))
            .collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: HeaderValue::from_static(concat!("crossdock/", env!("CARGO_PKG_VERSION"))),
            retry: RetryPolicy::default(),
            limits: ExchangeLimits::default(),
            max_in_flight: 8,
            max_replays_in_flight: 1,
            lease: Duration::from_secs(60),
            circuit: CircuitPolicy::default(),
            auto_disable: AutoDisable::default(),
            retention: Retention::default(),
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_webhooks: 1_000,
            max_running_replays: 10,
            mapping_limits: Limits {
                document_bytes: 64 * 1024,
                rules: 500,
                table_rows: 2_000,
                input_bytes: 1024 * 1024,
                output_bytes: 1024 * 1024,
                fuel: 1_000_000,
                ..Limits::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(change: impl FnOnce(&mut Settings)) -> Vec<String> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.problems().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn the_defaults_agree_with_each_other() {
        assert_eq!(fields(|_| ()), [""; 0]);
    }

    #[test]
    fn a_lease_outlives_the_longest_request_by_its_margin() {
        assert_eq!(fields(|settings| settings.lease = Duration::from_secs(30)), [""; 0]);
        assert_eq!(fields(|settings| settings.lease = Duration::from_millis(29_999)), ["settings.lease"]);
    }

    #[test]
    fn every_number_without_sense_is_reported_at_once() {
        let broken = fields(|settings| {
            settings.limits = ExchangeLimits { connect: Duration::ZERO, read: 0, ..settings.limits };
            settings.max_in_flight = 0;
            settings.max_replays_in_flight = 1_001;
            settings.circuit.failure_percent = 101;
            settings.circuit.min_samples = 0;
            settings.circuit.window = Duration::ZERO;
            settings.max_age = Duration::ZERO;
            settings.max_webhooks = 0;
            settings.max_running_replays = 0;
            settings.retention.history = Duration::ZERO;
        });

        assert_eq!(
            broken,
            [
                "settings.limits.connect",
                "settings.limits.read",
                "settings.limits.keep",
                "settings.max_in_flight",
                "settings.max_replays_in_flight",
                "settings.circuit.failure_percent",
                "settings.circuit.min_samples",
                "settings.circuit.window",
                "settings.max_age",
                "settings.max_webhooks",
                "settings.max_running_replays",
                "settings.retention.history",
            ]
        );
    }
}
