//! `advance_replays`, and the replay lane.

use chrono::{DateTime, Utc};

use crate::primitives::id::ReplayId;
use crate::testing::conformance::world::{IN_ORDER, LEASE, World, at, just_before};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::model::{
    DeliveryFilter, DeliveryStatus, Fate, Origin, Replay, ReplayFilter, ReplayState, Webhook, WebhookState,
};
use crate::webhooks::queue::ClaimRequest;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["advance_replays":
        each_call_makes_at_most_one_seconds_worth_oldest_first,
        at_most_one_delivery_is_made_for_each_id,
        a_call_without_ids_says_how_many_are_wanted,
        the_same_ids_make_nothing_twice,
        only_deliveries_of_published_events_are_replayed,
        every_due_replay_makes_its_share,
        no_replay_goes_short_because_of_another,
        a_replay_of_a_disabled_webhook_waits,
        a_replay_of_a_deleted_webhook_is_cancelled,
        what_a_replay_makes_is_due_in_the_replay_lane,
        replays_count_within_their_webhooks_limit,
        replays_do_not_wait_for_each_other_in_order,
        an_erased_event_is_not_replayed,
    ]
}

/// So many deliveries that were skipped, one per second from second 1 on.
async fn skipped(world: &World, count: usize) -> Result<Webhook, Failure> {
    let webhook = world.webhook().await?;
    world.disable(&webhook, at(0)).await?;
    for second in (1..).take(count) {
        world.send(1, at(second)).await?;
    }
    world.change(&webhook, at(100), |webhook| webhook.state = WebhookState::Active).await
}

async fn start(world: &World, webhook: &Webhook, per_second: u32) -> Result<Replay, Failure> {
    let filter = ReplayFilter::undelivered(at(0), at(1_000));
    let id = world.replay_id(at(100));
    let replay = Replay::new(id, world.acme.clone(), webhook.id, filter, per_second, at(100));
    Ok(world.stores.repository.start_replay(replay, Vec::new()).await?)
}

async fn advance(world: &World, ids: usize, now: DateTime<Utc>) -> Result<u64, Failure> {
    let ids = world.delivery_ids(ids, now);
    Ok(world.stores.queue.advance_replays(ids, now).await?.made)
}

async fn stored(world: &World, id: ReplayId) -> Result<Replay, Failure> {
    there(world.stores.repository.replay(&world.acme, id).await?, "the replay")
}

async fn each_call_makes_at_most_one_seconds_worth_oldest_first(world: World) -> Verdict {
    let webhook = skipped(&world, 5).await?;
    let past: Vec<_> =
        world.records(&world.acme).await?.iter().rev().map(|past| past.delivery.event).collect();
    let replay = start(&world, &webhook, 2).await?;

    same(advance(&world, 100, at(100)).await?, 2, "one second's worth")?;
    same(advance(&world, 100, just_before(at(101))).await?, 0, "nothing before the second is over")?;
    same(advance(&world, 100, at(101)).await?, 2, "then the next")?;
    same(stored(&world, replay.id).await?.state, ReplayState::Running, "it goes on")?;
    let ids = world.delivery_ids(100, at(200));
    let last = world.stores.queue.advance_replays(ids, at(200)).await?;

    same(last.made, 1, "a quiet time saves nothing, and the rest is made")?;
    same(last.completed, vec![(world.acme.clone(), webhook.id, replay.id)], "its end is answered")?;
    let stored = stored(&world, replay.id).await?;
    same((stored.state, stored.matched, stored.made), (ReplayState::Completed, 5, 5), "and kept")?;
    let made: Vec<_> = world.records(&world.acme).await?.into_iter().map(|record| record.delivery).collect();
    let made: Vec<_> =
        made.into_iter().rev().filter(|made| made.origin == Origin::Replay(replay.id)).collect();
    same(made.iter().map(|made| made.event).collect::<Vec<_>>(), past, "each event once, oldest first")?;
    same(advance(&world, 100, at(300)).await?, 0, "and then no more")
}

async fn at_most_one_delivery_is_made_for_each_id(world: World) -> Verdict {
    let webhook = skipped(&world, 5).await?;
    let replay = start(&world, &webhook, 10).await?;
    let mut made = 0;

    for second in 100..110 {
        let more = advance(&world, 2, at(second)).await?;
        holds(more <= 2, "no more than there are ids")?;
        made += more;
    }

    same(made, 5, "and nothing is forgotten")?;
    same(stored(&world, replay.id).await?.state, ReplayState::Completed, "it ends")
}

async fn a_call_without_ids_says_how_many_are_wanted(world: World) -> Verdict {
    let webhook = skipped(&world, 5).await?;
    let replay = start(&world, &webhook, 3).await?;
    let asked = world.stores.queue.advance_replays(Vec::new(), at(100)).await?;
    same((asked.made, asked.wanted > 0), (0, true), "it makes nothing, and asks for ids")?;
    holds(asked.wanted <= 3, "for no more than a second's worth")?;
    same(stored(&world, replay.id).await?.made, 0, "asking changes nothing")?;

    let given = usize::try_from(asked.wanted).unwrap_or_default();
    let made = world.stores.queue.advance_replays(world.delivery_ids(given, at(100)), at(100)).await?;

    same(made.made, asked.wanted, "with them, it goes on in the same second")?;
    let rest = world.stores.queue.advance_replays(Vec::new(), at(200)).await?;
    holds((1..=3).contains(&rest.wanted), "the rest is asked for when it is due")?;
    world.stores.queue.advance_replays(world.delivery_ids(10, at(200)), at(200)).await?;
    let done = world.stores.queue.advance_replays(Vec::new(), at(300)).await?;
    same((done.made, done.wanted), (0, 0), "and then nothing more")
}

async fn the_same_ids_make_nothing_twice(world: World) -> Verdict {
    let webhook = skipped(&world, 3).await?;
    let replay = start(&world, &webhook, 2).await?;
    let ids = world.delivery_ids(2, at(100));
    world.stores.queue.advance_replays(ids.clone(), at(100)).await?;

    // The caller died before it heard the answer, and goes on as if nothing had happened.
    world.stores.queue.advance_replays(ids.clone(), at(100)).await?;
    world.stores.queue.advance_replays(ids, at(200)).await?;
    advance(&world, 10, at(300)).await?;
    advance(&world, 10, at(400)).await?;

    let made = world.records(&world.acme).await?.into_iter().map(|record| record.delivery);
    let mut events: Vec<_> =
        made.filter(|made| made.origin == Origin::Replay(replay.id)).map(|made| made.event).collect();
    same(events.len(), 3, "each is made")?;
    events.sort();
    events.dedup();
    same(events.len(), 3, "once")
}

async fn only_deliveries_of_published_events_are_replayed(world: World) -> Verdict {
    let webhook = skipped(&world, 2).await?;
    let first = start(&world, &webhook, 10).await?;
    advance(&world, 10, at(100)).await?;
    let claims = world.claim(10, at(100)).await?;
    holds(!claims.is_empty(), "the replayed ones are due")?;
    let reason = crate::webhooks::model::DeadReason::Exhausted;
    for claim in &claims {
        world.settle(claim, Fate::DeadLetter(reason), at(101)).await?;
    }
    same(stored(&world, first.id).await?.made, 2, "the first replay")?;

    let second = start(&world, &webhook, 10).await?;

    same(second.matched, 2, "what a replay has made is not replayed itself")?;
    same(advance(&world, 10, at(200)).await?, 2, "each event once")
}

async fn every_due_replay_makes_its_share(world: World) -> Verdict {
    let one = skipped(&world, 3).await?;
    let two = skipped(&world, 3).await?;
    let (first, second) = (start(&world, &one, 1).await?, start(&world, &two, 2).await?);

    same(advance(&world, 100, at(100)).await?, 3, "each one second's worth")?;

    same(stored(&world, first.id).await?.made, 1, "of the first")?;
    same(stored(&world, second.id).await?.made, 2, "and of the second")
}

async fn no_replay_goes_short_because_of_another(world: World) -> Verdict {
    let webhooks = [skipped(&world, 8).await?, skipped(&world, 8).await?];
    let replays = [start(&world, &webhooks[0], 2).await?, start(&world, &webhooks[1], 2).await?];

    for round in 0..6 {
        same(advance(&world, 2, at(100 + round)).await?, 2, "there are ids for one of them")?;
    }

    for replay in replays {
        same(stored(&world, replay.id).await?.made, 6, "each had its turns")?;
    }
    Ok(())
}

async fn a_replay_of_a_disabled_webhook_waits(world: World) -> Verdict {
    let webhook = skipped(&world, 2).await?;
    let replay = start(&world, &webhook, 10).await?;
    world.disable(&webhook, at(100)).await?;

    same(advance(&world, 10, at(101)).await?, 0, "nothing is made only to be skipped")?;

    same(stored(&world, replay.id).await?.state, ReplayState::Running, "it waits")?;
    world.change(&webhook, at(102), |webhook| webhook.state = WebhookState::Active).await?;
    same(advance(&world, 10, at(103)).await?, 2, "until the webhook is active again")
}

async fn a_replay_of_a_deleted_webhook_is_cancelled(world: World) -> Verdict {
    let webhook = skipped(&world, 2).await?;
    let replay = start(&world, &webhook, 10).await?;

    world.remove(&webhook, at(101)).await?;

    same(advance(&world, 10, at(102)).await?, 0, "there is nobody to send to")?;
    same(stored(&world, replay.id).await?.state, ReplayState::Cancelled, "it ends")
}

async fn what_a_replay_makes_is_due_in_the_replay_lane(world: World) -> Verdict {
    let webhook = skipped(&world, 3).await?;
    let replay = start(&world, &webhook, 10).await?;
    advance(&world, 10, at(100)).await?;

    let claims = world.claim(10, at(101)).await?;

    same(claims.len(), 1, "one replayed delivery at a time, if the caller says so")?;
    same((claims[0].origin, claims[0].attempt), (Origin::Replay(replay.id), 1), "a delivery of its own")?;
    let mut request = ClaimRequest::new(at(101), LEASE, 10);
    request.max_replays_in_flight = 2;
    same(world.stores.queue.claim(request).await?.claims.len(), 1, "two, if the caller says two")?;
    world.settle(&claims[0], Fate::Delivered, at(102)).await?;
    let filter = DeliveryFilter { success: Some(true), ..DeliveryFilter::default() };
    same(world.records_like(&world.acme, &filter).await?.len(), 1, "it is delivered like any other")
}

async fn replays_count_within_their_webhooks_limit(world: World) -> Verdict {
    let webhook = skipped(&world, 3).await?;
    let webhook = world.change(&webhook, at(100), |webhook| webhook.max_in_flight = Some(2)).await?;
    start(&world, &webhook, 10).await?;
    advance(&world, 10, at(100)).await?;
    world.send(5, at(100)).await?;
    let mut request = ClaimRequest::new(at(101), LEASE, 10);
    request.max_replays_in_flight = 5;

    let claims = world.stores.queue.claim(request.clone()).await?.claims;

    same(claims.len(), 2, "the webhook's limit holds over both lanes")?;
    let mut origins = Vec::new();
    for second in 0..8 {
        let more = if second == 0 { claims.clone() } else { world.claim(10, at(102 + second)).await? };
        for claim in more {
            origins.push(claim.origin);
            world.settle(&claim, Fate::Delivered, at(102 + second)).await?;
        }
    }
    same(origins.len(), 8, "everything goes in the end")?;
    holds(
        world.statuses().await?.iter().filter(|status| **status == DeliveryStatus::Delivered).count() == 8,
        "neither lane starves the other",
    )
}

async fn replays_do_not_wait_for_each_other_in_order(world: World) -> Verdict {
    let webhook = skipped(&world, 2).await?;
    let webhook = world.change(&webhook, at(100), |webhook| webhook.ordering = IN_ORDER).await?;
    let live = world.send(1, at(100)).await?;
    start(&world, &webhook, 10).await?;
    advance(&world, 10, at(100)).await?;
    let mut request = ClaimRequest::new(at(101), LEASE, 10);
    request.max_replays_in_flight = 5;

    let claims = world.stores.queue.claim(request).await?.claims;

    same(claims.len(), 3, "the replay lane has no order, and does not stand in that of the events")?;
    let live_ones =
        claims.iter().filter(|claim| claim.origin == Origin::Live).map(|claim| claim.event.head.id);
    same(live_ones.collect::<Vec<_>>(), live, "which goes on beside it")
}

async fn an_erased_event_is_not_replayed(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.disable(&webhook, at(0)).await?;
    world.publish(vec![world.head(at(1))?.with_subject("ada"), world.head(at(1))?], at(1)).await?;
    world.distribute(at(1)).await?;
    let webhook = world.change(&webhook, at(2), |webhook| webhook.state = WebhookState::Active).await?;
    world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(3)).await?;

    let replay = start(&world, &webhook, 10).await?;

    same(replay.matched, 1, "what has no payload is not counted")?;
    same(advance(&world, 10, at(100)).await?, 1, "nor made")
}
