//! `erase_subject`.

use bytes::Bytes;

use crate::activity::model::ActivityKind;
use crate::testing::conformance::world::{IN_ORDER, World, at, events_of};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::model::{DeliveryStatus, Fate, LoggedHeaders, Settlement, SkipReason};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["erase_subject":
        payloads_and_what_attempts_have_logged_are_gone,
        deliveries_that_still_waited_are_skipped,
        a_stopped_one_is_skipped_and_its_order_goes_on,
        nothing_else_is_erased,
        a_lost_lease_is_not_sent_again,
        a_second_time_erases_nothing,
    ]
}

async fn payloads_and_what_attempts_have_logged_are_gone(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let mut attempt = world.attempt(&claim, 200, at(1));
    attempt.response_body = Bytes::from_static(b"hello ada");
    attempt.response_headers = LoggedHeaders::from_lines([("x-user", b"ada".as_slice())]);
    attempt.request_headers = LoggedHeaders::from_lines([("x-user", b"ada".as_slice())]);
    let result = Settlement::new(&claim, Fate::Delivered).with_attempt(attempt);
    world.settle_all(&[result], at(1)).await?;
    let entry = world.entry(&world.acme, ActivityKind::SubjectErased, at(2));

    let erasure =
        world.stores.repository.erase_subject(&world.acme, "ada", vec![entry.clone()], at(2)).await?;

    same((erasure.events, erasure.skipped), (1, 0), "it says what it has done")?;
    let record = world.record(claim.delivery).await?;
    same(record.payload, None, "the payload is gone")?;
    same(record.delivery.status, DeliveryStatus::Delivered, "the delivery stays")?;
    let attempt = &record.attempts[0];
    same((attempt.status, attempt.number), (Some(200), 1), "the attempt stays")?;
    holds(attempt.response_body.is_empty(), "without its body")?;
    holds(attempt.response_headers.is_empty() && attempt.request_headers.is_empty(), "and its headers")?;
    let event = there(world.stores.repository.event(&world.acme, claim.event.head.id).await?, "the event")?;
    holds(event.payload.is_empty(), "the event stays, without its payload")?;
    same(world.log().await?, vec![entry], "the log is told")
}

async fn deliveries_that_still_waited_are_skipped(world: World) -> Verdict {
    world.webhook().await?;
    let heads = [world.head(at(0))?, world.head(at(0))?].map(|head| head.with_subject("ada"));
    world.publish(heads.into(), at(0)).await?;
    world.distribute(at(0)).await?;
    let claimed = world.claim_one(at(0)).await?;

    let erasure = world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    same((erasure.events, erasure.skipped), (2, 1), "what is claimed is on its way")?;
    let records = world.records(&world.acme).await?;
    for record in &records {
        let expected = if record.delivery.id == claimed.delivery {
            DeliveryStatus::Pending
        } else {
            DeliveryStatus::Skipped(SkipReason::Erased)
        };
        same(record.delivery.status, expected, "what waited is skipped")?;
    }
    world.settle(&claimed, Fate::Delivered, at(2)).await?;
    let status = world.delivery(claimed.delivery).await?.status;
    same(status, DeliveryStatus::Delivered, "what was on its way has arrived")
}

async fn a_stopped_one_is_skipped_and_its_order_goes_on(world: World) -> Verdict {
    world.webhook_with(|webhook| webhook.ordering = IN_ORDER).await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;
    let next = world.send(1, at(0)).await?;
    let head = world.claim_one(at(0)).await?;
    world.settle(&head, Fate::Stop, at(1)).await?;

    let erasure = world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(2)).await?;

    same(erasure.skipped, 1, "what is stopped waited as well")?;
    same(events_of(&world.claim(10, at(2)).await?), next, "the next one goes")
}

async fn nothing_else_is_erased(world: World) -> Verdict {
    world.webhook().await?;
    world.insert(world.webhook_of(&world.other, at(0))?).await?;
    world.publish(vec![world.head(at(0))?.with_subject("bob"), world.head(at(0))?], at(0)).await?;
    world.publish(vec![world.head_of(&world.other, at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;

    let erasure = world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    same((erasure.events, erasure.skipped), (0, 0), "nobody of that name is known here")?;
    for tenant in [&world.acme, &world.other] {
        for record in world.records(tenant).await? {
            same(record.delivery.status, DeliveryStatus::Pending, "others wait")?;
            holds(record.payload.is_some(), "with their payloads")?;
        }
    }
    same(world.claim(10, at(1)).await?.len(), 3, "and go")
}

async fn a_lost_lease_is_not_sent_again(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;
    let lost = world.claim_one(at(0)).await?;
    world.stores.repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    let claims = world.claim(10, lost.lease.until).await?;

    holds(claims.is_empty(), "there is nothing left to send")?;
    let status = world.delivery(lost.delivery).await?.status;
    same(status, DeliveryStatus::Skipped(SkipReason::Erased), "it has ended")
}

async fn a_second_time_erases_nothing(world: World) -> Verdict {
    world.webhook().await?;
    world.publish(vec![world.head(at(0))?.with_subject("ada")], at(0)).await?;
    world.distribute(at(0)).await?;
    let repository = &world.stores.repository;
    repository.erase_subject(&world.acme, "ada", Vec::new(), at(1)).await?;

    let again = repository.erase_subject(&world.acme, "ada", Vec::new(), at(2)).await?;

    same((again.events, again.skipped), (0, 0), "nothing was left")
}
