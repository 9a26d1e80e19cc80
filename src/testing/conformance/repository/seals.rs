//! `tenants` and `reseal`: what goes over the secrets of all tenants.

use http::HeaderName;

use crate::activity::model::Activity;
use crate::ports::Sealed;
use crate::tenancy::model::TenantId;
use crate::testing::conformance::world::{Found, World, at, tenant};
use crate::testing::conformance::{Check, StoreHarness, Verdict, holds, same, there};
use crate::webhooks::model::{
    Fate, HealthChange, StoredAuth, StoredSecret, TenantDefaults, Version, Webhook,
};
use crate::webhooks::repository::{Change, Resealed};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["seals":
        every_tenant_with_a_webhook_or_defaults_is_listed_once,
        tenants_are_listed_in_the_order_of_their_bytes,
        tenants_are_listed_in_parts,
        a_tenant_whose_last_webhook_is_gone_is_not_listed,
        a_seal_takes_the_place_of_another_wherever_it_stands,
        resealing_changes_nothing_else,
        a_save_made_from_before_a_reseal_is_no_conflict,
        what_is_claimed_next_carries_the_new_seal,
        what_is_no_longer_there_is_passed_over_and_not_counted,
        another_tenants_seals_stay_as_they_are,
    ]
}

fn sealed(text: &str) -> Sealed {
    Sealed::new(text.as_bytes().to_vec())
}

async fn webhook_for(world: &World, name: &str) -> Found<TenantId> {
    let tenant = tenant(name)?;
    world.insert(world.webhook_of(&tenant, at(0))?).await?;
    Ok(tenant)
}

async fn save_defaults(world: &World, tenant: &TenantId, auth: StoredAuth) -> Found<TenantDefaults> {
    let mut defaults = TenantDefaults::new(tenant.clone());
    defaults.auth = Some(auth);
    defaults.version = Version::FIRST;
    let change = Change::Defaults { defaults: defaults.clone(), expected: Version::NONE };
    world.stores.repository.save(tenant, vec![change], Vec::<Activity>::new(), at(0)).await?;
    Ok(defaults)
}

async fn names(world: &World, after: Option<&TenantId>, limit: usize) -> Found<Vec<String>> {
    let found = world.stores.repository.tenants(after, limit).await?;
    Ok(found.iter().map(|tenant| tenant.as_str().to_owned()).collect())
}

async fn every_tenant_with_a_webhook_or_defaults_is_listed_once(world: World) -> Verdict {
    same(names(&world, None, 10).await?.len(), 0, "at first there is nobody")?;
    webhook_for(&world, "both").await?;
    webhook_for(&world, "both").await?;
    save_defaults(&world, &tenant("both")?, StoredAuth::None).await?;
    save_defaults(&world, &tenant("defaults")?, StoredAuth::None).await?;
    webhook_for(&world, "webhook").await?;
    world.publish(vec![world.head_of(&tenant("events")?, at(0))?], at(0)).await?;
    // Reading what was never set sets nothing.
    world.stores.repository.defaults(&tenant("reader")?).await?;

    same(names(&world, None, 10).await?, ["both", "defaults", "webhook"].map(str::to_owned).into(), "those")
}

async fn tenants_are_listed_in_the_order_of_their_bytes(world: World) -> Verdict {
    let in_order = [" ", "10", "9", "A", "Z", "a", "a b", "a-b", "aB", "a_b", "ab", "ä", "日本"];
    for name in in_order.iter().rev() {
        webhook_for(&world, name).await?;
    }

    same(names(&world, None, 50).await?, in_order.map(str::to_owned).into(), "no language has a say in it")?;
    for (index, name) in in_order.iter().enumerate() {
        let behind = names(&world, Some(&tenant(name)?), 50).await?;
        same(
            behind,
            in_order[index + 1..].iter().map(|name| (*name).to_owned()).collect(),
            "behind each one",
        )?;
    }
    Ok(())
}

async fn tenants_are_listed_in_parts(world: World) -> Verdict {
    for name in ["a", "b", "d", "e"] {
        webhook_for(&world, name).await?;
    }

    same(names(&world, None, 2).await?, vec!["a".to_owned(), "b".to_owned()], "the first two")?;
    let behind = tenant("c")?;
    same(names(&world, Some(&behind), 1).await?, vec!["d".to_owned()], "behind one that does not exist")?;
    same(names(&world, Some(&tenant("e")?), 5).await?.len(), 0, "nobody is behind the last one")
}

async fn a_tenant_whose_last_webhook_is_gone_is_not_listed(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.remove(&webhook, at(1)).await?;

    same(names(&world, None, 10).await?.len(), 0, "it has nothing any more")
}

/// Every place in which a webhook can hold a seal, one login at a time.
fn logins() -> [StoredAuth; 3] {
    let header = |name: &'static str, seal| (HeaderName::from_static(name), sealed(seal));
    [
        StoredAuth::Basic { username: "ada".into(), password: Some(sealed("old")) },
        StoredAuth::Bearer { token: sealed("old") },
        StoredAuth::Headers(vec![header("x-one", "other"), header("x-two", "old")]),
    ]
}

fn with_secrets(webhook: &mut Webhook, seals: &[&str]) {
    webhook.secrets = seals.iter().map(|seal| StoredSecret::new(sealed(seal), at(0))).collect();
}

async fn a_seal_takes_the_place_of_another_wherever_it_stands(world: World) -> Verdict {
    let repository = &world.stores.repository;
    for (index, auth) in logins().into_iter().enumerate() {
        let webhook = world.webhook_with(|webhook| {
            webhook.auth = Some(auth.clone());
            with_secrets(webhook, &["first", "second"]);
        });
        let webhook = webhook.await?;
        let own = |before, after| Resealed::new(Some(webhook.id), sealed(before), sealed(after));

        let count = repository.reseal(&world.acme, vec![own("old", "new"), own("second", "2nd")]).await?;

        same(count, 2, "both were there")?;
        let mut expected = webhook.clone();
        expected.reseal(&sealed("old"), &sealed("new"));
        expected.reseal(&sealed("second"), &sealed("2nd"));
        same((*world.stored(&webhook).await?).clone(), expected, "each in its place")?;

        let tenant = tenant(&format!("tenant-{index}"))?;
        let mut defaults = save_defaults(&world, &tenant, auth).await?;
        let shared = Resealed::new(None, sealed("old"), sealed("new"));
        same(repository.reseal(&tenant, vec![shared]).await?, 1, "defaults hold seals as well")?;
        defaults.reseal(&sealed("old"), &sealed("new"));
        same((*repository.defaults(&tenant).await?).clone(), defaults, "and nothing else of them changed")?;
    }
    Ok(())
}

async fn resealing_changes_nothing_else(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| with_secrets(webhook, &["old"])).await?;
    world.send(2, at(0)).await?;
    let repository = &world.stores.repository;
    let before = (
        repository.health(&world.acme, webhook.id).await?,
        repository.backlog(&world.acme, Some(webhook.id), at(1)).await?,
        world.records(&world.acme).await?,
        world.log().await?,
    );

    let seal = Resealed::new(Some(webhook.id), sealed("old"), sealed("new"));
    repository.reseal(&world.acme, vec![seal]).await?;

    let stored = world.stored(&webhook).await?;
    same((stored.version, stored.updated_at), (webhook.version, webhook.updated_at), "no version, no time")?;
    let after = (
        repository.health(&world.acme, webhook.id).await?,
        repository.backlog(&world.acme, Some(webhook.id), at(1)).await?,
        world.records(&world.acme).await?,
        world.log().await?,
    );
    same(after, before, "no health, no delivery, no entry in the log")
}

async fn a_save_made_from_before_a_reseal_is_no_conflict(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| with_secrets(webhook, &["old"])).await?;
    let claim_before = {
        world.send(1, at(0)).await?;
        world.claim_one(at(0)).await?
    };

    let seal = Resealed::new(Some(webhook.id), sealed("old"), sealed("new"));
    world.stores.repository.reseal(&world.acme, vec![seal]).await?;

    // A result of before counts, and so does a change that somebody was about to save.
    let mut result = world.result(&claim_before, Fate::RetryAt(at(900)), at(1));
    result.health = HealthChange::Failure { first: true };
    world.settle_all(&[result], at(1)).await?;
    let health = there(world.stores.repository.health(&world.acme, webhook.id).await?, "health")?;
    holds(health.is_failing(), "a result of before the reseal is one of the present webhook")?;
    let changed = world.change(&webhook, at(2), |webhook| webhook.name = "renamed".into()).await?;
    same(changed.version, webhook.version.next(), "the version went on by one")
}

async fn what_is_claimed_next_carries_the_new_seal(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| with_secrets(webhook, &["old"])).await?;
    save_defaults(&world, &world.acme, StoredAuth::Bearer { token: sealed("old") }).await?;
    world.send(1, at(0)).await?;

    let own = Resealed::new(Some(webhook.id), sealed("old"), sealed("new"));
    let shared = Resealed::new(None, sealed("old"), sealed("new"));
    same(world.stores.repository.reseal(&world.acme, vec![own, shared]).await?, 2, "both")?;

    let claim = world.claim_one(at(0)).await?;
    same(claim.webhook.seals().cloned().collect(), vec![sealed("new")], "the webhook's")?;
    same(claim.defaults.seals().cloned().collect(), vec![sealed("new")], "and the tenant's")
}

async fn what_is_no_longer_there_is_passed_over_and_not_counted(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| with_secrets(webhook, &["present"])).await?;
    let gone = world.webhook_with(|webhook| with_secrets(webhook, &["old"])).await?;
    world.remove(&gone, at(1)).await?;
    let never = world.webhook_of(&world.acme, at(0))?;

    let of = |id, before: &str| Resealed::new(id, sealed(before), sealed("new"));
    let seals = vec![
        of(Some(webhook.id), "old"),
        of(Some(gone.id), "old"),
        of(Some(never.id), "old"),
        of(None, "old"),
        of(Some(webhook.id), "present"),
    ];
    same(world.stores.repository.reseal(&world.acme, seals).await?, 1, "one was there")?;

    let stored = world.stored(&webhook).await?;
    same(stored.seals().cloned().collect(), vec![sealed("new")], "and was taken")?;
    same(world.stores.repository.reseal(&world.acme, Vec::new()).await?, 0, "nothing is nothing")
}

async fn another_tenants_seals_stay_as_they_are(world: World) -> Verdict {
    let webhook = world.webhook_with(|webhook| with_secrets(webhook, &["old"])).await?;
    save_defaults(&world, &world.acme, StoredAuth::Bearer { token: sealed("old") }).await?;

    let own = Resealed::new(Some(webhook.id), sealed("old"), sealed("new"));
    let shared = Resealed::new(None, sealed("old"), sealed("new"));
    same(
        world.stores.repository.reseal(&world.other, vec![own, shared]).await?,
        0,
        "it has no such records",
    )?;

    same(world.stored(&webhook).await?.seals().cloned().collect(), vec![sealed("old")], "untouched")?;
    let defaults = world.stores.repository.defaults(&world.acme).await?;
    same(defaults.seals().cloned().collect(), vec![sealed("old")], "untouched as well")
}
