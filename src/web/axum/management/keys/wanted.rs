//! What is created and asked for.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::api_keys::{self, NewApiKey, Permissions};
use crate::error::Problem;
use crate::web::axum::management::keys::words::{Environment, KeyStatus, Permission, Rate};
use crate::web::axum::management::query;
use crate::web::axum::management::shapes::{SecretText, Time};

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What people call it.
    name: String,
    /// What it may do, over everything.
    #[serde(default)]
    permissions: Vec<Permission>,
    /// What it may do besides, over parts, such as `orders:read`.
    #[serde(default)]
    scopes: Vec<String>,
    /// From which networks alone it may be used, such as `198.51.100.0/24`.
    #[serde(default)]
    networks: Vec<String>,
    /// Which world it opens; `live` unless it is said.
    #[serde(default)]
    environment: Option<Environment>,
    /// From when on it may be used.
    #[serde(default)]
    not_before: Option<Time>,
    /// When it ends.
    #[serde(default)]
    expires_at: Option<Time>,
    /// How often it may call.
    #[serde(default)]
    rate: Option<Rate>,
    /// How often it may call from one address.
    #[serde(default)]
    address_rate: Option<Rate>,
    /// How often it may be used in all.
    #[serde(default)]
    max_uses: Option<u64>,
}

/// Which keys are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeyQuery {
    /// Only those that stand like one of these, separated by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(explode = false, style = Form, required = false)]
    pub(super) status: Vec<KeyStatus>,
    /// Only those that were not used since then.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) unused_since: Option<Time>,
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// The `next` of the page before.
    pub(super) after: Option<String>,
}

/// Why a key is revoked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    /// For people who look at it later.
    #[serde(default)]
    pub(super) reason: String,
}

/// How a successor takes a key's place.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Regenerate {
    /// How many seconds the old key may be used beside its successor: 0 to 30 days; a day unless it is said.
    #[serde(default)]
    pub(super) grace: Option<f64>,
    /// When the successor ends, in the place of the old key's end.
    #[serde(default)]
    pub(super) expires_at: Option<Time>,
}

/// A token that was found in the open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Leak {
    /// The whole token.
    #[schema(value_type = String, format = Password)]
    pub(super) token: SecretText,
}

impl NewKey {
    pub(super) fn wanted(self, problems: &mut Vec<Problem>) -> NewApiKey {
        let permissions = Permissions::from(self.permissions.into_iter().map(api_keys::Permission::from));
        let mut new =
            NewApiKey::new(self.name).allow(permissions).scopes(self.scopes).networks(self.networks);
        if matches!(self.environment, Some(Environment::Test)) {
            new = new.test();
        }
        if let Some(time) = self.not_before {
            new = new.not_before(time.into());
        }
        if let Some(time) = self.expires_at {
            new = new.expires_at(time.into());
        }
        if let Some(rate) = self.rate.and_then(|rate| rate.checked("rate", problems)) {
            new = new.rate(rate);
        }
        if let Some(rate) = self.address_rate.and_then(|rate| rate.checked("address_rate", problems)) {
            new = new.address_rate(rate);
        }
        match self.max_uses {
            Some(uses) => new.max_uses(uses),
            None => new,
        }
    }
}
