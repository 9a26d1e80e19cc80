//! `/keys`: the keys of the host's own API.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_keys::{
    self, CallRate, CreatedKey, KeyDetails, KeyFilter, KeyRefusal, KeyState, KeyView, LeakReport, NewApiKey,
    Permissions, Regeneration,
};
use crate::error::Problem;
use crate::primitives::ApiKeyId;
use crate::web::axum::management::body::{Json, MaybeJson};
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::paging::{Listing, page};
use crate::web::axum::management::query::{self, Query};
use crate::web::axum::management::shapes::{Answer, Named, SecretText, Time, json, mirror, refuse, seconds};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(report_leaked))
        .routes(routes!(read))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(revoke))
        .routes(routes!(regenerate))
        .routes(routes!(refusals))
}

mirror!(
    /// What calls do, in four classes.
    Permission of api_keys::Permission {
        /// GET, HEAD, OPTIONS.
        Read,
        /// POST, PUT, PATCH.
        Write,
        /// DELETE.
        Delete,
        /// Whatever the host calls administrative.
        Admin,
    }
);
mirror!(
    /// Which world a key opens.
    Environment of api_keys::Environment { Live, Test }
);
mirror!(
    /// How a key stands.
    KeyStatus of api_keys::KeyStatus {
        Active, Expiring, Rotating, Disabled, NotYetValid, Expired, Exhausted, Revoked, Leaked,
    }
);

/// So many calls in a span of seconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rate {
    /// How many calls.
    calls: u32,
    /// In how many seconds.
    seconds: f64,
    /// How many at once after a quiet time; as many as `calls` unless it is said.
    #[serde(default)]
    burst: Option<u32>,
}

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
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

/// A key, without its token.
#[derive(Debug, Serialize, ToSchema)]
struct Key {
    id: String,
    /// How it is shown, such as `cd_live_rE7s…2ms3`.
    display: String,
    name: String,
    status: KeyStatus,
    environment: Environment,
    permissions: Vec<Permission>,
    scopes: Vec<String>,
    networks: Vec<String>,
    rate: Option<Rate>,
    address_rate: Option<Rate>,
    max_uses: Option<u64>,
    /// How many of these uses are spent, or leased to processes.
    used: u64,
    not_before: Option<Time>,
    expires_at: Option<Time>,
    /// Since when it is disabled or revoked.
    ended_at: Option<Time>,
    /// Why it was revoked.
    revoked_because: Option<String>,
    leaked_at: Option<Time>,
    successor: Option<Successor>,
    last_use: Option<LastUse>,
    created_at: Time,
    created_by: String,
    updated_at: Time,
}

/// What takes a key's place.
#[derive(Debug, Serialize, ToSchema)]
struct Successor {
    /// The key.
    id: String,
    /// Until when the old one may be used.
    until: Time,
}

/// The last use that is known.
#[derive(Debug, Serialize, ToSchema)]
struct LastUse {
    at: Time,
    address: String,
    route: String,
}

/// A key with its token, which is shown this once.
#[derive(Serialize, ToSchema)]
struct KeyWithToken {
    key: Key,
    /// What calls carry. It cannot be had again.
    token: String,
}

/// A key and how it was used.
#[derive(Debug, Serialize, ToSchema)]
struct KeyWithUsage {
    #[serde(flatten)]
    key: Key,
    /// The last 30 days.
    usage: Vec<Day>,
}

/// How the calls of one day ended.
#[derive(Debug, Serialize, ToSchema)]
struct Day {
    /// In UTC.
    #[schema(format = Date)]
    day: String,
    /// How many calls, by outcome: `allowed`, or the reason of a refusal.
    outcomes: BTreeMap<String, u64>,
}

/// Which keys are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct KeyQuery {
    /// Only those that stand like one of these, separated by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(explode = false, style = Form, required = false)]
    status: Vec<KeyStatus>,
    /// Only those that were not used since then.
    #[param(value_type = Option<String>, format = DateTime)]
    unused_since: Option<Time>,
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Which page is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
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
struct Revocation {
    /// For people who look at it later.
    #[serde(default)]
    reason: String,
}

/// How a successor takes a key's place.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Regenerate {
    /// How many seconds the old key may be used beside its successor: 0 to 30 days; a day unless it is said.
    #[serde(default)]
    grace: Option<f64>,
    /// When the successor ends, in the place of the old key's end.
    #[serde(default)]
    expires_at: Option<Time>,
}

/// A token that was found in the open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Leak {
    /// The whole token.
    #[schema(value_type = String, format = Password)]
    token: SecretText,
}

/// What a report of a leak was about.
#[derive(Debug, Serialize, ToSchema)]
struct LeakAnswer {
    /// Whether it is the token of one of this tenant's keys.
    known: bool,
    /// Which key.
    key: Option<String>,
    /// Whether it was revoked, or only marked.
    revoked: Option<bool>,
}

/// Calls that were refused for one reason within about a minute.
#[derive(Debug, Serialize, ToSchema)]
struct Refusals {
    reason: String,
    count: u64,
    /// When the last of them was.
    at: Time,
    address: Option<String>,
    route: Option<String>,
}

/// Lists keys
///
/// Newest first.
#[utoipa::path(get, path = "/keys", operation_id = "list_keys", tag = "keys", params(KeyQuery),
    responses((status = 200, body = Listing<Key>)))]
async fn list(Manager(admin): Manager, Query(query): Query<KeyQuery>) -> Answer {
    let page = page("keys", query.limit, query.after.as_deref())?;
    let statuses = query.status.into_iter().map(Into::into).collect();
    let filter = KeyFilter { statuses, unused_since: query.unused_since.map(Into::into) };
    let found = admin.api_keys().list(&filter, page).await?;
    json(StatusCode::OK, &Listing::of("keys", found, Key::of))
}

/// Makes a key
///
/// The answer holds its token, this once.
#[utoipa::path(post, path = "/keys", operation_id = "create_key", tag = "keys", request_body = NewKey,
    responses((status = 201, body = KeyWithToken)))]
async fn create(Manager(admin): Manager, Json(new): Json<NewKey>) -> Answer {
    let mut problems = Vec::new();
    let wanted = new.wanted(&mut problems);
    refuse("create key", problems)?;
    let created = admin.api_keys().create(wanted).await?;
    json(StatusCode::CREATED, &KeyWithToken::of(created))
}

/// Reads a key
///
/// With how it was used in the last 30 days.
#[utoipa::path(get, path = "/keys/{id}", operation_id = "read_key", tag = "keys",
    params(("id" = String, Path, description = "The key, such as `key_…`")),
    responses((status = 200, body = KeyWithUsage)))]
async fn read(Manager(admin): Manager, Named(id): Named<ApiKeyId>) -> Answer {
    let details = admin.api_keys().details(id).await?;
    json(StatusCode::OK, &KeyWithUsage::of(details))
}

/// Disables a key
///
/// Nobody comes in with it until it is enabled.
#[utoipa::path(post, path = "/keys/{id}/disable", operation_id = "disable_key", tag = "keys",
    params(("id" = String, Path, description = "The key, such as `key_…`")),
    responses((status = 200, body = Key)))]
async fn disable(Manager(admin): Manager, Named(id): Named<ApiKeyId>) -> Answer {
    json(StatusCode::OK, &Key::of(admin.api_keys().disable(id).await?))
}

/// Enables a key
#[utoipa::path(post, path = "/keys/{id}/enable", operation_id = "enable_key", tag = "keys",
    params(("id" = String, Path, description = "The key, such as `key_…`")),
    responses((status = 200, body = Key)))]
async fn enable(Manager(admin): Manager, Named(id): Named<ApiKeyId>) -> Answer {
    json(StatusCode::OK, &Key::of(admin.api_keys().enable(id).await?))
}

/// Revokes a key
///
/// At once, and for ever.
#[utoipa::path(post, path = "/keys/{id}/revoke", operation_id = "revoke_key", tag = "keys",
    params(("id" = String, Path, description = "The key, such as `key_…`")),
    request_body(content = Option<Revocation>),
    responses((status = 200, body = Key)))]
async fn revoke(
    Manager(admin): Manager,
    Named(id): Named<ApiKeyId>,
    MaybeJson(revocation): MaybeJson<Revocation>,
) -> Answer {
    json(StatusCode::OK, &Key::of(admin.api_keys().revoke(id, &revocation.reason).await?))
}

/// Regenerates a key
///
/// A successor with the same rights takes its place. The answer holds the successor's token, this once.
#[utoipa::path(post, path = "/keys/{id}/regenerate", operation_id = "regenerate_key", tag = "keys",
    params(("id" = String, Path, description = "The key, such as `key_…`")),
    request_body(content = Option<Regenerate>),
    responses((status = 201, body = KeyWithToken)))]
async fn regenerate(
    Manager(admin): Manager,
    Named(id): Named<ApiKeyId>,
    MaybeJson(wanted): MaybeJson<Regenerate>,
) -> Answer {
    let mut problems = Vec::new();
    let mut regeneration = Regeneration::new();
    if let Some(grace) = wanted.grace {
        regeneration = regeneration.grace(seconds("grace", grace, &mut problems));
    }
    if let Some(time) = wanted.expires_at {
        regeneration = regeneration.expires_at(time.into());
    }
    refuse("regenerate key", problems)?;
    let created = admin.api_keys().regenerate(id, regeneration).await?;
    json(StatusCode::CREATED, &KeyWithToken::of(created))
}

/// Lists the refusals of a key
///
/// Why does it not work? Newest first.
#[utoipa::path(get, path = "/keys/{id}/refusals", operation_id = "list_key_refusals", tag = "keys",
    params(("id" = String, Path, description = "The key, such as `key_…`"), PageQuery),
    responses((status = 200, body = Listing<Refusals>)))]
async fn refusals(
    Manager(admin): Manager,
    Named(id): Named<ApiKeyId>,
    Query(query): Query<PageQuery>,
) -> Answer {
    let page = page("refusals", query.limit, query.after.as_deref())?;
    let found = admin.api_keys().refusals(id, page).await?;
    json(StatusCode::OK, &Listing::of("refusals", found, Refusals::of))
}

/// Reports a leaked token
///
/// The key is marked and, unless the host says otherwise, revoked.
#[utoipa::path(post, path = "/keys/leaks", operation_id = "report_leaked_key", tag = "keys",
    request_body = Leak, responses((status = 200, body = LeakAnswer)))]
async fn report_leaked(Manager(admin): Manager, Json(leak): Json<Leak>) -> Answer {
    let token = leak.token.0.expose_text().unwrap_or_default();
    let answer = match admin.api_keys().report_leaked(token).await? {
        // The token of another tenant's key proves that it is in the open, and tells nothing about whose it is.
        LeakReport::Known(leaked) if leaked.tenant == *admin.actor().tenant() => {
            LeakAnswer { known: true, key: Some(leaked.key.to_string()), revoked: Some(leaked.revoked) }
        }
        LeakReport::Known(_) | LeakReport::Unknown => LeakAnswer { known: false, key: None, revoked: None },
    };
    json(StatusCode::OK, &answer)
}

impl NewKey {
    fn wanted(self, problems: &mut Vec<Problem>) -> NewApiKey {
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

impl Rate {
    fn checked(self, field: &str, problems: &mut Vec<Problem>) -> Option<CallRate> {
        let before = problems.len();
        let span = seconds(&format!("{field}.seconds"), self.seconds, problems);
        if problems.len() > before {
            return None;
        }
        let rate = CallRate::per(self.calls, span).and_then(|rate| match self.burst {
            Some(burst) => rate.with_burst(burst),
            None => Ok(rate),
        });
        if let Err(invalid) = rate {
            let fix = "use a rate such as 600 calls in 60 seconds, or leave it out";
            problems.push(Problem::new(field, invalid.to_string(), fix));
        }
        rate.ok()
    }

    fn of(rate: CallRate) -> Self {
        Self { calls: rate.calls(), seconds: rate.span().as_secs_f64(), burst: Some(rate.burst()) }
    }
}

impl Key {
    fn of(view: KeyView) -> Self {
        let (ended_at, revoked_because) = match &view.state {
            KeyState::Active => (None, None),
            KeyState::Disabled { at } => (Some(*at), None),
            KeyState::Revoked { at, reason } => (Some(*at), Some(reason.clone())),
        };
        Self {
            id: view.id.to_string(),
            display: view.display.to_string(),
            name: view.name,
            status: view.status.into(),
            environment: view.environment.into(),
            permissions: view.rights.permissions().iter().map(Into::into).collect(),
            scopes: view.rights.scopes().iter().map(ToString::to_string).collect(),
            networks: view.networks.iter().map(ToString::to_string).collect(),
            rate: view.rate.map(Rate::of),
            address_rate: view.address_rate.map(Rate::of),
            max_uses: view.max_uses,
            used: view.used,
            not_before: view.not_before.map(Into::into),
            expires_at: view.expires_at.map(Into::into),
            ended_at: ended_at.map(Into::into),
            revoked_because,
            leaked_at: view.leaked_at.map(Into::into),
            successor: view
                .successor
                .map(|next| Successor { id: next.key.to_string(), until: next.until.into() }),
            last_use: view.last.map(|last| LastUse {
                at: last.at.into(),
                address: last.address.to_string(),
                route: last.route,
            }),
            created_at: view.created_at.into(),
            created_by: view.created_by.to_string(),
            updated_at: view.updated_at.into(),
        }
    }
}

impl KeyWithToken {
    fn of(created: CreatedKey) -> Self {
        Self { token: created.token.reveal().to_owned(), key: Key::of(created.key) }
    }
}

impl KeyWithUsage {
    fn of(details: KeyDetails) -> Self {
        let mut days: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
        for count in details.usage {
            let sum =
                days.entry(count.day).or_default().entry(count.outcome.as_str().to_owned()).or_default();
            *sum = sum.saturating_add(count.count);
        }
        let usage = days.into_iter().map(|(day, outcomes)| Day { day: day.to_string(), outcomes }).collect();
        Self { key: Key::of(details.key), usage }
    }
}

impl Refusals {
    fn of(refusal: KeyRefusal) -> Self {
        Self {
            reason: refusal.reason.to_string(),
            count: refusal.count,
            at: refusal.at.into(),
            address: refusal.address.map(|address| address.to_string()),
            route: refusal.route,
        }
    }
}
