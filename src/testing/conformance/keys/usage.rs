//! How keys were used.

use std::net::IpAddr;

use chrono::NaiveDate;

use crate::api_keys::model::{ApiKey, CallOutcome, DayCount, KeyUsage, LastUse, Rekeyed};
use crate::api_keys::refusal::Refusal;
use crate::testing::conformance::keys::KeyStoreHarness;
use crate::testing::conformance::keys::world::{Found, World, at, mac};
use crate::testing::conformance::{Check, Verdict, same, there};

pub(super) fn checks() -> Vec<Check<dyn KeyStoreHarness>> {
    world_checks!["key_usage":
        counts_add_up_by_day_and_outcome,
        a_span_holds_its_first_and_its_last_day,
        a_last_use_never_moves_backwards,
        every_field_of_a_last_use_is_kept,
        usage_of_a_key_that_is_not_there_is_passed_over,
        entries_are_written_in_the_same_step_each_id_once,
        what_is_kept_of_a_secret_is_replaced_where_it_still_is_what_was_read,
    ]
}

const ALLOWED: CallOutcome = CallOutcome::Allowed;
const EXPIRED: CallOutcome = CallOutcome::Refused(Refusal::Expired);

fn day(second: i64) -> NaiveDate {
    at(second).date_naive()
}

fn usage(key: &ApiKey) -> KeyUsage {
    KeyUsage::new(key.tenant.clone(), key.id)
}

fn counted(key: &ApiKey, counts: &[(i64, CallOutcome, u64)]) -> KeyUsage {
    let counts = counts.iter().map(|(second, outcome, count)| DayCount::new(day(*second), *outcome, *count));
    let mut usage = usage(key);
    usage.counts = counts.collect();
    usage
}

fn last(key: &ApiKey, second: i64, route: &str) -> KeyUsage {
    let mut usage = usage(key);
    usage.last = Some(LastUse::new(at(second), IpAddr::from([203, 0, 113, 9]), route));
    usage
}

async fn record(world: &World, batch: Vec<KeyUsage>) -> Verdict {
    Ok(world.stores.keys.record_usage(batch, Vec::new(), at(1)).await?)
}

async fn counts(world: &World, key: &ApiKey, from: i64, to: i64) -> Found<Vec<DayCount>> {
    let found = world.stores.keys.usage(&key.tenant, key.id, day(from), day(to)).await?;
    // In whatever order a store answers.
    Ok(DayCount::sum(found))
}

const DAY: i64 = 86_400;

async fn counts_add_up_by_day_and_outcome(world: World) -> Verdict {
    let (key, other) = (world.key().await?, world.key().await?);

    record(&world, vec![counted(&key, &[(0, ALLOWED, 3), (0, EXPIRED, 1), (DAY, ALLOWED, 5)])]).await?;
    record(&world, vec![counted(&key, &[(0, ALLOWED, 4)]), counted(&other, &[(0, ALLOWED, 100)])]).await?;

    let expected = [(0, ALLOWED, 7), (0, EXPIRED, 1), (DAY, ALLOWED, 5)];
    same(counts(&world, &key, 0, DAY).await?, counted(&key, &expected).counts, "by day, outcome and key")
}

async fn a_span_holds_its_first_and_its_last_day(world: World) -> Verdict {
    let key = world.key().await?;
    let all: Vec<_> = (0..5).map(|number| (number * DAY, ALLOWED, 1)).collect();
    record(&world, vec![counted(&key, &all)]).await?;

    for (from, to, expected) in
        [(1, 3, &all[1..=3]), (0, 9, &all[..]), (4, 4, &all[4..=4]), (5, 9, &[]), (3, 1, &[])]
    {
        let found = counts(&world, &key, from * DAY, to * DAY).await?;
        same(found, counted(&key, expected).counts, "both ends included")?;
    }
    Ok(())
}

async fn a_last_use_never_moves_backwards(world: World) -> Verdict {
    let key = world.key().await?;
    record(&world, vec![last(&key, 50, "/later")]).await?;

    record(&world, vec![last(&key, 20, "/earlier"), usage(&key)]).await?;

    same(world.record(&key).await?.last, last(&key, 50, "/later").last, "what comes late is not the last")?;
    record(&world, vec![last(&key, 51, "/latest")]).await?;
    same(world.record(&key).await?.last, last(&key, 51, "/latest").last, "what is later is")
}

async fn every_field_of_a_last_use_is_kept(world: World) -> Verdict {
    let key = world.key().await?;
    let six =
        "2001:db8::9".parse().map_err(|_| crate::testing::conformance::Failure("an address".to_owned()))?;
    let mut used = usage(&key);
    used.last = Some(LastUse::new(at(1), six, "/orders/{id}/é'\""));

    record(&world, vec![used.clone()]).await?;

    same(world.record(&key).await?.last, used.last, "as it was")
}

async fn usage_of_a_key_that_is_not_there_is_passed_over(world: World) -> Verdict {
    let (key, never) = (world.key().await?, world.key_of(&world.acme, at(0))?);
    let mut foreign = counted(&key, &[(0, ALLOWED, 9)]);
    foreign.tenant = world.other.clone();
    foreign.last = last(&key, 9, "/").last;

    record(&world, vec![counted(&never, &[(0, ALLOWED, 9)]), foreign, counted(&key, &[(0, ALLOWED, 1)])])
        .await?;

    same(counts(&world, &key, 0, 0).await?, counted(&key, &[(0, ALLOWED, 1)]).counts, "the rest is written")?;
    same(world.record(&key).await?.last, None, "and nothing for another tenant")?;
    same(world.stores.keys.key(&world.acme, never.id).await?, None, "no key comes of it")
}

async fn entries_are_written_in_the_same_step_each_id_once(world: World) -> Verdict {
    let key = world.key().await?;
    let (one, two) = (world.entry(&world.acme, at(1)), world.entry(&world.acme, at(2)));

    for _ in 0..2 {
        let (usage, entries) = (vec![usage(&key)], vec![one.clone(), two.clone()]);
        world.stores.keys.record_usage(usage, entries, at(3)).await?;
    }

    same(world.log(&world.acme).await?, vec![two, one], "trying again writes none twice")
}

async fn what_is_kept_of_a_secret_is_replaced_where_it_still_is_what_was_read(world: World) -> Verdict {
    let key = world.key().await?;
    let rekeyed = |before, after| {
        let mut usage = usage(&key);
        usage.rekeyed = Some(Rekeyed::new(before, after));
        usage
    };

    record(&world, vec![rekeyed(mac("2026", 9)?, mac("2027", 1)?)]).await?;
    same(world.record(&key).await?.key.mac, key.mac.clone(), "it is another one than was read")?;
    record(&world, vec![rekeyed(mac("2025", 7)?, mac("2027", 1)?)]).await?;
    same(world.record(&key).await?.key.mac, key.mac.clone(), "it is under another pepper than was read")?;
    record(&world, vec![rekeyed(key.mac.clone(), mac("2027", 8)?)]).await?;

    let found = there(world.stores.keys.find(key.public_id).await?, "the key")?;
    same((found.mac.clone(), found.version), (mac("2027", 8)?, key.version), "and now it is what was read")
}
