//! `distribute`: what may be leased at once, and what is told about the rest.
//!
//! Every check holds for a store that leases nothing at once as well.

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use crate::error::ErrorKind;
use crate::lanes::throttle::RateLimit;
use crate::primitives::id::DeliveryId;
use crate::testing::conformance::world::{LEASE, World, at};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, refused, same};
use crate::webhooks::model::{Claim, DeliveryStatus, Fate, NewDelivery, SkipReason};
use crate::webhooks::queue::{ClaimRequest, Distributed};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["distribute":
        what_is_leased_at_once_is_a_claim_like_any_other,
        no_more_is_leased_at_once_than_the_webhook_allows,
        no_more_is_leased_at_once_than_is_asked_for,
        who_is_excepted_is_leased_nothing_at_once,
        what_waits_is_not_overtaken,
        a_webhook_that_waits_is_leased_nothing_at_once,
        a_rate_is_kept_by_what_is_leased_at_once,
        what_was_erased_is_not_leased_at_once,
        callers_that_race_lease_each_delivery_once,
        what_was_leased_at_once_comes_back_when_its_lease_ends,
        when_something_is_due_is_never_told_too_late,
        behind_what_is_leased_at_once_it_is_the_resends_turn,
        an_id_names_one_delivery,
    ]
}

fn request(limit: usize, now: DateTime<Utc>) -> ClaimRequest {
    ClaimRequest::new(now, LEASE, limit)
}

async fn distribute(world: &World, request: ClaimRequest) -> Result<Distributed, Failure> {
    let entries = world.entries(request.now).await?;
    Ok(world.stores.queue.distribute(entries, request).await?)
}

async fn publish(world: &World, count: usize, now: DateTime<Utc>) -> Verdict {
    let heads = (0..count).map(|_| world.head(now)).collect::<Result<_, _>>()?;
    world.publish(heads, now).await.map(drop)
}

fn ids(claims: &[Claim]) -> Vec<DeliveryId> {
    claims.iter().map(|claim| claim.delivery).collect()
}

async fn what_is_leased_at_once_is_a_claim_like_any_other(world: World) -> Verdict {
    world.webhook().await?;
    publish(&world, 3, at(0)).await?;

    let Distributed { taken, claims: mut given, .. } = distribute(&world, request(10, at(1))).await?;

    same(taken, 3, "it says how many entries were there")?;
    let claimed = world.claim(10, at(1)).await?;
    let twice = claimed.iter().any(|claim| ids(&given).contains(&claim.delivery));
    holds(!twice, "what is leased is nobody else's")?;
    given.extend(claimed);
    same(given.len(), 3, "everything is given once, now or when it is claimed")?;
    for claim in &given {
        same(claim.attempt, 1, "it is the first attempt")?;
        same(claim.lease.until, at(1) + LEASE, "the lease is as long as was asked for")?;
        holds(!claim.event.payload.is_empty(), "the payload comes with it")?;
        let settled = world.settle(claim, Fate::Delivered, at(2)).await?;
        holds(settled.fenced.is_empty(), "whoever was given it holds it")?;
    }
    same(world.statuses().await?, vec![DeliveryStatus::Delivered; 3], "and ends it")
}

async fn no_more_is_leased_at_once_than_the_webhook_allows(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(3)).await?;
    publish(&world, 2, at(0)).await?;
    let first = distribute(&world, request(10, at(0))).await?.claims.len();
    publish(&world, 5, at(0)).await?;

    let second = distribute(&world, request(10, at(0))).await?.claims.len();

    holds(first + second <= 3, "as many as its limit, over all calls")?;
    same(first + second + world.claim(10, at(0)).await?.len(), 3, "claims give the rest")
}

async fn no_more_is_leased_at_once_than_is_asked_for(world: World) -> Verdict {
    world.webhook().await?;
    publish(&world, 5, at(0)).await?;

    let given = distribute(&world, request(2, at(0))).await?.claims.len();

    holds(given <= 2, "no more than the caller has slots for")?;
    same(given + world.claim(10, at(0)).await?.len(), 5, "the others wait")
}

async fn who_is_excepted_is_leased_nothing_at_once(world: World) -> Verdict {
    world.webhook().await?;
    publish(&world, 2, at(0)).await?;

    let given = distribute(&world, request(10, at(0)).except([world.acme.clone()])).await?;

    same(given.taken, 2, "the entries are taken off the outbox")?;
    same(given.claims.len(), 0, "the caller has enough of this tenant's")?;
    same(world.claim(10, at(0)).await?.len(), 2, "the deliveries wait")
}

async fn what_waits_is_not_overtaken(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(2)).await?;
    let old = world.send(2, at(0)).await?;
    publish(&world, 2, at(1)).await?;

    let given = distribute(&world, request(10, at(1))).await?.claims;

    let overtakes = given.iter().any(|claim| !old.contains(&claim.event.id));
    holds(!overtakes, "what has been due for longer goes first")
}

async fn a_webhook_that_waits_is_leased_nothing_at_once(world: World) -> Verdict {
    let paused = world.webhook().await?;
    world.pause(&paused, at(0)).await?;
    let disabled = world.webhook().await?;
    publish(&world, 1, at(0)).await?;
    let entries = world.entries(at(0)).await?;
    world.disable(&disabled, at(1)).await?;

    let given = world.stores.queue.distribute(entries, request(10, at(1))).await?;

    same(given.claims.len(), 0, "neither one that is paused nor one that is disabled by now")
}

async fn a_rate_is_kept_by_what_is_leased_at_once(world: World) -> Verdict {
    let rate = RateLimit::per_second(1.0).and_then(|rate| rate.with_burst(2));
    let rate = rate.map_err(|error| Failure(error.to_string()))?;
    world.webhook_with(|webhook| webhook.rate_limit = Some(rate)).await?;
    publish(&world, 5, at(0)).await?;

    let given = distribute(&world, request(10, at(0))).await?.claims.len();

    same(given + world.claim(10, at(0)).await?.len(), 2, "a burst, and then nothing")
}

async fn what_was_erased_is_not_leased_at_once(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    let entries = world.entries(at(0)).await?;
    world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    let given = world.stores.queue.distribute(entries, request(10, at(2))).await?;

    same(given.claims.len(), 0, "there is nothing left to send")?;
    same(world.statuses().await?, vec![DeliveryStatus::Skipped(SkipReason::Erased)], "it is skipped")
}

async fn callers_that_race_lease_each_delivery_once(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(7)).await?;
    publish(&world, 20, at(0)).await?;
    let mut racing = Vec::new();
    for _ in 0..4 {
        racing.push(world.stores.queue.distribute(world.entries(at(0)).await?, request(50, at(0))));
    }

    let (mut taken, mut given) = (0, Vec::new());
    for distributed in join_all(racing).await {
        let distributed = distributed?;
        taken += distributed.taken;
        given.extend(ids(&distributed.claims));
    }

    same(taken, 20, "each entry is taken once, in total over all callers")?;
    given.extend(ids(&world.claim(50, at(0)).await?));
    same(given.len(), 7, "the webhook's limit holds over all callers")?;
    given.sort();
    given.dedup();
    same(given.len(), 7, "nothing is given twice")
}

async fn what_was_leased_at_once_comes_back_when_its_lease_ends(world: World) -> Verdict {
    world.webhook().await?;
    publish(&world, 1, at(0)).await?;
    let mut given = distribute(&world, request(10, at(0))).await?.claims;
    given.extend(world.claim(10, at(0)).await?);
    same(given.len(), 1, "it is given")?;

    let again = world.claim(10, at(60)).await?;

    same(ids(&again), ids(&given), "the lease has ended, and nobody has settled it")?;
    same(again[0].attempt, 2, "it is the next attempt")?;
    let lost = world.settle(&given[0], Fate::Delivered, at(61)).await?;
    same(lost.fenced.len(), 1, "whoever held it holds it no more")
}

async fn when_something_is_due_is_never_told_too_late(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(1)).await?;
    publish(&world, 2, at(0)).await?;
    let Distributed { claims: mut given, .. } = distribute(&world, request(10, at(0))).await?;
    given.extend(world.claim(10, at(0)).await?);
    same(given.len(), 1, "its limit")?;

    let settled = world.settle(&given[0], Fate::RetryAt(at(30)), at(1)).await?;

    holds(settled.next_due.is_none_or(|due| due <= at(1)), "the other one can be claimed now")?;
    let other = world.claim_one(at(1)).await?;
    let settled = world.settle(&other, Fate::Delivered, at(2)).await?;
    holds(settled.next_due.is_none_or(|due| due <= at(30)), "the first one is due then")?;
    same(world.claim_one(at(30)).await?.attempt, 2, "and is given then")?;
    publish(&world, 1, at(31)).await?;
    let told = distribute(&world, request(0, at(31))).await?.next_due;
    holds(told.is_none_or(|due| due <= at(30) + LEASE), "what has no slot may have one when the lease ends")
}

async fn behind_what_is_leased_at_once_it_is_the_resends_turn(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(1)).await?;
    world.send(1, at(0)).await?;
    let past = world.claim_one(at(0)).await?;
    world.settle(&past, Fate::Delivered, at(0)).await?;
    let resend = async |now| {
        let id = world.delivery_id(now);
        world.stores.repository.resend(&world.acme, past.delivery, id, Vec::new(), now).await?;
        Ok::<_, Failure>(id)
    };
    resend(at(1)).await?;
    world.settle(&world.claim_one(at(1)).await?, Fate::Delivered, at(1)).await?;
    publish(&world, 1, at(2)).await?;
    let mut given = distribute(&world, request(10, at(2))).await?.claims;
    given.extend(world.claim(10, at(2)).await?);
    same(given.len(), 1, "the new one is given")?;
    let resent = resend(at(3)).await?;
    world.send(1, at(3)).await?;

    world.settle(&given[0], Fate::Delivered, at(4)).await?;

    same(world.claim_one(at(4)).await?.delivery, resent, "the two lanes take turns")
}

async fn an_id_names_one_delivery(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.settle(&claim, Fate::Delivered, at(1)).await?;
    publish(&world, 1, at(2)).await?;
    let mut entries = world.entries(at(2)).await?;
    entries[0].fan_out.deliveries = vec![NewDelivery::new(claim.delivery, webhook.id, None)];

    let answer = world.stores.queue.distribute(entries, request(10, at(2))).await;

    refused(answer, ErrorKind::Conflict, "there is a delivery with this id")?;
    same(
        world.stores.queue.outbox(10, at(2)).await?.entries.len(),
        1,
        "the entry is still there: nothing is lost",
    )
}
