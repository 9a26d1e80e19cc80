//! What a request of a webhook carries, and how long it may take.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::events::{CloudEventsFormat, EventCatalog, EventTypeSpec, NewEvent};
use crossdock::ports::{Answer, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crossdock::primitives::Jitter;
use crossdock::testing::Reply;
use crossdock::webhooks::{
    AttemptError, Auth, DefaultsUpdate, DeliveryStatus, DisableReason, NewWebhook, Settings, WebhookState,
};
use futures_util::FutureExt;
use libtest_mimic::Trial;

use super::{Told, event, house, house_with, story, tenant_id, without_retries};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_request_carries_headers_login_trace_and_the_hosts_name", headers),
        story("a_webhook_speaks_cloud_events_in_both_modes", cloud_events),
        story("a_request_ends_with_its_webhooks_timeout_or_its_tenants", timeouts),
        story("a_tenants_retry_table_holds_where_a_webhook_has_none", tenants_table),
        story("a_receiver_may_ask_for_the_end_of_its_webhook", asked_to_end),
        story("an_event_of_256_kib_is_published_and_a_longer_one_is_not", longest_event),
        story("a_webhooks_own_list_of_destinations_goes_with_each_of_its_requests", destinations),
        story("what_the_catalogue_says_of_a_type_can_be_read_back", catalogue),
        story("what_nobody_has_chosen_is_as_documented", defaults),
    ]
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn headers() -> Told {
    let house = house_with(|receivers| receivers, |builder| builder.user_agent("acme-hub/3.1"))?;
    let login = Auth::headers([("x-api-key", "k-1"), ("x-site", "north")]);
    let webhook =
        NewWebhook::to("https://erp.example.com/").events(["*"]).header("x-region", "eu").auth(login);
    house.admin("t").webhooks().create(webhook).await?;

    house.hub.publish(event("t", "order.paid").with_traceparent(TRACE)).await?;
    house.work().await;

    let sent = house.transport.requests();
    let headers = &sent.first().ok_or("a request")?.headers;
    let expected = [
        ("x-region", "eu"),
        ("x-api-key", "k-1"),
        ("x-site", "north"),
        ("user-agent", "acme-hub/3.1"),
        ("traceparent", TRACE),
        ("content-type", "application/json"),
    ];
    for (name, value) in expected {
        let found: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(found, [value], "{name}");
    }

    let plain = super::house()?;
    plain.subscribe("t", "https://erp.example.com/").await?;
    plain.publish("t", "order.paid").await?;
    plain.work().await;
    let own = concat!("crossdock/", env!("CARGO_PKG_VERSION"));
    let sent = plain.transport.requests();
    assert_eq!((&sent[0].headers["user-agent"], sent[0].headers.get("traceparent")), (&own.parse()?, None));
    Ok(())
}

async fn cloud_events() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let source = "https://acme.example/orders";
    let to = |host: &str| NewWebhook::to(format!("https://{host}.example.com/")).events(["*"]);
    webhooks.create(to("structured").format(CloudEventsFormat::structured(source)?)).await?;
    webhooks.create(to("binary").format(CloudEventsFormat::binary(source)?)).await?;

    let id = house.publish("t", "order.paid").await?.event.to_string();
    house.work().await;

    let sent = house.transport.requests();
    let of = |host: &str| sent.iter().find(|request| request.url.host().starts_with(host));
    let structured = of("structured").ok_or("a structured request")?;
    assert_eq!(structured.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    let body: serde_json::Value = serde_json::from_slice(&structured.body)?;
    assert_eq!(
        [&body["specversion"], &body["id"], &body["source"], &body["type"], &body["data"]["order"]],
        ["1.0", &*id, source, "order.paid", "A-7"]
    );

    let binary = of("binary").ok_or("a binary request")?;
    for (name, value) in
        [("ce-specversion", "1.0"), ("ce-id", &*id), ("ce-source", source), ("ce-type", "order.paid")]
    {
        assert_eq!(binary.headers[name], value, "{name}");
    }
    assert_eq!(
        (&binary.headers["content-type"], &binary.body[..]),
        (&"application/json".parse()?, &br#"{"order":"A-7"}"#[..])
    );
    Ok(())
}

async fn timeouts() -> Told {
    let house = without_retries([Reply::hang()])?;
    let admin = house.admin("t");
    let own =
        NewWebhook::to("https://own.example.com/").events(["order.paid"]).timeout(Duration::from_secs(3));
    admin.webhooks().create(own).await?;
    let none = NewWebhook::to("https://none.example.com/").events(["stock.counted"]);
    admin.webhooks().create(none).await?;
    let tenants = DefaultsUpdate::of(&admin.defaults().await?).timeout(Duration::from_secs(7));
    admin.update_defaults(tenants).await?;

    for (event_type, longest) in [("order.paid", 3), ("stock.counted", 7)] {
        house.publish("t", event_type).await?;
        let worker = house.hub.worker();
        let (clock, mut working) = (house.clock.clone(), std::pin::pin!(worker.run_until_idle()));
        let mut waited = 0;
        while working.as_mut().now_or_never().is_none() {
            clock.advance(Duration::from_secs(1));
            waited += 1;
            assert!(waited <= longest, "{event_type} is still waited for after {longest} s");
        }
        assert_eq!(waited, longest, "{event_type}");
    }

    for record in house.deliveries("t").await? {
        assert_eq!(record.attempts[0].error, Some(AttemptError::Transport(TransportErrorKind::TimedOut)));
    }
    Ok(())
}

async fn tenants_table() -> Told {
    let house = house_with(|receivers| receivers.everybody([Reply::status(500)]), |builder| builder)?;
    let admin = house.admin("t");
    let waits = [60, 600].map(Duration::from_secs);
    admin.update_defaults(DefaultsUpdate::of(&admin.defaults().await?).retry_after(waits)).await?;
    house.subscribe("t", "https://a.example.com/").await?;
    house.publish("t", "order.paid").await?;
    house.work().await;

    let mut seen = Vec::new();
    for wait in [59, 10, 599, 70] {
        house.clock.advance(Duration::from_secs(wait));
        house.work().await;
        seen.push(house.transport.requests().len());
    }

    // Each wait is up to a tenth longer: 60 to 66 s, then 600 to 660 s.
    assert_eq!(seen, [1, 2, 2, 3]);
    let status = house.deliveries("t").await?[0].delivery.status;
    assert!(matches!(status, DeliveryStatus::DeadLetter(_)), "{status:?}");
    Ok(())
}

async fn asked_to_end() -> Told {
    let leave = Reply::status(400).with_header("webhook-delivery", "disable");
    let house = house_with(|receivers| receivers.everybody([leave]), |builder| builder)?;
    let id = house.subscribe("t", "https://a.example.com/").await?;

    house.publish("t", "order.paid").await?;
    house.work().await;

    let state = house.admin("t").webhooks().webhook(id).await?.state;
    assert!(matches!(state, WebhookState::Disabled { reason: DisableReason::Asked, .. }), "{state:?}");
    assert_eq!(house.transport.requests().len(), 1);
    Ok(())
}

async fn longest_event() -> Told {
    let house = house()?;
    let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
    let of = |bytes: usize| NewEvent::from_json(tenant_id("t"), "order.paid", text(bytes));

    house.hub.publish(of(256 * 1024)).await?;
    let error = super::refused(house.hub.publish(of(256 * 1024 + 1)).await);

    assert_eq!(super::fields(&error), ["data"], "{error}");
    Ok(())
}

/// Remembers where each request may go, and answers 204.
#[derive(Debug, Default)]
struct Destinations(Mutex<Vec<Vec<String>>>);

#[async_trait]
impl Exchange for Destinations {
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        let networks = request.destinations.iter().map(ToString::to_string).collect();
        self.0.lock().expect("nobody panics").push(networks);
        Ok(Answer::new(http::StatusCode::NO_CONTENT))
    }
}

async fn destinations() -> Told {
    let asked = Arc::new(Destinations::default());
    let transport = Arc::clone(&asked);
    let house = house_with(|receivers| receivers, |builder| builder.transport(transport))?;
    let narrow = NewWebhook::to("https://erp.example.com/").events(["*"]);
    let networks = ["198.51.100.0/24", "2001:db8::/32"];
    house.admin("t").webhooks().create(narrow.destinations(networks)).await?;

    house.publish("t", "order.placed").await?;
    house.work().await;

    assert_eq!(*asked.0.lock().expect("nobody panics"), [networks]);
    Ok(())
}

async fn catalogue() -> Told {
    let old =
        EventTypeSpec::new("order.booked").description("An order was booked.").deprecated("use order.placed");
    let house = house_with(|receivers| receivers, |builder| builder.events(EventCatalog::new().with(old)))?;

    let entry = house.hub.event_types().find("order.booked").ok_or("the type")?;

    assert_eq!(
        (entry.description(), entry.deprecated()),
        (Some("An order was booked."), Some("use order.placed"))
    );
    Ok(())
}

async fn defaults() -> Told {
    let settings = Settings::default();
    let day = Duration::from_secs(24 * 60 * 60);

    let limits = settings.limits;
    assert_eq!((limits.connect.as_secs(), limits.total.as_secs()), (5, 20));
    assert_eq!((limits.read, limits.keep), (64 * 1024, 16 * 1024));
    assert_eq!((settings.retention.payloads, settings.retention.history), (30 * day, 90 * day));
    assert_eq!((settings.retention.idempotency_keys, settings.max_age), (day, 30 * day));
    let waits: Vec<_> = (1..=12)
        .map(|attempt| settings.retry.schedule().wait(attempt, Jitter::NONE))
        .map(|wait| wait.map(|wait| wait.as_secs()))
        .collect();
    let table = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(Some);
    assert_eq!((&waits[..11], waits[11]), (&table[..], None));
    Ok(())
}
