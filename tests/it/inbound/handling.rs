//! Retries, order, panics, fairness, shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossdock::adapters::memory::MemoryStore;
use crossdock::inbound::{Handled, Incoming, ReceivedFilter, ReceivedStatus, Route};
use crossdock::lanes::Schedule;
use crossdock::primitives::PageRequest;
use futures_util::FutureExt;
use libtest_mimic::Trial;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::world::{Failure, World, paid, play, write_down};
use crate::patience::soon;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::a_failure_is_tried_again_and_becomes_a_dead_letter_that_can_be_replayed", || {
            play(retries())
        }),
        rule("inbound::a_redelivery_of_a_dead_letter_is_handled", || play(redelivery())),
        rule("inbound::a_panic_is_a_failure_of_that_one_item", || play(panics())),
        rule("inbound::what_ends_its_worker_each_time_is_given_up", || play(interrupted())),
        rule("inbound::a_payload_of_another_type_is_a_dead_letter_that_says_where", || play(mistyped())),
        rule("inbound::what_no_handler_wants_is_kept_and_not_tried", || play(unwanted())),
        rule("inbound::of_one_order_what_is_older_than_what_was_handled_is_dropped", || play(ordered())),
        rule("inbound::a_handler_that_takes_too_long_is_tried_again", || play(slow())),
        rule("inbound::a_customer_with_much_keeps_nobody_waiting", || play(fair())),
        rule("inbound::a_shutdown_waits_for_handlers_and_loses_nothing", || play(shutdown())),
    ]
}

fn twice() -> Schedule {
    Schedule::table([Duration::from_secs(5)]).expect("a schedule")
}

async fn status_of(world: &World, event: &str) -> Result<(ReceivedStatus, u32, Option<String>), Failure> {
    let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(100)).await?;
    let found = page.items.into_iter().find(|record| record.received.event_id.as_deref() == Some(event));
    let record = found.ok_or("nothing of that id")?;
    Ok((record.status, record.attempts, record.note.map(|note| note.to_string())))
}

/// Fails until it is told not to.
fn shaky(left: &Arc<AtomicUsize>) -> Result<World, Failure> {
    let left = Arc::clone(left);
    World::with(|hub, log| {
        let route = Route::new("stripe", "*", move |event: Incoming<Value>| {
            let (left, log) = (Arc::clone(&left), Arc::clone(&log));
            async move {
                if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    return Err("the ledger is closed");
                }
                write_down(&log, &event);
                Ok(())
            }
        });
        hub.route(route.retry(twice()))
    })
}

async fn retries() -> Result<(), Failure> {
    let left = Arc::new(AtomicUsize::new(3));
    let world = shaky(&left)?;
    world.send(&paid("evt_1")).await?;

    let due = world.work().await.ok_or("it is tried again")?;
    assert!(due >= world.now() + Duration::from_secs(5));
    assert_eq!(
        status_of(&world, "evt_1").await?,
        (ReceivedStatus::Pending, 1, Some("the ledger is closed".to_owned()))
    );
    world.clock.advance_to(due);
    world.work().await;
    assert_eq!(status_of(&world, "evt_1").await?.0, ReceivedStatus::Dead);

    let received = world.hub.platform_received();
    let dead = ReceivedFilter::new().status(ReceivedStatus::Dead).kind("invoice.*");
    let replayed = received.replay_all(&dead, PageRequest::first(10)).await?;
    assert_eq!(replayed.count, 1);
    let due = world.work().await.ok_or("the third time fails as well")?;
    world.clock.advance_to(due);
    world.work().await;
    assert_eq!(world.handled(), ["evt_1"]);
    assert_eq!(status_of(&world, "evt_1").await?.0, ReceivedStatus::Done);
    Ok(())
}

async fn redelivery() -> Result<(), Failure> {
    let left = Arc::new(AtomicUsize::new(2));
    let world = shaky(&left)?;
    world.send(&paid("evt_1")).await?;
    let due = world.work().await.ok_or("it is tried again")?;
    world.clock.advance_to(due);
    world.work().await;
    assert_eq!(status_of(&world, "evt_1").await?.0, ReceivedStatus::Dead);

    world.send(&paid("evt_1")).await?;
    world.work().await;

    assert_eq!(world.handled(), ["evt_1"]);
    Ok(())
}

async fn panics() -> Result<(), Failure> {
    let world = World::with(|hub, log| {
        let panicking = Route::new("stripe", "bad.*", |event: Incoming<Value>| async move {
            assert!(event.attempt() > 9, "on purpose");
        });
        let at_once = Route::new("stripe", "worse", |event: Incoming<Value>| {
            assert!(event.attempt() > 9, "on purpose");
            async {}
        });
        let route = Route::new("stripe", "*", move |event: Incoming<Value>| {
            write_down(&log, &event);
            async {}
        });
        hub.route(panicking.retry(Schedule::none())).route(at_once.retry(Schedule::none())).route(route)
    })?;
    for (id, kind) in [("evt_1", "bad.one"), ("evt_2", "worse"), ("evt_3", "good")] {
        world.send(&json!({"id": id, "type": kind})).await?;
    }

    let worker = world.hub.inbound_worker();
    worker.run_until_idle().await;

    assert_eq!(world.handled(), ["evt_3"]);
    for id in ["evt_1", "evt_2"] {
        let dead = (ReceivedStatus::Dead, 1, Some("the handler panicked".to_owned()));
        assert_eq!(status_of(&world, id).await?, dead);
    }
    let status = worker.status();
    assert_eq!((status.panics, status.dead, status.settled), (2, 2, 3));
    Ok(())
}

async fn interrupted() -> Result<(), Failure> {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let world = World::with(|hub, _| {
        let route = Route::new("stripe", "*", move |_: Incoming<Value>| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>()
        });
        hub.route(route.retry(twice()))
    })?;
    world.send(&paid("evt_1")).await?;

    for attempt in 1..=2 {
        // As if its process had died: nothing is settled, and the lease ends by itself.
        assert!(world.hub.inbound_worker().run_until_idle().now_or_never().is_none(), "{attempt}");
        world.advance(Duration::from_secs(600));
    }
    world.work().await;

    let dead = (ReceivedStatus::Dead, Some("the worker was interrupted each time".to_owned()));
    let (status, _, note) = status_of(&world, "evt_1").await?;
    assert_eq!((status, note), dead);
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    Ok(())
}

async fn mistyped() -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Invoice {
        total: u64,
    }
    let world = World::with(|hub, log| {
        hub.on("stripe", "*", move |invoice: Incoming<Invoice>| {
            log.lock().expect("a list").push(invoice.payload.total.to_string());
            async { Handled::Done }
        })
    })?;
    world.send(&json!({"id": "evt_1", "type": "a", "total": "secret words"})).await?;
    world.send(&json!({"id": "evt_2", "type": "a", "total": 18_446_744_073_709_551_615_u64})).await?;

    world.work().await;

    let (status, attempts, note) = status_of(&world, "evt_1").await?;
    assert_eq!((status, attempts), (ReceivedStatus::Dead, 1));
    assert!(note.is_some_and(|note| note.contains("line 1") && !note.contains("secret")));
    assert_eq!(world.handled(), ["18446744073709551615"]);
    Ok(())
}

async fn unwanted() -> Result<(), Failure> {
    let world = World::with(|hub, log| {
        hub.on("stripe", "invoice.*", move |event: Incoming<Value>| {
            write_down(&log, &event);
            async {}
        })
    })?;
    world.send(&json!({"id": "evt_1", "type": "customer.created"})).await?;

    assert_eq!(world.work().await, None);

    assert!(world.handled().is_empty());
    assert_eq!(status_of(&world, "evt_1").await?.0, ReceivedStatus::Ignored);
    Ok(())
}

async fn ordered() -> Result<(), Failure> {
    let world = World::with(|hub, log| {
        let route = Route::new("stripe", "customer.subscription.*", move |event: Incoming<Value>| {
            let log = Arc::clone(&log);
            async move {
                if event.payload["id"] == "a" && event.attempt() == 1 {
                    return Err("not now");
                }
                write_down(&log, &event);
                Ok(())
            }
        });
        hub.route(route.in_order_by("/data/object/id").retry(twice()))
    })?;
    let changed = |id: &str, subscription: &str, created: i64| {
        let object = json!({"id": subscription});
        json!({"id": id, "type": "customer.subscription.updated", "created": created, "data": {"object": object}})
    };
    // They come in the wrong order, and before anything is handled: the oldest goes first.
    for (id, subscription, created) in
        [("c", "sub_1", 30), ("a", "sub_1", 10), ("b", "sub_1", 20), ("x", "sub_2", 99)]
    {
        world.send(&changed(id, subscription, created)).await?;
    }
    // The head fails: what is behind it waits for it, the other order does not.
    let worker = world.hub.inbound_worker().slots(1);
    let due = worker.run_until_idle().await.ok_or("the head is tried again")?;
    assert_eq!(world.handled(), ["x"]);
    world.clock.advance_to(due);
    world.work().await;
    assert_eq!(world.handled(), ["x", "a", "b", "c"]);

    // One that comes too late is dropped, one of the same age is not.
    world.send(&changed("late", "sub_1", 29)).await?;
    world.send(&changed("same", "sub_1", 30)).await?;
    world.work().await;

    assert_eq!(world.handled(), ["x", "a", "b", "c", "same"]);
    assert_eq!(status_of(&world, "late").await?.0, ReceivedStatus::Outdated);
    Ok(())
}

async fn slow() -> Result<(), Failure> {
    let world = World::with(|hub, log| {
        let route = Route::new("stripe", "*", move |event: Incoming<Value>| {
            let log = Arc::clone(&log);
            async move {
                if event.attempt() == 1 {
                    std::future::pending::<()>().await;
                }
                write_down(&log, &event);
            }
        });
        hub.route(route.retry(twice()).timeout(Duration::from_secs(10)))
    })?;
    world.send(&paid("evt_1")).await?;

    let worker = world.hub.inbound_worker();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    while !working.is_finished() {
        world.clock.advance_to_next_sleeper();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let due = working.await?.ok_or("it is tried again")?;
    assert_eq!(status_of(&world, "evt_1").await?.2.as_deref(), Some("the handler took too long"));
    world.clock.advance_to(due);
    world.work().await;

    assert_eq!(world.handled(), ["evt_1"]);
    Ok(())
}

async fn fair() -> Result<(), Failure> {
    let world = World::new()?;
    let of = |id: &str, account: &str| json!({"id": id, "type": "a", "account": account});
    for number in 0..500 {
        world.send(&of(&format!("busy-{number}"), "acct_busy")).await?;
    }
    world.send(&of("quiet", "acct_quiet")).await?;

    world.hub.inbound_worker().slots(4).slots_per_party(2).run_until_idle().await;

    let handled = world.handled();
    let place = handled.iter().position(|id| id == "quiet").ok_or("it is handled")?;
    assert_eq!(handled.len(), 501);
    assert!(place < 8, "it was number {place}");
    Ok(())
}

async fn shutdown() -> Result<(), Failure> {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let store = MemoryStore::new();
    let (given, started, continues) = (store.clone(), Arc::clone(&begun), Arc::clone(&go_on));
    let world = World::with(|hub, log| {
        hub.inbound_store(given).on("stripe", "*", move |event: Incoming<Value>| {
            let (log, started, continues) = (Arc::clone(&log), Arc::clone(&started), Arc::clone(&continues));
            async move {
                started.notify_one();
                if event.payload["id"] == "hangs" {
                    std::future::pending::<()>().await;
                }
                continues.notified().await;
                write_down(&log, &event);
            }
        })
    })?;
    world.send(&paid("finishes")).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = world.hub.inbound_worker().slots(2).slots_per_party(2).grace(Duration::from_secs(20));
    let running = tokio::spawn(async move { worker.run_until(async { drop(stopped.await) }).await });
    begun.notified().await;
    world.send(&paid("hangs")).await?;
    begun.notified().await;

    drop(stop);
    go_on.notify_one();
    let log = Arc::clone(&world.log);
    soon("the handler that can finish does", async || Ok(log.lock().expect("a list").len() == 1))
        .await
        .map_err(|error| error.to_string())?;
    while !running.is_finished() {
        world.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.await?;

    assert_eq!(world.handled(), ["finishes"]);
    assert_eq!(status_of(&world, "finishes").await?.0, ReceivedStatus::Done);
    let (status, attempts, _) = status_of(&world, "hangs").await?;
    assert_eq!((status, attempts), (ReceivedStatus::Pending, 1));
    // What was cut off is due again at once.
    let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    assert!(page.items.iter().all(|record| record.due_at.is_none_or(|due| due <= world.now())));
    Ok(())
}
