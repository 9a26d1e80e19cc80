//! A webhook that is to be created.

use std::time::Duration;

use crate::events::envelope::PayloadFormat;
use crate::primitives::secret::Secret;
use crate::webhooks::model::Ordering;
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::service::credentials::Auth;
use crate::webhooks::service::wanted::{Wanted, WantedRetry, settings};
use crate::webhooks::sign::SignatureScheme;

/// A webhook that is to be created.
///
/// Everything that people type is plain text here; [`WebhookAdmin::create`](super::WebhookAdmin::create) checks all of it and says
/// everything that is wrong at once.
///
/// ```
/// use crossdock::webhooks::{Auth, NewWebhook};
///
/// let webhook = NewWebhook::new("ERP", "https://erp.example.com/hooks")
///     .events(["shipment.*", "order.placed"])
///     .auth(Auth::basic("crossdock").with_password("correct horse"))
///     .header("x-team", "logistics")
///     .rate_limit(5.0, 10)
///     .destinations(["198.51.100.0/24"]);
///
/// assert!(!format!("{webhook:?}").contains("correct horse"));
/// ```
#[derive(Clone, Debug)]
pub struct NewWebhook {
    pub(crate) wanted: Wanted,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) auth: Option<Auth>,
    pub(crate) begins: Begins,
}

/// Whether a new webhook delivers at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Begins {
    Active,
    Disabled,
}

impl NewWebhook {
    settings!();

    /// A webhook of this name to this URL.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            wanted: Wanted::new(name.into(), url.into()),
            secrets: Vec::new(),
            auth: None,
            begins: Begins::Active,
        }
    }

    /// A webhook to this URL, whose host serves as its name.
    pub fn to(url: impl Into<String>) -> Self {
        Self::new("", url)
    }

    /// Signs with this secret (at least 24 bytes) instead of a generated one. Given twice, with a text and an ed25519 private
    /// key, it serves schemes of both kinds.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// How requests log in at the receiver; without it the tenant's default applies.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Begins disabled: events are recorded as skipped until somebody enables it.
    #[must_use]
    pub fn inactive(mut self) -> Self {
        self.begins = Begins::Disabled;
        self
    }
}
