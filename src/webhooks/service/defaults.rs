//! What applies to all webhooks of a tenant that do not say otherwise.

use std::time::Duration;

use http::HeaderName;

use crate::activity::model::ActivityKind;
use crate::error::{Problem, Result};
use crate::primitives::page::PageRequest;
use crate::webhooks::model::{TenantDefaults, Version, Webhook};
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::sealing::{AUTH, defaults_place};
use crate::webhooks::service::checks::{check_retry, check_timeout, clash, occupied_by_schemes};
use crate::webhooks::service::credentials::{Auth, Edit};
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::update::outdated;
use crate::webhooks::service::view::DefaultsView;
use crate::webhooks::service::wanted::WantedRetry;

/// A tenant's defaults as they are to be, made from what somebody has seen.
///
/// The login stays as it is unless it is mentioned.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{Auth, AuthView, DefaultsUpdate};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let admin = hub.admin(Actor::org_admin("org_42".parse()?, "ada"));
///
/// let update = DefaultsUpdate::of(&admin.defaults().await?).auth(Auth::bearer("a token of ours"));
/// let defaults = admin.update_defaults(update).await?;
///
/// assert_eq!(defaults.auth, Some(AuthView::Bearer));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DefaultsUpdate {
    version: Version,
    auth: Edit<Auth>,
    retry: Option<WantedRetry>,
    timeout: Option<Duration>,
}

impl DefaultsUpdate {
    /// The defaults as they were seen; what is not changed stays as it is.
    pub fn of(seen: &DefaultsView) -> Self {
        Self {
            version: seen.version,
            auth: Edit::Keep,
            retry: seen.retry.clone().map(WantedRetry::Policy),
            timeout: seen.timeout,
        }
    }

    /// The version that this was made from, as a client has named it.
    #[must_use]
    pub fn version(mut self, seen: Version) -> Self {
        self.version = seen;
        self
    }

    /// One login for all of the tenant's URLs. A basic login without a password keeps the password that is stored.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Edit::Set(auth);
        self
    }

    /// Forgets the login.
    #[must_use]
    pub fn clear_auth(mut self) -> Self {
        self.auth = Edit::Clear;
        self
    }

    /// When failed deliveries are tried again, instead of the hub's default.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(WantedRetry::Policy(policy));
        self
    }

    /// Tries failed deliveries again after these waits, one after the other.
    #[must_use]
    pub fn retry_after(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
        self.retry = Some(WantedRetry::Waits(waits.into_iter().collect()));
        self
    }

    /// Tries failed deliveries again as the hub's default says.
    #[must_use]
    pub fn default_retry(mut self) -> Self {
        self.retry = None;
        self
    }

    /// How long a request may take in all.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets requests take as long as the hub's default says.
    #[must_use]
    pub fn default_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }
}

impl Plan<'_> {
    /// Plans the tenant's defaults.
    pub(crate) async fn update_defaults(&mut self, update: DefaultsUpdate) -> Result<()> {
        let found = self.defaults().await?.clone();
        if update.version != found.version {
            self.conflict(outdated(update.version, found.version));
            return Ok(());
        }
        let mut problems = Vec::new();
        let retry = match update.retry {
            None => None,
            Some(WantedRetry::Policy(policy)) => Some(policy),
            Some(WantedRetry::Waits(waits)) => check_retry(waits, &mut problems),
        };
        check_timeout(update.timeout, &self.context.settings, &mut problems);
        let auth = match update.auth {
            Edit::Keep => Edit::Keep,
            Edit::Clear => Edit::Clear,
            Edit::Set(auth) => auth.check(&mut problems).map_or(Edit::Keep, Edit::Set),
        };
        if let Edit::Set(auth) = &auth {
            problems.extend(self.clash_with_webhooks(&auth.header_names()).await?);
        }
        if !problems.is_empty() {
            self.refuse(problems);
            return Ok(());
        }

        let mut wanted = TenantDefaults { retry, timeout: update.timeout, ..found.clone() };
        match auth {
            Edit::Keep => {}
            Edit::Clear => wanted.auth = None,
            Edit::Set(auth) => {
                let place = defaults_place(self.tenant().as_str(), AUTH);
                wanted.auth = Some(self.seal_auth(place, auth, found.auth.as_ref()).await?);
            }
        }
        let changed = changed_fields(&found, &wanted);
        if !changed.is_empty() {
            let activity = self
                .activity(ActivityKind::DefaultsUpdated, self.tenant())
                .with_detail("changed", changed.join(", "));
            self.log(activity);
            *self.defaults().await? = wanted;
        }
        Ok(())
    }

    /// A webhook without a login of its own that writes one of these headers itself, if there is one.
    async fn clash_with_webhooks(&self, names: &[HeaderName]) -> Result<Option<Problem>> {
        let mut page = PageRequest::first(PageRequest::MAX);
        loop {
            let webhooks = self.context.repository.webhooks(self.tenant(), page).await?;
            let first = webhooks.items.iter().find_map(|webhook| {
                let name = names.iter().find(|name| writes(webhook, name))?;
                Some(clash("auth", name, &format!("the webhook {}", webhook.id)))
            });
            match (first, webhooks.next) {
                (None, Some(next)) => page = page.after(next),
                (first, _) => return Ok(first),
            }
        }
    }
}

fn writes(webhook: &Webhook, name: &HeaderName) -> bool {
    webhook.auth.is_none()
        && (webhook.headers.iter().any(|(written, _)| written == name)
            || occupied_by_schemes(&webhook.schemes).contains(name))
}

fn changed_fields(before: &TenantDefaults, after: &TenantDefaults) -> Vec<&'static str> {
    let fields = [
        ("auth", before.auth != after.auth),
        ("retry", before.retry != after.retry),
        ("timeout", before.timeout != after.timeout),
    ];
    fields.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
