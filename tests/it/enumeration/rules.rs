//! What must hold in the end: everybody has recovered, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use crossdock::primitives::{EventId, PageRequest, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{DeadReason, Delivery, DeliveryStatus};

use super::scenario::Scenario;
use super::world::World;
use crate::simulation::rules::{delivered_was_taken, live_deliveries};

type Verdict = Result<(), Box<dyn std::error::Error>>;

/// The invariants, as far as they are not judged with every step.
pub(super) async fn all_is_well(scenario: &Scenario<'_>) -> Verdict {
    let world = scenario.world;
    holds(world)?;
    is_at_rest(world, &scenario.tenants).await?;
    what_was_accepted_is_there(scenario)?;
    a_notice_is_one_event(world).await?;
    for tenant in &scenario.tenants {
        every_event_is_accounted_for(world, tenant).await?;
        delivered_was_taken(&*world.ground.records, &world.ledger, tenant).await?;
    }
    Ok(())
}

/// What the ledger has seen with every step.
pub(super) fn holds(world: &World) -> Verdict {
    match world.ledger.books().violation.take() {
        Some(violation) => Err(violation.into()),
        None => Ok(()),
    }
}

/// What has waited for longer than anything is kept has ended as everything else does.
pub(super) async fn has_outlived(
    world: &World,
    tenant: &TenantId,
    webhook: WebhookId,
    event: EventId,
) -> Verdict {
    holds(world)?;
    let live = live_deliveries(&*world.ground.records, tenant, webhook, event).await?;
    if !has_ended(&live) {
        return Err(format!("retention drops nothing that waits: {event} has {live:?}").into());
    }
    Ok(delivered_was_taken(&*world.ground.records, &world.ledger, tenant).await?)
}

/// One delivery, which has come to an end that is not its age.
fn has_ended(live: &[Delivery]) -> bool {
    let expired = DeliveryStatus::DeadLetter(DeadReason::Expired);
    matches!(live, [delivery] if delivery.status.is_final() && delivery.status != expired)
}

async fn is_at_rest(world: &World, tenants: &[TenantId]) -> Verdict {
    let examined = world.ground.queue.examine(world.now()).await?;
    if (examined.outbox, examined.live_leases) != (0, 0) {
        return Err(format!("everybody recovers: something waits or is held, {examined:?}").into());
    }
    for tenant in tenants {
        let backlog = world.ground.records.backlog(tenant, None, world.now()).await?;
        if backlog.undelivered > 0 {
            return Err(
                format!("everybody recovers: {} of {tenant} are not delivered", backlog.undelivered).into()
            );
        }
    }
    Ok(())
}

/// What the host was told exists, once; and nothing else was published.
fn what_was_accepted_is_there(scenario: &Scenario<'_>) -> Verdict {
    let books = scenario.world.ledger.books();
    let told: BTreeSet<EventId> = scenario.accepted.values().copied().collect();
    if told.len() != scenario.accepted.len() {
        return Err("two publications are one event".into());
    }
    if let Some(lost) = told.iter().find(|event| !books.events.contains_key(event)) {
        return Err(format!("what was accepted is there: {lost} is not").into());
    }
    let things = books.events.iter().filter(|(_, known)| known.event_type.as_str() == "thing.happened");
    let unknown: Vec<_> = things.filter(|(event, _)| !told.contains(event)).map(|(event, _)| event).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!("a publication that is tried again makes nothing new: {unknown:?}").into()),
    }
}

/// What the engine itself publishes is published once, however often it is tried.
async fn a_notice_is_one_event(world: &World) -> Verdict {
    let notices: Vec<_> = {
        let books = world.ledger.books();
        let notices =
            books.events.iter().filter(|(_, known)| known.event_type.as_str().starts_with("webhook."));
        notices.map(|(event, known)| (*event, known.tenant.clone())).collect()
    };
    let mut told = BTreeSet::new();
    for (id, tenant) in notices {
        let event =
            world.ground.records.event(&tenant, id).await?.ok_or("an event that was published is there")?;
        let text = String::from_utf8_lossy(&event.payload).into_owned();
        if !told.insert((event.head.event_type.to_string(), text.clone())) {
            return Err(format!("a notice is one event: {id} is told again, {text}").into());
        }
    }
    Ok(())
}

/// Rule 1: of each event, each webhook that hears of it has exactly one delivery, and that has ended.
async fn every_event_is_accounted_for(world: &World, tenant: &TenantId) -> Verdict {
    let webhooks = world.ground.records.webhooks(tenant, PageRequest::first(100)).await?.items;
    let events: BTreeMap<EventId, _> = {
        let books = world.ledger.books();
        let own = books.events.iter().filter(|(_, known)| known.tenant == *tenant);
        own.map(|(event, known)| (*event, known.event_type.clone())).collect()
    };
    for webhook in &webhooks {
        let hears = |event_type| webhook.events.iter().any(|pattern| pattern.matches(event_type));
        for (event, _) in events.iter().filter(|(_, event_type)| hears(event_type)) {
            let live = live_deliveries(&*world.ground.records, tenant, webhook.id, *event).await?;
            if !has_ended(&live) {
                let text = format!("{} of {event} has {live:?}", webhook.name);
                return Err(
                    format!("every accepted event is delivered, dead-lettered or skipped: {text}").into()
                );
            }
        }
    }
    Ok(())
}
