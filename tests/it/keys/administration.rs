//! Who may see and change keys, and what is written about it.

use crossdock::activity::ActivityFilter;
use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{
    ApiKeyAdmin, ApiKeySettings, KeyFilter, KeyStatus, LeakPolicy, LeakReport, NewApiKey, Peppers,
    Permission, Refusal, Regeneration,
};
use crossdock::primitives::{ApiKeyId, PageRequest};
use crossdock::tenancy::{AccessPolicy, Actor, Role};
use crossdock::testing::ManualClock;
use crossdock::{Error, ErrorKind, Hub};
use libtest_mimic::Trial;

use super::{DAY, HOUR, PEPPER, SECOND, Told, house, house_on, house_with, reader, settings, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("each_role_may_do_what_the_policy_says_and_nothing_else", roles),
        story("every_change_is_in_the_log_with_its_actor", log),
        story("revoking_is_final", revoked),
        story("a_change_that_changes_nothing_is_fine", idempotent),
        story("lists_filter_by_status", statuses),
        story("a_tenant_has_no_more_keys_than_it_may", most_keys),
        story("a_key_makes_no_key_that_may_do_more", by_key),
        story("a_leaked_token_is_revoked_and_told_of", leaked),
        story("a_policy_can_mark_a_leaked_key_only", marked),
        story("a_report_with_a_wrong_secret_touches_nothing", wrong_report),
        story("a_hub_with_a_store_of_its_own_says_where_keys_are_kept", unconfigured),
        story("a_hub_says_what_is_wrong_with_its_settings", wrong_settings),
    ]
}

/// Calls that only look.
pub(super) const READS: &[&str] = &["list", "details", "refusals"];
/// Calls that change something.
pub(super) const CHANGES: &[&str] = &["create", "disable", "enable", "regenerate", "revoke", "report"];

/// Makes one call and answers with what can be seen of it.
pub(super) async fn call(keys: &ApiKeyAdmin, name: &str, id: ApiKeyId, token: &str) -> Result<String, Error> {
    let page = PageRequest::first(10);
    Ok(match name {
        "list" => format!("{:?}", keys.list(&KeyFilter::new(), page).await?),
        "details" => format!("{:?}", keys.details(id).await?),
        "refusals" => format!("{:?}", keys.refusals(id, page).await?),
        "create" => keys.create(reader()).await.map(|_| String::new())?,
        "disable" => format!("{:?}", keys.disable(id).await?),
        "enable" => format!("{:?}", keys.enable(id).await?),
        "regenerate" => keys.regenerate(id, Regeneration::new()).await.map(|_| String::new())?,
        "revoke" => format!("{:?}", keys.revoke(id, "gone").await?),
        "report" => format!("{:?}", keys.report_leaked(token).await?),
        _ => panic!("no such call: {name}"),
    })
}

async fn roles() -> Told {
    for role in [Role::Member, Role::OrgAdmin, Role::SuperAdmin, Role::System] {
        let house = house_with(ManualClock::new(), 7, |builder| {
            builder.access(AccessPolicy::default().manage_requires_any(["api"]))
        })?;
        let owner = Actor::org_admin("acme".parse()?, "ada").with_entitlement("api");
        let created = house.hub.admin(owner).api_keys().create(reader()).await?;
        for entitled in [false, true] {
            let actor = Actor::new("acme".parse()?, "x", role);
            let actor = if entitled { actor.with_entitlement("api") } else { actor };
            let keys = house.hub.admin(actor).api_keys();
            let may_read = role != Role::SuperAdmin;
            let may_manage = role == Role::System || (role == Role::OrgAdmin && entitled);
            for (names, may) in [(READS, may_read), (CHANGES, may_manage)] {
                for &name in names {
                    // Whatever it answers, it is not "denied" if it is allowed.
                    let answer = call(&keys, name, created.key.id, created.token.reveal()).await;
                    let denied = answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Denied);
                    assert_eq!(denied, !may, "{role:?} {entitled} {name}: {answer:?}");
                }
            }
        }
    }
    Ok(())
}

async fn log() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let created = house.key(reader()).await?;
    let id = created.key.id;
    house.pass(SECOND);
    keys.disable(id).await?;
    house.pass(SECOND);
    keys.enable(id).await?;
    house.pass(SECOND);
    keys.regenerate(id, Regeneration::new()).await?;
    house.pass(SECOND);
    keys.report_leaked(created.token.reveal()).await?;
    house.pass(SECOND);
    let other = house.key(reader()).await?.key.id;
    house.pass(SECOND);
    keys.revoke(other, "the project has ended").await?;

    let admin = house.hub.admin(Actor::member("acme".parse()?, "mia"));
    let log = admin.activity().list(&ActivityFilter::default(), PageRequest::default()).await?.items;

    let told: Vec<_> = log.iter().rev().map(|entry| (entry.kind.as_str(), &*entry.actor)).collect();
    let expected = [
        "key.created",
        "key.disabled",
        "key.enabled",
        "key.regenerated",
        "key.leaked",
        "key.created",
        "key.revoked",
    ];
    assert_eq!(told, expected.map(|kind| (kind, "ada")));
    assert_eq!(log[0].details.get("reason").map(String::as_str), Some("the project has ended"));
    assert_eq!(log[0].subject.as_str(), other.to_string());
    Ok(())
}

async fn revoked() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let created = house.key(reader()).await?;
    let id = created.key.id;
    keys.revoke(id, "first").await?;

    for name in ["disable", "enable", "regenerate"] {
        let error = call(&keys, name, id, "").await.err().ok_or("refused")?;
        assert_eq!(error.kind(), ErrorKind::Conflict, "{name}");
    }
    let again = keys.revoke(id, "second").await?;

    assert!(format!("{:?}", again.state).contains("first"), "the first reason stays");
    assert_eq!(house.refusal(created.token.reveal()).await, Some(Refusal::Revoked));
    let long = keys.revoke(id, &"x".repeat(501)).await.err().ok_or("refused")?;
    assert_eq!(&*long.problems()[0].field, "reason");
    Ok(())
}

async fn idempotent() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let id = house.key(reader()).await?.key.id;
    for name in ["enable", "disable", "disable", "enable", "enable", "revoke", "revoke"] {
        call(&keys, name, id, "").await?;
    }

    let admin = house.hub.admin(Actor::member("acme".parse()?, "mia"));
    let log = admin.activity().list(&ActivityFilter::default(), PageRequest::default()).await?.items;

    assert_eq!(log.len(), 4, "what changes nothing is not logged: {log:?}");
    Ok(())
}

async fn statuses() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let names = [
        "active",
        "expiring",
        "rotating",
        "disabled",
        "not_yet_valid",
        "expired",
        "exhausted",
        "revoked",
        "leaked",
    ];
    let mut made = Vec::new();
    for name in names {
        let new = NewApiKey::new(name).allow([Permission::Read]);
        let new = match name {
            "expiring" => new.expires_at(house.now() + DAY),
            "not_yet_valid" => new.not_before(house.now() + 2 * DAY),
            "expired" => new.expires_at(house.now() + HOUR),
            "exhausted" => new.max_uses(1),
            _ => new,
        };
        made.push(keys.create(new).await?);
    }
    keys.regenerate(made[2].key.id, Regeneration::new()).await?;
    keys.disable(made[3].key.id).await?;
    house.get(made[6].token.reveal()).await?;
    keys.revoke(made[7].key.id, "").await?;
    keys.report_leaked(made[8].token.reveal()).await?;
    house.pass(HOUR);

    let all = keys.list(&KeyFilter::new(), PageRequest::default()).await?.items;
    assert_eq!(all.len(), names.len() + 1);
    for (name, made) in names.iter().zip(&made) {
        let status = all.iter().find(|key| key.id == made.key.id).ok_or("listed")?.status;
        assert_eq!(status.as_str(), *name);
        let alone = keys.list(&KeyFilter::new().status(status), PageRequest::default()).await?.items;
        let expected = if status == KeyStatus::Active { 2 } else { 1 };
        assert_eq!(alone.len(), expected, "{name}");
    }
    Ok(())
}

async fn most_keys() -> Told {
    let house = house_on(MemoryStore::new(), settings().max_keys(2))?;
    let first = house.key(reader()).await?.key.id;
    house.key(reader()).await?;

    let error = house.key(reader()).await.err().ok_or("refused")?;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(house.keys("other").create(reader()).await.is_ok(), "each tenant for itself");
    house.keys("acme").revoke(first, "").await?;

    assert!(house.key(reader()).await.is_ok(), "a revoked key makes room");
    Ok(())
}

async fn by_key() -> Told {
    let house = house()?;
    let admin_key =
        house.key(NewApiKey::new("a").allow([Permission::Read, Permission::Admin]).scopes(["orders:write"]));
    let admin_token = admin_key.await?.token;
    let plain_token = house.key(reader()).await?.token;
    let strong = house.key(NewApiKey::new("s").allow([Permission::Read, Permission::Delete])).await?.key.id;

    let plain = house.get(plain_token.reveal()).await?;
    let denied = house.hub.admin_by_key(&plain).err().ok_or("denied")?;
    assert_eq!(denied.kind(), ErrorKind::Denied);
    let caller = house.get(admin_token.reveal()).await?;
    let keys = house.hub.admin_by_key(&caller)?.api_keys();

    for (new, may) in [
        (NewApiKey::new("x").allow([Permission::Read]), true),
        (NewApiKey::new("x").allow([Permission::Read, Permission::Admin]).scopes(["orders/7:write"]), true),
        (NewApiKey::new("x").scopes(["stock:read"]), true),
        (NewApiKey::new("x").allow([Permission::Write]), false),
        (NewApiKey::new("x").allow(Permission::ALL), false),
    ] {
        let answer = keys.create(new.clone()).await;
        let kind = answer.as_ref().err().map(Error::kind);
        assert_eq!(kind, (!may).then_some(ErrorKind::Denied), "{new:?}");
        if let Ok(created) = answer {
            assert_eq!(*created.key.created_by, *caller.key().to_string());
        }
    }
    let error = keys.regenerate(strong, Regeneration::new()).await.err().ok_or("denied")?;
    assert_eq!(error.kind(), ErrorKind::Denied, "nor does it get the token of one");
    assert!(keys.revoke(strong, "").await.is_ok(), "taking away gives nothing");
    Ok(())
}

async fn leaked() -> Told {
    let house = house()?;
    let mut heard = house.hub.gate().leaks();
    let created = house.key(reader()).await?;
    house.get(created.token.reveal()).await?;

    let report = house.hub.gate().report_leaked(created.token.reveal()).await?;

    let LeakReport::Known(leaked) = report else { return Err("known".into()) };
    assert_eq!((leaked.key, leaked.revoked, &*leaked.name), (created.key.id, true, "ERP"));
    assert_eq!(house.refusal(created.token.reveal()).await, Some(Refusal::Leaked));
    assert_eq!(heard.drain(), [leaked]);
    let again = house.hub.gate().report_leaked(created.token.reveal()).await?;
    assert!(matches!(again, LeakReport::Known(_)));
    assert!(heard.drain().is_empty(), "once is enough");
    assert_eq!(house.keys("acme").details(created.key.id).await?.key.status, KeyStatus::Leaked);
    Ok(())
}

async fn marked() -> Told {
    let house = house_on(MemoryStore::new(), settings().on_leak(LeakPolicy::Mark))?;
    let created = house.key(reader()).await?;

    house.hub.gate().report_leaked(created.token.reveal()).await?;

    assert_eq!(house.refusal(created.token.reveal()).await, None, "it goes on");
    assert_eq!(house.keys("acme").details(created.key.id).await?.key.status, KeyStatus::Leaked);
    house.keys("acme").revoke(created.key.id, "").await?;
    assert_eq!(house.refusal(created.token.reveal()).await, Some(Refusal::Leaked));
    Ok(())
}

async fn wrong_report() -> Told {
    let house = house()?;
    let created = house.key(reader()).await?;
    let token = created.token.reveal();
    let form = crossdock::api_keys::TokenForm::new("cd")?;
    let id = form.parse(token.as_bytes())?.id();
    let forged = form.mint(crossdock::api_keys::Environment::Live, id, &[1; 32]);
    let mistyped = format!("{}x", &token[..token.len() - 1]);

    for report in [forged.reveal(), &mistyped, "", "garbage", &token[..40]] {
        assert_eq!(house.hub.gate().report_leaked(report).await?, LeakReport::Unknown);
    }
    assert_eq!(house.keys("other").report_leaked(token).await?, LeakReport::Unknown, "nor another tenant's");

    assert_eq!(house.refusal(token).await, None);
    assert_eq!(house.keys("acme").details(created.key.id).await?.key.status, KeyStatus::Active);
    Ok(())
}

async fn unconfigured() -> Told {
    let house = house_with(ManualClock::new(), 7, |builder| builder.store(MemoryStore::new()))?;

    let error = house.key(reader()).await.err().ok_or("refused")?;

    assert_eq!((error.kind(), &*error.problems()[0].field), (ErrorKind::Unconfigured, "key_store"));
    let form = crossdock::api_keys::TokenForm::new("cd")?;
    let token = form.mint(Default::default(), crossdock::api_keys::PublicId::mint([1; 16]), &[1; 32]);
    assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Unavailable));
    Ok(())
}

async fn wrong_settings() -> Told {
    let error = Hub::builder().api_keys(ApiKeySettings::new().prefix("Acme").max_keys(0)).build().err();

    let error = error.ok_or("refused")?;
    let fields: Vec<_> = error.problems().iter().map(|problem| &*problem.field).collect();
    assert_eq!(fields, ["api_keys.prefix", "api_keys.max_keys"]);

    let lasting = super::store::Lasting(MemoryStore::new());
    let error = Hub::builder().key_store(lasting.clone()).build().err().ok_or("refused")?;
    assert_eq!(&*error.problems()[0].field, "peppers");
    assert!(Hub::builder().key_store(lasting).peppers(Peppers::new("2026", PEPPER)?).build().is_ok());
    Ok(())
}
