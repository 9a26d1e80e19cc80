//! Another tenant's keys are like keys that do not exist.

use crate::api_keys::model::{ApiKey, CallOutcome, DayCount, KeyUsage};
use crate::api_keys::store::KeyFilter;
use crate::primitives::page::PageRequest;
use crate::testing::conformance::keys::KeyStoreHarness;
use crate::testing::conformance::keys::world::{Found, World, alike, at};
use crate::testing::conformance::{Check, Verdict, holds, same};

pub(super) fn checks() -> Vec<Check<dyn KeyStoreHarness>> {
    world_checks!["key_isolation":
        reading_another_tenants_key_is_like_reading_none,
        changing_another_tenants_key_is_like_changing_none,
        another_tenants_uses_are_not_there,
        a_cursor_of_another_tenant_shows_nothing_of_it,
    ]
}

/// A key of acme's with everything that a key can have besides itself.
async fn used(world: &World) -> Found<ApiKey> {
    let key = world.key_with(|key| key.max_uses = Some(10)).await?;
    let mut usage = KeyUsage::new(world.acme.clone(), key.id);
    usage.counts = vec![DayCount::new(at(0).date_naive(), CallOutcome::Allowed, 3)];
    let entries = vec![world.entry(&world.acme, at(0))];
    world.stores.keys.record_usage(vec![usage], entries, at(0)).await?;
    world.stores.keys.lease_uses(&world.acme, key.line, 10, 4, at(0)).await?;
    Ok(key)
}

async fn reading_another_tenants_key_is_like_reading_none(world: World) -> Verdict {
    let foreign = used(&world).await?.id;
    let unknown = world.key_of(&world.other, at(0))?.id;
    let store = &world.stores.keys;
    let day = at(0).date_naive();

    same(store.key(&world.other, foreign).await?, None, "there is no such key")?;
    let usage = |id| store.usage(&world.other, id, day, day);
    alike(usage(foreign).await, usage(unknown).await, "nor any usage of it")?;
    let listed = store.keys(&world.other, &KeyFilter::new(), PageRequest::first(9), at(1)).await?;
    holds(listed.items.is_empty(), "none is listed")?;
    holds(world.log(&world.other).await?.is_empty(), "nothing is logged for another tenant")
}

async fn changing_another_tenants_key_is_like_changing_none(world: World) -> Verdict {
    let theirs = used(&world).await?;
    let mut stolen = theirs.clone();
    stolen.tenant = world.other.clone();
    let unknown = world.key_of(&world.other, at(0))?;

    let save = |key: &ApiKey| {
        let change = World::revoked(key);
        world.save(&world.other, vec![change])
    };
    alike(save(&stolen).await, save(&unknown).await, "revoking it")?;

    same(world.record(&theirs).await?.key, theirs, "it stays as it is")
}

async fn another_tenants_uses_are_not_there(world: World) -> Verdict {
    let theirs = used(&world).await?;
    let unknown = world.key_of(&world.other, at(0))?;
    let lease = |line| world.stores.keys.lease_uses(&world.other, line, 10, 4, at(1));
    let give_back = |line| world.stores.keys.return_uses(&world.other, line, 4, at(1));

    alike(lease(theirs.line).await, lease(unknown.line).await, "leasing")?;
    alike(give_back(theirs.line).await, give_back(unknown.line).await, "giving back")?;

    same(world.record(&theirs).await?.used, 4, "nothing was leased or given back")
}

async fn a_cursor_of_another_tenant_shows_nothing_of_it(world: World) -> Verdict {
    used(&world).await?;
    used(&world).await?;
    let all = KeyFilter::default();
    let first = world.stores.keys.keys(&world.acme, &all, PageRequest::first(1), at(1)).await?;
    let Some(cursor) = first.next else { return holds(false, "there are two pages") };

    let page =
        world.stores.keys.keys(&world.other, &all, PageRequest::first(10).after(cursor), at(1)).await?;

    holds(page.items.is_empty(), "a cursor grants nothing")
}
