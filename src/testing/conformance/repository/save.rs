//! `save`: all or nothing, and optimistic.

use futures_util::future::join_all;

use crate::activity::model::ActivityKind;
use crate::error::ErrorKind;
use crate::primitives::page::PageRequest;
use crate::testing::conformance::world::{World, at};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, refused, same};
use crate::webhooks::model::{TenantDefaults, Version, Webhook};
use crate::webhooks::repository::{Change, Release};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["save":
        several_changes_are_made_together,
        all_changes_are_made_or_none,
        the_activity_is_written_with_the_changes,
        a_replacement_of_another_version_is_a_conflict,
        a_removal_of_another_version_is_a_conflict,
        defaults_of_another_version_are_a_conflict,
        a_webhook_that_does_not_exist_is_not_found,
        of_replacements_that_race_one_is_made,
        an_id_is_used_once,
        a_change_for_another_tenant_is_refused,
        later_changes_of_one_call_see_the_earlier_ones,
        no_more_webhooks_are_saved_than_a_condition_allows,
        of_insertions_that_race_no_more_are_made_than_a_condition_allows,
    ]
}

fn replace(webhook: &Webhook, expected: Version, name: &str) -> Change {
    let mut changed = webhook.clone();
    changed.name = name.into();
    changed.version = expected.next();
    Change::Replace { webhook: changed, expected, release: Release::Keep }
}

fn defaults_of(world: &World, version: Version) -> TenantDefaults {
    let mut defaults = TenantDefaults::new(world.acme.clone());
    defaults.version = version;
    defaults.timeout = Some(std::time::Duration::from_millis(1_500));
    defaults
}

async fn several_changes_are_made_together(world: World) -> Verdict {
    let (changed, removed) = (world.webhook().await?, world.webhook().await?);
    let new = world.webhook_of(&world.acme, at(1))?;
    let defaults = defaults_of(&world, Version::FIRST);
    let changes = vec![
        replace(&changed, changed.version, "renamed"),
        Change::Remove { id: removed.id, expected: removed.version },
        Change::Insert(new.clone()),
        Change::Defaults { defaults: defaults.clone(), expected: Version::NONE },
    ];

    world.stores.repository.save(&world.acme, changes, Vec::new(), at(1)).await?;

    let stored = world.stored(&changed).await?;
    same((stored.name.as_str(), stored.version), ("renamed", Version::new(2)), "one is changed")?;
    same(world.stores.repository.webhook(&world.acme, removed.id).await?, None, "one is gone")?;
    same(&*world.stored(&new).await?, &new, "one is new")?;
    same(&*world.stores.repository.defaults(&world.acme).await?, &defaults, "the defaults are changed")
}

async fn all_changes_are_made_or_none(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let new = world.webhook_of(&world.acme, at(1))?;
    let changes = vec![
        Change::Insert(new.clone()),
        replace(&webhook, webhook.version, "renamed"),
        Change::Defaults { defaults: defaults_of(&world, Version::new(8)), expected: Version::new(7) },
    ];
    let entry = world.entry(&world.acme, ActivityKind::WebhookCreated, at(1));

    let answer = world.stores.repository.save(&world.acme, changes, vec![entry], at(1)).await;

    refused(answer, ErrorKind::Conflict, "the defaults are not at version 7")?;
    same(world.stores.repository.webhook(&world.acme, new.id).await?, None, "nothing is new")?;
    same(&*world.stored(&webhook).await?, &webhook, "nothing is changed")?;
    holds(world.log().await?.is_empty(), "nothing is logged")
}

async fn the_activity_is_written_with_the_changes(world: World) -> Verdict {
    let entries = vec![
        world.entry(&world.acme, ActivityKind::WebhookCreated, at(1)).with_detail("name", "ERP"),
        world.entry(&world.acme, ActivityKind::WebhookPaused, at(1)),
    ];
    let changes = vec![Change::Insert(world.webhook_of(&world.acme, at(1))?)];

    world.stores.repository.save(&world.acme, changes, entries.clone(), at(1)).await?;

    let mut logged = world.log().await?;
    logged.reverse();
    same(logged, entries, "each entry as it was")
}

async fn a_replacement_of_another_version_is_a_conflict(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.change(&webhook, at(1), |webhook| webhook.name = "first".into()).await?;

    for expected in [webhook.version, Version::new(7)] {
        let changes = vec![replace(&webhook, expected, "second")];
        let answer = world.stores.repository.save(&world.acme, changes, Vec::new(), at(2)).await;
        refused(answer, ErrorKind::Conflict, "somebody else changed it")?;
    }

    same(world.stored(&webhook).await?.name.as_str(), "first", "the first change stays")
}

async fn a_removal_of_another_version_is_a_conflict(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.change(&webhook, at(1), |webhook| webhook.name = "first".into()).await?;
    let changes = vec![Change::Remove { id: webhook.id, expected: webhook.version }];

    let answer = world.stores.repository.save(&world.acme, changes, Vec::new(), at(2)).await;

    refused(answer, ErrorKind::Conflict, "somebody else changed it")?;
    world.stored(&webhook).await.map(|_| ())
}

async fn defaults_of_another_version_are_a_conflict(world: World) -> Verdict {
    let repository = &world.stores.repository;
    let unset = repository.defaults(&world.acme).await?;
    same(&*unset, &TenantDefaults::new(world.acme.clone()), "version 0 if nothing was ever set")?;
    let set = |version, expected| vec![Change::Defaults { defaults: defaults_of(&world, version), expected }];
    repository.save(&world.acme, set(Version::FIRST, Version::NONE), Vec::new(), at(1)).await?;

    let answer = repository.save(&world.acme, set(Version::FIRST, Version::NONE), Vec::new(), at(2)).await;

    refused(answer, ErrorKind::Conflict, "somebody else changed them")?;
    repository.save(&world.acme, set(Version::new(2), Version::FIRST), Vec::new(), at(3)).await?;
    same(
        repository.defaults(&world.acme).await?.version,
        Version::new(2),
        "from the present version they are changed",
    )
}

async fn a_webhook_that_does_not_exist_is_not_found(world: World) -> Verdict {
    let webhook = world.webhook_of(&world.acme, at(0))?;
    let removed = world.webhook().await?;
    world.remove(&removed, at(1)).await?;

    for webhook in [webhook, removed] {
        let changes = vec![replace(&webhook, webhook.version, "x")];
        let answer = world.stores.repository.save(&world.acme, changes, Vec::new(), at(2)).await;
        refused(answer, ErrorKind::NotFound, "there is nothing to change")?;
        let changes = vec![Change::Remove { id: webhook.id, expected: webhook.version }];
        let answer = world.stores.repository.save(&world.acme, changes, Vec::new(), at(2)).await;
        refused(answer, ErrorKind::NotFound, "there is nothing to remove")?;
    }
    Ok(())
}

async fn of_replacements_that_race_one_is_made(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let names: Vec<_> = (0..6).map(|number| format!("name {number}")).collect();

    let racing = names.iter().map(|name| {
        let changes = vec![replace(&webhook, webhook.version, name)];
        world.stores.repository.save(&world.acme, changes, Vec::new(), at(1))
    });
    let answers = join_all(racing).await;

    let made: Vec<_> = names.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).collect();
    same(made.len(), 1, "one wins")?;
    same(&world.stored(&webhook).await?.name, made[0].0, "and is what is stored")?;
    holds(
        answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .all(|error| error.kind() == ErrorKind::Conflict),
        "the others are conflicts",
    )
}

async fn an_id_is_used_once(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let mut twin = webhook.clone();
    twin.name = "twin".into();

    let changes = vec![Change::Insert(twin)];
    let answer = world.stores.repository.save(&world.acme, changes, Vec::new(), at(1)).await;

    refused(answer, ErrorKind::Conflict, "there is a webhook with this id")?;
    same(&*world.stored(&webhook).await?, &webhook, "which stays as it is")
}

async fn a_change_for_another_tenant_is_refused(world: World) -> Verdict {
    let repository = &world.stores.repository;
    let foreign = world.webhook_of(&world.other, at(0))?;

    let changes = vec![Change::Insert(foreign.clone())];
    let answer = repository.save(&world.acme, changes, Vec::new(), at(1)).await;
    refused(answer, ErrorKind::Invalid, "a webhook is saved for its own tenant")?;
    let mut defaults = TenantDefaults::new(world.other.clone());
    defaults.version = Version::FIRST;
    let changes = vec![Change::Defaults { defaults, expected: Version::NONE }];
    let answer = repository.save(&world.acme, changes, Vec::new(), at(1)).await;
    refused(answer, ErrorKind::Invalid, "so are defaults")?;

    same(repository.webhook(&world.other, foreign.id).await?, None, "nothing is saved")?;
    same(repository.defaults(&world.other).await?.version, Version::NONE, "for nobody")
}

async fn later_changes_of_one_call_see_the_earlier_ones(world: World) -> Verdict {
    let new = world.webhook_of(&world.acme, at(1))?;
    let gone = world.webhook_of(&world.acme, at(1))?;
    let changes = vec![
        Change::Insert(new.clone()),
        replace(&new, new.version, "second"),
        replace(&new, new.version.next(), "third"),
        Change::Insert(gone.clone()),
        Change::Remove { id: gone.id, expected: gone.version },
    ];

    world.stores.repository.save(&world.acme, changes, Vec::new(), at(1)).await?;

    let stored = world.stored(&new).await?;
    same((stored.name.as_str(), stored.version), ("third", Version::new(3)), "one after the other")?;
    same(world.stores.repository.webhook(&world.acme, gone.id).await?, None, "up to the last")
}

async fn no_more_webhooks_are_saved_than_a_condition_allows(world: World) -> Verdict {
    let repository = &world.stores.repository;
    let (first, second) = (world.webhook().await?, world.webhook_of(&world.acme, at(1))?);
    world.insert(world.webhook_of(&world.other, at(0))?).await?;

    let changes = vec![Change::Insert(second.clone()), Change::AtMost(1)];
    let answer = repository.save(&world.acme, changes, Vec::new(), at(1)).await;
    refused(answer, ErrorKind::Conflict, "there would be two")?;
    same(repository.webhook(&world.acme, second.id).await?, None, "nothing is saved")?;

    let changes = vec![
        Change::AtMost(1),
        Change::Insert(second.clone()),
        Change::Remove { id: first.id, expected: first.version },
        Change::AtMost(1),
    ];
    repository.save(&world.acme, changes, Vec::new(), at(1)).await?;
    same(
        &*world.stored(&second).await?,
        &second,
        "a condition sees the changes before it, and only this tenant",
    )
}

async fn of_insertions_that_race_no_more_are_made_than_a_condition_allows(world: World) -> Verdict {
    let new = (0..6).map(|_| world.webhook_of(&world.acme, at(0))).collect::<Result<Vec<_>, _>>()?;

    let racing = new.iter().map(|webhook| {
        let changes = vec![Change::Insert(webhook.clone()), Change::AtMost(3)];
        world.stores.repository.save(&world.acme, changes, Vec::new(), at(0))
    });
    let answers = join_all(racing).await;

    same(answers.iter().filter(|answer| answer.is_ok()).count(), 3, "as many as there may be")?;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    holds(
        refused.map(|error| error.kind()).all(|kind| kind == ErrorKind::Conflict),
        "the others are conflicts",
    )?;
    let page = PageRequest::first(10);
    same(
        world.stores.repository.webhooks(&world.acme, page).await?.items.len(),
        3,
        "and not one more is there",
    )
}
