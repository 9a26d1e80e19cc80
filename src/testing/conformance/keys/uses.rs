//! Uses, leased and given back.

use crate::api_keys::model::ApiKey;
use crate::testing::conformance::keys::KeyStoreHarness;
use crate::testing::conformance::keys::world::{Found, World, at};
use crate::testing::conformance::{Check, Verdict, same};

pub(super) fn checks() -> Vec<Check<dyn KeyStoreHarness>> {
    world_checks!["key_uses":
        of_one_line_never_more_uses_are_leased_than_it_has,
        what_is_given_back_can_be_leased_again,
        nobody_leases_for_a_line_without_a_key,
        a_key_and_its_successor_have_one_account,
        leases_that_are_asked_for_at_once_do_not_add_up_to_more,
    ]
}

async fn lease(world: &World, key: &ApiKey, most: u64, wanted: u64) -> Found<u64> {
    Ok(world.stores.keys.lease_uses(&key.tenant, key.line, most, wanted, at(1)).await?)
}

async fn of_one_line_never_more_uses_are_leased_than_it_has(world: World) -> Verdict {
    let (key, other) = (world.key().await?, world.key().await?);

    let granted = [
        lease(&world, &key, 10, 4).await?,
        lease(&world, &key, 10, 4).await?,
        lease(&world, &key, 10, 4).await?,
        lease(&world, &key, 10, 4).await?,
        lease(&world, &other, 10, 4).await?,
    ];

    same(granted, [4, 4, 2, 0, 4], "what is asked for beyond is not granted")?;
    same(world.record(&key).await?.used, 10, "and the record says so")
}

async fn what_is_given_back_can_be_leased_again(world: World) -> Verdict {
    let key = world.key().await?;
    lease(&world, &key, 10, 10).await?;

    world.stores.keys.return_uses(&world.acme, key.line, 3, at(2)).await?;

    same(world.record(&key).await?.used, 7, "seven are still out")?;
    same(lease(&world, &key, 10, 10).await?, 3, "three are there")?;
    world.stores.keys.return_uses(&world.acme, key.line, 1_000, at(2)).await?;
    same(lease(&world, &key, 10, 1_000).await?, 10, "more than was leased cannot come back")
}

async fn nobody_leases_for_a_line_without_a_key(world: World) -> Verdict {
    let never = world.key_of(&world.acme, at(0))?;

    same(lease(&world, &never, 10, 5).await?, 0, "there is no such line")
}

async fn a_key_and_its_successor_have_one_account(world: World) -> Verdict {
    let old = world.key().await?;
    let new = world.key_with(|key| key.line = old.line).await?;

    let granted = [lease(&world, &old, 10, 6).await?, lease(&world, &new, 10, 6).await?];

    same(granted, [6, 4], "they count together")?;
    same((world.record(&old).await?.used, world.record(&new).await?.used), (10, 10), "and both say so")
}

async fn leases_that_are_asked_for_at_once_do_not_add_up_to_more(world: World) -> Verdict {
    let key = world.key().await?;
    let asking = (0..20).map(|_| lease(&world, &key, 50, 7));

    let granted = futures_util::future::join_all(asking).await.into_iter().sum::<Found<u64>>()?;

    same(granted, 50, "all of them, and none twice")
}
