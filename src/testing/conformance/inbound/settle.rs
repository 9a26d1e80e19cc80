//! Results.

use crate::inbound::received::{InboundFate, InboundSettlement, ReceivedStatus};
use crate::testing::conformance::inbound::InboundStoreHarness;
use crate::testing::conformance::inbound::world::{LEASE, World, at};
use crate::testing::conformance::{Check, Verdict, holds, same};

pub(super) fn checks() -> Vec<Check<dyn InboundStoreHarness>> {
    world_checks!["inbound_settle":
        each_fate_becomes_its_status,
        what_is_tried_again_is_due_then,
        what_was_not_begun_is_no_attempt,
        a_result_whose_lease_was_lost_is_fenced_and_changes_nothing,
        a_late_result_counts_as_long_as_nobody_else_has_claimed,
        a_retry_that_comes_twice_is_fenced_the_second_time,
        what_has_ended_stays_ended,
        activity_is_written_with_what_holds_alone,
    ]
}

async fn each_fate_becomes_its_status(world: World) -> Verdict {
    for (key, fate, status) in [
        ("a", InboundFate::Done, ReceivedStatus::Done),
        ("b", InboundFate::Ignored, ReceivedStatus::Ignored),
        ("c", InboundFate::Outdated, ReceivedStatus::Outdated),
        ("d", InboundFate::Dead, ReceivedStatus::Dead),
    ] {
        world.accept(vec![world.item(key)?], 1).await?;
        let job = world.only(2).await?;
        let result = InboundSettlement::new(&job, fate).with_note("why");

        let settled = world.stores.inbound.settle_received(vec![result], at(3)).await?;

        holds(settled.fenced.is_empty(), "it holds")?;
        let record = world.record(job.received.id).await?;
        same((record.status, record.attempts), (status, 1), "it has ended like this")?;
        same((record.ended_at, record.due_at), (Some(at(3)), None), "then")?;
        same(record.note.as_deref(), Some("why"), "with what was said about it")?;
        holds(world.claim(10, 4 + 2 * LEASE as i64).await?.is_empty(), "and is not work any more")?;
    }
    Ok(())
}

async fn what_is_tried_again_is_due_then(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let job = world.only(2).await?;

    world.settle(&job, InboundFate::RetryAt(at(30)), 3).await?;

    let record = world.record(job.received.id).await?;
    same((record.status, record.due_at), (ReceivedStatus::Pending, Some(at(30))), "it waits")?;
    holds(world.claim(10, 29).await?.is_empty(), "until then")?;
    same(world.only(30).await?.attempt, 2, "and then is tried a second time")
}

async fn what_was_not_begun_is_no_attempt(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let job = world.only(2).await?;

    world.settle(&job, InboundFate::Release(at(3)), 3).await?;

    same(world.only(3).await?.attempt, 1, "the first is still to come")
}

async fn a_result_whose_lease_was_lost_is_fenced_and_changes_nothing(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let slow = world.only(2).await?;
    let fast = world.only(2 + LEASE as i64).await?;

    let settled = world.settle(&slow, InboundFate::Dead, 70).await?;

    same(settled.fenced, vec![(slow.received.id, slow.lease.token)], "somebody else has it")?;
    same(world.record(slow.received.id).await?.status, ReceivedStatus::Pending, "nothing has changed")?;
    let settled = world.settle(&fast, InboundFate::Done, 71).await?;
    holds(settled.fenced.is_empty(), "theirs counts")?;
    same(world.record(slow.received.id).await?.status, ReceivedStatus::Done, "and holds")?;
    let settled = world.settle(&slow, InboundFate::Dead, 72).await?;
    same(settled.fenced.len(), 1, "the other one's never does")
}

async fn a_late_result_counts_as_long_as_nobody_else_has_claimed(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let job = world.only(2).await?;

    let settled = world.settle(&job, InboundFate::Done, 1_000).await?;

    holds(settled.fenced.is_empty(), "nobody else has it")?;
    same(world.record(job.received.id).await?.status, ReceivedStatus::Done, "it is done")
}

async fn a_retry_that_comes_twice_is_fenced_the_second_time(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let job = world.only(2).await?;
    world.settle(&job, InboundFate::RetryAt(at(30)), 3).await?;

    let settled = world.settle(&job, InboundFate::RetryAt(at(500)), 4).await?;

    same(settled.fenced.len(), 1, "the claim is over")?;
    same(world.record(job.received.id).await?.due_at, Some(at(30)), "the first one holds")
}

async fn what_has_ended_stays_ended(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let job = world.only(2).await?;
    world.settle(&job, InboundFate::Done, 3).await?;

    for fate in
        [InboundFate::RetryAt(at(4)), InboundFate::Dead, InboundFate::Release(at(4)), InboundFate::Done]
    {
        let settled = world.settle(&job, fate, 5).await?;
        holds(settled.fenced.is_empty(), "nobody else has had it")?;
    }

    let record = world.record(job.received.id).await?;
    same((record.status, record.ended_at), (ReceivedStatus::Done, Some(at(3))), "it is as it was")?;
    holds(world.claim(10, 6).await?.is_empty(), "and nobody handles it again")
}

async fn activity_is_written_with_what_holds_alone(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let slow = world.only(2).await?;
    let fast = world.only(2 + LEASE as i64).await?;
    let with_entry = |job, entry| {
        let mut result = InboundSettlement::new(job, InboundFate::Dead);
        result.activity = vec![entry];
        vec![result]
    };
    let (theirs, ours) = (world.entry(&world.acme, at(1)), world.entry(&world.acme, at(2)));

    world.stores.inbound.settle_received(with_entry(&slow, theirs), at(70)).await?;
    holds(world.log(&world.acme).await?.is_empty(), "nothing has happened")?;
    world.stores.inbound.settle_received(with_entry(&fast, ours.clone()), at(71)).await?;

    same(world.log(&world.acme).await?, vec![ours], "this has")
}
