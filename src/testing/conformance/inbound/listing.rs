//! What people see, replays, and what goes when.

use std::time::Duration;

use crate::inbound::received::{InboundFate, InboundJob, Received, ReceivedStatus};
use crate::inbound::source::Owner;
use crate::inbound::store::{Accepted, InboundExamination, InboundRetention, ReceivedFilter, Replayed};
use crate::primitives::page::PageRequest;
use crate::testing::conformance::inbound::InboundStoreHarness;
use crate::testing::conformance::inbound::world::{Found, World, at};
use crate::testing::conformance::{Check, Verdict, holds, same};

pub(super) fn checks() -> Vec<Check<dyn InboundStoreHarness>> {
    world_checks!["inbound_listing":
        a_listing_shows_each_item_once_newest_first_without_its_body,
        a_filter_shows_what_it_wants_alone,
        another_owners_items_are_like_none,
        a_replay_makes_pending_what_the_filter_wants_and_has_ended,
        a_replay_goes_on_where_it_stopped,
        retention_drops_what_has_ended_and_keeps_what_waits,
        keys_are_kept_for_a_week_whatever_is_asked_for,
        bodies_go_before_their_rows,
        an_examination_tells_what_waits_and_what_is_dead,
    ]
}

const DAY: i64 = 24 * 60 * 60;

fn acme(world: &World) -> Owner {
    Owner::Tenant(world.acme.clone())
}

async fn listed(world: &World, owner: &Owner, filter: &ReceivedFilter) -> Found<Vec<String>> {
    let (mut found, mut page) = (Vec::new(), PageRequest::first(2));
    loop {
        let part = world.stores.inbound.received(owner, filter, page).await?;
        holds(part.items.iter().all(|record| record.received.body.is_empty()), "bodies are not listed")?;
        found.extend(part.items.iter().map(|record| record.received.dedupe_key.to_string()));
        let Some(next) = part.next else { return Ok(found) };
        page = PageRequest::first(2).after(next);
    }
}

async fn ended(world: &World, key: &str, fate: InboundFate, seconds: i64) -> Found<InboundJob> {
    world.accept(vec![world.item(key)?], seconds).await?;
    let job = world.only(seconds).await?;
    world.settle(&job, fate, seconds).await?;
    Ok(job)
}

fn texts(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

async fn a_listing_shows_each_item_once_newest_first_without_its_body(world: World) -> Verdict {
    for key in ["a", "b", "c", "d", "e"] {
        world.accept(vec![world.item(key)?], 1).await?;
        world.accept(vec![world.item_of(&Owner::Tenant(world.other.clone()), key)?], 1).await?;
    }

    let found = listed(&world, &acme(&world), &ReceivedFilter::new()).await?;

    same(found, texts(&["e", "d", "c", "b", "a"]), "over all pages")
}

async fn a_filter_shows_what_it_wants_alone(world: World) -> Verdict {
    let item = |key: &str, change: &dyn Fn(&mut Received)| -> Found<Received> {
        let mut item = world.item(key)?;
        change(&mut item);
        Ok(item)
    };
    let elsewhere = world.item_of(&Owner::Platform, "x")?.source;
    let dead = ended(&world, "dead", InboundFate::Dead, 1).await?;
    ended(&world, "done", InboundFate::Done, 1).await?;
    let items = vec![
        item("kind", &|item| item.kind = "invoice.paid_late".into())?,
        item("other_kind", &|item| item.kind = "invoices".into())?,
        item("late", &|item| item.received_at = at(50))?,
        item("elsewhere", &|item| item.source = elsewhere)?,
    ];
    world.accept(items, 2).await?;

    let all = ReceivedFilter::new;
    for (filter, expected) in [
        (all().status(ReceivedStatus::Dead), &["dead"][..]),
        (all().status(ReceivedStatus::Dead).status(ReceivedStatus::Done), &["done", "dead"]),
        (all().status(ReceivedStatus::Unparsable), &[]),
        (all().status(ReceivedStatus::Pending), &["elsewhere", "late", "other_kind", "kind"]),
        (all().kind("invoice.paid"), &["elsewhere", "late", "done", "dead"]),
        (all().kind("invoice.*"), &["elsewhere", "late", "kind", "done", "dead"]),
        (all().kind("invoices"), &["other_kind"]),
        (all().kind("*").id(dead.received.id), &["dead"]),
        (all().from(at(50)), &["late"]),
        (all().to(at(50)), &["elsewhere", "other_kind", "kind", "done", "dead"]),
        (all().source(elsewhere), &["elsewhere"]),
        (all().kind("invoice.%"), &[]),
    ] {
        let found = listed(&world, &acme(&world), &filter).await?;
        same(found, texts(expected), &format!("{filter:?}"))?;
    }
    Ok(())
}

async fn another_owners_items_are_like_none(world: World) -> Verdict {
    let ours = ended(&world, "a", InboundFate::Dead, 1).await?.received.id;
    let never = world.item("never")?.id;
    for owner in [Owner::Tenant(world.other.clone()), Owner::Platform] {
        for id in [ours, never] {
            same(world.stores.inbound.one_received(&owner, id).await?, None, "it cannot be read")?;
            let filter = ReceivedFilter::new().id(id);
            same(listed(&world, &owner, &filter).await?, Vec::new(), "nor listed")?;
            let page = PageRequest::first(10);
            let replayed =
                world.stores.inbound.replay_received(&owner, &filter, page, Vec::new(), at(2)).await?;
            same(replayed, Replayed::default(), "nor replayed")?;
        }
    }
    same(world.record(ours).await?.status, ReceivedStatus::Dead, "it stays as it is")
}

async fn a_replay_makes_pending_what_the_filter_wants_and_has_ended(world: World) -> Verdict {
    ended(&world, "done", InboundFate::Done, 1).await?;
    let dead = ended(&world, "dead", InboundFate::Dead, 1).await?;
    let (owner, entry) = (acme(&world), world.entry(&world.acme, at(2)));
    let filter = ReceivedFilter::new().status(ReceivedStatus::Dead);
    let page = PageRequest::first(10);

    let replay = || world.stores.inbound.replay_received(&owner, &filter, page, vec![entry.clone()], at(2));
    let replayed = replay().await?;

    same((replayed.count, replayed.next), (1, None), "one was wanted")?;
    same(world.log(&world.acme).await?, vec![entry.clone()], "and it is logged")?;
    same(replay().await?.count, 0, "what waits is not replayed")?;
    let job = world.only(2).await?;
    same((job.received.id, job.attempt), (dead.received.id, 1), "it is as if it were new")?;
    same(&job.received.body, &dead.received.body, "with its body")?;
    let settled = world.settle(&dead, InboundFate::Done, 3).await?;
    same(settled.fenced.len(), 1, "whoever held it before does not any more")
}

async fn a_replay_goes_on_where_it_stopped(world: World) -> Verdict {
    for key in ["a", "b", "c", "d", "e"] {
        ended(&world, key, InboundFate::Done, 1).await?;
    }
    let filter = ReceivedFilter::new();

    let (mut counts, mut page) = (Vec::new(), PageRequest::first(2));
    loop {
        let replayed =
            world.stores.inbound.replay_received(&acme(&world), &filter, page, Vec::new(), at(2)).await?;
        counts.push(replayed.count);
        let Some(next) = replayed.next else { break };
        page = PageRequest::first(2).after(next);
    }

    same(counts, vec![2, 2, 1], "step by step")?;
    same(world.claim(10, 3).await?.len(), 5, "each once")
}

async fn retention_drops_what_has_ended_and_keeps_what_waits(world: World) -> Verdict {
    let old = ended(&world, "old", InboundFate::Done, 1).await?;
    world.accept(vec![world.item("waiting")?], 1).await?;
    let waiting = world.only(1).await?;
    world.settle(&waiting, InboundFate::RetryAt(at(100 * DAY)), 2).await?;
    let young = ended(&world, "young", InboundFate::Done, 20 * DAY).await?;

    let tidy = |seconds| world.stores.inbound.tidy_received(InboundRetention::days(30), at(seconds));
    same(tidy(29 * DAY).await?, 0, "nothing is old enough")?;
    holds(tidy(31 * DAY).await? > 0, "something is")?;

    let found = world.stores.inbound.one_received(&acme(&world), old.received.id).await?;
    same(found, None, "it is gone")?;
    same(world.record(young.received.id).await?.status, ReceivedStatus::Done, "this is not")?;
    same(world.record(waiting.received.id).await?.status, ReceivedStatus::Pending, "nor what waits")?;
    same(
        world.accept(vec![world.item("old")?], 31 * DAY).await?,
        vec![Accepted::Fresh],
        "its key can come again",
    )
}

async fn keys_are_kept_for_a_week_whatever_is_asked_for(world: World) -> Verdict {
    let old = ended(&world, "old", InboundFate::Done, 1).await?;
    let nothing = InboundRetention { received: Duration::ZERO, bodies: Duration::ZERO };

    world.stores.inbound.tidy_received(nothing, at(7 * DAY)).await?;

    let known = vec![Accepted::Duplicate(old.received.id)];
    same(world.accept(vec![world.item("old")?], 7 * DAY).await?, known, "its copies are still known")?;
    world.stores.inbound.tidy_received(nothing, at(7 * DAY + 10)).await?;
    same(
        world.accept(vec![world.item("old")?], 8 * DAY).await?,
        vec![Accepted::Fresh],
        "and then they are not",
    )
}

async fn bodies_go_before_their_rows(world: World) -> Verdict {
    let dead = ended(&world, "dead", InboundFate::Dead, 1).await?;
    let mut retention = InboundRetention::days(30);
    retention.bodies = Duration::from_secs(60);

    world.stores.inbound.tidy_received(retention, at(100)).await?;

    let record = world.record(dead.received.id).await?;
    holds(!record.has_body && record.received.body.is_empty(), "the body is gone")?;
    let (filter, page) = (ReceivedFilter::new(), PageRequest::first(10));
    let replayed =
        world.stores.inbound.replay_received(&acme(&world), &filter, page, Vec::new(), at(101)).await?;
    same(replayed.count, 0, "without it nothing can be replayed")?;
    let again = world.accept(vec![world.item("dead")?], 102).await?;
    same(again, vec![Accepted::Rearmed(dead.received.id)], "a copy brings it back")?;
    same(&world.only(102).await?.received.body, &dead.received.body, "with its body")
}

async fn an_examination_tells_what_waits_and_what_is_dead(world: World) -> Verdict {
    let examined = async |seconds: i64| world.stores.inbound.examine_received(at(seconds)).await;
    same(examined(1).await?, InboundExamination::default(), "an empty store")?;

    ended(&world, "dead", InboundFate::Dead, 1).await?;
    ended(&world, "done", InboundFate::Done, 1).await?;
    let theirs = world.item_of(&Owner::Tenant(world.other.clone()), "theirs")?;
    world.accept(vec![world.item("late")?], 7).await?;
    world.accept(vec![theirs], 5).await?;
    same(examined(4).await?, InboundExamination::new(None, 1), "nothing is due yet")?;
    same(examined(9).await?, InboundExamination::new(Some(at(5)), 1), "since when, whoever's it is")?;

    world.claim(10, 9).await?;
    same(examined(9).await?, InboundExamination::new(None, 1), "somebody works on it")?;
    world.accept(vec![world.item("dead")?], 9).await?;
    same(examined(9).await?, InboundExamination::new(Some(at(9)), 0), "a dead letter came back")
}
