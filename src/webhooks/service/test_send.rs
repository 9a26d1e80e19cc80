//! Sends an example the very way that events go, and says what came of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::activity::model::ActivityKind;
use crate::error::{Error, Problem, Result};
use crate::events::event_type::EventPattern;
use crate::events::model::Event;
use crate::events::new_event::NewEvent;
use crate::mapping::Preview;
use crate::ports::EntropyExt;
use crate::primitives::id::{AttemptId, DeliveryId, EventId, WebhookId};
use crate::webhooks::classify::Verdict;
use crate::webhooks::dispatch::AttemptName;
use crate::webhooks::model::{Attempt, DeadReason, Delivery, DeliveryStatus, Origin};
use crate::webhooks::service::access::may_manage;
use crate::webhooks::service::webhooks::WebhookAdmin;

/// What a test sends: the example of an event type, or a payload of one's own.
///
/// ```
/// use crossdock::webhooks::TestEvent;
///
/// let example = TestEvent::from("order.placed");
/// let own = TestEvent::of("order.placed").payload(r#"{"order":"A-7"}"#);
///
/// assert_ne!(example, own);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestEvent {
    event_type: String,
    payload: Option<Bytes>,
}

/// What came of a test.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::ports::TransportErrorKind;
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{AttemptError, NewWebhook};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let placed = EventTypeSpec::new("order.placed").example(serde_json::json!({"order": "A-7"}));
/// let hub = Hub::builder().events(EventCatalog::new().with(placed)).without_built_ins().build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
/// let id = webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?.webhook.id;
///
/// let tested = webhooks.test(id, "order.placed").await?;
///
/// // This hub was built without a transport.
/// assert_eq!(tested.attempt.error, Some(AttemptError::Transport(TransportErrorKind::Unconfigured)));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Tested {
    /// The request and what came of it.
    pub attempt: Attempt,
    /// What the answer would mean for a delivery; for the webhook it means nothing.
    pub verdict: Verdict,
    /// What the webhook's mapping made of the event, field by field, with everything that failed; `None` if it has none.
    pub mapped: Option<Preview>,
}

impl fmt::Debug for Tested {
    /// What a mapping made of the event is the tenant's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tested")
            .field("attempt", &self.attempt)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl TestEvent {
    /// The example of this event type.
    pub fn of(event_type: impl Into<String>) -> Self {
        Self { event_type: event_type.into(), payload: None }
    }

    /// This JSON text instead of the example; the type's schema must accept it.
    #[must_use]
    pub fn payload(mut self, json: impl Into<Bytes>) -> Self {
        self.payload = Some(json.into());
        self
    }
}

impl From<&str> for TestEvent {
    fn from(event_type: &str) -> Self {
        Self::of(event_type)
    }
}

impl WebhookAdmin {
    /// Sends an event type's example through the very same path as every event, and answers with the attempt. It is logged; it works
    /// on a paused or disabled webhook, and changes neither its health nor its state.
    ///
    /// Dropping the future may leave a request that was sent and not logged.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` when the type is unknown to this actor, has no example and none was given, or the payload
    /// does not fit; the vault's. A receiver that fails is an answer, not an error.
    pub async fn test(&self, id: WebhookId, event: impl Into<TestEvent>) -> Result<Tested> {
        const WHAT: &str = "test webhook";
        let event = event.into();
        may_manage(&self.context, &self.actor, WHAT)?;
        let webhook = self.stored(id, WHAT).await?;
        let event = self.example(event, WHAT)?;
        let defaults = self.context.repository.defaults(self.actor.tenant()).await?;

        let started_at = self.context.clock.now();
        let delivery = DeliveryId::mint(started_at, self.context.entropy.bytes());
        let name = AttemptName {
            id: AttemptId::mint(started_at, self.context.entropy.bytes()),
            delivery,
            number: 1,
            started_at,
        };
        // A mapping that this process cannot run sends nothing either: the attempt says so.
        let preview = |document: &str| self.context.dispatcher.mappings().preview(document, &event).ok();
        let mapped = webhook.mapping.as_deref().and_then(preview);
        let sent = self.context.dispatcher.send(&webhook, &defaults, &event, name).await?;

        let attempt = sent.attempt;
        let delivery = self.delivery(&webhook.id, &event, &attempt, sent.verdict);
        let result = attempt.error.map_or_else(|| "delivered".to_owned(), |error| error.to_string());
        let activity = self
            .context
            .activity_by(&self.actor, ActivityKind::WebhookTested, id, delivery.updated_at)
            .with_detail("event_type", event.event_type.as_str())
            .with_detail("result", result);
        self.context.repository.record_test(event, delivery, attempt.clone(), vec![activity]).await?;
        Ok(Tested { attempt, verdict: sent.verdict, mapped })
    }

    /// The event that is sent; a type that the actor may not know of is as unknown as any other.
    fn example(&self, wanted: TestEvent, what: &'static str) -> Result<Arc<Event>> {
        let invalid = |problem| Error::invalid(what, [problem]);
        let catalog = &self.context.catalog;
        let entry = catalog.find(&wanted.event_type).filter(|entry| entry.is_visible_to(&self.actor));
        let Some(entry) = entry else {
            let problem = match wanted.event_type.parse::<EventPattern>() {
                Ok(pattern) => catalog.check_pattern(&pattern, &self.actor).err(),
                Err(_) => None,
            };
            let fix =
                problem.map_or_else(|| "choose among the listed event types".to_owned(), |near| near.fix);
            return Err(invalid(Problem::new("event_type", "there is no such event type", fix)));
        };
        let payload = wanted.payload.or_else(|| entry.example_payload().cloned()).ok_or_else(|| {
            let rule = format!("`{}` has no example to send", entry.event_type());
            invalid(Problem::new("payload", rule, "give a payload, or ask for an example in the catalogue"))
        })?;
        let event = NewEvent::from_json(self.actor.tenant().clone(), wanted.event_type, payload);
        let checked = catalog.check(event).map_err(|error| {
            // The payload's problems stand under the name that this call has for it.
            Error::invalid(
                what,
                error.problems().iter().map(|problem| {
                    let field = problem.field.replacen("data", "payload", 1);
                    Problem::new(field, &*problem.rule, &*problem.fix)
                }),
            )
        })?;
        let now = self.context.clock.now();
        Ok(Arc::new(checked.into_event(EventId::mint(now, self.context.entropy.bytes()), now)))
    }

    fn delivery(&self, webhook: &WebhookId, event: &Event, attempt: &Attempt, verdict: Verdict) -> Delivery {
        let tenant = self.actor.tenant().clone();
        let event_type = event.event_type.clone();
        let made = attempt.started_at;
        let mut delivery =
            Delivery::new(attempt.delivery, tenant, *webhook, event.id, event_type, Origin::Test, made);
        delivery.status = match verdict {
            Verdict::Delivered => DeliveryStatus::Delivered,
            Verdict::Gone | Verdict::DisableAsked => DeliveryStatus::DeadLetter(DeadReason::Gone),
            Verdict::Rejected => DeliveryStatus::DeadLetter(DeadReason::Rejected),
            Verdict::Unmapped => DeliveryStatus::DeadLetter(DeadReason::Unmapped),
            // A test is tried once.
            Verdict::Retry(_) => DeliveryStatus::DeadLetter(DeadReason::Exhausted),
        };
        delivery.attempts = 1;
        delivery.updated_at = self.context.clock.now();
        delivery.next_attempt_at = None;
        delivery.last_status = attempt.status;
        delivery.last_error = attempt.error;
        delivery
    }
}
