//! `/activity`: who did what, and when.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activity::{Activity, ActivityFilter};
use crate::error::Problem;
use crate::tenancy::Role;
use crate::web::axum::answer::Failure;
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::paging::{Listing, page};
use crate::web::axum::management::query::{self, Query, bad};
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
    /// Only of this kind, such as `webhook.created`.
    kind: Option<String>,
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
    /// Only what says that something went wrong.
    #[serde(deserialize_with = "query::text")]
    errors: Option<bool>,
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    #[param(minimum = 1, maximum = 100)]
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
    let found = admin.activity().list(&query.filter()?, page).await?;
    json(StatusCode::OK, &Listing::of("activity", found, Entry::of))
}

impl ActivityQuery {
    fn filter(self) -> Result<ActivityFilter, Failure> {
        let mut filter = match self.errors {
            Some(true) => ActivityFilter::errors(),
            _ => ActivityFilter::default(),
        };
        if let Some(word) = self.kind {
            let kinds = ActivityFilter::default().kinds();
            let kind = kinds.into_iter().find(|kind| kind.as_str() == word);
            filter.kind = Some(kind.ok_or_else(|| {
                let fix = "use a `kind` as the entries have it, such as `webhook.created`";
                bad(&Problem::new("kind", "there is no such kind", fix))
            })?);
        }
        for (field, text) in [("subject", &self.subject), ("actor", &self.actor)] {
            // Nobody is called so, and some stores cannot even ask.
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                let rule = "a name has no control characters";
                return Err(bad(&Problem::new(field, rule, "give it as the entries have it")));
            }
        }
        filter.subject = self.subject.map(Into::into);
        filter.actor = self.actor;
        filter.from = self.from.map(Into::into);
        filter.to = self.to.map(Into::into);
        Ok(filter)
    }
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
