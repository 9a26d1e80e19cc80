//! What [`ActivityStore`](crate::activity::store::ActivityStore) says of chains, sentence by sentence.

use std::time::Duration;

use futures_util::future::join_all;

use crate::activity::chain::{ChainAnchor, ChainEnds, ChainEntry};
use crate::activity::model::{Activity, ActivityKind, ENGINE};
use crate::activity::verify::verify_chain;
use crate::primitives::id::ActivityId;
use crate::tenancy::model::{Actor, TenantId};
use crate::testing::conformance::world::{Found, World, at};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::{DeadReason, DisableReason, Fate, Replay, ReplayFilter};
use crate::webhooks::queue::{Judged, JudgedStep, Retention, SettleBatch};
use crate::webhooks::repository::{Change, StoppedHead};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["chain":
        what_is_administrative_is_chained_and_nothing_else,
        every_step_that_an_administrator_takes_chains_its_entries,
        what_settle_writes_is_never_chained,
        an_entry_that_is_written_again_is_not_chained_again,
        steps_that_run_at_once_share_no_number_and_leave_none_out,
        each_tenant_has_a_chain_of_its_own,
        a_chain_is_read_in_order_each_entry_once,
        a_chain_that_nobody_has_written_has_no_ends,
        a_step_that_is_refused_leaves_the_chain_as_it_was,
        retention_drops_a_chain_from_its_beginning,
        retention_keeps_what_is_old_behind_what_is_young,
        a_chain_that_is_dropped_as_a_whole_goes_on,
    ]
}

const DAY: i64 = 86_400;

async fn chain(world: &World, tenant: &TenantId, limit: usize) -> Found<Vec<ChainEntry>> {
    let (mut entries, mut behind) = (Vec::new(), None);
    loop {
        let page = world.stores.activity.chain(tenant, behind, limit).await?;
        holds(page.len() <= limit, "no page is too long")?;
        let Some(last) = page.last() else { return Ok(entries) };
        behind = Some(last.place());
        entries.extend(page);
    }
}

async fn ends(world: &World, tenant: &TenantId) -> Found<ChainEnds> {
    Ok(world.stores.activity.chain_ends(tenant).await?)
}

/// The tenant's chain is whole, and holds these entries in this order.
async fn is_chained(world: &World, tenant: &TenantId, entries: &[Activity]) -> Verdict {
    let found = chain(world, tenant, 3).await?;
    let ends = ends(world, tenant).await?;
    same(verify_chain(&ends, &found, None).findings, Vec::new(), "the chain is whole")?;
    let contents: Vec<_> = found.iter().filter_map(|entry| entry.entry.clone()).collect();
    same(contents, entries.to_vec(), "it holds what was written, in its order")?;
    let numbers: Vec<_> = found.iter().map(|entry| entry.link.sequence).collect();
    let first = ends.base.sequence() + 1;
    same(numbers, (first..first + entries.len() as u64).collect(), "the numbers follow one another")?;
    same(ends.head.sequence(), ends.base.sequence() + entries.len() as u64, "the head is the last one")
}

async fn save(world: &World, entry: &Activity) -> Verdict {
    Ok(world.stores.repository.save(&entry.tenant, Vec::new(), vec![entry.clone()], entry.at).await?)
}

async fn what_is_administrative_is_chained_and_nothing_else(world: World) -> Verdict {
    let engine = Actor::system(world.acme.clone(), ENGINE);
    let mut entries: Vec<_> =
        ActivityKind::ALL.iter().map(|kind| world.entry(&world.acme, *kind, at(0))).collect();
    entries.extend(
        ActivityKind::ALL.iter().map(|kind| {
            Activity::new(ActivityId::mint(at(1), world.random()), at(1), &engine, *kind, "wh_1")
        }),
    );
    let (appended, saved) = entries.split_at(20);

    world.stores.activity.append(appended.to_vec()).await?;
    for entry in saved {
        save(&world, entry).await?;
    }

    let expected: Vec<_> = entries.iter().filter(|entry| entry.is_administrative()).cloned().collect();
    holds(expected.len() > 20 && expected.len() < entries.len(), "there is both")?;
    is_chained(&world, &world.acme, &expected).await?;
    same(world.log().await?.len(), entries.len(), "all of them are in the log")
}

async fn every_step_that_an_administrator_takes_chains_its_entries(world: World) -> Verdict {
    let (acme, repository) = (&world.acme, &world.stores.repository);
    let webhook = world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.settle(&claim, Fate::DeadLetter(DeadReason::Exhausted), at(1)).await?;
    let mut written = Vec::new();
    let mut entry = |kind| {
        let entry = world.entry(acme, kind, at(2));
        written.push(entry.clone());
        vec![entry]
    };

    repository.save(acme, Vec::new(), entry(ActivityKind::WebhookUpdated), at(2)).await?;
    let id = world.delivery_id(at(2));
    repository.resend(acme, claim.delivery, id, entry(ActivityKind::DeliveryResent), at(2)).await?;
    let filter = ReplayFilter::undelivered(at(0), at(2));
    let replay = Replay::new(world.replay_id(at(2)), acme.clone(), webhook.id, filter, 1, at(2));
    let replay = repository.start_replay(replay, entry(ActivityKind::ReplayStarted)).await?;
    repository.cancel_replay(acme, replay.id, entry(ActivityKind::ReplayCancelled), at(2)).await?;
    let released = entry(ActivityKind::LaneReleased);
    repository.release_stopped(acme, webhook.id, StoppedHead::Skip, released, at(2)).await?;
    repository.erase_subject(acme, "customer_7", entry(ActivityKind::SubjectErased), at(2)).await?;

    is_chained(&world, acme, &written).await
}

async fn what_settle_writes_is_never_chained(world: World) -> Verdict {
    world.webhook().await?;
    world.send(1, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    let entry = |kind| world.entry(&world.acme, kind, at(1));
    let mut result = world.result(&claim, Fate::DeadLetter(DeadReason::Gone), at(1));
    result.disable = Some(DisableReason::Gone);
    result.activity = vec![entry(ActivityKind::DeadLettered), entry(ActivityKind::WebhookDisabled)];
    let other = world.webhook().await?;
    let step = JudgedStep::Disable(DisableReason::TooManyFailures);
    let judged = Judged::new(world.acme.clone(), other.id, step, vec![entry(ActivityKind::WebhookDisabled)]);

    world.settle_all(&[result], at(1)).await?;
    world.stores.queue.settle(SettleBatch::judged(&[judged]), at(1)).await?;

    same(world.log().await?.len(), 3, "they are in the log")?;
    is_chained(&world, &world.acme, &[]).await
}

async fn an_entry_that_is_written_again_is_not_chained_again(world: World) -> Verdict {
    let entry = world.entry(&world.acme, ActivityKind::WebhookUpdated, at(0));
    save(&world, &entry).await?;

    save(&world, &entry.clone().with_detail("name", "ERP")).await?;
    world.stores.activity.append(vec![entry.clone(), entry.clone()]).await?;

    is_chained(&world, &world.acme, &[entry]).await
}

async fn steps_that_run_at_once_share_no_number_and_leave_none_out(world: World) -> Verdict {
    let entries: Vec<_> =
        (0..40).map(|second| world.entry(&world.acme, ActivityKind::WebhookUpdated, at(second))).collect();
    let steps = entries.iter().zip(0..).map(|(entry, number): (_, u32)| {
        let world = &world;
        async move {
            match number % 2 {
                0 => save(world, entry).await,
                _ => Ok(world.stores.activity.append(vec![entry.clone()]).await?),
            }
        }
    });

    for done in join_all(steps).await {
        done?;
    }

    let found = chain(&world, &world.acme, 100).await?;
    let mut order: Vec<_> = found.into_iter().filter_map(|entry| entry.entry).collect();
    is_chained(&world, &world.acme, &order).await?;
    order.sort_by_key(|entry| entry.id);
    same(order, entries, "each is there once")
}

async fn each_tenant_has_a_chain_of_its_own(world: World) -> Verdict {
    let mut entries = Vec::new();
    for (number, tenant) in (0..).zip([&world.acme, &world.other, &world.acme, &world.other, &world.acme]) {
        entries.push(world.entry(tenant, ActivityKind::WebhookUpdated, at(number)));
    }

    world.stores.activity.append(entries.clone()).await?;

    for tenant in [&world.acme, &world.other] {
        let own: Vec<_> = entries.iter().filter(|entry| entry.tenant == *tenant).cloned().collect();
        is_chained(&world, tenant, &own).await?;
    }
    Ok(())
}

async fn a_chain_is_read_in_order_each_entry_once(world: World) -> Verdict {
    let entries: Vec<_> = (0..7)
        .map(|second| world.entry(&world.acme, ActivityKind::WebhookUpdated, at(10 - second)))
        .collect();
    for entry in &entries {
        save(&world, entry).await?;
    }

    for limit in [1, 2, 7, 100] {
        let found = chain(&world, &world.acme, limit).await?;
        let ids: Vec<_> = found.iter().map(|entry| entry.id).collect();
        same(
            ids,
            entries.iter().map(|entry| entry.id).collect(),
            "as they were written, whatever their times",
        )?;
    }
    Ok(())
}

async fn a_chain_that_nobody_has_written_has_no_ends(world: World) -> Verdict {
    save(&world, &world.entry(&world.other, ActivityKind::WebhookUpdated, at(0))).await?;

    same(ends(&world, &world.acme).await?, ChainEnds::default(), "it begins and ends nowhere")?;
    same(chain(&world, &world.acme, 10).await?, Vec::new(), "and holds nothing")
}

async fn a_step_that_is_refused_leaves_the_chain_as_it_was(world: World) -> Verdict {
    let first = world.entry(&world.acme, ActivityKind::WebhookCreated, at(0));
    save(&world, &first).await?;
    let webhook = world.webhook_of(&world.acme, at(0))?;
    let changes = vec![Change::Remove { id: webhook.id, expected: webhook.version }];
    let lost = world.entry(&world.acme, ActivityKind::WebhookDeleted, at(1));

    let refused = world.stores.repository.save(&world.acme, changes, vec![lost], at(1)).await;
    holds(refused.is_err(), "there is no such webhook")?;
    let second = world.entry(&world.acme, ActivityKind::WebhookUpdated, at(2));
    save(&world, &second).await?;

    is_chained(&world, &world.acme, &[first, second]).await
}

async fn keep_for(world: &World, days: i64, now: i64) -> Found<u64> {
    let span = Duration::from_secs((days * DAY).unsigned_abs());
    let retention = Retention { payloads: span, history: span, idempotency_keys: span };
    Ok(world.stores.queue.tidy(retention, at(now)).await?)
}

async fn retention_drops_a_chain_from_its_beginning(world: World) -> Verdict {
    let entries: Vec<_> =
        (0..6).map(|day| world.entry(&world.acme, ActivityKind::WebhookUpdated, at(day * DAY))).collect();
    for entry in &entries {
        save(&world, entry).await?;
    }
    let before = chain(&world, &world.acme, 10).await?;

    let gone = keep_for(&world, 10, 12 * DAY + 1).await?;

    same(gone, 3, "it says how much went")?;
    is_chained(&world, &world.acme, &entries[3..]).await?;
    let ends = ends(&world, &world.acme).await?;
    same(ends.base, before[2].link.anchor(), "the base is the last that went")?;
    same(ends.head, before[5].link.anchor(), "the head is where it was")?;
    let report = verify_chain(&ends, &chain(&world, &world.acme, 10).await?, Some(&before[4].link.anchor()));
    holds(report.is_intact() && report.anchored, "an anchor of what is left still holds")
}

async fn retention_keeps_what_is_old_behind_what_is_young(world: World) -> Verdict {
    let ages = [0, 1, 9, 2, 8];
    let entries = ages.map(|day| world.entry(&world.acme, ActivityKind::WebhookUpdated, at(day * DAY)));
    for entry in &entries {
        save(&world, entry).await?;
    }

    keep_for(&world, 5, 10 * DAY).await?;
    is_chained(&world, &world.acme, &entries[2..]).await?;

    keep_for(&world, 5, 14 * DAY + 1).await?;
    is_chained(&world, &world.acme, &[]).await
}

async fn a_chain_that_is_dropped_as_a_whole_goes_on(world: World) -> Verdict {
    for day in 0..3 {
        save(&world, &world.entry(&world.acme, ActivityKind::WebhookUpdated, at(day * DAY))).await?;
    }
    let head = ends(&world, &world.acme).await?.head;

    keep_for(&world, 5, 20 * DAY).await?;
    let ends_then = ends(&world, &world.acme).await?;
    same(ends_then, ChainEnds::new(head, head), "nothing is left, and what was is remembered")?;
    holds(head != ChainAnchor::BEGINNING, "there was something")?;
    let next = world.entry(&world.acme, ActivityKind::WebhookUpdated, at(20 * DAY));
    save(&world, &next).await?;

    is_chained(&world, &world.acme, &[next]).await
}
