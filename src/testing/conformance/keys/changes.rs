//! What has changed: what caches live by.

use crate::api_keys::model::{KeyUsage, Rekeyed};
use crate::api_keys::token::PublicId;
use crate::testing::conformance::keys::KeyStoreHarness;
use crate::testing::conformance::keys::world::{Found, World, at, mac};
use crate::testing::conformance::{Check, Verdict, holds, same, there};

pub(super) fn checks() -> Vec<Check<dyn KeyStoreHarness>> {
    world_checks!["key_changes":
        without_an_epoch_no_key_is_named,
        every_change_and_insertion_after_an_epoch_is_named,
        all_tenants_changes_are_named,
        an_epoch_never_goes_back,
        more_changes_than_were_asked_for_are_never_told_in_part,
        usage_changes_no_epoch,
        of_changes_made_at_once_none_is_missed,
    ]
}

const MANY: usize = 1_000;

fn sorted(mut keys: Vec<PublicId>) -> Vec<PublicId> {
    keys.sort_unstable();
    keys
}

async fn without_an_epoch_no_key_is_named(world: World) -> Verdict {
    world.key().await?;

    let first = world.stores.keys.changed_since(None, MANY).await?;

    same(first.keys, Some(Vec::new()), "who begins to listen knows nothing that could be wrong")?;
    let next = world.stores.keys.changed_since(Some(first.epoch), MANY).await?;
    same(next.keys, Some(Vec::new()), "and nothing has happened since")
}

async fn every_change_and_insertion_after_an_epoch_is_named(world: World) -> Verdict {
    let (before, changed) = (world.key().await?, world.key().await?);
    let begin = world.stores.keys.changed_since(None, MANY).await?.epoch;

    world.save(&world.acme, vec![World::revoked(&changed)]).await?;
    let inserted = world.key().await?;

    let expected = sorted(vec![changed.public_id, inserted.public_id]);
    let first = world.stores.keys.changed_since(Some(begin), MANY).await?;
    same(first.keys.map(sorted), Some(expected.clone()), "both, and not what was there before")?;
    let again = world.stores.keys.changed_since(Some(begin), MANY).await?;
    same(again.keys.map(sorted), Some(expected), "asking takes nothing away")?;
    world.save(&world.acme, vec![World::revoked(&before)]).await?;
    let next = world.stores.keys.changed_since(Some(first.epoch), MANY).await?;
    same(next.keys, Some(vec![before.public_id]), "and later only what came later")
}

async fn all_tenants_changes_are_named(world: World) -> Verdict {
    let begin = world.stores.keys.changed_since(None, MANY).await?.epoch;
    let (ours, theirs) = (world.key().await?, world.key_of(&world.other, at(1))?);
    world.insert(&theirs).await?;

    let changed = world.stores.keys.changed_since(Some(begin), MANY).await?;

    same(changed.keys.map(sorted), Some(sorted(vec![ours.public_id, theirs.public_id])), "whoever's they are")
}

async fn an_epoch_never_goes_back(world: World) -> Verdict {
    let mut last = world.stores.keys.changed_since(None, MANY).await?.epoch;
    for _ in 0..5 {
        world.key().await?;
        let next = world.stores.keys.changed_since(Some(last), MANY).await?.epoch;
        holds(next > last, "it goes on with every change")?;
        last = next;
    }
    let idle = world.stores.keys.changed_since(Some(last), MANY).await?.epoch;
    same(idle, last, "and stands still without one")
}

async fn more_changes_than_were_asked_for_are_never_told_in_part(world: World) -> Verdict {
    let begin = world.stores.keys.changed_since(None, MANY).await?.epoch;
    for _ in 0..3 {
        world.key().await?;
    }

    let (few, enough) = (
        world.stores.keys.changed_since(Some(begin), 2).await?,
        world.stores.keys.changed_since(Some(begin), 3).await?,
    );

    same(few.keys, None, "three are more than two")?;
    same(enough.keys.map(|keys| keys.len()), Some(3), "three are three")?;
    same(few.epoch, enough.epoch, "both go on from the same place")
}

async fn usage_changes_no_epoch(world: World) -> Verdict {
    let key = world.key_with(|key| key.max_uses = Some(5)).await?;
    let before = world.stores.keys.changed_since(None, MANY).await?.epoch;

    let mut usage = KeyUsage::new(world.acme.clone(), key.id);
    usage.rekeyed = Some(Rekeyed::new(key.mac.clone(), mac("2027", 8)?));
    world.stores.keys.record_usage(vec![usage], Vec::new(), at(2)).await?;
    world.stores.keys.lease_uses(&world.acme, key.line, 5, 1, at(2)).await?;

    let after = world.stores.keys.changed_since(Some(before), MANY).await?;
    same((after.epoch, after.keys), (before, Some(Vec::new())), "it is no change of a key")
}

/// Changes that are being saved while somebody listens: whatever was saved when a look begins, it or an earlier one names it.
async fn of_changes_made_at_once_none_is_missed(world: World) -> Verdict {
    let mut epoch = world.stores.keys.changed_since(None, MANY).await?.epoch;
    let mut heard = Vec::new();
    let mut saved = Vec::new();
    for round in 0..10 {
        let keys = (0..8).map(|_| world.key_of(&world.acme, at(round))).collect::<Found<Vec<_>>>()?;
        let inserts = futures_util::future::join_all(keys.iter().map(|key| world.insert(key)));
        let listening = world.stores.keys.changed_since(Some(epoch), MANY);
        let (inserted, changed) = futures_util::future::join(inserts, listening).await;
        inserted.into_iter().collect::<crate::error::Result<Vec<()>>>()?;
        let changed = changed?;
        heard.extend(there(changed.keys, "few enough")?);
        epoch = changed.epoch;
        saved.extend(keys.iter().map(|key| key.public_id));
    }

    heard.extend(there(world.stores.keys.changed_since(Some(epoch), MANY).await?.keys, "few enough")?);

    let mut heard = sorted(heard);
    heard.dedup();
    same(heard, sorted(saved), "each of them was named")
}
