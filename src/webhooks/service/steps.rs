//! What an administrator can change, as values: one at a time, or several together.

use crate::primitives::id::WebhookId;
use crate::webhooks::service::credentials::SecretOnce;
use crate::webhooks::service::defaults::DefaultsUpdate;
use crate::webhooks::service::new_webhook::NewWebhook;
use crate::webhooks::service::view::{DefaultsView, WebhookView};
use crate::webhooks::service::webhook_update::WebhookUpdate;

/// One of several changes that [`WebhookAdmin::apply`](super::WebhookAdmin::apply) makes together.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{NewWebhook, WebhookQuery, WebhookStep};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
///
/// let refused = webhooks
///     .apply(vec![
///         WebhookStep::create(NewWebhook::to("https://erp.example.com/hooks").events(["*"])),
///         WebhookStep::create(NewWebhook::to("https://localhost/").events(["*"])),
///     ])
///     .await
///     .unwrap_err();
///
/// assert_eq!(refused.problems()[0].field, "steps[1].url");
/// assert!(webhooks.list(WebhookQuery::new()).await?.items.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a step does nothing until it is applied"]
pub struct WebhookStep(pub(crate) Step);

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(Box<NewWebhook>),
    Update(Box<WebhookUpdate>),
    Switch(WebhookId, Switch),
    Delete(WebhookId),
    Defaults(Box<DefaultsUpdate>),
}

/// Which way a webhook is switched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Switch {
    Pause,
    Resume,
    Disable,
    Enable,
}

/// What came of one step.
///
/// ```
/// use crossdock::webhooks::StepOutcome;
///
/// /// The new secrets among several outcomes, to be shown once.
/// fn new_secrets(outcomes: &[StepOutcome]) -> Vec<String> {
///     outcomes.iter().filter_map(|outcome| outcome.secret.as_ref()).map(|secret| secret.reveal()).collect()
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct StepOutcome {
    /// The webhook as it is now; `None` after a deletion, or if the step was about the defaults.
    pub webhook: Option<WebhookView>,
    /// The secret of a new webhook, for the only time.
    pub secret: Option<SecretOnce>,
    /// The tenant's defaults as they are now, if the step was about them.
    pub defaults: Option<DefaultsView>,
}

impl WebhookStep {
    /// As [`WebhookAdmin::create`](super::WebhookAdmin::create).
    pub fn create(new: NewWebhook) -> Self {
        Self(Step::Create(Box::new(new)))
    }

    /// As [`WebhookAdmin::update`](super::WebhookAdmin::update).
    pub fn update(update: WebhookUpdate) -> Self {
        Self(Step::Update(Box::new(update)))
    }

    /// As [`WebhookAdmin::pause`](super::WebhookAdmin::pause).
    pub fn pause(id: WebhookId) -> Self {
        Self(Step::Switch(id, Switch::Pause))
    }

    /// As [`WebhookAdmin::resume`](super::WebhookAdmin::resume).
    pub fn resume(id: WebhookId) -> Self {
        Self(Step::Switch(id, Switch::Resume))
    }

    /// As [`WebhookAdmin::disable`](super::WebhookAdmin::disable).
    pub fn disable(id: WebhookId) -> Self {
        Self(Step::Switch(id, Switch::Disable))
    }

    /// As [`WebhookAdmin::enable`](super::WebhookAdmin::enable).
    pub fn enable(id: WebhookId) -> Self {
        Self(Step::Switch(id, Switch::Enable))
    }

    /// As [`WebhookAdmin::delete`](super::WebhookAdmin::delete).
    pub fn delete(id: WebhookId) -> Self {
        Self(Step::Delete(id))
    }

    /// As [`Admin::update_defaults`](crate::hub::Admin::update_defaults).
    pub fn defaults(update: DefaultsUpdate) -> Self {
        Self(Step::Defaults(Box::new(update)))
    }
}

impl Step {
    /// Whether the step names the version that it was made from: then a conflict is the caller's to solve.
    pub(crate) fn is_versioned(&self) -> bool {
        matches!(self, Self::Update(_) | Self::Defaults(_))
    }
}
