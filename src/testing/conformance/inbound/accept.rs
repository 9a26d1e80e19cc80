//! What was received is kept once.

use futures_util::future::join_all;

use crate::inbound::received::{InboundFate, Reading, ReceivedStatus};
use crate::inbound::source::Owner;
use crate::inbound::store::Accepted;
use crate::testing::conformance::inbound::InboundStoreHarness;
use crate::testing::conformance::inbound::world::{Found, LEASE, World, at};
use crate::testing::conformance::{Check, Verdict, holds, same};

pub(super) fn checks() -> Vec<Check<dyn InboundStoreHarness>> {
    world_checks!["inbound_accept":
        every_field_of_an_item_is_kept,
        items_of_many_requests_are_answered_in_their_order,
        a_copy_is_counted_and_not_kept,
        a_copy_under_another_key_is_known_by_its_guard,
        the_same_key_of_another_source_is_another_item,
        of_copies_that_come_at_once_one_is_kept,
        a_copy_of_what_was_done_is_counted_and_not_handled,
        a_copy_of_a_dead_letter_makes_it_pending_again,
        whoever_held_a_dead_letter_cannot_settle_it_after_that,
        what_could_not_be_read_is_kept_and_not_claimed,
    ]
}

async fn every_field_of_an_item_is_kept(world: World) -> Verdict {
    let mut item = world.ordered("evt \u{7f} ü", "sub_1", -7)?;
    item.guard = Some("guard".into());
    item.event_id = Some("evt_1".into());
    item.tenant_key = Some("acct_1".into());
    item.version.occurred_at = Some(at(-5));
    item.headers = vec![("x-request-id".into(), "a \"quoted\" one".into())];
    item.body = vec![0, 159, 146, 150, b'{', 0].into();

    world.accept(vec![item.clone()], 1).await?;

    let record = world.record(item.id).await?;
    same(&record.received, &item, "byte for byte")?;
    same((record.status, record.attempts, record.duplicates), (ReceivedStatus::Pending, 0, 0), "it is new")?;
    holds(
        record.has_body && record.ended_at.is_none() && record.note.is_none(),
        "nothing has happened to it",
    )?;
    same(&*world.only(2).await?.received, &item, "and a handler gets the same")
}

async fn items_of_many_requests_are_answered_in_their_order(world: World) -> Verdict {
    let first = world.item("b")?;
    world.accept(vec![first.clone()], 1).await?;
    let items = vec![world.item("c")?, world.item("b")?, world.item("a")?, world.item("a")?];
    let third = items[2].id;

    let answers = world.accept(items, 2).await?;

    let expected =
        vec![Accepted::Fresh, Accepted::Duplicate(first.id), Accepted::Fresh, Accepted::Duplicate(third)];
    same(answers, expected, "one answer for each, copies within one call included")?;
    same(world.accept(Vec::new(), 3).await?, Vec::new(), "nothing is answered by nothing")
}

async fn a_copy_is_counted_and_not_kept(world: World) -> Verdict {
    let (item, copy) = (world.item("evt_1")?, world.item("evt_1")?);
    world.accept(vec![item.clone()], 1).await?;

    let answers = world.accept(vec![copy.clone()], 2).await?;

    same(answers, vec![Accepted::Duplicate(item.id)], "it names the first")?;
    let owner = Owner::Tenant(world.acme.clone());
    same(world.stores.inbound.one_received(&owner, copy.id).await?, None, "it is not kept")?;
    same(world.record(item.id).await?.duplicates, 1, "it is counted")?;
    same(world.only(3).await?.received.id, item.id, "and handled once")
}

async fn a_copy_under_another_key_is_known_by_its_guard(world: World) -> Verdict {
    let guarded = |key: &str, guard: &str| -> Found<_> {
        let mut item = world.item(key)?;
        item.guard = Some(guard.into());
        Ok(item)
    };
    let item = guarded("delivery-1", "body")?;
    let other = guarded("delivery-3", "another body")?;

    let answers = world.accept(vec![item.clone(), guarded("delivery-2", "body")?, other], 1).await?;
    same(answers, vec![Accepted::Fresh, Accepted::Duplicate(item.id), Accepted::Fresh], "in one call")?;
    let answers = world.accept(vec![guarded("delivery-4", "body")?], 2).await?;

    same(answers, vec![Accepted::Duplicate(item.id)], "and in another")?;
    same(world.record(item.id).await?.duplicates, 2, "both are counted")
}

async fn the_same_key_of_another_source_is_another_item(world: World) -> Verdict {
    let mut first = world.item("evt_1")?;
    let mut second = world.item_of(&Owner::Tenant(world.other.clone()), "evt_1")?;
    (first.guard, second.guard) = (Some("body".into()), Some("body".into()));

    let answers = world.accept(vec![first, second], 1).await?;

    same(answers, vec![Accepted::Fresh, Accepted::Fresh], "each has its own")
}

async fn of_copies_that_come_at_once_one_is_kept(world: World) -> Verdict {
    const COPIES: usize = 8;
    for round in 0..5 {
        let mut copies = Vec::new();
        for _ in 0..COPIES {
            // In both orders: whoever waits for somebody must not be waited for.
            let mut call = vec![world.item(&format!("a{round}"))?, world.item(&format!("b{round}"))?];
            if copies.len() % 2 == 1 {
                call.reverse();
            }
            copies.push(call);
        }
        let calls = copies.into_iter().map(|call| world.stores.inbound.accept(call, at(1)));
        let mut fresh = 0;
        for answers in join_all(calls).await {
            fresh += answers?.into_iter().filter(|answer| *answer == Accepted::Fresh).count();
        }
        same(fresh, 2, "of each key one")?;
    }
    same(world.claim(100, 2).await?.len(), 10, "and each is handled once")
}

async fn a_copy_of_what_was_done_is_counted_and_not_handled(world: World) -> Verdict {
    let item = world.item("evt_1")?;
    world.accept(vec![item.clone()], 1).await?;
    world.settle(&world.only(2).await?, InboundFate::Done, 3).await?;

    let answers = world.accept(vec![world.item("evt_1")?], 4).await?;

    same(answers, vec![Accepted::Duplicate(item.id)], "it is known")?;
    holds(world.claim(10, 5).await?.is_empty(), "nobody handles it again")?;
    let record = world.record(item.id).await?;
    same(
        (record.status, record.duplicates),
        (ReceivedStatus::Done, 1),
        "it stays done, and the copy is counted",
    )
}

async fn a_copy_of_a_dead_letter_makes_it_pending_again(world: World) -> Verdict {
    let item = world.item("evt_1")?;
    world.accept(vec![item.clone()], 1).await?;
    world.settle(&world.only(2).await?, InboundFate::Dead, 3).await?;
    same(world.record(item.id).await?.status, ReceivedStatus::Dead, "it is dead")?;
    holds(world.claim(10, 3).await?.is_empty(), "and not tried")?;

    let answers = world.accept(vec![world.item("evt_1")?], 4).await?;

    same(answers, vec![Accepted::Rearmed(item.id)], "it is pending again")?;
    let record = world.record(item.id).await?;
    same(
        (record.status, record.attempts, record.ended_at),
        (ReceivedStatus::Pending, 0, None),
        "as if it were new",
    )?;
    let job = world.only(4).await?;
    same((job.received.id, job.attempt), (item.id, 1), "and due at once")
}

async fn whoever_held_a_dead_letter_cannot_settle_it_after_that(world: World) -> Verdict {
    world.accept(vec![world.item("evt_1")?], 1).await?;
    let job = world.only(2).await?;
    world.settle(&job, InboundFate::Dead, 3).await?;
    world.accept(vec![world.item("evt_1")?], 4).await?;

    let settled = world.settle(&job, InboundFate::Done, 5).await?;

    same(settled.fenced, vec![(job.received.id, job.lease.token)], "its claim is over")?;
    let again = world.only(5 + LEASE as i64).await?;
    holds(again.lease.token != job.lease.token, "and the next one has another token")
}

async fn what_could_not_be_read_is_kept_and_not_claimed(world: World) -> Verdict {
    let mut item = world.item("sha256:1")?;
    item.reading = Reading::Unparsable;

    world.accept(vec![item.clone()], 1).await?;

    holds(world.claim(10, 2).await?.is_empty(), "nobody handles it")?;
    let record = world.record(item.id).await?;
    same(record.status, ReceivedStatus::Unparsable, "it is shown as what it is")?;
    same(record.received, item, "with its body")
}
