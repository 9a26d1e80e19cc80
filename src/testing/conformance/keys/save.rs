//! Changes, all or none.

use crate::activity::verify::verify_chain;
use crate::api_keys::declared::Scopes;
use crate::api_keys::model::{ApiKey, KeyState, Succession};
use crate::api_keys::permission::Permission;
use crate::api_keys::rate::CallRate;
use crate::api_keys::scope::Rights;
use crate::api_keys::store::KeyChange;
use crate::api_keys::token::Environment;
use crate::error::ErrorKind;
use crate::primitives::version::Version;
use crate::testing::conformance::keys::KeyStoreHarness;
use crate::testing::conformance::keys::world::{Found, World, at};
use crate::testing::conformance::{Check, Failure, Verdict, holds, refused, same, there};

pub(super) fn checks() -> Vec<Check<dyn KeyStoreHarness>> {
    world_checks!["key_save":
        every_field_of_a_key_is_kept,
        changes_that_are_saved_together_are_all_made_or_none,
        one_change_sees_those_before_it,
        a_key_that_is_not_there_cannot_be_replaced,
        a_version_that_is_not_the_present_one_is_a_conflict,
        an_id_or_a_public_id_that_is_taken_is_a_conflict,
        one_key_too_many_is_a_conflict,
        revoked_keys_do_not_count,
        a_key_of_another_tenant_is_invalid,
        a_key_is_found_as_it_was_saved_last,
        what_is_administrative_is_chained_with_the_change,
    ]
}

fn invalid(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

fn full(world: &World) -> Found<ApiKey> {
    let mut key = world.key_of(&world.acme, at(0))?;
    let scopes = Scopes::declare(["orders/*:write", "stock:read"]).map_err(invalid)?;
    key.environment = Environment::Test;
    key.name = "ERP Süd \u{2713}".to_owned();
    key.rights =
        scopes.iter().cloned().fold(Rights::new([Permission::Read, Permission::Admin]), Rights::with_scope);
    key.networks =
        vec!["198.51.100.0/24".parse().map_err(invalid)?, "2001:db8::/32".parse().map_err(invalid)?];
    key.rate = Some(CallRate::per_minute(600).and_then(|rate| rate.with_burst(7)).map_err(invalid)?);
    key.address_rate = Some(CallRate::per_second(3).map_err(invalid)?);
    key.max_uses = Some(u64::from(u32::MAX) + 1);
    (key.not_before, key.expires_at) = (Some(at(5)), Some(at(500)));
    key.state = KeyState::Disabled { at: at(3) };
    key.leaked_at = Some(at(4));
    key.successor = Some(Succession::new(key.id, at(60)));
    key.created_by = "Zoë".into();
    key.updated_at = at(6);
    Ok(key)
}

async fn every_field_of_a_key_is_kept(world: World) -> Verdict {
    let mut key = full(&world)?;
    world.insert(&key).await?;
    same(world.record(&key).await?.key, key.clone(), "as it was inserted")?;

    let reason = "a reason with \"quotes\" and\ttabs".to_owned();
    key.state = KeyState::Revoked { at: at(7), reason };
    (key.leaked_at, key.max_uses, key.rate, key.networks) = (None, None, None, Vec::new());
    let change = World::changed(&key, |_| {});
    key.version = key.version.next();
    world.save(&world.acme, vec![change]).await?;

    same(world.record(&key).await?.key, key.clone(), "as it was replaced")?;
    let found = there(world.stores.keys.find(key.public_id).await?, "the key by its public id")?;
    same(&*found, &key, "and the same by its public id")
}

async fn changes_that_are_saved_together_are_all_made_or_none(world: World) -> Verdict {
    let key = world.key().await?;
    let new = world.key_of(&world.acme, at(1))?;
    let stale = KeyChange::Replace { key: key.clone(), expected: Version::new(9) };
    let entry = world.entry(&world.acme, at(1));

    let changes = vec![KeyChange::Insert(new.clone()), World::revoked(&key), stale];
    let answer = world.stores.keys.save(&world.acme, changes, vec![entry.clone()], at(1)).await;
    refused(answer, ErrorKind::Conflict, "the last of three cannot be made")?;
    same(world.stores.keys.key(&world.acme, new.id).await?, None, "nothing was inserted")?;
    same(world.stores.keys.find(new.public_id).await?, None, "nor can it be found")?;
    same(world.record(&key).await?.key, key.clone(), "nothing was replaced")?;
    holds(world.log(&world.acme).await?.is_empty(), "nothing was logged")?;

    let changes = vec![KeyChange::Insert(new.clone()), World::revoked(&key)];
    world.stores.keys.save(&world.acme, changes, vec![entry.clone()], at(1)).await?;
    same(world.record(&new).await?.key, new, "the first is made")?;
    holds(world.record(&key).await?.key.version == key.version.next(), "and the second")?;
    same(world.log(&world.acme).await?, vec![entry], "and logged")
}

async fn one_change_sees_those_before_it(world: World) -> Verdict {
    let new = world.key_of(&world.acme, at(1))?;

    let insert = KeyChange::Insert(new.clone());
    world.save(&world.acme, vec![insert.clone(), World::changed(&new, |key| key.name = "b".into())]).await?;

    same(&*world.record(&new).await?.key.name, "b", "a key can be made and changed at once")?;
    let twice = world.key_of(&world.acme, at(2))?;
    let changes = vec![KeyChange::Insert(twice.clone()), KeyChange::Insert(twice)];
    refused(world.save(&world.acme, changes).await, ErrorKind::Conflict, "but not made twice").map(drop)
}

async fn a_key_that_is_not_there_cannot_be_replaced(world: World) -> Verdict {
    let never = world.key_of(&world.acme, at(0))?;

    let answer = world.save(&world.acme, vec![World::revoked(&never)]).await;

    refused(answer, ErrorKind::NotFound, "there is no such key").map(drop)
}

async fn a_version_that_is_not_the_present_one_is_a_conflict(world: World) -> Verdict {
    let key = world.key().await?;
    world.save(&world.acme, vec![World::changed(&key, |key| key.name = "first".into())]).await?;

    let answer = world.save(&world.acme, vec![World::changed(&key, |key| key.name = "second".into())]).await;

    refused(answer, ErrorKind::Conflict, "somebody else was faster")?;
    same(&*world.record(&key).await?.key.name, "first", "and theirs stays")
}

async fn an_id_or_a_public_id_that_is_taken_is_a_conflict(world: World) -> Verdict {
    let key = world.key().await?;
    let mut same_id = world.key_of(&world.acme, at(1))?;
    same_id.id = key.id;
    let mut same_public_id = world.key_of(&world.acme, at(1))?;
    same_public_id.public_id = key.public_id;
    let mut foreign_id = world.key_of(&world.other, at(1))?;
    foreign_id.id = key.id;
    let mut foreign_public_id = world.key_of(&world.other, at(1))?;
    foreign_public_id.public_id = key.public_id;

    for (taken, what) in [
        (same_id, "the id of one's own key"),
        (same_public_id, "the public id of one's own key"),
        (foreign_id, "the id of another tenant's key"),
        (foreign_public_id, "the public id of another tenant's key"),
    ] {
        refused(world.insert(&taken).await, ErrorKind::Conflict, what)?;
    }
    let found = there(world.stores.keys.find(key.public_id).await?, "the key")?;
    same(&*found, &key, "it stays whose it was")
}

async fn one_key_too_many_is_a_conflict(world: World) -> Verdict {
    world.key().await?;
    let insert = |key: &ApiKey| vec![KeyChange::Insert(key.clone()), KeyChange::AtMost(2)];
    let (second, third) = (world.key_of(&world.acme, at(1))?, world.key_of(&world.acme, at(2))?);

    world.save(&world.acme, insert(&second)).await?;
    refused(world.save(&world.acme, insert(&third)).await, ErrorKind::Conflict, "the third of two")?;

    same(world.stores.keys.key(&world.acme, third.id).await?, None, "is not made")?;
    let others = world.key_of(&world.other, at(3))?;
    world.save(&world.other, insert(&others)).await?;
    Ok(())
}

async fn revoked_keys_do_not_count(world: World) -> Verdict {
    let (first, second) = (world.key().await?, world.key_of(&world.acme, at(1))?);

    let changes = vec![World::revoked(&first), KeyChange::Insert(second.clone()), KeyChange::AtMost(1)];
    world.save(&world.acme, changes).await?;

    let third = world.key_of(&world.acme, at(2))?;
    let changes = vec![KeyChange::Insert(third), KeyChange::AtMost(1)];
    refused(world.save(&world.acme, changes).await, ErrorKind::Conflict, "one that is not revoked does")
        .map(drop)
}

async fn a_key_of_another_tenant_is_invalid(world: World) -> Verdict {
    let theirs = world.key_of(&world.other, at(0))?;

    let answer = world.save(&world.acme, vec![KeyChange::Insert(theirs.clone())]).await;

    refused(answer, ErrorKind::Invalid, "a tenant saves its own")?;
    same(world.stores.keys.find(theirs.public_id).await?, None, "nothing is made")
}

async fn a_key_is_found_as_it_was_saved_last(world: World) -> Verdict {
    let key = world.key().await?;
    let never = world.key_of(&world.acme, at(0))?;
    same(world.stores.keys.find(never.public_id).await?, None, "nobody has it")?;
    let found = there(world.stores.keys.find(key.public_id).await?, "the key")?;
    same(found.state.clone(), KeyState::Active, "as it was made")?;

    world.save(&world.acme, vec![World::revoked(&key)]).await?;

    let found = there(world.stores.keys.find(key.public_id).await?, "the key")?;
    holds(matches!(found.state, KeyState::Revoked { .. }), "what was saved before is seen")
}

async fn what_is_administrative_is_chained_with_the_change(world: World) -> Verdict {
    let (keys, activity) = (&world.stores.keys, &world.stores.activity);
    let key = world.key_of(&world.acme, at(0))?;
    let entries = [0, 1, 2].map(|second| world.entry(&world.acme, at(second)));
    let [first, second, third] = entries.clone();

    keys.save(&world.acme, vec![KeyChange::Insert(key.clone())], vec![first, second], at(1)).await?;
    let refused = keys.save(&world.acme, vec![KeyChange::Insert(key)], vec![third], at(2)).await;

    holds(refused.is_err(), "a key is inserted once")?;
    let chain = activity.chain(&world.acme, None, 10).await?;
    let written: Vec<_> = chain.iter().filter_map(|entry| entry.entry.clone()).collect();
    same(written, entries[..2].to_vec(), "what was saved is chained, what was refused is not")?;
    let ends = activity.chain_ends(&world.acme).await?;
    same(verify_chain(&ends, &chain, None).findings, Vec::new(), "the chain is whole")
}
