//! Order: one after the other.

use futures_util::future::join_all;

use crate::testing::conformance::world::{BY_KEY, IN_ORDER, World, at, events_of};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{DeadReason, DeliveryStatus, Fate, Ordering};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["order":
        only_the_oldest_undelivered_delivery_is_given,
        callers_that_race_get_one_of_an_order,
        a_failing_head_holds_back_those_behind_it,
        a_head_that_is_given_up_lets_the_next_one_go,
        a_head_whose_lease_ended_is_the_head_still,
        a_released_head_is_the_head_still,
        a_stopped_head_stops_its_order,
        orders_of_one_webhook_do_not_wait_for_each_other,
        events_without_a_key_are_an_order_of_their_own,
        order_follows_the_outbox_whatever_the_order_of_a_batch,
        a_change_of_ordering_holds_for_later_deliveries,
        orders_share_their_webhooks_limit,
    ]
}

async fn only_the_oldest_undelivered_delivery_is_given(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ids = world.send(4, at(0)).await?;

    for (second, id) in (1..).zip(&ids) {
        let claims = world.claim(10, at(second)).await?;
        same(events_of(&claims), vec![*id], "one at a time, in the order of the events")?;
        holds(world.claim(10, at(second)).await?.is_empty(), "nothing beside it")?;
        world.settle(&claims[0], Fate::Delivered, at(second)).await?;
    }
    holds(world.claim(10, at(9)).await?.is_empty(), "and then nothing")
}

async fn callers_that_race_get_one_of_an_order(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ids = world.send(4, at(0)).await?;

    let mut given = Vec::new();
    for answer in join_all((0..6).map(|_| world.claim(3, at(1)))).await {
        given.extend(answer?);
    }

    same(events_of(&given), vec![ids[0]], "the head, once")
}

async fn a_failing_head_holds_back_those_behind_it(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ids = world.send(2, at(0)).await?;
    let head = world.claim_one(at(0)).await?;

    world.settle(&head, Fate::RetryAt(at(30)), at(1)).await?;

    holds(world.claim(10, at(29)).await?.is_empty(), "nobody overtakes it")?;
    let again = world.claim_one(at(30)).await?;
    same((again.event.head.id, again.attempt), (ids[0], 2), "it goes again")?;
    world.settle(&again, Fate::Delivered, at(31)).await?;
    same(world.claim_one(at(31)).await?.event.head.id, ids[1], "then the next one goes")
}

async fn a_head_that_is_given_up_lets_the_next_one_go(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ids = world.send(2, at(0)).await?;
    let head = world.claim_one(at(0)).await?;

    world.settle(&head, Fate::DeadLetter(DeadReason::Exhausted), at(1)).await?;

    same(world.claim_one(at(1)).await?.event.head.id, ids[1], "the next one goes")
}

async fn a_head_whose_lease_ended_is_the_head_still(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ids = world.send(2, at(0)).await?;
    let lost = world.claim_one(at(0)).await?;

    let claims = world.claim(10, lost.lease.until).await?;

    same(events_of(&claims), vec![ids[0]], "a crash changes no order")?;
    same(claims[0].attempt, 2, "the lost attempt counts")
}

async fn a_released_head_is_the_head_still(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ids = world.send(2, at(0)).await?;
    let head = world.claim_one(at(0)).await?;

    world.settle(&head, Fate::Release(at(5)), at(1)).await?;

    holds(world.claim(10, at(4)).await?.is_empty(), "it is not due yet, and nobody overtakes it")?;
    same(events_of(&world.claim(10, at(5)).await?), vec![ids[0]], "then it goes")
}

async fn a_stopped_head_stops_its_order(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = BY_KEY).await?;
    let ids = world.send_keyed(&["a", "a", "b"], at(0)).await?;
    let claims = world.claim(10, at(0)).await?;
    let head = &claims[events_of(&claims).iter().position(|id| *id == ids[0]).unwrap_or_default()];

    world.settle(head, Fate::Stop, at(1)).await?;

    let stopped = world.delivery(head.delivery).await?;
    same((stopped.status, stopped.next_attempt_at), (DeliveryStatus::Stopped, None), "it stays as the head")?;
    let later = world.send_keyed(&["a", "c"], at(2)).await?;
    same(events_of(&world.claim(10, at(1_000)).await?).contains(&ids[1]), false, "those behind it wait")?;
    same(world.delivery(head.delivery).await?.status, DeliveryStatus::Stopped, "however long")?;
    let given = events_of(&world.claim(10, at(2_000)).await?);
    holds(!given.contains(&later[0]), "so do those that come later")
}

async fn orders_of_one_webhook_do_not_wait_for_each_other(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = BY_KEY).await?;
    let ids = world.send_keyed(&["a", "a", "b", "b", "c"], at(0)).await?;

    let claims = world.claim(10, at(0)).await?;

    let mut given = events_of(&claims);
    given.sort();
    same(given, vec![ids[0], ids[2], ids[4]], "the head of each order")?;
    let b = claims.iter().position(|claim| claim.event.head.id == ids[2]).unwrap_or_default();
    world.settle(&claims[b], Fate::Delivered, at(1)).await?;
    same(events_of(&world.claim(10, at(1)).await?), vec![ids[3]], "each goes on by itself")
}

async fn events_without_a_key_are_an_order_of_their_own(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = BY_KEY).await?;
    let keyless = world.send(2, at(0)).await?;
    let keyed = world.send_keyed(&["a"], at(0)).await?;

    let mut given = events_of(&world.claim(10, at(0)).await?);

    given.sort();
    same(given, vec![keyless[0], keyed[0]], "one of each order")
}

async fn order_follows_the_outbox_whatever_the_order_of_a_batch(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let heads = (0..4).map(|_| world.head(at(0))).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<_> = heads.iter().map(|head| head.id).collect();
    world.publish(heads, at(0)).await?;
    let mut wanted = world.wanted(at(0)).await?;
    let last = wanted.pop();
    wanted.reverse();

    world.stores.queue.fan_out(wanted, at(0)).await?;
    world.stores.queue.fan_out(last.into_iter().collect(), at(0)).await?;

    let mut given = Vec::new();
    for second in 1..=4 {
        let claim = world.claim_one(at(second)).await?;
        given.push(claim.event.head.id);
        world.settle(&claim, Fate::Delivered, at(second)).await?;
    }
    same(given, ids, "the order of the events")
}

async fn a_change_of_ordering_holds_for_later_deliveries(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let ordered = world.send(3, at(0)).await?;
    world.change(&webhook, at(1), |webhook| webhook.ordering = Ordering::Unordered).await?;

    let free = world.send(2, at(2)).await?;

    let mut given = events_of(&world.claim(10, at(3)).await?);
    given.sort();
    same(given, vec![ordered[0], free[0], free[1]], "what was made before keeps its order")
}

async fn orders_share_their_webhooks_limit(world: World) -> Verdict {
    world
        .webhook_with(|webhook| {
            webhook.ordering = BY_KEY;
            webhook.max_in_flight = Some(2);
        })
        .await?;
    world.send_keyed(&["a", "b", "c"], at(0)).await?;

    same(world.claim(10, at(0)).await?.len(), 2, "a webhook's limit holds over all its orders")
}
