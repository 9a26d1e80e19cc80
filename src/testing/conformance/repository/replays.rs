//! Replays as an administrator sees them.

use crate::activity::model::ActivityKind;
use crate::error::ErrorKind;
use crate::primitives::page::PageRequest;
use crate::testing::conformance::world::{World, at, event_type};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, refused, same};
use crate::webhooks::model::{DeadReason, Fate, Replay, ReplayFilter, ReplayState, StatusKind, Webhook};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["replays":
        a_new_replay_makes_nothing_yet,
        a_preview_counts_what_would_be_made,
        a_replay_is_kept_as_it_is,
        a_replay_of_a_webhook_that_does_not_exist_is_not_found,
        a_cancelled_replay_makes_nothing_more,
        cancelling_a_replay_that_has_ended_is_a_conflict,
        replays_are_listed_newest_first,
    ]
}

/// A delivered one, a dead letter and a waiting one, made at seconds 1, 2 and 3.
async fn past(world: &World) -> Result<Webhook, Failure> {
    let webhook = world.webhook().await?;
    for (second, fate) in
        (1..).zip([Some(Fate::Delivered), Some(Fate::DeadLetter(DeadReason::Exhausted)), None])
    {
        world.send(1, at(second)).await?;
        if let Some(fate) = fate {
            let claim = world.claim_one(at(second)).await?;
            world.settle(&claim, fate, at(second)).await?;
        }
    }
    Ok(webhook)
}

fn replay(world: &World, webhook: &Webhook, filter: ReplayFilter) -> Replay {
    let id = world.replay_id(at(10));
    Replay::new(id, world.acme.clone(), webhook.id, filter, 10, at(10))
}

async fn a_new_replay_makes_nothing_yet(world: World) -> Verdict {
    let webhook = past(&world).await?;
    let entry = world.entry(&world.acme, ActivityKind::ReplayStarted, at(10));
    let new = replay(&world, &webhook, ReplayFilter::undelivered(at(0), at(9)));

    let started = world.stores.repository.start_replay(new.clone(), vec![entry.clone()]).await?;

    same(started.matched, 1, "what it matches is counted")?;
    same(Replay { matched: 0, ..started }, new, "it is otherwise as it was asked for")?;
    same(world.records(&world.acme).await?.len(), 3, "nothing is made yet")?;
    same(world.log().await?, vec![entry], "the log is told")
}

async fn a_preview_counts_what_would_be_made(world: World) -> Verdict {
    let webhook = past(&world).await?;
    let all = [StatusKind::Delivered, StatusKind::DeadLetter, StatusKind::Pending];
    let count = |filter: ReplayFilter| {
        let repository = std::sync::Arc::clone(&world.stores.repository);
        let acme = world.acme.clone();
        async move { repository.preview_replay(&acme, webhook.id, &filter).await }
    };
    let undelivered = ReplayFilter::undelivered;

    same(count(undelivered(at(0), at(9))).await?, 1, "dead letters and skipped ones, unless said otherwise")?;
    same(count(undelivered(at(0), at(9)).with_statuses(all)).await?, 3, "with these statuses")?;
    same(count(undelivered(at(2), at(3)).with_statuses(all)).await?, 1, "made at or after, and before")?;
    let shipped = [event_type("shipment.shipped")?];
    same(count(undelivered(at(0), at(9)).with_event_types(shipped)).await?, 1, "of these types")?;
    let others = [event_type("order.created")?];
    same(count(undelivered(at(0), at(9)).with_event_types(others)).await?, 0, "and no others")?;
    same(world.records(&world.acme).await?.len(), 3, "counting makes nothing")
}

async fn a_replay_is_kept_as_it_is(world: World) -> Verdict {
    let webhook = past(&world).await?;
    let filter = ReplayFilter::undelivered(at(1), at(5))
        .with_statuses([StatusKind::Delivered, StatusKind::DeadLetter])
        .with_event_types([event_type("shipment.shipped")?]);

    let started = world.stores.repository.start_replay(replay(&world, &webhook, filter), Vec::new()).await?;

    let stored = world.stores.repository.replay(&world.acme, started.id).await?;
    same(stored, Some(started), "every field is kept")
}

async fn a_replay_of_a_webhook_that_does_not_exist_is_not_found(world: World) -> Verdict {
    let removed = past(&world).await?;
    let unknown = world.webhook_of(&world.acme, at(0))?;
    world.remove(&removed, at(5)).await?;
    let repository = &world.stores.repository;

    for webhook in [removed, unknown] {
        let filter = ReplayFilter::undelivered(at(0), at(9));
        let preview = repository.preview_replay(&world.acme, webhook.id, &filter).await;
        refused(preview, ErrorKind::NotFound, "there is no such webhook")?;
        let started = repository.start_replay(replay(&world, &webhook, filter), Vec::new()).await;
        refused(started, ErrorKind::NotFound, "there is no such webhook")?;
    }
    Ok(())
}

async fn a_cancelled_replay_makes_nothing_more(world: World) -> Verdict {
    let webhook = past(&world).await?;
    let all = ReplayFilter::undelivered(at(0), at(9))
        .with_statuses([StatusKind::Delivered, StatusKind::DeadLetter]);
    let mut slow = replay(&world, &webhook, all);
    slow.per_second = 1;
    let slow = world.stores.repository.start_replay(slow, Vec::new()).await?;
    let made = world.stores.queue.advance_replays(world.delivery_ids(9, at(10)), at(10)).await?.made;
    same(made, 1, "the first is made")?;
    let entry = world.entry(&world.acme, ActivityKind::ReplayCancelled, at(11));

    let cancelled =
        world.stores.repository.cancel_replay(&world.acme, slow.id, vec![entry.clone()], at(11)).await?;

    same(
        (cancelled.state, cancelled.made, cancelled.updated_at),
        (ReplayState::Cancelled, 1, at(11)),
        "it has ended",
    )?;
    same(world.stores.repository.replay(&world.acme, slow.id).await?, Some(cancelled), "it is kept so")?;
    same(world.log().await?, vec![entry], "the log is told")?;
    let advanced = world.stores.queue.advance_replays(world.delivery_ids(9, at(20)), at(20)).await?;
    same((advanced.made, advanced.completed), (0, Vec::new()), "nothing more is made")?;
    holds(!world.claim(10, at(20)).await?.is_empty(), "what it had made goes on")
}

async fn cancelling_a_replay_that_has_ended_is_a_conflict(world: World) -> Verdict {
    let webhook = past(&world).await?;
    let filter = ReplayFilter::undelivered(at(0), at(9));
    let repository = &world.stores.repository;
    let done = repository.start_replay(replay(&world, &webhook, filter.clone()), Vec::new()).await?;
    world.stores.queue.advance_replays(world.delivery_ids(9, at(10)), at(10)).await?;
    let cancelled = repository.start_replay(replay(&world, &webhook, filter), Vec::new()).await?;
    repository.cancel_replay(&world.acme, cancelled.id, Vec::new(), at(11)).await?;

    for id in [done.id, cancelled.id] {
        let entry = world.entry(&world.acme, ActivityKind::ReplayCancelled, at(12));
        let answer = repository.cancel_replay(&world.acme, id, vec![entry], at(12)).await;
        refused(answer, ErrorKind::Conflict, "it has ended")?;
    }
    holds(world.log().await?.is_empty(), "nothing is logged")?;
    let unknown = repository.cancel_replay(&world.acme, world.replay_id(at(0)), Vec::new(), at(12)).await;
    refused(unknown, ErrorKind::NotFound, "there is no such replay").map(|_| ())
}

async fn replays_are_listed_newest_first(world: World) -> Verdict {
    let webhook = past(&world).await?;
    let mut ids = Vec::new();
    for second in 0..5 {
        let filter = ReplayFilter::undelivered(at(0), at(9));
        let id = world.replay_id(at(10 + second));
        let new = Replay::new(id, world.acme.clone(), webhook.id, filter, 10, at(10 + second));
        ids.insert(0, world.stores.repository.start_replay(new, Vec::new()).await?.id);
    }
    let mut listed = Vec::new();
    let mut page = PageRequest::first(2);

    loop {
        let found = world.stores.repository.replays(&world.acme, page).await?;
        holds(found.items.len() <= 2, "no page is too long")?;
        listed.extend(found.items.iter().map(|replay| replay.id));
        match found.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }

    same(listed, ids, "each once")
}
