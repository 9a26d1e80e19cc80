//! The numbers that hold for inbound webhooks.

use std::time::Duration;

use http::HeaderName;

use crate::error::Problem;
use crate::inbound::store::InboundRetention;
use crate::lanes::schedule::Schedule;

/// The numbers that hold for inbound webhooks of a whole hub.
///
/// ```
/// use std::time::Duration;
/// use crossdock::inbound::InboundSettings;
///
/// let mut settings = InboundSettings::default();
/// settings.timeout = Duration::from_secs(10);
/// settings.public_url = Some("https://app.example.com/webhooks".to_owned());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InboundSettings {
    /// When a handler that fails is asked again; 5 s, 30 s, 2 min, 10 min, 1 h, 6 h and 1 day after the failure by default.
    pub retry: Schedule,
    /// How long one attempt of a handler may take; 30 s by default.
    pub timeout: Duration,
    /// How long a claim lasts: longer than an attempt; 60 s by default.
    pub lease: Duration,
    /// How long a store may take to keep what was received before the sender is told to try again; 2.5 s by default, because the
    /// strictest senders wait for 3.
    pub accept_within: Duration,
    /// How long a body may take to arrive before the sender is told 408; 10 s by default.
    pub read_within: Duration,
    /// How long what has ended is kept.
    pub retention: InboundRetention,
    /// How many sources one tenant may have; 100 by default.
    pub max_sources: usize,
    /// The URL that a source's id, or a platform's source's name, is appended to: what senders are told, and some sign. Without it, the
    /// request's own URL counts.
    pub public_url: Option<String>,
    /// Headers that are kept with an item, besides those that its scheme reads. Choose none that carries a secret.
    pub keep_headers: Vec<HeaderName>,
}

impl Default for InboundSettings {
    fn default() -> Self {
        const WAITS: [u64; 7] = [5, 30, 2 * 60, 10 * 60, 60 * 60, 6 * 60 * 60, 24 * 60 * 60];
        let retry = Schedule::table(WAITS.map(Duration::from_secs)).unwrap_or_else(|_| Schedule::none());
        let keep_headers =
            ["content-type", "user-agent", "x-request-id"].map(HeaderName::from_static).to_vec();
        Self {
            retry,
            timeout: Duration::from_secs(30),
            lease: Duration::from_secs(60),
            accept_within: Duration::from_millis(2_500),
            read_within: Duration::from_secs(10),
            retention: InboundRetention::DEFAULT,
            max_sources: 100,
            public_url: None,
            keep_headers,
        }
    }
}

impl InboundSettings {
    /// What is wrong with the numbers.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |holds: bool, field: &str, rule: &str, fix: &str| {
            if !holds {
                problems.push(Problem::new(format!("inbound.{field}"), rule, fix));
            }
        };
        check(!self.timeout.is_zero(), "timeout", "an attempt takes time", "give it some");
        check(self.lease > self.timeout, "lease", "a claim lasts longer than an attempt", "make it longer");
        check(!self.accept_within.is_zero(), "accept_within", "a store takes time", "give it some");
        check(!self.read_within.is_zero(), "read_within", "a body takes time to arrive", "give it some");
        let is_enough = self.retention.received >= InboundRetention::LEAST;
        let rule = "copies are known for at least 7 days, because senders try again for days";
        check(is_enough, "retention.received", rule, "keep it longer");
        check(self.max_sources > 0, "max_sources", "a tenant has room for a source", "allow some");
        problems
    }
}
