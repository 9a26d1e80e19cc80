//! The handlers.

use axum::response::IntoResponse;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::primitives::WebhookId;
use crate::web::axum::answer::Failure;
use crate::web::axum::management::body::{Json, MaybeJson};
use crate::web::axum::management::deliveries::id;
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::etag::{IfMatch, with_etag};
use crate::web::axum::management::paging::{Listing, page};
use crate::web::axum::management::query::{self, Query};
use crate::web::axum::management::shapes::{Answer, Named, SecretText, json, mirror, refuse, seconds};
use crate::web::axum::management::webhooks::checks::{DiagnosisShape, TestRequest, TestedShape};
use crate::web::axum::management::webhooks::view::{Webhook, WebhookWithSecret};
use crate::web::axum::management::webhooks::wanted::{NewWebhook, WebhookChanges};
use crate::webhooks::{self, Rotation, WebhookQuery, WebhookUpdate, WebhookView};

pub(in crate::web::axum::management) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, change, delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(rotate))
        .routes(routes!(test))
        .routes(routes!(release))
        .routes(routes!(diagnose))
}

/// Which webhooks are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct WebhooksQuery {
    /// Along with each, separated by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(inline, explode = false, style = Form, required = false)]
    include: Vec<Along>,
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What can be had along with a webhook.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Along {
    Health,
    Backlog,
}

/// What the diagnosis is about; about everything unless it is said.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct About {
    /// Why do events of this type not arrive?
    event_type: Option<String>,
    /// Why has this event not arrived?
    event: Option<String>,
}

/// How a secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// How many seconds the old secret signs along: 0 to 7 days; a day unless it is said.
    #[serde(default)]
    overlap: Option<f64>,
    /// The new secret; one is made unless it is given.
    #[serde(default)]
    secret: Option<SecretText>,
}

mirror!(
    /// What becomes of the heads of stopped orders.
    StoppedHead of webhooks::StoppedHead {
        /// They are tried once more.
        Retry,
        /// They become dead letters, and the next ones go.
        Skip,
    }
);

/// How orders that stand still go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Release {
    head: StoppedHead,
}

/// What went on.
#[derive(Debug, Serialize, ToSchema)]
struct Released {
    /// How many orders.
    released: u64,
}

/// Lists webhooks
///
/// Newest first.
#[utoipa::path(get, path = "/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    params(WebhooksQuery), responses((status = 200, body = Listing<Webhook>)))]
async fn list(Manager(admin): Manager, Query(query): Query<WebhooksQuery>) -> Answer {
    let page = page("webhooks", query.limit, query.after.as_deref())?;
    let mut wanted = WebhookQuery::new().limit(page.limit());
    if let Some(cursor) = page.cursor() {
        wanted = wanted.after(cursor);
    }
    if query.include.contains(&Along::Health) {
        wanted = wanted.with_health();
    }
    if query.include.contains(&Along::Backlog) {
        wanted = wanted.with_backlog();
    }
    let found = admin.webhooks().list(wanted).await?;
    json(StatusCode::OK, &Listing::of("webhooks", found, Webhook::of))
}

/// Creates a webhook
///
/// The answer holds its signing secret, this once.
#[utoipa::path(post, path = "/webhooks", operation_id = "create_webhook", tag = "webhooks",
    request_body = NewWebhook,
    responses((status = 201, body = WebhookWithSecret, headers(("etag" = String, description = "The version")))))]
async fn create(Manager(admin): Manager, Json(new): Json<NewWebhook>) -> Answer {
    let mut problems = Vec::new();
    let wanted = new.wanted(&mut problems);
    refuse("create webhook", problems)?;
    let created = admin.webhooks().create(wanted).await?;
    let version = created.webhook.version;
    json(StatusCode::CREATED, &WebhookWithSecret::of(created)).map(|answer| with_etag(answer, version))
}

/// Reads a webhook
///
/// With its health and its backlog.
#[utoipa::path(get, path = "/webhooks/{id}", operation_id = "read_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    responses((status = 200, body = Webhook, headers(("etag" = String, description = "The version")))))]
async fn read(Manager(admin): Manager, Named(id): Named<WebhookId>) -> Answer {
    shown(admin.webhooks().webhook(id).await?)
}

/// Changes a webhook
///
/// What is left out stays as it is; `null` clears. Secrets that are left out are kept.
#[utoipa::path(patch, path = "/webhooks/{id}", operation_id = "change_webhook", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook, such as `wh_…`"),
        ("if-match" = String, Header, description = "The `etag` that the change was made from"),
    ),
    request_body = WebhookChanges,
    responses((status = 200, body = Webhook, headers(("etag" = String, description = "The version")))))]
async fn change(
    Manager(admin): Manager,
    Named(id): Named<WebhookId>,
    if_match: IfMatch,
    Json(changes): Json<WebhookChanges>,
) -> Answer {
    let seen = admin.webhooks().webhook(id).await?;
    if_match.check(seen.version)?;
    let mut problems = Vec::new();
    let update = changes.apply(WebhookUpdate::of(&seen), &seen, &mut problems);
    refuse("update webhook", problems)?;
    shown(admin.webhooks().update(update).await.map_err(IfMatch::failure)?)
}

/// Deletes a webhook
///
/// Its deliveries stay in the log.
#[utoipa::path(delete, path = "/webhooks/{id}", operation_id = "delete_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    responses((status = 204)))]
async fn delete(Manager(admin): Manager, Named(id): Named<WebhookId>) -> Answer {
    admin.webhooks().delete(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Pauses a webhook
///
/// Deliveries wait, and nothing is lost.
#[utoipa::path(post, path = "/webhooks/{id}/pause", operation_id = "pause_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    responses((status = 200, body = Webhook)))]
async fn pause(Manager(admin): Manager, Named(id): Named<WebhookId>) -> Answer {
    shown(admin.webhooks().pause(id).await?)
}

/// Resumes a webhook
///
/// What has waited is delivered.
#[utoipa::path(post, path = "/webhooks/{id}/resume", operation_id = "resume_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    responses((status = 200, body = Webhook)))]
async fn resume(Manager(admin): Manager, Named(id): Named<WebhookId>) -> Answer {
    shown(admin.webhooks().resume(id).await?)
}

/// Disables a webhook
///
/// Events are recorded as skipped, and can be replayed.
#[utoipa::path(post, path = "/webhooks/{id}/disable", operation_id = "disable_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    responses((status = 200, body = Webhook)))]
async fn disable(Manager(admin): Manager, Named(id): Named<WebhookId>) -> Answer {
    shown(admin.webhooks().disable(id).await?)
}

/// Enables a webhook
#[utoipa::path(post, path = "/webhooks/{id}/enable", operation_id = "enable_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    responses((status = 200, body = Webhook)))]
async fn enable(Manager(admin): Manager, Named(id): Named<WebhookId>) -> Answer {
    shown(admin.webhooks().enable(id).await?)
}

/// Rotates a webhook's secret
///
/// The answer holds the new one, this once; the old one signs along for a while.
#[utoipa::path(post, path = "/webhooks/{id}/rotate", operation_id = "rotate_webhook_secret", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    request_body(content = Option<Rotate>),
    responses((status = 201, body = WebhookWithSecret)))]
async fn rotate(
    Manager(admin): Manager,
    Named(id): Named<WebhookId>,
    MaybeJson(wanted): MaybeJson<Rotate>,
) -> Answer {
    let mut problems = Vec::new();
    let mut rotation = Rotation::new();
    if let Some(overlap) = wanted.overlap {
        rotation = rotation.overlap(seconds("overlap", overlap, &mut problems));
    }
    if let Some(secret) = wanted.secret {
        rotation = rotation.secret(secret.0);
    }
    refuse("rotate secret", problems)?;
    let created = admin.webhooks().rotate(id, rotation).await?;
    let version = created.webhook.version;
    json(StatusCode::CREATED, &WebhookWithSecret::of(created)).map(|answer| with_etag(answer, version))
}

/// Tests a webhook
///
/// Sends an example through the very same path, and answers what came of it. It never counts.
#[utoipa::path(post, path = "/webhooks/{id}/test", operation_id = "test_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    request_body = TestRequest, responses((status = 200, body = TestedShape)))]
async fn test(
    Manager(admin): Manager,
    Named(id): Named<WebhookId>,
    Json(wanted): Json<TestRequest>,
) -> Answer {
    let tested = admin.webhooks().test(id, wanted.event()).await?;
    json(StatusCode::OK, &TestedShape::of(&tested))
}

/// Releases stopped orders
///
/// Orders that stand still behind a delivery that cannot be made go on.
#[utoipa::path(post, path = "/webhooks/{id}/release", operation_id = "release_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`")),
    request_body = Release, responses((status = 200, body = Released)))]
async fn release(
    Manager(admin): Manager,
    Named(id): Named<WebhookId>,
    Json(wanted): Json<Release>,
) -> Answer {
    let released = admin.webhooks().release_stopped(id, wanted.head.into()).await?;
    json(StatusCode::OK, &Released { released })
}

/// Diagnoses a webhook
///
/// Why does nothing arrive?
#[utoipa::path(get, path = "/webhooks/{id}/diagnosis", operation_id = "diagnose_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook, such as `wh_…`"), About),
    responses((status = 200, body = DiagnosisShape)))]
async fn diagnose(
    Manager(admin): Manager,
    Named(id): Named<WebhookId>,
    Query(about): Query<About>,
) -> Answer {
    let webhooks = admin.webhooks();
    let diagnosis = match (about.event, about.event_type) {
        (Some(event), None) => webhooks.diagnose_event(id, self::id("event", &event)?).await?,
        (None, Some(event_type)) => webhooks.diagnose_type(id, &event_type).await?,
        (None, None) => webhooks.diagnose(id).await?,
        (Some(_), Some(_)) => return Err(one_question()),
    };
    json(StatusCode::OK, &DiagnosisShape::of(&diagnosis))
}

fn one_question() -> Failure {
    let rule = "a diagnosis is about an event or about a type";
    query::bad(&crate::error::Problem::new("event_type", rule, "leave one of them out"))
}

fn shown(view: WebhookView) -> Answer {
    let version = view.version;
    json(StatusCode::OK, &Webhook::of(view)).map(|answer| with_etag(answer, version))
}
