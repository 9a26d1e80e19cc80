//! What is created and changed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::web::axum::management::deliveries::Header;
use crate::web::axum::management::shapes::{SecretText, given, nullable, seconds};
use crate::web::axum::management::webhooks::login::Login;
use crate::web::axum::management::webhooks::settings::{Format, Ordering, RateLimit, Retry, Scheme};
use crate::webhooks::{self, SignatureScheme, WebhookUpdate, WebhookView};

/// A webhook that is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// Where deliveries go.
    url: String,
    /// Which event types are heard, such as `shipment.*`.
    events: Vec<String>,
    /// What people call it; the URL's host unless it is said.
    #[serde(default)]
    name: Option<String>,
    /// Only events of this owner are heard.
    #[serde(default)]
    owner: Option<String>,
    /// Only events that carry one of these channels are heard.
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    format: Option<Format>,
    /// A mapping document that writes the whole body; no format stands beside it.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    mapping: Option<Box<RawValue>>,
    /// How requests are signed, side by side; Standard Webhooks unless it is said, and an empty list is unsigned.
    #[serde(default)]
    schemes: Option<Vec<Scheme>>,
    /// A secret of at least 24 bytes; one is made unless it is given.
    #[serde(default)]
    secret: Option<SecretText>,
    #[serde(default)]
    auth: Option<Login>,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    retry: Option<Retry>,
    /// How many seconds a request may take in all.
    #[serde(default)]
    timeout: Option<f64>,
    #[serde(default)]
    rate_limit: Option<RateLimit>,
    /// How many requests at once.
    #[serde(default)]
    max_in_flight: Option<u32>,
    #[serde(default)]
    ordering: Option<Ordering>,
    /// Networks that requests may go to.
    #[serde(default)]
    destinations: Vec<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Whether it begins active; it does unless it is said.
    #[serde(default)]
    active: Option<bool>,
}

/// What is to be changed of a webhook: what is left out stays, `null` clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookChanges {
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    events: Option<Vec<String>>,
    /// `null`: the URL's host.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// `null`: whoever owns them.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    channels: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    format: Option<Format>,
    /// `null`: the format writes the body.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<serde_json::Value>)]
    mapping: Option<Option<Box<RawValue>>>,
    /// An empty list: unsigned.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    schemes: Option<Vec<Scheme>>,
    /// `null`: none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = Password)]
    secret: Option<Option<SecretText>>,
    /// `null`: the tenant's default.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Login>)]
    auth: Option<Option<Login>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    headers: Option<Vec<Header>>,
    /// `null`: the default.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Retry>)]
    retry: Option<Option<Retry>>,
    /// Seconds; `null`: the default.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<f64>)]
    timeout: Option<Option<f64>>,
    /// `null`: as many as the receiver can take.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<RateLimit>)]
    rate_limit: Option<Option<RateLimit>>,
    /// `null`: the default.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>)]
    max_in_flight: Option<Option<u32>>,
    /// `null`: in no order.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Ordering>)]
    ordering: Option<Option<Ordering>>,
    /// An empty list: wherever the host permits.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    destinations: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    metadata: Option<BTreeMap<String, String>>,
}

impl NewWebhook {
    pub(super) fn wanted(self, problems: &mut Vec<Problem>) -> webhooks::NewWebhook {
        let mut new = webhooks::NewWebhook::new(self.name.unwrap_or_default(), self.url)
            .events(self.events)
            .channels(self.channels)
            .headers(self.headers.into_iter().map(|header| (header.name, header.value)))
            .destinations(self.destinations)
            .metadata(self.metadata);
        if let Some(owner) = self.owner {
            new = new.owner(owner);
        }
        if let Some(format) = self.format.and_then(|format| format.wanted(problems)) {
            new = new.format(format);
        }
        if let Some(mapping) = self.mapping {
            new = new.mapping(mapping.get());
        }
        if let Some(schemes) = self.schemes {
            new = new.schemes(checked(schemes, problems));
        }
        if let Some(secret) = self.secret {
            new = new.secret(secret.0);
        }
        if let Some(auth) = self.auth.and_then(|auth| auth.wanted(problems)) {
            new = new.auth(auth);
        }
        if let Some(policy) = self.retry.and_then(|retry| retry.wanted(problems)) {
            new = new.retry(policy);
        }
        if let Some(timeout) = self.timeout {
            new = new.timeout(seconds("timeout", timeout, problems));
        }
        if let Some(limit) = self.rate_limit {
            new = new.rate_limit(limit.per_second, limit.burst);
        }
        if let Some(requests) = self.max_in_flight {
            new = new.max_in_flight(requests);
        }
        if let Some(ordering) = self.ordering {
            new = new.ordering(ordering.wanted());
        }
        if self.active == Some(false) { new.inactive() } else { new }
    }
}

impl WebhookChanges {
    pub(super) fn apply(
        self,
        mut update: WebhookUpdate,
        seen: &WebhookView,
        problems: &mut Vec<Problem>,
    ) -> WebhookUpdate {
        update = update.version(seen.version);
        if let Some(url) = self.url {
            update = update.url(url);
        }
        if let Some(events) = self.events {
            update = update.events(events);
        }
        if let Some(name) = self.name {
            update = update.name(name.unwrap_or_default());
        }
        update = match self.owner {
            None => update,
            Some(None) => update.any_owner(),
            Some(Some(owner)) => update.owner(owner),
        };
        if let Some(channels) = self.channels {
            update = update.channels(channels);
        }
        if let Some(format) = self.format.and_then(|format| format.wanted(problems)) {
            update = update.format(format);
        }
        update = match self.mapping {
            None => update,
            Some(None) => update.without_mapping(),
            Some(Some(document)) => update.mapping(document.get()),
        };
        if let Some(schemes) = self.schemes {
            update = update.schemes(checked(schemes, problems));
        }
        update = match self.secret {
            None => update,
            Some(None) => update.clear_secret(),
            Some(Some(secret)) => update.secret(secret.0),
        };
        update = match self.auth {
            None => update,
            Some(None) => update.clear_auth(),
            Some(Some(auth)) => match auth.wanted(problems) {
                Some(auth) => update.auth(auth),
                None => update,
            },
        };
        if let Some(headers) = self.headers {
            update = update.headers(headers.into_iter().map(|header| (header.name, header.value)));
        }
        update = match self.retry {
            None => update,
            Some(None) => update.default_retry(),
            Some(Some(retry)) => match retry.wanted(problems) {
                Some(policy) => update.retry(policy),
                None => update,
            },
        };
        update = match self.timeout {
            None => update,
            Some(None) => update.default_timeout(),
            Some(Some(timeout)) => update.timeout(seconds("timeout", timeout, problems)),
        };
        update = match self.rate_limit {
            None => update,
            Some(None) => update.unlimited_rate(),
            Some(Some(limit)) => update.rate_limit(limit.per_second, limit.burst),
        };
        update = match self.max_in_flight {
            None => update,
            Some(None) => update.default_max_in_flight(),
            Some(Some(requests)) => update.max_in_flight(requests),
        };
        update = match self.ordering {
            None => update,
            Some(None) => update.ordering(webhooks::Ordering::Unordered),
            Some(Some(ordering)) => update.ordering(ordering.wanted()),
        };
        if let Some(destinations) = self.destinations {
            update = update.destinations(destinations);
        }
        match self.metadata {
            None => update,
            Some(metadata) => update.metadata(metadata),
        }
    }
}

fn checked(schemes: Vec<Scheme>, problems: &mut Vec<Problem>) -> Vec<SignatureScheme> {
    let schemes = schemes.into_iter().enumerate();
    schemes.filter_map(|(index, scheme)| scheme.wanted(&format!("schemes[{index}]"), problems)).collect()
}
