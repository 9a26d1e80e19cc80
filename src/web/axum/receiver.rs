//! Inbound webhooks: one route for all sources.

use std::pin::pin;
use std::sync::Arc;

use ::axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use http::{HeaderMap, StatusCode, Uri, header};

use crate::hub::Hub;
use crate::inbound::{InboundAnswer, InboundRequest, ReceiveOutcome, Refusal};

/// The route of inbound webhooks, to be mounted under any path with `nest`: the last segment names the source, a tenant's by its id and one
/// of the platform's own by its name.
///
/// Nothing of a request is read for a source that there is not, and of a body no more than the source takes, counted as it arrives; it has
/// [`read_within`](crate::inbound::InboundSettings::read_within) to do so. Beyond that, answers are those of [`Hub::receive`]. Why a request
/// was answered so is in the answer's extensions, as an `Arc<`[`ReceiveOutcome`]`>`: for the host's logs, never for the sender.
///
/// Where a sender signs the URL, tell the hub the public one ([`InboundSettings::public_url`](crate::inbound::InboundSettings::public_url)):
/// without that it is taken to be `https`, the request's `host`, and its path.
///
/// ```
/// use std::sync::Arc;
/// use axum::Router;
/// use axum::body::Body;
/// use crossdock::Hub;
/// use crossdock::inbound::{PlatformSource, ReceiveOutcome, presets};
/// use crossdock::web::axum::receiver;
/// use http::Request;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stripe = PlatformSource::new("stripe", presets::stripe()).secret("whsec_test");
/// let hub = Hub::builder().source(stripe).build()?;
/// let app: Router = Router::new().nest("/webhooks", receiver(&hub));
///
/// let unsigned = Request::post("/webhooks/stripe").body(Body::from("{}"))?;
/// let answer = app.oneshot(unsigned).await?;
///
/// assert_eq!(answer.status(), 400);
/// let why = answer.extensions().get::<Arc<ReceiveOutcome>>().ok_or("a reason")?;
/// assert!(matches!(**why, ReceiveOutcome::Refused(_)));
/// # Ok(()) }
/// ```
pub fn receiver<S: Clone + Send + Sync + 'static>(hub: &Hub) -> Router<S> {
    Router::new().route("/{place}", any(receive)).with_state(hub.clone())
}

/// Why a body was not read to its end.
enum Unread {
    TooLong,
    Broken,
    TooSlow,
}

async fn receive(
    State(hub): State<Hub>,
    place: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let answer = match place {
        Ok(Path(place)) => answer(&hub, &place, request).await,
        // What is no text names no source.
        Err(_) => unknown(),
    };
    // Most answers say nothing, and need nothing to say it with.
    let body = if answer.body.is_empty() { Body::empty() } else { Body::from(answer.body) };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.extensions_mut().insert(Arc::new(answer.outcome));
    response
}

async fn answer(hub: &Hub, place: &str, request: Request) -> InboundAnswer {
    let cap = match hub.body_cap(place).await {
        Ok(Some(cap)) => cap,
        Ok(None) => return unknown(),
        Err(error) => return InboundAnswer::failed(error),
    };
    let (parts, body) = request.into_parts();
    let body = match read_in_time(hub, &parts.headers, body, cap).await {
        Ok(body) => body,
        Err(unread) => return refuse(&unread),
    };
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let url = called(uri, &parts.headers);
    hub.receive(place, InboundRequest::new(parts.method, url, parts.headers, body)).await
}

fn unknown() -> InboundAnswer {
    InboundAnswer::empty(StatusCode::NOT_FOUND, ReceiveOutcome::Unknown)
}

fn refuse(unread: &Unread) -> InboundAnswer {
    let (status, outcome) = match unread {
        Unread::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, ReceiveOutcome::Refused(Refusal::TooLarge)),
        Unread::Broken => (StatusCode::BAD_REQUEST, ReceiveOutcome::Incomplete),
        Unread::TooSlow => (StatusCode::REQUEST_TIMEOUT, ReceiveOutcome::Incomplete),
    };
    let mut answer = InboundAnswer::empty(status, outcome);
    // What was not read of the body is not the next request.
    answer.headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    answer
}

async fn read_in_time(hub: &Hub, headers: &HeaderMap, body: Body, cap: usize) -> Result<Bytes, Unread> {
    // Most bodies are there already: then nobody looks at a clock.
    let (reading, too_slow) = (pin!(read(headers, body, cap)), pin!(hub.body_is_overdue()));
    match select(reading, too_slow).await {
        Either::Left((body, _)) => body,
        Either::Right(_) => Err(Unread::TooSlow),
    }
}

/// The body, byte for byte. What it says about its length saves reading, and is not believed otherwise.
async fn read(headers: &HeaderMap, body: Body, cap: usize) -> Result<Bytes, Unread> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| usize::try_from(length).map_or(true, |length| length > cap)) {
        return Err(Unread::TooLong);
    }
    let mut chunks = body.into_data_stream();
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if whole.len() + pieces.len() + chunk.len() > cap {
            return Err(Unread::TooLong);
        }
        if whole.is_empty() && pieces.is_empty() {
            whole = chunk;
        } else {
            // One piece is not copied; several are.
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&chunk);
        }
    }
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
}

/// The URL that was called, as far as a server behind a proxy can know it.
fn called(uri: &Uri, headers: &HeaderMap) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok());
    match host {
        Some(host) => ["https://", host, path].concat(),
        None => path.to_owned(),
    }
}
