//! What one tenant may cost the others.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use crossdock::ErrorKind;
use crossdock::primitives::WebhookId;
use crossdock::testing::{Reply, SentRequest};
use crossdock::webhooks::{NewReplay, NewWebhook, ReplayState, Settings};
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, house_with, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("many_hanging_webhooks_of_one_tenant_do_not_delay_another_tenant", hanging_webhooks),
        story("a_tenant_with_all_its_slots_taken_goes_on_as_they_end", slots_come_back),
        story("a_tenant_runs_a_few_replays_at_once", few_replays),
    ]
}

/// Beside these, webhooks of one tenant with the usual limits fill a loop of the usual size: 200 × 8 is more than 1,024.
const HANGING: usize = 200;

fn hangs(request: &SentRequest) -> bool {
    request.url.host().starts_with("hangs")
}

fn hostile_house() -> crossdock::Result<House> {
    house_with(
        |receivers| {
            receivers.answering(|request| if hangs(request) { Reply::hang() } else { Reply::status(204) })
        },
        |builder| builder,
    )
}

/// So many webhooks that hang, with more to do than any worker has slots.
async fn fill(house: &House, webhooks: usize) -> Told {
    for number in 0..webhooks {
        house.subscribe("hostile", &format!("https://hangs-{number}.example.com/")).await?;
    }
    for _ in 0..10 {
        house.publish("hostile", "order.placed").await?;
    }
    Ok(())
}

/// Lets everything happen that needs no time to pass.
fn settle_down(mut future: std::pin::Pin<&mut impl Future>) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        assert!(future.as_mut().poll(&mut cx).is_pending(), "nobody has stopped the worker");
    }
}

async fn hanging_webhooks() -> Told {
    let house = hostile_house()?;
    fill(&house, HANGING).await?;
    house.subscribe("quiet", "https://well.example.com/").await?;
    let worker = house.hub.worker().runners(1);
    let mut running = pin!(worker.run_until(std::future::pending()));
    settle_down(running.as_mut());
    let hanging = house.transport.requests().len();
    assert_eq!(hanging, 512, "half of the slots");

    for _ in 0..20 {
        house.publish("quiet", "order.placed").await?;
    }
    settle_down(running.as_mut());

    // Not a millisecond has passed.
    assert_eq!(house.transport.requests().iter().filter(|request| !hangs(request)).count(), 20);
    assert_eq!(house.transport.requests().len(), hanging + 20);
    Ok(())
}

async fn slots_come_back() -> Told {
    let house = hostile_house()?;
    fill(&house, 4).await?;
    let worker = house.hub.worker().runners(1).slots(16).slots_per_tenant(6);
    let mut running = pin!(worker.run_until(std::future::pending()));
    settle_down(running.as_mut());
    assert_eq!(house.transport.requests().len(), 6);

    // After 20 s each of them has timed out, and the next ones go.
    house.clock.advance(Duration::from_secs(20));
    settle_down(running.as_mut());

    assert_eq!(house.transport.requests().len(), 12);
    Ok(())
}

async fn few_replays() -> Told {
    let mut settings = Settings::default();
    settings.max_running_replays = 2;
    let house = house_with(|receivers| receivers, |builder| builder.settings(settings))?;
    let replays = house.admin("t").replays();
    let subscribe = async |tenant| -> crossdock::Result<WebhookId> {
        let new = NewWebhook::to("https://a.example.com/").events(["*"]);
        Ok(house.admin(tenant).webhooks().create(new).await?.webhook.id)
    };
    let all_of = |webhook| {
        let past = DateTime::UNIX_EPOCH;
        NewReplay::undelivered(webhook, past, past + TimeDelta::days(1))
    };
    let (mine, theirs) = (subscribe("t").await?, subscribe("u").await?);
    let first = replays.start(all_of(mine)).await?;
    replays.start(all_of(mine)).await?;

    assert_refused(replays.start(all_of(mine)).await, ErrorKind::Conflict, &["replays"]);

    assert_eq!(house.admin("u").replays().start(all_of(theirs)).await?.state, ReplayState::Running);
    replays.cancel(first.id).await?;
    assert_eq!(replays.start(all_of(mine)).await?.state, ReplayState::Running);
    Ok(())
}
