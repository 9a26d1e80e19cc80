//! What a host holds.

use std::sync::Arc;

use crate::error::Result;
use crate::events::compiled::CompiledCatalog;
use crate::events::new_event::{CheckedEvent, NewEvent};
use crate::hub::admin::Admin;
use crate::hub::builder::HubBuilder;
use crate::hub::keys::Keys;
use crate::inbound::context::InboundContext;
use crate::tenancy::model::Actor;
use crate::webhooks::context::Context;
use crate::webhooks::host_transaction::Publications;
use crate::webhooks::model::{Publication, Published};
use crate::webhooks::notice::NoticeStream;
use crate::webhooks::service::publish::{self, Explained};
use crate::webhooks::settings::Settings;

/// Everything behind a product's Integrations page; cloning shares it.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let catalog = EventCatalog::new().with(EventTypeSpec::new("shipment.shipped"));
/// let hub = Hub::builder().events(catalog).build()?;
///
/// let event = NewEvent::new("org_42".parse()?, "shipment.shipped", "A-7")?.with_idempotency_key("A-7");
/// let first = hub.publish(event.clone()).await?;
/// let again = hub.publish(event).await?;
///
/// assert_eq!((again.event, again.fresh), (first.event, false));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Hub {
    pub(super) context: Arc<Context>,
    pub(super) keys: Keys,
    pub(super) inbound: Arc<InboundContext>,
}

impl Hub {
    /// Begins a hub; every part has a default.
    pub fn builder() -> HubBuilder {
        HubBuilder::new()
    }

    /// Publishes an event: from now on it is delivered, given up visibly, or recorded as skipped, but never lost.
    ///
    /// Dropping the future leaves the event published or not; an idempotency key makes trying again safe.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with the event; `Conflict` when its idempotency key was used with another
    /// type or payload; the store's.
    pub async fn publish(&self, event: NewEvent) -> Result<Published> {
        publish::publish(&self.context, publish::prepare(&self.context, event)?).await
    }

    /// Publishes events in one step of the store: all or none.
    ///
    /// Dropping the future leaves all of them published, or none.
    ///
    /// # Errors
    /// As [`Hub::publish`]; the fields of problems begin with `events[<index>]`.
    pub async fn publish_many(&self, events: Vec<NewEvent>) -> Result<Vec<Published>> {
        publish::publish_all(&self.context, publish::prepare_all(&self.context, events)?).await
    }

    /// Checks, names and times an event: what is left is writing it, in a transaction of the host's own.
    ///
    /// Nobody is woken by that; a worker finds the event within a second.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with the event.
    pub fn prepare(&self, event: NewEvent) -> Result<Publication> {
        publish::prepare(&self.context, event)
    }

    /// Checks, names and times events that are to be written together, in a transaction of the host's own.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with any of the events; the fields of problems begin with `events[<index>]`.
    pub fn prepare_many(&self, events: Vec<NewEvent>) -> Result<Publications> {
        publish::prepare_all(&self.context, events).map(Publications::new)
    }

    /// Checks an event as publishing would; what a schema under
    /// [`SchemaMode::Warn`](crate::events::SchemaMode::Warn) has against it stands in [`CheckedEvent::warnings`].
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with the event.
    pub fn check(&self, event: NewEvent) -> Result<CheckedEvent> {
        self.context.catalog.check(event)
    }

    /// Says for each webhook of the event's tenant whether it would hear of it, and if not, why. Nothing is published.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// As [`Hub::publish`].
    pub async fn explain(&self, event: &NewEvent) -> Result<Vec<Explained>> {
        publish::explain(&self.context, event).await
    }

    /// The event types that can be published.
    pub fn event_types(&self) -> &CompiledCatalog {
        &self.context.catalog
    }

    /// What an operator should hear of, from now on, as far as this process learns of it.
    pub fn notices(&self) -> NoticeStream {
        self.context.notices.subscribe()
    }

    /// The numbers that hold for this hub.
    pub fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// The tenant's integrations as this actor may see and change them.
    pub fn admin(&self, actor: Actor) -> Admin {
        Admin::new(self, actor, None)
    }
}
