//! `publish` and `outbox`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use crate::error::ErrorKind;
use crate::tenancy::model::TenantId;
use crate::testing::conformance::world::{REMEMBERED, World, at, just_before, keyed, pattern, publication};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, refused, same, there};
use crate::webhooks::queue::Half;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["publish":
        an_event_is_kept_as_it_was_published,
        all_publications_are_written_or_none,
        a_used_key_answers_the_first_event_and_makes_nothing,
        a_used_key_with_another_digest_is_a_conflict_that_names_its_place,
        a_key_used_twice_in_one_call_makes_one_event,
        of_publications_that_race_for_one_key_one_is_fresh,
        an_older_key_counts_as_absent,
        a_key_belongs_to_its_tenant,
        an_id_is_used_once,
        the_outbox_lists_the_oldest_events_first_and_changes_nothing,
        the_outbox_brings_all_webhooks_of_its_tenants_and_no_others,
        a_webhook_saved_before_an_event_is_listed_with_it,
        a_half_of_the_outbox_has_all_of_some_tenants_and_nothing_of_the_others,
    ]
}

async fn an_event_is_kept_as_it_was_published(world: World) -> Verdict {
    let head = world
        .head(at(1))?
        .with_occurred_at(at(0))
        .with_owner("merchant_9")
        .with_ordering_key("order 7")
        .with_subject("ada@example.com")
        .with_channels(["eu", "b2b"])
        .with_metadata([("batch", "12"), ("ümlaut", "ja")])
        .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let new = publication(head.clone());
    let payload = new.event.payload.clone();

    world.stores.queue.publish(vec![new], REMEMBERED, at(1)).await?;

    let stored = there(world.stores.repository.event(&world.acme, head.id).await?, "the event")?;
    same(&stored.head, &head, "every field of an event is kept")?;
    same(&stored.payload, &payload, "a payload is kept byte for byte")?;
    let outbox = world.stores.queue.outbox(10, at(1)).await?;
    same(
        outbox.entries.iter().map(|(_, listed)| &**listed).collect(),
        vec![&head],
        "the outbox lists the same",
    )
}

async fn all_publications_are_written_or_none(world: World) -> Verdict {
    let queue = &world.stores.queue;
    queue.publish(vec![keyed(world.head(at(0))?, "used", 1)], REMEMBERED, at(0)).await?;
    let lost = world.head(at(1))?;
    let batch = vec![keyed(lost.clone(), "new", 1), keyed(world.head(at(1))?, "used", 2)];

    refused(queue.publish(batch, REMEMBERED, at(1)).await, ErrorKind::Conflict, "the key was used")?;

    same(world.stores.repository.event(&world.acme, lost.id).await?, None, "no event of the batch exists")?;
    same(queue.outbox(10, at(1)).await?.entries.len(), 1, "nothing of the batch is in the outbox")?;
    let again = queue.publish(vec![keyed(world.head(at(1))?, "new", 3)], REMEMBERED, at(1)).await?;
    holds(again[0].fresh, "no key of the batch counts as used")
}

async fn a_used_key_answers_the_first_event_and_makes_nothing(world: World) -> Verdict {
    let queue = &world.stores.queue;
    let (first, second) = (world.head(at(0))?, world.head(at(1))?);
    let answer = queue.publish(vec![keyed(first.clone(), "k", 1)], REMEMBERED, at(0)).await?;
    same((answer[0].event, answer[0].fresh), (first.id, true), "the first publication makes the event")?;

    let answer = queue.publish(vec![keyed(second.clone(), "k", 1)], REMEMBERED, at(1)).await?;

    same(
        (answer[0].event, answer[0].fresh),
        (first.id, false),
        "the same bytes under a used key answer the first event",
    )?;
    same(world.stores.repository.event(&world.acme, second.id).await?, None, "no second event is made")?;
    same(queue.outbox(10, at(1)).await?.entries.len(), 1, "the outbox holds the first event only")?;
    world.distribute(at(1)).await?;
    let answer = queue.publish(vec![keyed(second, "k", 1)], REMEMBERED, at(2)).await?;
    same((answer[0].event, answer[0].fresh), (first.id, false), "a key is remembered after fan-out")
}

async fn a_used_key_with_another_digest_is_a_conflict_that_names_its_place(world: World) -> Verdict {
    let queue = &world.stores.queue;
    queue.publish(vec![keyed(world.head(at(0))?, "k", 1)], REMEMBERED, at(0)).await?;
    let batch = vec![publication(world.head(at(1))?), keyed(world.head(at(1))?, "k", 2)];

    let error = refused(queue.publish(batch, REMEMBERED, at(1)).await, ErrorKind::Conflict, "other bytes")?;

    let field = error.problems().first().map(|problem| problem.field.as_str());
    same(field, Some("publications[1].idempotency_key"), "the error names the publication's index")
}

async fn a_key_used_twice_in_one_call_makes_one_event(world: World) -> Verdict {
    let queue = &world.stores.queue;
    let first = world.head(at(0))?;
    let batch = vec![keyed(first.clone(), "k", 1), keyed(world.head(at(0))?, "k", 1)];

    let answers = queue.publish(batch, REMEMBERED, at(0)).await?;

    let answers: Vec<_> = answers.iter().map(|answer| (answer.event, answer.fresh)).collect();
    same(answers, vec![(first.id, true), (first.id, false)], "the second one answers the first one's event")?;
    same(queue.outbox(10, at(0)).await?.entries.len(), 1, "one event is made")
}

async fn of_publications_that_race_for_one_key_one_is_fresh(world: World) -> Verdict {
    let queue = &world.stores.queue;
    let mut racing = Vec::new();
    for _ in 0..8 {
        racing.push(queue.publish(vec![keyed(world.head(at(0))?, "k", 1)], REMEMBERED, at(0)));
    }

    let mut answers = Vec::new();
    for answer in join_all(racing).await {
        answers.extend(answer?);
    }

    same(answers.iter().filter(|answer| answer.fresh).count(), 1, "one of those that race is fresh")?;
    holds(answers.iter().all(|answer| answer.event == answers[0].event), "all answer the same event")?;
    same(queue.outbox(10, at(0)).await?.entries.len(), 1, "one event is made")
}

async fn an_older_key_counts_as_absent(world: World) -> Verdict {
    let queue = &world.stores.queue;
    let remembered = Duration::from_secs(100);
    queue.publish(vec![keyed(world.head(at(0))?, "k", 1)], remembered, at(0)).await?;
    let early = just_before(at(100));
    let answer = queue.publish(vec![keyed(world.head(early)?, "k", 1)], remembered, early).await?;
    holds(!answer[0].fresh, "a key is remembered until its time is over")?;

    let second = world.head(at(100))?;
    let answer = queue.publish(vec![keyed(second.clone(), "k", 2)], remembered, at(100)).await?;

    holds(answer[0].fresh, "an older key counts as absent, also with another digest")?;
    let answer = queue.publish(vec![keyed(world.head(at(150))?, "k", 2)], remembered, at(150)).await?;
    same((answer[0].event, answer[0].fresh), (second.id, false), "and is remembered anew from then on")
}

async fn a_key_belongs_to_its_tenant(world: World) -> Verdict {
    let queue = &world.stores.queue;
    queue.publish(vec![keyed(world.head(at(0))?, "k", 1)], REMEMBERED, at(0)).await?;

    let of_another = keyed(world.head_of(&world.other, at(0))?, "k", 2);
    let answer = queue.publish(vec![of_another], REMEMBERED, at(0)).await?;

    holds(answer[0].fresh, "another tenant's key is another key")
}

async fn an_id_is_used_once(world: World) -> Verdict {
    let head = world.head(at(0))?;
    world.publish(vec![head.clone()], at(0)).await?;

    let again = world.stores.queue.publish(vec![publication(head)], REMEMBERED, at(0)).await;

    refused(again, ErrorKind::Conflict, "there is an event with this id")?;
    same(world.stores.queue.outbox(10, at(0)).await?.entries.len(), 1, "the event stays as it was")
}

async fn the_outbox_lists_the_oldest_events_first_and_changes_nothing(world: World) -> Verdict {
    let mut ids = Vec::new();
    for second in 0..5 {
        let head = world.head(at(second))?;
        ids.push(head.id);
        world.publish(vec![head], at(second)).await?;
    }

    let first = world.stores.queue.outbox(3, at(5)).await?.entries;
    let second = world.stores.queue.outbox(10, at(5)).await?.entries;

    let listed = |entries: &[(_, std::sync::Arc<crate::events::model::EventHead>)]| -> Vec<_> {
        entries.iter().map(|(_, head)| head.id).collect()
    };
    same(listed(&first), ids[..3].to_vec(), "the oldest are listed, at most as many as asked for")?;
    same(listed(&second), ids, "looking changes nothing")?;
    holds(second.is_sorted_by_key(|&(sequence, _)| sequence), "sequence numbers grow")
}

async fn the_outbox_brings_all_webhooks_of_its_tenants_and_no_others(world: World) -> Verdict {
    let active = world.webhook().await?;
    let paused = world.webhook().await?;
    let disabled = world.webhook().await?;
    let removed = world.webhook().await?;
    world.pause(&paused, at(1)).await?;
    world.disable(&disabled, at(1)).await?;
    world.remove(&removed, at(1)).await?;
    world.insert(world.webhook_of(&world.other, at(0))?).await?;
    world.publish(vec![world.head(at(2))?], at(2)).await?;

    let outbox = world.stores.queue.outbox(10, at(2)).await?;

    same(outbox.webhooks.len(), 1, "only tenants with events are brought")?;
    let webhooks = there(outbox.webhooks.get(&world.acme), "the tenant's webhooks")?;
    let mut ids: Vec<_> = webhooks.iter().map(|webhook| webhook.id).collect();
    ids.sort();
    same(ids, vec![active.id, paused.id, disabled.id], "all that exist are brought, whatever their state")?;
    holds(
        webhooks.iter().all(|webhook| webhook.is_enabled() != (webhook.id == disabled.id)),
        "they are brought as they are now",
    )
}

async fn a_webhook_saved_before_an_event_is_listed_with_it(world: World) -> Verdict {
    world.publish(vec![world.head(at(0))?], at(0)).await?;
    world.stores.queue.outbox(10, at(0)).await?;
    let changed = world.webhook_with(|webhook| webhook.name = "before".into()).await?;
    world.change(&changed, at(1), |webhook| webhook.name = "after".into()).await?;
    let narrow = pattern("order.*")?;
    let new = world.webhook_with(|webhook| webhook.events = vec![narrow]).await?;
    world.publish(vec![world.head(at(2))?], at(2)).await?;

    let outbox = world.stores.queue.outbox(10, at(2)).await?;

    let webhooks = there(outbox.webhooks.get(&world.acme), "the tenant's webhooks")?;
    let named = |id| webhooks.iter().find(|webhook| webhook.id == id).map(|webhook| webhook.name.as_str());
    same(named(changed.id), Some("after"), "a change is seen")?;
    same(named(new.id), Some(""), "a new webhook is seen")
}

async fn a_half_of_the_outbox_has_all_of_some_tenants_and_nothing_of_the_others(world: World) -> Verdict {
    let mut webhooks = BTreeMap::new();
    for number in 0..16 {
        let tenant: TenantId = format!("org_{number}").parse().map_err(|_| Failure("a tenant".into()))?;
        let webhook = world.insert(world.webhook_of(&tenant, at(0))?).await?;
        webhooks.insert(tenant, webhook.id);
    }
    for second in 0..2 {
        for tenant in webhooks.keys() {
            world.publish(vec![world.head_of(tenant, at(second))?], at(second)).await?;
        }
    }
    let queue = &world.stores.queue;
    let whole = queue.outbox(50, at(2)).await?.entries;

    let even = queue.outbox_half(Half::Even, 50, at(2)).await?;
    let odd = queue.outbox_half(Half::Odd, 50, at(2)).await?;

    let (even, odd) = match (even, odd) {
        (None, None) => return Ok(()),
        (Some(even), Some(odd)) => (even, odd),
        _ => return Err(Failure("a store that has one half has the other one".into())),
    };
    let mut both = Vec::new();
    for (half, name) in [(&even, Half::Even), (&odd, Half::Odd)] {
        let tenants: BTreeSet<_> = half.entries.iter().map(|(_, head)| head.tenant.clone()).collect();
        holds(!tenants.is_empty(), "of many tenants, some are in each half")?;
        holds(half.entries.is_sorted_by_key(|&(sequence, _)| sequence), "a half begins with the oldest")?;
        same(half.webhooks.keys().cloned().collect(), tenants, "a half brings its own tenants only")?;
        for (tenant, listed) in &half.webhooks {
            let ids = listed.iter().map(|webhook| webhook.id).collect();
            same(ids, vec![webhooks[tenant]], "all of their webhooks are brought")?;
        }
        let first = there(queue.outbox_half(name, 1, at(2)).await?, "the half")?.entries;
        same(first.len(), 1, "at most as many as asked for")?;
        same(first[0].0, half.entries[0].0, "the oldest one")?;
        both.extend(half.entries.iter().map(|(sequence, head)| (*sequence, head.id)));
    }
    holds(even.webhooks.keys().all(|tenant| !odd.webhooks.contains_key(tenant)), "no tenant is in both")?;
    both.sort_by_key(|&(sequence, _)| sequence);
    let whole = whole.iter().map(|(sequence, head)| (*sequence, head.id)).collect();
    same(both, whole, "both together are all, and looking changes nothing")
}
