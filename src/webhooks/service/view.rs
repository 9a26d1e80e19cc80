//! What reading a webhook shows: everything but what must not be seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use crate::events::envelope::PayloadFormat;
use crate::events::event_type::EventPattern;
use crate::lanes::throttle::RateLimit;
use crate::primitives::egress::TenantUrl;
use crate::primitives::id::WebhookId;
use crate::primitives::page::PageRequest;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    LoginHosts, Ordering, StoredAuth, TenantDefaults, Version, Webhook, WebhookState,
};
use crate::webhooks::repository::Backlog;
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::service::credentials::SecretOnce;
use crate::webhooks::service::listing::{After, paging};
use crate::webhooks::sign::SignatureScheme;

/// A webhook as people see it: every setting, and of credentials only that they are there.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{Auth, AuthView, NewWebhook, WebhookState};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
/// let login = Auth::basic("crossdock").with_password("correct horse");
/// let wanted = NewWebhook::to("https://erp.example.com/hooks").events(["order.*"]).auth(login);
/// let id = webhooks.create(wanted).await?.webhook.id;
///
/// let view = webhooks.webhook(id).await?;
///
/// assert_eq!((&*view.name, view.state), ("erp.example.com", WebhookState::Active));
/// assert_eq!(view.auth, Some(AuthView::Basic { username: "crossdock".into(), has_password: true }));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WebhookView {
    /// Names the webhook.
    pub id: WebhookId,
    /// Grows with every change; an update names the version it was made from.
    pub version: Version,
    /// What people call it.
    pub name: String,
    /// Where deliveries go.
    pub url: TenantUrl,
    /// If set, only events with this same owner are heard.
    pub owner: Option<Arc<str>>,
    /// Which event types are heard.
    pub events: Vec<EventPattern>,
    /// If not empty, only events that carry one of these channels are heard.
    pub channels: Vec<Arc<str>>,
    /// How an event becomes bytes.
    pub format: PayloadFormat,
    /// The mapping document, as JSON, that writes the whole body instead of the format.
    pub mapping: Option<Arc<str>>,
    /// How requests are signed; none means unsigned.
    pub schemes: Vec<SignatureScheme>,
    /// Whether there is a signing secret.
    pub has_secret: bool,
    /// When each live secret was made and until when it signs, newest first.
    pub secrets: Vec<SecretView>,
    /// How requests log in; `None` means the tenant's default.
    pub auth: Option<AuthView>,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
    /// When failed deliveries are tried again; `None` means the tenant's or the hub's default.
    pub retry: Option<RetryPolicy>,
    /// How long a request may take in all; `None` means the tenant's or the hub's default.
    pub timeout: Option<Duration>,
    /// At most so many requests per second.
    pub rate_limit: Option<RateLimit>,
    /// At most so many requests at once; `None` means the hub's default.
    pub max_in_flight: Option<u32>,
    /// Whether deliveries keep the order of events.
    pub ordering: Ordering,
    /// If not empty, requests go only to addresses in these networks.
    pub destinations: Vec<IpNet>,
    /// The host's own labels.
    pub metadata: BTreeMap<String, String>,
    /// Whether deliveries are made, wait, or are skipped.
    pub state: WebhookState,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// How the receiver has done; given where it was asked for.
    pub health: Option<WebhookHealth>,
    /// How much is undone; given where it was asked for.
    pub backlog: Option<Backlog>,
}

/// One signing secret, without the secret.
///
/// ```
/// use crossdock::webhooks::{SecretView, WebhookView};
///
/// /// The secrets that will end by themselves.
/// fn ending(webhook: &WebhookView) -> impl Iterator<Item = &SecretView> {
///     webhook.secrets.iter().filter(|secret| secret.expires_at.is_some())
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SecretView {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From then on it no longer signs; `None` for the present one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How requests log in, without what they log in with.
///
/// ```
/// use crossdock::webhooks::AuthView;
///
/// let view = AuthView::Basic { username: "crossdock".into(), has_password: true };
///
/// assert_eq!(view.as_str(), "basic");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuthView {
    /// Not at all, even if the tenant has a default.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user's name.
        username: String,
        /// Whether a password is stored.
        has_password: bool,
    },
    /// `authorization: Bearer …`.
    Bearer,
    /// Headers of the receiver's own; their names.
    Headers(Vec<String>),
}

/// A webhook with a new secret, which is shown this once.
///
/// ```
/// use crossdock::webhooks::Created;
///
/// /// What a page shows after "Create".
/// fn show_once(created: &Created) -> String {
///     match &created.secret {
///         Some(secret) => format!("{}: copy this secret now: {}", created.webhook.name, secret.reveal()),
///         None => format!("{}: unsigned", created.webhook.name),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Created {
    /// The webhook.
    pub webhook: WebhookView,
    /// What the receiver checks signatures with; `None` if requests are unsigned, or signed with a private key alone.
    pub secret: Option<SecretOnce>,
}

/// What applies to all webhooks of a tenant that do not say otherwise, as people see it.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::Version;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
///
/// let defaults = hub.admin(Actor::member("org_42".parse()?, "grace")).defaults().await?;
///
/// assert_eq!((defaults.version, defaults.auth), (Version::NONE, None));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DefaultsView {
    /// Grows with every change; an update names the version it was made from.
    pub version: Version,
    /// One login for the tenant's webhooks that have none of their own.
    pub auth: Option<AuthView>,
    /// Where that login may be sent.
    pub auth_hosts: LoginHosts,
    /// One retry policy for all of the tenant's webhooks.
    pub retry: Option<RetryPolicy>,
    /// One timeout for all of the tenant's webhooks.
    pub timeout: Option<Duration>,
}

/// Which page of webhooks is wanted, and what along with each.
///
/// ```
/// use crossdock::webhooks::WebhookQuery;
///
/// let query = WebhookQuery::new().limit(20).with_health().with_backlog();
///
/// assert_eq!(query, query.clone());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WebhookQuery {
    pub(crate) limit: Option<usize>,
    pub(crate) after: Option<After>,
    pub(crate) health: bool,
    pub(crate) backlog: bool,
}

impl WebhookQuery {
    /// The first 50 webhooks.
    pub fn new() -> Self {
        Self::default()
    }

    paging!();

    /// With each webhook's health.
    #[must_use]
    pub fn with_health(mut self) -> Self {
        self.health = true;
        self
    }

    /// With each webhook's backlog.
    #[must_use]
    pub fn with_backlog(mut self) -> Self {
        self.backlog = true;
        self
    }

    pub(crate) fn page(&self) -> Result<PageRequest, crate::error::Problem> {
        super::listing::page(self.limit, self.after.as_ref())
    }
}

impl WebhookView {
    pub(crate) fn of(webhook: &Webhook, now: DateTime<Utc>) -> Self {
        let secrets: Vec<_> = webhook
            .secrets
            .iter()
            .filter(|secret| secret.is_live(now))
            .map(|secret| SecretView { created_at: secret.created_at, expires_at: secret.expires_at })
            .collect();
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            id: webhook.id,
            version: webhook.version,
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            owner: webhook.owner.clone(),
            events: webhook.events.clone(),
            channels: webhook.channels.clone(),
            format: webhook.format.clone(),
            mapping: webhook.mapping.clone(),
            schemes: webhook.schemes.clone(),
            has_secret: !secrets.is_empty(),
            secrets,
            auth: webhook.auth.as_ref().map(AuthView::of),
            headers: webhook.headers.iter().map(header).collect(),
            retry: webhook.retry.clone(),
            timeout: webhook.timeout,
            rate_limit: webhook.rate_limit,
            max_in_flight: webhook.max_in_flight,
            ordering: webhook.ordering,
            destinations: webhook.destinations.to_vec(),
            metadata: webhook.metadata.clone(),
            state: webhook.state,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            health: None,
            backlog: None,
        }
    }
}

impl AuthView {
    pub(crate) fn of(auth: &StoredAuth) -> Self {
        match auth {
            StoredAuth::None => Self::None,
            StoredAuth::Basic { username, password } => {
                Self::Basic { username: username.clone(), has_password: password.is_some() }
            }
            StoredAuth::Bearer { .. } => Self::Bearer,
            StoredAuth::Headers(headers) => {
                Self::Headers(headers.iter().map(|(name, _)| name.as_str().to_owned()).collect())
            }
        }
    }

    /// The word that logs and listings use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic { .. } => "basic",
            Self::Bearer => "bearer",
            Self::Headers(_) => "headers",
        }
    }
}

impl DefaultsView {
    pub(crate) fn of(defaults: &TenantDefaults) -> Self {
        Self {
            version: defaults.version,
            auth: defaults.auth.as_ref().map(AuthView::of),
            auth_hosts: defaults.auth_hosts.clone(),
            retry: defaults.retry.clone(),
            timeout: defaults.timeout,
        }
    }
}
