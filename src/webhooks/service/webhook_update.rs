//! A webhook as it is to be.

use std::time::Duration;

use crate::events::envelope::PayloadFormat;
use crate::primitives::id::WebhookId;
use crate::primitives::secret::Secret;
use crate::webhooks::model::{Ordering, Version};
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::service::credentials::{Auth, Edit};
use crate::webhooks::service::view::WebhookView;
use crate::webhooks::service::wanted::{Wanted, WantedRetry, settings};
use crate::webhooks::sign::SignatureScheme;

/// A webhook as it is to be: all of it, made from what somebody has seen.
///
/// Credentials are the exception: what is not mentioned stays as it is.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{NewWebhook, WebhookUpdate};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let admin = hub.admin(Actor::org_admin("org_42".parse()?, "ada"));
/// let seen = admin.webhooks().create(NewWebhook::to("https://a.example.com/").events(["*"])).await?.webhook;
///
/// let changed = admin.webhooks().update(WebhookUpdate::of(&seen).url("https://b.example.com/")).await?;
/// assert_eq!(changed.url.host(), "b.example.com");
/// assert!(changed.has_secret);
///
/// // Somebody else has seen the version before: they are told.
/// let late = admin.webhooks().update(WebhookUpdate::of(&seen).name("ERP")).await.unwrap_err();
/// assert_eq!(late.kind(), crossdock::ErrorKind::Conflict);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct WebhookUpdate {
    pub(crate) id: WebhookId,
    pub(crate) version: Version,
    pub(crate) wanted: Wanted,
    pub(crate) secret: Edit<Secret>,
    pub(crate) auth: Edit<Auth>,
}

impl WebhookUpdate {
    settings!();

    /// The webhook as it was seen; what is not changed stays as it is.
    pub fn of(seen: &WebhookView) -> Self {
        Self {
            id: seen.id,
            version: seen.version,
            wanted: Wanted::of(seen),
            secret: Edit::Keep,
            auth: Edit::Keep,
        }
    }

    /// The version that this was made from, as a client has named it.
    #[must_use]
    pub fn version(mut self, seen: Version) -> Self {
        self.version = seen;
        self
    }

    /// Where deliveries go. A login of the webhook's own does not go along to another host: give it again, or clear it.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.wanted.url = url.into();
        self
    }

    /// Signs with this secret from now on, without an overlap; see [`WebhookAdmin::rotate`](super::WebhookAdmin::rotate) for one
    /// with an overlap.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Edit::Set(secret.into());
        self
    }

    /// Forgets the secrets; the webhook must be unsigned.
    #[must_use]
    pub fn clear_secret(mut self) -> Self {
        self.secret = Edit::Clear;
        self
    }

    /// How requests log in from now on. A basic login without a password keeps the password that is stored.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Edit::Set(auth);
        self
    }

    /// Forgets the webhook's own login; the tenant's default applies.
    #[must_use]
    pub fn clear_auth(mut self) -> Self {
        self.auth = Edit::Clear;
        self
    }
}
