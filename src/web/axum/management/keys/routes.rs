//! The handlers.

use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_keys::{KeyFilter, LeakReport, Regeneration};
use crate::primitives::ApiKeyId;
use crate::web::axum::management::body::{Json, MaybeJson};
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::keys::view::{Key, KeyWithToken, KeyWithUsage, LeakAnswer, Refusals};
use crate::web::axum::management::keys::wanted::{KeyQuery, Leak, NewKey, Regenerate, Revocation};
use crate::web::axum::management::paging::{Listing, PageQuery, page};
use crate::web::axum::management::query::Query;
use crate::web::axum::management::shapes::{Answer, Named, json, refuse, seconds};

pub(in crate::web::axum::management) fn routes() -> OpenApiRouter<Desk> {
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
