//! `examine`: how the queue stands.

use crate::testing::conformance::world::{World, at};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::Fate;
use crate::webhooks::queue::Examination;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["examine":
        an_empty_queue_has_nothing_to_tell,
        what_is_not_fanned_out_is_counted_over_all_tenants,
        what_is_due_is_told_by_the_oldest,
        what_is_due_of_a_paused_webhook_counts,
        what_is_not_due_yet_is_not_told,
        live_leases_are_counted,
        a_lease_that_ended_unsettled_is_noticed_and_forgotten,
        examining_changes_nothing,
    ]
}

async fn examine(world: &World, seconds: i64) -> crate::error::Result<Examination> {
    world.stores.queue.examine(at(seconds)).await
}

async fn an_empty_queue_has_nothing_to_tell(world: World) -> Verdict {
    let found = examine(&world, 0).await?;

    same((found.outbox, found.oldest_in_outbox, found.oldest_due), (0, None, None), "nothing waits")?;
    same((found.live_leases, found.expired_leases_per_minute), (0, 0), "nobody works")
}

async fn what_is_not_fanned_out_is_counted_over_all_tenants(world: World) -> Verdict {
    for (seconds, tenant) in [(3, &world.other), (7, &world.acme), (9, &world.acme)] {
        world.publish(vec![world.head_of(tenant, at(seconds))?], at(seconds)).await?;
    }

    let found = examine(&world, 10).await?;
    same(
        (found.outbox, found.oldest_in_outbox),
        (3, Some(at(3))),
        "three events, the oldest of another tenant",
    )?;

    world.distribute(at(11)).await?;
    let found = examine(&world, 12).await?;
    same((found.outbox, found.oldest_in_outbox), (0, None), "once fanned out, none waits")
}

async fn what_is_due_is_told_by_the_oldest(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(3)).await?;
    world.send(1, at(5)).await?;

    same(examine(&world, 10).await?.oldest_due, Some(at(3)), "the older one")?;
    let claim = world.claim_one(at(10)).await?;
    same(examine(&world, 10).await?.oldest_due, Some(at(5)), "what is claimed is not due")?;
    world.settle(&claim, Fate::RetryAt(at(20)), at(11)).await?;
    same(examine(&world, 30).await?.oldest_due, Some(at(5)), "a retry is due since its own time")?;
    let claim = world.claim_one(at(30)).await?;
    world.settle(&claim, Fate::Delivered, at(31)).await?;
    same(examine(&world, 31).await?.oldest_due, Some(at(20)), "as is seen when it is the oldest")
}

async fn what_is_due_of_a_paused_webhook_counts(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(3)).await?;
    world.pause(&webhook, at(4)).await?;

    same(examine(&world, 10).await?.oldest_due, Some(at(3)), "an operator sees what is held back")
}

async fn what_is_not_due_yet_is_not_told(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.settle(&claim, Fate::RetryAt(at(100)), at(1)).await?;

    same(examine(&world, 99).await?.oldest_due, None, "it waits for its time")?;
    same(examine(&world, 100).await?.oldest_due, Some(at(100)), "and is due at it")
}

async fn live_leases_are_counted(world: World) -> Verdict {
    world.webhook().await?;
    world.send(3, at(0)).await?;

    let claims = world.claim(2, at(0)).await?;
    same(examine(&world, 1).await?.live_leases, 2, "two are claimed")?;
    world.settle(&claims[0], Fate::Delivered, at(2)).await?;
    let found = examine(&world, 2).await?;
    same((found.live_leases, found.expired_leases_per_minute), (1, 0), "one is settled, and none was lost")
}

async fn a_lease_that_ended_unsettled_is_noticed_and_forgotten(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    world.claim_one(at(0)).await?;

    // A store notices by looking, or when somebody claims again.
    let looked = examine(&world, 61).await?;
    same(looked.live_leases, 0, "it is over")?;
    let again = world.claim_one(at(61)).await?;
    let claimed = examine(&world, 61).await?;
    let noticed = looked.expired_leases_per_minute.max(claimed.expired_leases_per_minute);
    same(noticed, 1, "one lease was lost within the last minute")?;
    same(claimed.live_leases, 1, "and there is a new one")?;

    world.settle(&again, Fate::Delivered, at(62)).await?;
    same(examine(&world, 200).await?.expired_leases_per_minute, 0, "long ago is not within the last minute")
}

async fn examining_changes_nothing(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.publish(vec![world.head(at(1))?], at(1)).await?;
    let before = (world.records(&world.acme).await?, world.stored(&webhook).await?, world.log().await?);

    for seconds in [1, 1, 90] {
        examine(&world, seconds).await?;
    }

    let after = (world.records(&world.acme).await?, world.stored(&webhook).await?, world.log().await?);
    same(after, before, "everything is as it was")?;
    // Whoever looks too late, or too early, takes no claim away.
    let settled = world.settle(&claim, Fate::Delivered, at(2)).await?;
    holds(settled.fenced.is_empty(), "a claim is still the present one")?;
    same(world.claim(10, at(2)).await?.len(), 1, "what was due is due")?;
    same(world.distribute(at(2)).await?, 1, "what was to be fanned out still is")
}
