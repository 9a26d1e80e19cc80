//! A key that is to be created.

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use crate::api_keys::networks;
use crate::api_keys::permission::Permissions;
use crate::api_keys::rate::CallRate;
use crate::api_keys::scope::Rights;
use crate::api_keys::settings::ApiKeySettings;
use crate::api_keys::token::Environment;
use crate::error::Problem;
use crate::primitives::time::later;
use crate::tenancy::model::TenantId;

/// A key that is to be created.
///
/// What people type is plain text here; [`ApiKeyAdmin::create`](super::ApiKeyAdmin::create) checks all of it and says everything that
/// is wrong at once.
///
/// ```
/// use crossdock::api_keys::{NewApiKey, Permission};
///
/// let key = NewApiKey::new("ERP")
///     .allow([Permission::Read])
///     .scopes(["orders:write"])
///     .networks(["198.51.100.0/24"])
///     .max_uses(1_000);
/// # drop(key);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NewApiKey {
    name: String,
    permissions: Permissions,
    scopes: Vec<String>,
    networks: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) rate: Option<CallRate>,
    pub(crate) address_rate: Option<CallRate>,
    pub(crate) max_uses: Option<u64>,
}

/// What is fit to be stored.
#[derive(Debug)]
pub(crate) struct CheckedKey {
    pub(crate) name: String,
    pub(crate) rights: Rights,
    pub(crate) networks: Vec<IpNet>,
}

impl NewApiKey {
    /// A key of this name that may do nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            permissions: Permissions::NONE,
            scopes: Vec::new(),
            networks: Vec::new(),
            environment: Environment::Live,
            not_before: None,
            expires_at: None,
            rate: None,
            address_rate: None,
            max_uses: None,
        }
    }

    /// What it may do, over everything.
    pub fn allow(mut self, permissions: impl Into<Permissions>) -> Self {
        self.permissions = permissions.into();
        self
    }

    /// What it may do besides, over parts: declared scopes such as `orders:read`, or narrower ones such as `orders/ord_1:read`.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// From which networks alone it may be used, as `198.51.100.0/24` or `2001:db8::7`; from everywhere if none is given.
    pub fn networks<S: Into<String>>(mut self, networks: impl IntoIterator<Item = S>) -> Self {
        self.networks = networks.into_iter().map(Into::into).collect();
        self
    }

    /// A key for the world to try things in: its token says `test`.
    pub fn test(mut self) -> Self {
        self.environment = Environment::Test;
        self
    }

    /// From when on it may be used.
    pub fn not_before(mut self, time: DateTime<Utc>) -> Self {
        self.not_before = Some(time);
        self
    }

    /// When it ends: from that instant on it is expired.
    pub fn expires_at(mut self, time: DateTime<Utc>) -> Self {
        self.expires_at = Some(time);
        self
    }

    /// How often it may call, in the place of the host's default. Each process counts for itself.
    pub fn rate(mut self, rate: CallRate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// How often it may call from one address, or one /64 of IPv6, in the place of the host's default.
    pub fn address_rate(mut self, rate: CallRate) -> Self {
        self.address_rate = Some(rate);
        self
    }

    /// How often it may be used in all, over all processes and with its successors. Never more; a process that ends without shutting
    /// down loses up to one in sixty-four of them, at most 256.
    pub fn max_uses(mut self, uses: u64) -> Self {
        self.max_uses = Some(uses);
        self
    }

    /// Looks at every field; what is wrong is appended, and nothing of the rest may be stored then.
    pub(crate) fn check(
        &self,
        settings: &ApiKeySettings,
        tenant: &TenantId,
        now: DateTime<Utc>,
        problems: &mut Vec<Problem>,
    ) -> CheckedKey {
        let name = check_name(&self.name, problems);
        let scopes = settings.scopes.check(&self.scopes, problems);
        let rights = scopes.into_iter().fold(Rights::new(self.permissions), Rights::with_scope);
        if rights.is_empty() && self.scopes.is_empty() {
            let rule = "a key may do something";
            problems.push(Problem::new("permissions", rule, "give it a permission or a scope"));
        }
        let networks = networks::check(&self.networks, problems);
        if self.max_uses == Some(0) {
            problems.push(Problem::new(
                "max_uses",
                "a key can be used",
                "leave it out for any number of uses",
            ));
        }
        check_end(self.expires_at, settings, tenant, now, problems);
        if let (Some(begin), Some(end)) = (self.not_before, self.expires_at)
            && end <= begin
        {
            let rule = "a key ends after it begins";
            problems.push(Problem::new("not_before", rule, "put it before `expires_at`"));
        }
        CheckedKey { name, rights, networks }
    }
}

fn check_name(name: &str, problems: &mut Vec<Problem>) -> String {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        problems.push(Problem::new(
            "name",
            format!("a name has 1 to {MAX_NAME} characters, none of them a control character"),
            "name what uses the key, such as `ERP`",
        ));
    }
    name.to_owned()
}

/// Whether a key may end then.
pub(crate) fn check_end(
    expires_at: Option<DateTime<Utc>>,
    settings: &ApiKeySettings,
    tenant: &TenantId,
    now: DateTime<Utc>,
    problems: &mut Vec<Problem>,
) {
    if expires_at.is_some_and(|end| end <= now) {
        let rule = "a key ends in the future";
        problems.push(Problem::new("expires_at", rule, "choose a later time, or leave it out"));
    }
    if let Some(life) = settings.max_life_for(tenant) {
        let latest = later(now, life);
        if expires_at.is_none_or(|end| end > latest) {
            let rule = format!("a key here lives for at most {} s", life.as_secs());
            problems.push(Problem::new("expires_at", rule, format!("let it end at {latest} or before")));
        }
    }
}

const MAX_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;
    use crate::api_keys::declared::Scopes;
    use crate::api_keys::permission::Permission;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn settings() -> ApiKeySettings {
        ApiKeySettings::new().scopes(Scopes::declare(["orders:read"]).expect("scopes"))
    }

    fn fields(new: &NewApiKey, settings: &ApiKeySettings) -> Vec<String> {
        let mut problems = Vec::new();
        new.check(settings, &"acme".parse().expect("a tenant"), now(), &mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    fn good() -> NewApiKey {
        NewApiKey::new("ERP").allow([Permission::Read])
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wrong = NewApiKey::new(" ")
            .scopes(["orders:write", "orders"])
            .networks(["10.0.0.5/8", "x"])
            .max_uses(0)
            .not_before(now())
            .expires_at(now());

        let fields = fields(&wrong, &settings());

        assert_eq!(
            fields,
            [
                "name",
                "scopes[0]",
                "scopes[1]",
                "networks[0]",
                "networks[1]",
                "max_uses",
                "expires_at",
                "not_before"
            ]
        );
    }

    #[test]
    fn a_key_may_do_something() {
        assert_eq!(fields(&NewApiKey::new("ERP"), &settings()), ["permissions"]);
        assert!(fields(&NewApiKey::new("ERP").scopes(["orders:read"]), &settings()).is_empty());
        assert!(fields(&good(), &settings()).is_empty());
    }

    #[test]
    fn a_name_is_short_and_printable() {
        for (name, fits) in [("ERP Süd", true), ("", false), ("a\nb", false), (" x ", true)] {
            let new = NewApiKey::new(name).allow([Permission::Read]);
            assert_eq!(fields(&new, &settings()).is_empty(), fits, "{name:?}");
        }
        assert!(fields(&NewApiKey::new("ü".repeat(200)).allow([Permission::Read]), &settings()).is_empty());
        assert_eq!(fields(&NewApiKey::new("ü".repeat(201)).allow([Permission::Read]), &settings()), ["name"]);
    }

    #[test]
    fn a_key_ends_in_the_future_and_within_the_longest_life() {
        let moment = TimeDelta::microseconds(1);
        assert_eq!(fields(&good().expires_at(now()), &settings()), ["expires_at"]);
        assert!(fields(&good().expires_at(now() + moment), &settings()).is_empty());

        let day = Duration::from_secs(86_400);
        let bounded = settings().max_life(day);
        assert_eq!(fields(&good(), &bounded), ["expires_at"]);
        assert!(fields(&good().expires_at(now() + day), &bounded).is_empty());
        assert_eq!(fields(&good().expires_at(now() + day + moment), &bounded), ["expires_at"]);
    }
}
