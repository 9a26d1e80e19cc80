//! The numbers that hold for a whole hub; most can be set per webhook as well.

use std::time::Duration;

use http::HeaderValue;

use crate::lanes::throttle::CircuitPolicy;
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
}

impl Settings {
    /// What must lie between the longest request and the end of its lease: time to settle.
    pub const LEASE_MARGIN: Duration = Duration::from_secs(10);
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
        }
    }
}
