//! `/deliveries`: what was delivered, what was not, and once more.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, ErrorKind, Problem};
use crate::primitives::{DeliveryId, Page};
use crate::web::axum::answer::Failure;
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::paging::{Listing, page};
use crate::web::axum::management::query::{self, Query, bad};
use crate::web::axum::management::shapes::{Answer, Named, Time, json, mirror};
use crate::webhooks::{self, DeliveryQuery, DeliveryRecord, LoggedHeaders, Origin};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(attempts))
        .routes(routes!(resend))
}

mirror!(
    /// How a delivery stands.
    DeliveryStatus of webhooks::StatusKind {
        /// It is to be made, or to be tried again.
        Pending,
        /// The receiver took it.
        Delivered,
        /// It was given up.
        DeadLetter,
        /// It was not made, because the webhook was disabled or is gone.
        Skipped,
        /// It is given up, and its order stands still behind it.
        Stopped,
    }
);

/// An event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Delivery {
    id: String,
    webhook: String,
    event: String,
    event_type: String,
    status: DeliveryStatus,
    /// Why it was given up or skipped.
    reason: Option<String>,
    /// `live`, `resend`, `replay` or `test`.
    origin: String,
    /// The replay that has made it.
    replay: Option<String>,
    /// How many attempts were made.
    attempts_made: u32,
    created_at: Time,
    updated_at: Time,
    next_attempt_at: Option<Time>,
    /// The status of the last answer.
    last_status: Option<u16>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// What is sent, if it was asked for and is still kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// One HTTP request each, oldest first, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<Attempt>>,
}

/// One HTTP request and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attempt {
    id: String,
    delivery: String,
    /// Counted from 1.
    number: u32,
    started_at: Time,
    /// The address that was called.
    address: Option<String>,
    request_headers: Vec<Header>,
    status: Option<u16>,
    /// Why it failed; absent if it did not.
    error: Option<String>,
    /// Where and why the webhook's mapping refused the event.
    refusal: Option<String>,
    response_headers: Vec<Header>,
    /// What was kept of the answer's body; bytes that are no text are replaced.
    response_body: String,
    /// Whether the body was longer.
    truncated: bool,
    timings: Timings,
    next_attempt_at: Option<Time>,
}

/// How long each part took, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
struct Timings {
    dns: Option<f64>,
    connect: Option<f64>,
    tls: Option<f64>,
    first_byte: Option<f64>,
    total: f64,
}

/// One header; secrets in it are left out.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// All attempts of one delivery.
#[derive(Debug, Serialize, ToSchema)]
struct Attempts {
    /// Oldest first.
    items: Vec<Attempt>,
}

/// Which deliveries are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct DeliveriesQuery {
    /// Only to this webhook.
    webhook: Option<String>,
    /// Only of this event.
    event: Option<String>,
    /// Only made at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Only made before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
    /// Only of these types, separated by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(explode = false, style = Form, required = false)]
    event_types: Vec<String>,
    /// Only with one of these statuses, separated by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(explode = false, style = Form, required = false)]
    status: Vec<DeliveryStatus>,
    /// Only what the receiver took, or only what it did not take, or not yet.
    #[serde(deserialize_with = "query::text")]
    success: Option<bool>,
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

/// What can be had along with a delivery.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Along {
    Payload,
    Attempts,
}

/// Lists deliveries
///
/// Newest first.
#[utoipa::path(get, path = "/deliveries", operation_id = "list_deliveries", tag = "deliveries",
    params(DeliveriesQuery), responses((status = 200, body = Listing<Delivery>)))]
async fn list(Manager(admin): Manager, Query(query): Query<DeliveriesQuery>) -> Answer {
    let page = page("deliveries", query.limit, query.after.as_deref())?;
    let with_attempts = query.include.contains(&Along::Attempts);
    let wanted = query.wanted()?.limit(page.limit());
    let wanted = match page.cursor() {
        Some(cursor) => wanted.after(cursor),
        None => wanted,
    };
    let found = admin.deliveries().list(wanted).await?;
    let shapes = found.items.iter().map(|record| Delivery::of(record, with_attempts));
    let page = Page::new(shapes.collect::<Result<_, _>>()?, found.next);
    json(StatusCode::OK, &Listing::of("deliveries", page, |delivery: Delivery| delivery))
}

/// Reads a delivery
///
/// With its payload and its attempts.
#[utoipa::path(get, path = "/deliveries/{id}", operation_id = "read_delivery", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery, such as `dlv_…`")),
    responses((status = 200, body = Delivery)))]
async fn read(Manager(admin): Manager, Named(id): Named<DeliveryId>) -> Answer {
    let record = admin.deliveries().delivery(id).await?;
    json(StatusCode::OK, &Delivery::of(&record, true)?)
}

/// Lists the attempts of a delivery
///
/// Oldest first, all of them.
#[utoipa::path(get, path = "/deliveries/{id}/attempts", operation_id = "list_attempts", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery, such as `dlv_…`")),
    responses((status = 200, body = Attempts)))]
async fn attempts(Manager(admin): Manager, Named(id): Named<DeliveryId>) -> Answer {
    let attempts = admin.deliveries().attempts(id).await?;
    json(StatusCode::OK, &Attempts { items: attempts.iter().map(|attempt| Attempt::of(attempt)).collect() })
}

/// Resends a delivery
///
/// The same event to the same webhook, as a new delivery.
#[utoipa::path(post, path = "/deliveries/{id}/resend", operation_id = "resend_delivery", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery, such as `dlv_…`")),
    responses((status = 201, body = Delivery)))]
async fn resend(Manager(admin): Manager, Named(id): Named<DeliveryId>) -> Answer {
    let delivery = admin.deliveries().resend(id).await?;
    json(StatusCode::CREATED, &Delivery::of(&DeliveryRecord::new(delivery), false)?)
}

impl DeliveriesQuery {
    fn wanted(self) -> Result<DeliveryQuery, Failure> {
        let mut wanted = DeliveryQuery::new().event_types(self.event_types);
        if let Some(text) = self.webhook {
            wanted = wanted.webhook(id("webhook", &text)?);
        }
        if let Some(text) = self.event {
            wanted = wanted.event(id("event", &text)?);
        }
        if let Some(time) = self.from {
            wanted = wanted.from(time.into());
        }
        if let Some(time) = self.to {
            wanted = wanted.to(time.into());
        }
        if !self.status.is_empty() {
            wanted = wanted.statuses(self.status.into_iter().map(Into::into));
        }
        wanted = match self.success {
            Some(true) => wanted.delivered(),
            Some(false) => wanted.undelivered(),
            None => wanted,
        };
        if self.include.contains(&Along::Payload) {
            wanted = wanted.with_payload();
        }
        if self.include.contains(&Along::Attempts) {
            wanted = wanted.with_attempts();
        }
        Ok(wanted)
    }
}

/// An id in a query.
pub(super) fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<T, Failure> {
    text.parse().map_err(|invalid: T::Err| {
        bad(&Problem::new(field, invalid.to_string(), "give an id as this API has shown it"))
    })
}

impl Delivery {
    fn of(record: &DeliveryRecord, with_attempts: bool) -> Result<Self, Error> {
        let delivery = &record.delivery;
        let replay =
            if let Origin::Replay(replay) = delivery.origin { Some(replay.to_string()) } else { None };
        Ok(Self {
            id: delivery.id.to_string(),
            webhook: delivery.webhook.to_string(),
            event: delivery.event.to_string(),
            event_type: delivery.event_type.as_str().to_owned(),
            status: delivery.status.kind().into(),
            reason: delivery.status.reason().map(str::to_owned),
            origin: delivery.origin.as_str().to_owned(),
            replay,
            attempts_made: delivery.attempts,
            created_at: delivery.created_at.into(),
            updated_at: delivery.updated_at.into(),
            next_attempt_at: delivery.next_attempt_at.map(Into::into),
            last_status: delivery.last_status,
            last_error: delivery.last_error.map(|error| error.as_str().to_owned()),
            payload: record.payload.as_ref().map(raw).transpose()?,
            attempts: with_attempts
                .then(|| record.attempts.iter().map(|attempt| Attempt::of(attempt)).collect()),
        })
    }
}

/// A payload as it is: what was published is JSON.
fn raw(payload: &Bytes) -> Result<Box<RawValue>, Error> {
    let text = if payload.is_empty() { b"null" } else { &payload[..] };
    serde_json::from_slice(text)
        .map_err(|error| Error::new(ErrorKind::Corrupt, "show a payload").with_source(error))
}

impl Attempt {
    pub(super) fn of(attempt: &webhooks::Attempt) -> Self {
        let millis = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
        let timings = &attempt.timings;
        Self {
            id: attempt.id.to_string(),
            delivery: attempt.delivery.to_string(),
            number: attempt.number,
            started_at: attempt.started_at.into(),
            address: attempt.peer.map(|peer| peer.to_string()),
            request_headers: headers(&attempt.request_headers),
            status: attempt.status,
            error: attempt.error.map(|error| error.as_str().to_owned()),
            refusal: attempt.refusal.as_deref().map(str::to_owned),
            response_headers: headers(&attempt.response_headers),
            response_body: String::from_utf8_lossy(&attempt.response_body).into_owned(),
            truncated: attempt.truncated,
            timings: Timings {
                dns: timings.dns.map(millis),
                connect: timings.connect.map(millis),
                tls: timings.tls.map(millis),
                first_byte: timings.first_byte.map(millis),
                total: millis(timings.total),
            },
            next_attempt_at: attempt.next_attempt_at.map(Into::into),
        }
    }
}

fn headers(logged: &LoggedHeaders) -> Vec<Header> {
    let header = |(name, value): (&str, &[u8])| Header {
        name: name.to_owned(),
        value: String::from_utf8_lossy(value).into_owned(),
    };
    logged.iter().map(header).collect()
}
