//! Another tenant's id answers exactly like an id that does not exist.

use std::fmt::Debug;

use crate::error::Result;
use crate::primitives::id::{DeliveryId, EventId, ReplayId, WebhookId};
use crate::primitives::page::PageRequest;
use crate::testing::conformance::world::{IN_ORDER, World, at};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{DeliveryFilter, Fate, Include, Replay, ReplayFilter, Version, Webhook};
use crate::webhooks::repository::{Backlog, Change, Release, StoppedHead};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["isolation":
        reading_another_tenants_webhook_is_like_reading_none,
        changing_another_tenants_webhook_is_like_changing_none,
        another_tenants_events_and_deliveries_are_not_there,
        another_tenants_deliveries_cannot_be_resent,
        another_tenants_replays_are_not_there,
        another_tenants_stops_cannot_be_released,
        a_cursor_of_another_tenant_shows_nothing_of_it,
    ]
}

/// What acme has: one of everything.
struct Possessions {
    webhook: Webhook,
    event: EventId,
    delivery: DeliveryId,
    replay: ReplayId,
}

async fn possessions(world: &World) -> std::result::Result<Possessions, Failure> {
    let webhook = world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let event = world.send(2, at(0)).await?[0];
    let stopped = world.claim_one(at(0)).await?;
    world.settle(&stopped, Fate::Stop, at(1)).await?;
    let filter = ReplayFilter::undelivered(at(0), at(9));
    let replay = Replay::new(world.replay_id(at(2)), world.acme.clone(), webhook.id, filter, 10, at(100));
    let replay = world.stores.repository.start_replay(replay, Vec::new()).await?.id;
    Ok(Possessions { webhook, event, delivery: stopped.delivery, replay })
}

/// Two answers that must not differ in anything.
#[track_caller]
fn alike<T: Debug>(foreign: Result<T>, unknown: Result<T>, what: &str) -> Verdict {
    let text = |answer: Result<T>| match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error:?}"),
    };
    same(text(foreign), text(unknown), what)
}

async fn reading_another_tenants_webhook_is_like_reading_none(world: World) -> Verdict {
    let acme = possessions(&world).await?;
    let repository = &world.stores.repository;
    let unknown = world.webhook_of(&world.other, at(0))?.id;
    let foreign = acme.webhook.id;

    same(repository.webhook(&world.other, foreign).await?, None, "there is no such webhook")?;
    same(repository.health(&world.other, foreign).await?, None, "and no such health")?;
    let backlog = |id: Option<WebhookId>| repository.backlog(&world.other, id, at(9));
    same(backlog(Some(foreign)).await?, Backlog::default(), "and no backlog")?;
    same(backlog(None).await?, Backlog::default(), "the other tenant has none at all")?;
    alike(backlog(Some(foreign)).await, backlog(Some(unknown)).await, "like an unknown one")?;
    holds(
        repository.webhooks(&world.other, PageRequest::first(9)).await?.items.is_empty(),
        "none is listed",
    )?;
    same(repository.defaults(&world.other).await?.version, Version::NONE, "nothing was set")
}

async fn changing_another_tenants_webhook_is_like_changing_none(world: World) -> Verdict {
    let acme = possessions(&world).await?;
    let unknown = world.webhook_of(&world.other, at(0))?;
    let mut stolen = acme.webhook.clone();
    stolen.tenant = world.other.clone();
    let save = |change| world.stores.repository.save(&world.other, vec![change], Vec::new(), at(5));
    let replace = |webhook: &Webhook| Change::Replace {
        webhook: Webhook { version: webhook.version.next(), ..webhook.clone() },
        expected: webhook.version,
        release: Release::Release,
    };
    let remove = |webhook: &Webhook| Change::Remove { id: webhook.id, expected: webhook.version };

    alike(save(replace(&stolen)).await, save(replace(&unknown)).await, "replacing it")?;
    alike(save(remove(&stolen)).await, save(remove(&unknown)).await, "removing it")?;

    same(&*world.stored(&acme.webhook).await?, &acme.webhook, "it stays as it is")
}

async fn another_tenants_events_and_deliveries_are_not_there(world: World) -> Verdict {
    let acme = possessions(&world).await?;
    world.insert(world.webhook_of(&world.other, at(0))?).await?;
    let mine = world.send_for(&world.other, 1, at(3)).await?;
    let repository = &world.stores.repository;

    same(repository.event(&world.other, acme.event).await?, None, "there is no such event")?;
    let delivery = repository.delivery(&world.other, acme.delivery, Include::default()).await?;
    same(delivery, None, "and no such delivery")?;
    let listed = world.records(&world.other).await?;
    let listed: Vec<_> = listed.iter().map(|record| record.delivery.event).collect();
    same(listed, mine, "a listing holds the tenant's own")?;
    let filter = DeliveryFilter { webhook: Some(acme.webhook.id), ..DeliveryFilter::default() };
    holds(world.records_like(&world.other, &filter).await?.is_empty(), "also of a foreign webhook")?;
    let filter = DeliveryFilter { event: Some(acme.event), ..DeliveryFilter::default() };
    holds(world.records_like(&world.other, &filter).await?.is_empty(), "and of a foreign event")
}

async fn another_tenants_deliveries_cannot_be_resent(world: World) -> Verdict {
    let acme = possessions(&world).await?;
    let unknown = world.delivery_id(at(0));
    let resend = |past| {
        world.stores.repository.resend(&world.other, past, world.delivery_id(at(5)), Vec::new(), at(5))
    };

    alike(resend(acme.delivery).await, resend(unknown).await, "like an unknown one")?;

    same(world.records(&world.acme).await?.len(), 2, "nothing is made")
}

async fn another_tenants_replays_are_not_there(world: World) -> Verdict {
    let acme = possessions(&world).await?;
    let repository = &world.stores.repository;
    let unknown = (world.webhook_of(&world.other, at(0))?.id, world.replay_id(at(0)));
    let filter = ReplayFilter::undelivered(at(0), at(9));

    same(repository.replay(&world.other, acme.replay).await?, None, "there is no such replay")?;
    holds(repository.replays(&world.other, PageRequest::first(9)).await?.items.is_empty(), "none is listed")?;
    let cancel = |id| repository.cancel_replay(&world.other, id, Vec::new(), at(5));
    alike(cancel(acme.replay).await, cancel(unknown.1).await, "cancelling it")?;
    let preview = |webhook| repository.preview_replay(&world.other, webhook, &filter);
    alike(preview(acme.webhook.id).await, preview(unknown.0).await, "counting for a foreign webhook")?;
    let start = |webhook| {
        let id = world.replay_id(at(5));
        let replay = Replay::new(id, world.other.clone(), webhook, filter.clone(), 10, at(5));
        repository.start_replay(replay, Vec::new())
    };
    alike(start(acme.webhook.id).await, start(unknown.0).await, "starting one for a foreign webhook")?;

    let replay = repository.replay(&world.acme, acme.replay).await?;
    same(replay.map(|replay| replay.state), Some(crate::webhooks::model::ReplayState::Running), "it goes on")
}

async fn another_tenants_stops_cannot_be_released(world: World) -> Verdict {
    let acme = possessions(&world).await?;
    let unknown = world.webhook_of(&world.other, at(0))?.id;
    let release = |webhook| {
        world.stores.repository.release_stopped(&world.other, webhook, StoppedHead::Skip, Vec::new(), at(5))
    };

    alike(release(acme.webhook.id).await, release(unknown).await, "like an unknown one")?;

    holds(world.claim(10, at(5)).await?.is_empty(), "the order stands still")
}

async fn a_cursor_of_another_tenant_shows_nothing_of_it(world: World) -> Verdict {
    possessions(&world).await?;
    let all = DeliveryFilter::default();
    let list = |tenant, page| world.stores.repository.deliveries(tenant, &all, Include::default(), page);
    let Some(cursor) = list(&world.acme, PageRequest::first(1)).await?.next else {
        return holds(false, "there are two pages");
    };

    let page = list(&world.other, PageRequest::first(10).after(cursor)).await?;

    holds(page.items.is_empty(), "a cursor grants nothing")
}
