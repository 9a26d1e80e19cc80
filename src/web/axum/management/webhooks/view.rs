//! What is shown of a webhook: every setting, and of credentials only that they are there.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::web::axum::management::deliveries::Header;
use crate::web::axum::management::shapes::{Time, mirror};
use crate::web::axum::management::webhooks::login::LoginView;
use crate::web::axum::management::webhooks::settings::{Format, Ordering, RateLimit, Retry, Scheme};
use crate::webhooks::{self, Created, WebhookHealth, WebhookState, WebhookView};

/// A webhook, as people see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Webhook {
    id: String,
    /// Grows with every change; the `etag` says it as well.
    version: u64,
    name: String,
    url: String,
    /// If set, only events with this same owner are heard.
    owner: Option<String>,
    /// Which event types are heard.
    events: Vec<String>,
    /// If not empty, only events that carry one of these channels are heard.
    channels: Vec<String>,
    format: Format,
    /// The mapping document that writes the whole body instead of the format.
    #[schema(value_type = Option<serde_json::Value>)]
    mapping: Option<Box<RawValue>>,
    /// How requests are signed; none means unsigned.
    schemes: Vec<Scheme>,
    has_secret: bool,
    /// Of each live secret, when it was made and until when it signs, newest first.
    secrets: Vec<SecretLife>,
    /// How requests log in; `null` means the tenant's default.
    auth: Option<LoginView>,
    /// Headers that every request carries.
    headers: Vec<Header>,
    /// When failed deliveries are tried again; `null` means the default.
    retry: Option<Retry>,
    /// How many seconds a request may take in all; `null` means the default.
    timeout: Option<f64>,
    rate_limit: Option<RateLimit>,
    /// How many requests at once; `null` means the default.
    max_in_flight: Option<u32>,
    /// Whether deliveries keep the order of events; `null` if they do not.
    ordering: Option<Ordering>,
    /// If not empty, requests go only to addresses in these networks.
    destinations: Vec<String>,
    metadata: BTreeMap<String, String>,
    state: State,
    /// Why it is disabled.
    disabled_because: Option<DisableReason>,
    disabled_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog: Option<Backlog>,
}

/// Whether deliveries are made, wait, or are skipped.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookState)]
enum State {
    Active,
    Paused,
    Disabled,
}

mirror!(
    /// Why a webhook is disabled.
    DisableReason of webhooks::DisableReason {
        ByPerson,
        /// The receiver has answered 410.
        Gone,
        /// The receiver has asked for it.
        Asked,
        TooManyFailures,
    }
);

/// The life of one signing secret.
#[derive(Debug, Serialize, ToSchema)]
struct SecretLife {
    created_at: Time,
    /// From then on it no longer signs; `null` for the present one.
    expires_at: Option<Time>,
}

/// How a receiver has done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    last_success_at: Option<Time>,
    last_failure_at: Option<Time>,
    /// When it first failed after its last success.
    failing_since: Option<Time>,
    /// How many different deliveries have failed since its last success.
    failed_deliveries: u32,
}

/// How much is undone.
#[derive(Debug, Serialize, ToSchema)]
struct Backlog {
    undelivered: u64,
    oldest: Option<Time>,
    /// Until when the webhook is held back.
    held_until: Option<Time>,
}

/// A webhook with a new secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookWithSecret {
    webhook: Webhook,
    /// What the receiver checks signatures with; `null` if requests are unsigned.
    secret: Option<String>,
}

impl Webhook {
    pub(super) fn of(view: WebhookView) -> Self {
        let (state, disabled) = match view.state {
            WebhookState::Active => (State::Active, None),
            WebhookState::Paused => (State::Paused, None),
            WebhookState::Disabled { reason, at } => (State::Disabled, Some((reason, at))),
        };
        let life = |secret: &webhooks::SecretView| SecretLife {
            created_at: secret.created_at.into(),
            expires_at: secret.expires_at.map(Into::into),
        };
        Self {
            id: view.id.to_string(),
            version: view.version.number(),
            name: view.name,
            url: view.url.as_str().to_owned(),
            owner: view.owner.map(|owner| owner.to_string()),
            events: view.events.iter().map(ToString::to_string).collect(),
            channels: view.channels.iter().map(ToString::to_string).collect(),
            format: Format::of(&view.format),
            // Only JSON is ever saved as a document.
            mapping: view.mapping.and_then(|document| RawValue::from_string(document.to_string()).ok()),
            schemes: view.schemes.iter().map(Scheme::of).collect(),
            has_secret: view.has_secret,
            secrets: view.secrets.iter().map(life).collect(),
            auth: view.auth.map(LoginView::of),
            headers: view.headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            retry: view.retry.as_ref().map(Retry::of),
            timeout: view.timeout.map(|timeout| timeout.as_secs_f64()),
            rate_limit: view
                .rate_limit
                .map(|limit| RateLimit { per_second: limit.rate(), burst: limit.burst() }),
            max_in_flight: view.max_in_flight,
            ordering: Ordering::of(view.ordering),
            destinations: view.destinations.iter().map(ToString::to_string).collect(),
            metadata: view.metadata,
            state,
            disabled_because: disabled.map(|(reason, _)| reason.into()),
            disabled_at: disabled.map(|(_, at)| at.into()),
            created_at: view.created_at.into(),
            updated_at: view.updated_at.into(),
            health: view.health.as_ref().map(Health::of),
            backlog: view.backlog.map(|backlog| Backlog {
                undelivered: backlog.undelivered,
                oldest: backlog.oldest.map(Into::into),
                held_until: backlog.held_until.map(Into::into),
            }),
        }
    }
}

impl Health {
    pub(super) fn of(health: &WebhookHealth) -> Self {
        Self {
            last_success_at: health.last_success_at.map(Into::into),
            last_failure_at: health.last_failure_at.map(Into::into),
            failing_since: health.failing_since.map(Into::into),
            failed_deliveries: health.failed_deliveries,
        }
    }
}

impl WebhookWithSecret {
    pub(super) fn of(created: Created) -> Self {
        let secret = created.secret.map(|secret| secret.reveal());
        Self { webhook: Webhook::of(created.webhook), secret }
    }
}
