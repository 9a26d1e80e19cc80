//! Port: the activity log, read.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::error::Result;
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::TenantId;

/// Which entries are wanted; what is not set does not filter.
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
}

impl ActivityFilter {
    /// Whether the entry is wanted.
    pub fn matches(&self, entry: &Activity) -> bool {
        self.kind.is_none_or(|kind| kind == entry.kind)
            && self.subject.as_ref().is_none_or(|subject| *subject == entry.subject)
            && self.actor.as_ref().is_none_or(|actor| **actor == *entry.actor)
            && self.from.is_none_or(|from| from <= entry.at)
            && self.to.is_none_or(|to| entry.at < to)
    }
}

/// Lists what happened. Entries are written by the steps they belong to, in the same transaction.
///
/// # Contract
/// - A page holds the tenant's entries only, newest first, each exactly once over all pages.
#[async_trait]
pub trait ActivityLog: Debug + Send + Sync + 'static {
    /// One page of the tenant's entries.
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>>;
}
