//! Sources, changed all or none.

use crate::error::ErrorKind;
use crate::inbound::source::{Owner, SealedSourceSecret, Source, SourceState};
use crate::inbound::store::{ResealedSecret, SourceChange};
use crate::ports::Sealed;
use crate::primitives::id::SourceId;
use crate::primitives::page::PageRequest;
use crate::primitives::version::Version;
use crate::testing::conformance::inbound::InboundStoreHarness;
use crate::testing::conformance::inbound::world::{Found, World, at};
use crate::testing::conformance::{Check, Verdict, holds, refused, same, there};

pub(super) fn checks() -> Vec<Check<dyn InboundStoreHarness>> {
    world_checks!["inbound_sources":
        every_field_of_a_source_is_kept,
        changes_that_are_saved_together_are_all_made_or_none,
        one_change_sees_those_before_it,
        a_version_that_is_not_the_present_one_is_a_conflict,
        a_taken_id_and_a_second_name_of_the_platform_are_conflicts,
        one_source_too_many_is_a_conflict,
        a_source_of_another_owner_is_invalid,
        another_owners_source_is_like_none,
        a_listing_shows_each_source_once_newest_first,
        what_was_received_outlives_its_source,
        everybodys_sources_are_listed_once_in_the_order_of_their_ids,
        a_seal_is_replaced_where_it_still_stands_and_nothing_else_changes,
    ]
}

fn acme(world: &World) -> Owner {
    Owner::Tenant(world.acme.clone())
}

fn changed(source: &Source, change: impl FnOnce(&mut Source)) -> SourceChange {
    let mut changed = source.clone();
    change(&mut changed);
    changed.version = source.version.next();
    SourceChange::Replace { source: changed, expected: source.version }
}

async fn saved(world: &World, owner: &Owner, name: &str) -> Found<Source> {
    let source = world.source_of(owner, name)?;
    world.insert(&source).await?;
    Ok(source)
}

async fn every_field_of_a_source_is_kept(world: World) -> Verdict {
    let mut source = world.source_of(&acme(&world), "shopify")?;
    source.title = "Shop Süd \u{2713} \"1\"".to_owned();
    let mut old = SealedSourceSecret::new(Sealed::new(vec![0, 255, 7]), at(1));
    old.expires_at = Some(at(9));
    source.secrets = vec![SealedSourceSecret::new(Sealed::new(vec![1]), at(2)), old];
    source.state = SourceState::NotImplemented;
    source.public_url = Some("https://app.example.com/hooks?x=1".to_owned());
    (source.reject_status, source.body_cap) = (Some(400), Some(10 << 20));
    world.insert(&source).await?;

    let found = there(world.stores.inbound.source(source.id).await?, "the source")?;
    same(&*found, &source, "as it was inserted")?;
    world.save(&source.owner, vec![changed(&source, |source| source.state = SourceState::Off)]).await?;
    let found = there(world.stores.inbound.source(source.id).await?, "the source")?;
    same(found.state, SourceState::Off, "as it was replaced")?;

    let platform = saved(&world, &Owner::Platform, "stripe").await?;
    let found = there(world.stores.inbound.platform_source(&platform.name).await?, "the platform's source")?;
    same(&*found, &platform, "it is found by its name")?;
    same(world.stores.inbound.platform_source(&source.name).await?, None, "a tenant's is not")
}

async fn changes_that_are_saved_together_are_all_made_or_none(world: World) -> Verdict {
    let owner = acme(&world);
    let source = saved(&world, &owner, "shopify").await?;
    let new = world.source_of(&owner, "square")?;
    let entry = world.entry(&world.acme, at(1));
    let stale = SourceChange::Replace { source: source.clone(), expected: Version::new(9) };
    let changes = vec![SourceChange::Insert(new.clone()), SourceChange::Delete(source.id), stale];

    let answer = world.stores.inbound.save_sources(&owner, changes, vec![entry.clone()], at(1)).await;
    refused(answer, ErrorKind::NotFound, "the last of three cannot be made")?;
    same(world.stores.inbound.source(new.id).await?, None, "nothing was inserted")?;
    holds(world.stores.inbound.source(source.id).await?.is_some(), "nothing was deleted")?;
    holds(world.log(&world.acme).await?.is_empty(), "nothing was logged")?;

    let changes = vec![SourceChange::Insert(new.clone()), SourceChange::Delete(source.id)];
    world.stores.inbound.save_sources(&owner, changes, vec![entry.clone()], at(1)).await?;
    holds(world.stores.inbound.source(new.id).await?.is_some(), "the first is made")?;
    same(world.stores.inbound.source(source.id).await?, None, "and the second")?;
    same(world.log(&world.acme).await?, vec![entry], "and logged")
}

async fn one_change_sees_those_before_it(world: World) -> Verdict {
    let new = world.source_of(&acme(&world), "shopify")?;

    let insert = SourceChange::Insert(new.clone());
    world.save(&new.owner, vec![insert, changed(&new, |source| source.title = "b".to_owned())]).await?;

    let found = there(world.stores.inbound.source(new.id).await?, "the source")?;
    same((&*found.title, found.version), ("b", Version::new(2)), "made and changed at once")
}

async fn a_version_that_is_not_the_present_one_is_a_conflict(world: World) -> Verdict {
    let source = saved(&world, &acme(&world), "shopify").await?;
    let rename = |title: &str| changed(&source, |source| title.clone_into(&mut source.title));
    world.save(&source.owner, vec![rename("first")]).await?;

    refused(
        world.save(&source.owner, vec![rename("second")]).await,
        ErrorKind::Conflict,
        "somebody was faster",
    )?;

    let found = there(world.stores.inbound.source(source.id).await?, "the source")?;
    same(&*found.title, "first", "and theirs stays")
}

async fn a_taken_id_and_a_second_name_of_the_platform_are_conflicts(world: World) -> Verdict {
    let source = saved(&world, &acme(&world), "shopify").await?;
    let mut foreign = world.source_of(&Owner::Tenant(world.other.clone()), "shopify")?;
    foreign.id = source.id;
    refused(world.insert(&foreign).await, ErrorKind::Conflict, "an id that another tenant's source has")?;
    refused(world.insert(&source).await, ErrorKind::Conflict, "an id that one's own has")?;

    saved(&world, &Owner::Platform, "stripe").await?;
    let mut second = world.source_of(&Owner::Platform, "stripe")?;
    second.id = world.source_of(&acme(&world), "x")?.id;
    refused(world.insert(&second).await, ErrorKind::Conflict, "the platform has one of a name")?;
    saved(&world, &acme(&world), "shopify").await?;
    holds(world.stores.inbound.source(source.id).await?.is_some(), "a tenant may have two")
}

async fn one_source_too_many_is_a_conflict(world: World) -> Verdict {
    let owner = acme(&world);
    saved(&world, &owner, "shopify").await?;
    let insert = |source: &Source| vec![SourceChange::Insert(source.clone()), SourceChange::AtMost(2)];
    let (second, third) = (world.source_of(&owner, "a")?, world.source_of(&owner, "b")?);

    world.save(&owner, insert(&second)).await?;
    refused(world.save(&owner, insert(&third)).await, ErrorKind::Conflict, "the third of two")?;

    same(world.stores.inbound.source(third.id).await?, None, "is not made")
}

async fn a_source_of_another_owner_is_invalid(world: World) -> Verdict {
    let theirs = world.source_of(&Owner::Tenant(world.other.clone()), "shopify")?;

    let answer = world.save(&acme(&world), vec![SourceChange::Insert(theirs)]).await;

    refused(answer, ErrorKind::Invalid, "everybody saves their own").map(drop)
}

async fn another_owners_source_is_like_none(world: World) -> Verdict {
    let theirs = saved(&world, &Owner::Tenant(world.other.clone()), "shopify").await?;
    let owner = acme(&world);
    let mut stolen = theirs.clone();
    stolen.owner = owner.clone();

    refused(
        world.save(&owner, vec![changed(&stolen, |_| {})]).await,
        ErrorKind::NotFound,
        "it cannot be changed",
    )?;
    let delete = vec![SourceChange::Delete(theirs.id)];
    refused(world.save(&owner, delete).await, ErrorKind::NotFound, "nor deleted")?;
    let never = world.source_of(&owner, "never")?;
    let delete = vec![SourceChange::Delete(never.id)];
    refused(world.save(&owner, delete).await, ErrorKind::NotFound, "like one that does not exist")?;

    let found = there(world.stores.inbound.source(theirs.id).await?, "the source")?;
    same(&*found, &theirs, "it stays as it is")
}

async fn a_listing_shows_each_source_once_newest_first(world: World) -> Verdict {
    let owner = acme(&world);
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, saved(&world, &owner, "shopify").await?.id);
        saved(&world, &Owner::Tenant(world.other.clone()), "shopify").await?;
    }

    let (mut found, mut page) = (Vec::new(), PageRequest::first(2));
    loop {
        let part = world.stores.inbound.sources(&owner, page).await?;
        found.extend(part.items.iter().map(|source| source.id));
        let Some(next) = part.next else { break };
        page = PageRequest::first(2).after(next);
    }

    same(found, expected, "over all pages, and nobody else's")
}

async fn what_was_received_outlives_its_source(world: World) -> Verdict {
    let source = saved(&world, &acme(&world), "shopify").await?;
    let mut item = world.item("evt_1")?;
    item.source = source.id;
    world.accept(vec![item.clone()], 1).await?;

    world.save(&source.owner, vec![SourceChange::Delete(source.id)]).await?;

    same(world.only(2).await?.received.id, item.id, "it is still handled")
}

async fn everybodys_sources_are_listed_once_in_the_order_of_their_ids(world: World) -> Verdict {
    let owners = [acme(&world), Owner::Tenant(world.other.clone()), Owner::Platform];
    let mut expected = Vec::new();
    for (owner, name) in owners.iter().cycle().zip(["a", "b", "c", "d", "e"]) {
        expected.push(saved(&world, owner, name).await?.id);
    }
    expected.sort();

    let mut found: Vec<SourceId> = Vec::new();
    loop {
        let part = world.stores.inbound.all_sources(found.last().copied(), 2).await?;
        holds(part.len() <= 2, "no more than was asked for")?;
        let is_last = part.len() < 2;
        found.extend(part.iter().map(|source| source.id));
        if is_last {
            break;
        }
    }

    same(found, expected, "in steps of two")
}

async fn a_seal_is_replaced_where_it_still_stands_and_nothing_else_changes(world: World) -> Verdict {
    let seal = |byte: u8| Sealed::new(vec![byte; 3]);
    let mut source = world.source_of(&acme(&world), "shopify")?;
    let mut ending = SealedSourceSecret::new(seal(2), at(1));
    ending.expires_at = Some(at(9));
    source.secrets = vec![SealedSourceSecret::new(seal(1), at(2)), ending];
    world.insert(&source).await?;
    let inbound = &world.stores.inbound;

    let seals = vec![ResealedSecret::new(seal(2), seal(12)), ResealedSecret::new(seal(3), seal(13))];
    same(inbound.reseal_source(source.id, seals).await?, 1, "one of two still stands")?;

    source.secrets[1].sealed = seal(12);
    let found = there(inbound.source(source.id).await?, "the source")?;
    same(&*found, &source, "that one is another, and nothing else, no version either")?;
    let again = vec![ResealedSecret::new(seal(2), seal(22))];
    same(inbound.reseal_source(source.id, again).await?, 0, "what somebody else has resealed stays")?;
    let found = there(inbound.source(source.id).await?, "the source")?;
    same(&*found, &source, "as it was")?;
    let never = world.source_of(&acme(&world), "never")?;
    let seals = vec![ResealedSecret::new(seal(1), seal(11))];
    same(inbound.reseal_source(never.id, seals).await?, 0, "a source that is gone has none")
}
