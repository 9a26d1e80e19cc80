//! What is shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api_keys::{CreatedKey, KeyDetails, KeyRefusal, KeyState, KeyView};
use crate::web::axum::management::keys::words::{Environment, KeyStatus, Permission, Rate};
use crate::web::axum::management::shapes::Time;

/// A key, without its token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    id: String,
    /// How it is shown, such as `cd_live_rE7s…2ms3`.
    display: String,
    name: String,
    status: KeyStatus,
    environment: Environment,
    permissions: Vec<Permission>,
    scopes: Vec<String>,
    networks: Vec<String>,
    rate: Option<Rate>,
    address_rate: Option<Rate>,
    max_uses: Option<u64>,
    /// How many of these uses are spent, or leased to processes.
    used: u64,
    not_before: Option<Time>,
    expires_at: Option<Time>,
    /// Since when it is disabled or revoked.
    ended_at: Option<Time>,
    /// Why it was revoked.
    revoked_because: Option<String>,
    leaked_at: Option<Time>,
    successor: Option<Successor>,
    last_use: Option<LastUse>,
    created_at: Time,
    created_by: String,
    updated_at: Time,
}

/// What takes a key's place.
#[derive(Debug, Serialize, ToSchema)]
struct Successor {
    /// The key.
    id: String,
    /// Until when the old one may be used.
    until: Time,
}

/// The last use that is known.
#[derive(Debug, Serialize, ToSchema)]
struct LastUse {
    at: Time,
    address: String,
    route: String,
}

/// A key with its token, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyWithToken {
    key: Key,
    /// What calls carry. It cannot be had again.
    token: String,
}

/// A key and how it was used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyWithUsage {
    #[serde(flatten)]
    key: Key,
    /// The last 30 days.
    usage: Vec<Day>,
}

/// How the calls of one day ended.
#[derive(Debug, Serialize, ToSchema)]
struct Day {
    /// In UTC.
    #[schema(format = Date)]
    day: String,
    /// How many calls, by outcome: `allowed`, or the reason of a refusal.
    outcomes: BTreeMap<String, u64>,
}

/// What a report of a leak was about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeakAnswer {
    /// Whether it is the token of one of this tenant's keys.
    pub(super) known: bool,
    /// Which key.
    pub(super) key: Option<String>,
    /// Whether it was revoked, or only marked.
    pub(super) revoked: Option<bool>,
}

/// Calls that were refused for one reason within about a minute.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusals {
    reason: String,
    count: u64,
    /// When the last of them was.
    at: Time,
    address: Option<String>,
    route: Option<String>,
}

impl Key {
    pub(super) fn of(view: KeyView) -> Self {
        let (ended_at, revoked_because) = match &view.state {
            KeyState::Active => (None, None),
            KeyState::Disabled { at } => (Some(*at), None),
            KeyState::Revoked { at, reason } => (Some(*at), Some(reason.clone())),
        };
        Self {
            id: view.id.to_string(),
            display: view.display.to_string(),
            name: view.name,
            status: view.status.into(),
            environment: view.environment.into(),
            permissions: view.rights.permissions().iter().map(Into::into).collect(),
            scopes: view.rights.scopes().iter().map(ToString::to_string).collect(),
            networks: view.networks.iter().map(ToString::to_string).collect(),
            rate: view.rate.map(Rate::of),
            address_rate: view.address_rate.map(Rate::of),
            max_uses: view.max_uses,
            used: view.used,
            not_before: view.not_before.map(Into::into),
            expires_at: view.expires_at.map(Into::into),
            ended_at: ended_at.map(Into::into),
            revoked_because,
            leaked_at: view.leaked_at.map(Into::into),
            successor: view
                .successor
                .map(|next| Successor { id: next.key.to_string(), until: next.until.into() }),
            last_use: view.last.map(|last| LastUse {
                at: last.at.into(),
                address: last.address.to_string(),
                route: last.route,
            }),
            created_at: view.created_at.into(),
            created_by: view.created_by.to_string(),
            updated_at: view.updated_at.into(),
        }
    }
}

impl KeyWithToken {
    pub(super) fn of(created: CreatedKey) -> Self {
        Self { token: created.token.reveal().to_owned(), key: Key::of(created.key) }
    }
}

impl KeyWithUsage {
    pub(super) fn of(details: KeyDetails) -> Self {
        let mut days: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
        for count in details.usage {
            let sum =
                days.entry(count.day).or_default().entry(count.outcome.as_str().to_owned()).or_default();
            *sum = sum.saturating_add(count.count);
        }
        let usage = days.into_iter().map(|(day, outcomes)| Day { day: day.to_string(), outcomes }).collect();
        Self { key: Key::of(details.key), usage }
    }
}

impl Refusals {
    pub(super) fn of(refusal: KeyRefusal) -> Self {
        Self {
            reason: refusal.reason.to_string(),
            count: refusal.count,
            at: refusal.at.into(),
            address: refusal.address.map(|address| address.to_string()),
            route: refusal.route,
        }
    }
}
