//! `/defaults`: what applies to all webhooks that do not say otherwise.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::web::axum::management::body::Json;
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::etag::{IfMatch, with_etag};
use crate::web::axum::management::shapes::{Answer, given, json, nullable, refuse, seconds};
use crate::web::axum::management::webhooks::{Login, LoginView, Retry};
use crate::webhooks::{DefaultsUpdate, DefaultsView, LoginHosts};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(read, change))
}

/// What applies to all webhooks that do not say otherwise.
#[derive(Debug, Serialize, ToSchema)]
struct Defaults {
    /// Grows with every change; the `etag` says it as well.
    version: u64,
    /// One login for the webhooks that have none of their own.
    auth: Option<LoginView>,
    /// Where that login may be sent; `["*"]` is wherever a webhook goes.
    auth_hosts: Vec<String>,
    retry: Option<Retry>,
    /// How many seconds a request may take in all.
    timeout: Option<f64>,
}

/// What is to be changed: what is left out stays, `null` clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DefaultsChanges {
    /// `null` forgets the login, and its hosts.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Login>)]
    auth: Option<Option<Login>>,
    /// Where the login may be sent, such as `erp.example.com`; `["*"]` is wherever a webhook goes.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    auth_hosts: Option<Vec<String>>,
    /// `null`: the host's.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Retry>)]
    retry: Option<Option<Retry>>,
    /// Seconds; `null`: the host's.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<f64>)]
    timeout: Option<Option<f64>>,
}

/// Reads the defaults
#[utoipa::path(get, path = "/defaults", operation_id = "read_defaults", tag = "defaults",
    responses((status = 200, body = Defaults, headers(("etag" = String, description = "The version")))))]
async fn read(Manager(admin): Manager) -> Answer {
    shown(admin.defaults().await?)
}

/// Changes the defaults
///
/// What is left out stays as it is; `null` clears.
#[utoipa::path(patch, path = "/defaults", operation_id = "change_defaults", tag = "defaults",
    params(("if-match" = String, Header, description = "The `etag` that the change was made from")),
    request_body = DefaultsChanges,
    responses((status = 200, body = Defaults, headers(("etag" = String, description = "The version")))))]
async fn change(Manager(admin): Manager, if_match: IfMatch, Json(changes): Json<DefaultsChanges>) -> Answer {
    let seen = admin.defaults().await?;
    if_match.check(seen.version)?;
    let mut problems = Vec::new();
    let mut update = DefaultsUpdate::of(&seen).version(seen.version);
    update = match changes.auth {
        None => update,
        Some(None) => update.clear_auth(),
        Some(Some(login)) => match login.wanted(&mut problems) {
            Some(auth) => update.auth(auth),
            None => update,
        },
    };
    update = match changes.auth_hosts {
        None => update,
        Some(hosts) if hosts == ["*"] => update.auth_for_all_hosts(),
        Some(hosts) => update.auth_hosts(hosts),
    };
    update = match changes.retry {
        None => update,
        Some(None) => update.default_retry(),
        Some(Some(retry)) => match retry.wanted(&mut problems) {
            Some(policy) => update.retry(policy),
            None => update,
        },
    };
    update = match changes.timeout {
        None => update,
        Some(None) => update.default_timeout(),
        Some(Some(timeout)) => update.timeout(seconds("timeout", timeout, &mut problems)),
    };
    refuse("update defaults", problems)?;
    shown(admin.update_defaults(update).await.map_err(IfMatch::failure)?)
}

fn shown(view: DefaultsView) -> Answer {
    let version = view.version;
    let auth_hosts = match &view.auth_hosts {
        LoginHosts::All => vec!["*".to_owned()],
        LoginHosts::Only(hosts) => hosts.iter().map(ToString::to_string).collect(),
    };
    let shape = Defaults {
        version: version.number(),
        auth: view.auth.map(LoginView::of),
        auth_hosts,
        retry: view.retry.as_ref().map(Retry::of),
        timeout: view.timeout.map(|timeout| timeout.as_secs_f64()),
    };
    json(StatusCode::OK, &shape).map(|answer| with_etag(answer, version))
}
