//! An event goes in: checked, named, timed, written; and who would hear of it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::new_event::{CheckedEvent, NewEvent};
use crate::ports::EntropyExt;
use crate::primitives::id::{EventId, WebhookId};
use crate::primitives::page::PageRequest;
use crate::webhooks::context::Context;
use crate::webhooks::fan_out::{Hearing, hearing};
use crate::webhooks::model::{Publication, Published};

/// Whether one webhook would hear of an event.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
/// use crossdock::tenancy::{Actor, TenantId};
/// use crossdock::webhooks::{Hearing, NewWebhook};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let catalog = EventCatalog::new().with_all(["order.placed", "order.paid"].map(EventTypeSpec::new));
/// let hub = Hub::builder().events(catalog).build()?;
/// let tenant: TenantId = "org_42".parse()?;
/// let admin = hub.admin(Actor::org_admin(tenant.clone(), "ada"));
/// admin.webhooks().create(NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["order.paid"])).await?;
///
/// let explained = hub.explain(&NewEvent::new(tenant, "order.placed", &7)?).await?;
///
/// assert_eq!((&*explained[0].name, explained[0].hearing), ("ERP", Hearing::NotSubscribed));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explained {
    /// Which webhook.
    pub webhook: WebhookId,
    /// What people call it.
    pub name: String,
    /// Whether it would hear of the event, and if not, why.
    pub hearing: Hearing,
}

/// The event as it would be written.
pub(crate) fn prepare(context: &Context, event: NewEvent) -> Result<Publication> {
    Ok(publication(context, context.catalog.check(event)?))
}

/// The events as they would be written, or everything that is wrong with any of them.
pub(crate) fn prepare_all(context: &Context, events: Vec<NewEvent>) -> Result<Vec<Publication>> {
    let mut publications = Vec::with_capacity(events.len());
    let mut problems = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        match context.catalog.check(event) {
            Ok(checked) => publications.push(publication(context, checked)),
            Err(error) => problems.extend(error.problems().iter().map(|problem| {
                Problem::new(format!("events[{index}].{}", problem.field), &*problem.rule, &*problem.fix)
            })),
        }
    }
    if problems.is_empty() { Ok(publications) } else { Err(Error::invalid("publish events", problems)) }
}

/// Writes one publication.
pub(crate) async fn publish(context: &Context, publication: Publication) -> Result<Published> {
    let published = publish_all(context, vec![publication]).await?;
    published.into_iter().next().ok_or_else(|| {
        Error::new(ErrorKind::Internal, "publish event")
            .with_source("the store has not said what it published")
    })
}

/// Writes publications together, all or none.
pub(crate) async fn publish_all(context: &Context, publications: Vec<Publication>) -> Result<Vec<Published>> {
    let Some(first) = publications.first() else { return Ok(Vec::new()) };
    // They were timed a moment ago.
    let now = first.event.head.published_at;
    let remembered = context.settings.retention.idempotency_keys;
    let published = context.queue.publish(publications, remembered, now).await?;
    // After the store call: a worker that is woken earlier would look too early.
    if published.iter().any(|published| published.fresh) {
        context.wake.wake();
    }
    Ok(published)
}

/// Says for each of the tenant's webhooks whether it would hear of the event.
pub(crate) async fn explain(context: &Context, event: &NewEvent) -> Result<Vec<Explained>> {
    let checked = context.catalog.check(event.clone())?;
    let event = publication(context, checked).event;
    let mut explained = Vec::new();
    let mut page = PageRequest::first(PageRequest::MAX);
    loop {
        let webhooks = context.repository.webhooks(&event.head.tenant, page).await?;
        explained.extend(webhooks.items.iter().map(|webhook| Explained {
            webhook: webhook.id,
            name: webhook.name.clone(),
            hearing: hearing(&event.head, webhook),
        }));
        match webhooks.next {
            Some(next) => page = page.after(next),
            None => return Ok(explained),
        }
    }
}

fn publication(context: &Context, checked: CheckedEvent) -> Publication {
    let now = context.clock.now();
    // Only a key makes anybody compare digests.
    let digest = if checked.idempotency_key().is_some() { digest(&checked) } else { [0; 32] };
    let key: Option<Arc<str>> = checked.idempotency_key().map(Arc::from);
    let event = checked.into_event(EventId::mint(now, context.entropy.bytes()), now);
    let mut publication = Publication::new(Arc::new(event), digest);
    publication.idempotency_key = key;
    publication.remembered = context.settings.retention.idempotency_keys;
    publication
}

/// A NUL cannot stand in a type's name, so no two pairs of type and payload are the same bytes.
fn digest(event: &CheckedEvent) -> [u8; 32] {
    Sha256::new()
        .chain_update(event.event_type().as_str())
        .chain_update([0])
        .chain_update(event.payload())
        .finalize()
        .into()
}
