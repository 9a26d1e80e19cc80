//! `claim`: in flight, rate, circuit, pause.

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use crate::lanes::throttle::{Brake, RateLimit};
use crate::testing::conformance::world::{LEASE, World, at, just_before};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{BrakeChange, Claim, Fate, Webhook, WebhookState};
use crate::webhooks::queue::ClaimRequest;
use crate::webhooks::repository::Release;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["limits":
        no_more_of_a_webhook_is_in_flight_than_it_allows,
        a_webhook_that_says_nothing_has_the_callers_limit,
        the_limit_holds_over_all_callers,
        live_leases_are_counted_and_never_settlements,
        a_rate_is_kept_over_all_callers,
        a_rate_that_is_new_is_kept_at_once,
        an_open_circuit_gives_nothing_and_then_a_probe,
        a_circuits_limit_is_kept,
        a_webhook_that_is_paused_or_disabled_gets_nothing,
        a_webhook_that_is_held_back_gets_nothing_until_then,
        a_pause_is_never_shortened,
        a_release_ends_circuit_and_waiting,
        a_limit_of_one_webhook_does_not_hold_back_another,
    ]
}

async fn capped(world: &World, cap: u32) -> Result<Webhook, Failure> {
    world.webhook_with(|webhook| webhook.max_in_flight = Some(cap)).await
}

async fn no_more_of_a_webhook_is_in_flight_than_it_allows(world: World) -> Verdict {
    capped(&world, 3).await?;
    world.send(10, at(0)).await?;

    let claims = world.claim(10, at(0)).await?;

    same(claims.len(), 3, "as many as its limit")?;
    holds(world.claim(10, at(1)).await?.is_empty(), "its slots are taken")?;
    world.settle(&claims[0], Fate::Delivered, at(2)).await?;
    same(world.claim(10, at(2)).await?.len(), 1, "a slot is free again as soon as its result is settled")?;
    world.settle(&claims[1], Fate::RetryAt(at(9)), at(3)).await?;
    same(world.claim(10, at(3)).await?.len(), 1, "also by a result that is tried again")
}

async fn a_webhook_that_says_nothing_has_the_callers_limit(world: World) -> Verdict {
    world.webhook().await?;
    world.send(10, at(0)).await?;

    let few = ClaimRequest::new(at(0), LEASE, 10).with_max_in_flight(2);
    same(world.stores.queue.claim(few).await?.claims.len(), 2, "the caller's limit holds")?;
    let more = ClaimRequest::new(at(0), LEASE, 10).with_max_in_flight(5);
    same(world.stores.queue.claim(more).await?.claims.len(), 3, "less what is in flight already")
}

async fn the_limit_holds_over_all_callers(world: World) -> Verdict {
    capped(&world, 5).await?;
    world.send(40, at(0)).await?;

    let mut given = 0;
    for answer in join_all((0..10).map(|_| world.claim(5, at(0)))).await {
        given += answer?.len();
    }

    same(given, 5, "however many callers ask at once")
}

async fn live_leases_are_counted_and_never_settlements(world: World) -> Verdict {
    capped(&world, 2).await?;
    world.send(6, at(0)).await?;
    let lost = world.claim(10, at(0)).await?;
    same(lost.len(), 2, "the limit")?;

    let again = world.claim(10, at(60)).await?;

    same(again.len(), 2, "leases that have ended take no slot, though nobody settled them")?;
    for claim in &lost {
        world.settle(claim, Fate::Delivered, at(61)).await?;
    }
    holds(world.claim(10, at(61)).await?.is_empty(), "a result whose lease was lost frees no slot")?;
    world.settle(&again[0], Fate::Delivered, at(62)).await?;
    world.settle(&again[0], Fate::Delivered, at(62)).await?;
    same(world.claim(10, at(62)).await?.len(), 1, "a result that comes twice frees one slot")
}

async fn a_rate_is_kept_over_all_callers(world: World) -> Verdict {
    let limit = rate(2.0, 3)?;
    world.webhook_with(|webhook| webhook.rate_limit = Some(limit)).await?;
    world.send(12, at(0)).await?;

    let mut given = 0;
    for answer in join_all((0..4).map(|_| world.claim(3, at(0)))).await {
        given += answer?.len();
    }

    same(given, 3, "a burst, in total over all callers")?;
    holds(world.claim(10, at(0)).await?.is_empty(), "and then nothing")?;
    let second = just_after(at(1));
    same(world.claim(10, second).await?.len(), 2, "two in a second")?;
    let request = ClaimRequest::new(second, LEASE, 10).with_max_in_flight(100);
    let told = world.stores.queue.claim(request).await?.next_due;
    let half = just_after(second + std::time::Duration::from_millis(500));
    holds(told.is_some_and(|told| told > second && told <= half), "the next token's time is told")?;
    let request = ClaimRequest::new(at(100), LEASE, 10).with_max_in_flight(100);
    same(world.stores.queue.claim(request).await?.claims.len(), 3, "a quiet time saves no more than a burst")
}

async fn a_rate_that_is_new_is_kept_at_once(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(10, at(0)).await?;
    let limit = rate(1.0, 1)?;

    world.change(&webhook, at(1), |webhook| webhook.rate_limit = Some(limit)).await?;

    same(world.claim(10, at(1)).await?.len(), 1, "one")?;
    same(world.claim(10, just_after(at(2))).await?.len(), 1, "and one a second later")?;
    world.change(&webhook, at(3), |webhook| webhook.rate_limit = None).await?;
    same(world.claim(10, at(3)).await?.len(), 6, "without a rate, only the slots count")
}

async fn an_open_circuit_gives_nothing_and_then_a_probe(world: World) -> Verdict {
    world.webhook().await?;
    world.send(10, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    brake(&world, &claim, Brake::from_parts(Some(at(30)), Some(1), 1, None), at(1)).await?;

    holds(
        world.claim(10, just_before(at(30))).await?.is_empty(),
        "nothing before the circuit's time is over",
    )?;
    let probe = world.claim(10, at(30)).await?;

    same(probe.len(), 1, "then one probe")?;
    same(probe[0].brake.openings(), 1, "which shows the circuit")?;
    holds(world.claim(10, at(31)).await?.is_empty(), "and nothing beside it")
}

async fn a_circuits_limit_is_kept(world: World) -> Verdict {
    capped(&world, 6).await?;
    world.send(10, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    brake(&world, &claim, Brake::from_parts(None, Some(4), 1, Some(at(5))), at(1)).await?;

    same(world.claim(10, at(1)).await?.len(), 4, "the circuit's limit, if it is the lower one")
}

async fn a_webhook_that_is_paused_or_disabled_gets_nothing(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    world.pause(&webhook, at(1)).await?;
    holds(world.claim(10, at(2)).await?.is_empty(), "nothing of a paused webhook is given")?;

    world.change(&webhook, at(3), |webhook| webhook.state = WebhookState::Active).await?;
    same(world.claim(10, at(3)).await?.len(), 1, "after it is active again, what waited is due")?;

    world.disable(&webhook, at(4)).await?;
    world.send(1, at(5)).await?;
    holds(
        world.claim(10, at(100)).await?.is_empty(),
        "nothing of a disabled webhook is given, lost leases included",
    )
}

async fn a_webhook_that_is_held_back_gets_nothing_until_then(world: World) -> Verdict {
    world.webhook().await?;
    world.send(3, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    hold(&world, &claim, at(120), at(1)).await?;

    holds(world.claim(10, just_before(at(120))).await?.is_empty(), "all its deliveries wait")?;
    same(world.claim(10, at(120)).await?.len(), 2, "until then")
}

async fn a_pause_is_never_shortened(world: World) -> Verdict {
    world.webhook().await?;
    world.send(4, at(0)).await?;
    let claims = world.claim(2, at(0)).await?;
    hold(&world, &claims[0], at(120), at(1)).await?;

    hold(&world, &claims[1], at(50), at(2)).await?;

    holds(world.claim(10, just_before(at(120))).await?.is_empty(), "the later time holds")?;
    same(world.claim(10, at(120)).await?.len(), 2, "no longer than that")
}

async fn a_release_ends_circuit_and_waiting(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(10, at(0)).await?;
    let claims = world.claim(2, at(0)).await?;
    hold(&world, &claims[0], at(500), at(1)).await?;
    brake(&world, &claims[1], Brake::from_parts(Some(at(400)), Some(1), 1, None), at(1)).await?;
    world.change(&webhook, at(2), |webhook| webhook.name = "kept".into()).await?;
    holds(world.claim(10, at(2)).await?.is_empty(), "a change that keeps them keeps them")?;

    world.change_and(&webhook, Release::Release, at(3), |webhook| webhook.name = "released".into()).await?;

    same(world.claim(10, at(3)).await?.len(), 8, "after a release, only the webhook's own limit is left")
}

async fn a_limit_of_one_webhook_does_not_hold_back_another(world: World) -> Verdict {
    let narrow = capped(&world, 1).await?;
    let wide = capped(&world, 5).await?;
    world.send(5, at(0)).await?;

    let claims = world.claim(100, at(0)).await?;

    let of = |webhook: &Webhook| claims.iter().filter(|claim| claim.webhook.id == webhook.id).count();
    same((of(&narrow), of(&wide)), (1, 5), "each has its own limit")
}

/// Fractions of tokens are rounded: a millisecond later is late enough.
fn just_after(time: DateTime<Utc>) -> DateTime<Utc> {
    time + std::time::Duration::from_millis(1)
}

fn rate(per_second: f64, burst: u32) -> Result<RateLimit, Failure> {
    let rate = RateLimit::per_second(per_second).and_then(|rate| rate.with_burst(burst));
    rate.map_err(|error| Failure(error.to_string()))
}

async fn hold(world: &World, claim: &Claim, until: DateTime<Utc>, now: DateTime<Utc>) -> Verdict {
    let mut result = world.result(claim, Fate::Delivered, now);
    result.pause_until = Some(until);
    world.settle_all(&[result], now).await.map(|_| ())
}

async fn brake(world: &World, claim: &Claim, brake: Brake, now: DateTime<Utc>) -> Verdict {
    let mut result = world.result(claim, Fate::Delivered, now);
    result.brake = Some(BrakeChange::new(claim.brake_version, brake));
    world.settle_all(&[result], now).await.map(|_| ())
}
