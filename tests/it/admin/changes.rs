//! Changes are whole, optimistic, logged, and made together or not at all.

use std::time::Duration;

use crossdock::activity::{ActivityFilter, ActivityKind};
use crossdock::primitives::PageRequest;
use crossdock::testing::Reply;
use crossdock::webhooks::{
    Auth, DefaultsUpdate, DeliveryStatus, DisableReason, NewWebhook, NoticeKind, Rotation, Settings,
    SkipReason, Version, WebhookQuery, WebhookState, WebhookStep, WebhookUpdate,
};
use crossdock::{ErrorKind, Result};
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, event, fields, house, house_with, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("the_second_of_two_editors_is_told_about_the_first", optimistic),
        story("an_update_is_whole", whole),
        story("changes_are_applied_together_or_not_at_all", all_or_none),
        story("every_problem_of_every_step_is_told_at_once", all_problems),
        story("a_later_step_sees_what_an_earlier_one_has_planned", in_order),
        story("a_paused_webhook_loses_nothing_and_a_disabled_one_records_skips", switches),
        story("a_webhook_that_was_enabled_again_gets_its_chance", second_chance),
        story("every_change_stands_in_the_log_by_name_and_without_values", logged),
        story("a_tenant_has_at_most_so_many_webhooks", limited),
        story("webhooks_are_listed_page_by_page", pages),
        story("the_notice_of_a_disabled_webhook_can_be_subscribed", notice_events),
    ]
}

fn new(url: &str) -> NewWebhook {
    NewWebhook::to(url).events(["*"])
}

async fn count(house: &House) -> Result<usize> {
    Ok(house.admin("t").webhooks().list(WebhookQuery::new()).await?.items.len())
}

async fn optimistic() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let seen = webhooks.create(new("https://erp.example.com/")).await?.webhook;

    let first = webhooks.update(WebhookUpdate::of(&seen).name("first")).await?;
    let second = webhooks.update(WebhookUpdate::of(&seen).name("second")).await;

    assert_eq!((first.version, &*first.name), (Version::new(2), "first"));
    assert_refused(second, ErrorKind::Conflict, &["version"]);
    assert_eq!(webhooks.webhook(seen.id).await?.name, "first");
    // Whoever has looked again may go on; a change that changes nothing is none.
    let third = webhooks.update(WebhookUpdate::of(&first).name("third")).await?;
    assert_eq!(webhooks.update(WebhookUpdate::of(&third)).await?.version, third.version);
    assert_refused(
        webhooks.update(WebhookUpdate::of(&third).version(Version::new(99))).await,
        ErrorKind::Conflict,
        &["version"],
    );
    Ok(())
}

async fn whole() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let full = NewWebhook::new("ERP", "https://erp.example.com/hooks")
        .events(["order.*", "stock.counted"])
        .owner("merchant-7")
        .channels(["eu"])
        .header("x-team", "logistics")
        .retry_after([Duration::from_secs(1)])
        .timeout(Duration::from_secs(3))
        .rate_limit(5.0, 10)
        .max_in_flight(2)
        .destinations(["198.51.100.0/24"])
        .metadata([("region", "eu")]);
    let seen = webhooks.create(full).await?.webhook;

    // Nothing that is not mentioned is lost on the way through a view.
    let renamed = webhooks.update(WebhookUpdate::of(&seen).name("renamed")).await?;
    let mut expected = seen.clone();
    expected.name = "renamed".into();
    expected.version = Version::new(2);
    assert_eq!(renamed, expected);

    let bare = WebhookUpdate::of(&renamed)
        .any_owner()
        .channels::<&str>([])
        .headers::<&str, &str>([])
        .default_retry()
        .default_timeout()
        .unlimited_rate()
        .default_max_in_flight()
        .destinations::<&str>([])
        .metadata::<&str, &str>([]);
    let bare = webhooks.update(bare).await?;
    let plain = webhooks.create(
        NewWebhook::new("renamed", "https://erp.example.com/hooks").events(["order.*", "stock.counted"]),
    );
    let mut plain = plain.await?.webhook;
    (plain.id, plain.version) = (bare.id, bare.version);
    assert_eq!(bare, plain);
    // One wrong field, and nothing of the update is taken.
    let wrong = WebhookUpdate::of(&bare).name("half").url("https://localhost/");
    assert_refused(webhooks.update(wrong).await, ErrorKind::Invalid, &["url"]);
    assert_eq!(webhooks.webhook(bare.id).await?.name, "renamed");
    Ok(())
}

async fn all_or_none() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let webhooks = admin.webhooks();
    let a = webhooks.create(new("https://a.example.com/")).await?.webhook;
    let b = webhooks.create(new("https://b.example.com/")).await?.webhook;
    let steps = |version| {
        vec![
            WebhookStep::create(new("https://c.example.com/")),
            WebhookStep::update(WebhookUpdate::of(&a).name("renamed").version(version)),
            WebhookStep::pause(a.id),
            WebhookStep::delete(b.id),
        ]
    };
    let seen = admin.defaults().await?;
    let with_defaults = |mut steps: Vec<WebhookStep>| {
        steps.push(WebhookStep::defaults(DefaultsUpdate::of(&seen).timeout(Duration::from_secs(3))));
        steps
    };

    let late = webhooks.apply(with_defaults(steps(Version::new(9)))).await;
    assert_refused(late, ErrorKind::Conflict, &["steps[1].version"]);
    assert_eq!(webhooks.webhook(a.id).await?.name, "a.example.com");
    assert_eq!((count(&house).await?, admin.defaults().await?.timeout), (2, None));

    let outcomes = webhooks.apply(with_defaults(steps(a.version))).await?;

    assert!(outcomes[0].secret.is_some());
    assert_eq!(
        outcomes[4].defaults.as_ref().and_then(|defaults| defaults.timeout),
        Some(Duration::from_secs(3))
    );
    let a = webhooks.webhook(a.id).await?;
    // Two steps, one change.
    assert_eq!((&*a.name, a.state, a.version), ("renamed", WebhookState::Paused, Version::new(2)));
    assert_eq!(refused(webhooks.webhook(b.id).await).kind(), ErrorKind::NotFound);
    assert_eq!(count(&house).await?, 2);
    Ok(())
}

async fn all_problems() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let a = webhooks.create(new("https://a.example.com/")).await?.webhook;
    let gone = webhooks.create(new("https://b.example.com/")).await?.webhook;
    webhooks.delete(gone.id).await?;
    webhooks.disable(a.id).await?;

    let error = refused(
        webhooks
            .apply(vec![
                WebhookStep::create(NewWebhook::to("http://c.example.com/")),
                WebhookStep::pause(a.id),
                WebhookStep::pause(gone.id),
                WebhookStep::update(WebhookUpdate::of(&a).header("host", "x")),
            ])
            .await,
    );

    // The input's problems come first: they decide the kind.
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        fields(&error),
        ["steps[0].url", "steps[0].events", "steps[1].state", "steps[2].id", "steps[3].version"]
    );
    let missing = webhooks.apply(vec![WebhookStep::pause(a.id), WebhookStep::enable(gone.id)]).await;
    assert_refused(missing, ErrorKind::NotFound, &["steps[0].state", "steps[1].id"]);
    Ok(())
}

async fn in_order() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let a = webhooks.create(new("https://a.example.com/")).await?.webhook;

    webhooks
        .apply(vec![WebhookStep::disable(a.id), WebhookStep::enable(a.id), WebhookStep::pause(a.id)])
        .await?;
    assert_eq!(webhooks.webhook(a.id).await?.state, WebhookState::Paused);

    let twice = webhooks.apply(vec![WebhookStep::delete(a.id), WebhookStep::delete(a.id)]).await;
    assert_refused(twice, ErrorKind::NotFound, &["steps[1].id"]);
    assert!(webhooks.webhook(a.id).await.is_ok());
    // Nothing to do is done.
    assert!(webhooks.apply(Vec::new()).await?.is_empty());
    Ok(())
}

async fn switches() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let mut notices = house.hub.notices();
    let id = webhooks.create(new("https://a.example.com/").inactive()).await?.webhook.id;
    let statuses = async || -> Result<Vec<DeliveryStatus>> {
        Ok(house.deliveries("t").await?.iter().map(|record| record.delivery.status).collect())
    };
    let skipped = DeliveryStatus::Skipped(SkipReason::WebhookDisabled);

    house.publish("t", "order.paid").await?;
    house.work().await;
    assert_eq!(statuses().await?, [skipped]);

    webhooks.enable(id).await?;
    webhooks.pause(id).await?;
    house.publish("t", "order.paid").await?;
    house.work().await;
    assert_eq!(statuses().await?, [DeliveryStatus::Pending, skipped]);
    assert_eq!(webhooks.webhook(id).await?.backlog.map(|backlog| backlog.undelivered), Some(1));

    webhooks.resume(id).await?;
    house.work().await;
    assert_eq!(statuses().await?, [DeliveryStatus::Delivered, skipped]);

    assert_eq!(notices.drain(), []);
    assert!(!matches!(webhooks.disable(id).await?.state, WebhookState::Active | WebhookState::Paused));
    webhooks.disable(id).await?;
    let told: Vec<_> = notices.drain().into_iter().map(|notice| notice.kind).collect();
    assert_eq!(told, [NoticeKind::Disabled(DisableReason::ByPerson)]);
    assert_refused(webhooks.pause(id).await, ErrorKind::Conflict, &["state"]);
    assert_refused(webhooks.resume(id).await, ErrorKind::Conflict, &["state"]);
    Ok(())
}

async fn second_chance() -> Told {
    let mut settings = Settings::default();
    settings.retry = crossdock::webhooks::RetryPolicy::none();
    let house = house_with(
        |receivers| receivers.everybody([Reply::status(500)]),
        |builder| builder.settings(settings),
    )?;
    let id = house.subscribe("t", "https://a.example.com/").await?;
    let webhooks = house.admin("t").webhooks();
    for _ in 0..30 {
        house.publish("t", "order.paid").await?;
        house.work().await;
        house.clock.advance(Duration::from_secs(6 * 60 * 60));
    }
    let WebhookState::Disabled { reason, .. } = webhooks.webhook(id).await?.state else {
        return Err("a webhook that fails for a week is disabled".into());
    };
    assert_eq!(reason, DisableReason::TooManyFailures);

    webhooks.enable(id).await?;
    house.publish("t", "order.paid").await?;
    house.work().await;

    let view = webhooks.webhook(id).await?;
    assert_eq!(view.state, WebhookState::Active);
    assert_eq!(view.health.map(|health| health.failed_deliveries), Some(1));
    Ok(())
}

async fn logged() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let webhooks = admin.webhooks();
    // Entries of one and the same millisecond have no order.
    let tick = || house.clock.advance(Duration::from_millis(1));
    let seen = webhooks.create(new("https://a.example.com/hooks/secret-path")).await?.webhook;
    let update =
        WebhookUpdate::of(&seen).name("ERP").auth(Auth::bearer("token")).timeout(Duration::from_secs(3));
    tick();
    webhooks.update(update).await?;
    tick();
    webhooks.rotate(seen.id, Rotation::new()).await?;
    tick();
    webhooks.test(seen.id, "order.placed").await?;
    tick();
    webhooks.pause(seen.id).await?;
    tick();
    webhooks.resume(seen.id).await?;
    tick();
    webhooks.disable(seen.id).await?;
    tick();
    webhooks.enable(seen.id).await?;
    tick();
    webhooks.delete(seen.id).await?;
    tick();
    admin
        .update_defaults(DefaultsUpdate::of(&admin.defaults().await?).timeout(Duration::from_secs(3)))
        .await?;
    tick();
    admin.erase_subject("customer-7").await?;

    let log = admin.activity(&ActivityFilter::default(), PageRequest::first(100)).await?.items;

    let kinds: Vec<_> = log.iter().rev().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [
            ActivityKind::WebhookCreated,
            ActivityKind::WebhookUpdated,
            ActivityKind::SecretRotated,
            ActivityKind::WebhookTested,
            ActivityKind::WebhookPaused,
            ActivityKind::WebhookResumed,
            ActivityKind::WebhookDisabled,
            ActivityKind::WebhookResumed,
            ActivityKind::WebhookDeleted,
            ActivityKind::DefaultsUpdated,
            ActivityKind::SubjectErased,
        ]
    );
    assert!(log.iter().all(|entry| &*entry.actor == "ada"));
    let updated = log.iter().find(|entry| entry.kind == ActivityKind::WebhookUpdated).expect("logged");
    assert_eq!(updated.details["changed"], "name, auth, timeout");
    let log = format!("{log:?}");
    for value in ["token", "secret-path", "customer-7"] {
        assert!(!log.contains(value), "{value} stands in the log");
    }
    // A change that is refused, or changes nothing, leaves no entry.
    let entries = admin.activity(&ActivityFilter::default(), PageRequest::first(100)).await?.items.len();
    refused(webhooks.pause(seen.id).await);
    refused(webhooks.create(new("https://localhost/")).await);
    assert_eq!(
        admin.activity(&ActivityFilter::default(), PageRequest::first(100)).await?.items.len(),
        entries
    );
    Ok(())
}

async fn limited() -> Told {
    let mut settings = Settings::default();
    settings.max_webhooks = 2;
    let house = house_with(|receivers| receivers, |builder| builder.settings(settings))?;
    let webhooks = house.admin("t").webhooks();
    let two = vec![
        WebhookStep::create(new("https://a.example.com/")),
        WebhookStep::create(new("https://b.example.com/")),
    ];

    let outcomes = webhooks.apply(two.clone()).await?;
    assert_refused(webhooks.create(new("https://c.example.com/")).await, ErrorKind::Invalid, &["webhooks"]);
    assert_refused(
        webhooks.apply(two).await,
        ErrorKind::Invalid,
        &["steps[0].webhooks", "steps[1].webhooks"],
    );

    // One goes, one comes.
    let gone = outcomes[0].webhook.as_ref().expect("a webhook").id;
    let swap = vec![WebhookStep::delete(gone), WebhookStep::create(new("https://c.example.com/"))];
    webhooks.apply(swap).await?;
    assert_eq!(count(&house).await?, 2);
    assert!(
        house.subscribe("u", "https://a.example.com/").await.is_ok(),
        "other tenants have their own limit"
    );
    Ok(())
}

async fn pages() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(house.subscribe("t", &format!("https://h{number}.example.com/")).await?);
        house.clock.advance(Duration::from_millis(1));
    }

    let mut listed = Vec::new();
    let mut query = WebhookQuery::new().limit(2);
    loop {
        let page = webhooks.list(query.clone()).await?;
        listed.extend(page.items.iter().map(|view| view.id));
        match page.next {
            // As a client would send it back.
            Some(next) => query = WebhookQuery::new().limit(2).after(next.to_string()),
            None => break,
        }
    }

    assert_eq!(listed, made);
    assert_refused(webhooks.list(WebhookQuery::new().after("page 2")).await, ErrorKind::Invalid, &["after"]);
    Ok(())
}

async fn notice_events() -> Told {
    let house = house_with(|receivers| receivers, |builder| builder.publish_notices())?;
    let webhooks = house.admin("t").webhooks();
    let watcher = NewWebhook::to("https://ops.example.com/").events(["webhook.disabled"]);
    webhooks.create(watcher).await?;
    let id = house.subscribe("t", "https://a.example.com/").await?;

    webhooks.disable(id).await?;
    house.work().await;

    let sent = house.transport.requests();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].url.host(), "ops.example.com");
    let body: serde_json::Value = serde_json::from_slice(&sent[0].body)?;
    assert_eq!(
        (&body["type"], &body["data"]["webhook"]),
        (&"webhook.disabled".into(), &id.to_string().into())
    );
    assert_eq!(body["data"]["reason"], "by_person");
    // Nobody else may publish under these names by accident: they are declared once.
    assert!(house.hub.event_types().find("webhook.dead_letter").is_some());
    assert!(house.hub.check(event("t", "webhook.disabled")).is_ok());
    Ok(())
}
