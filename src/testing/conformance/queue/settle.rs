//! `settle`: what becomes of a delivery.

use std::sync::Arc;

use bytes::Bytes;

use crate::activity::model::ActivityKind;
use crate::ports::TransportErrorKind;
use crate::testing::conformance::world::{IN_ORDER, World, at, just_before};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{
    AttemptError, DeadReason, DeliveryStatus, DisableReason, Fate, LoggedHeaders, SkipReason, WebhookState,
};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["settle":
        a_delivered_one_has_ended,
        a_retry_is_due_at_its_time,
        a_dead_letter_has_ended_with_its_reason,
        a_released_claim_does_not_count,
        a_result_without_a_request_changes_the_delivery_alone,
        an_attempt_is_logged_as_it_was,
        a_batch_may_hold_anything_of_anybody,
        a_retry_of_a_disabled_webhook_is_skipped,
        a_retry_of_a_deleted_webhook_is_skipped,
        a_retry_of_an_erased_event_is_skipped,
        a_disabled_webhooks_delivery_may_still_arrive,
        a_disabling_result_disables_the_webhook,
        only_the_result_that_disables_says_so,
        the_log_is_told_with_the_result,
    ]
}

async fn a_delivered_one_has_ended(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(1)).await?;

    let settled = world.settle(&claim, Fate::Delivered, at(2)).await?;

    holds(settled.fenced.is_empty(), "the lease was live")?;
    let record = world.record(claim.delivery).await?;
    let delivery = &record.delivery;
    same(delivery.status, DeliveryStatus::Delivered, "it was delivered")?;
    same((delivery.attempts, delivery.updated_at), (1, at(2)), "by one attempt")?;
    same((delivery.next_attempt_at, delivery.last_error), (None, None), "nothing more happens to it")?;
    same(delivery.last_status, Some(204), "with this status")?;
    same(record.attempts.len(), 1, "the attempt is logged")?;
    holds(world.claim(10, at(1_000)).await?.is_empty(), "nobody gets it again")
}

async fn a_retry_is_due_at_its_time(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;

    world.settle(&claim, Fate::RetryAt(at(30)), at(1)).await?;

    let delivery = world.delivery(claim.delivery).await?;
    same(delivery.status, DeliveryStatus::Pending, "it waits")?;
    same((delivery.attempts, delivery.next_attempt_at), (1, Some(at(30))), "until its time")?;
    same(
        (delivery.last_status, delivery.last_error),
        (Some(500), Some(AttemptError::Status(500))),
        "and says why",
    )?;
    holds(world.claim(10, just_before(at(30))).await?.is_empty(), "nobody gets it earlier")?;
    same(world.claim_one(at(30)).await?.attempt, 2, "then it goes again")
}

async fn a_dead_letter_has_ended_with_its_reason(world: World) -> Verdict {
    world.webhook().await?;
    for reason in [
        DeadReason::Exhausted,
        DeadReason::Gone,
        DeadReason::Rejected,
        DeadReason::Interrupted,
        DeadReason::Unsendable,
        DeadReason::Unmapped,
    ] {
        world.send(1, at(0)).await?;
        let claim = world.claim_one(at(0)).await?;

        world.settle(&claim, Fate::DeadLetter(reason), at(1)).await?;

        let delivery = world.delivery(claim.delivery).await?;
        same(delivery.status, DeliveryStatus::DeadLetter(reason), "it says why it was given up")?;
        same(delivery.next_attempt_at, None, "nothing more happens to it")?;
    }
    holds(world.claim(10, at(1_000)).await?.is_empty(), "nobody gets them again")
}

async fn a_released_claim_does_not_count(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let first = world.claim_one(at(0)).await?;

    let released = crate::webhooks::model::Settlement::new(&first, Fate::Release(at(10)));
    world.settle_all(&[released], at(1)).await?;

    let delivery = world.delivery(first.delivery).await?;
    same((delivery.status, delivery.attempts), (DeliveryStatus::Pending, 0), "nothing was begun")?;
    holds(world.claim(10, just_before(at(10))).await?.is_empty(), "it is not due before its time")?;
    let second = world.claim_one(at(10)).await?;
    same(second.attempt, 1, "the next claim has the same number")?;
    holds(second.lease.token != first.lease.token, "and a token of its own")
}

async fn a_result_without_a_request_changes_the_delivery_alone(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;

    let given_up = crate::webhooks::model::Settlement::new(&claim, Fate::DeadLetter(DeadReason::Interrupted));
    world.settle_all(&[given_up], at(1)).await?;

    let record = world.record(claim.delivery).await?;
    same(record.delivery.status, DeliveryStatus::DeadLetter(DeadReason::Interrupted), "it is given up")?;
    holds(record.attempts.is_empty(), "no attempt is logged")
}

async fn an_attempt_is_logged_as_it_was(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut attempt = world.attempt(&claim, 503, at(1));
    attempt.peer = Some([203, 0, 113, 9].into());
    let shared = LoggedHeaders::from_lines([("content-type", b"application/json".as_slice())]);
    let own = LoggedHeaders::from_lines([("webhook-signature", b"v1,c2lnbmF0dXJl".as_slice())]);
    attempt.request_headers = own.behind(&shared);
    let answered = [("retry-after", b"7".as_slice()), ("set-cookie", b"a=1"), ("set-cookie", b"b=\xff")];
    attempt.response_headers = LoggedHeaders::from_lines(answered);
    attempt.response_body = Bytes::from_static(b"over\0loaded \xff");
    attempt.truncated = true;
    let milliseconds = std::time::Duration::from_millis;
    attempt.timings.dns = Some(milliseconds(3));
    attempt.timings.first_byte = Some(milliseconds(70));
    attempt.timings.total = milliseconds(80);
    attempt.next_attempt_at = Some(at(30));
    let mut second = attempt.clone();
    let result = crate::webhooks::model::Settlement::new(&claim, Fate::RetryAt(at(30)));
    world.settle_all(&[result.with_attempt(attempt.clone())], at(2)).await?;

    let again = world.claim_one(at(30)).await?;
    second.id = world.attempt(&again, 503, at(30)).id;
    (second.number, second.started_at, second.next_attempt_at) = (2, at(30), None);
    (second.status, second.error) = (None, Some(AttemptError::Transport(TransportErrorKind::TimedOut)));
    let result = crate::webhooks::model::Settlement::new(&again, Fate::DeadLetter(DeadReason::Exhausted));
    world.settle_all(&[result.with_attempt(second.clone())], at(31)).await?;

    let record = world.record(claim.delivery).await?;
    let logged: Vec<_> = record.attempts.iter().map(|attempt| (**attempt).clone()).collect();
    same(logged, vec![attempt, second], "every attempt as it was, oldest first")?;
    same(record.delivery.last_status, None, "the last attempt had no status")?;
    same(
        record.delivery.last_error,
        Some(AttemptError::Transport(TransportErrorKind::TimedOut)),
        "and this error",
    )
}

async fn a_batch_may_hold_anything_of_anybody(world: World) -> Verdict {
    world.webhook().await?;
    world.insert(world.webhook_of(&world.other, at(0))?).await?;
    world.send(3, at(0)).await?;
    world.send_for(&world.other, 1, at(0)).await?;
    let claims = world.claim(10, at(0)).await?;
    let fates =
        [Fate::Delivered, Fate::RetryAt(at(9)), Fate::DeadLetter(DeadReason::Rejected), Fate::Delivered];
    let results: Vec<_> =
        claims.iter().zip(fates).map(|(claim, fate)| world.result(claim, fate, at(1))).collect();

    let settled = world.settle_all(&results, at(1)).await?;

    holds(settled.fenced.is_empty(), "all leases were live")?;
    let mut ended: Vec<_> = world.records(&world.acme).await?;
    ended.extend(world.records(&world.other).await?);
    for (claim, fate) in claims.iter().zip(fates) {
        let status = ended.iter().find(|record| record.delivery.id == claim.delivery);
        let expected = match fate {
            Fate::Delivered => DeliveryStatus::Delivered,
            Fate::DeadLetter(reason) => DeliveryStatus::DeadLetter(reason),
            _ => DeliveryStatus::Pending,
        };
        same(status.map(|record| record.delivery.status), Some(expected), "each result is applied")?;
    }
    Ok(())
}

async fn a_retry_of_a_disabled_webhook_is_skipped(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    for fate in [Fate::RetryAt(at(9)), Fate::Release(at(9)), Fate::Stop] {
        world.change(&webhook, at(0), |webhook| webhook.state = WebhookState::Active).await?;
        world.send(1, at(0)).await?;
        let claim = world.claim_one(at(0)).await?;
        world.disable(&webhook, at(1)).await?;
        same(
            world.delivery(claim.delivery).await?.status,
            DeliveryStatus::Pending,
            "what is claimed is not skipped",
        )?;

        world.settle(&claim, fate, at(2)).await?;

        let status = world.delivery(claim.delivery).await?.status;
        same(status, DeliveryStatus::Skipped(SkipReason::WebhookDisabled), "it is not tried again")?;
    }
    Ok(())
}

async fn a_retry_of_a_deleted_webhook_is_skipped(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.remove(&webhook, at(1)).await?;

    world.settle(&claim, Fate::RetryAt(at(9)), at(2)).await?;

    let status = world.delivery(claim.delivery).await?.status;
    same(status, DeliveryStatus::Skipped(SkipReason::WebhookDeleted), "it is not tried again")?;
    holds(world.claim(10, at(1_000)).await?.is_empty(), "nobody gets it")
}

async fn a_retry_of_an_erased_event_is_skipped(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    let mut result = world.result(&claim, Fate::RetryAt(at(9)), at(2));
    if let Some(attempt) = &mut result.attempt {
        Arc::make_mut(attempt).response_body = Bytes::from_static(b"hello ada");
    }
    world.settle_all(&[result], at(2)).await?;

    let record = world.record(claim.delivery).await?;
    same(
        record.delivery.status,
        DeliveryStatus::Skipped(SkipReason::Erased),
        "there is nothing left to send",
    )?;
    holds(record.attempts.iter().all(|attempt| attempt.response_body.is_empty()), "late bodies are not kept")
}

async fn a_disabled_webhooks_delivery_may_still_arrive(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    let claims = world.claim(2, at(0)).await?;
    world.disable(&webhook, at(1)).await?;

    world.settle(&claims[0], Fate::Delivered, at(2)).await?;
    world.settle(&claims[1], Fate::DeadLetter(DeadReason::Gone), at(2)).await?;

    let status = world.delivery(claims[0].delivery).await?.status;
    same(status, DeliveryStatus::Delivered, "what has arrived has arrived")?;
    let status = world.delivery(claims[1].delivery).await?.status;
    same(status, DeliveryStatus::DeadLetter(DeadReason::Gone), "what was given up was given up")
}

async fn a_disabling_result_disables_the_webhook(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(10, at(0)).await?;
    let claims = world.claim(2, at(0)).await?;
    let results: Vec<_> = claims
        .iter()
        .map(|claim| {
            let mut gone = world.result(claim, Fate::DeadLetter(DeadReason::Gone), at(5));
            gone.disable = Some(DisableReason::Gone);
            gone
        })
        .collect();

    world.settle_all(&results[..1], at(5)).await?;
    let first = world.stored(&webhook).await?;
    world.settle_all(&results[1..], at(6)).await?;

    let state = WebhookState::Disabled { reason: DisableReason::Gone, at: at(5) };
    same((first.state, first.updated_at), (state, at(5)), "it is disabled, and says why and since when")?;
    same(first.version, webhook.version.next(), "as a save would: with a new version")?;
    same(&*world.stored(&webhook).await?, &*first, "a second time changes nothing")?;
    let statuses = world.statuses().await?;
    let skipped = DeliveryStatus::Skipped(SkipReason::WebhookDisabled);
    same(statuses.iter().filter(|status| **status == skipped).count(), 8, "what waited is skipped")?;
    holds(world.claim(10, at(1_000)).await?.is_empty(), "nothing more is sent")
}

async fn only_the_result_that_disables_says_so(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(3, at(0)).await?;
    let claims = world.claim(3, at(0)).await?;
    let entries = [1, 2, 3].map(|_| world.entry(&world.acme, ActivityKind::WebhookDisabled, at(5)));
    let ends = [1, 2, 3].map(|_| world.entry(&world.acme, ActivityKind::DeadLettered, at(5)));
    let results: Vec<_> = claims
        .iter()
        .zip(entries.iter().zip(&ends))
        .map(|(claim, (disabled, ended))| {
            let mut gone = world.result(claim, Fate::DeadLetter(DeadReason::Gone), at(5));
            gone.disable = Some(DisableReason::Gone);
            gone.activity = vec![ended.clone(), disabled.clone()];
            gone
        })
        .collect();

    let first = world.settle_all(&results[..2], at(5)).await?;
    let second = world.settle_all(&results[2..], at(6)).await?;

    same(
        first.disabled,
        vec![(world.acme.clone(), webhook.id)],
        "the batch names what it has disabled, once",
    )?;
    same(second.disabled, Vec::new(), "what is disabled is not disabled again")?;
    let mut log = world.log().await?;
    let [one, two, three] = ends;
    let mut wanted = vec![entries[0].clone(), one, two, three];
    log.sort_by_key(|entry| (entry.kind, entry.id));
    wanted.sort_by_key(|entry| (entry.kind, entry.id));
    same(log, wanted, "the log is told of it once, and of everything else")
}

async fn the_log_is_told_with_the_result(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let entry =
        world.entry(&world.acme, ActivityKind::DeadLettered, at(1)).with_detail("reason", "exhausted");
    let mut result = world.result(&claim, Fate::DeadLetter(DeadReason::Exhausted), at(1));
    result.activity.push(entry.clone());

    world.settle_all(&[result], at(1)).await?;

    same(world.log().await?, vec![entry], "every field of an entry is kept")
}
