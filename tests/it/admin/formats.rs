//! Payload formats of the host's own: asked for by name, kept by name.

use std::time::Duration;

use crossdock::adapters::memory::MemoryStore;
use crossdock::events::{Body, CustomFormat, Event, PayloadFormat};
use crossdock::ports::TransportErrorKind;
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::{AttemptError, DeliveryStatus, NewWebhook, WebhookUpdate};
use crossdock::{ErrorKind, Hub};
use http::HeaderValue;
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, fields, house_with, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_format_of_the_hosts_own_is_asked_for_by_name", asked_for_by_name),
        story("a_name_that_the_hub_does_not_know_is_refused", unknown_name),
        story("a_process_without_the_format_leaves_the_delivery_to_others", another_process),
        story("a_test_says_that_the_format_is_missing", tested_without),
        story("names_of_formats_are_checked_when_the_hub_is_built", names_are_checked),
    ]
}

#[derive(Debug)]
struct Shout;

impl CustomFormat for Shout {
    fn render(&self, event: &Event) -> Body {
        let text = event.event_type.as_str().to_uppercase();
        Body::new(HeaderValue::from_static("text/plain"), text)
    }
}

/// A process on this store that was given the format.
fn knowing(store: &MemoryStore) -> crossdock::Result<House> {
    house_with(|receivers| receivers, |builder| builder.store(store.clone()).payload_format("shout", Shout))
}

/// A process on the same store that was not.
fn ignorant(store: &MemoryStore) -> crossdock::Result<House> {
    house_with(|receivers| receivers, |builder| builder.store(store.clone()).entropy(SeededEntropy::new(8)))
}

fn erp() -> NewWebhook {
    NewWebhook::to("https://erp.example.com/").events(["*"]).format("shout").unsigned()
}

async fn asked_for_by_name() -> Told {
    let house = knowing(&MemoryStore::new())?;

    let created = house.admin("t").webhooks().create(erp()).await?.webhook;
    house.publish("t", "order.placed").await?;
    house.work().await;

    assert_eq!(created.format, PayloadFormat::Named("shout".into()));
    let requests = house.transport.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, "ORDER.PLACED");
    assert_eq!(requests[0].headers["content-type"], "text/plain");
    Ok(())
}

async fn unknown_name() -> Told {
    let house = knowing(&MemoryStore::new())?;
    let webhooks = house.admin("t").webhooks();

    let error = refused(webhooks.create(erp().format("shuot")).await);
    assert_eq!((error.kind(), fields(&error)), (ErrorKind::Invalid, vec!["format"]));
    assert_eq!(error.problems()[0].fix, "choose among `shout`");

    let seen = webhooks.create(erp().format(PayloadFormat::default())).await?.webhook;
    let update = WebhookUpdate::of(&seen).format("standard");
    assert_refused(webhooks.update(update).await, ErrorKind::Invalid, &["format"]);
    assert_eq!(webhooks.update(WebhookUpdate::of(&seen).format("shout")).await?.format, "shout".into());
    Ok(())
}

async fn another_process() -> Told {
    let store = MemoryStore::new();
    let (knowing, ignorant) = (knowing(&store)?, ignorant(&store)?);
    knowing.admin("t").webhooks().create(erp()).await?;
    knowing.publish("t", "order.placed").await?;

    ignorant.work().await;

    let record = knowing.deliveries("t").await?.remove(0);
    assert_eq!(record.delivery.status, DeliveryStatus::Pending);
    assert_eq!(record.delivery.last_error, Some(AttemptError::Transport(TransportErrorKind::Unconfigured)));
    assert_eq!(ignorant.transport.requests().len(), 0);

    knowing.clock.advance(Duration::from_secs(60));
    knowing.work().await;

    let record = knowing.deliveries("t").await?.remove(0);
    assert_eq!((record.delivery.status, record.attempts.len()), (DeliveryStatus::Delivered, 2));
    assert_eq!(knowing.transport.requests()[0].body, "ORDER.PLACED");
    Ok(())
}

async fn tested_without() -> Told {
    let store = MemoryStore::new();
    let id = knowing(&store)?.admin("t").webhooks().create(erp()).await?.webhook.id;

    let tested = ignorant(&store)?.admin("t").webhooks().test(id, "order.placed").await?;

    assert_eq!(tested.attempt.error, Some(AttemptError::Transport(TransportErrorKind::Unconfigured)));
    Ok(())
}

async fn names_are_checked() -> Told {
    let built = |name: &str| {
        Hub::builder().payload_format("shout", Shout).payload_format(name, Shout).build().map(|_| ())
    };

    assert!(built("shout.2").is_ok());
    for name in ["", "shout", "a b", "größe", &"x".repeat(65)] {
        assert_refused(built(name), ErrorKind::Invalid, &["payload_format"]);
    }
    Ok(())
}
