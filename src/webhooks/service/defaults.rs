//! What applies to all webhooks of a tenant that do not say otherwise.

use std::time::Duration;

use http::HeaderName;

use crate::activity::model::ActivityKind;
use crate::error::{Problem, Result};
use crate::primitives::page::PageRequest;
use crate::webhooks::model::{LoginHosts, TenantDefaults, Version, Webhook};
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::sealing::{AUTH, defaults_place};
use crate::webhooks::service::checks::{
    Checked, check_hosts, check_retry, check_timeout, clash, occupied_by_schemes,
};
use crate::webhooks::service::credentials::{Auth, CheckedAuth, Edit, keeps_credential, stored_header_names};
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::update::outdated;
use crate::webhooks::service::view::DefaultsView;
use crate::webhooks::service::wanted::{WantedHosts, WantedRetry};

/// A tenant's defaults as they are to be, made from what somebody has seen.
///
/// The login stays as it is unless it is mentioned. A login says which hosts it may be sent to: otherwise whoever may create a
/// webhook could have it sent to a host of their own, and read there what nobody can read here.
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
/// let update = DefaultsUpdate::of(&admin.defaults().await?)
///     .auth(Auth::bearer("token-of-ours"))
///     .auth_hosts(["erp.example.com"]);
/// let defaults = admin.update_defaults(update).await?;
///
/// assert_eq!(defaults.auth, Some(AuthView::Bearer));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DefaultsUpdate {
    version: Version,
    auth: Edit<Auth>,
    /// `None` means as they are.
    auth_hosts: Option<WantedHosts>,
    retry: Option<WantedRetry>,
    timeout: Option<Duration>,
}

impl DefaultsUpdate {
    /// The defaults as they were seen; what is not changed stays as it is.
    pub fn of(seen: &DefaultsView) -> Self {
        Self {
            version: seen.version,
            auth: Edit::Keep,
            auth_hosts: None,
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

    /// One login for the tenant's webhooks that have none of their own. A basic login without a password keeps the password that
    /// is stored. It needs hosts, unless some are stored already.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Edit::Set(auth);
        self
    }

    /// The hosts that the login may be sent to, such as `erp.example.com`. Requests to others go without it, and
    /// [`WebhookAdmin::diagnose`](crate::webhooks::WebhookAdmin::diagnose) says so if their receivers refuse them. More hosts than
    /// before need the login anew.
    #[must_use]
    pub fn auth_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.auth_hosts = Some(WantedHosts::Only(hosts.into_iter().map(Into::into).collect()));
        self
    }

    /// Lets the login be sent to every host that one of the tenant's webhooks names, also of webhooks to come: whoever may create
    /// one can then read the login there.
    #[must_use]
    pub fn auth_for_all_hosts(mut self) -> Self {
        self.auth_hosts = Some(WantedHosts::All);
        self
    }

    /// Forgets the login, and its hosts.
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
        let names = match &auth {
            Edit::Keep => stored_header_names(found.auth.as_ref()),
            Edit::Set(auth) => auth.header_names(),
            Edit::Clear => Vec::new(),
        };
        // Whoever logs in writes a header.
        let has_login = !names.is_empty();
        let says_hosts = update.auth_hosts.is_some();
        let hosts = match update.auth_hosts {
            Some(wanted) => check_hosts(wanted, &self.context.egress, &mut problems),
            None if has_login => found.auth_hosts.clone(),
            None => LoginHosts::default(),
        };
        if problems.is_empty() {
            problems.extend(unsaid(has_login, says_hosts, &hosts));
            problems.extend(spreads_credential(&found, &hosts, &auth));
            problems.extend(self.clash_with_webhooks(&names, &hosts).await?);
        }
        if !problems.is_empty() {
            self.refuse(problems);
            return Ok(());
        }

        let mut wanted =
            TenantDefaults { retry, timeout: update.timeout, auth_hosts: hosts, ..found.clone() };
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

    /// The headers that the tenant's default login writes into requests to this URL.
    pub(crate) async fn headers_of_default_login(&mut self, checked: &Checked) -> Result<Vec<HeaderName>> {
        let defaults = self.defaults().await?;
        Ok(stored_header_names(checked.url().and_then(|url| defaults.auth_for(url))))
    }

    /// A webhook that is sent this login and writes one of its headers itself, if there is one.
    async fn clash_with_webhooks(&self, names: &[HeaderName], hosts: &LoginHosts) -> Result<Option<Problem>> {
        if names.is_empty() {
            return Ok(None);
        }
        let mut page = PageRequest::first(PageRequest::MAX);
        loop {
            let webhooks = self.context.repository.webhooks(self.tenant(), page).await?;
            let mut sent = webhooks.items.iter().filter(|webhook| hosts.allow(&webhook.url));
            let first = sent.find_map(|webhook| {
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

/// A login without hosts, or hosts without a login.
fn unsaid(has_login: bool, says_hosts: bool, hosts: &LoginHosts) -> Option<Problem> {
    if has_login && *hosts == LoginHosts::default() {
        let fix = "name them, such as `erp.example.com`, or choose all hosts";
        return Some(Problem::new("auth_hosts", "a default login says which hosts it may be sent to", fix));
    }
    (says_hosts && !has_login).then(|| {
        Problem::new("auth_hosts", "hosts belong to a login, and there is none", "give the login as well")
    })
}

/// A stored login would go to hosts that it was not given for: whoever can change the list could read it that way.
fn spreads_credential(
    found: &TenantDefaults,
    hosts: &LoginHosts,
    auth: &Edit<CheckedAuth>,
) -> Option<Problem> {
    let spreads = !hosts.are_within(&found.auth_hosts) && keeps_credential(found.auth.as_ref(), auth);
    spreads.then(|| {
        Problem::new(
            "auth",
            "a stored login is not sent to other hosts than those it was given for",
            "give the login again, or clear it",
        )
    })
}

fn writes(webhook: &Webhook, name: &HeaderName) -> bool {
    webhook.auth.is_none()
        && (webhook.headers.iter().any(|(written, _)| written == name)
            || occupied_by_schemes(&webhook.schemes).contains(name))
}

fn changed_fields(before: &TenantDefaults, after: &TenantDefaults) -> Vec<&'static str> {
    let fields = [
        ("auth", before.auth != after.auth),
        ("auth_hosts", before.auth_hosts != after.auth_hosts),
        ("retry", before.retry != after.retry),
        ("timeout", before.timeout != after.timeout),
    ];
    fields.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
