//! What this product's API says: shapes of its own, so that neither side is bound by the other's names.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use crossdock::api_keys::Refused;
use crossdock::{Error, ErrorKind};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A webhook that was made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewWebhookAnswer {
    pub(crate) webhook_id: String,
    pub(crate) event: String,
    pub(crate) url: String,
    /// Shown this once, to whoever has asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// One event on its way to one webhook, and how often it was sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookEvent {
    pub(crate) webhook_id: String,
    pub(crate) webhook_event_id: String,
    pub(crate) created_date_time: String,
    pub(crate) updated_date_time: String,
    pub(crate) status: &'static str,
    pub(crate) status_code: Option<u16>,
    pub(crate) success: bool,
    pub(crate) runs_counter: u32,
    /// If asked for.
    pub(crate) runs: Option<Vec<Run>>,
    /// If asked for: as it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Box<RawValue>>,
}

/// One request to the webhook's URL.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    pub(crate) started_date_time: String,
    pub(crate) duration_ms: u128,
    pub(crate) status_code: Option<u16>,
    pub(crate) success: bool,
    pub(crate) error: Option<String>,
}

pub(crate) fn date_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What went wrong, as a problem document (RFC 9457).
pub(crate) struct Problem {
    status: StatusCode,
    errors: Vec<Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, errors: Vec::new() }
    }

    pub(crate) fn about(field: &str, rule: &str, fix: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            errors: vec![json!({"field": field, "rule": rule, "fix": fix})],
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // `events[0]` is what the hub calls the one event of this product's webhooks.
        let errors = error.problems().iter().map(
            |problem| json!({"field": problem.field.replace("events[0]", "event"), "rule": problem.rule, "fix": problem.fix}),
        );
        Self { status, errors: errors.collect() }
    }
}

impl From<Refused> for Problem {
    /// The caller is told no reason; it is for the log.
    fn from(refused: Refused) -> Self {
        Self::new(refused.status())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let fix = "send {\"event\": \"SaleCreated\", \"url\": \"https://…\"} as application/json";
        Self { status: rejection.status(), ..Self::about("body", &rejection.body_text(), fix) }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::about(
            "query",
            &rejection.body_text(),
            "`from` and `to` are times, `success`, `includePayload` and `includeRuns` are true or false",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({"title": title, "status": self.status.as_u16(), "errors": self.errors});
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
