//! `resend` and `release_stopped`.

use crate::activity::model::ActivityKind;
use crate::error::ErrorKind;
use crate::testing::conformance::world::{BY_KEY, IN_ORDER, LEASE, World, at, events_of};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, refused, same};
use crate::webhooks::model::{Claim, DeadReason, DeliveryStatus, Fate, Origin};
use crate::webhooks::queue::ClaimRequest;
use crate::webhooks::repository::StoppedHead;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["repair":
        a_resend_makes_one_pending_delivery_of_the_same_event,
        a_resend_goes_in_the_replay_lane,
        a_resend_waits_while_the_webhook_is_paused,
        a_resend_to_a_disabled_webhook_is_a_conflict,
        a_resend_of_what_is_gone_is_not_found,
        a_resend_has_an_id_of_its_own,
        a_released_stop_is_tried_from_its_first_attempt,
        a_skipped_stop_becomes_a_dead_letter,
        every_stop_of_the_webhook_ends,
        a_release_without_stops_ends_none,
    ]
}

async fn dead(world: &World) -> Result<Claim, Failure> {
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.settle(&claim, Fate::DeadLetter(DeadReason::Exhausted), at(1)).await?;
    Ok(claim)
}

async fn a_resend_makes_one_pending_delivery_of_the_same_event(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let past = dead(&world).await?;
    let before = world.record(past.delivery).await?;
    let id = world.delivery_id(at(5));
    let entry = world.entry(&world.acme, ActivityKind::DeliveryResent, at(5));

    let answer =
        world.stores.repository.resend(&world.acme, past.delivery, id, vec![entry.clone()], at(5)).await?;

    let stored = world.delivery(id).await?;
    same(&answer, &stored, "it is answered as it is stored")?;
    same(
        (stored.id, stored.event, stored.webhook),
        (id, past.event.head.id, webhook.id),
        "of the same event",
    )?;
    same(
        (stored.status, stored.origin, stored.attempts, stored.created_at),
        (DeliveryStatus::Pending, Origin::Resend, 0, at(5)),
        "it waits for its own first attempt",
    )?;
    same(world.record(past.delivery).await?, before, "the past one stays as it is")?;
    same(world.log().await?, vec![entry], "the log is told")?;
    let claim = world.claim_one(at(5)).await?;
    same((claim.delivery, claim.origin, claim.attempt), (id, Origin::Resend, 1), "it is due at once")?;
    same(&claim.event, &past.event, "with the same id and the same bytes")?;
    holds(world.claim(10, at(5)).await?.is_empty(), "one is made")
}

async fn a_resend_goes_in_the_replay_lane(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let past = dead(&world).await?;
    let stuck = world.send(2, at(2)).await?;
    let head = world.claim_one(at(2)).await?;
    world.settle(&head, Fate::RetryAt(at(900)), at(2)).await?;
    for _ in 0..2 {
        let id = world.delivery_id(at(5));
        world.stores.repository.resend(&world.acme, past.delivery, id, Vec::new(), at(5)).await?;
    }

    let claims = world.claim(10, at(5)).await?;

    same(
        events_of(&claims),
        vec![past.event.head.id],
        "it does not wait for the order, and the lane has its limit",
    )?;
    let mut request = ClaimRequest::new(at(900), LEASE, 10);
    request.max_replays_in_flight = 2;
    let claims = world.stores.queue.claim(request).await?.claims;
    let live: Vec<_> = claims.iter().filter(|claim| claim.origin == Origin::Live).cloned().collect();
    same(events_of(&live), vec![stuck[0]], "the order goes on as if nothing had been resent")?;
    same(claims.len(), 3, "with both resends beside it")
}

async fn a_resend_waits_while_the_webhook_is_paused(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let past = dead(&world).await?;
    world.pause(&webhook, at(2)).await?;

    let id = world.delivery_id(at(3));
    world.stores.repository.resend(&world.acme, past.delivery, id, Vec::new(), at(3)).await?;

    holds(world.claim(10, at(3)).await?.is_empty(), "it is not sent")?;
    same(world.delivery(id).await?.status, DeliveryStatus::Pending, "it waits")
}

async fn a_resend_to_a_disabled_webhook_is_a_conflict(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let past = dead(&world).await?;
    world.disable(&webhook, at(2)).await?;
    let entry = world.entry(&world.acme, ActivityKind::DeliveryResent, at(3));
    let id = world.delivery_id(at(3));

    let answer = world.stores.repository.resend(&world.acme, past.delivery, id, vec![entry], at(3)).await;

    refused(answer, ErrorKind::Conflict, "it would be skipped")?;
    same(world.records(&world.acme).await?.len(), 1, "nothing is made")?;
    holds(world.log().await?.is_empty(), "nothing is logged")
}

async fn a_resend_of_what_is_gone_is_not_found(world: World) -> Verdict {
    let repository = &world.stores.repository;
    let resend = |past| repository.resend(&world.acme, past, world.delivery_id(at(3)), Vec::new(), at(3));
    refused(resend(world.delivery_id(at(0))).await, ErrorKind::NotFound, "there is no such delivery")?;
    let webhook = world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;
    let erased = world.claim_one(at(0)).await?;
    world.settle(&erased, Fate::Delivered, at(1)).await?;
    repository.erase_subject(&world.acme, "ada", Vec::new(), at(2)).await?;
    refused(resend(erased.delivery).await, ErrorKind::NotFound, "its payload is gone")?;
    let past = dead(&world).await?;
    world.remove(&webhook, at(3)).await?;

    refused(resend(past.delivery).await, ErrorKind::NotFound, "its webhook is gone")?;

    same(world.records(&world.acme).await?.len(), 2, "nothing is made")
}

async fn a_resend_has_an_id_of_its_own(world: World) -> Verdict {
    world.webhook().await?;
    let past = dead(&world).await?;

    let answer =
        world.stores.repository.resend(&world.acme, past.delivery, past.delivery, Vec::new(), at(3)).await;

    refused(answer, ErrorKind::Conflict, "there is a delivery with this id")?;
    same(
        world.statuses().await?,
        vec![DeliveryStatus::DeadLetter(DeadReason::Exhausted)],
        "it stays as it is",
    )
}

async fn stopped(world: &World, webhook_orders: &[&str]) -> Result<Vec<Claim>, Failure> {
    world.send_keyed(webhook_orders, at(0)).await?;
    let claims = world.claim(10, at(0)).await?;
    for claim in &claims {
        world.settle(claim, Fate::Stop, at(1)).await?;
    }
    Ok(claims)
}

async fn a_released_stop_is_tried_from_its_first_attempt(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| webhook.ordering = BY_KEY).await?;
    let heads = stopped(&world, &["a", "a"]).await?;
    let entry = world.entry(&world.acme, ActivityKind::LaneReleased, at(5));
    let repository = &world.stores.repository;

    let ended = repository
        .release_stopped(&world.acme, webhook.id, StoppedHead::Retry, vec![entry.clone()], at(5))
        .await?;

    same(ended, 1, "it says how many there were")?;
    let delivery = world.delivery(heads[0].delivery).await?;
    same(
        (delivery.status, delivery.attempts, delivery.next_attempt_at),
        (DeliveryStatus::Pending, 0, Some(at(5))),
        "it waits as if it were new",
    )?;
    let claims = world.claim(10, at(5)).await?;
    same(events_of(&claims), vec![heads[0].event.head.id], "it is the head still")?;
    same(claims[0].attempt, 1, "from its first attempt")?;
    same(world.log().await?, vec![entry], "the log is told")?;
    world.settle(&claims[0], Fate::Delivered, at(6)).await?;
    same(world.claim(10, at(6)).await?.len(), 1, "then the next one goes")
}

async fn a_skipped_stop_becomes_a_dead_letter(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| webhook.ordering = BY_KEY).await?;
    let heads = stopped(&world, &["a", "a"]).await?;

    let ended = world
        .stores
        .repository
        .release_stopped(&world.acme, webhook.id, StoppedHead::Skip, Vec::new(), at(5))
        .await?;

    same(ended, 1, "it says how many there were")?;
    let delivery = world.delivery(heads[0].delivery).await?;
    same(
        delivery.status,
        DeliveryStatus::DeadLetter(DeadReason::SkippedByPerson),
        "a person has given it up",
    )?;
    let claims = world.claim(10, at(5)).await?;
    same(claims.len(), 1, "the next one goes")?;
    holds(claims[0].delivery != heads[0].delivery, "which is another one")
}

async fn every_stop_of_the_webhook_ends(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| webhook.ordering = BY_KEY).await?;
    let heads = stopped(&world, &["a", "b", "c", "a"]).await?;
    same(heads.len(), 3, "three orders stand still")?;
    let repository = &world.stores.repository;

    let release =
        || repository.release_stopped(&world.acme, webhook.id, StoppedHead::Retry, Vec::new(), at(5));
    let ended = [release().await?, release().await?];

    same(ended, [3, 0], "all at once")?;
    same(world.claim(10, at(5)).await?.len(), 3, "each order goes on")
}

async fn a_release_without_stops_ends_none(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let repository = &world.stores.repository;
    let release = |id| repository.release_stopped(&world.acme, id, StoppedHead::Skip, Vec::new(), at(5));

    same(release(webhook.id).await?, 0, "there is nothing to end")?;

    let unknown = world.webhook_of(&world.acme, at(0))?.id;
    refused(release(unknown).await, ErrorKind::NotFound, "there is no such webhook").map(|_| ())
}
