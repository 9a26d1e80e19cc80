//! Port: the activity log.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::chain::{ChainEnds, ChainEntry, ChainPlace};
use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::error::Result;
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;

/// Which entries are wanted; what is not set does not filter.
///
/// ```
/// use crossdock::activity::{ActivityFilter, ActivityKind};
///
/// let mut filter = ActivityFilter::errors();
/// filter.actor = Some("crossdock".into());
///
/// assert!(filter.kinds().contains(&ActivityKind::DeadLettered));
/// assert!(!filter.kinds().contains(&ActivityKind::WebhookCreated));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ActivityFilter {
    /// Only of this kind.
    pub kind: Option<ActivityKind>,
    /// Only about this record.
    pub subject: Option<Subject>,
    /// Only by this actor.
    pub actor: Option<String>,
    /// Only at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only of kinds that say that something went wrong: [`ActivityKind::is_error`].
    pub errors_only: bool,
}

impl ActivityFilter {
    /// Every entry that says that something went wrong.
    pub fn errors() -> Self {
        Self { errors_only: true, ..Self::default() }
    }

    /// Whether the entry is wanted.
    pub fn matches(&self, entry: &Activity) -> bool {
        self.kind.is_none_or(|kind| kind == entry.kind)
            && (!self.errors_only || entry.kind.is_error())
            && self.subject.as_ref().is_none_or(|subject| *subject == entry.subject)
            && self.actor.as_ref().is_none_or(|actor| **actor == *entry.actor)
            && self.from.is_none_or(|from| from <= entry.at)
            && self.to.is_none_or(|to| entry.at < to)
    }

    /// The kinds that are wanted: what a store asks its index for. Without a restriction they are all kinds.
    pub fn kinds(&self) -> Vec<ActivityKind> {
        let wanted = |kind: &ActivityKind| {
            self.kind.is_none_or(|only| only == *kind) && (!self.errors_only || kind.is_error())
        };
        ActivityKind::ALL.iter().copied().filter(wanted).collect()
    }

    /// Whether only some kinds are wanted.
    pub const fn narrows_kinds(&self) -> bool {
        self.kind.is_some() || self.errors_only
    }
}

/// Keeps what happened. Most entries are written by the steps they belong to, in the same transaction, through the ports of those
/// steps; they land in the same log.
///
/// # Contract
/// - A page holds the tenant's entries only, those that the filter wants, newest first, each exactly once over all pages.
/// - `append` writes all entries, of whichever tenants, or none; an entry whose id the tenant has already is not written again.
/// - Every entry that [is administrative](Activity::is_administrative) is chained when it is written, whichever port brings it: it
///   gets its tenant's next sequence number, and the hash of the one before it, in the step that writes it. Steps that run at once
///   never share a number and leave none out. What [`settle`](crate::webhooks::DeliveryQueue::settle) writes is never chained.
/// - `chain` answers the tenant's chained entries behind a place, lowest sequence first, each exactly once over all pages; an entry
///   that cannot be read back, or whose columns say something else than its record, is there without its contents.
/// - `chain_ends` tells where the chain begins and ends: the last link that retention has dropped, and the last that was made.
/// - Retention drops chained entries only from the chain's beginning, and none that is younger than it says.
/// - Dropping a future leaves its step made or not made.
#[async_trait]
pub trait ActivityStore: Debug + Send + Sync + 'static {
    /// One page of the tenant's entries.
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>>;

    /// Writes entries that belong to no step of another port.
    async fn append(&self, entries: Vec<Activity>) -> Result<()>;

    /// The tenant's chained entries behind this place, at most so many.
    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>>;

    /// Where the tenant's chain begins and ends.
    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_narrows_kinds_in_both_ways() {
        let mut filter = ActivityFilter::default();
        assert!(!filter.narrows_kinds());
        assert_eq!(filter.kinds(), ActivityKind::ALL);

        filter.errors_only = true;
        filter.kind = Some(ActivityKind::DeadLettered);
        assert_eq!(filter.kinds(), [ActivityKind::DeadLettered]);

        filter.kind = Some(ActivityKind::WebhookCreated);
        assert_eq!(filter.kinds(), []);
    }
}
