//! `settle`: results whose lease was lost.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::activity::model::ActivityKind;
use crate::lanes::lease::LeaseToken;
use crate::lanes::throttle::Brake;
use crate::primitives::id::DeliveryId;
use crate::testing::conformance::world::{World, at};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{
    BrakeChange, Claim, DeadReason, DeliveryStatus, DisableReason, Fate, HealthChange, Settlement,
    WebhookState,
};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["fencing":
        a_result_whose_lease_was_lost_changes_nothing,
        a_result_that_comes_twice_is_fenced_the_second_time,
        results_that_race_are_applied_once,
        a_late_result_counts_as_long_as_nobody_else_has_claimed,
        a_result_after_the_end_is_fenced,
        one_lost_lease_does_not_hinder_the_rest_of_the_batch,
        one_batch_may_hold_a_lost_and_the_present_result_of_one_delivery,
        a_result_of_something_unknown_is_fenced,
        a_result_for_another_tenant_is_fenced,
        a_circuit_change_that_was_made_from_an_older_one_changes_nothing,
    ]
}

/// How a lost result is named.
fn name(claim: &Claim) -> (DeliveryId, LeaseToken) {
    (claim.delivery, claim.lease.token)
}

/// A result that would change everything there is.
fn momentous(world: &World, claim: &Claim) -> Settlement {
    let mut result = world.result(claim, Fate::DeadLetter(DeadReason::Gone), at(61));
    result.health = HealthChange::Failure { first: true };
    result.pause_until = Some(at(5_000));
    result.brake =
        Some(BrakeChange::new(claim.brake_version, Brake::from_parts(Some(at(5_000)), Some(1), 1, None)));
    result.disable = Some(DisableReason::Gone);
    result.activity.push(world.entry(&world.acme, ActivityKind::WebhookDisabled, at(61)));
    result
}

async fn a_result_whose_lease_was_lost_changes_nothing(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    let lost = world.claim_one(at(0)).await?;
    let present = world.claim_one(at(60)).await?;
    let present = if present.delivery == lost.delivery { present } else { world.claim_one(at(60)).await? };
    same(present.delivery, lost.delivery, "the lost one is claimed by somebody else")?;
    let before = world.delivery(lost.delivery).await?;

    let settled = world.settle_all(&[momentous(&world, &lost)], at(61)).await?;

    same(settled.fenced, vec![name(&lost)], "it is answered as fenced")?;
    let record = world.record(lost.delivery).await?;
    same(&record.delivery, &before, "the delivery stays as it is")?;
    same(
        record.attempts.iter().map(|attempt| (attempt.number, attempt.fenced)).collect::<Vec<_>>(),
        vec![(1, true)],
        "its attempt is logged as fenced",
    )?;
    same(world.stored(&webhook).await?.state, WebhookState::Active, "the webhook is not disabled")?;
    let health = world.stores.repository.health(&world.acme, webhook.id).await?;
    same(health, Some(Default::default()), "its health is as before")?;
    holds(settled.health.is_empty(), "and none is answered")?;
    holds(world.log().await?.is_empty(), "the log is not told")?;
    let backlog = world.stores.repository.backlog(&world.acme, Some(webhook.id), at(62)).await?;
    same(backlog.held_until, None, "there is no pause, and the circuit is closed")?;

    let settled = world.settle(&present, Fate::Delivered, at(62)).await?;
    holds(settled.fenced.is_empty(), "the present lease is not touched")?;
    same(world.delivery(lost.delivery).await?.status, DeliveryStatus::Delivered, "its result counts")
}

async fn a_result_that_comes_twice_is_fenced_the_second_time(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut result = world.result(&claim, Fate::RetryAt(at(9)), at(1));
    result.health = HealthChange::Failure { first: true };
    result.activity.push(world.entry(&world.acme, ActivityKind::WebhookFailing, at(1)));
    let first = world.settle_all(std::slice::from_ref(&result), at(1)).await?;

    let second = world.settle_all(&[result], at(2)).await?;

    same((first.fenced.len(), second.fenced), (0, vec![name(&claim)]), "the second time it is fenced")?;
    let record = world.record(claim.delivery).await?;
    same(record.attempts.len(), 1, "an attempt is logged once under its id")?;
    same(record.delivery.attempts, 1, "and counts once")?;
    let health = world.stores.repository.health(&world.acme, webhook.id).await?.unwrap_or_default();
    same(health.failed_deliveries, 1, "health counts it once")?;
    same(world.log().await?.len(), 1, "the log is told once")
}

async fn results_that_race_are_applied_once(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let results = vec![world.result(&claim, Fate::Delivered, at(1))];

    let racing = (0..6).map(|_| world.settle_all(&results, at(1)));
    let mut applied = 0;
    for settled in join_all(racing).await {
        applied += usize::from(settled?.fenced.is_empty());
    }

    same(applied, 1, "one of them is applied")?;
    let record = world.record(claim.delivery).await?;
    same(record.attempts.len(), 1, "the attempt is logged once")?;
    holds(!record.attempts[0].fenced, "as what it was")
}

async fn a_late_result_counts_as_long_as_nobody_else_has_claimed(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;

    let settled = world.settle(&claim, Fate::Delivered, at(500)).await?;

    holds(settled.fenced.is_empty(), "the lease is the present one, though its time is over")?;
    same(world.delivery(claim.delivery).await?.status, DeliveryStatus::Delivered, "it counts")?;
    holds(world.claim(10, at(501)).await?.is_empty(), "and it is not sent again")
}

async fn a_result_after_the_end_is_fenced(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.disable(&webhook, at(100)).await?;
    let ended = world.delivery(claim.delivery).await?;
    same(ended.status.is_final(), true, "a lost lease protects nothing from being skipped")?;

    let settled = world.settle(&claim, Fate::Delivered, at(101)).await?;

    same(settled.fenced, vec![name(&claim)], "the lease is gone")?;
    same(world.delivery(claim.delivery).await?, ended, "what has ended stays as it is")
}

async fn one_lost_lease_does_not_hinder_the_rest_of_the_batch(world: World) -> Verdict {
    world.webhook().await?;
    world.send(2, at(0)).await?;
    let claims = world.claim(2, at(0)).await?;
    world.settle(&claims[0], Fate::Delivered, at(1)).await?;
    let results: Vec<_> = claims.iter().map(|claim| world.result(claim, Fate::Delivered, at(2))).collect();

    let settled = world.settle_all(&results, at(2)).await?;

    same(settled.fenced, vec![name(&claims[0])], "the lost one is named")?;
    same(world.delivery(claims[1].delivery).await?.status, DeliveryStatus::Delivered, "the other one counts")
}

async fn one_batch_may_hold_a_lost_and_the_present_result_of_one_delivery(world: World) -> Verdict {
    world.webhook().await?;
    for present_first in [true, false] {
        world.send(1, at(0)).await?;
        let lost = world.claim_one(at(0)).await?;
        let present = world.claim_one(at(60)).await?;
        same(present.delivery, lost.delivery, "the lost one is claimed again")?;
        let mut results = [
            world.result(&present, Fate::Delivered, at(61)),
            world.result(&lost, Fate::DeadLetter(DeadReason::Exhausted), at(61)),
        ];
        if !present_first {
            results.reverse();
        }

        let settled = world.settle_all(&results, at(61)).await?;

        same(settled.fenced, vec![name(&lost)], "the lost one is named by its token")?;
        let record = world.record(lost.delivery).await?;
        same(record.delivery.status, DeliveryStatus::Delivered, "the present one counts")?;
        let mut logged: Vec<_> =
            record.attempts.iter().map(|attempt| (attempt.number, attempt.fenced)).collect();
        logged.sort();
        same(logged, vec![(1, true), (2, false)], "both attempts are logged")?;
    }
    Ok(())
}

async fn a_result_of_something_unknown_is_fenced(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut result = world.result(&claim, Fate::Delivered, at(1));
    result.delivery = world.delivery_id(at(1));

    let settled = world.settle_all(std::slice::from_ref(&result), at(1)).await?;

    same(settled.fenced, vec![(result.delivery, result.lease.token)], "there is no such claim")
}

async fn a_result_for_another_tenant_is_fenced(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut result = world.result(&claim, Fate::Delivered, at(1));
    result.tenant = world.other.clone();

    let settled = world.settle_all(&[result], at(1)).await?;

    same(settled.fenced, vec![name(&claim)], "the other tenant has no such claim")?;
    let record = world.record(claim.delivery).await?;
    same(record.delivery.status, DeliveryStatus::Pending, "and can change nothing")?;
    holds(record.attempts.is_empty(), "nor log anything")
}

async fn a_circuit_change_that_was_made_from_an_older_one_changes_nothing(world: World) -> Verdict {
    world.webhook().await?;
    world.send(4, at(0)).await?;
    let claims = world.claim(3, at(0)).await?;
    let braked = |claim, seen, brake| {
        let mut result = world.result(claim, Fate::Delivered, at(1));
        result.brake = Some(BrakeChange::new(seen, brake));
        result
    };
    let seen = claims[0].brake_version;
    let open = Brake::from_parts(Some(at(30)), Some(1), 1, None);
    world.settle_all(&[braked(&claims[0], seen, open)], at(1)).await?;

    let settled = world.settle_all(&[braked(&claims[1], seen, Brake::RELEASED)], at(2)).await?;

    holds(settled.fenced.is_empty(), "the result itself counts")?;
    holds(world.claim(10, at(29)).await?.is_empty(), "the circuit stays as the first change made it")?;
    world.settle(&claims[2], Fate::Delivered, at(29)).await?;
    let probe = world.claim_one(at(30)).await?;
    same(probe.brake, open, "a claim shows the present circuit")?;
    holds(probe.brake_version != seen, "under a new version")?;
    let again = braked(&probe, probe.brake_version, Brake::RELEASED);
    world.settle_all(&[again], at(31)).await?;
    world.send(1, at(32)).await?;
    same(
        world.claim_one(at(32)).await?.brake,
        Brake::RELEASED,
        "a change made from the present one is made",
    )?;
    let logged = world.record(claims[1].delivery).await?.attempts;
    holds(logged.iter().map(Arc::as_ref).all(|attempt| !attempt.fenced), "and no attempt is called fenced")
}
