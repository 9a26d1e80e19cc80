//! Bodies: one JSON object, of a bounded size, with known fields only.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::error::Problem;
use crate::web::axum::answer::Failure;
use crate::web::axum::management::input;
use crate::web::tower::ProblemDocument;

/// How many bytes the body of a request may have; a larger one is refused with 413.
pub const MAX_BODY: usize = 1024 * 1024;

/// A body that must be there.
pub(super) struct Json<T>(pub(super) T);

/// A body that may be left out: everything in it has a default.
pub(super) struct MaybeJson<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        Ok(Self(parse(&read(&parts.headers, body).await?)?))
    }
}

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        if bytes.is_empty() || bytes.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        check_type(&parts.headers)?;
        Ok(Self(parse(&bytes)?))
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = sent.split(';').next().unwrap_or_default().trim();
    if TYPES.iter().any(|known| media_type.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let problem =
        Problem::new("content-type", "a body here is JSON", "send `content-type: application/json`");
    Err(ProblemDocument::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_problem(&problem).into())
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            let problem = Problem::new("body", "the body ended before it was complete", "send it again");
            Failure::from(ProblemDocument::new(StatusCode::BAD_REQUEST).with_problem(&problem))
        })?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

fn too_large() -> Failure {
    let rule = format!("a body has at most {MAX_BODY} bytes");
    let problem = Problem::new("body", rule, "send less");
    ProblemDocument::new(StatusCode::PAYLOAD_TOO_LARGE).with_problem(&problem).into()
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let refuse = |problem: Problem| {
        Failure::from(ProblemDocument::new(StatusCode::BAD_REQUEST).with_problem(&problem))
    };
    // A shape would take a list of its fields as well.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(refuse(Problem::new("body", "a body is one JSON object", "send one JSON object")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = input::read(&mut deserializer).map_err(refuse)?;
    deserializer.end().map_err(|error| refuse(input::problem("", &error)))?;
    Ok(value)
}

const TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];
