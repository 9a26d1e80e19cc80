//! The steps of receiving, in their order: source, unsigned handshakes, verification, signed handshakes, items, store, answer.

use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::json;

use crate::error::{Error, ErrorKind, Result};
use crate::inbound::context::InboundContext;
use crate::inbound::outcome::{Genuine, Outcome, Refusal, Reply};
use crate::inbound::prepared::PreparedScheme;
use crate::inbound::received::{Reading, Received};
use crate::inbound::request::Request;
use crate::inbound::scheme::model::Check;
use crate::inbound::service::keep::kept;
use crate::inbound::service::known::ReadySource;
use crate::inbound::source::SourceState;
use crate::inbound::store::Accepted;
use crate::primitives::time::later;

/// A request as the host's web server has read it: nothing decoded, nothing parsed.
#[derive(Clone)]
#[non_exhaustive]
pub struct InboundRequest {
    /// The method.
    pub method: Method,
    /// The URL that was called, with its query.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// What the sender is answered, and, for the host alone, why.
#[non_exhaustive]
pub struct InboundAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Why: for logs and metrics, never for the sender.
    pub outcome: ReceiveOutcome,
}

/// What became of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiveOutcome {
    /// It was kept; so many of its items were new, and so many were copies.
    Kept {
        /// What is handled from now on.
        fresh: usize,
        /// What was there already.
        copies: usize,
    },
    /// It was genuine, but could not be read: it was kept, and somebody should look at it.
    Unparsable,
    /// It was a handshake or a ping.
    Handshake,
    /// Its body did not arrive, or not in time: nothing was looked at.
    Incomplete,
    /// It was not genuine, or not what the source takes.
    Refused(Refusal),
    /// There is no such source.
    Unknown,
    /// The source does not take anything at present.
    Closed(SourceState),
    /// It could not be kept, or its source could not be read: the sender tries again.
    Failed(Error),
}

impl InboundRequest {
    /// A request.
    pub fn new(method: Method, url: impl Into<String>, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { method, url: url.into(), headers, body: body.into() }
    }
}

impl fmt::Debug for InboundRequest {
    /// Header values and body are left out: they hold credentials and payloads. So does the query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundRequest")
            .field("method", &self.method)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InboundAnswer {
    /// Header values and body are left out: the answer to a handshake holds what its sender must prove.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundAnswer")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl InboundAnswer {
    /// Whether the sender has to try again.
    pub fn is_failure(&self) -> bool {
        self.status.is_server_error()
    }

    /// An answer without a word, where the web server knows already what becomes of a request.
    pub(crate) fn empty(status: StatusCode, outcome: ReceiveOutcome) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), outcome }
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self::empty(StatusCode::SERVICE_UNAVAILABLE, ReceiveOutcome::Failed(error))
    }

    fn of(reply: Reply, outcome: ReceiveOutcome) -> Self {
        Self { status: reply.status, headers: reply.headers, body: reply.body, outcome }
    }

    /// 501 with a problem document (RFC 9457): never a 2xx for what nobody handles.
    fn closed(state: SourceState) -> Self {
        let detail = match state {
            SourceState::Off => "This source is switched off.",
            _ => "This source is known, but nothing handles its notifications yet.",
        };
        let body =
            json!({"type": "about:blank", "title": "Not Implemented", "status": 501, "detail": detail});
        let mut answer = Self::empty(StatusCode::NOT_IMPLEMENTED, ReceiveOutcome::Closed(state));
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        answer.body = body.to_string().into();
        answer
    }
}

/// The most bytes of a body that the source named by this last part of a path takes; `None` if there is no such source.
///
/// # Errors
/// The store's; the vault's.
pub(crate) async fn body_cap(context: &InboundContext, place: &str) -> Result<Option<usize>> {
    let source = context.ready(place, context.clock.now()).await?;
    Ok(source.map(|source| source.scheme.reception.body_cap))
}

/// Is over when a body that arrives from now on has taken too long.
pub(crate) async fn too_slow(context: &InboundContext) {
    let clock = &context.clock;
    clock.sleep_until(later(clock.now(), context.settings.read_within)).await;
}

pub(crate) async fn receive(context: &InboundContext, place: &str, request: InboundRequest) -> InboundAnswer {
    let now = context.clock.now();
    let source = match context.ready(place, now).await {
        Ok(Some(source)) => source,
        Ok(None) => return InboundAnswer::empty(StatusCode::NOT_FOUND, ReceiveOutcome::Unknown),
        Err(error) => return InboundAnswer::failed(error),
    };
    if source.state != SourceState::Active {
        return InboundAnswer::closed(source.state);
    }
    // What cannot verify takes nothing.
    let Ok(prepared) = &source.prepared else {
        let outcome = ReceiveOutcome::Refused(Refusal::Unconfigured);
        return InboundAnswer::empty(StatusCode::NOT_IMPLEMENTED, outcome);
    };
    let public = public_url(context, &source, place);
    let (url, query) =
        request.url.split_once('?').map_or((&*request.url, None), |(url, query)| (url, Some(query)));
    let (url, headers) = (public.as_deref().unwrap_or(url), &request.headers);
    let asked = Request::new(&request.method, url, headers, &request.body).with_query(query);
    match decide(context, &source, prepared, &asked, now).await {
        Outcome::Answer(reply) if reply.keep_secret.is_some() => {
            keep_secret(context, &source, reply, now).await
        }
        Outcome::Answer(reply) => InboundAnswer::of(reply, ReceiveOutcome::Handshake),
        Outcome::Refused(refusal) => {
            InboundAnswer::of(prepared.refuse(refusal), ReceiveOutcome::Refused(refusal))
        }
        Outcome::Genuine(genuine) => {
            keep(context, &source, prepared, &request, genuine, Reading::Parsed, now).await
        }
        Outcome::Unparsable(genuine) => {
            keep(context, &source, prepared, &request, genuine, Reading::Unparsable, now).await
        }
    }
}

async fn decide(
    context: &InboundContext,
    source: &ReadySource,
    prepared: &PreparedScheme,
    request: &Request<'_>,
    now: DateTime<Utc>,
) -> Outcome {
    match &source.scheme.check {
        Check::Code(name) => match context.verifiers.get(name) {
            Some(verifier) => prepared.receive_by(&**verifier, request, now).await,
            None => Outcome::Refused(Refusal::Unconfigured),
        },
        _ => prepared.receive(request, now),
    }
}

/// The URL that the sender was told: a proxy may have changed the request's own.
fn public_url(context: &InboundContext, source: &ReadySource, place: &str) -> Option<String> {
    let usual = || Some(format!("{}/{place}", context.settings.public_url.as_deref()?.trim_end_matches('/')));
    source.public_url.clone().or_else(usual)
}

/// Keeps the items, and acknowledges them only when the store has them.
async fn keep(
    context: &InboundContext,
    source: &ReadySource,
    prepared: &PreparedScheme,
    request: &InboundRequest,
    genuine: Genuine,
    reading: Reading,
    now: DateTime<Utc>,
) -> InboundAnswer {
    let items = kept(context, source, &genuine, reading, &request.headers, &request.body, now);
    let offered = items.len();
    let accepted = match accept(context, items, now).await {
        Ok(accepted) => accepted,
        Err(error) => return InboundAnswer::failed(error),
    };
    let copies = accepted.iter().filter(|accepted| matches!(accepted, Accepted::Duplicate(_))).count();
    if copies < offered {
        context.due.wake();
    }
    let outcome = match reading {
        Reading::Unparsable => ReceiveOutcome::Unparsable,
        _ => ReceiveOutcome::Kept { fresh: offered - copies, copies },
    };
    InboundAnswer::of(prepared.acknowledge(), outcome)
}

/// Waits for the store no longer than a sender would. What it keeps after that is known as a copy when the sender tries again.
async fn accept(context: &InboundContext, items: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>> {
    const STEP: &str = "keep what was received";
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let offered = items.len();
    let clock = &context.clock;
    // A store that answers at once is not waited for: then nobody looks at a clock.
    let too_late = async { clock.sleep_until(later(clock.now(), context.settings.accept_within)).await };
    let accepted = match select(context.store.accept(items, now), pin!(too_late)).await {
        Either::Left((accepted, _)) => accepted?,
        Either::Right(_) => {
            let cause = "the store has not answered in time";
            return Err(Error::new(ErrorKind::Unavailable, STEP).with_source(cause));
        }
    };
    // Nobody is told that something is kept which the store has said nothing about.
    if accepted.len() == offered { Ok(accepted) } else { Err(Error::new(ErrorKind::Internal, STEP)) }
}

/// Keeps a secret that the sender has brought, and answers only then.
async fn keep_secret(
    context: &InboundContext,
    source: &ReadySource,
    mut reply: Reply,
    now: DateTime<Utc>,
) -> InboundAnswer {
    let Some(secret) = reply.keep_secret.take() else {
        return InboundAnswer::of(reply, ReceiveOutcome::Handshake);
    };
    match context.add_brought_secret(source.id, &source.owner, &secret, now).await {
        Ok(()) => InboundAnswer::of(reply, ReceiveOutcome::Handshake),
        Err(error) => InboundAnswer::failed(error),
    }
}
