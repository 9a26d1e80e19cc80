//! `settle`: a result of a webhook that was changed since says nothing about the webhook.

use crate::lanes::throttle::Brake;
use crate::testing::conformance::world::{Found, World, at};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    BrakeChange, DeadReason, DeliveryStatus, DisableReason, Fate, HealthChange, Settlement, Webhook,
};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["changed":
        a_result_of_the_present_version_counts_in_full,
        a_result_of_a_changed_webhook_leaves_its_health_alone,
        a_result_of_a_changed_webhook_does_not_make_it_wait,
        a_result_of_a_changed_webhook_does_not_touch_its_circuit,
        a_result_of_a_changed_webhook_does_not_disable_it,
        what_a_result_of_a_changed_webhook_says_about_the_delivery_counts,
    ]
}

/// Three deliveries of a webhook, of which the first is claimed, and what its receiver has said.
async fn bad_news(world: &World) -> Found<(Webhook, Settlement)> {
    let webhook = world.webhook().await?;
    world.send(3, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut result = world.result(&claim, Fate::DeadLetter(DeadReason::Rejected), at(1));
    result.health = HealthChange::Failure { first: true };
    result.pause_until = Some(at(500));
    result.brake = Some(BrakeChange::new(
        claim.brake_version,
        // Open for a long time.
        Brake::from_parts(Some(at(900)), Some(1), 1, None),
    ));
    Ok((webhook, result))
}

async fn health_of(world: &World, webhook: &Webhook) -> Found<WebhookHealth> {
    there(world.stores.repository.health(&world.acme, webhook.id).await?, "the webhook's health")
}

async fn a_result_of_the_present_version_counts_in_full(world: World) -> Verdict {
    let (webhook, mut result) = bad_news(&world).await?;
    result.disable = Some(DisableReason::Gone);

    world.settle_all(&[result], at(1)).await?;

    holds(health_of(&world, &webhook).await?.is_failing(), "the webhook fails")?;
    holds(!world.stored(&webhook).await?.is_enabled(), "and is disabled")
}

async fn a_result_of_a_changed_webhook_leaves_its_health_alone(world: World) -> Verdict {
    let (webhook, result) = bad_news(&world).await?;
    world.change(&webhook, at(1), |webhook| webhook.name = "changed".into()).await?;

    let settled = world.settle_all(&[result], at(1)).await?;

    same(settled.fenced.len(), 0, "its lease was not lost")?;
    holds(settled.health.is_empty(), "nothing is said about its health")?;
    same(health_of(&world, &webhook).await?, WebhookHealth::default(), "nor kept")
}

async fn a_result_of_a_changed_webhook_does_not_make_it_wait(world: World) -> Verdict {
    let (webhook, mut result) = bad_news(&world).await?;
    result.brake = None;
    world.change(&webhook, at(1), |webhook| webhook.name = "changed".into()).await?;

    world.settle_all(&[result], at(1)).await?;

    let backlog = world.stores.repository.backlog(&world.acme, Some(webhook.id), at(2)).await?;
    same(backlog.held_until, None, "the old receiver's wish is not the new one's")?;
    same(world.claim(10, at(2)).await?.len(), 2, "the others go on")
}

async fn a_result_of_a_changed_webhook_does_not_touch_its_circuit(world: World) -> Verdict {
    let (webhook, mut result) = bad_news(&world).await?;
    result.pause_until = None;
    world.change(&webhook, at(1), |webhook| webhook.name = "changed".into()).await?;
    let seen = result.brake.map(|change| change.seen);

    world.settle_all(&[result], at(1)).await?;

    let claims = world.claim(10, at(2)).await?;
    same(claims.len(), 2, "the circuit is closed")?;
    same(claims.first().map(|claim| claim.brake_version), seen, "and was not touched")
}

async fn a_result_of_a_changed_webhook_does_not_disable_it(world: World) -> Verdict {
    let (webhook, mut result) = bad_news(&world).await?;
    result.disable = Some(DisableReason::Gone);
    let changed = world.change(&webhook, at(1), |webhook| webhook.name = "changed".into()).await?;

    world.settle_all(&[result], at(1)).await?;

    same((*world.stored(&webhook).await?).clone(), changed, "the webhook is as it was changed")?;
    let waiting = world.statuses().await?;
    let pending = waiting.iter().filter(|status| **status == DeliveryStatus::Pending).count();
    same(pending, 2, "its other deliveries wait")
}

async fn what_a_result_of_a_changed_webhook_says_about_the_delivery_counts(world: World) -> Verdict {
    let (webhook, result) = bad_news(&world).await?;
    let (delivery, attempt) = (result.delivery, there(result.attempt.clone(), "an attempt")?);
    world.change(&webhook, at(1), |webhook| webhook.name = "changed".into()).await?;

    world.settle_all(&[result], at(1)).await?;

    let record = world.record(delivery).await?;
    same(record.delivery.status, DeliveryStatus::DeadLetter(DeadReason::Rejected), "it has ended")?;
    same(record.delivery.last_status, attempt.status, "with its last answer")?;
    same(record.attempts.len(), 1, "the attempt is logged")?;
    holds(!record.attempts[0].fenced, "and was the claim's own")
}
