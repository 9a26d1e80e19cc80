//! A tenant's integrations as one actor may see and change them.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::activity::model::ActivityKind;
use crate::activity::service::ActivityAdmin;
use crate::api_keys::scope::Rights;
use crate::api_keys::service::ApiKeyAdmin;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::compiled::CatalogEntry;
use crate::hub::handle::Hub;
use crate::hub::keys::Keys;
use crate::inbound::context::InboundContext;
use crate::tenancy::model::{Actor, TenantId};
use crate::webhooks::context::Context;
use crate::webhooks::repository::Erasure;
use crate::webhooks::service::access::{may_manage, may_read};
use crate::webhooks::service::{DefaultsUpdate, DefaultsView, DeliveryAdmin, ReplayAdmin, WebhookAdmin};

/// A tenant's integrations as one actor may see and change them; from [`Hub::admin`](crate::Hub::admin).
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
///
/// let member = hub.admin(Actor::member("org_42".parse()?, "grace"));
/// assert_eq!(member.event_types()?[0].event_type().as_str(), "order.placed");
///
/// let above = hub.admin(Actor::super_admin("org_42".parse()?, "root"));
/// assert_eq!(above.event_types().unwrap_err().kind(), crossdock::ErrorKind::Denied);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    context: Arc<Context>,
    keys: Keys,
    pub(super) inbound: Arc<InboundContext>,
    actor: Actor,
    /// What keys can be given at most: the rights of the key that acts, if it is one.
    at_most: Option<Rights>,
}

impl Admin {
    pub(super) fn new(hub: &Hub, actor: Actor, at_most: Option<Rights>) -> Self {
        let (context, inbound) = (Arc::clone(&hub.context), Arc::clone(&hub.inbound));
        Self { context, keys: hub.keys.clone(), inbound, actor, at_most }
    }

    /// Who looks and changes.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The tenant's webhooks.
    pub fn webhooks(&self) -> WebhookAdmin {
        WebhookAdmin::new(Arc::clone(&self.context), self.actor.clone())
    }

    /// The tenant's deliveries, and what was tried.
    pub fn deliveries(&self) -> DeliveryAdmin {
        DeliveryAdmin::new(Arc::clone(&self.context), self.actor.clone())
    }

    /// The tenant's replays.
    pub fn replays(&self) -> ReplayAdmin {
        ReplayAdmin::new(Arc::clone(&self.context), self.actor.clone())
    }

    /// The tenant's API keys.
    pub fn api_keys(&self) -> ApiKeyAdmin {
        let Keys { gate, activity } = self.keys.clone();
        let access = self.context.access.clone();
        ApiKeyAdmin::new(gate, access, activity, self.actor.clone(), self.at_most.clone())
    }

    /// The event types that this actor may know of, groups together.
    ///
    /// # Errors
    /// `Denied`.
    pub fn event_types(&self) -> Result<Vec<Arc<CatalogEntry>>> {
        may_read(&self.context, &self.actor, "list event types")?;
        Ok(self.context.catalog.visible_to(&self.actor).map(Arc::clone).collect())
    }

    /// One event type, with its schema and its example.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also for a type that this actor may not know of.
    pub fn event_type(&self, name: &str) -> Result<Arc<CatalogEntry>> {
        const WHAT: &str = "read event type";
        may_read(&self.context, &self.actor, WHAT)?;
        let entry = self.context.catalog.find(name).filter(|entry| entry.is_visible_to(&self.actor));
        entry.map(Arc::clone).ok_or_else(|| Error::new(ErrorKind::NotFound, WHAT))
    }

    /// What applies to all webhooks that do not say otherwise.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn defaults(&self) -> Result<DefaultsView> {
        may_read(&self.context, &self.actor, "read defaults")?;
        Ok(DefaultsView::of(&*self.context.repository.defaults(self.actor.tenant()).await?))
    }

    /// Changes what applies to all webhooks that do not say otherwise.
    ///
    /// Dropping the future leaves it changed or not.
    ///
    /// # Errors
    /// `Denied`; `Conflict` when somebody has changed the defaults since the version that the update was made from; `Invalid`
    /// with everything that is wrong.
    pub async fn update_defaults(&self, update: DefaultsUpdate) -> Result<DefaultsView> {
        self.webhooks().update_defaults(update).await
    }

    /// What people and the engine did to the tenant's integrations.
    pub fn activity(&self) -> ActivityAdmin {
        let Context { activity, access, .. } = &*self.context;
        ActivityAdmin::new(Arc::clone(activity), access.clone(), self.actor.clone())
    }

    /// Erases the payloads of all events about a subject, and what receivers have answered to them; and the bodies of what was received
    /// about it, as far as its [route](crate::inbound::Route::about) says what that is. Rows stay. What still waited is skipped, or not
    /// handled any more. The log keeps a fingerprint of the subject, not its name.
    ///
    /// Dropping the future leaves nothing erased, what was received, or everything; another call does the rest.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when the subject is empty.
    pub async fn erase_subject(&self, subject: &str) -> Result<Erasure> {
        const WHAT: &str = "erase subject";
        may_manage(&self.context, &self.actor, WHAT)?;
        if subject.is_empty() {
            let fix = "name the subject as the events name it";
            return Err(Error::invalid(WHAT, [Problem::new("subject", "a subject has a name", fix)]));
        }
        let now = self.context.clock.now();
        let kind = ActivityKind::SubjectErased;
        let named = fingerprint(self.actor.tenant(), subject);
        let activity = self.context.activity_by(&self.actor, kind, named, now);
        let tenant = self.actor.tenant();
        let received = self.inbound.erase_subject(&tenant.clone().into(), subject, now).await?;
        let mut erasure = self.context.repository.erase_subject(tenant, subject, vec![activity], now).await?;
        (erasure.received, erasure.unhandled) = (received.items, received.unhandled);
        Ok(erasure)
    }
}

/// Says whether it was this subject to whoever knows the name, and the name to nobody: what is erased must not live on in the
/// log. A NUL cannot stand in a tenant's id.
fn fingerprint(tenant: &TenantId, subject: &str) -> String {
    let digest =
        Sha256::new().chain_update(tenant.as_str()).chain_update([0]).chain_update(subject).finalize();
    format!("sha256:{}", hex::encode(&digest[..16]))
}
