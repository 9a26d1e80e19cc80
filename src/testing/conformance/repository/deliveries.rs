//! `deliveries`, `delivery`, `record_test`.

use std::sync::Arc;

use crate::activity::model::ActivityKind;
use crate::events::model::Event;
use crate::primitives::id::AttemptId;
use crate::primitives::page::PageRequest;
use crate::testing::conformance::world::{World, at, event_type};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{
    Attempt, DeadReason, Delivery, DeliveryFilter, DeliveryStatus, Fate, Include, Origin, StatusKind,
};
use crate::webhooks::repository::Backlog;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["deliveries":
        deliveries_are_listed_newest_first,
        every_delivery_that_exists_throughout_is_on_one_page,
        a_filter_narrows_by_each_of_its_fields,
        a_filter_narrows_by_all_of_its_fields_at_once,
        a_listing_brings_what_was_asked_for,
        a_filtered_listing_has_full_pages,
        a_test_is_stored_as_it_is_and_queues_nothing,
    ]
}

async fn deliveries_are_listed_newest_first(world: World) -> Verdict {
    world.webhook().await?;
    let mut events = Vec::new();
    for second in 0..6 {
        events.extend(world.send(1, at(second)).await?);
    }
    events.reverse();

    let records = world.records(&world.acme).await?;

    let listed: Vec<_> = records.iter().map(|record| record.delivery.event).collect();
    same(listed, events, "the newest first")
}

async fn every_delivery_that_exists_throughout_is_on_one_page(world: World) -> Verdict {
    world.webhook().await?;
    world.webhook().await?;
    world.send(5, at(0)).await?;
    let before: Vec<_> = world.records(&world.acme).await?.iter().map(|record| record.delivery.id).collect();
    let list = |page| {
        let none = (DeliveryFilter::default(), Include::default());
        let (repository, acme) = (Arc::clone(&world.stores.repository), world.acme.clone());
        async move { repository.deliveries(&acme, &none.0, none.1, page).await }
    };

    let first = list(PageRequest::first(3)).await?;
    let mut ids: Vec<_> = first.items.iter().map(|record| record.delivery.id).collect();
    let mut next = first.next;
    let mut second = 1;
    while let Some(cursor) = next {
        // The world goes on between two pages.
        world.send(1, at(second)).await?;
        let claim = world.claim_one(at(second)).await?;
        world.settle(&claim, Fate::Delivered, at(second)).await?;
        second += 1;
        let page = list(PageRequest::first(3).after(cursor)).await?;
        holds(page.items.len() <= 3, "no page is too long")?;
        ids.extend(page.items.iter().map(|record| record.delivery.id));
        next = page.next;
    }

    same(ids, before, "each once, whatever comes in the meantime")
}

/// Two webhooks, six events: delivered, dead, skipped, stopped and waiting.
async fn mixed(world: &World) -> Result<Vec<Delivery>, Failure> {
    let one = world.webhook().await?;
    for (second, fate) in (1..).zip([
        Some(Fate::Delivered),
        Some(Fate::DeadLetter(DeadReason::Exhausted)),
        Some(Fate::Stop),
        Some(Fate::RetryAt(at(9_000))),
        None,
    ]) {
        let mut head = world.head(at(second))?;
        if second % 2 == 0 {
            head.event_type = event_type("order.created")?;
        }
        world.publish(vec![head], at(second)).await?;
        world.distribute(at(second)).await?;
        if let Some(fate) = fate {
            let claim = world.claim_one(at(second)).await?;
            world.settle(&claim, fate, at(second)).await?;
        }
    }
    let two = world.webhook().await?;
    world.disable(&two, at(5)).await?;
    world.pause(&one, at(5)).await?;
    world.send(1, at(6)).await?;
    Ok(world.records(&world.acme).await?.into_iter().map(|record| record.delivery).collect())
}

async fn a_filter_narrows_by_each_of_its_fields(world: World) -> Verdict {
    let all = mixed(&world).await?;
    same(all.len(), 7, "six events, the last one for two webhooks")?;
    let filter = DeliveryFilter::default;
    let mut filters = Vec::new();
    for delivery in &all {
        filters.push(DeliveryFilter { webhook: Some(delivery.webhook), ..filter() });
        filters.push(DeliveryFilter { event: Some(delivery.event), ..filter() });
        filters.push(DeliveryFilter { from: Some(delivery.created_at), ..filter() });
        filters.push(DeliveryFilter { to: Some(delivery.created_at), ..filter() });
        filters.push(DeliveryFilter { event_types: vec![delivery.event_type.clone()], ..filter() });
        filters.push(DeliveryFilter { statuses: vec![delivery.status.kind()], ..filter() });
    }
    filters.push(DeliveryFilter { success: Some(true), ..filter() });
    filters.push(DeliveryFilter { success: Some(false), ..filter() });
    filters.push(DeliveryFilter {
        statuses: vec![StatusKind::DeadLetter, StatusKind::Stopped, StatusKind::Skipped],
        ..filter()
    });

    for filter in filters {
        let found: Vec<_> = world
            .records_like(&world.acme, &filter)
            .await?
            .into_iter()
            .map(|record| record.delivery)
            .collect();
        let expected: Vec<_> = all.iter().filter(|delivery| filter.matches(delivery)).cloned().collect();
        same(found, expected, &format!("what is wanted, and nothing else: {filter:?}"))?;
    }
    Ok(())
}

async fn a_filter_narrows_by_all_of_its_fields_at_once(world: World) -> Verdict {
    let all = mixed(&world).await?;
    let filter = DeliveryFilter {
        webhook: all.last().map(|oldest| oldest.webhook),
        event: None,
        from: Some(at(2)),
        to: Some(at(5)),
        event_types: vec![event_type("order.created")?],
        statuses: vec![StatusKind::Pending, StatusKind::DeadLetter],
        success: Some(false),
    };

    let found = world.records_like(&world.acme, &filter).await?;

    let found: Vec<_> = found.iter().map(|record| record.delivery.created_at).collect();
    same(found, vec![at(4), at(2)], "every field counts")
}

async fn a_listing_brings_what_was_asked_for(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.settle(&claim, Fate::Delivered, at(1)).await?;
    let repository = &world.stores.repository;

    for (payload, attempts) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut include = Include::default();
        (include.payload, include.attempts) = (payload, attempts);
        let page = PageRequest::first(10);
        let listed = repository.deliveries(&world.acme, &DeliveryFilter::default(), include, page).await?;
        let single = repository.delivery(&world.acme, claim.delivery, include).await?;
        same(single.as_ref(), listed.items.first(), "one record and a listing's show the same")?;
        let record = &listed.items[0];
        same(record.payload.as_ref(), payload.then_some(&claim.event.payload), "the payload if asked for")?;
        same(record.attempts.len(), usize::from(attempts), "the attempts if asked for")?;
    }
    Ok(())
}

async fn a_filtered_listing_has_full_pages(world: World) -> Verdict {
    world.webhook().await?;
    for second in 0..12 {
        world.send(1, at(second)).await?;
        let claim = world.claim_one(at(second)).await?;
        let fate = if second % 3 == 0 { Fate::Delivered } else { Fate::DeadLetter(DeadReason::Exhausted) };
        world.settle(&claim, fate, at(second)).await?;
    }
    let filter = DeliveryFilter { success: Some(true), ..DeliveryFilter::default() };
    let repository = &world.stores.repository;

    let list = |page| repository.deliveries(&world.acme, &filter, Include::default(), page);
    let first = list(PageRequest::first(3)).await?;
    same(first.items.len(), 3, "a page holds as many as fit, however many in between are not wanted")?;
    let Some(next) = first.next else { return holds(false, "there is one more") };
    let last = list(PageRequest::first(3).after(next)).await?;

    same((last.items.len(), last.next), (1, None), "and then the last one")
}

async fn a_test_is_stored_as_it_is_and_queues_nothing(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.disable(&webhook, at(0)).await?;
    let event = Arc::new(Event::new(world.head(at(1))?, "{}"));
    let (event_id, event_type) = (event.head.id, event.head.event_type.clone());
    let id = world.delivery_id(at(1));
    let mut delivery =
        Delivery::new(id, world.acme.clone(), webhook.id, event_id, event_type, Origin::Test, at(1));
    delivery.status = DeliveryStatus::DeadLetter(DeadReason::Exhausted);
    (delivery.attempts, delivery.next_attempt_at, delivery.last_status) = (1, None, Some(500));
    let mut attempt = Attempt::new(AttemptId::mint(at(1), world.random()), id, 1, at(1));
    attempt.status = Some(500);
    let entry = world.entry(&world.acme, ActivityKind::WebhookTested, at(1));

    world
        .stores
        .repository
        .record_test(Arc::clone(&event), delivery.clone(), attempt.clone(), vec![entry.clone()])
        .await?;

    let record = world.record(id).await?;
    same(&record.delivery, &delivery, "the delivery as it is")?;
    same(record.payload.as_ref(), Some(&event.payload), "with its payload")?;
    same(
        record.attempts.iter().map(|attempt| (**attempt).clone()).collect(),
        vec![attempt],
        "and its attempt",
    )?;
    same(world.stores.repository.event(&world.acme, event_id).await?, Some(event), "and its event")?;
    same(world.log().await?, vec![entry], "and what the log is told")?;
    same(world.records(&world.acme).await?.len(), 1, "it is listed")?;
    holds(world.stores.queue.outbox(10, at(2)).await?.entries.is_empty(), "nothing is to be fanned out")?;
    holds(world.claim(10, at(1_000)).await?.is_empty(), "nothing is to be sent")?;
    let backlog = world.stores.repository.backlog(&world.acme, None, at(2)).await?;
    same(backlog, Backlog::default(), "nothing is undone")
}
