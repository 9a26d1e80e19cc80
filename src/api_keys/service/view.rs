//! What reading shows of a key: never its token, nor what is kept of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use crate::api_keys::life::KeyStatus;
use crate::api_keys::model::{ApiKey, DayCount, KeyRecord, KeyState, LastUse, Succession};
use crate::api_keys::rate::CallRate;
use crate::api_keys::scope::Rights;
use crate::api_keys::token::{Environment, TokenOnce};
use crate::primitives::id::ApiKeyId;

/// A key, as people see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyView {
    /// Names the key.
    pub id: ApiKeyId,
    /// How it is shown, such as `cd_live_rE7s…2ms3`.
    pub display: Arc<str>,
    /// What people call it.
    pub name: String,
    /// How it stands.
    pub status: KeyStatus,
    /// Which world it opens.
    pub environment: Environment,
    /// What it may do.
    pub rights: Rights,
    /// From where it may be used; none means from everywhere.
    pub networks: Vec<IpNet>,
    /// How often it may call, if it has a rate of its own.
    pub rate: Option<CallRate>,
    /// How often it may call from one address, if it has a rate of its own.
    pub address_rate: Option<CallRate>,
    /// How often it may be used in all.
    pub max_uses: Option<u64>,
    /// How many of these were leased to processes.
    pub used: u64,
    /// From when on it may be used.
    pub not_before: Option<DateTime<Utc>>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it may be used.
    pub state: KeyState,
    /// When it was found in the open.
    pub leaked_at: Option<DateTime<Utc>>,
    /// What takes its place.
    pub successor: Option<Succession>,
    /// The last use that this process or the store knows of.
    pub last: Option<LastUse>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: Arc<str>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A key that was just made, with its token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedKey {
    /// The key.
    pub key: KeyView,
    /// Its token, to be shown once: it cannot be had again.
    pub token: TokenOnce,
}

/// A key and how it was used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyDetails {
    /// The key.
    pub key: KeyView,
    /// How often, by day and outcome, in the last 30 days.
    pub usage: Vec<DayCount>,
}

impl KeyView {
    pub(crate) fn of(record: KeyRecord, now: DateTime<Utc>) -> Self {
        let status = KeyStatus::of(&record, now);
        let KeyRecord { key, last, used } = record;
        let ApiKey {
            id,
            display,
            name,
            environment,
            rights,
            networks,
            rate,
            address_rate,
            max_uses,
            not_before,
            expires_at,
            state,
            leaked_at,
            successor,
            created_at,
            created_by,
            updated_at,
            ..
        } = key;
        Self {
            id,
            display,
            name,
            status,
            environment,
            rights,
            networks,
            rate,
            address_rate,
            max_uses,
            used,
            not_before,
            expires_at,
            state,
            leaked_at,
            successor,
            last,
            created_at,
            created_by,
            updated_at,
        }
    }
}
