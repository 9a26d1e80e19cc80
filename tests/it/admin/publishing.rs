//! Events go in once, whole, and whoever should hear of them is known beforehand.

use std::time::Duration;

use crossdock::ErrorKind;
use crossdock::events::NewEvent;
use crossdock::webhooks::{DeliveryQuery, Hearing, NewReplay, NewWebhook, Origin, ReplayState};
use libtest_mimic::Trial;

use super::{Told, assert_refused, event, house, story, tenant_id};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("the_same_key_publishes_once", idempotent),
        story("a_key_is_forgotten_after_a_day", forgotten),
        story("many_events_are_published_together_or_not_at_all", many),
        story("what_is_prepared_is_not_published", prepared),
        story("explaining_tells_who_would_hear_and_publishes_nothing", explained),
        story("bad_events_are_refused_by_name", bad_events),
        story("a_delivery_can_be_sent_once_more", resent),
        story("the_past_can_be_replayed_slowly", replayed),
        story("a_subject_can_be_erased", erased),
    ]
}

async fn idempotent() -> Told {
    let house = house()?;
    house.subscribe("t", "https://a.example.com/").await?;
    let keyed = |event_type| event("t", event_type).with_idempotency_key("order-7");

    let first = house.hub.publish(keyed("order.paid")).await?;
    let again = house.hub.publish(keyed("order.paid")).await?;
    let other_type = house.hub.publish(keyed("stock.counted")).await;
    let other_bytes = NewEvent::from_json(tenant_id("t"), "order.paid", "7").with_idempotency_key("order-7");
    let other_bytes = house.hub.publish(other_bytes).await;
    house.work().await;

    assert_eq!((first.fresh, again.fresh, again.event), (true, false, first.event));
    for conflict in [other_type, other_bytes] {
        assert_eq!(conflict.expect_err("another event").kind(), ErrorKind::Conflict);
    }
    assert_eq!(house.transport.requests().len(), 1);
    Ok(())
}

async fn forgotten() -> Told {
    let house = house()?;
    let publish = || house.hub.publish(event("t", "order.paid").with_idempotency_key("order-7"));
    let first = publish().await?;

    house.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(publish().await?.event, first.event);
    house.clock.advance(Duration::from_secs(1));
    let later = publish().await?;

    assert!(later.fresh && later.event != first.event);
    Ok(())
}

async fn many() -> Told {
    let house = house()?;
    house.subscribe("t", "https://a.example.com/").await?;
    let bad =
        vec![event("t", "order.paid"), event("t", "order.lost"), event("t", "order.paid").with_owner("")];
    assert_refused(
        house.hub.publish_many(bad).await,
        ErrorKind::Invalid,
        &["events[1].type", "events[2].owner"],
    );

    house.hub.publish(event("t", "order.paid").with_idempotency_key("used")).await?;
    house.work().await;
    let clash = vec![event("t", "order.paid"), event("t", "stock.counted").with_idempotency_key("used")];
    let clash = house.hub.publish_many(clash).await.expect_err("another event has the key");
    assert_eq!(clash.kind(), ErrorKind::Conflict);
    house.work().await;
    assert_eq!(house.transport.requests().len(), 1);

    let good = vec![event("t", "order.paid"), event("u", "order.paid"), event("t", "stock.counted")];
    let published = house.hub.publish_many(good).await?;
    house.work().await;
    assert!(published.iter().all(|published| published.fresh));
    assert_eq!(house.transport.requests().len(), 3);
    assert!(house.hub.publish_many(Vec::new()).await?.is_empty());
    Ok(())
}

async fn prepared() -> Told {
    let house = house()?;
    house.subscribe("t", "https://a.example.com/").await?;

    let plain = house.hub.prepare(event("t", "order.paid"))?;
    let keyed = house.hub.prepare(event("t", "order.paid").with_idempotency_key("k"))?;
    house.work().await;

    assert!(house.transport.requests().is_empty());
    // Without a key nobody compares, so nobody computes.
    assert_eq!((plain.digest, plain.idempotency_key), ([0; 32], None));
    assert_ne!(keyed.digest, [0; 32]);
    assert_eq!(keyed.idempotency_key.as_deref(), Some("k"));
    assert_eq!(plain.event.payload, r#"{"order":"A-7"}"#);
    Ok(())
}

async fn explained() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    for (name, new) in [
        ("hears", NewWebhook::to("https://a.example.com/").events(["order.*"])),
        ("paused", NewWebhook::to("https://b.example.com/").events(["*"])),
        ("disabled", NewWebhook::to("https://c.example.com/").events(["order.paid"]).inactive()),
        ("other type", NewWebhook::to("https://d.example.com/").events(["stock.counted"])),
        ("other owner", NewWebhook::to("https://e.example.com/").events(["*"]).owner("merchant-2")),
        ("other channel", NewWebhook::to("https://f.example.com/").events(["*"]).channels(["us"])),
    ] {
        let id = webhooks.create(new.name(name)).await?.webhook.id;
        if name == "paused" {
            webhooks.pause(id).await?;
        }
    }
    house.subscribe("u", "https://a.example.com/").await?;

    let asked = event("t", "order.paid").with_owner("merchant-1").with_channels(["eu"]);
    let explained = house.hub.explain(&asked).await?;

    let mut told: Vec<_> = explained.iter().map(|one| (&*one.name, one.hearing)).collect();
    told.sort_by_key(|(name, _)| *name);
    assert_eq!(
        told,
        [
            ("disabled", Hearing::Disabled),
            ("hears", Hearing::Hears),
            ("other channel", Hearing::OtherChannel),
            ("other owner", Hearing::OtherOwner),
            ("other type", Hearing::NotSubscribed),
            ("paused", Hearing::Hears),
        ]
    );
    house.work().await;
    assert!(house.deliveries("t").await?.is_empty());
    Ok(())
}

async fn bad_events() -> Told {
    let house = house()?;
    let of = |json: &'static str| NewEvent::from_json(tenant_id("t"), "order.placed", json);

    for (event, field) in [
        (event("t", "order.palced"), "type"),
        (event("t", ""), "type"),
        (of("{"), "data"),
        (of(r#"{"order":7}"#), "data/order"),
        (of(r#"{"order":"A-7"}"#).with_idempotency_key(""), "idempotency_key"),
        (of(r#"{"order":"A-7"}"#).with_traceparent("00-0-0-0"), "traceparent"),
    ] {
        assert_refused(house.hub.publish(event.clone()).await, ErrorKind::Invalid, &[field]);
        assert_refused(house.hub.explain(&event).await, ErrorKind::Invalid, &[field]);
        assert_refused(house.hub.prepare(event), ErrorKind::Invalid, &[field]);
    }
    Ok(())
}

async fn resent() -> Told {
    let house = house()?;
    let id = house.subscribe("t", "https://a.example.com/").await?;
    let published = house.publish("t", "order.paid").await?;
    house.work().await;
    let deliveries = house.admin("t").deliveries();
    let first = deliveries.list(DeliveryQuery::new().delivered()).await?.items[0].delivery.clone();

    let resent = deliveries.resend(first.id).await?;
    house.work().await;

    assert_eq!((resent.event, resent.origin), (published.event, Origin::Resend));
    let sent = house.transport.requests();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].headers["webhook-id"], sent[1].headers["webhook-id"]);
    assert_eq!(sent[0].body, sent[1].body);
    let record = deliveries.delivery(resent.id).await?;
    assert_eq!((record.attempts.len(), record.payload.as_deref()), (1, Some(&br#"{"order":"A-7"}"#[..])));
    assert_eq!(deliveries.attempts(resent.id).await?, record.attempts);

    house.admin("t").webhooks().disable(id).await?;
    assert_refused(deliveries.resend(first.id).await, ErrorKind::Conflict, &["webhook"]);
    house.admin("t").webhooks().delete(id).await?;
    assert_refused(deliveries.resend(first.id).await, ErrorKind::NotFound, &[]);
    Ok(())
}

async fn replayed() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let id =
        webhooks.create(NewWebhook::to("https://a.example.com/").events(["*"]).inactive()).await?.webhook.id;
    let (replays, deliveries) = (house.admin("t").replays(), house.admin("t").deliveries());
    for _ in 0..25 {
        house.publish("t", "order.paid").await?;
        house.tick();
    }
    house.work().await;
    let skipped = deliveries.list(DeliveryQuery::new().undelivered()).await?.items;
    let (from, to) =
        (skipped[24].delivery.created_at, skipped[0].delivery.created_at + Duration::from_secs(1));
    let replay = NewReplay::undelivered(id, from, to);

    assert_eq!(replays.preview(replay.clone()).await?, 25);
    assert_refused(replays.start(replay.clone()).await, ErrorKind::Conflict, &["webhook"]);
    webhooks.enable(id).await?;
    let job = replays.start(replay.clone()).await?;
    assert_eq!((job.matched, job.per_second), (25, 10));

    let mut arrived = Vec::new();
    for _ in 0..4 {
        house.work().await;
        arrived.push(house.transport.requests().len());
        house.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(arrived, [10, 20, 25, 25]);
    assert_eq!(replays.replay(job.id).await?.state, ReplayState::Completed);
    assert_refused(replays.cancel(job.id).await, ErrorKind::Conflict, &["replay"]);
    let health = webhooks.webhook(id).await?.health.expect("given");
    assert_eq!(health.last_success_at, None, "a replay does not count");

    let second = replays.start(replay.rate(1)).await?;
    house.work().await;
    assert_eq!(replays.cancel(second.id).await?.state, ReplayState::Cancelled);
    let before = house.transport.requests().len();
    house.clock.advance(Duration::from_secs(60));
    house.work().await;
    assert_eq!(house.transport.requests().len(), before);
    Ok(())
}

async fn erased() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let id = house.subscribe("t", "https://a.example.com/").await?;
    let about = |subject: &str| event("t", "order.paid").with_subject(subject);
    house.hub.publish(about("customer-7")).await?;
    house.hub.publish(about("customer-8")).await?;
    house.work().await;
    admin.webhooks().pause(id).await?;
    house.hub.publish(about("customer-7")).await?;
    house.work().await;

    let erasure = admin.erase_subject("customer-7").await?;

    assert_eq!((erasure.events, erasure.skipped), (2, 1));
    let records = house.deliveries("t").await?;
    assert_eq!(records.len(), 3);
    assert_eq!(records.iter().filter(|record| record.payload.is_some()).count(), 1);
    Ok(())
}
