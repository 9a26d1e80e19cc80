//! Is what an administrator asks for fit to be stored? Everything that is wrong, at once.

mod destinations;
mod headers;
mod hosts;
mod labels;
mod mapping;
mod numbers;
mod patterns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::error::Problem;
use crate::events::compiled::CompiledCatalog;
use crate::events::envelope::PayloadFormat;
use crate::events::envelope::named::NamedFormats;
use crate::events::event_type::EventPattern;
use crate::lanes::throttle::RateLimit;
use crate::primitives::egress::{EgressPolicy, TenantUrl};
use crate::tenancy::model::Actor;
use crate::webhooks::mapped::Mappings;
use crate::webhooks::model::{Ordering, Webhook};
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::service::wanted::{Wanted, WantedRetry};
use crate::webhooks::settings::Settings;
use crate::webhooks::sign::SignatureScheme;

pub(crate) use headers::{clash, occupied_by_schemes};
pub(crate) use hosts::check_hosts;
pub(crate) use numbers::{check_retry, check_timeout};

/// What a check goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) egress: &'a EgressPolicy,
    pub(crate) catalog: &'a CompiledCatalog,
    pub(crate) formats: &'a NamedFormats,
    pub(crate) mappings: &'a Mappings,
    pub(crate) settings: &'a Settings,
    pub(crate) actor: &'a Actor,
    /// Patterns that the webhook has already: they stay, also when the actor may no longer subscribe them anew.
    pub(crate) present: &'a [EventPattern],
}

/// What is wanted, as far as it is fit to be stored.
#[derive(Debug)]
pub(crate) struct Checked {
    url: Option<TenantUrl>,
    name: String,
    owner: Option<Arc<str>>,
    channels: Vec<Arc<str>>,
    metadata: BTreeMap<String, String>,
    events: Vec<EventPattern>,
    format: PayloadFormat,
    mapping: Option<Arc<str>>,
    schemes: Vec<SignatureScheme>,
    headers: Vec<(HeaderName, HeaderValue)>,
    retry: Option<RetryPolicy>,
    timeout: Option<Duration>,
    rate_limit: Option<RateLimit>,
    max_in_flight: Option<u32>,
    ordering: Ordering,
    destinations: Arc<[IpNet]>,
}

/// Looks at every field; what is wrong is appended, and nothing of the rest may be stored then.
pub(crate) fn check(wanted: Wanted, rules: Rules<'_>, problems: &mut Vec<Problem>) -> Checked {
    let url = rules.egress.parse(&wanted.url).map_err(|refusal| problems.push(refusal.problem("url"))).ok();
    let name = labels::check_name(&wanted.name, url.as_ref(), problems);
    let owner = labels::check_owner(wanted.owner, problems);
    let channels = labels::check_channels(&wanted.channels, problems);
    labels::check_metadata(&wanted.metadata, problems);
    let events = patterns::check(&wanted.events, rules, problems);
    problems.extend(rules.formats.check(&wanted.format).err());
    mapping::check(wanted.mapping.as_deref(), &wanted.format, rules.mappings, problems);

    // No scheme at all is a wish of its own: unsigned.
    if !wanted.schemes.is_empty()
        && let Err(refusal) = SignatureScheme::check_all(&wanted.schemes)
    {
        problems.push(refusal.problem());
    }
    let headers = headers::check(&wanted.headers, &wanted.schemes, problems);

    let retry = match wanted.retry {
        None => None,
        Some(WantedRetry::Policy(policy)) => Some(policy),
        Some(WantedRetry::Waits(waits)) => check_retry(waits, problems),
    };
    check_timeout(wanted.timeout, rules.settings, problems);
    let rate_limit = numbers::check_rate(wanted.rate, problems);
    numbers::check_in_flight(wanted.max_in_flight, problems);
    let destinations = destinations::check(&wanted.destinations, problems).into();
    Checked {
        url,
        name,
        owner,
        channels,
        metadata: wanted.metadata,
        events,
        format: wanted.format,
        mapping: wanted.mapping.map(Into::into),
        schemes: wanted.schemes,
        headers,
        retry,
        timeout: wanted.timeout,
        rate_limit,
        max_in_flight: wanted.max_in_flight,
        ordering: wanted.ordering,
        destinations,
    }
}

impl Checked {
    /// Where deliveries go; `None` if the URL was refused.
    pub(crate) fn url(&self) -> Option<&TenantUrl> {
        self.url.as_ref()
    }

    /// How requests are signed.
    pub(crate) fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    /// Headers that every request carries.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Puts everything in its place.
    pub(crate) fn write(self, webhook: &mut Webhook) {
        webhook.url = self.url.unwrap_or_else(|| webhook.url.clone());
        webhook.name = self.name;
        webhook.owner = self.owner;
        webhook.channels = self.channels;
        webhook.metadata = self.metadata;
        webhook.events = self.events;
        webhook.format = self.format;
        webhook.mapping = self.mapping;
        webhook.schemes = self.schemes;
        webhook.headers = self.headers;
        webhook.retry = self.retry;
        webhook.timeout = self.timeout;
        webhook.rate_limit = self.rate_limit;
        webhook.max_in_flight = self.max_in_flight;
        webhook.ordering = self.ordering;
        webhook.destinations = self.destinations;
    }
}
