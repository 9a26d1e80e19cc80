//! The product's API: what its integrators call.
//!
//! Everything is behind keys, and the key says for which company. Managing webhooks is administrative.

use std::net::SocketAddr;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, MatchedPath, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use chrono::{DateTime, Utc};
use crossdock::Hub;
use crossdock::api_keys::ApiCall;
use crossdock::hub::Admin;
use crossdock::primitives::{EventId, WebhookId};
use crossdock::webhooks::NewWebhook;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::answers::{NewWebhookAnswer, Problem, WebhookEvent};
use crate::events::{self, Wanted};

pub(crate) fn router(hub: Hub) -> Router {
    Router::new()
        .route("/api/WebhooksTypes", get(types))
        .route("/api/WebhooksTypes/{type}/schema", get(schema))
        .route("/api/webhooks", post(subscribe))
        .route("/api/WebhooksEvents/{webhookId}", get(list))
        .route("/api/WebhooksEvents/{webhookId}/{webhookEventId}/resend", post(resend))
        .route_layer(middleware::from_fn_with_state(hub.clone(), authenticate))
        .with_state(hub)
}

/// Serves it on loopback, on a port that the system chooses.
pub(crate) async fn serve(hub: Hub) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router(hub).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(address)
}

/// Lets in whoever has a key that may administer, and hands their company's integrations on.
async fn authenticate(
    State(hub): State<Hub>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let call =
        ApiCall::new(request.method(), request.headers(), peer.ip()).route(route.as_str()).administrative();
    let caller = hub.authenticate(&call).await?;
    let admin = hub.admin_by_key(&caller)?;
    request.extensions_mut().insert(admin);
    Ok(next.run(request).await)
}

async fn types(Extension(admin): Extension<Admin>) -> Result<Json<Vec<String>>, Problem> {
    Ok(Json(admin.event_types()?.iter().map(|entry| entry.event_type().to_string()).collect()))
}

async fn schema(
    Extension(admin): Extension<Admin>,
    Path(event_type): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entry = admin.event_type(&event_type)?;
    let schema = entry.schema().ok_or(Problem::new(StatusCode::NOT_FOUND))?;
    Ok(Json(schema.clone()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subscription {
    event: String,
    url: String,
    /// Requests are unsigned unless somebody asks for a secret.
    #[serde(default)]
    with_secret: bool,
}

async fn subscribe(
    Extension(admin): Extension<Admin>,
    wanted: Result<Json<Subscription>, JsonRejection>,
) -> Result<(StatusCode, Json<NewWebhookAnswer>), Problem> {
    let Json(wanted) = wanted?;
    // In this product a webhook hears of one type; the hub would take patterns.
    if wanted.event.contains('*') {
        return Err(Problem::about(
            "event",
            "a webhook hears of one type",
            "choose one of /api/WebhooksTypes",
        ));
    }
    // Nobody gives it a name: its host serves as one.
    let webhook = NewWebhook::to(wanted.url).events([wanted.event.as_str()]);
    let webhook = if wanted.with_secret { webhook } else { webhook.unsigned() };
    let created = admin.webhooks().create(webhook).await?;
    let answer = NewWebhookAnswer {
        webhook_id: created.webhook.id.to_string(),
        event: wanted.event,
        url: created.webhook.url.as_str().to_owned(),
        secret: created.secret.map(|secret| secret.reveal()),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    from: Option<String>,
    to: Option<String>,
    success: Option<bool>,
    #[serde(default)]
    include_payload: bool,
    #[serde(default)]
    include_runs: bool,
}

async fn list(
    Extension(admin): Extension<Admin>,
    Path(webhook): Path<String>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Vec<WebhookEvent>>, Problem> {
    let Query(filter) = filter?;
    let webhook = known(&admin, &webhook).await?;
    let mut wanted = Wanted::of(webhook);
    wanted.from = time("from", filter.from)?;
    wanted.to = time("to", filter.to)?;
    wanted.success = filter.success;
    wanted.payload = filter.include_payload.into();
    wanted.runs = filter.include_runs.into();
    Ok(Json(events::list(&admin.deliveries(), &wanted).await?))
}

fn time(field: &str, text: Option<String>) -> Result<Option<DateTime<Utc>>, Problem> {
    let fix = "write it as 2031-04-05T17:31:00Z";
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|_| Problem::about(field, "a time is written as in RFC 3339", fix))
}

async fn resend(
    Extension(admin): Extension<Admin>,
    Path((webhook, event)): Path<(String, String)>,
) -> Result<(StatusCode, Json<WebhookEvent>), Problem> {
    let webhook = known(&admin, &webhook).await?;
    let event: EventId = event.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND))?;
    let resent = events::resend(&admin.deliveries(), webhook, event).await?;
    Ok((StatusCode::ACCEPTED, Json(resent)))
}

/// The webhook of this id, if the company has one; another company's is as unknown as any other.
async fn known(admin: &Admin, id: &str) -> Result<WebhookId, Problem> {
    let id: WebhookId = id.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND))?;
    Ok(admin.webhooks().webhook(id).await?.id)
}
