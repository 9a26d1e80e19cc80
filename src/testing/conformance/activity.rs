//! The contract of [`ActivityStore`](crate::activity::store::ActivityStore), sentence by sentence.

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::activity::store::ActivityFilter;
use crate::primitives::id::ActivityId;
use crate::primitives::page::PageRequest;
use crate::tenancy::model::Actor;
use crate::testing::conformance::world::{World, at};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["activity":
        entries_are_listed_newest_first_each_once,
        a_page_holds_the_tenants_entries_only,
        a_filter_narrows_by_each_of_its_fields,
        every_field_of_an_entry_is_kept,
        an_error_is_told_by_its_kind,
        entries_of_several_tenants_are_appended_in_one_step,
        an_entry_that_is_there_is_not_written_again,
    ]
}

async fn write(world: &World, entries: Vec<Activity>) -> Verdict {
    for entry in entries {
        let (tenant, at) = (entry.tenant.clone(), entry.at);
        world.stores.repository.save(&tenant, Vec::new(), vec![entry], at).await?;
    }
    Ok(())
}

async fn listed(world: &World, filter: &ActivityFilter, limit: usize) -> Result<Vec<Activity>, Failure> {
    let mut entries = Vec::new();
    let mut page = PageRequest::first(limit);
    loop {
        let found = world.stores.activity.activity(&world.acme, filter, page).await?;
        holds(found.items.len() <= limit, "no page is too long")?;
        entries.extend(found.items);
        match found.next {
            Some(next) => page = page.after(next),
            None => return Ok(entries),
        }
    }
}

/// Seven entries of different kinds, subjects, actors and times.
fn entries(world: &World) -> Vec<Activity> {
    let kinds = [ActivityKind::WebhookCreated, ActivityKind::WebhookPaused, ActivityKind::DeadLettered];
    (0..7)
        .map(|second| {
            let name = if second % 2 == 0 { "ada" } else { "bob" };
            let actor = Actor::org_admin(world.acme.clone(), name);
            let id = ActivityId::mint(at(second), world.random());
            let kind = kinds[second as usize % 3];
            let subject = Subject::from(format!("wh_{}", second / 3));
            Activity::new(id, at(second), &actor, kind, subject)
        })
        .collect()
}

async fn entries_are_listed_newest_first_each_once(world: World) -> Verdict {
    let mut entries = entries(&world);
    write(&world, entries.clone()).await?;
    entries.reverse();

    for limit in [1, 2, 7, 100] {
        same(
            listed(&world, &ActivityFilter::default(), limit).await?,
            entries.clone(),
            "whatever the page's length",
        )?;
    }
    Ok(())
}

async fn a_page_holds_the_tenants_entries_only(world: World) -> Verdict {
    write(&world, vec![world.entry(&world.other, ActivityKind::WebhookCreated, at(1))]).await?;
    holds(listed(&world, &ActivityFilter::default(), 10).await?.is_empty(), "another tenant's is not seen")?;

    let own = world.entry(&world.acme, ActivityKind::WebhookCreated, at(0));
    write(&world, vec![own.clone()]).await?;

    same(listed(&world, &ActivityFilter::default(), 10).await?, vec![own], "the own one is")
}

async fn a_filter_narrows_by_each_of_its_fields(world: World) -> Verdict {
    let all = entries(&world);
    write(&world, all.clone()).await?;
    let filters = [
        ActivityFilter { kind: Some(ActivityKind::WebhookPaused), ..ActivityFilter::default() },
        ActivityFilter::errors(),
        ActivityFilter { subject: Some(Subject::from("wh_1")), ..ActivityFilter::default() },
        ActivityFilter { actor: Some("bob".into()), ..ActivityFilter::default() },
        ActivityFilter { from: Some(at(3)), ..ActivityFilter::default() },
        ActivityFilter { to: Some(at(3)), ..ActivityFilter::default() },
        ActivityFilter {
            actor: Some("ada".into()),
            from: Some(at(1)),
            to: Some(at(6)),
            ..ActivityFilter::default()
        },
    ];

    for filter in filters {
        let mut expected: Vec<_> = all.iter().filter(|entry| filter.matches(entry)).cloned().collect();
        expected.reverse();
        holds(!expected.is_empty() && expected.len() < all.len(), "the filter distinguishes")?;
        same(
            listed(&world, &filter, 2).await?,
            expected,
            &format!("what is wanted, and nothing else: {filter:?}"),
        )?;
    }
    Ok(())
}

async fn every_field_of_an_entry_is_kept(world: World) -> Verdict {
    let mut entries = Vec::new();
    for actor in [
        Actor::member(world.acme.clone(), "mia"),
        Actor::org_admin(world.acme.clone(), "Zoë ✓"),
        Actor::super_admin(world.acme.clone(), "root"),
        Actor::system(world.acme.clone(), "crossdock"),
    ] {
        let id = ActivityId::mint(at(1), world.random());
        let entry = Activity::new(id, at(1), &actor, ActivityKind::SecretRotated, Subject::from("wh_7"));
        entries.push(entry.with_detail("reason", "leak").with_detail("overlap", ""));
    }
    write(&world, entries.clone()).await?;

    entries.reverse();
    same(listed(&world, &ActivityFilter::default(), 10).await?, entries, "as it was")
}

async fn an_error_is_told_by_its_kind(world: World) -> Verdict {
    let mut entries = Vec::new();
    for (second, &kind) in (0..).zip(ActivityKind::ALL) {
        entries.push(world.entry(&world.acme, kind, at(second)));
    }
    world.stores.activity.append(entries.clone()).await?;

    let mut expected: Vec<_> = entries.iter().filter(|entry| entry.kind.is_error()).cloned().collect();
    expected.reverse();
    same(
        listed(&world, &ActivityFilter::errors(), 3).await?,
        expected,
        "every kind that is one, and no other",
    )?;

    let mut narrowed = ActivityFilter::errors();
    narrowed.kind = Some(ActivityKind::WebhookCreated);
    same(listed(&world, &narrowed, 10).await?, Vec::new(), "a kind that is none is none")
}

async fn entries_of_several_tenants_are_appended_in_one_step(world: World) -> Verdict {
    let own: Vec<_> =
        (0..3).map(|second| world.entry(&world.acme, ActivityKind::ApiCalled, at(second))).collect();
    let others = world.entry(&world.other, ActivityKind::ApiCallFailed, at(1));
    let all = vec![own[0].clone(), others.clone(), own[1].clone(), own[2].clone()];

    world.stores.activity.append(all).await?;
    world.stores.activity.append(Vec::new()).await?;

    let mut expected = own;
    expected.reverse();
    same(listed(&world, &ActivityFilter::default(), 2).await?, expected, "each stands in its tenant's log")?;
    let page = PageRequest::first(10);
    let found = world.stores.activity.activity(&world.other, &ActivityFilter::default(), page).await?;
    same(found.items, vec![others], "and in no other")
}

async fn an_entry_that_is_there_is_not_written_again(world: World) -> Verdict {
    let entry = world.entry(&world.acme, ActivityKind::ApiCalled, at(0));
    let others = Activity { tenant: world.other.clone(), ..entry.clone() };
    let changed = entry.clone().with_detail("count", "2");
    let more = world.entry(&world.acme, ActivityKind::ApiCalled, at(1));
    world.stores.activity.append(vec![entry.clone(), others.clone()]).await?;

    world.stores.activity.append(vec![changed, more.clone()]).await?;

    let found = listed(&world, &ActivityFilter::default(), 10).await?;
    same(found, vec![more, entry], "it is as it was written first, and what came with it is there")?;
    let page = PageRequest::first(10);
    let found = world.stores.activity.activity(&world.other, &ActivityFilter::default(), page).await?;
    same(found.items, vec![others], "another tenant's entry with this id is another entry")
}
