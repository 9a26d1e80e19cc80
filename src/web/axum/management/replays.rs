//! `/replays`: the past once more, slowly.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::primitives::ReplayId;
use crate::web::axum::answer::Failure;
use crate::web::axum::management::body::Json;
use crate::web::axum::management::deliveries::DeliveryStatus;
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::paging::{Listing, PageQuery, page};
use crate::web::axum::management::query::Query;
use crate::web::axum::management::shapes::{Answer, Named, Time, json, mirror, missing};
use crate::webhooks::{self, NewReplay, ReplayQuery};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(preview))
        .routes(routes!(read))
        .routes(routes!(cancel))
}

mirror!(
    /// How a replay stands.
    ReplayState of webhooks::ReplayState { Running, Completed, Cancelled }
);

/// Which past deliveries are to be sent once more, and how fast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedReplay {
    /// To which webhook.
    webhook: String,
    /// Made at or after this time.
    from: Time,
    /// Made before this time.
    to: Time,
    /// With one of these statuses; `dead_letter` and `skipped` unless it is said.
    #[serde(default)]
    statuses: Option<Vec<DeliveryStatus>>,
    /// Of these types alone.
    #[serde(default)]
    event_types: Vec<String>,
    /// How many a second at most, 1 to 1,000; 10 unless it is said.
    #[serde(default)]
    rate: Option<u32>,
}

/// A stored job that sends past deliveries once more.
#[derive(Debug, Serialize, ToSchema)]
struct Replay {
    id: String,
    webhook: String,
    from: Time,
    to: Time,
    statuses: Vec<DeliveryStatus>,
    event_types: Vec<String>,
    /// How many a second at most.
    rate: u32,
    state: ReplayState,
    /// How many deliveries it is about.
    matched: u64,
    /// How many of them are made anew.
    made: u64,
    created_at: Time,
    updated_at: Time,
}

/// What a replay would do.
#[derive(Debug, Serialize, ToSchema)]
struct Preview {
    /// How many deliveries it would be about.
    matched: u64,
}

/// Lists replays
///
/// Newest first.
#[utoipa::path(get, path = "/replays", operation_id = "list_replays", tag = "replays", params(PageQuery),
    responses((status = 200, body = Listing<Replay>)))]
async fn list(Manager(admin): Manager, Query(query): Query<PageQuery>) -> Answer {
    let page = page("replays", query.limit, query.after.as_deref())?;
    let wanted = ReplayQuery::new().limit(page.limit());
    let wanted = match page.cursor() {
        Some(cursor) => wanted.after(cursor),
        None => wanted,
    };
    let found = admin.replays().list(wanted).await?;
    json(StatusCode::OK, &Listing::of("replays", found, Replay::of))
}

/// Starts a replay
///
/// It runs beside everything else, and no faster than it may.
#[utoipa::path(post, path = "/replays", operation_id = "start_replay", tag = "replays",
    request_body = WantedReplay, responses((status = 201, body = Replay)))]
async fn start(Manager(admin): Manager, Json(wanted): Json<WantedReplay>) -> Answer {
    let replay = admin.replays().start(wanted.wanted()?).await?;
    json(StatusCode::CREATED, &Replay::of(replay))
}

/// Previews a replay
///
/// Nothing is sent, and nothing is stored.
#[utoipa::path(post, path = "/replays/preview", operation_id = "preview_replay", tag = "replays",
    request_body = WantedReplay, responses((status = 200, body = Preview)))]
async fn preview(Manager(admin): Manager, Json(wanted): Json<WantedReplay>) -> Answer {
    let matched = admin.replays().preview(wanted.wanted()?).await?;
    json(StatusCode::OK, &Preview { matched })
}

/// Reads a replay
///
/// How far it is.
#[utoipa::path(get, path = "/replays/{id}", operation_id = "read_replay", tag = "replays",
    params(("id" = String, Path, description = "The replay, such as `rpl_…`")),
    responses((status = 200, body = Replay)))]
async fn read(Manager(admin): Manager, Named(id): Named<ReplayId>) -> Answer {
    json(StatusCode::OK, &Replay::of(admin.replays().replay(id).await?))
}

/// Cancels a replay
///
/// What it has made goes on.
#[utoipa::path(post, path = "/replays/{id}/cancel", operation_id = "cancel_replay", tag = "replays",
    params(("id" = String, Path, description = "The replay, such as `rpl_…`")),
    responses((status = 200, body = Replay)))]
async fn cancel(Manager(admin): Manager, Named(id): Named<ReplayId>) -> Answer {
    json(StatusCode::OK, &Replay::of(admin.replays().cancel(id).await?))
}

impl WantedReplay {
    fn wanted(self) -> Result<NewReplay, Failure> {
        // A text that is no id is as good as an id of nobody's.
        let webhook = self.webhook.parse().map_err(|_| missing())?;
        let mut wanted =
            NewReplay::undelivered(webhook, self.from.into(), self.to.into()).event_types(self.event_types);
        if let Some(statuses) = self.statuses {
            wanted = wanted.statuses(statuses.into_iter().map(Into::into));
        }
        Ok(match self.rate {
            Some(rate) => wanted.rate(rate),
            None => wanted,
        })
    }
}

impl Replay {
    fn of(replay: webhooks::Replay) -> Self {
        let filter = replay.filter;
        Self {
            id: replay.id.to_string(),
            webhook: replay.webhook.to_string(),
            from: filter.from.into(),
            to: filter.to.into(),
            statuses: filter.statuses.into_iter().map(Into::into).collect(),
            event_types: filter.event_types.iter().map(|name| name.as_str().to_owned()).collect(),
            rate: replay.per_second,
            state: replay.state.into(),
            matched: replay.matched,
            made: replay.made,
            created_at: replay.created_at.into(),
            updated_at: replay.updated_at.into(),
        }
    }
}
