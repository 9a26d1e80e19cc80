//! On, off, waiting, and a second chance.

use std::time::Duration;

use crossdock::testing::Reply;
use crossdock::webhooks::{DeliveryStatus, DisableReason, NewWebhook, NoticeKind, SkipReason, WebhookState};
use crossdock::{ErrorKind, Result};
use libtest_mimic::Trial;

use super::{Told, assert_refused, event, house, house_with, story, without_retries};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_paused_webhook_loses_nothing_and_a_disabled_one_records_skips", switches),
        story("a_webhook_that_was_enabled_again_gets_its_chance", second_chance),
        story("the_notice_of_a_disabled_webhook_can_be_subscribed", notice_events),
        story("what_the_worker_notices_can_be_subscribed", notices_of_the_worker),
    ]
}

async fn switches() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let mut notices = house.hub.notices();
    let id =
        webhooks.create(NewWebhook::to("https://a.example.com/").events(["*"]).inactive()).await?.webhook.id;
    let statuses = async || -> Result<Vec<DeliveryStatus>> {
        Ok(house.deliveries("t").await?.iter().map(|record| record.delivery.status).collect())
    };
    let skipped = DeliveryStatus::Skipped(SkipReason::WebhookDisabled);

    house.publish("t", "order.paid").await?;
    house.work().await;
    assert_eq!(statuses().await?, [skipped]);

    house.tick();
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
    let house = without_retries([Reply::status(500)])?;
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

async fn notices_of_the_worker() -> Told {
    let house = house_with(
        |receivers| receivers.host("gone.example.com", [Reply::status(410)]),
        |builder| builder.publish_notices(),
    )?;
    let watcher = NewWebhook::to("https://ops.example.com/").events(["webhook.*"]);
    house.admin("t").webhooks().create(watcher).await?;
    house
        .admin("t")
        .webhooks()
        .create(NewWebhook::to("https://gone.example.com/").events(["order.paid"]))
        .await?;

    house.publish("t", "order.paid").await?;
    house.work().await;

    let mut heard = Vec::new();
    for request in house.transport.requests().iter().filter(|request| request.url.host() == "ops.example.com")
    {
        let body: serde_json::Value = serde_json::from_slice(&request.body)?;
        heard.push(format!("{} {}", body["type"], body["data"]["reason"]));
    }
    heard.sort();
    assert_eq!(heard, [r#""webhook.dead_letter" "gone""#, r#""webhook.disabled" "gone""#]);
    Ok(())
}
