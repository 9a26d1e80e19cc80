//! What the operator hears in the process itself, from a worker that does its work.

use std::time::Duration;

use crossdock::Result;
use crossdock::primitives::DeliveryId;
use crossdock::testing::Reply;
use crossdock::webhooks::{
    DeadReason, DeliveryStatus, DisableReason, LaneStop, NewWebhook, NoticeKind, Ordered, Ordering, Settings,
};
use libtest_mimic::Trial;

use super::{Told, event, house_with, story, without_retries};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_failing_webhook_is_warned_about_three_times_and_then_disabled", warned),
        story("a_webhook_that_recovers_is_welcomed_back", recovers),
        story("an_open_circuit_is_told_and_nothing_is_sent_meanwhile", circuit),
        story("what_is_given_up_is_told", given_up),
        story("what_has_expired_is_told", expired),
        story("an_order_that_stands_still_is_told", stands_still),
        story("an_order_may_pass_over_what_cannot_be_delivered", passes_over),
    ]
}

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn warned() -> Told {
    let house = without_retries([Reply::status(500)])?;
    let mut notices = house.hub.notices();
    house.subscribe("t", "https://a.example.com/").await?;

    let mut told = Vec::new();
    for _ in 0..30 {
        house.publish("t", "order.paid").await?;
        house.work().await;
        house.clock.advance(6 * HOUR);
        let kinds = notices.drain().into_iter().map(|notice| notice.kind);
        told.extend(kinds.filter(|kind| !matches!(kind, NoticeKind::DeadLetter(..))));
    }

    let disabled = NoticeKind::Disabled(DisableReason::TooManyFailures);
    assert_eq!(told, [NoticeKind::Failing(50), NoticeKind::Failing(70), NoticeKind::Failing(90), disabled]);
    Ok(())
}

async fn recovers() -> Told {
    let replies = std::iter::repeat_n(Reply::status(500), 15).chain([Reply::status(204)]);
    let house = without_retries(replies)?;
    let mut notices = house.hub.notices();
    house.subscribe("t", "https://a.example.com/").await?;

    for _ in 0..16 {
        house.publish("t", "order.paid").await?;
        house.work().await;
        house.clock.advance(6 * HOUR);
    }

    let told: Vec<_> = notices.drain().into_iter().map(|notice| notice.kind).collect();
    let place = |wanted: NoticeKind| told.iter().position(|kind| *kind == wanted);
    let (failing, recovered) = (place(NoticeKind::Failing(50)), place(NoticeKind::Recovered));
    assert!(failing.is_some() && recovered > failing, "{told:?}");
    Ok(())
}

async fn circuit() -> Told {
    let house = without_retries([Reply::status(503)])?;
    let mut notices = house.hub.notices();
    house.subscribe("t", "https://a.example.com/").await?;
    for _ in 0..100 {
        house.publish("t", "order.paid").await?;
    }
    house.work().await;

    let told = notices.drain();
    let opened = told.iter().find_map(|notice| match notice.kind {
        NoticeKind::CircuitOpened(until) => Some((notice.at, until)),
        _ => None,
    });
    let (at, until) = opened.ok_or("a notice of the circuit")?;
    assert_eq!((until - at).num_seconds(), 30);
    // Ten results are needed for a judgement, and eight requests are in flight at once; what is behind them waits.
    let before = house.transport.requests().len();
    assert!((10..=24).contains(&before), "{before} requests");

    house.clock.advance(Duration::from_secs(29));
    house.work().await;
    assert_eq!(house.transport.requests().len(), before);
    house.clock.advance(Duration::from_secs(2));
    house.work().await;
    assert!(house.transport.requests().len() > before, "it is tried again when the circuit closes");
    Ok(())
}

async fn given_up() -> Told {
    let house = without_retries([Reply::status(500)])?;
    let mut notices = house.hub.notices();
    let webhook = house.subscribe("t", "https://a.example.com/").await?;

    house.publish("t", "order.paid").await?;
    house.work().await;

    let [notice] = &notices.drain()[..] else { return Err("one notice".into()) };
    let delivery = house.deliveries("t").await?[0].delivery.id;
    assert_eq!(notice.kind, NoticeKind::DeadLetter(delivery, DeadReason::Exhausted));
    assert_eq!((notice.tenant.as_str(), notice.webhook), ("t", webhook));
    Ok(())
}

async fn expired() -> Told {
    let mut settings = Settings::default();
    settings.max_age = Duration::from_secs(60);
    let house = house_with(|receivers| receivers, |builder| builder.settings(settings))?;
    let mut notices = house.hub.notices();
    let id = house.subscribe("t", "https://a.example.com/").await?;
    house.admin("t").webhooks().pause(id).await?;
    house.publish("t", "order.paid").await?;
    house.work().await;

    house.clock.advance(Duration::from_secs(120));
    house.work().await;

    let delivery = house.deliveries("t").await?[0].delivery.id;
    let told: Vec<_> = notices.drain().into_iter().map(|notice| notice.kind).collect();
    assert_eq!(told, [NoticeKind::DeadLetter(delivery, DeadReason::Expired)]);
    Ok(())
}

/// What became of two events of one order, of which the receiver takes only the second: their deliveries and statuses, how many
/// requests there were, and what was told.
type Story = (Vec<(DeliveryId, DeliveryStatus)>, usize, Vec<NoticeKind>);

async fn ordered(on_exhausted: LaneStop) -> Result<Story> {
    let house = without_retries([Reply::status(500), Reply::status(204)])?;
    let mut notices = house.hub.notices();
    let by_key = Ordering::Ordered { by: Ordered::ByKey, on_exhausted };
    let webhook = NewWebhook::to("https://a.example.com/").events(["*"]).ordering(by_key);
    house.admin("t").webhooks().create(webhook).await?;
    for _ in 0..2 {
        house.hub.publish(event("t", "order.paid").with_ordering_key("A-7")).await?;
        house.tick();
    }
    house.work().await;
    let told = notices.drain().into_iter().map(|notice| notice.kind).collect();
    let mut deliveries: Vec<_> =
        house.deliveries("t").await?.into_iter().map(|record| record.delivery).collect();
    deliveries.sort_by_key(|delivery| delivery.event);
    let ends = deliveries.iter().map(|delivery| (delivery.id, delivery.status)).collect();
    Ok((ends, house.transport.requests().len(), told))
}

async fn stands_still() -> Told {
    let (ends, requests, told) = ordered(LaneStop::Stop).await?;

    let statuses: Vec<_> = ends.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [DeliveryStatus::Stopped, DeliveryStatus::Pending]);
    assert_eq!((told, requests), (vec![NoticeKind::LaneStopped(ends[0].0)], 1));
    Ok(())
}

async fn passes_over() -> Told {
    let (ends, requests, told) = ordered(LaneStop::Skip).await?;

    let statuses: Vec<_> = ends.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [DeliveryStatus::DeadLetter(DeadReason::Exhausted), DeliveryStatus::Delivered]);
    assert_eq!((told, requests), (vec![NoticeKind::DeadLetter(ends[0].0, DeadReason::Exhausted)], 2));
    Ok(())
}
