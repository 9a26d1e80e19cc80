//! Everything about a webhook that people set, in the words in which it was typed: nothing here is checked yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::events::envelope::PayloadFormat;
use crate::webhooks::model::Ordering;
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::service::view::WebhookView;
use crate::webhooks::sign::SignatureScheme;

/// Everything about a webhook that people set, but its credentials and its state.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) owner: Option<String>,
    pub(crate) events: Vec<String>,
    pub(crate) channels: Vec<String>,
    pub(crate) format: PayloadFormat,
    pub(crate) mapping: Option<String>,
    pub(crate) schemes: Vec<SignatureScheme>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) retry: Option<WantedRetry>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) rate: Option<(f64, u32)>,
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) ordering: Ordering,
    pub(crate) destinations: Vec<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Where a default login may be sent, not yet checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum WantedHosts {
    All,
    Only(Vec<String>),
}

/// A retry policy, ready or as a list of waits that somebody has typed.
#[derive(Clone, Debug)]
pub(crate) enum WantedRetry {
    Policy(RetryPolicy),
    Waits(Vec<Duration>),
}

/// The methods that set all this, for whatever holds a [`Wanted`]: they are written, and documented, once.
macro_rules! settings {
    () => {
        /// What people call it; an empty name stands for the URL's host.
        #[must_use]
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.wanted.name = name.into();
            self
        }

        /// Hears only events of this owner.
        #[must_use]
        pub fn owner(mut self, owner: impl Into<String>) -> Self {
            self.wanted.owner = Some(owner.into());
            self
        }

        /// Hears events whoever owns them; the default.
        #[must_use]
        pub fn any_owner(mut self) -> Self {
            self.wanted.owner = None;
            self
        }

        /// Which events are heard, instead of those named so far: types, or patterns such as `shipment.*` and `*`.
        #[must_use]
        pub fn events<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
            self.wanted.events = patterns.into_iter().map(Into::into).collect();
            self
        }

        /// Hears only events that carry one of these channels; none means all events.
        #[must_use]
        pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
            self.wanted.channels = channels.into_iter().map(Into::into).collect();
            self
        }

        /// How an event becomes bytes.
        #[must_use]
        pub fn format(mut self, format: impl Into<PayloadFormat>) -> Self {
            self.wanted.format = format.into();
            self
        }

        /// Lets this mapping document, as JSON, write the whole body; there is no other format beside it. What the event
        /// carries goes in, and `event.id`, `event.type`, `event.occurred_at`, `event.published_at`, `event.tenant`,
        /// `event.owner` and `event.subject` can be declared in the document's `context`.
        #[must_use]
        pub fn mapping(mut self, document: impl Into<String>) -> Self {
            self.wanted.mapping = Some(document.into());
            self
        }

        /// Lets the format write the body; the default.
        #[must_use]
        pub fn without_mapping(mut self) -> Self {
            self.wanted.mapping = None;
            self
        }

        /// How requests are signed, side by side, instead of [`SignatureScheme::Standard`].
        #[must_use]
        pub fn schemes(mut self, schemes: impl IntoIterator<Item = SignatureScheme>) -> Self {
            self.wanted.schemes = schemes.into_iter().collect();
            self
        }

        /// Does not sign requests: the receiver cannot tell them from anybody else's.
        #[must_use]
        pub fn unsigned(mut self) -> Self {
            self.wanted.schemes = Vec::new();
            self
        }

        /// Adds a header to every request. Everybody who may look sees it: credentials belong into `auth`.
        #[must_use]
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.wanted.headers.push((name.into(), value.into()));
            self
        }

        /// Sends these headers with every request, instead of those named so far.
        #[must_use]
        pub fn headers<N: Into<String>, V: Into<String>>(
            mut self,
            headers: impl IntoIterator<Item = (N, V)>,
        ) -> Self {
            self.wanted.headers =
                headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            self
        }

        /// When failed deliveries are tried again, instead of the default.
        #[must_use]
        pub fn retry(mut self, policy: RetryPolicy) -> Self {
            self.wanted.retry = Some(WantedRetry::Policy(policy));
            self
        }

        /// Tries failed deliveries again after these waits, one after the other.
        #[must_use]
        pub fn retry_after(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
            self.wanted.retry = Some(WantedRetry::Waits(waits.into_iter().collect()));
            self
        }

        /// Tries failed deliveries again as the tenant's or the hub's default says.
        #[must_use]
        pub fn default_retry(mut self) -> Self {
            self.wanted.retry = None;
            self
        }

        /// How long a request may take in all.
        #[must_use]
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.wanted.timeout = Some(timeout);
            self
        }

        /// Lets requests take as long as the tenant's or the hub's default says.
        #[must_use]
        pub fn default_timeout(mut self) -> Self {
            self.wanted.timeout = None;
            self
        }

        /// At most so many requests per second, and so many at once after a quiet time.
        #[must_use]
        pub fn rate_limit(mut self, per_second: f64, burst: u32) -> Self {
            self.wanted.rate = Some((per_second, burst));
            self
        }

        /// As many requests per second as the receiver can take; the default.
        #[must_use]
        pub fn unlimited_rate(mut self) -> Self {
            self.wanted.rate = None;
            self
        }

        /// At most so many requests at once, 1 to 1,000.
        #[must_use]
        pub fn max_in_flight(mut self, requests: u32) -> Self {
            self.wanted.max_in_flight = Some(requests);
            self
        }

        /// As many requests at once as the hub's default says.
        #[must_use]
        pub fn default_max_in_flight(mut self) -> Self {
            self.wanted.max_in_flight = None;
            self
        }

        /// Whether deliveries keep the order of events.
        #[must_use]
        pub fn ordering(mut self, ordering: Ordering) -> Self {
            self.wanted.ordering = ordering;
            self
        }

        /// Sends only to addresses within these networks (`198.51.100.0/24`, `2001:db8::/32` or single addresses); none
        /// means wherever the egress policy permits.
        #[must_use]
        pub fn destinations<N: Into<String>>(mut self, networks: impl IntoIterator<Item = N>) -> Self {
            self.wanted.destinations = networks.into_iter().map(Into::into).collect();
            self
        }

        /// The host's own labels, instead of those named so far.
        #[must_use]
        pub fn metadata<K: Into<String>, V: Into<String>>(
            mut self,
            entries: impl IntoIterator<Item = (K, V)>,
        ) -> Self {
            self.wanted.metadata =
                entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            self
        }
    };
}

pub(crate) use settings;

impl Wanted {
    pub(crate) fn new(name: String, url: String) -> Self {
        Self {
            name,
            url,
            owner: None,
            events: Vec::new(),
            channels: Vec::new(),
            format: PayloadFormat::default(),
            mapping: None,
            schemes: vec![SignatureScheme::Standard],
            headers: Vec::new(),
            retry: None,
            timeout: None,
            rate: None,
            max_in_flight: None,
            ordering: Ordering::Unordered,
            destinations: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    pub(crate) fn of(seen: &WebhookView) -> Self {
        let texts = |texts: &[std::sync::Arc<str>]| texts.iter().map(|text| text.to_string()).collect();
        Self {
            name: seen.name.clone(),
            url: seen.url.as_str().to_owned(),
            owner: seen.owner.as_deref().map(str::to_owned),
            events: seen.events.iter().map(ToString::to_string).collect(),
            channels: texts(&seen.channels),
            format: seen.format.clone(),
            mapping: seen.mapping.as_deref().map(str::to_owned),
            schemes: seen.schemes.clone(),
            headers: seen.headers.clone(),
            retry: seen.retry.clone().map(WantedRetry::Policy),
            timeout: seen.timeout,
            rate: seen.rate_limit.map(|limit| (limit.rate(), limit.burst())),
            max_in_flight: seen.max_in_flight,
            ordering: seen.ordering,
            destinations: seen.destinations.iter().map(ToString::to_string).collect(),
            metadata: seen.metadata.clone(),
        }
    }
}
