//! `/received`: what sources have received, and once more.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::inbound::{self, ReceivedFilter, ReceivedRecord};
use crate::primitives::ReceivedId;
use crate::web::axum::answer::Failure;
use crate::web::axum::management::body::Json;
use crate::web::axum::management::deliveries::{Header, id};
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::paging::{Listing, page};
use crate::web::axum::management::query::{self, Query};
use crate::web::axum::management::shapes::{Answer, Named, Time, json, mirror};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(replay_all))
        .routes(routes!(read))
        .routes(routes!(replay))
}

mirror!(
    /// How something that was received stands.
    ReceivedStatus of inbound::ReceivedStatus {
        /// It waits for a handler, or is being handled.
        Pending,
        /// It was handled.
        Done,
        /// No handler wants it.
        Ignored,
        /// Something newer of the same order was handled before.
        Outdated,
        /// It could not be handled, and nobody tries any more.
        Dead,
        /// Its signature was right, but it could not be read.
        Unparsable,
        /// It was erased before it was handled.
        Erased,
    }
);

/// One item that a source has received.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivedItem)]
pub(super) struct Item {
    id: String,
    source: String,
    /// The source's name.
    name: String,
    /// What it is, in the sender's words; may be empty.
    kind: String,
    /// What the sender calls it.
    event_id: Option<String>,
    /// Whose it is, in the sender's words.
    tenant_key: Option<String>,
    /// What it stays in order with.
    order_key: Option<String>,
    /// When it happened, as the sender says.
    occurred_at: Option<Time>,
    /// The version of the record, as the sender says.
    sequence: Option<i64>,
    received_at: Time,
    status: ReceivedStatus,
    /// How often it was handed to a handler.
    attempts: u32,
    /// How many more copies came.
    duplicates: u32,
    /// When it is handled next.
    due_at: Option<Time>,
    ended_at: Option<Time>,
    /// What a handler said last.
    note: Option<String>,
    /// Those of the request's headers that are kept.
    headers: Vec<Header>,
    /// Whether the body is still kept.
    has_body: bool,
    /// What was sent, byte for byte where it is text, if one item was asked for; bytes that are no text are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// Which items are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct ReceivedQuery {
    /// Only from this source.
    source: Option<String>,
    /// Only of these kinds, such as `invoice.*`.
    kind: Option<String>,
    /// Only with one of these statuses, separated by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(explode = false, style = Form, required = false)]
    status: Vec<ReceivedStatus>,
    /// Only received at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Only received before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Which items are to be handled once more; pending ones are left as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedItems {
    /// From this source.
    #[serde(default)]
    source: Option<String>,
    /// Of these kinds, such as `invoice.*`.
    #[serde(default)]
    kind: Option<String>,
    /// With one of these statuses: so that nobody does everything once more by leaving something out, they are said.
    statuses: Vec<ReceivedStatus>,
    /// Received at or after this time.
    #[serde(default)]
    from: Option<Time>,
    /// Received before this time.
    #[serde(default)]
    to: Option<Time>,
    /// How many are looked at in this step at most, 1 to 100; 50 unless it is said.
    #[serde(default)]
    limit: Option<u32>,
    /// The `next` of the step before.
    #[serde(default)]
    after: Option<String>,
}

/// What is handled once more.
#[derive(Debug, Serialize, ToSchema)]
struct ReplayedItems {
    /// How many items.
    replayed: u64,
    /// What to send as `after` for the next step; absent after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists what was received
///
/// Newest first, without bodies.
#[utoipa::path(get, path = "/received", operation_id = "list_received", tag = "received",
    params(ReceivedQuery), responses((status = 200, body = Listing<Item>)))]
async fn list(Manager(admin): Manager, Query(query): Query<ReceivedQuery>) -> Answer {
    let page = page(LISTING, query.limit, query.after.as_deref())?;
    let filter = filter(query.source, query.kind, query.status, query.from, query.to)?;
    let found = admin.received().list(&filter, page).await?;
    json(StatusCode::OK, &Listing::of(LISTING, found, |record| Item::of(&record, Shown::Outline)))
}

/// Reads one item that was received
///
/// With its body.
#[utoipa::path(get, path = "/received/{id}", operation_id = "read_received", tag = "received",
    params(("id" = String, Path, description = "The item, such as `rcv_…`")),
    responses((status = 200, body = Item)))]
async fn read(Manager(admin): Manager, Named(id): Named<ReceivedId>) -> Answer {
    json(StatusCode::OK, &Item::of(&admin.received().find(id).await?, Shown::Whole))
}

/// Replays one item
///
/// Its handler gets it once more, whatever became of it. One that is pending, or whose body is gone, answers 404.
#[utoipa::path(post, path = "/received/{id}/replay", operation_id = "replay_received", tag = "received",
    params(("id" = String, Path, description = "The item, such as `rcv_…`")),
    responses((status = 200, body = Item)))]
async fn replay(Manager(admin): Manager, Named(id): Named<ReceivedId>) -> Answer {
    let received = admin.received();
    received.replay(id).await?;
    json(StatusCode::OK, &Item::of(&received.find(id).await?, Shown::Whole))
}

/// Replays items by a filter
///
/// One step, newest first: go on with `next` until there is none.
#[utoipa::path(post, path = "/received/replay", operation_id = "replay_all_received", tag = "received",
    request_body = WantedItems, responses((status = 200, body = ReplayedItems)))]
async fn replay_all(Manager(admin): Manager, Json(wanted): Json<WantedItems>) -> Answer {
    let page = page(LISTING, wanted.limit, wanted.after.as_deref())?;
    let filter = filter(wanted.source, wanted.kind, wanted.statuses, wanted.from, wanted.to)?;
    let replayed = admin.received().replay_all(&filter, page).await?;
    let next = replayed.next.map(|cursor| format!("{LISTING}_{cursor}"));
    json(StatusCode::OK, &ReplayedItems { replayed: replayed.count as u64, next })
}

fn filter(
    source: Option<String>,
    kind: Option<String>,
    statuses: Vec<ReceivedStatus>,
    from: Option<Time>,
    to: Option<Time>,
) -> Result<ReceivedFilter, Failure> {
    let mut filter = ReceivedFilter::new();
    if let Some(text) = source {
        filter = filter.source(id("source", &text)?);
    }
    if let Some(kind) = kind {
        filter = filter.kind(kind);
    }
    if let Some(from) = from {
        filter = filter.from(from.into());
    }
    if let Some(to) = to {
        filter = filter.to(to.into());
    }
    Ok(statuses.into_iter().fold(filter, |filter, status| filter.status(status.into())))
}

/// How much of an item is shown.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Shown {
    Outline,
    Whole,
}

impl Item {
    fn of(record: &ReceivedRecord, shown: Shown) -> Self {
        let received = &record.received;
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let header = |(name, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| Header {
            name: name.to_string(),
            value: value.to_string(),
        };
        let has_body = shown == Shown::Whole && record.has_body;
        Self {
            id: received.id.to_string(),
            source: received.source.to_string(),
            name: received.name.to_string(),
            kind: received.kind.to_string(),
            event_id: text(&received.event_id),
            tenant_key: text(&received.tenant_key),
            order_key: text(&received.order_key),
            occurred_at: received.version.occurred_at.map(Into::into),
            sequence: received.version.sequence,
            received_at: received.received_at.into(),
            status: record.status.into(),
            attempts: record.attempts,
            duplicates: record.duplicates,
            due_at: record.due_at.map(Into::into),
            ended_at: record.ended_at.map(Into::into),
            note: text(&record.note),
            headers: received.headers.iter().map(header).collect(),
            has_body: record.has_body,
            body: has_body.then(|| String::from_utf8_lossy(&received.body).into_owned()),
        }
    }
}

const LISTING: &str = "received";
