//! Stores with a clock of their own, or with too little time for a batch: the worker works with them all the same.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::ports::Clock;
use crossdock::primitives::PageRequest;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{ManualClock, ScriptedTransport};
use crossdock::webhooks::{
    ClaimRequest, DeliveryFilter, DeliveryQueue, DeliveryRecord, DeliveryStatus, Half, Include, NewWebhook,
    Outbox, WebhookRepository,
};
use crossdock::{Hub, Result};
use futures_util::future::{Either, select};
use libtest_mimic::Trial;

use crate::bent::Bent;
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("everything_happens_by_the_stores_clock_from_the_first_step_on", stores_clock),
        story("a_batch_that_is_too_much_for_the_store_is_settled_one_by_one", too_much),
        story("what_a_store_leases_at_once_is_sent_without_a_claim", at_once),
        story("what_is_leased_while_the_worker_stops_is_given_back_at_once", at_the_end),
        story("what_is_published_beside_what_was_seen_before_waits_for_no_alarm", beside_the_rest),
        story("whoever_comes_too_late_leaves_the_outbox_to_others_for_a_while", too_late),
        story("whoever_loses_many_events_keeps_to_a_half_and_leaves_nothing_behind", by_halves),
    ]
}

type Told = Result<(), Box<dyn StdError>>;

fn story<F: Future<Output = Told>>(name: &str, tell: impl FnOnce() -> F + Send + 'static) -> Trial {
    rule(&format!("odd_stores::{name}"), move || -> Told {
        tokio::runtime::Builder::new_current_thread().build()?.block_on(tell())
    })
}

async fn shop(store: &Bent, clock: &ManualClock, events: usize) -> Result<Hub, Box<dyn StdError>> {
    let keys = crossdock::adapters::StaticKeys::new("a", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
    let hub = Hub::builder()
        .store(store.clone())
        .vault(crossdock::adapters::EnvelopeVault::new(keys))
        .events(EventCatalog::new().with(EventTypeSpec::new("order.placed")))
        .clock(clock.clone())
        .transport(ScriptedTransport::new(Arc::new(clock.clone())))
        .build()?;
    let admin = hub.admin(Actor::org_admin("t".parse()?, "ada"));
    admin.webhooks().create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
    for _ in 0..events {
        hub.publish(NewEvent::new("t".parse()?, "order.placed", "A-7")?).await?;
    }
    Ok(hub)
}

async fn records(store: &Bent) -> Result<Vec<DeliveryRecord>, Box<dyn StdError>> {
    let tenant: TenantId = "t".parse()?;
    let (all, page) = (DeliveryFilter::default(), PageRequest::first(10));
    Ok(store.inner.deliveries(&tenant, &all, Include::default(), page).await?.items)
}

async fn stores_clock() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    let stores_clock = clock.clone();
    store.tell_time(move || stores_clock.now() + TimeDelta::hours(1));
    let hub = shop(&store, &clock, 1).await?;

    hub.worker().run_until_idle().await;

    let made = records(&store).await?;
    assert_eq!(made[0].delivery.created_at, clock.now() + TimeDelta::hours(1));
    assert_eq!(made[0].delivery.status, DeliveryStatus::Delivered);
    Ok(())
}

async fn too_much() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    store.settle_singly();
    let hub = shop(&store, &clock, 3).await?;
    let time_passes = std::pin::pin!(async {
        for _ in 0..60 {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    });

    let worker = hub.worker();
    let works = std::pin::pin!(worker.run_until_idle());
    let ended = select(works, time_passes).await;

    assert!(matches!(ended, Either::Left(_)), "it does not bring the same batch for ever");
    let made = records(&store).await?;
    assert!(made.iter().all(|record| record.delivery.status == DeliveryStatus::Delivered));
    assert!(made.iter().all(|record| record.delivery.attempts == 1));
    Ok(())
}

async fn at_once() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    store.lease_at_once(|| async {});
    let hub = shop(&store, &clock, 5).await?;
    let settled = async {
        for _ in 0..1_000 {
            clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
            let made = records(&store).await.unwrap_or_default();
            if made.len() == 5 && made.iter().all(|record| record.delivery.status.is_final()) {
                return;
            }
        }
    };

    hub.worker().run_until(settled).await;

    let made = records(&store).await?;
    assert_eq!(made.len(), 5);
    assert!(made.iter().all(|record| record.delivery.status == DeliveryStatus::Delivered), "{made:?}");
    assert!(made.iter().all(|record| record.delivery.attempts == 1));
    Ok(())
}

async fn at_the_end() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    let (stop, stopped) = futures_channel::oneshot::channel::<()>();
    store.lease_at_once(|| async move {
        drop(stop);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
    let hub = shop(&store, &clock, 5).await?;
    let stopped = async { assert!(stopped.await.is_err(), "the sender is dropped") };

    hub.worker().run_until(stopped).await;

    let request = ClaimRequest::new(clock.now(), Duration::from_secs(60), 10);
    let again = store.inner.claim(request).await?.claims;
    assert_eq!(again.len(), 5, "whoever comes next need not wait for a lease to end");
    assert!(again.iter().all(|claim| claim.attempt == 1), "nothing was begun");
    Ok(())
}

async fn beside_the_rest() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    let hub = shop(&store, &clock, 1_200).await?;
    let (late, again) = (hub.clone(), store.clone());
    let (tell, mut told) = futures_channel::oneshot::channel();
    // A look for 500, and one further ahead: of its 700 this is the first batch, and the rest is taken without another look.
    store.lease_at_once(move || async move {
        again.lease_at_once(move || async move {
            let event = NewEvent::new("t".parse().expect("a tenant"), "order.placed", "A-8");
            late.publish(event.expect("an event")).await.expect("a publication");
            tell.send(()).expect("somebody hears");
        });
    });
    let taken_off = std::pin::pin!(async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
            let is_empty = |outbox: Outbox| outbox.entries.is_empty();
            if store.inner.outbox(1, clock.now()).await.is_ok_and(is_empty) {
                return true;
            }
        }
        false
    });

    let worker = hub.worker();
    let works = std::pin::pin!(worker.run_until(std::future::pending()));
    let ended = select(taken_off, works).await;

    assert!(matches!(ended, Either::Left((true, _))), "no time has passed, and nobody publishes again");
    assert!(matches!(told.try_recv(), Ok(Some(()))), "it was published beside the second batch");
    Ok(())
}

async fn too_late() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    let hub = shop(&store, &clock, 0).await?;
    store.others_are_faster();

    let (worker, tenant) = (hub.worker(), "t".parse::<TenantId>()?);
    let two_seconds = async {
        for number in 0..200 {
            hub.publish(NewEvent::new(tenant.clone(), "order.placed", &number)?).await?;
            clock.advance(Duration::from_millis(10));
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    };
    let mut told: Result<()> = Ok(());
    worker.run_until(async { told = two_seconds.await }).await;

    told?;
    let lost = store.others_are_gone();
    assert!((2..10).contains(&lost), "it has tried {lost} times");
    hub.worker().run_until_idle().await;
    let made = records(&store).await?;
    assert!(made.iter().all(|record| record.delivery.status == DeliveryStatus::Delivered));
    Ok(())
}

async fn by_halves() -> Told {
    let (store, clock) = (Bent::default(), ManualClock::new());
    let hub = shop(&store, &clock, 150).await?;
    let other: TenantId = "u".parse()?;
    let webhooks = hub.admin(Actor::org_admin(other.clone(), "ada")).webhooks();
    webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
    for _ in 0..150 {
        hub.publish(NewEvent::new(other.clone(), "order.placed", "A-7")?).await?;
    }
    store.others_are_faster();

    let settle = async |time: Duration| {
        for _ in 0..time.as_millis() / 10 {
            clock.advance(Duration::from_millis(10));
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    };
    let (worker, mut at_once, mut left) = (hub.worker(), Vec::new(), Vec::new());
    let story = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        at_once = store.halves();
        // For so long that it asks but once a second.
        settle(Duration::from_secs(20)).await;
        store.others_are_gone();
        settle(Duration::from_secs(3)).await;
        left.push(store.examine(clock.now()).await);
        // And what comes for one half alone, whichever it keeps to.
        for tenant in ["t".parse()?, other] {
            hub.publish(NewEvent::new(tenant, "order.placed", "A-8")?).await?;
            settle(Duration::from_secs(1)).await;
            left.push(store.examine(clock.now()).await);
        }
        Ok::<_, Box<dyn StdError>>(())
    };
    let mut told = Ok(());
    worker.run_until(async { told = story.await.map_err(|error| error.to_string()) }).await;

    told?;
    assert!(!at_once.is_empty(), "others were faster with the first batch");
    let asked = store.halves();
    assert!((5..100).contains(&asked.len()), "halves were asked for {} times", asked.len());
    assert!(asked.contains(&Half::Even) && asked.contains(&Half::Odd));
    for found in left {
        let found = found?;
        assert_eq!((found.outbox, found.oldest_due, found.live_leases), (0, None, 0));
    }
    Ok(())
}
