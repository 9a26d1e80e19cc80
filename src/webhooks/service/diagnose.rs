//! Why does nothing arrive? The facts are gathered here, and judged in `findings`.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::event_type::EventType;
use crate::events::model::EventHead;
use crate::primitives::id::{EventId, WebhookId};
use crate::primitives::page::PageRequest;
use crate::webhooks::fan_out::{Hearing, hearing};
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{Attempt, Delivery, DeliveryFilter, Include, StatusKind, Webhook};
use crate::webhooks::service::access::may_read;
use crate::webhooks::service::credentials::stored_header_names;
use crate::webhooks::service::findings::{Facts, Finding, findings};
use crate::webhooks::service::webhooks::WebhookAdmin;

/// Why nothing arrives at a webhook's receiver, as far as it can be told from here.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{Cause, NewWebhook};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
/// let id = webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?.webhook.id;
/// webhooks.pause(id).await?;
///
/// let diagnosis = webhooks.diagnose(id).await?;
///
/// assert_eq!(diagnosis.findings[0].cause, Cause::Paused);
/// assert_eq!(diagnosis.findings[0].what_to_do, "resume the webhook: what has waited is then delivered");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What stands in the way, the most decisive first; empty if nothing does.
    pub findings: Vec<Finding>,
    /// The newest attempt among the newest deliveries.
    pub last_attempt: Option<Arc<Attempt>>,
    /// How the receiver has done.
    pub health: WebhookHealth,
}

/// What is asked about besides the webhook itself.
#[derive(Clone, Debug, Eq, PartialEq)]
enum About {
    Everything,
    Type(EventType),
    Event(EventId),
}

impl WebhookAdmin {
    /// Says why nothing arrives.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn diagnose(&self, id: WebhookId) -> Result<Diagnosis> {
        self.diagnosis(id, About::Everything).await
    }

    /// Says why events of this type do not arrive.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` when it is not the name of a type.
    pub async fn diagnose_type(&self, id: WebhookId, event_type: &str) -> Result<Diagnosis> {
        let about = event_type.parse().map_err(|invalid: crate::events::InvalidEventType| {
            let fix = "choose among the listed event types";
            Error::invalid(WHAT, [Problem::new("event_type", invalid.to_string(), fix)])
        });
        may_read(&self.context, &self.actor, WHAT)?;
        self.diagnosis(id, About::Type(about?)).await
    }

    /// Says why this event has not arrived.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also when there is no such event.
    pub async fn diagnose_event(&self, id: WebhookId, event: EventId) -> Result<Diagnosis> {
        self.diagnosis(id, About::Event(event)).await
    }

    async fn diagnosis(&self, id: WebhookId, about: About) -> Result<Diagnosis> {
        may_read(&self.context, &self.actor, WHAT)?;
        let webhook = self.stored(id, WHAT).await?;
        let facts = self.facts(&webhook, about).await?;
        let attempts = facts.newest.iter().flat_map(|record| &record.attempts);
        let last_attempt =
            attempts.max_by_key(|attempt| (attempt.started_at, attempt.number)).map(Arc::clone);
        Ok(Diagnosis { findings: findings(&webhook, &facts), last_attempt, health: facts.health })
    }

    async fn facts(&self, webhook: &Webhook, about: About) -> Result<Facts> {
        let (repository, tenant) = (&self.context.repository, self.actor.tenant());
        let now = self.context.clock.now();
        let of_webhook = DeliveryFilter { webhook: Some(webhook.id), ..DeliveryFilter::default() };
        let first = async |filter: DeliveryFilter, limit| -> Result<Vec<Delivery>> {
            let page = PageRequest::first(limit);
            let page = repository.deliveries(tenant, &filter, Include::default(), page).await?;
            Ok(page.items.into_iter().map(|record| record.delivery).collect())
        };
        let (heard, asked) = match about {
            About::Everything => (None, None),
            About::Type(event_type) => (Some(self.hears_type(webhook, event_type, now)), None),
            About::Event(id) => {
                let event = repository.event(tenant, id).await?;
                let event = event.ok_or_else(|| Error::new(ErrorKind::NotFound, WHAT))?;
                let filter = DeliveryFilter { event: Some(id), ..of_webhook.clone() };
                let delivery = first(filter, 1).await?.into_iter().next();
                (Some(hearing(&event.head, webhook)), Some((event.head.published_at, delivery)))
            }
        };
        let newest = {
            let include = Include { attempts: true, ..Include::default() };
            let page = PageRequest::first(LOOKED_AT);
            repository.deliveries(tenant, &of_webhook, include, page).await?.items
        };
        let with = |status| DeliveryFilter { statuses: vec![status], ..of_webhook.clone() };
        Ok(Facts {
            now,
            url: self.context.egress.check_url(&webhook.url).err(),
            login_withheld: self.login_withheld(webhook).await?,
            health: repository.health(tenant, webhook.id).await?.unwrap_or_default(),
            held_until: repository.backlog(tenant, Some(webhook.id), now).await?.held_until,
            heard,
            asked,
            newest,
            waiting: first(with(StatusKind::Pending), LOOKED_AT).await?,
            stopped: !first(with(StatusKind::Stopped), 1).await?.is_empty(),
        })
    }

    async fn login_withheld(&self, webhook: &Webhook) -> Result<bool> {
        let defaults = self.context.repository.defaults(self.actor.tenant()).await?;
        let is_withheld = webhook.auth.is_none() && defaults.auth_for(&webhook.url).is_none();
        Ok(is_withheld && !stored_header_names(defaults.auth.as_ref()).is_empty())
    }

    fn hears_type(&self, webhook: &Webhook, event_type: EventType, now: DateTime<Utc>) -> Hearing {
        let gate = self.context.catalog.find(event_type.as_str()).map(|entry| entry.requires_any().clone());
        let nameless = EventId::mint(now, [0; 10]);
        let mut event = EventHead::new(nameless, webhook.tenant.clone(), event_type, now)
            .with_gate(gate.unwrap_or_default());
        // The question is about the type: an event that suits the webhook in every other way is thought of.
        event.owner = webhook.owner.clone();
        event.channels = webhook.channels.clone();
        hearing(&event, webhook)
    }
}

const WHAT: &str = "diagnose webhook";
/// How many deliveries are looked at.
const LOOKED_AT: usize = 100;
