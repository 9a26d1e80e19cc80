//! The platform's settings page, as its browser calls it.
//!
//! Who is logged in, and what their company has bought, is the host's business: here it is a list.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use crossdock::hub::Admin;
use crossdock::tenancy::{AccessPolicy, Actor};
use crossdock::{Error, ErrorKind, Hub, Problem};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::form::{self, Filled, Shown};

/// What the page needs; cloning shares it.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) hub: Hub,
    pub(crate) access: AccessPolicy,
    /// Who has logged in under which session.
    pub(crate) sessions: Arc<BTreeMap<&'static str, Actor>>,
}

/// Serves it on loopback, on a port that the system chooses.
pub(crate) async fn serve(page: Page) -> std::io::Result<SocketAddr> {
    let router = Router::new()
        .route("/settings/webhooks", get(show).put(save))
        .route("/settings/webhooks/test", post(test))
        .route_layer(middleware::from_fn_with_state(page.clone(), log_in))
        .with_state(page);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn log_in(State(page): State<Page>, mut request: Request, next: Next) -> Response {
    let session = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let session = session.and_then(|header| header.strip_prefix("Bearer "));
    let Some(actor) = session.and_then(|session| page.sessions.get(session)) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // From here on everything is done in the name of this person, for this company and no other.
    request.extensions_mut().insert(page.hub.admin(actor.clone()));
    next.run(request).await
}

async fn show(State(page): State<Page>, Extension(admin): Extension<Admin>) -> Result<Json<Shown>, Refusal> {
    Ok(Json(form::show(&admin, &page.access).await?))
}

async fn save(
    State(page): State<Page>,
    Extension(admin): Extension<Admin>,
    filled: Result<Json<Filled>, JsonRejection>,
) -> Result<Json<Shown>, Refusal> {
    let Json(filled) = filled.map_err(Refusal::from)?;
    form::save(&admin, filled).await?;
    Ok(Json(form::show(&admin, &page.access).await?))
}

#[derive(Deserialize)]
struct Button {
    document: String,
}

/// Sends a dummy the very way that documents go, with the login that is stored.
async fn test(
    Extension(admin): Extension<Admin>,
    button: Result<Json<Button>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(button) = button?;
    let attempt = form::test(&admin, &button.document).await?;
    Ok(Json(json!({
        "success": attempt.succeeded(),
        "statusCode": attempt.status,
        "error": attempt.error.map(|error| error.to_string()),
    })))
}

/// What the page says when something was not done.
struct Refusal {
    status: StatusCode,
    problems: Vec<Problem>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, problems: error.problems().to_vec() }
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        // Its text may repeat what was sent, and a password may be in that.
        let problem =
            Problem::new("body", "the form could not be read", "send the fields that it was shown with");
        Self { status: rejection.status(), problems: vec![problem] }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let errors = self.problems.iter();
        let errors: Vec<_> = errors
            .map(|problem| json!({"field": problem.field, "rule": problem.rule, "fix": problem.fix}))
            .collect();
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({"title": title, "status": self.status.as_u16(), "errors": errors});
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
