//! What was received, and replays.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::ActivityKind;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inbound::context::InboundContext;
use crate::inbound::received::ReceivedRecord;
use crate::inbound::service::keep::key;
use crate::inbound::source::Owner;
use crate::inbound::store::{InboundErasure, ReceivedFilter, Replayed};
use crate::primitives::id::ReceivedId;
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::Actor;

/// What a tenant, or the platform, has received; from [`Admin::received`](crate::hub::Admin::received) or
/// [`Hub::platform_received`](crate::Hub::platform_received).
///
/// An id of another owner answers like one that does not exist.
#[derive(Clone, Debug)]
pub struct ReceivedAdmin {
    context: Arc<InboundContext>,
    /// Whoever looks; nobody but the host's own code looks at the platform's.
    actor: Option<Actor>,
}

impl ReceivedAdmin {
    pub(crate) fn of_tenant(context: Arc<InboundContext>, actor: Actor) -> Self {
        Self { context, actor: Some(actor) }
    }

    pub(crate) fn of_platform(context: Arc<InboundContext>) -> Self {
        Self { context, actor: None }
    }

    /// A page, newest first, without bodies.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when the span of time has no length.
    pub async fn list(&self, filter: &ReceivedFilter, page: PageRequest) -> Result<Page<ReceivedRecord>> {
        const WHAT: &str = "list what was received";
        self.may_read(WHAT)?;
        check(filter, WHAT)?;
        self.context.store.received(&self.owner(), filter, page).await
    }

    /// One item, with its body.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn find(&self, id: ReceivedId) -> Result<ReceivedRecord> {
        const WHAT: &str = "read what was received";
        self.may_read(WHAT)?;
        let found = self.context.store.one_received(&self.owner(), id).await?;
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, WHAT))
    }

    /// Hands one item to its handler once more, whatever became of it.
    ///
    /// Dropping the future leaves it asked for or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also when it is pending already, or retention has dropped its body.
    pub async fn replay(&self, id: ReceivedId) -> Result<()> {
        const WHAT: &str = "replay what was received";
        let replayed = self.replay_all(&ReceivedFilter::new().id(id), PageRequest::first(1)).await?;
        if replayed.count == 1 { Ok(()) } else { Err(Error::new(ErrorKind::NotFound, WHAT)) }
    }

    /// Hands what the filter wants, and has ended, to its handlers once more: one step of at most so many, newest first, from where a step
    /// before has ended.
    ///
    /// Dropping the future leaves the step made or not.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when the span of time has no length.
    pub async fn replay_all(&self, filter: &ReceivedFilter, page: PageRequest) -> Result<Replayed> {
        const WHAT: &str = "replay what was received";
        self.may_manage(WHAT)?;
        check(filter, WHAT)?;
        let now = self.context.clock.now();
        // What finds nothing does nothing, and the log says nothing of it: least of all an id of somebody else's.
        let mut any = PageRequest::first(1);
        if let Some(cursor) = page.cursor() {
            any = any.after(cursor);
        }
        if self.context.store.received(&self.owner(), filter, any).await?.items.is_empty() {
            return Ok(Replayed::default());
        }
        let entry = self.actor.as_ref().map(|actor| {
            let subject = filter.ids.first().map_or_else(|| "filter".to_owned(), ToString::to_string);
            self.context.activity_by(actor, ActivityKind::ReceivedReplayed, subject, now)
        });
        let activity = entry.into_iter().collect();
        let replayed = self.context.store.replay_received(&self.owner(), filter, page, activity, now).await?;
        if replayed.count > 0 {
            self.context.due.wake();
        }
        Ok(replayed)
    }

    fn owner(&self) -> Owner {
        self.actor.as_ref().map_or(Owner::Platform, |actor| Owner::Tenant(actor.tenant().clone()))
    }

    fn may_read(&self, what: &'static str) -> Result<()> {
        let allowed = self.actor.as_ref().map_or(Ok(()), |actor| self.context.access.read(actor));
        allowed.map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }

    fn may_manage(&self, what: &'static str) -> Result<()> {
        let allowed = self.actor.as_ref().map_or(Ok(()), |actor| self.context.access.manage(actor));
        allowed.map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }
}

impl InboundContext {
    /// Erases what this owner has received about a subject.
    pub(crate) async fn erase_subject(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        self.store.erase_received(owner, &key(subject), now).await
    }
}

fn check(filter: &ReceivedFilter, what: &'static str) -> Result<()> {
    match (filter.from, filter.to) {
        (Some(from), Some(to)) if from >= to => {
            let rule = "a span of time begins before it ends; `to` itself is not part of it";
            Err(Error::invalid(what, [Problem::new("from", rule, "give a `from` that is earlier than `to`")]))
        }
        _ => Ok(()),
    }
}
