//! What was delivered, what was not, and once more.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::ActivityKind;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::event_type::EventType;
use crate::ports::EntropyExt;
use crate::primitives::id::{DeliveryId, EventId, WebhookId};
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::Actor;
use crate::webhooks::context::Context;
use crate::webhooks::model::{Attempt, Delivery, DeliveryFilter, DeliveryRecord, Include, StatusKind};
use crate::webhooks::service::access::{may_manage, may_read};
use crate::webhooks::service::listing::{After, check_span, page, paging};

/// Which deliveries are wanted; what is not said does not filter.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use crossdock::webhooks::{DeliveryQuery, StatusKind};
///
/// let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
/// let query = DeliveryQuery::new()
///     .from(noon)
///     .to(noon + TimeDelta::hours(1))
///     .event_types(["shipment.shipped"])
///     .statuses([StatusKind::DeadLetter, StatusKind::Skipped])
///     .with_attempts();
///
/// assert_eq!(query, query.clone());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeliveryQuery {
    filter: DeliveryFilter,
    event_types: Vec<String>,
    include: Include,
    limit: Option<usize>,
    after: Option<After>,
}

/// A tenant's deliveries as this actor may see them; from [`Admin::deliveries`](crate::hub::Admin::deliveries).
///
/// ```
/// use crossdock::Hub;
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::DeliveryQuery;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let deliveries = hub.admin(Actor::member("org_42".parse()?, "grace")).deliveries();
///
/// let page = deliveries.list(DeliveryQuery::new().undelivered().limit(20)).await?;
///
/// assert!(page.items.is_empty() && page.next.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DeliveryAdmin {
    context: Arc<Context>,
    actor: Actor,
}

impl DeliveryQuery {
    /// All deliveries, newest first, 50 to a page, without payloads and attempts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only to this webhook.
    #[must_use]
    pub fn webhook(mut self, id: WebhookId) -> Self {
        self.filter.webhook = Some(id);
        self
    }

    /// Only of this event.
    #[must_use]
    pub fn event(mut self, id: EventId) -> Self {
        self.filter.event = Some(id);
        self
    }

    /// Only made at or after this time.
    #[must_use]
    pub fn from(mut self, time: DateTime<Utc>) -> Self {
        self.filter.from = Some(time);
        self
    }

    /// Only made before this time.
    #[must_use]
    pub fn to(mut self, time: DateTime<Utc>) -> Self {
        self.filter.to = Some(time);
        self
    }

    /// Only of these types.
    #[must_use]
    pub fn event_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.event_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Only with one of these statuses.
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusKind>) -> Self {
        self.filter.statuses = statuses.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        self
    }

    /// Only what the receiver took.
    #[must_use]
    pub fn delivered(mut self) -> Self {
        self.filter.success = Some(true);
        self
    }

    /// Only what the receiver did not take, or not yet.
    #[must_use]
    pub fn undelivered(mut self) -> Self {
        self.filter.success = Some(false);
        self
    }

    /// With each event's payload.
    #[must_use]
    pub fn with_payload(mut self) -> Self {
        self.include.payload = true;
        self
    }

    /// With each delivery's attempts.
    #[must_use]
    pub fn with_attempts(mut self) -> Self {
        self.include.attempts = true;
        self
    }

    paging!();

    fn check(self) -> Result<(DeliveryFilter, Include, PageRequest), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut filter = self.filter;
        problems.extend(check_span(filter.from, filter.to));
        filter.event_types = parse_types(&self.event_types, &mut problems);
        match page(self.limit, self.after.as_ref()) {
            Ok(page) if problems.is_empty() => Ok((filter, self.include, page)),
            page => {
                problems.extend(page.err());
                Err(problems)
            }
        }
    }
}

impl DeliveryAdmin {
    pub(crate) fn new(context: Arc<Context>, actor: Actor) -> Self {
        Self { context, actor }
    }

    /// A page of deliveries, newest first.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `Invalid` with everything that is wrong with the query.
    pub async fn list(&self, query: DeliveryQuery) -> Result<Page<DeliveryRecord>> {
        const WHAT: &str = "list deliveries";
        may_read(&self.context, &self.actor, WHAT)?;
        let (filter, include, page) = query.check().map_err(|problems| Error::invalid(WHAT, problems))?;
        self.context.repository.deliveries(self.actor.tenant(), &filter, include, page).await
    }

    /// One delivery with its payload and its attempts.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord> {
        self.record(id, Include { payload: true, attempts: true }, "read delivery").await
    }

    /// The attempts of one delivery, oldest first.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn attempts(&self, id: DeliveryId) -> Result<Vec<Arc<Attempt>>> {
        let include = Include { payload: false, attempts: true };
        Ok(self.record(id, include, "read attempts").await?.attempts)
    }

    /// Sends the same event to the same webhook once more, as a new delivery marked as a resend.
    ///
    /// Dropping the future leaves it asked for or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound` when the delivery, its payload or its webhook is gone; `Conflict` when the webhook is disabled.
    pub async fn resend(&self, id: DeliveryId) -> Result<Delivery> {
        const WHAT: &str = "resend delivery";
        may_manage(&self.context, &self.actor, WHAT)?;
        let now = self.context.clock.now();
        let new = DeliveryId::mint(now, self.context.entropy.bytes());
        let activity = self
            .context
            .activity_by(&self.actor, ActivityKind::DeliveryResent, id, now)
            .with_detail("delivery", new.to_string());
        let tenant = self.actor.tenant();
        let resent = self.context.repository.resend(tenant, id, new, vec![activity], now).await;
        let resent = resent.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(ErrorKind::NotFound, WHAT),
            ErrorKind::Conflict => Error::new(ErrorKind::Conflict, WHAT).with_problem(disabled()),
            _ => error,
        })?;
        self.context.something_is_due();
        Ok(resent)
    }

    async fn record(&self, id: DeliveryId, include: Include, what: &'static str) -> Result<DeliveryRecord> {
        may_read(&self.context, &self.actor, what)?;
        let record = self.context.repository.delivery(self.actor.tenant(), id, include).await?;
        record.ok_or_else(|| Error::new(ErrorKind::NotFound, what))
    }
}

/// Nothing is sent to a webhook that is switched off.
pub(super) fn disabled() -> Problem {
    Problem::new("webhook", "the webhook is disabled", "enable it first")
}

/// Types that somebody has typed; an unknown one is fine, because the past knows types that the catalogue no longer does.
pub(super) fn parse_types(types: &[String], problems: &mut Vec<Problem>) -> Vec<EventType> {
    if types.len() > MAX_TYPES {
        let rule = format!("a query names at most {MAX_TYPES} types, this one names {}", types.len());
        problems.push(Problem::new("event_types", rule, "name fewer, or none for all"));
        return Vec::new();
    }
    let mut parsed = Vec::with_capacity(types.len());
    for (index, text) in types.iter().enumerate() {
        match text.parse() {
            Ok(event_type) => parsed.push(event_type),
            Err(invalid) => {
                let invalid: crate::events::event_type::InvalidEventType = invalid;
                let fix = "choose among the listed event types";
                problems.push(Problem::new(format!("event_types[{index}]"), invalid.to_string(), fix));
            }
        }
    }
    parsed
}

/// Every row of a listing is compared with each of them.
const MAX_TYPES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_with_a_query_is_said_at_once() {
        let noon = DateTime::UNIX_EPOCH;

        let problems = DeliveryQuery::new()
            .from(noon)
            .to(noon)
            .event_types(["order.placed", "order..placed"])
            .after("page 2")
            .check()
            .expect_err("refused");

        let fields: Vec<_> = problems.iter().map(|problem| &*problem.field).collect();
        assert_eq!(fields, ["from", "event_types[1]", "after"]);
    }
}
