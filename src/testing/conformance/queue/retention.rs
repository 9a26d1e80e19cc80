//! `expire` and `tidy`.

use std::time::Duration;

use bytes::Bytes;

use crate::activity::model::ActivityKind;
use crate::testing::conformance::world::{IN_ORDER, REMEMBERED, World, at, keyed};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::model::{
    DeadReason, DeliveryStatus, Fate, Replay, ReplayFilter, SkipReason, WebhookState,
};
use crate::webhooks::queue::Retention;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["retention":
        what_has_waited_for_too_long_becomes_a_dead_letter,
        what_is_leased_does_not_expire,
        a_stopped_head_expires_and_its_order_goes_on,
        no_more_expires_at_once_than_asked_for,
        a_lost_lease_of_a_disabled_webhook_ends_as_skipped,
        a_lost_lease_of_a_deleted_webhook_ends_as_skipped,
        payloads_and_bodies_go_when_their_time_is_over,
        history_goes_when_its_time_is_over,
        nothing_undelivered_is_ever_dropped,
        an_event_in_the_outbox_is_never_dropped,
        what_is_kept_for_ever_stays,
        replays_that_have_ended_go,
        entries_of_the_log_go_when_their_time_is_over,
        idempotency_keys_go_when_their_time_is_over,
    ]
}

const DAY: i64 = 24 * 60 * 60;

fn retention(payloads: i64, history: i64) -> Retention {
    let seconds = |count: i64| Duration::from_secs(count.unsigned_abs());
    Retention { payloads: seconds(payloads), history: seconds(history), ..Retention::default() }
}

async fn what_has_waited_for_too_long_becomes_a_dead_letter(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    world.send(1, at(10)).await?;
    world.pause(&webhook, at(11)).await?;

    let expired = world.stores.queue.expire(at(10), at(50), 100).await?.deliveries;

    let mut records = world.records(&world.acme).await?;
    records.reverse();
    let dead = DeliveryStatus::DeadLetter(DeadReason::Expired);
    let statuses: Vec<_> = records.iter().map(|record| record.delivery.status).collect();
    same(statuses, vec![dead, dead, DeliveryStatus::Pending], "what was made before the time has ended")?;
    let mut named: Vec<_> = expired.iter().map(|(_, _, delivery)| *delivery).collect();
    named.sort();
    same(named, records[..2].iter().map(|record| record.delivery.id).collect::<Vec<_>>(), "and is named")?;
    holds(
        expired.iter().all(|(tenant, id, _)| *tenant == world.acme && *id == webhook.id),
        "with tenant and webhook",
    )?;
    same(records[0].delivery.updated_at, at(50), "it ended now")?;
    same(records[0].delivery.next_attempt_at, None, "nothing more happens to it")?;
    holds(world.stores.queue.expire(at(10), at(51), 100).await?.deliveries.is_empty(), "each ends once")
}

async fn what_is_leased_does_not_expire(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(1)).await?;
    holds(
        world.stores.queue.expire(at(10), at(30), 100).await?.deliveries.is_empty(),
        "somebody works on it",
    )?;

    let expired = world.stores.queue.expire(at(10), at(61), 100).await?.deliveries;

    same(expired.len(), 1, "when the lease has ended, nobody does")?;
    let settled = world.settle(&claim, Fate::Delivered, at(62)).await?;
    same(settled.fenced, vec![(claim.delivery, claim.lease.token)], "a later result is fenced")
}

async fn a_stopped_head_expires_and_its_order_goes_on(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    world.send(1, at(0)).await?;
    let next = world.send(1, at(20)).await?;
    let head = world.claim_one(at(20)).await?;
    world.settle(&head, Fate::Stop, at(21)).await?;

    let expired = world.stores.queue.expire(at(10), at(30), 100).await?.deliveries;

    same(expired.len(), 1, "a stopped one expires")?;
    same(world.claim_one(at(30)).await?.event.head.id, next[0], "and its order goes on")
}

async fn no_more_expires_at_once_than_asked_for(world: World) -> Verdict {
    world.webhook().await?;
    world.webhook().await?;
    world.send(5, at(0)).await?;
    let mut rounds = Vec::new();

    for _ in 0..4 {
        rounds.push(world.stores.queue.expire(at(10), at(20), 4).await?.deliveries.len());
    }

    same(rounds, vec![4, 4, 2, 0], "round by round")
}

async fn a_lost_lease_of_a_disabled_webhook_ends_as_skipped(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.disable(&webhook, at(1)).await?;
    world.stores.queue.expire(at(-DAY), at(59), 100).await?;
    same(world.delivery(claim.delivery).await?.status, DeliveryStatus::Pending, "the lease still holds")?;

    let expired = world.stores.queue.expire(at(-DAY), at(60), 100).await?;

    holds(expired.deliveries.is_empty(), "it is no dead letter")?;
    let status = world.delivery(claim.delivery).await?.status;
    same(status, DeliveryStatus::Skipped(SkipReason::WebhookDisabled), "nobody would ever end it otherwise")
}

async fn a_lost_lease_of_a_deleted_webhook_ends_as_skipped(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.remove(&webhook, at(1)).await?;

    world.stores.queue.expire(at(-DAY), at(60), 100).await?;

    let status = world.delivery(claim.delivery).await?.status;
    same(status, DeliveryStatus::Skipped(SkipReason::WebhookDeleted), "nobody would ever end it otherwise")
}

/// One delivery that was made at second 0.
async fn delivered(world: &World) -> Result<crate::webhooks::model::Claim, Failure> {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut attempt = world.attempt(&claim, 200, at(0));
    attempt.response_body = Bytes::from_static(b"thank you");
    let result = crate::webhooks::model::Settlement::new(&claim, Fate::Delivered).with_attempt(attempt);
    world.settle_all(&[result], at(0)).await?;
    Ok(claim)
}

async fn payloads_and_bodies_go_when_their_time_is_over(world: World) -> Verdict {
    let claim = delivered(&world).await?;
    let event = claim.event.head.id;
    world.stores.queue.tidy(retention(10 * DAY, 20 * DAY), at(10 * DAY - 1)).await?;
    let record = world.record(claim.delivery).await?;
    same(record.payload.as_ref(), Some(&claim.event.payload), "it is kept until then")?;
    same(&*record.attempts[0].response_body, b"thank you", "with what was answered")?;

    let gone = world.stores.queue.tidy(retention(10 * DAY, 20 * DAY), at(10 * DAY + 1)).await?;

    holds(gone > 0, "it says how much went")?;
    let record = world.record(claim.delivery).await?;
    same(record.payload, None, "the payload is gone")?;
    same(record.delivery.status, DeliveryStatus::Delivered, "the delivery stays")?;
    same(record.attempts[0].status, Some(200), "and the attempt")?;
    holds(record.attempts[0].response_body.is_empty(), "but not its body")?;
    let event = there(world.stores.repository.event(&world.acme, event).await?, "the event")?;
    holds(event.payload.is_empty(), "the event stays, without its payload")
}

async fn history_goes_when_its_time_is_over(world: World) -> Verdict {
    let claim = delivered(&world).await?;
    world.stores.queue.tidy(retention(DAY, 20 * DAY), at(20 * DAY - 1)).await?;
    same(world.records(&world.acme).await?.len(), 1, "it is kept until then")?;

    let gone = world.stores.queue.tidy(retention(DAY, 20 * DAY), at(20 * DAY + 1)).await?;

    holds(gone > 0, "it says how much went")?;
    holds(world.records(&world.acme).await?.is_empty(), "the delivery is gone")?;
    same(world.stores.repository.event(&world.acme, claim.event.head.id).await?, None, "and its event")?;
    let gone = world.stores.queue.tidy(retention(DAY, 20 * DAY), at(20 * DAY + 2)).await?;
    same(gone, 0, "then there is nothing left to go")
}

async fn nothing_undelivered_is_ever_dropped(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    let paused = world.webhook().await?;
    world.pause(&paused, at(0)).await?;
    world.send(2, at(0)).await?;
    let stopped = world.claim_one(at(0)).await?;
    world.settle(&stopped, Fate::Stop, at(1)).await?;
    let retried = world.webhook().await?;
    world.send(1, at(2)).await?;
    let claims = world.claim(10, at(2)).await?;
    same(claims.len(), 1, "of the webhook that is neither stopped nor paused")?;
    world.settle(&claims[0], Fate::RetryAt(at(400 * DAY)), at(3)).await?;

    world.stores.queue.tidy(retention(DAY, DAY), at(399 * DAY)).await?;

    let records = world.records(&world.acme).await?;
    same(records.len(), 7, "all that waits, however old, is there")?;
    holds(records.iter().all(|record| record.payload.is_some()), "with its payload")?;
    world.stores.queue.tidy(retention(DAY, DAY), at(401 * DAY)).await?;
    let retry = world.claim(10, at(401 * DAY)).await?;
    same(retry.len(), 1, "the retry comes at its time")?;
    same(retry[0].webhook.id, retried.id, "to its webhook")?;
    same(&retry[0].event.payload, &claims[0].event.payload, "with the same bytes")?;
    world.stores.queue.tidy(retention(DAY, DAY), at(402 * DAY)).await?;
    let settled = world.settle(&retry[0], Fate::Delivered, at(402 * DAY)).await?;
    holds(settled.fenced.is_empty(), "what is leased is there as well")?;
    world.change(&paused, at(403 * DAY), |webhook| webhook.state = WebhookState::Active).await?;
    same(world.claim(10, at(403 * DAY)).await?.len(), 3, "what was paused goes on")?;
    same(world.delivery(stopped.delivery).await?.webhook, webhook.id, "what is stopped is there")
}

async fn an_event_in_the_outbox_is_never_dropped(world: World) -> Verdict {
    world.webhook().await?;
    let head = world.head(at(0))?;
    world.publish(vec![head.clone()], at(0)).await?;

    world.stores.queue.tidy(retention(DAY, DAY), at(100 * DAY)).await?;

    let event = there(world.stores.repository.event(&world.acme, head.id).await?, "the event")?;
    holds(!event.payload.is_empty(), "with its payload")?;
    same(world.distribute(at(100 * DAY)).await?, 1, "it is fanned out")?;
    same(world.claim_one(at(100 * DAY)).await?.event.payload.clone(), event.payload.clone(), "and sent")
}

async fn what_is_kept_for_ever_stays(world: World) -> Verdict {
    let claim = delivered(&world).await?;
    let queue = &world.stores.queue;
    let ever = Duration::MAX;
    queue.publish(vec![keyed(world.head(at(0))?, "k", 1)], ever, at(0)).await?;
    let for_ever = Retention { payloads: ever, history: ever, idempotency_keys: ever };

    let gone = queue.tidy(for_ever, at(10_000 * DAY)).await?;

    same(gone, 0, "nothing is ever too old")?;
    holds(world.record(claim.delivery).await?.payload.is_some(), "the payload is there")?;
    let again = vec![keyed(world.head(at(10_000 * DAY))?, "k", 1)];
    holds(!queue.publish(again, ever, at(10_000 * DAY)).await?[0].fresh, "the key is remembered")
}

async fn replays_that_have_ended_go(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let filter = ReplayFilter::undelivered(at(0), at(10));
    let new =
        || Replay::new(world.replay_id(at(0)), world.acme.clone(), webhook.id, filter.clone(), 1, at(0));
    let ended = world.stores.repository.start_replay(new(), Vec::new()).await?;
    let running = world.stores.repository.start_replay(new(), Vec::new()).await?;
    world.stores.repository.cancel_replay(&world.acme, ended.id, Vec::new(), at(1)).await?;

    world.stores.queue.tidy(retention(DAY, DAY), at(10 * DAY)).await?;

    same(world.stores.repository.replay(&world.acme, ended.id).await?, None, "the ended one is gone")?;
    holds(world.stores.repository.replay(&world.acme, running.id).await?.is_some(), "the running one is not")
}

async fn entries_of_the_log_go_when_their_time_is_over(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let filter = ReplayFilter::undelivered(at(0), at(10));
    let mut entries = Vec::new();
    for day in [0, 5] {
        let now = at(day * DAY);
        let entry = world.entry(&world.acme, ActivityKind::ReplayStarted, now);
        let (id, tenant) = (world.replay_id(now), world.acme.clone());
        let replay = Replay::new(id, tenant, webhook.id, filter.clone(), 1, now);
        world.stores.repository.start_replay(replay, vec![entry.clone()]).await?;
        entries.push(entry);
    }
    world.stores.queue.tidy(retention(DAY, 10 * DAY), at(10 * DAY - 1)).await?;
    same(world.log().await?.len(), 2, "they are kept until then")?;

    let gone = world.stores.queue.tidy(retention(DAY, 10 * DAY), at(10 * DAY + 1)).await?;

    same(gone, 1, "it says how much went")?;
    same(world.log().await?, entries[1..].to_vec(), "what is not so old stays")
}

async fn idempotency_keys_go_when_their_time_is_over(world: World) -> Verdict {
    let queue = &world.stores.queue;
    let mut short = retention(10 * DAY, 10 * DAY);
    short.idempotency_keys = Duration::from_secs(100);
    queue.publish(vec![keyed(world.head(at(0))?, "old", 1)], REMEMBERED, at(0)).await?;
    queue.publish(vec![keyed(world.head(at(150))?, "new", 1)], REMEMBERED, at(150)).await?;

    queue.tidy(short, at(200)).await?;

    let again = vec![keyed(world.head(at(201))?, "old", 2), keyed(world.head(at(201))?, "new", 1)];
    let answers = queue.publish(again, REMEMBERED, at(201)).await?;
    same((answers[0].fresh, answers[1].fresh), (true, false), "the old key is forgotten, the new one is not")
}
