//! `settle`: a webhook's health, and what is decided about it.

use crate::activity::model::ActivityKind;
use crate::testing::conformance::world::{World, at};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    DeliveryStatus, DisableReason, Fate, HealthChange, SkipReason, Webhook, WebhookState,
};
use crate::webhooks::queue::{HealthMoved, Judged, JudgedStep, SettleBatch};
use crate::webhooks::repository::Release;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["health":
        health_is_what_the_results_say,
        health_before_and_after_is_answered_while_a_webhook_fails,
        results_that_say_nothing_about_health_change_none,
        a_warning_is_remembered_until_a_success,
        a_release_forgives_the_failures_so_far,
        a_judgement_disables_as_a_save_would,
        a_judgement_of_nobody_changes_nothing,
    ]
}

const FAILURE: HealthChange = HealthChange::Failure { first: true };

async fn report(world: &World, change: HealthChange, seconds: i64) -> Result<Vec<HealthMoved>, Failure> {
    world.send(1, at(seconds)).await?;
    let claim = world.claim_one(at(seconds)).await?;
    let fate = if change == HealthChange::Success { Fate::Delivered } else { Fate::RetryAt(at(900_000)) };
    let mut result = world.result(&claim, fate, at(seconds));
    result.health = change;
    Ok(world.settle_all(&[result], at(seconds)).await?.health)
}

async fn health_of(world: &World, webhook: &Webhook) -> Result<WebhookHealth, Failure> {
    there(world.stores.repository.health(&world.acme, webhook.id).await?, "the webhook's health")
}

async fn health_is_what_the_results_say(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let mut expected = WebhookHealth::default();
    same(health_of(&world, &webhook).await?, expected, "nothing is known at first")?;

    for (seconds, change) in
        (1..).zip([HealthChange::Success, FAILURE, HealthChange::Failure { first: false }, FAILURE])
    {
        report(&world, change, seconds).await?;
        expected = expected.after(change, at(seconds));
        same(health_of(&world, &webhook).await?, expected, "health is the sum of the results")?;
    }
    same(expected.failed_deliveries, 2, "retries of one delivery count once")?;

    report(&world, HealthChange::Success, 9).await?;
    let recovered = health_of(&world, &webhook).await?;
    same((recovered.failing_since, recovered.last_success_at), (None, Some(at(9))), "a success mends all")
}

async fn health_before_and_after_is_answered_while_a_webhook_fails(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    holds(
        report(&world, HealthChange::Success, 1).await?.is_empty(),
        "nothing is said of a healthy webhook",
    )?;

    let failing = report(&world, FAILURE, 2).await?;
    let recovered = report(&world, HealthChange::Success, 3).await?;

    same(failing.len(), 1, "a failing one is answered")?;
    same((&failing[0].tenant, failing[0].webhook), (&world.acme, webhook.id), "by name")?;
    same((failing[0].before.is_failing(), failing[0].after.is_failing()), (false, true), "before and after")?;
    same(recovered.len(), 1, "one that has just recovered as well")?;
    same(recovered[0].before, failing[0].after, "before")?;
    same(recovered[0].after.is_failing(), false, "and after")
}

async fn results_that_say_nothing_about_health_change_none(world: World) -> Verdict {
    let webhook = world.webhook().await?;

    let moved = report(&world, HealthChange::None, 1).await?;

    holds(moved.is_empty(), "nothing is answered")?;
    same(health_of(&world, &webhook).await?, WebhookHealth::default(), "nothing is known")
}

async fn a_warning_is_remembered_until_a_success(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    report(&world, FAILURE, 1).await?;
    let entry = world.entry(&world.acme, ActivityKind::WebhookFailing, at(2));
    let warned = |percent, activity| {
        [Judged::new(world.acme.clone(), webhook.id, JudgedStep::Warned(percent), activity)]
    };

    world.stores.queue.settle(SettleBatch::judged(&warned(50, vec![entry.clone()])), at(2)).await?;

    same(health_of(&world, &webhook).await?.warned_percent, 50, "the warning is remembered")?;
    same(world.log().await?, vec![entry], "the log is told")?;
    let other = world.entry(&world.acme, ActivityKind::WebhookFailing, at(3));
    world.stores.queue.settle(SettleBatch::judged(&warned(50, vec![other])), at(3)).await?;
    same(world.log().await?.len(), 1, "the same warning a second time changes nothing")?;
    report(&world, HealthChange::Success, 4).await?;
    same(health_of(&world, &webhook).await?.warned_percent, 0, "a success forgets it")?;
    world.stores.queue.settle(SettleBatch::judged(&warned(70, Vec::new())), at(5)).await?;
    same(
        health_of(&world, &webhook).await?.warned_percent,
        0,
        "a late warning does not count for the next failure",
    )
}

async fn a_release_forgives_the_failures_so_far(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    report(&world, FAILURE, 1).await?;
    let failing = health_of(&world, &webhook).await?;
    world.change_and(&webhook, Release::Keep, at(2), |_| {}).await?;
    same(health_of(&world, &webhook).await?, failing, "a change that keeps them keeps them")?;

    world.change_and(&webhook, Release::Release, at(3), |_| {}).await?;

    same(health_of(&world, &webhook).await?, failing.forgiven(), "who was mended begins anew")
}

async fn a_judgement_disables_as_a_save_would(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    report(&world, FAILURE, 1).await?;
    let step = JudgedStep::Disable(DisableReason::TooManyFailures);
    let entry = || vec![world.entry(&world.acme, ActivityKind::WebhookDisabled, at(2))];
    let judged = [Judged::new(world.acme.clone(), webhook.id, step, entry())];

    world.stores.queue.settle(SettleBatch::judged(&judged), at(2)).await?;

    let disabled = world.stored(&webhook).await?;
    let state = WebhookState::Disabled { reason: DisableReason::TooManyFailures, at: at(2) };
    same((disabled.state, disabled.version), (state, webhook.version.next()), "it is disabled")?;
    same(
        world.statuses().await?,
        vec![DeliveryStatus::Skipped(SkipReason::WebhookDisabled)],
        "what waited is skipped",
    )?;
    let again = [Judged::new(world.acme.clone(), webhook.id, step, entry())];
    world.stores.queue.settle(SettleBatch::judged(&again), at(3)).await?;
    same(&*world.stored(&webhook).await?, &*disabled, "a second time changes nothing")?;
    same(world.log().await?.len(), 1, "and is not logged")
}

async fn a_judgement_of_nobody_changes_nothing(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let step = JudgedStep::Disable(DisableReason::TooManyFailures);
    let entry = world.entry(&world.other, ActivityKind::WebhookDisabled, at(2));
    let judged = [Judged::new(world.other.clone(), webhook.id, step, vec![entry])];

    world.stores.queue.settle(SettleBatch::judged(&judged), at(2)).await?;

    same(world.stored(&webhook).await?.state, WebhookState::Active, "another tenant cannot disable it")
}
