//! Why does nothing arrive?

use std::time::Duration;

use crossdock::ErrorKind;
use crossdock::ports::TransportErrorKind;
use crossdock::primitives::WebhookId;
use crossdock::testing::Reply;
use crossdock::webhooks::{
    Cause, DeliveryStatus, DisableReason, Hearing, LaneStop, NewWebhook, Ordered, Ordering, SkipReason,
    StoppedHead,
};
use libtest_mimic::Trial;

use super::{House, Told, house, house_with, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("each_cause_is_found_and_comes_with_what_to_do", causes),
        story("the_receivers_last_answer_is_part_of_the_diagnosis", receivers),
        story("a_question_about_one_event_is_answered_by_it", one_event),
        story("a_stopped_order_is_found_and_released", stopped),
        story("a_test_works_on_a_paused_or_disabled_webhook_and_changes_neither", tests),
    ]
}

async fn found(house: &House, id: WebhookId) -> crossdock::Result<Vec<Cause>> {
    let diagnosis = house.admin("t").webhooks().diagnose(id).await?;
    assert!(diagnosis.findings.iter().all(|finding| !finding.what_to_do.is_empty()));
    Ok(diagnosis.findings.into_iter().map(|finding| finding.cause).collect())
}

async fn causes() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let id = webhooks.create(NewWebhook::to("https://a.example.com/").events(["order.*"])).await?.webhook.id;
    assert_eq!(found(&house, id).await?, [Cause::NothingPublished]);

    // Published, and no worker comes.
    let published = house.publish("t", "order.paid").await?;
    let early = webhooks.diagnose_event(id, published.event).await?;
    assert!(early.findings.is_empty());
    let since = published_at(&house);
    house.clock.advance(Duration::from_secs(61));
    let late = webhooks.diagnose_event(id, published.event).await?;
    assert_eq!(late.findings[0].cause, Cause::NoWorker(since));

    house.work().await;
    assert_eq!(found(&house, id).await?, []);
    webhooks.pause(id).await?;
    assert_eq!(found(&house, id).await?, [Cause::Paused]);
    webhooks.disable(id).await?;
    assert_eq!(found(&house, id).await?, [Cause::Disabled(DisableReason::ByPerson)]);

    let of_type = async |name: &str| -> crossdock::Result<Vec<Cause>> {
        let diagnosis = webhooks.diagnose_type(id, name).await?;
        Ok(diagnosis.findings.into_iter().map(|finding| finding.cause).collect())
    };
    webhooks.enable(id).await?;
    assert_eq!(of_type("order.paid").await?, []);
    assert_eq!(of_type("stock.counted").await?, [Cause::NotHeard(Hearing::NotSubscribed)]);
    assert_eq!(of_type("forecast.published").await?, [Cause::NotHeard(Hearing::NotEntitled)]);
    Ok(())
}

fn published_at(house: &House) -> chrono::DateTime<chrono::Utc> {
    use crossdock::ports::Clock;
    house.clock.now()
}

async fn receivers() -> Told {
    for (reply, cause) in [
        (Reply::status(401), Cause::Refused(401)),
        (Reply::status(404), Cause::ReceiverFails(404)),
        (Reply::status(302), Cause::ReceiverFails(302)),
        (Reply::error(TransportErrorKind::Dns), Cause::NoAnswer(TransportErrorKind::Dns)),
        (Reply::error(TransportErrorKind::Tls), Cause::NoAnswer(TransportErrorKind::Tls)),
        (Reply::error(TransportErrorKind::Unreachable), Cause::NoAnswer(TransportErrorKind::Unreachable)),
    ] {
        let house = house_with(|receivers| receivers.everybody([reply]), |builder| builder)?;
        let id = house.subscribe("t", "https://a.example.com/").await?;
        house.publish("t", "order.paid").await?;
        house.work().await;

        let diagnosis = house.admin("t").webhooks().diagnose(id).await?;

        assert_eq!(diagnosis.findings[0].cause, cause);
        assert!(diagnosis.last_attempt.is_some_and(|attempt| !attempt.succeeded()));
        assert!(diagnosis.health.is_failing());
    }
    // Asked to wait: everything of the webhook waits.
    let busy = Reply::status(429).with_header("retry-after", "3600");
    let house = house_with(|receivers| receivers.everybody([busy]), |builder| builder)?;
    let id = house.subscribe("t", "https://a.example.com/").await?;
    house.publish("t", "order.paid").await?;
    let until = published_at(&house) + Duration::from_secs(3_600);
    house.work().await;
    assert_eq!(found(&house, id).await?, [Cause::ReceiverFails(429), Cause::HeldBack(until)]);

    // A hub without a transport.
    let house = house_with(|receivers| receivers, |builder| builder)?;
    let bare =
        crossdock::Hub::builder().without_built_ins().events(paid()).clock(house.clock.clone()).build()?;
    let admin = bare.admin(crossdock::tenancy::Actor::org_admin(super::tenant_id("t"), "ada"));
    let id =
        admin.webhooks().create(NewWebhook::to("https://a.example.com/").events(["*"])).await?.webhook.id;
    bare.publish(super::event("t", "order.paid")).await?;
    bare.worker().run_until_idle().await;
    let diagnosis = admin.webhooks().diagnose(id).await?;
    assert_eq!(diagnosis.findings[0].cause, Cause::NoAnswer(TransportErrorKind::Unconfigured));
    Ok(())
}

fn paid() -> crossdock::events::EventCatalog {
    crossdock::events::EventCatalog::new().with(crossdock::events::EventTypeSpec::new("order.paid"))
}

async fn one_event() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let new = NewWebhook::to("https://a.example.com/").events(["order.*"]);
    let id = webhooks.create(new.owner("merchant-1")).await?.webhook.id;
    let causes = async |event| -> crossdock::Result<Vec<Cause>> {
        let diagnosis = webhooks.diagnose_event(id, event).await?;
        Ok(diagnosis.findings.into_iter().map(|finding| finding.cause).collect())
    };

    let stock = house.publish("t", "stock.counted").await?.event;
    let other = house.hub.publish(super::event("t", "order.paid").with_owner("merchant-2")).await?.event;
    house.work().await;
    assert_eq!(causes(stock).await?, [Cause::NotHeard(Hearing::NotSubscribed)]);
    assert_eq!(causes(other).await?, [Cause::NotHeard(Hearing::OtherOwner)]);

    webhooks.disable(id).await?;
    let mine = house.hub.publish(super::event("t", "order.paid").with_owner("merchant-1")).await?.event;
    house.work().await;
    let skipped = Cause::Ended(DeliveryStatus::Skipped(SkipReason::WebhookDisabled));
    assert_eq!(causes(mine).await?, [Cause::Disabled(DisableReason::ByPerson), skipped]);

    let foreign = house.publish("u", "order.paid").await?.event;
    assert_eq!(refused(webhooks.diagnose_event(id, foreign).await).kind(), ErrorKind::NotFound);
    Ok(())
}

async fn stopped() -> Told {
    let refusing = [Reply::status(500), Reply::status(500), Reply::status(204)];
    let house = house_with(|receivers| receivers.everybody(refusing), |builder| builder)?;
    let webhooks = house.admin("t").webhooks();
    let new = NewWebhook::to("https://a.example.com/")
        .events(["*"])
        .retry_after([])
        .ordering(Ordering::Ordered { by: Ordered::All, on_exhausted: LaneStop::Stop });
    let id = webhooks.create(new).await?.webhook.id;
    house.publish("t", "order.paid").await?;
    house.publish("t", "stock.counted").await?;
    house.work().await;

    assert_eq!(found(&house, id).await?, [Cause::ReceiverFails(500), Cause::OrderStopped]);
    assert_eq!(webhooks.release_stopped(id, StoppedHead::Retry).await?, 1);
    house.work().await;
    assert_eq!(house.transport.requests().len(), 2, "the head fails again, and stops the order again");

    house.tick();
    assert_eq!(webhooks.release_stopped(id, StoppedHead::Skip).await?, 1);
    house.work().await;
    assert_eq!(house.transport.requests().len(), 3);
    assert_eq!(found(&house, id).await?, []);
    assert_eq!(webhooks.release_stopped(id, StoppedHead::Skip).await?, 0);
    Ok(())
}

async fn tests() -> Told {
    let house = house_with(|receivers| receivers.everybody([Reply::status(410)]), |builder| builder)?;
    let webhooks = house.admin("t").webhooks();
    let id = house.subscribe("t", "https://a.example.com/").await?;

    for prepare in ["active", "paused", "disabled"] {
        match prepare {
            "paused" => drop(webhooks.pause(id).await?),
            "disabled" => drop(webhooks.disable(id).await?),
            _ => {}
        }
        let before = webhooks.webhook(id).await?;
        let tested = webhooks.test(id, "order.placed").await?;

        assert_eq!(tested.attempt.status, Some(410), "{prepare}");
        let mut after = webhooks.webhook(id).await?;
        after.backlog = before.backlog;
        assert_eq!(after, before, "{prepare}");
    }

    let records = house.deliveries("t").await?;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.attempts.len() == 1 && record.payload.is_some()));
    let sent = house.transport.requests();
    let signed =
        |request: &crossdock::testing::SentRequest| request.headers.contains_key("webhook-signature");
    assert!(sent.len() == 3 && sent.iter().all(signed));
    assert_eq!(found(&house, id).await?.len(), 3, "disabled, refused, and nothing published but tests");
    Ok(())
}
