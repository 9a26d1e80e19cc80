//! Port: keys and their use, as a store keeps them.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::activity::model::Activity;
use crate::api_keys::life::KeyStatus;
use crate::api_keys::model::{ApiKey, DayCount, KeyRecord, KeyUsage};
use crate::api_keys::token::PublicId;
use crate::error::Result;
use crate::primitives::durability::Durability;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Page, PageRequest};
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

/// One of the changes that are saved together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KeyChange {
    /// A new key.
    Insert(ApiKey),
    /// A key as it is to be, with a version one above the present one. Its public id, its line and what is kept of its secret are
    /// those that it has.
    Replace {
        /// The key as it is to be.
        key: ApiKey,
        /// The version that this was made from.
        expected: Version,
    },
    /// Nothing by itself, but a condition: with the changes before it, the tenant has at most so many keys that are not revoked.
    AtMost(usize),
}

/// How far the changes of a store have been seen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(u64);

/// Which keys were changed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeysChanged {
    /// Up to here.
    pub epoch: Epoch,
    /// The keys; `None` when there are more than were asked for, or more than the store remembers: then any key may be changed.
    pub keys: Option<Vec<PublicId>>,
}

/// Which keys are wanted; what is not set does not filter.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::api_keys::{KeyFilter, KeyStatus};
///
/// let forgotten = KeyFilter::new().status(KeyStatus::Active).unused_since(DateTime::UNIX_EPOCH);
///
/// assert_eq!(forgotten.statuses, [KeyStatus::Active]);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyFilter {
    /// Only those that are called one of these.
    pub statuses: Vec<KeyStatus>,
    /// Only those that were not used since then, and made before then.
    pub unused_since: Option<DateTime<Utc>>,
}

/// Keeps keys and their use.
///
/// # Contract
/// - `save` makes all changes and writes all entries of the activity log, or none; one change sees those before it.
/// - `save` refuses: `NotFound` a key that this tenant has not; `Conflict` another version than the expected one, an id or a public
///   id that is taken, and one key too many; `Invalid` a key of another tenant.
/// - `find` answers with the key as it was at or after the call; what was saved before the call is seen.
/// - `changed_since` names every key whose change, insertion included, had been saved before the call and after the given epoch was
///   told, and no other tenant's keys are left out: it is the one list that has no tenant.
/// - An epoch never goes back. Without an epoch the answer names no key.
/// - More changes than `limit`, or than the store remembers, are `None`: never a part of them.
/// - `key` and `keys` show the tenant's own keys only, `keys` newest first, each exactly once over all pages, by the filter as
///   [`KeyFilter::matches`] judges it at `now`.
/// - `record_usage` adds the counts, and never moves a last use backwards; entries of the log are written in the same step, each id
///   once. Usage of a key that the tenant has not is passed over.
/// - `record_usage` replaces what is kept of a secret where it still is what was read, and changes no version and no epoch by it.
/// - `usage` sums by day and outcome, both ends of the span included.
/// - Of one line never more uses than `most` are leased together; what is asked for beyond is not granted. What is given back can be
///   leased again. Nobody leases for a line that no key of the tenant belongs to.
/// - Another tenant's id answers exactly like one that does not exist.
/// - Dropping a future leaves its step made or not made.
#[async_trait]
pub trait KeyStore: Debug + Send + Sync + 'static {
    /// Whether what this store keeps outlives the process.
    fn durability(&self) -> Durability;

    /// Saves changes and what happened.
    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// The key with this public id, whoever's it is: the caller does not know yet.
    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>>;

    /// Which keys were changed since then, if they are no more than `limit`.
    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged>;

    /// One of the tenant's keys.
    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>>;

    /// A page of the tenant's keys.
    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>>;

    /// Adds to how keys were used.
    async fn record_usage(
        &self,
        usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// How one of the tenant's keys was used, by day.
    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>>;

    /// Leases up to `wanted` uses of a line that has `most` in all, and says how many.
    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// Gives back what was leased and not used.
    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        now: DateTime<Utc>,
    ) -> Result<()>;
}

impl Epoch {
    /// The epoch with this number, as a store has kept it.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl KeysChanged {
    /// These keys, or any.
    pub const fn new(epoch: Epoch, keys: Option<Vec<PublicId>>) -> Self {
        Self { epoch, keys }
    }
}

impl KeyFilter {
    /// All keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those that are called this; given several times, one of these.
    #[must_use]
    pub fn status(mut self, status: KeyStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// Only those that were not used since then, and made before then.
    #[must_use]
    pub fn unused_since(mut self, time: DateTime<Utc>) -> Self {
        self.unused_since = Some(time);
        self
    }

    /// Whether the key is wanted.
    pub fn matches(&self, record: &KeyRecord, now: DateTime<Utc>) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&KeyStatus::of(record, now)))
            && self.unused_since.is_none_or(|since| {
                record.key.created_at < since && record.last.as_ref().is_none_or(|last| last.at < since)
            })
    }
}
