//! The past once more, slowly.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::ActivityKind;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ports::EntropyExt;
use crate::primitives::id::{ReplayId, WebhookId};
use crate::primitives::page::{Page, PageRequest};
use crate::tenancy::model::Actor;
use crate::webhooks::context::Context;
use crate::webhooks::model::{Replay, ReplayFilter, ReplayState, StatusKind, Webhook};
use crate::webhooks::service::access::{may_manage, may_read};
use crate::webhooks::service::deliveries::{disabled, parse_types};
use crate::webhooks::service::listing::{After, check_span, page, paging};

/// Which past deliveries of a webhook are to be sent once more, and how fast.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use crossdock::primitives::WebhookId;
/// use crossdock::webhooks::NewReplay;
///
/// let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
/// let webhook = WebhookId::mint(noon, [7; 10]);
///
/// // Whatever never arrived in that hour, 50 a second.
/// let replay = NewReplay::undelivered(webhook, noon, noon + TimeDelta::hours(1)).rate(50);
///
/// assert_eq!(replay, replay.clone());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewReplay {
    webhook: WebhookId,
    filter: ReplayFilter,
    event_types: Vec<String>,
    per_second: u32,
}

/// Which page of replays is wanted.
///
/// ```
/// use crossdock::webhooks::ReplayQuery;
///
/// let query = ReplayQuery::new().limit(20);
///
/// assert_ne!(query, ReplayQuery::new());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReplayQuery {
    limit: Option<usize>,
    after: Option<After>,
}

/// A tenant's replays as this actor may see and change them; from [`Admin::replays`](crate::hub::Admin::replays).
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{NewReplay, NewWebhook, ReplayState};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let admin = hub.admin(Actor::org_admin("org_42".parse()?, "ada"));
/// let wanted = NewWebhook::to("https://erp.example.com/").events(["*"]);
/// let webhook = admin.webhooks().create(wanted).await?.webhook.id;
/// let past = DateTime::UNIX_EPOCH;
///
/// let replay = NewReplay::undelivered(webhook, past, past + TimeDelta::days(1));
/// assert_eq!(admin.replays().preview(replay.clone()).await?, 0);
///
/// let started = admin.replays().start(replay).await?;
/// assert_eq!(admin.replays().cancel(started.id).await?.state, ReplayState::Cancelled);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReplayAdmin {
    context: Arc<Context>,
    actor: Actor,
}

impl NewReplay {
    const PER_SECOND: u32 = 10;
    const MOST_PER_SECOND: u32 = 1_000;

    /// What never arrived: dead letters and skipped deliveries that were made in this span of time, `to` not included.
    pub fn undelivered(webhook: WebhookId, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let filter = ReplayFilter::undelivered(from, to);
        Self { webhook, filter, event_types: Vec::new(), per_second: Self::PER_SECOND }
    }

    /// Everything that was made in this span of time, `to` not included, also what has arrived.
    pub fn everything(webhook: WebhookId, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let ended = [StatusKind::Delivered, StatusKind::DeadLetter, StatusKind::Skipped];
        Self::undelivered(webhook, from, to).statuses(ended)
    }

    /// Only with one of these statuses.
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusKind>) -> Self {
        self.filter.statuses = statuses.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        self
    }

    /// Only of these types.
    #[must_use]
    pub fn event_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.event_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// So many per second at most, 1 to 1,000; 10 by default.
    #[must_use]
    pub fn rate(mut self, per_second: u32) -> Self {
        self.per_second = per_second;
        self
    }

    fn check(self, what: &'static str) -> Result<Self> {
        let mut problems = Vec::new();
        problems.extend(check_span(Some(self.filter.from), Some(self.filter.to)));
        if !(1..=Self::MOST_PER_SECOND).contains(&self.per_second) {
            let rule = format!("a replay makes 1 to {} deliveries a second", Self::MOST_PER_SECOND);
            problems.push(Problem::new("rate", rule, "use 10, or what the receiver can take"));
        }
        if self.filter.statuses.is_empty() {
            let fix = "name `dead_letter` and `skipped` for what never arrived";
            problems.push(Problem::new("statuses", "a replay names at least one status", fix));
        }
        let waiting = |status: &StatusKind| matches!(status, StatusKind::Pending | StatusKind::Stopped);
        if let Some(status) = self.filter.statuses.iter().find(|status| waiting(status)) {
            let rule = format!("a delivery that is `{}` has not ended", status.as_str());
            problems.push(Problem::new("statuses", rule, "wait, or release the stopped order"));
        }
        let types = parse_types(&self.event_types, &mut problems);
        if problems.is_empty() {
            Ok(Self { filter: self.filter.with_event_types(types), ..self })
        } else {
            Err(Error::invalid(what, problems))
        }
    }
}

impl ReplayQuery {
    /// The newest 50 replays.
    pub fn new() -> Self {
        Self::default()
    }

    paging!();
}

impl ReplayAdmin {
    pub(crate) fn new(context: Arc<Context>, actor: Actor) -> Self {
        Self { context, actor }
    }

    /// How many deliveries a replay would make.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound` when there is no such webhook; `Invalid` with everything that is wrong.
    pub async fn preview(&self, replay: NewReplay) -> Result<u64> {
        const WHAT: &str = "preview replay";
        may_read(&self.context, &self.actor, WHAT)?;
        let replay = replay.check(WHAT)?;
        self.webhook(replay.webhook, WHAT).await?;
        self.context.repository.preview_replay(self.actor.tenant(), replay.webhook, &replay.filter).await
    }

    /// Starts a replay: a stored job that any worker carries on, in a lane of its own and without touching the webhook's health.
    ///
    /// Dropping the future leaves it started or not.
    ///
    /// # Errors
    /// As [`ReplayAdmin::preview`]; `Conflict` when the webhook is disabled, or as many replays run as
    /// [`Settings::max_running_replays`](crate::webhooks::Settings::max_running_replays) allows.
    pub async fn start(&self, replay: NewReplay) -> Result<Replay> {
        const WHAT: &str = "start replay";
        may_manage(&self.context, &self.actor, WHAT)?;
        let replay = replay.check(WHAT)?;
        let webhook = self.webhook(replay.webhook, WHAT).await?;
        if !webhook.is_enabled() {
            return Err(Error::new(ErrorKind::Conflict, WHAT).with_problem(disabled()));
        }
        let most = self.context.settings.max_running_replays;
        if self.running().await? >= most {
            let rule = format!("an organisation has at most {most} replays running");
            let problem = Problem::new("replays", rule, "wait until one has ended, or cancel one");
            return Err(Error::new(ErrorKind::Conflict, WHAT).with_problem(problem));
        }
        let now = self.context.clock.now();
        let id = ReplayId::mint(now, self.context.entropy.bytes());
        let tenant = self.actor.tenant().clone();
        let activity = self
            .context
            .activity_by(&self.actor, ActivityKind::ReplayStarted, id, now)
            .with_detail("webhook", replay.webhook.to_string())
            .with_detail("from", replay.filter.from.to_rfc3339())
            .with_detail("to", replay.filter.to.to_rfc3339());
        let job = Replay::new(id, tenant, replay.webhook, replay.filter, replay.per_second, now);
        let job = self.context.repository.start_replay(job, vec![activity]).await?;
        self.context.wake.wake();
        Ok(job)
    }

    /// One replay.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn replay(&self, id: ReplayId) -> Result<Replay> {
        const WHAT: &str = "read replay";
        may_read(&self.context, &self.actor, WHAT)?;
        let replay = self.context.repository.replay(self.actor.tenant(), id).await?;
        replay.ok_or_else(|| Error::new(ErrorKind::NotFound, WHAT))
    }

    /// A page of replays, newest first.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when the cursor is none.
    pub async fn list(&self, query: ReplayQuery) -> Result<Page<Replay>> {
        const WHAT: &str = "list replays";
        may_read(&self.context, &self.actor, WHAT)?;
        let page =
            page(query.limit, query.after.as_ref()).map_err(|problem| Error::invalid(WHAT, [problem]))?;
        self.context.repository.replays(self.actor.tenant(), page).await
    }

    /// Ends a replay; what it has made goes on.
    ///
    /// Dropping the future leaves it ended or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Conflict` when it has ended already.
    pub async fn cancel(&self, id: ReplayId) -> Result<Replay> {
        const WHAT: &str = "cancel replay";
        may_manage(&self.context, &self.actor, WHAT)?;
        let now = self.context.clock.now();
        let activity = self.context.activity_by(&self.actor, ActivityKind::ReplayCancelled, id, now);
        let tenant = self.actor.tenant();
        let cancelled = self.context.repository.cancel_replay(tenant, id, vec![activity], now).await;
        cancelled.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(ErrorKind::NotFound, WHAT),
            ErrorKind::Conflict => {
                let problem = Problem::new("replay", "it has ended already", "nothing is left to cancel");
                Error::new(ErrorKind::Conflict, WHAT).with_problem(problem)
            }
            _ => error,
        })
    }

    /// How many of the tenant's replays run. Two that are started at the same time may exceed a limit together: it is there to
    /// bound what a tenant costs, not to be exact.
    async fn running(&self) -> Result<usize> {
        let mut count = 0;
        let mut page = PageRequest::first(PageRequest::MAX);
        loop {
            let replays = self.context.repository.replays(self.actor.tenant(), page).await?;
            count += replays.items.iter().filter(|replay| replay.state == ReplayState::Running).count();
            match replays.next {
                Some(next) => page = page.after(next),
                None => return Ok(count),
            }
        }
    }

    async fn webhook(&self, id: WebhookId, what: &'static str) -> Result<Arc<Webhook>> {
        let webhook = self.context.repository.webhook(self.actor.tenant(), id).await?;
        webhook.ok_or_else(|| Error::new(ErrorKind::NotFound, what))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn everything_wrong_with_a_replay_is_said_at_once() {
        let noon = DateTime::UNIX_EPOCH;
        let webhook = WebhookId::mint(noon, [1; 10]);
        let fields = |replay: NewReplay| match replay.check("start replay") {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().iter().map(|problem| problem.field.clone()).collect(),
        };
        let hour = NewReplay::undelivered(webhook, noon, noon + TimeDelta::hours(1));

        assert_eq!(fields(hour.clone().rate(1_000)), [""; 0]);
        assert_eq!(fields(hour.clone().rate(1_001)), ["rate"]);
        assert_eq!(fields(hour.clone().statuses([StatusKind::Pending])), ["statuses"]);
        assert_eq!(
            fields(NewReplay::everything(webhook, noon, noon).rate(0).statuses([]).event_types([""])),
            ["from", "rate", "statuses", "event_types[0]"]
        );
    }
}
