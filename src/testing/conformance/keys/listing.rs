//! Keys, page by page.

use crate::api_keys::life::KeyStatus;
use crate::api_keys::model::{ApiKey, KeyState, KeyUsage, LastUse, Succession};
use crate::api_keys::store::KeyFilter;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::PageRequest;
use crate::testing::conformance::keys::KeyStoreHarness;
use crate::testing::conformance::keys::world::{Found, World, at};
use crate::testing::conformance::{Check, Verdict, holds, same};

pub(super) fn checks() -> Vec<Check<dyn KeyStoreHarness>> {
    world_checks!["key_listing":
        keys_are_listed_newest_first_each_once,
        a_filter_by_status_shows_what_is_called_so_now,
        a_filter_shows_keys_that_nobody_has_used_since,
        a_page_holds_the_tenants_keys_only,
    ]
}

async fn listed(world: &World, filter: &KeyFilter, limit: usize, now: i64) -> Found<Vec<ApiKeyId>> {
    let mut ids = Vec::new();
    let mut page = PageRequest::first(limit);
    loop {
        let found = world.stores.keys.keys(&world.acme, filter, page, at(now)).await?;
        holds(found.items.len() <= limit, "no page is too long")?;
        ids.extend(found.items.iter().map(|record| record.key.id));
        match found.next {
            Some(next) => page = page.after(next),
            None => return Ok(ids),
        }
    }
}

async fn keys_are_listed_newest_first_each_once(world: World) -> Verdict {
    let mut ids = Vec::new();
    for second in 0..7 {
        let key = world.key_of(&world.acme, at(second))?;
        world.insert(&key).await?;
        ids.push(key.id);
    }
    ids.reverse();

    for limit in [1, 2, 7, 100] {
        let found = listed(&world, &KeyFilter::new(), limit, 10).await?;
        same(found, ids.clone(), "whatever the page's length")?;
    }
    Ok(())
}

/// What makes a key be called something.
type Cause<'a> = &'a (dyn Fn(&mut ApiKey) + Sync);

async fn a_filter_by_status_shows_what_is_called_so_now(world: World) -> Verdict {
    const DAY: i64 = 86_400;
    const WEEKS: i64 = 30 * DAY;
    use KeyStatus::{Active, Disabled, Exhausted, Expired, Expiring, Leaked, NotYetValid, Revoked, Rotating};
    let revoked = || KeyState::Revoked { at: at(1), reason: String::new() };
    let exhausted = world.key_with(|key| key.max_uses = Some(3)).await?;
    let granted = world.stores.keys.lease_uses(&world.acme, exhausted.line, 3, 3, at(1)).await?;
    same(granted, 3, "all uses are leased")?;
    let causes: [(KeyStatus, Cause<'_>); 8] = [
        (Active, &|key| key.expires_at = Some(at(WEEKS))),
        (Expiring, &|key| key.expires_at = Some(at(3 * DAY))),
        (Rotating, &|key| key.successor = Some(Succession::new(key.id, at(3 * DAY)))),
        (Disabled, &|key| key.state = KeyState::Disabled { at: at(1) }),
        (NotYetValid, &|key| key.not_before = Some(at(3 * DAY))),
        (Expired, &|key| key.expires_at = Some(at(DAY))),
        (Revoked, &|key| key.state = revoked()),
        (Leaked, &|key| (key.state, key.leaked_at) = (revoked(), Some(at(1)))),
    ];
    let mut expected = vec![(Exhausted, exhausted.id)];
    for (status, cause) in causes {
        expected.push((status, world.key_with(|key| cause(key)).await?.id));
    }

    for (status, id) in &expected {
        let found = listed(&world, &KeyFilter::new().status(*status), 2, DAY).await?;
        same(found, vec![*id], &format!("one is {}", status.as_str()))?;
    }
    let two = KeyFilter::new().status(Active).status(Revoked);
    same(listed(&world, &two, 1, DAY).await?.len(), 2, "several statuses are an either-or")?;
    let later = listed(&world, &KeyFilter::new().status(Expired), 1, 3 * DAY).await?;
    same(later.len(), 3, "two days later, three have ended")
}

async fn a_filter_shows_keys_that_nobody_has_used_since(world: World) -> Verdict {
    let (never, long_ago, just_now) = (world.key().await?, world.key().await?, world.key().await?);
    let new = world.key_of(&world.acme, at(60))?;
    world.insert(&new).await?;
    let used = |key: &ApiKey, second| {
        let mut usage = KeyUsage::new(world.acme.clone(), key.id);
        usage.last = Some(LastUse::new(at(second), std::net::IpAddr::from([203, 0, 113, 9]), "/"));
        usage
    };
    world
        .stores
        .keys
        .record_usage(vec![used(&long_ago, 10), used(&just_now, 55)], Vec::new(), at(60))
        .await?;

    let unused = listed(&world, &KeyFilter::new().unused_since(at(50)), 1, 90).await?;

    same(unused, vec![long_ago.id, never.id], "not one that was used, nor one that is new")
}

async fn a_page_holds_the_tenants_keys_only(world: World) -> Verdict {
    let theirs = world.key_of(&world.other, at(1))?;
    world.insert(&theirs).await?;
    holds(listed(&world, &KeyFilter::new(), 10, 2).await?.is_empty(), "another tenant's is not seen")?;

    let own = world.key().await?;

    same(listed(&world, &KeyFilter::new(), 10, 2).await?, vec![own.id], "the own one is")
}
