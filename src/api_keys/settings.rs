//! What a host says about the keys of its API.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api_keys::call::TokenHeader;
use crate::api_keys::client_ip::TrustedProxies;
use crate::api_keys::declared::Scopes;
use crate::api_keys::rate::CallRate;
use crate::api_keys::token::TokenForm;
use crate::error::Problem;
use crate::tenancy::model::TenantId;

/// What a host says about the keys of its API; each has a default that suits most.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::api_keys::{ApiKeySettings, CallRate, Scopes, TrustedProxies};
///
/// let hub = Hub::builder()
///     .api_keys(
///         ApiKeySettings::new()
///             .prefix("acme")
///             .scopes(Scopes::declare(["orders:read", "orders:write"])?)
///             .proxies(TrustedProxies::x_forwarded_for(["10.0.0.0/8"])?)
///             .rate(CallRate::per_minute(6_000)?),
///     )
///     .build()?;
/// # drop(hub);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ApiKeySettings {
    prefix: String,
    pub(crate) header: TokenHeader,
    pub(crate) scopes: Scopes,
    pub(crate) proxies: TrustedProxies,
    pub(crate) rate: Option<CallRate>,
    pub(crate) address_rate: Option<CallRate>,
    max_life: Option<Duration>,
    max_life_of: BTreeMap<TenantId, Duration>,
    pub(crate) max_keys: usize,
    pub(crate) cached: usize,
    pub(crate) on_leak: LeakPolicy,
    pub(crate) calls: CallLogging,
}

/// What happens to a key that was found in the open.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LeakPolicy {
    /// It is revoked at once.
    #[default]
    Revoke,
    /// It is marked, and goes on until somebody revokes it.
    Mark,
}

/// Which calls stand in the activity log.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum CallLogging {
    /// What succeeded, counted by minute, and errors.
    #[default]
    Everything,
    /// Errors alone.
    Errors,
    /// None.
    Nothing,
}

impl ApiKeySettings {
    /// Tokens that begin with `cd`, in the bearer header; no scopes, no proxies, no limits but 1,000 keys per tenant.
    pub fn new() -> Self {
        Self {
            prefix: "cd".to_owned(),
            header: TokenHeader::default(),
            scopes: Scopes::default(),
            proxies: TrustedProxies::none(),
            rate: None,
            address_rate: None,
            max_life: None,
            max_life_of: BTreeMap::new(),
            max_keys: 1_000,
            cached: 200_000,
            on_leak: LeakPolicy::default(),
            calls: CallLogging::default(),
        }
    }

    /// What tokens begin with: the product's name, short. Tokens with another prefix are refused from then on.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// In which header the token stands.
    pub fn header(mut self, header: TokenHeader) -> Self {
        self.header = header;
        self
    }

    /// Which scopes the API knows.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Which proxies are the host's own.
    pub fn proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// How often a key may call, unless it says otherwise; any number of times by default. Each process counts for itself.
    pub fn rate(mut self, rate: CallRate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// How often a key may call from one address, or one /64 of IPv6, unless it says otherwise.
    pub fn address_rate(mut self, rate: CallRate) -> Self {
        self.address_rate = Some(rate);
        self
    }

    /// How long a key may live at most: it must have an end then.
    pub fn max_life(mut self, life: Duration) -> Self {
        self.max_life = Some(life);
        self
    }

    /// How long the keys of one tenant may live at most.
    pub fn max_life_of(mut self, tenant: TenantId, life: Duration) -> Self {
        self.max_life_of.insert(tenant, life);
        self
    }

    /// How many keys a tenant may have that are not revoked; 1,000 by default.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// How many keys a process keeps in memory; 200,000 by default, of about 1 KiB each.
    pub fn cached_keys(mut self, keys: usize) -> Self {
        self.cached = keys;
        self
    }

    /// What happens to a key that was found in the open.
    pub fn on_leak(mut self, policy: LeakPolicy) -> Self {
        self.on_leak = policy;
        self
    }

    /// Which calls stand in the activity log, of those that [are recorded](crate::api_keys::Gate::record).
    pub fn log_calls(mut self, which: CallLogging) -> Self {
        self.calls = which;
        self
    }

    pub(crate) fn max_life_for(&self, tenant: &TenantId) -> Option<Duration> {
        self.max_life_of.get(tenant).copied().or(self.max_life)
    }

    /// How tokens look, or everything that is wrong.
    pub(crate) fn check(&self) -> Result<TokenForm, Vec<Problem>> {
        let mut problems = Vec::new();
        let form = TokenForm::new(&self.prefix);
        if let Err(invalid) = &form {
            problems.push(Problem::new(
                "api_keys.prefix",
                invalid.to_string(),
                "use the product's name, such as `acme`",
            ));
        }
        if self.max_keys == 0 {
            problems.push(Problem::new("api_keys.max_keys", "a tenant may have a key", "use 1000"));
        }
        if self.cached == 0 {
            problems.push(Problem::new(
                "api_keys.cached_keys",
                "a process keeps at least one key",
                "use 200000",
            ));
        }
        let lives = self.max_life_of.values().chain(&self.max_life);
        if lives.into_iter().any(Duration::is_zero) {
            problems.push(Problem::new("api_keys.max_life", "a key lives for some time", "use 90 days"));
        }
        form.ok().filter(|_| problems.is_empty()).ok_or(problems)
    }
}

impl Default for ApiKeySettings {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let settings = ApiKeySettings::new().prefix("A").max_keys(0).cached_keys(0).max_life(Duration::ZERO);

        let problems = settings.check().expect_err("refused");

        let fields: Vec<_> = problems.iter().map(|problem| &*problem.field).collect();
        assert_eq!(
            fields,
            ["api_keys.prefix", "api_keys.max_keys", "api_keys.cached_keys", "api_keys.max_life"]
        );
        assert_eq!(ApiKeySettings::new().check().map(|form| form.prefix().to_owned()), Ok("cd".to_owned()));
    }

    #[test]
    fn a_tenant_can_have_a_rule_of_its_own() {
        let (acme, other): (TenantId, TenantId) = ("acme".parse().expect("a"), "other".parse().expect("a"));
        let day = Duration::from_secs(86_400);
        let settings = ApiKeySettings::new().max_life(2 * day).max_life_of(acme.clone(), day);

        assert_eq!((settings.max_life_for(&acme), settings.max_life_for(&other)), (Some(day), Some(2 * day)));
        assert_eq!(ApiKeySettings::new().max_life_for(&acme), None);
    }
}
