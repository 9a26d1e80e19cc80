//! Changes are whole, optimistic, logged, and made together or not at all.

use std::time::Duration;

use crossdock::activity::{ActivityFilter, ActivityKind};
use crossdock::primitives::PageRequest;
use crossdock::webhooks::{
    Auth, DefaultsUpdate, NewWebhook, Rotation, Settings, Version, WebhookQuery, WebhookState, WebhookStep,
    WebhookUpdate,
};
use crossdock::{ErrorKind, Result};
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, fields, house, house_with, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("the_second_of_two_editors_is_told_about_the_first", optimistic),
        story("an_update_is_whole", whole),
        story("changes_are_applied_together_or_not_at_all", all_or_none),
        story("every_problem_of_every_step_is_told_at_once", all_problems),
        story("a_later_step_sees_what_an_earlier_one_has_planned", in_order),
        story("every_change_stands_in_the_log_by_name_and_without_values", logged),
        story("a_tenant_has_at_most_so_many_webhooks", limited),
        story("webhooks_are_listed_page_by_page", pages),
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

async fn logged() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let webhooks = admin.webhooks();
    let seen = webhooks.create(new("https://a.example.com/hooks/secret-path")).await?.webhook;
    let update =
        WebhookUpdate::of(&seen).name("ERP").auth(Auth::bearer("token")).timeout(Duration::from_secs(3));
    house.tick();
    webhooks.update(update).await?;
    house.tick();
    webhooks.rotate(seen.id, Rotation::new()).await?;
    house.tick();
    webhooks.test(seen.id, "order.placed").await?;
    house.tick();
    webhooks.pause(seen.id).await?;
    house.tick();
    webhooks.resume(seen.id).await?;
    house.tick();
    webhooks.disable(seen.id).await?;
    house.tick();
    webhooks.enable(seen.id).await?;
    house.tick();
    webhooks.delete(seen.id).await?;
    house.tick();
    admin
        .update_defaults(DefaultsUpdate::of(&admin.defaults().await?).timeout(Duration::from_secs(3)))
        .await?;
    house.tick();
    admin.erase_subject("customer-7").await?;

    let log = admin.activity().list(&ActivityFilter::default(), PageRequest::first(100)).await?.items;

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
    let entries =
        admin.activity().list(&ActivityFilter::default(), PageRequest::first(100)).await?.items.len();
    refused(webhooks.pause(seen.id).await);
    refused(webhooks.create(new("https://localhost/")).await);
    assert_eq!(
        admin.activity().list(&ActivityFilter::default(), PageRequest::first(100)).await?.items.len(),
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
        house.tick();
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
