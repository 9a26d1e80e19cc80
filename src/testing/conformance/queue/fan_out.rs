//! `fan_out`.

use futures_util::future::join_all;

use crate::error::ErrorKind;
use crate::testing::conformance::world::{World, at};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, refused, same};
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{DeliveryStatus, NewDelivery, Origin, Skip, SkipReason};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["fan_out":
        a_delivery_is_made_as_it_was_asked_for,
        each_entry_is_taken_off_the_outbox_once,
        fan_outs_that_race_make_each_delivery_once,
        a_webhook_that_is_disabled_by_now_skips,
        a_webhook_that_is_deleted_by_now_skips,
        another_tenants_webhook_is_like_a_deleted_one,
        an_event_that_was_erased_by_now_is_skipped,
        a_skip_is_recorded_with_its_reason,
        an_event_that_nobody_wants_leaves_the_outbox,
        an_id_names_one_delivery,
        a_paused_webhooks_deliveries_are_made_and_wait,
    ]
}

async fn a_delivery_is_made_as_it_was_asked_for(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let head = world.head(at(0))?;
    world.publish(vec![head.clone()], at(0)).await?;

    let count = world.distribute(at(5)).await?;

    same(count, 1, "it says how many entries were there")?;
    let records = world.records(&world.acme).await?;
    same(records.len(), 1, "one delivery is made")?;
    let made = &records[0].delivery;
    same(
        (&made.tenant, made.webhook, made.event),
        (&world.acme, webhook.id, head.id),
        "of this event for this webhook",
    )?;
    same(&made.event_type, &head.event_type, "it has the event's type")?;
    same((made.status, made.origin, made.attempts), (DeliveryStatus::Pending, Origin::Live, 0), "it waits")?;
    same((made.created_at, made.next_attempt_at), (at(5), Some(at(5))), "it is due at once")?;
    same((made.last_status, made.last_error), (None, None), "nothing was tried")
}

async fn each_entry_is_taken_off_the_outbox_once(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?, world.head(at(0))?], at(0)).await?;
    let mut first = world.wanted(at(0)).await?;
    let second = world.wanted(at(0)).await?;
    first.truncate(1);
    same(world.stores.queue.fan_out(first, at(0)).await?, 1, "the first entry is there")?;

    let count = world.stores.queue.fan_out(second, at(0)).await?;

    same(count, 1, "an entry that is no longer there is not counted")?;
    same(world.records(&world.acme).await?.len(), 2, "an entry that is no longer there makes nothing")?;
    holds(world.stores.queue.outbox(10, at(0)).await?.entries.is_empty(), "the outbox is empty")
}

async fn fan_outs_that_race_make_each_delivery_once(world: World) -> Verdict {
    world.webhook().await?;
    let heads = (0..20).map(|_| world.head(at(0))).collect::<Result<_, _>>()?;
    world.publish(heads, at(0)).await?;
    let mut racing = Vec::new();
    for _ in 0..4 {
        racing.push(world.stores.queue.fan_out(world.wanted(at(0)).await?, at(0)));
    }

    let mut count = 0;
    for taken in join_all(racing).await {
        count += taken?;
    }

    same(count, 20, "each entry is taken once, in total over all callers")?;
    same(world.records(&world.acme).await?.len(), 20, "each delivery is made once")?;
    let claims = world.claim(100, at(0)).await?;
    same(claims.len(), 8, "nothing is queued twice")
}

async fn a_webhook_that_is_disabled_by_now_skips(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.publish(vec![world.head(at(0))?], at(0)).await?;
    let wanted = world.wanted(at(0)).await?;
    world.disable(&webhook, at(1)).await?;

    world.stores.queue.fan_out(wanted, at(2)).await?;

    same(
        world.statuses().await?,
        vec![DeliveryStatus::Skipped(SkipReason::WebhookDisabled)],
        "the delivery is recorded as skipped",
    )?;
    holds(world.claim(10, at(2)).await?.is_empty(), "nothing is to be sent")
}

async fn a_webhook_that_is_deleted_by_now_skips(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.publish(vec![world.head(at(0))?], at(0)).await?;
    let wanted = world.wanted(at(0)).await?;
    world.remove(&webhook, at(1)).await?;

    world.stores.queue.fan_out(wanted, at(2)).await?;

    same(
        world.statuses().await?,
        vec![DeliveryStatus::Skipped(SkipReason::WebhookDeleted)],
        "the delivery is recorded as skipped",
    )?;
    holds(world.claim(10, at(2)).await?.is_empty(), "nothing is to be sent")
}

async fn another_tenants_webhook_is_like_a_deleted_one(world: World) -> Verdict {
    let foreign = world.insert(world.webhook_of(&world.other, at(0))?).await?;
    world.publish(vec![world.head(at(0))?], at(0)).await?;
    let mut wanted = world.wanted(at(0)).await?;
    wanted[0].1.deliveries.push(NewDelivery::new(world.delivery_id(at(0)), foreign.id, None));

    world.stores.queue.fan_out(wanted, at(0)).await?;

    holds(world.claim(10, at(0)).await?.is_empty(), "no tenant's event reaches another tenant's webhook")?;
    same(
        world.statuses().await?,
        vec![DeliveryStatus::Skipped(SkipReason::WebhookDeleted)],
        "it is recorded for the event's tenant",
    )?;
    holds(world.records(&world.other).await?.is_empty(), "and not for the webhook's")
}

async fn an_event_that_was_erased_by_now_is_skipped(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    world.distribute(at(2)).await?;

    same(
        world.statuses().await?,
        vec![DeliveryStatus::Skipped(SkipReason::Erased)],
        "there is nothing left to send",
    )?;
    holds(world.claim(10, at(2)).await?.is_empty(), "nothing is to be sent")
}

async fn a_skip_is_recorded_with_its_reason(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.publish(vec![world.head(at(0))?], at(0)).await?;
    let mut wanted = world.wanted(at(0)).await?;
    let mut made = FanOut::default();
    made.skips.push(Skip::new(world.delivery_id(at(0)), webhook.id, SkipReason::WebhookDisabled));
    wanted[0].1 = made;

    world.stores.queue.fan_out(wanted, at(3)).await?;

    let records = world.records(&world.acme).await?;
    let skipped = &records[0].delivery;
    same(skipped.status, DeliveryStatus::Skipped(SkipReason::WebhookDisabled), "it says why")?;
    same((skipped.created_at, skipped.next_attempt_at), (at(3), None), "nothing more happens to it")?;
    holds(world.claim(10, at(3)).await?.is_empty(), "it is not sent")
}

async fn an_event_that_nobody_wants_leaves_the_outbox(world: World) -> Verdict {
    let head = world.head(at(0))?;
    world.publish(vec![head.clone()], at(0)).await?;

    same(world.distribute(at(0)).await?, 1, "it is fanned out")?;

    holds(world.stores.queue.outbox(10, at(0)).await?.entries.is_empty(), "the outbox is empty")?;
    holds(world.stores.repository.event(&world.acme, head.id).await?.is_some(), "the event can be looked at")
}

async fn an_id_names_one_delivery(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.publish(vec![world.head(at(0))?], at(0)).await?;
    world.distribute(at(0)).await?;
    let taken = world.records(&world.acme).await?[0].delivery.id;
    world.publish(vec![world.head(at(1))?], at(1)).await?;
    let mut wanted = world.wanted(at(1)).await?;
    wanted[0].1.deliveries = vec![NewDelivery::new(taken, webhook.id, None)];

    let answer = world.stores.queue.fan_out(wanted, at(1)).await;

    refused(answer, ErrorKind::Conflict, "there is a delivery with this id")?;
    same(
        world.stores.queue.outbox(10, at(1)).await?.entries.len(),
        1,
        "the entry is still there: nothing is lost",
    )
}

async fn a_paused_webhooks_deliveries_are_made_and_wait(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.pause(&webhook, at(0)).await?;

    world.send(1, at(1)).await?;

    same(world.statuses().await?, vec![DeliveryStatus::Pending], "nothing is lost")?;
    holds(world.claim(10, at(1)).await?.is_empty(), "nothing is sent")
}
