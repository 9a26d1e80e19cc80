//! `/activity`: who did what, and when.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activity::{Activity, ActivityFilter};
use crate::tenancy::Role;
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::paging::{Listing, page};
use crate::web::axum::management::query::{self, Query};
use crate::web::axum::management::shapes::{Answer, Time, json};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Who did what to which record, and when.
#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    id: String,
    at: Time,
    /// The host's name for a person, `crossdock` for the engine.
    actor: String,
    /// `member`, `org_admin`, `super_admin` or `system`.
    role: &'static str,
    /// What was done, such as `webhook.created`.
    kind: String,
    /// To which record.
    subject: String,
    /// What is worth knowing besides.
    details: BTreeMap<String, String>,
}

/// Which entries are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct ActivityQuery {
    /// Only about this record.
    subject: Option<String>,
    /// Only by this actor.
    actor: Option<String>,
    /// Only at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Only before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Lists the activity
///
/// What people and the engine did, newest first.
#[utoipa::path(get, path = "/activity", operation_id = "list_activity", tag = "activity",
    params(ActivityQuery), responses((status = 200, body = Listing<Entry>)))]
async fn list(Manager(admin): Manager, Query(query): Query<ActivityQuery>) -> Answer {
    let page = page("activity", query.limit, query.after.as_deref())?;
    let mut filter = ActivityFilter::default();
    filter.subject = query.subject.map(Into::into);
    filter.actor = query.actor;
    filter.from = query.from.map(Into::into);
    filter.to = query.to.map(Into::into);
    let found = admin.activity(&filter, page).await?;
    json(StatusCode::OK, &Listing::of("activity", found, Entry::of))
}

impl Entry {
    fn of(entry: Activity) -> Self {
        let role = match entry.role {
            Role::Member => "member",
            Role::OrgAdmin => "org_admin",
            Role::SuperAdmin => "super_admin",
            Role::System => "system",
        };
        Self {
            id: entry.id.to_string(),
            at: entry.at.into(),
            actor: entry.actor.to_string(),
            role,
            kind: entry.kind.as_str().to_owned(),
            subject: entry.subject.as_str().to_owned(),
            details: entry.details.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
        }
    }
}
