//! Each item is one caller's until its lease ends.

use futures_util::future::join_all;

use crate::inbound::received::{InboundFate, ItemVersion};
use crate::inbound::source::Owner;
use crate::inbound::store::InboundClaim;
use crate::testing::conformance::inbound::InboundStoreHarness;
use crate::testing::conformance::inbound::world::{Found, LEASE, World, at, keys};
use crate::testing::conformance::{Check, Verdict, holds, same, there};

pub(super) fn checks() -> Vec<Check<dyn InboundStoreHarness>> {
    world_checks!["inbound_claim":
        what_is_leased_is_nobody_elses_until_the_lease_ends,
        a_limit_is_kept,
        of_claims_at_once_each_item_goes_to_one,
        each_party_gets_its_turn_before_any_gets_a_second,
        the_round_goes_on_behind_whoever_was_last,
        who_is_excepted_gets_nothing,
        of_one_order_one_is_leased_and_the_lowest_first,
        what_waits_for_its_order_keeps_nobody_else_waiting,
        of_claims_at_once_one_order_is_leased_once,
        the_newest_of_an_order_that_was_done_comes_with_the_next,
        the_time_when_something_is_due_is_told,
    ]
}

const LEASED: i64 = LEASE as i64;

async fn what_is_leased_is_nobody_elses_until_the_lease_ends(world: World) -> Verdict {
    world.accept(vec![world.item("a")?], 1).await?;
    let first = world.only(2).await?;
    same((first.attempt, first.lease.until), (1, at(2 + LEASED)), "for so long")?;

    holds(world.claim(10, 1 + LEASED).await?.is_empty(), "nobody else gets it")?;
    let second = world.only(2 + LEASED).await?;

    same((second.received.id, second.attempt), (first.received.id, 2), "then anybody does")?;
    holds(second.lease.token != first.lease.token, "under another token")
}

async fn a_limit_is_kept(world: World) -> Verdict {
    let items = (0..5).map(|n| world.item(&format!("k{n}"))).collect::<Found<Vec<_>>>()?;
    world.accept(items, 1).await?;

    let none = world.claim(0, 2).await?;
    let (first, second) = (world.claim(3, 2).await?, world.claim(3, 2).await?);

    same((none.len(), first.len(), second.len()), (0, 3, 2), "never more than was asked for")
}

async fn of_claims_at_once_each_item_goes_to_one(world: World) -> Verdict {
    let mut items = Vec::new();
    for tenant in ["a", "b", "c"] {
        let owner = Owner::Tenant(
            tenant.parse().map_err(|_| crate::testing::conformance::Failure("a tenant".to_owned()))?,
        );
        for n in 0..10 {
            items.push(world.item_of(&owner, &format!("{tenant}{n}"))?);
        }
    }
    world.accept(items, 1).await?;

    let mut found = Vec::new();
    // Whoever holds a party is passed over: a second look finds what is left.
    for _ in 0..30 {
        for claimed in join_all((0..4).map(|_| world.claim(4, 2))).await {
            found.extend(keys(&claimed?));
        }
    }

    let all = found.len();
    found.sort();
    found.dedup();
    same((all, found.len()), (30, 30), "each of them once")
}

fn two_parties(world: &World) -> Found<(Owner, Owner)> {
    Ok((Owner::Tenant(world.acme.clone()), Owner::Tenant(world.other.clone())))
}

async fn each_party_gets_its_turn_before_any_gets_a_second(world: World) -> Verdict {
    let (busy, quiet) = two_parties(&world)?;
    let mut items = (0..50).map(|n| world.item_of(&busy, &format!("k{n}"))).collect::<Found<Vec<_>>>()?;
    items.push(world.item_of(&quiet, "only")?);
    // The platform's sources have customers of their own, and each has its turn.
    for customer in ["x", "y"] {
        for n in 0..10 {
            let mut item = world.item_of(&Owner::Platform, &format!("{customer}{n}"))?;
            item.tenant_key = Some(customer.into());
            items.push(item);
        }
    }
    world.accept(items, 1).await?;

    let jobs = world.claim(6, 2).await?;

    let of = |party: &str| jobs.iter().filter(|job| job.received.party().as_str() == party).count();
    let counts = [of("t/acme"), of("t/other"), of("p/stripe/x"), of("p/stripe/y")];
    same((jobs.len(), counts[1]), (6, 1), "the quiet one is not passed over")?;
    holds(counts.iter().all(|count| *count <= 2 && *count > 0), "nor is anybody preferred")
}

async fn the_round_goes_on_behind_whoever_was_last(world: World) -> Verdict {
    let (busy, quiet) = two_parties(&world)?;
    let mut items = (0..10).map(|n| world.item_of(&busy, &format!("k{n}"))).collect::<Found<Vec<_>>>()?;
    items.extend((0..2).map(|n| world.item_of(&quiet, &format!("q{n}"))).collect::<Found<Vec<_>>>()?);
    world.accept(items, 1).await?;

    let mut after = None;
    let mut served = Vec::new();
    for _ in 0..4 {
        let claimed = world.claim_behind(1, after, 2).await?;
        let job = there(claimed.jobs.first(), "a piece of work")?;
        served.push(job.received.owner.as_str().to_owned());
        after = claimed.after;
    }

    same(served, ["acme", "other", "acme", "other"].map(str::to_owned).to_vec(), "one after the other")
}

async fn who_is_excepted_gets_nothing(world: World) -> Verdict {
    let (busy, quiet) = two_parties(&world)?;
    let (first, second) = (world.item_of(&busy, "a")?, world.item_of(&quiet, "b")?);
    let full = first.party();
    world.accept(vec![first, second], 1).await?;

    let claim = InboundClaim::new(at(2), std::time::Duration::from_secs(LEASE), 10).except(vec![full]);
    let claimed = world.stores.inbound.claim_received(claim).await?;

    same(keys(&claimed.jobs), vec!["b".to_owned()], "the others do")
}

async fn of_one_order_one_is_leased_and_the_lowest_first(world: World) -> Verdict {
    let items = vec![
        world.ordered("third", "sub_1", 3)?,
        world.ordered("first", "sub_1", 1)?,
        world.ordered("second", "sub_1", 2)?,
        world.ordered("another", "sub_2", 9)?,
    ];
    world.accept(items, 1).await?;

    let mut jobs = world.claim(10, 2).await?;
    jobs.sort_by_key(|job| job.received.dedupe_key.clone());
    same(keys(&jobs), ["another", "first"].map(str::to_owned).to_vec(), "of each order the lowest")?;
    world.accept(vec![world.ordered("late", "sub_1", 0)?], 3).await?;
    holds(world.claim(10, 3).await?.is_empty(), "nothing else, not even what is lower still")?;

    world.settle(&jobs[1], InboundFate::RetryAt(at(30)), 4).await?;
    let late = world.only(5).await?;
    same(&*late.received.dedupe_key, "late", "what waits to be tried again lets a lower one go first")?;
    world.settle(&late, InboundFate::Done, 6).await?;
    holds(world.claim(10, 29).await?.is_empty(), "but no higher one")?;
    let mut order = Vec::new();
    for second in 0..3 {
        let job = world.only(30 + second).await?;
        order.extend(keys(std::slice::from_ref(&job)));
        world.settle(&job, InboundFate::Done, 30 + second).await?;
    }
    same(order, ["first", "second", "third"].map(str::to_owned).to_vec(), "then they go one after the other")
}

async fn what_waits_for_its_order_keeps_nobody_else_waiting(world: World) -> Verdict {
    let items = vec![world.ordered("first", "sub_1", 1)?, world.ordered("second", "sub_1", 2)?];
    world.accept(items, 1).await?;
    let first = world.only(2).await?;
    let other = world.item_of(&Owner::Tenant(world.other.clone()), "theirs")?;
    world.accept(vec![other, world.item("ours")?], 3).await?;

    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(keys(&world.claim(1, 4).await?));
    }

    found.sort();
    same(found, ["ours", "theirs"].map(str::to_owned).to_vec(), "however little is asked for at once")?;
    same(&*first.received.dedupe_key, "first", "the head is being worked on")
}

async fn of_claims_at_once_one_order_is_leased_once(world: World) -> Verdict {
    for round in 0..5_i64 {
        let order = format!("sub_{round}");
        let items =
            (0..6).map(|n| world.ordered(&format!("{order}-{n}"), &order, n)).collect::<Found<Vec<_>>>()?;
        let now = 10 * round;
        world.accept(items, now).await?;

        let mut found = Vec::new();
        for claimed in join_all((0..4).map(|_| world.claim(4, now))).await {
            found.extend(claimed?);
        }
        found.extend(world.claim(4, now).await?);

        same(keys(&found), vec![format!("{order}-0")], "the head alone")?;
        for job in world.claim_all(&order, found, now).await? {
            world.settle(&job, InboundFate::Done, now).await?;
        }
    }
    Ok(())
}

impl World {
    /// Ends an order, one after the other.
    async fn claim_all(
        &self,
        order: &str,
        mut begun: Vec<crate::inbound::received::InboundJob>,
        seconds: i64,
    ) -> Found<Vec<crate::inbound::received::InboundJob>> {
        while let Some(job) = begun.pop() {
            self.settle(&job, InboundFate::Done, seconds).await?;
            let next = self.claim(10, seconds).await?;
            begun.extend(next.into_iter().filter(|job| job.received.order_key.as_deref() == Some(order)));
        }
        Ok(begun)
    }
}

async fn the_newest_of_an_order_that_was_done_comes_with_the_next(world: World) -> Verdict {
    let version = |at, sequence| ItemVersion::new(at, sequence);
    world.accept(vec![world.ordered("first", "sub_1", 5)?], 1).await?;
    let first = world.only(2).await?;
    same(first.latest, None, "nothing was done before")?;
    world.settle(&first, InboundFate::Done, 3).await?;

    world.accept(vec![world.ordered("older", "sub_1", 4)?], 4).await?;
    let older = world.only(5).await?;
    same(older.latest, Some(version(None, Some(5))), "so one can tell that it is outdated")?;
    holds(older.is_outdated(), "as it is")?;
    world.settle(&older, InboundFate::Outdated, 6).await?;

    let mut timed = world.ordered("timed", "sub_2", 0)?;
    timed.version = version(Some(at(7)), None);
    world.accept(vec![world.ordered("newer", "sub_1", 6)?, timed], 7).await?;
    let mut jobs = world.claim(10, 8).await?;
    jobs.sort_by_key(|job| job.received.dedupe_key.clone());
    let latest = jobs.iter().map(|job| job.latest).collect::<Vec<_>>();
    same(
        latest,
        vec![Some(version(None, Some(5))), None],
        "each order has its own, and what was dropped is none",
    )?;
    for job in &jobs {
        world.settle(job, InboundFate::Done, 9).await?;
    }
    let mut again = world.ordered("again", "sub_2", 0)?;
    again.version = version(Some(at(6)), None);
    world.accept(vec![again], 10).await?;
    same(world.only(11).await?.latest, Some(version(Some(at(7)), None)), "times count as numbers do")
}

async fn the_time_when_something_is_due_is_told(world: World) -> Verdict {
    same(world.claim_behind(10, None, 1).await?.next_due, None, "never, when there is nothing")?;
    world.accept(vec![world.item("a")?, world.item("b")?], 1).await?;

    let claimed = world.claim_behind(10, None, 2).await?;
    let [first, _second] = &claimed.jobs[..] else { return holds(false, "both are there") };
    let idle = world.claim_behind(10, None, 3).await?.next_due;
    same(idle, Some(at(2 + LEASED)), "when a lease ends")?;
    world.settle(first, InboundFate::RetryAt(at(20)), 4).await?;
    let idle = world.claim_behind(10, None, 5).await?.next_due;
    same(idle, Some(at(20)), "when something is to be tried again")?;
    let claimed = world.claim_behind(1, None, 20).await?;
    holds(claimed.next_due.is_some_and(|due| due <= at(2 + LEASED)), "and never later")
}
