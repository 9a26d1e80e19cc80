//! The README's path from end to end: real HTTP on loopback, tokio, the machine's clock, short retry tables.

pub(crate) mod receiver;
mod shaky;
pub(crate) mod shop;

use std::time::Duration;

use async_trait::async_trait;
use crossdock::Result as HubResult;
use crossdock::ports::{Answer, Exchange, ExchangeRequest, TransportError};
use crossdock::webhooks::{
    DeliveryQuery, DeliveryStatus, DisableReason, NewReplay, NoticeKind, Origin, ReplayState, SkipReason,
    WebhookState,
};
use libtest_mimic::Trial;

use crate::rule;
use crate::story::receiver::{Receiver, Reply};
use crate::story::shaky::ShakyStore;
use crate::story::shop::{Outcome, Shop, play, soon, transport};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("story::an_event_arrives_signed_after_two_refusals_and_can_be_resent", || play(the_main_path())),
        rule("story::a_receiver_that_is_gone_is_disabled_and_what_it_missed_is_replayed", || play(gone())),
        rule("story::a_shutdown_finishes_the_request_in_flight", || play(shutdown())),
        rule("story::what_the_grace_period_cuts_off_is_delivered_by_the_next_worker", || play(cut_off())),
        rule("story::a_hanging_receiver_delays_nobody_else", || play(hanging())),
        rule("story::a_transport_that_panics_does_not_end_the_worker", || play(panicking())),
        rule("story::a_store_that_goes_away_and_comes_back_needs_no_restart", || play(away_and_back())),
    ]
}

async fn the_main_path() -> Outcome {
    let receiver = Receiver::listen(|request| match request.number_of_event {
        1 => Reply::status(500),
        2 => Reply::status(503),
        _ => Reply::status(204),
    })
    .await?;
    let shop = Shop::open()?;
    let erp = shop.subscribe("ERP", &receiver.url("/erp"), "shipment.*").await?;
    let worker = shop.work();

    let event = shop.publish("shipment.shipped").await?;
    soon("the event is delivered", || shop.all_delivered(1)).await?;

    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    let verifier = standardwebhooks::Webhook::new(&erp.secret)?;
    for request in &requests {
        verifier.verify(&request.body, &request.headers)?;
        assert_eq!(request.headers["webhook-id"], event.to_string().as_str());
        assert_eq!(request.body, requests[0].body);
    }

    let log = shop.admin().deliveries().list(DeliveryQuery::new().with_payload().with_attempts()).await?;
    let [record] = &log.items[..] else { return Err(format!("{} deliveries", log.items.len()).into()) };
    let statuses: Vec<_> = record.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(503), Some(204)]);
    assert_eq!(record.payload.as_deref(), Some(&b"\"A-7\""[..]));
    assert!(record.attempts[0].next_attempt_at.is_some() && record.attempts[2].next_attempt_at.is_none());

    let resent = shop.admin().deliveries().resend(record.delivery.id).await?;
    soon("the resend is delivered", || shop.all_delivered(2)).await?;

    assert_eq!((resent.event, resent.origin), (event, Origin::Resend));
    assert_eq!(receiver.requests()[3].headers["webhook-id"], event.to_string().as_str());
    worker.stop().await?;
    Ok(())
}

async fn gone() -> Outcome {
    let receiver = Receiver::listen(|request| match request.number {
        1 => Reply::status(410),
        _ => Reply::status(204),
    })
    .await?;
    let shop = Shop::open()?;
    let mut notices = shop.hub.notices();
    let erp = shop.subscribe("ERP", &receiver.url("/erp"), "*").await?;
    let begin = shop.now();
    let worker = shop.work();

    let first = shop.publish("shipment.shipped").await?;
    soon("the webhook is disabled", async || {
        let state = shop.admin().webhooks().webhook(erp.id).await?.state;
        Ok(matches!(state, WebhookState::Disabled { reason: DisableReason::Gone, .. }))
    })
    .await?;
    let second = shop.publish("shipment.shipped").await?;
    soon("the next event is skipped", async || {
        let skipped = DeliveryStatus::Skipped(SkipReason::WebhookDisabled);
        Ok(shop.log().await?.iter().any(|delivery| delivery.event == second && delivery.status == skipped))
    })
    .await?;
    assert_eq!(receiver.requests().len(), 1);
    assert!(notices.drain().iter().any(|notice| notice.kind == NoticeKind::Disabled(DisableReason::Gone)));

    shop.admin().webhooks().enable(erp.id).await?;
    let what_was_missed = NewReplay::undelivered(erp.id, begin, shop.now());
    assert_eq!(shop.admin().replays().preview(what_was_missed.clone()).await?, 2);
    let replay = shop.admin().replays().start(what_was_missed).await?;
    soon("the replay is done", async || {
        Ok(shop.admin().replays().replay(replay.id).await?.state == ReplayState::Completed)
    })
    .await?;
    soon("what was missed has arrived", async || Ok(receiver.requests().len() == 3)).await?;

    let mut arrived: Vec<_> = receiver.requests()[1..].iter().map(|request| request.event_id()).collect();
    arrived.sort();
    let mut missed = vec![first.to_string(), second.to_string()];
    missed.sort();
    assert_eq!(arrived, missed);
    worker.stop().await?;
    Ok(())
}

async fn shutdown() -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204).after(Duration::from_millis(400))).await?;
    let shop = Shop::open()?;
    shop.subscribe("slow", &receiver.url("/"), "*").await?;
    let worker = shop.work();
    shop.publish("shipment.shipped").await?;
    soon("the request is in flight", async || Ok(receiver.requests().len() == 1)).await?;

    worker.stop().await?;

    let log = shop.log().await?;
    assert_eq!((log[0].status, log[0].attempts), (DeliveryStatus::Delivered, 1));
    assert_eq!(receiver.requests().len(), 1);
    Ok(())
}

async fn cut_off() -> Outcome {
    let receiver = Receiver::listen(|request| match request.number {
        1 => Reply::hang(),
        _ => Reply::status(204),
    })
    .await?;
    let shop = Shop::open()?;
    shop.subscribe("hangs once", &receiver.url("/"), "*").await?;
    let worker = shop.work_with(|worker| worker.grace(Duration::from_millis(100)));
    shop.publish("shipment.shipped").await?;
    soon("the request is in flight", async || Ok(receiver.requests().len() == 1)).await?;

    worker.stop().await?;
    assert_eq!(shop.log().await?[0].status, DeliveryStatus::Pending);
    let next = shop.work();

    // Long before the lease of a minute would have ended.
    soon("the next worker delivers", || shop.all_delivered(1)).await?;
    assert_eq!(receiver.requests()[0].event_id(), receiver.requests()[1].event_id());
    next.stop().await?;
    Ok(())
}

async fn hanging() -> Outcome {
    const EVENTS: usize = 50;
    let receiver = Receiver::listen(|request| match &*request.path {
        "/hangs" => Reply::hang(),
        _ => Reply::status(204),
    })
    .await?;
    let shop = Shop::open()?;
    shop.subscribe("hangs", &receiver.url("/hangs"), "*").await?;
    shop.subscribe("well", &receiver.url("/well"), "*").await?;
    let worker = shop.work_with(|worker| worker.grace(Duration::ZERO));

    for _ in 0..EVENTS {
        shop.publish("shipment.shipped").await?;
    }
    let arrived = || receiver.requests().iter().filter(|request| request.path == "/well").count();
    soon("the healthy webhook has everything", async || Ok(arrived() == EVENTS)).await?;

    // The other one still hangs, and holds no more connections than its limit.
    assert_eq!(receiver.requests().len() - arrived(), 8);
    worker.stop().await?;
    Ok(())
}

/// Panics over every request to one path.
#[derive(Debug)]
struct Fragile<T>(T);

#[async_trait]
impl<T: Exchange> Exchange for Fragile<T> {
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        if request.url.as_str().ends_with("/cursed") {
            // As a panic would, but without the hook that prints where.
            std::panic::resume_unwind(Box::new("this transport does not like the path"));
        }
        self.0.exchange(request).await
    }
}

async fn panicking() -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let shop = Shop::open_with(|hub| Ok(hub.transport(Fragile(transport()?))))?;
    let cursed = shop.subscribe("cursed", &receiver.url("/cursed"), "*").await?;
    shop.subscribe("well", &receiver.url("/well"), "*").await?;
    let worker = shop.work();

    shop.publish("shipment.shipped").await?;
    soon("both deliveries have ended", async || {
        let log = shop.log().await?;
        Ok(log.len() == 2 && log.iter().all(|delivery| delivery.status.is_final()))
    })
    .await?;

    for delivery in shop.log().await? {
        let delivered = delivery.status == DeliveryStatus::Delivered;
        assert_eq!(delivered, delivery.webhook != cursed.id, "{:?}", delivery.status);
    }
    assert!(worker.status().panics > 0);
    shop.publish("shipment.shipped").await?;
    soon("the worker goes on", async || Ok(receiver.requests().len() == 2)).await?;
    worker.stop().await?;
    Ok(())
}

async fn away_and_back() -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let store = ShakyStore::default();
    let shop = Shop::open_with(|hub| Ok(hub.store(store.clone())))?;
    shop.subscribe("ERP", &receiver.url("/"), "*").await?;
    let worker = shop.work();
    shop.publish("shipment.shipped").await?;
    soon("the first event is delivered", || shop.all_delivered(1)).await?;

    store.go_away();
    soon("the worker says that the store is away", async || {
        Ok(worker.status().store_failing_since.is_some())
    })
    .await?;
    let refused: HubResult<_> = shop.publish("shipment.shipped").await;
    assert!(refused.is_err_and(|error| error.is_transient()));
    store.come_back();
    shop.publish("shipment.shipped").await?;

    soon("the second event is delivered", || shop.all_delivered(2)).await?;
    assert_eq!(worker.status().store_failing_since, None);
    worker.stop().await?;
    Ok(())
}
