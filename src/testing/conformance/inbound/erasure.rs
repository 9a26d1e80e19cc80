//! What was received about a subject goes.

use crate::inbound::received::{InboundFate, Received, ReceivedStatus};
use crate::inbound::source::Owner;
use crate::inbound::store::{Accepted, InboundErasure};
use crate::testing::conformance::inbound::InboundStoreHarness;
use crate::testing::conformance::inbound::world::{Found, World, at, keys};
use crate::testing::conformance::{Check, Verdict, same, there};

pub(super) fn checks() -> Vec<Check<dyn InboundStoreHarness>> {
    world_checks!["inbound_erasure":
        what_is_about_a_subject_loses_its_body_and_is_not_handled,
        nobody_elses_items_are_erased,
        whoever_works_on_what_is_erased_is_fenced,
        an_order_goes_on_behind_what_is_erased,
    ]
}

fn acme(world: &World) -> Owner {
    Owner::Tenant(world.acme.clone())
}

fn about(mut item: Received, subject: &str) -> Received {
    item.subject = Some(subject.into());
    item
}

async fn erase(world: &World, subject: &str, seconds: i64) -> Found<(u64, u64)> {
    let InboundErasure { items, unhandled } =
        world.stores.inbound.erase_received(&acme(world), subject, at(seconds)).await?;
    Ok((items, unhandled))
}

async fn what_is_about_a_subject_loses_its_body_and_is_not_handled(world: World) -> Verdict {
    let mut ids = Vec::new();
    for (key, fate) in [("done", InboundFate::Done), ("dead", InboundFate::Dead)] {
        let item = about(world.item(key)?, "ada \"\u{e4}\"");
        ids.push(item.id);
        world.accept(vec![item], 1).await?;
        let job = world.only(1).await?;
        world.settle(&job, fate, 1).await?;
    }
    let waits = about(world.item("waits")?, "ada \"\u{e4}\"");
    ids.push(waits.id);
    world.accept(vec![waits], 1).await?;

    same(erase(&world, "ada \"\u{e4}\"", 2).await?, (3, 1), "three items, one of them unhandled")?;

    let expected = [ReceivedStatus::Done, ReceivedStatus::Erased, ReceivedStatus::Erased];
    for (id, status) in ids.into_iter().zip(expected) {
        let record = world.record(id).await?;
        same((record.status, record.has_body, record.received.body.len()), (status, false, 0), "no body")?;
        same((record.note, record.due_at), (None, None), "no note, and nothing to do")?;
    }
    same(world.claim(10, 9).await?.len(), 0, "nothing is handled any more")?;
    let copy = world.accept(vec![about(world.item("dead")?, "ada")], 3).await?;
    same(matches!(copy[..], [Accepted::Duplicate(_)]), true, "a copy does not bring it back")?;
    same(erase(&world, "ada \"\u{e4}\"", 4).await?, (0, 0), "a second time there is nothing to erase")
}

async fn nobody_elses_items_are_erased(world: World) -> Verdict {
    let theirs = about(world.item_of(&Owner::Tenant(world.other.clone()), "theirs")?, "ada");
    let platforms = about(world.item_of(&Owner::Platform, "platforms")?, "ada");
    let mut named = about(world.item("named")?, "adam");
    named.kind = r#""subject":"ada""#.into();
    let plain = world.item("plain")?;
    world.accept(vec![theirs.clone(), platforms, named, plain], 1).await?;

    same(erase(&world, "ada", 2).await?, (0, 0), "nobody of that name is known here")?;

    let mut left = keys(&world.claim(10, 2).await?);
    left.sort();
    same(left, ["named", "plain", "platforms", "theirs"].map(str::to_owned).to_vec(), "all are handled")?;
    let owner = Owner::Tenant(world.other.clone());
    let found = there(world.stores.inbound.one_received(&owner, theirs.id).await?, "their item")?;
    same(found.received.body, theirs.body, "with its body")
}

async fn whoever_works_on_what_is_erased_is_fenced(world: World) -> Verdict {
    world.accept(vec![about(world.item("a")?, "ada")], 1).await?;
    let job = world.only(1).await?;

    same(erase(&world, "ada", 2).await?, (1, 1), "it is erased while somebody works on it")?;
    let settled = world.settle(&job, InboundFate::Done, 3).await?;

    same(settled.fenced, vec![(job.received.id, job.lease.token)], "who comes too late")?;
    same(world.record(job.received.id).await?.status, ReceivedStatus::Erased, "and changes nothing")?;
    same(world.claim(10, 999).await?.len(), 0, "it is never given again")
}

async fn an_order_goes_on_behind_what_is_erased(world: World) -> Verdict {
    let first = about(world.ordered("first", "o", 1)?, "ada");
    world.accept(vec![first, world.ordered("second", "o", 2)?], 1).await?;

    erase(&world, "ada", 2).await?;

    same(keys(&world.claim(10, 3).await?), vec!["second".to_owned()], "the next one is the head")
}
