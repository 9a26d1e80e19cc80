//! An administrator's webhooks.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::id::WebhookId;
use crate::primitives::page::Page;
use crate::tenancy::model::Actor;
use crate::webhooks::context::Context;
use crate::webhooks::model::{DisableReason, Webhook, WebhookState};
use crate::webhooks::notice::{Notice, NoticeKind};
use crate::webhooks::notice_events::publish_notices;
use crate::webhooks::repository::Backlog;
use crate::webhooks::service::access::{may_manage, may_read};
use crate::webhooks::service::credentials::SecretOnce;
use crate::webhooks::service::defaults::DefaultsUpdate;
use crate::webhooks::service::new_webhook::NewWebhook;
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::steps::{Step, StepOutcome, Switch, WebhookStep};
use crate::webhooks::service::view::{Created, DefaultsView, WebhookQuery, WebhookView};
use crate::webhooks::service::webhook_update::WebhookUpdate;

/// A tenant's webhooks as this actor may see and change them; from [`Admin::webhooks`](crate::hub::Admin::webhooks).
///
/// Every change is checked as a whole, logged with the actor's name, and made completely or not at all. An id of another tenant
/// answers like one that does not exist. Dropping the future of a change leaves it made or not made.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{NewWebhook, WebhookState};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
///
/// let created = webhooks.create(NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["order.*"])).await?;
/// let id = created.webhook.id;
///
/// assert_eq!(webhooks.pause(id).await?.state, WebhookState::Paused);
/// assert_eq!(webhooks.resume(id).await?.state, WebhookState::Active);
/// webhooks.delete(id).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct WebhookAdmin {
    pub(super) context: Arc<Context>,
    pub(super) actor: Actor,
}

impl WebhookAdmin {
    /// How often a change without a version is planned anew when somebody else was faster.
    pub(super) const RETRIES: usize = 4;

    pub(crate) fn new(context: Arc<Context>, actor: Actor) -> Self {
        Self { context, actor }
    }

    /// Subscribes a URL.
    ///
    /// Dropping the future leaves the webhook made or not; if it is, nobody has seen its secret: rotate it, or delete the webhook.
    ///
    /// # Errors
    /// `Denied`; `Invalid` with everything that is wrong.
    pub async fn create(&self, new: NewWebhook) -> Result<Created> {
        const WHAT: &str = "create webhook";
        let outcome = self.one(WHAT, Step::Create(Box::new(new))).await?;
        let webhook = outcome.webhook.ok_or_else(|| Error::new(ErrorKind::Internal, WHAT))?;
        Ok(Created { webhook, secret: outcome.secret })
    }

    /// Makes a webhook what the update says; one that changes nothing is fine, and leaves the version as it is.
    ///
    /// Dropping the future leaves the update made or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Conflict` when somebody has changed the webhook since the version that the update was made from;
    /// `Invalid` with everything that is wrong.
    pub async fn update(&self, update: WebhookUpdate) -> Result<WebhookView> {
        self.one_webhook("update webhook", Step::Update(Box::new(update))).await
    }

    /// Lets deliveries wait; nothing is lost.
    ///
    /// Dropping the future leaves it paused or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Conflict` when the webhook is disabled.
    pub async fn pause(&self, id: WebhookId) -> Result<WebhookView> {
        self.one_webhook("pause webhook", Step::Switch(id, Switch::Pause)).await
    }

    /// Makes the deliveries that have waited, and those to come.
    ///
    /// Dropping the future leaves it resumed or not.
    ///
    /// # Errors
    /// As [`WebhookAdmin::pause`].
    pub async fn resume(&self, id: WebhookId) -> Result<WebhookView> {
        self.one_webhook("resume webhook", Step::Switch(id, Switch::Resume)).await
    }

    /// Switches a webhook off: its events are recorded as skipped from now on, and can be replayed.
    ///
    /// Dropping the future leaves it disabled or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn disable(&self, id: WebhookId) -> Result<WebhookView> {
        self.one_webhook("disable webhook", Step::Switch(id, Switch::Disable)).await
    }

    /// Switches a webhook on again, whoever had disabled it; what was skipped meanwhile can be replayed.
    ///
    /// Dropping the future leaves it enabled or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn enable(&self, id: WebhookId) -> Result<WebhookView> {
        self.one_webhook("enable webhook", Step::Switch(id, Switch::Enable)).await
    }

    /// Ends a webhook; its deliveries stay listed.
    ///
    /// Dropping the future leaves it deleted or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn delete(&self, id: WebhookId) -> Result<()> {
        self.one("delete webhook", Step::Delete(id)).await.map(drop)
    }

    /// Makes several changes together: all of them, or none.
    ///
    /// Later steps see what earlier ones have planned. A version means the one that is stored.
    ///
    /// Dropping the future leaves all steps made, or none.
    ///
    /// # Errors
    /// `Denied`; otherwise everything that is wrong with any step, in fields that begin with `steps[<index>]`: `Invalid` if any
    /// input is, else `NotFound`, else `Conflict`.
    pub async fn apply(&self, steps: Vec<WebhookStep>) -> Result<Vec<StepOutcome>> {
        const WHAT: &str = "apply changes";
        may_manage(&self.context, &self.actor, WHAT)?;
        if steps.len() > MAX_STEPS {
            let rule = format!("at most {MAX_STEPS} changes are made together, these are {}", steps.len());
            return Err(Error::invalid(WHAT, [Problem::new("steps", rule, "apply them in several calls")]));
        }
        let versioned = steps.iter().any(|step| step.0.is_versioned());
        let mut race = None;
        for _ in 0..Self::RETRIES {
            let mut plan = Plan::new(&self.context, &self.actor, WHAT);
            let mut done = Vec::with_capacity(steps.len());
            for (index, step) in steps.iter().enumerate() {
                plan.begin_step(index);
                done.push(take(&mut plan, step.0.clone()).await?);
            }
            plan.verdict()?;
            match plan.save().await {
                Err(error) if is_race(&error) => race = Some(error),
                Err(error) => return Err(error),
                Ok(()) => return self.outcomes(&mut plan, done).await,
            }
            if versioned {
                break;
            }
        }
        Err(lost_race(WHAT, race))
    }

    /// One webhook, with its health and its backlog.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn webhook(&self, id: WebhookId) -> Result<WebhookView> {
        const WHAT: &str = "read webhook";
        may_read(&self.context, &self.actor, WHAT)?;
        let webhook = self.stored(id, WHAT).await?;
        let mut view = WebhookView::of(&webhook, self.context.clock.now());
        view.health = self.context.repository.health(self.actor.tenant(), id).await?;
        view.backlog = Some(self.backlog_of(Some(id)).await?);
        Ok(view)
    }

    /// A page of webhooks, in the order of their creation.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when the cursor is none.
    pub async fn list(&self, query: WebhookQuery) -> Result<Page<WebhookView>> {
        const WHAT: &str = "list webhooks";
        may_read(&self.context, &self.actor, WHAT)?;
        let page = query.page().map_err(|problem| Error::invalid(WHAT, [problem]))?;
        let now = self.context.clock.now();
        let page = self.context.repository.webhooks(self.actor.tenant(), page).await?;
        let mut page = page.map(|webhook| WebhookView::of(&webhook, now));
        for view in &mut page.items {
            if query.health {
                view.health = self.context.repository.health(self.actor.tenant(), view.id).await?;
            }
            if query.backlog {
                view.backlog = Some(self.backlog_of(Some(view.id)).await?);
            }
        }
        Ok(page)
    }

    /// How much is undelivered, over all of the tenant's webhooks.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn backlog(&self) -> Result<Backlog> {
        may_read(&self.context, &self.actor, "read backlog")?;
        self.backlog_of(None).await
    }

    pub(crate) async fn update_defaults(&self, update: DefaultsUpdate) -> Result<DefaultsView> {
        const WHAT: &str = "update defaults";
        let outcome = self.one(WHAT, Step::Defaults(Box::new(update))).await?;
        outcome.defaults.ok_or_else(|| Error::new(ErrorKind::Internal, WHAT))
    }

    pub(super) async fn stored(&self, id: WebhookId, what: &'static str) -> Result<Arc<Webhook>> {
        let found = self.context.repository.webhook(self.actor.tenant(), id).await?;
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, what))
    }

    async fn backlog_of(&self, id: Option<WebhookId>) -> Result<Backlog> {
        self.context.repository.backlog(self.actor.tenant(), id, self.context.clock.now()).await
    }

    async fn one_webhook(&self, what: &'static str, step: Step) -> Result<WebhookView> {
        self.one(what, step).await?.webhook.ok_or_else(|| Error::new(ErrorKind::Internal, what))
    }

    async fn one(&self, what: &'static str, step: Step) -> Result<StepOutcome> {
        may_manage(&self.context, &self.actor, what)?;
        let mut race = None;
        for _ in 0..Self::RETRIES {
            let mut plan = Plan::new(&self.context, &self.actor, what);
            let done = take(&mut plan, step.clone()).await?;
            plan.verdict()?;
            match plan.save().await {
                Err(error) if is_race(&error) => race = Some(error),
                Err(error) => return Err(error),
                Ok(()) => {
                    let outcome = self.outcomes(&mut plan, vec![done]).await?.pop();
                    return outcome.ok_or_else(|| Error::new(ErrorKind::Internal, what));
                }
            }
            if step.is_versioned() {
                break;
            }
        }
        Err(lost_race(what, race))
    }

    async fn outcomes(&self, plan: &mut Plan<'_>, done: Vec<Done>) -> Result<Vec<StepOutcome>> {
        let defaults = if done.iter().any(|done| matches!(done, Done::Defaults)) {
            Some(DefaultsView::of(plan.defaults().await?))
        } else {
            None
        };
        for id in done.iter().filter_map(Done::disabled) {
            let kind = NoticeKind::Disabled(DisableReason::ByPerson);
            self.context.tell(Notice::new(plan.now, self.actor.tenant().clone(), id, kind));
        }
        // The change is made: a notice that cannot be published now is a worker's to publish.
        publish_notices(&self.context).await.ok();
        let view = |id| plan.saved(id).map(|webhook| WebhookView::of(webhook, plan.now));
        let outcomes = done.into_iter().map(|done| match done {
            Done::Created(id, secret) => StepOutcome { webhook: view(id), secret, defaults: None },
            Done::Changed(id) | Done::Disabled(id) => {
                StepOutcome { webhook: view(id), secret: None, defaults: None }
            }
            Done::Defaults => StepOutcome { webhook: None, secret: None, defaults: defaults.clone() },
            Done::Nothing => StepOutcome { webhook: None, secret: None, defaults: None },
        });
        Ok(outcomes.collect())
    }
}

/// What a step has planned.
enum Done {
    Created(WebhookId, Option<SecretOnce>),
    Changed(WebhookId),
    /// By a person, just now.
    Disabled(WebhookId),
    Defaults,
    /// The webhook is no more, or something is wrong with the step: then nothing will be saved.
    Nothing,
}

impl Done {
    fn disabled(&self) -> Option<WebhookId> {
        if let Self::Disabled(id) = self { Some(*id) } else { None }
    }
}

async fn take(plan: &mut Plan<'_>, step: Step) -> Result<Done> {
    let changed = |id: Option<WebhookId>| id.map_or(Done::Nothing, Done::Changed);
    Ok(match step {
        Step::Create(new) => match plan.create(*new).await? {
            Some((id, secret)) => Done::Created(id, secret),
            None => Done::Nothing,
        },
        Step::Update(update) => changed(plan.update(*update).await?),
        Step::Switch(id, switch) => match plan.switch(id, switch).await? {
            Some(WebhookState::Active | WebhookState::Paused) if switch == Switch::Disable => {
                Done::Disabled(id)
            }
            before => changed(before.map(|_| id)),
        },
        Step::Delete(id) => {
            plan.delete(id).await?;
            Done::Nothing
        }
        Step::Defaults(update) => {
            plan.update_defaults(*update).await?;
            Done::Defaults
        }
    })
}

/// The store has found another version than the plan.
pub(super) fn is_race(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict
}

/// Somebody else was faster, and a caller has to look at what they did.
pub(super) fn lost_race(what: &'static str, race: Option<Error>) -> Error {
    let fix = "look at it again and repeat the change";
    let problem = Problem::new("version", "somebody has changed it in this very moment", fix);
    let error = Error::new(ErrorKind::Conflict, what).with_problem(problem);
    match race {
        Some(race) => error.with_source(race),
        None => error,
    }
}

/// Each one is an entry of the log, and all of them are planned under one look at the store.
const MAX_STEPS: usize = 500;
