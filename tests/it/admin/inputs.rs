//! Bad input: each refusal names field, rule and fix, and nothing is half stored.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use crossdock::activity::ActivityFilter;
use crossdock::primitives::PageRequest;
use crossdock::webhooks::{
    Auth, DeliveryQuery, NewReplay, NewWebhook, Settings, SignatureScheme, TestEvent, WebhookQuery,
    WebhookUpdate,
};
use crossdock::{ErrorKind, Hub};
use libtest_mimic::Trial;

use super::{Told, assert_refused, catalog, fields, house, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("each_bad_field_of_a_webhook_is_refused_by_name_and_nothing_is_stored", webhooks),
        story("everything_that_is_wrong_is_told_at_once", at_once),
        story("bad_queries_are_refused_by_name", queries),
        story("a_test_needs_a_known_type_and_a_fitting_payload", tests),
        story("a_hub_says_everything_that_is_wrong_with_it", hubs),
    ]
}

fn good() -> NewWebhook {
    NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["order.*"])
}

fn to(url: &str) -> NewWebhook {
    NewWebhook::to(url).events(["order.*"])
}

async fn webhooks() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let seconds = Duration::from_secs;
    let own = |header: &str| SignatureScheme::hmac_hex(header).expect("a scheme");
    let long = "x".repeat(300);
    let cases: Vec<(NewWebhook, &str)> = vec![
        (to("http://erp.example.com/"), "url"),
        (to("ftp://erp.example.com/"), "url"),
        (to("erp.example.com"), "url"),
        (to("https://127.1/"), "url"),
        (to("https://[::ffff:127.0.0.1]/"), "url"),
        (to("https://user:pass@erp.example.com/"), "url"),
        (to("https://erp.example.com/#top"), "url"),
        (to("https://erp.example.com/\r\nx: y"), "url"),
        (to(&format!("https://erp.example.com/{}", "x".repeat(2_048))), "url"),
        (to(""), "url"),
        (good().name(&*long), "name"),
        (good().name("a\0b"), "name"),
        (good().owner(""), "owner"),
        (good().channels(["eu", ""]), "channels[1]"),
        (good().events::<&str>([]), "events"),
        (good().events(["order.*", "*.placed"]), "events[1]"),
        (good().events(["invoice.*"]), "events[0]"),
        (good().events(vec!["*"; 101]), "events"),
        (good().header("host", "internal"), "headers[0]"),
        (good().header("x-a", "1").header("x-b", "1\r\nx-c: 2"), "headers[1]"),
        (good().header("metadata-flavor", "google"), "headers[0]"),
        (good().header("authorization", "Bearer abc"), "headers[0]"),
        (good().header("webhook-signature", "v1,abc"), "headers[0]"),
        (good().schemes([own("x-sign")]).header("X-Sign", "abc"), "headers[0]"),
        (good().schemes([own("x-sign")]).auth(Auth::headers([("x-sign", "abc")])), "auth"),
        (good().header("x-key", "abc").auth(Auth::headers([("x-key", "abc")])), "headers"),
        (good().schemes([own("x-sign"), own("x-sign")]), "schemes.header"),
        (good().schemes([SignatureScheme::StandardEd25519]), "secret"),
        (good().secret("too short"), "secret"),
        (good().secret("whsec_not*base64"), "secret"),
        (good().secret(&*"x".repeat(513)), "secret"),
        (good().auth(Auth::basic("a:b")), "auth.username"),
        (good().auth(Auth::basic("a").with_password("\n")), "auth.password"),
        (good().auth(Auth::bearer("a b")), "auth.token"),
        (good().auth(Auth::headers([("content-length", "0")])), "auth.headers[0]"),
        (good().retry_after([seconds(5), seconds(8 * 24 * 60 * 60)]), "retry.delays[1]"),
        (good().retry_after(vec![seconds(5); 101]), "retry.delays"),
        (good().timeout(Duration::from_millis(999)), "timeout"),
        (good().timeout(seconds(51)), "timeout"),
        (good().rate_limit(0.0, 1), "rate_limit"),
        (good().rate_limit(f64::NAN, 1), "rate_limit"),
        (good().rate_limit(1.0, 0), "rate_limit"),
        (good().max_in_flight(0), "max_in_flight"),
        (good().max_in_flight(1_001), "max_in_flight"),
        (good().destinations(["198.51.100.7/24"]), "destinations[0]"),
        (good().destinations(["198.51.100.0/24", "example.com"]), "destinations[1]"),
        (good().metadata([("", "a")]), "metadata[0].key"),
        (good().metadata([("a", &*long)]), "metadata[a]"),
    ];

    for (case, field) in cases {
        let error = refused(admin.webhooks().create(case.clone()).await);
        assert_eq!((error.kind(), fields(&error)), (ErrorKind::Invalid, vec![field]), "{case:?}: {error}");
        let problem = &error.problems()[0];
        assert!(!problem.rule.is_empty() && !problem.fix.is_empty(), "{problem:?}");
    }

    assert!(admin.webhooks().list(WebhookQuery::new()).await?.items.is_empty());
    let log = admin.activity().list(&ActivityFilter::default(), PageRequest::first(10)).await?;
    assert!(log.items.is_empty());
    assert!(admin.webhooks().create(good()).await.is_ok());
    Ok(())
}

async fn at_once() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let wrong = NewWebhook::new("a\nb", "http://localhost/")
        .events(["nothing.*"])
        .header("host", "x")
        .timeout(Duration::ZERO)
        .max_in_flight(0)
        .secret("short")
        .auth(Auth::bearer(""));

    let expected =
        ["url", "name", "events[0]", "headers[0]", "timeout", "max_in_flight", "auth.token", "secret"];
    assert_refused(webhooks.create(wrong.clone()).await, ErrorKind::Invalid, &expected);

    // The same of an update, but for what it has of its own.
    let seen = webhooks.create(good()).await?.webhook;
    let update = WebhookUpdate::of(&seen).url("http://localhost/").events(["nothing.*"]).max_in_flight(0);
    assert_refused(webhooks.update(update).await, ErrorKind::Invalid, &["url", "events[0]", "max_in_flight"]);
    Ok(())
}

async fn queries() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let noon = DateTime::UNIX_EPOCH;
    let id = house.subscribe("t", "https://a.example.com/").await?;

    let query = DeliveryQuery::new().from(noon).to(noon).event_types(["a..b"]).after("cur_1");
    assert_refused(
        admin.deliveries().list(query).await,
        ErrorKind::Invalid,
        &["from", "event_types[0]", "after"],
    );
    let replay = NewReplay::undelivered(id, noon, noon - TimeDelta::seconds(1)).rate(0);
    assert_refused(admin.replays().preview(replay.clone()).await, ErrorKind::Invalid, &["from", "rate"]);
    assert_refused(admin.replays().start(replay).await, ErrorKind::Invalid, &["from", "rate"]);
    assert_refused(admin.webhooks().diagnose_type(id, "a b").await, ErrorKind::Invalid, &["event_type"]);
    assert_refused(admin.erase_subject("").await, ErrorKind::Invalid, &["subject"]);
    let mut filter = ActivityFilter::default();
    (filter.from, filter.to) = (Some(noon), Some(noon));
    assert_refused(
        admin.activity().list(&filter, PageRequest::first(10)).await,
        ErrorKind::Invalid,
        &["from"],
    );
    Ok(())
}

async fn tests() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let id = house.subscribe("t", "https://a.example.com/").await?;
    let placed = |payload: &'static str| TestEvent::of("order.placed").payload(payload);

    for (event, field) in [
        (TestEvent::of("order.unknown"), "event_type"),
        (TestEvent::of("order..placed"), "event_type"),
        (TestEvent::of("order.*"), "event_type"),
        (TestEvent::of("order.paid"), "payload"),
        (placed("{"), "payload"),
        (placed(r#"{"order":7}"#), "payload/order"),
    ] {
        assert_refused(webhooks.test(id, event).await, ErrorKind::Invalid, &[field]);
    }
    assert!(house.transport.requests().is_empty());
    webhooks.test(id, placed(r#"{"order":"B-8"}"#)).await?;
    let body: serde_json::Value = serde_json::from_slice(&house.transport.requests()[0].body)?;
    assert_eq!(body["data"]["order"], "B-8");
    Ok(())
}

async fn hubs() -> Told {
    let mut settings = Settings::default();
    settings.lease = Duration::from_secs(29);
    settings.max_webhooks = 0;
    let twice = catalog().with(crossdock::events::EventTypeSpec::new("order.paid"));

    let error = Hub::builder().events(twice).settings(settings).user_agent("").build().expect_err("refused");

    assert_eq!(
        fields(&error),
        ["user_agent", "settings.lease", "settings.max_webhooks", "events[order.paid]"],
        "{error}"
    );
    // Schemas without anybody who could check them.
    let error = Hub::builder().events(catalog()).without_built_ins().build().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(fields(&error)[0].starts_with("events[order.placed]"), "{error}");
    Ok(())
}
