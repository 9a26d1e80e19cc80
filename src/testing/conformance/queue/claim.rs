//! `claim`: one caller at a time, and what a claim holds.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::lanes::throttle::Brake;
use crate::testing::conformance::world::{LEASE, World, at, events_of, just_before};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::model::{Fate, Origin, TenantDefaults, Version};
use crate::webhooks::queue::ClaimRequest;
use crate::webhooks::repository::Change;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["claim":
        a_claim_holds_all_that_is_needed_to_send,
        while_a_lease_is_live_nobody_else_gets_the_delivery,
        callers_that_race_never_share_a_delivery,
        a_lease_that_ended_makes_the_delivery_due_with_the_next_number,
        no_more_is_given_than_was_asked_for,
        what_is_due_first_goes_first,
        an_empty_store_gives_nothing,
        the_next_due_time_is_never_too_late,
    ]
}

async fn a_claim_holds_all_that_is_needed_to_send(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let changed = world.change(&webhook, at(1), |webhook| webhook.name = "newer".into()).await?;
    let mut defaults = TenantDefaults::new(world.acme.clone());
    (defaults.version, defaults.timeout) = (Version::FIRST, Some(Duration::from_secs(7)));
    let changes = vec![Change::Defaults { defaults: defaults.clone(), expected: Version::NONE }];
    world.stores.repository.save(&world.acme, changes, Vec::new(), at(1)).await?;
    let sent = world.send(1, at(2)).await?[0];

    let request = ClaimRequest::new(at(3), Duration::from_secs(9), 10);
    let claimed = world.stores.queue.claim(request).await?;

    same(claimed.claims.len(), 1, "what is due is given")?;
    let claim = &claimed.claims[0];
    let stored = there(world.stores.repository.event(&world.acme, sent).await?, "the event")?;
    same(&claim.event, &stored, "a claim holds the event with its payload")?;
    same(&*claim.webhook, &changed, "and the webhook as it is now")?;
    same(&*claim.defaults, &defaults, "and what applies where that says nothing")?;
    same((claim.origin, claim.attempt), (Origin::Live, 1), "the first attempt has number 1")?;
    same(claim.lease.until, at(12), "a lease holds as long as was asked for")?;
    same(claim.brake, Brake::RELEASED, "and the circuit")?;
    let delivery = world.delivery(claim.delivery).await?;
    same((delivery.attempts, delivery.updated_at), (1, at(3)), "a begun attempt counts")
}

async fn while_a_lease_is_live_nobody_else_gets_the_delivery(world: World) -> Verdict {
    world.webhook().await?;
    world.send(3, at(0)).await?;

    let first = world.claim(2, at(0)).await?;
    let second = world.claim(10, at(0)).await?;
    let third = world.claim(10, just_before(at(60))).await?;

    same((first.len(), second.len(), third.len()), (2, 1, 0), "each is given once")?;
    let different: BTreeSet<_> = first.iter().chain(&second).map(|claim| claim.delivery).collect();
    same(different.len(), 3, "nobody gets what another one has")
}

async fn callers_that_race_never_share_a_delivery(world: World) -> Verdict {
    for _ in 0..10 {
        world.webhook().await?;
    }
    world.send(6, at(0)).await?;
    let mut given = Vec::new();

    for _ in 0..4 {
        for answer in join_all((0..8).map(|_| world.claim(4, at(1)))).await {
            given.extend(answer?);
        }
    }

    let different: BTreeSet<_> = given.iter().map(|claim| claim.delivery).collect();
    same(given.len(), different.len(), "no delivery is given to two callers")?;
    same(different.len(), 60, "and none is forgotten")
}

async fn a_lease_that_ended_makes_the_delivery_due_with_the_next_number(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let first = world.claim_one(at(0)).await?;
    holds(world.claim(1, just_before(first.lease.until)).await?.is_empty(), "the lease still holds")?;

    let second = world.claim_one(first.lease.until).await?;

    same(second.delivery, first.delivery, "the same delivery is due again")?;
    same(second.attempt, 2, "the lost attempt counts")?;
    holds(second.lease.token != first.lease.token, "every claim has a token of its own")?;
    same(second.event.payload.clone(), first.event.payload.clone(), "the same bytes on every attempt")
}

async fn no_more_is_given_than_was_asked_for(world: World) -> Verdict {
    for _ in 0..3 {
        world.webhook().await?;
    }
    world.send(5, at(0)).await?;

    same(world.claim(7, at(0)).await?.len(), 7, "as many as asked for")?;
    same(world.claim(100, at(0)).await?.len(), 8, "and then the rest")
}

async fn what_is_due_first_goes_first(world: World) -> Verdict {
    world.webhook().await?;
    let mut ids = world.send(1, at(0)).await?;
    let retried = world.claim_one(at(0)).await?;
    world.settle(&retried, Fate::RetryAt(at(5)), at(1)).await?;
    let late = world.send(1, at(7)).await?;
    let early = world.send(1, at(3)).await?;
    ids.extend(late);
    ids.splice(0..0, early);

    let claims = world.claim(10, at(10)).await?;

    same(events_of(&claims), ids, "deliveries go by the time since which they are due")
}

async fn an_empty_store_gives_nothing(world: World) -> Verdict {
    let claimed = world.stores.queue.claim(ClaimRequest::new(at(0), LEASE, 10)).await?;

    holds(claimed.claims.is_empty(), "there is nothing")?;
    same(claimed.next_due, None, "and nothing will be")
}

async fn the_next_due_time_is_never_too_late(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(1)).await?;
    world.send(2, at(0)).await?;
    let next = |now| {
        let request = ClaimRequest::new(now, LEASE, 10);
        let claim = world.stores.queue.claim(request);
        async move { Ok::<_, crate::error::Error>(claim.await?.next_due) }
    };
    let first = world.claim_one(at(0)).await?;

    let honest = |told: Option<_>, true_time, now| told.is_some_and(|told| told <= true_time && told > now);
    holds(honest(next(at(1)).await?, first.lease.until, at(1)), "a lease ends, and something is due")?;
    world.settle(&first, Fate::RetryAt(at(30)), at(2)).await?;
    let second = world.claim_one(at(2)).await?;
    world.settle(&second, Fate::RetryAt(at(20)), at(3)).await?;
    holds(honest(next(at(4)).await?, at(20), at(4)), "the first retry is next")?;
    let third = world.claim_one(at(20)).await?;
    let mut held = world.result(&third, Fate::Delivered, at(21));
    held.pause_until = Some(at(500));
    world.settle_all(&[held], at(21)).await?;
    holds(honest(next(at(22)).await?, at(500), at(22)), "the end of a pause is next")?;
    world.claim_one(at(500)).await?;
    Ok(())
}
