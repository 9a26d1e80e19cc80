//! Webhooks: what is kept, how they are listed, and what their state does to their deliveries.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::events::envelope::{CloudEventsFormat, FlatFormat, PayloadFormat, StandardFormat};
use crate::lanes::throttle::RateLimit;
use crate::ports::Sealed;
use crate::primitives::page::PageRequest;
use crate::tenancy::model::Entitlement;
use crate::testing::conformance::world::{BY_KEY, World, at, pattern};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same};
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{
    DeliveryStatus, Fate, LoginHosts, SkipReason, StoredAuth, StoredSecret, TenantDefaults, WebhookState,
};
use crate::webhooks::repository::{Backlog, Change};
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::sign::SignatureScheme;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["webhooks":
        every_field_of_a_webhook_is_kept,
        every_format_and_scheme_is_kept,
        every_field_of_the_defaults_is_kept,
        every_state_is_kept,
        webhooks_are_listed_in_the_order_of_creation,
        every_webhook_that_exists_throughout_is_on_one_page,
        a_disabled_webhooks_waiting_deliveries_are_skipped,
        a_removed_webhooks_waiting_deliveries_are_skipped,
        a_paused_webhooks_deliveries_wait,
        what_was_skipped_stays_skipped,
        health_is_of_webhooks_that_exist,
        a_backlog_says_how_much_is_undone,
    ]
}

async fn every_field_of_a_webhook_is_kept(world: World) -> Verdict {
    let mut webhook = world.webhook_of(&world.acme, at(0))?;
    webhook.name = "ERP – Zürich".into();
    webhook.owner = Some("merchant_9".into());
    webhook.events = vec![pattern("shipment.*")?, pattern("order.created")?];
    webhook.channels = vec!["eu".into(), "b2b".into()];
    webhook.entitlements = [Entitlement::from("edi"), Entitlement::from("forecasts")].into();
    let mut old = StoredSecret::new(Sealed::new(vec![0, 1, 2, 255]), at(-100));
    old.expires_at = Some(at(50));
    webhook.secrets = vec![StoredSecret::new(Sealed::new(vec![7; 60]), at(0)), old];
    webhook.auth =
        Some(StoredAuth::Basic { username: "ada".into(), password: Some(Sealed::new(vec![9; 50])) });
    webhook.headers = vec![
        (HeaderName::from_static("x-one"), HeaderValue::from_static("1")),
        (HeaderName::from_static("x-one"), HeaderValue::from_static("2")),
    ];
    webhook.retry = Some(RetryPolicy::after_seconds([1, 2, 3]));
    webhook.timeout = Some(Duration::from_millis(2_500));
    let rate = RateLimit::per_second(2.5).and_then(|rate| rate.with_burst(7));
    webhook.rate_limit = Some(rate.map_err(|error| Failure(error.to_string()))?);
    webhook.max_in_flight = Some(3);
    webhook.ordering = BY_KEY;
    let networks = ["203.0.113.0/24", "2001:db8::/32"].map(str::parse);
    webhook.destinations = Arc::from(networks.into_iter().flatten().collect::<Vec<_>>());
    webhook.metadata = [("team".to_owned(), "logistics".to_owned())].into();

    world.insert(webhook.clone()).await?;

    same(&*world.stored(&webhook).await?, &webhook, "it is kept as it was")?;
    let exponential = RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(60), 9);
    let auths = [
        StoredAuth::None,
        StoredAuth::Bearer { token: Sealed::new(vec![3; 40]) },
        StoredAuth::Headers(vec![(HeaderName::from_static("x-api-key"), Sealed::new(vec![4; 44]))]),
        StoredAuth::Basic { username: String::new(), password: None },
    ];
    for auth in auths {
        let retry = exponential.clone().map_err(|error| Failure(error.to_string()))?;
        let changed = world
            .change(&webhook, at(1), |webhook| {
                webhook.auth = Some(auth);
                webhook.retry = Some(retry);
            })
            .await?;
        same(&*world.stored(&webhook).await?, &changed, "also after a change")?;
    }
    Ok(())
}

async fn every_format_and_scheme_is_kept(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let refused = |error: &dyn std::error::Error| Failure(error.to_string());
    let cloud_events = CloudEventsFormat::binary("https://api.example.com/shop")
        .and_then(|format| format.with_type_prefix("com.example."))
        .map_err(|error| refused(&error))?;
    let standard = StandardFormat::new().with_type_field("eventType").map_err(|error| refused(&error))?;
    let formats = [
        PayloadFormat::Standard(standard),
        PayloadFormat::CloudEvents(cloud_events),
        PayloadFormat::Flat(FlatFormat::new()),
        PayloadFormat::from("edifact"),
    ];
    let stripe = SignatureScheme::stripe("x-stripe-like").map_err(|error| refused(&error))?;
    let schemes =
        vec![SignatureScheme::Standard, SignatureScheme::StandardEd25519, SignatureScheme::github(), stripe];

    for format in formats {
        let changed = world
            .change(&webhook, at(1), |webhook| {
                webhook.format = format;
                webhook.schemes = schemes.clone();
            })
            .await?;
        same(&*world.stored(&webhook).await?, &changed, "they are kept as they were, in their order")?;
    }
    let document = "{\"const\": 12345678901234567890.10,\n \"note\": \"a\\u0000 \u{1f980}\"}";
    let changed = world.change(&webhook, at(2), |webhook| webhook.mapping = Some(document.into())).await?;
    same(&*world.stored(&webhook).await?, &changed, "a mapping is kept as it was typed, whatever its numbers")
}

async fn every_field_of_the_defaults_is_kept(world: World) -> Verdict {
    let mut defaults = TenantDefaults::new(world.acme.clone());
    defaults.auth =
        Some(StoredAuth::Basic { username: "ada".into(), password: Some(Sealed::new(vec![1; 40])) });
    defaults.retry = Some(RetryPolicy::none());
    defaults.timeout = Some(Duration::from_secs(9));
    let some = LoginHosts::only(["erp.example.com", "[2001:db8::1]"]);

    for hosts in [LoginHosts::default(), some, LoginHosts::All] {
        let expected = defaults.version;
        (defaults.version, defaults.auth_hosts) = (expected.next(), hosts);
        let changes = vec![Change::Defaults { defaults: defaults.clone(), expected }];
        world.stores.repository.save(&world.acme, changes, Vec::new(), at(0)).await?;

        same(
            &*world.stores.repository.defaults(&world.acme).await?,
            &defaults,
            "they are kept as they were",
        )?;
    }
    Ok(())
}

async fn every_state_is_kept(world: World) -> Verdict {
    use crate::webhooks::model::DisableReason::{Asked, ByPerson, Gone, TooManyFailures};
    let webhook = world.webhook().await?;
    let disabled =
        [ByPerson, Gone, Asked, TooManyFailures].map(|reason| WebhookState::Disabled { reason, at: at(7) });

    for state in [WebhookState::Paused].into_iter().chain(disabled).chain([WebhookState::Active]) {
        world.change(&webhook, at(8), |webhook| webhook.state = state).await?;
        same(world.stored(&webhook).await?.state, state, "it is kept as it was")?;
    }
    Ok(())
}

async fn webhooks_are_listed_in_the_order_of_creation(world: World) -> Verdict {
    let mut made = Vec::new();
    for second in 0..5 {
        let webhook = world.webhook_of(&world.acme, at(second))?;
        made.push(world.insert(webhook).await?);
    }
    let changed = world.change(&made[1], at(9), |webhook| webhook.name = "changed".into()).await?;
    made[1] = changed;
    let removed = made.remove(3);
    world.remove(&removed, at(9)).await?;

    let page = world.stores.repository.webhooks(&world.acme, PageRequest::first(10)).await?;

    let listed: Vec<_> = page.items.iter().map(|webhook| (**webhook).clone()).collect();
    same(listed, made, "those that exist, in the order of creation, as they are now")?;
    same(page.next, None, "on one page")
}

async fn every_webhook_that_exists_throughout_is_on_one_page(world: World) -> Verdict {
    let mut made = Vec::new();
    for second in 0..7 {
        let webhook = world.webhook_of(&world.acme, at(second))?;
        made.push(world.insert(webhook).await?);
    }
    let repository = &world.stores.repository;
    let first = repository.webhooks(&world.acme, PageRequest::first(3)).await?;
    same(first.items.len(), 3, "a full page")?;
    world.remove(&made[2], at(9)).await?;
    let late = world.insert(world.webhook_of(&world.acme, at(9))?).await?;

    let mut ids: Vec<_> = first.items.iter().map(|webhook| webhook.id).collect();
    let mut next = first.next;
    while let Some(cursor) = next {
        let page = repository.webhooks(&world.acme, PageRequest::first(3).after(cursor)).await?;
        holds(page.items.len() <= 3, "no page is too long")?;
        ids.extend(page.items.iter().map(|webhook| webhook.id));
        next = page.next;
    }

    ids.retain(|id| *id != late.id);
    same(ids, made.iter().map(|webhook| webhook.id).collect(), "each once, whatever comes and goes")
}

async fn a_disabled_webhooks_waiting_deliveries_are_skipped(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let other = world.webhook().await?;
    world.send(3, at(0)).await?;
    let claims = world.claim(4, at(0)).await?;
    let mine = claims.iter().filter(|claim| claim.webhook.id == webhook.id).collect::<Vec<_>>();
    let retried = mine[0];
    world.settle(retried, Fate::RetryAt(at(100)), at(1)).await?;

    world.disable(&webhook, at(2)).await?;

    for record in world.records(&world.acme).await? {
        let delivery = record.delivery;
        let is_claimed = mine[1..].iter().any(|claim| claim.delivery == delivery.id);
        if delivery.webhook == other.id || is_claimed {
            same(delivery.status, DeliveryStatus::Pending, "what is claimed, or another's, is not skipped")?;
        } else {
            let skipped = DeliveryStatus::Skipped(SkipReason::WebhookDisabled);
            same(delivery.status, skipped, "what waits is skipped")?;
            same((delivery.updated_at, delivery.next_attempt_at), (at(2), None), "it has ended")?;
        }
    }
    Ok(())
}

async fn a_removed_webhooks_waiting_deliveries_are_skipped(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;

    world.remove(&webhook, at(1)).await?;

    same(world.stores.repository.webhook(&world.acme, webhook.id).await?, None, "it is gone")?;
    let records = world.records(&world.acme).await?;
    same(records.len(), 2, "its deliveries are still listed")?;
    for record in records {
        let expected = if record.delivery.id == claim.delivery {
            DeliveryStatus::Pending
        } else {
            DeliveryStatus::Skipped(SkipReason::WebhookDeleted)
        };
        same(record.delivery.status, expected, "what nobody has claimed is skipped")?;
    }
    Ok(())
}

async fn a_paused_webhooks_deliveries_wait(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    let claim = world.claim_one(at(0)).await?;
    world.pause(&webhook, at(1)).await?;
    world.settle(&claim, Fate::RetryAt(at(5)), at(2)).await?;
    same(world.statuses().await?, vec![DeliveryStatus::Pending; 2], "nothing is lost, what failed included")?;
    holds(world.claim(10, at(10)).await?.is_empty(), "nothing is sent")?;

    world.change(&webhook, at(11), |webhook| webhook.state = WebhookState::Active).await?;

    same(world.claim(10, at(11)).await?.len(), 2, "after it is active again they are due")
}

async fn what_was_skipped_stays_skipped(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    world.send(2, at(0)).await?;
    world.disable(&webhook, at(1)).await?;

    world.change(&webhook, at(2), |webhook| webhook.state = WebhookState::Active).await?;

    holds(world.claim(10, at(2)).await?.is_empty(), "nothing comes back by itself")?;
    world.send(1, at(3)).await?;
    same(world.claim(10, at(3)).await?.len(), 1, "what is new is sent")
}

async fn health_is_of_webhooks_that_exist(world: World) -> Verdict {
    let webhook = world.webhook().await?;
    let health = world.stores.repository.health(&world.acme, webhook.id).await?;
    same(health, Some(WebhookHealth::default()), "a new webhook's health is blank")?;

    world.remove(&webhook, at(1)).await?;

    same(
        world.stores.repository.health(&world.acme, webhook.id).await?,
        None,
        "there is none of a removed one",
    )
}

async fn a_backlog_says_how_much_is_undone(world: World) -> Verdict {
    let one = world.webhook().await?;
    world.send(2, at(1)).await?;
    let two = world.webhook().await?;
    world.send(1, at(2)).await?;
    let backlog = |webhook| world.stores.repository.backlog(&world.acme, webhook, at(10));
    let undone = |backlog: Backlog| (backlog.undelivered, backlog.oldest);
    same(undone(backlog(Some(one.id)).await?), (3, Some(at(1))), "of one webhook")?;
    same(undone(backlog(Some(two.id)).await?), (1, Some(at(2))), "of the other")?;
    same(undone(backlog(None).await?), (4, Some(at(1))), "of all the tenant's")?;

    let claims = world.claim(10, at(3)).await?;
    let ones: Vec<_> = claims.iter().filter(|claim| claim.webhook.id == one.id).collect();
    world.settle(ones[0], Fate::Delivered, at(4)).await?;
    let mut stopped = world.result(ones[1], Fate::Stop, at(4));
    stopped.pause_until = Some(at(60));
    world.settle_all(&[stopped], at(4)).await?;

    let after = backlog(Some(one.id)).await?;
    same(after.undelivered, 2, "what is stopped is undone, what is delivered is not")?;
    same(after.held_until, Some(at(60)), "and says until when it is held back")?;
    world.disable(&two, at(5)).await?;
    let ended: u64 = backlog(Some(two.id)).await?.undelivered;
    same(ended, 1, "what is claimed is undone still")?;
    let nobody = world.webhook_of(&world.acme, at(0))?.id;
    same(backlog(Some(nobody)).await?, Backlog::default(), "of a webhook that does not exist: nothing")
}
