//! Publishing in the host's own transactions, as its customers see it.

use crossdock::ErrorKind;
use crossdock::ports::{Wake, Wakened};
use libtest_mimic::Trial;

use crate::durable::ground::{Ending, Failure, Ground, shipped, texts, vault};
use crate::patience::soon;
use crate::postgres::{Outcome, Schemas, Way, play, pooler, rule_with, server};
use crate::rule;
use crate::story::receiver::{Receiver, Reply};
use crate::story::shop::Shop;

pub(super) fn trials() -> Vec<Trial> {
    [
        everywhere("what_is_rolled_back_is_never_heard_of", async |ground| rolled_back(ground).await),
        everywhere("a_process_that_ends_between_commit_and_wake_up_loses_nothing", async |ground| {
            ended_early(ground).await
        }),
        everywhere("an_order_that_is_tried_again_is_one_event", async |ground| tried_again(ground).await),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The same story on each store that lasts.
fn everywhere(name: &str, story: impl AsyncFnOnce(Ground) -> Outcome + Copy + Send + 'static) -> Vec<Trial> {
    let on_postgres =
        async move |schemas: std::sync::Arc<Schemas>| story(Ground::postgres(&schemas).await?).await;
    vec![
        rule(&format!("durable::sqlite::{name}"), move || {
            play(async move { story(Ground::sqlite()?).await })
        }),
        rule_with(&format!("durable::postgres::{name}"), server, move |url| {
            play(Schemas::lend(url, Way::Direct, on_postgres))
        }),
        rule_with(&format!("durable::postgres_pooled::{name}"), pooler, move |url| {
            play(Schemas::lend(url, Way::Pooled, on_postgres))
        }),
    ]
}

async fn rolled_back(ground: Ground) -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let (host, deliverer) = (ground.shop()?, ground.shop()?);
    host.subscribe("ERP", &receiver.url("/"), "shipment.*").await?;
    let worker = deliverer.work();

    let mut committed = Vec::new();
    for ending in [
        Ending::RollBack,
        Ending::Commit,
        Ending::Loss,
        Ending::Commit,
        Ending::RollBack,
        // The last one, so that everything before it would have been seen.
        Ending::Commit,
    ] {
        let published = ground.order(&host, shipped()?, ending).await?;
        assert!(published.fresh);
        if ending == Ending::Commit {
            committed.push(published.event);
        }
    }

    soon("what was committed is delivered", async || Ok(host.all_delivered(committed.len()).await?)).await?;
    assert_eq!(heard(&receiver), texts(&committed));
    assert_eq!(ground.orders().await?, 3);
    worker.stop().await
}

async fn ended_early(ground: Ground) -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let host = ground.shop()?;
    host.subscribe("ERP", &receiver.url("/"), "shipment.*").await?;
    // One commits in its own transaction, one lets the hub do it; neither says a word to anybody afterwards.
    let first = ground.order(&host, shipped()?, Ending::Commit).await?.event;
    drop(host);
    let second = deaf(&ground)?.hub.publish(shipped()?).await?.event;

    let later = ground.shop()?;
    let worker = later.work();

    soon("both are delivered", async || Ok(later.all_delivered(2).await?)).await?;
    assert_eq!(heard(&receiver), texts(&[first, second]));
    worker.stop().await?;

    // Nor does a worker that hears nothing.
    let deaf = deaf(&ground)?;
    let worker = deaf.work();
    ground.order(&later, shipped()?, Ending::Commit).await?;
    soon("the third is found", async || Ok(deaf.all_delivered(3).await?)).await?;
    worker.stop().await
}

async fn tried_again(ground: Ground) -> Outcome {
    let receiver = Receiver::listen(|_| Reply::status(204)).await?;
    let host = ground.shop()?;
    host.subscribe("ERP", &receiver.url("/"), "shipment.*").await?;
    let order = || Ok::<_, Failure>(shipped()?.with_idempotency_key("A-7"));

    let lost = ground.order(&host, order()?, Ending::RollBack).await?;
    let first = ground.order(&host, order()?, Ending::Commit).await?;
    let again = ground.order(&host, order()?, Ending::Commit).await?;
    let by_the_hub = host.hub.publish(order()?).await?;
    let other = crossdock::events::NewEvent::new("org_42".parse()?, "shipment.shipped", "A-8")?;
    let other = ground.order(&host, other.with_idempotency_key("A-7"), Ending::Commit).await;

    assert_ne!(lost.event, first.event);
    assert_eq!((lost.fresh, first.fresh, again.fresh, by_the_hub.fresh), (true, true, false, false));
    assert_eq!((again.event, by_the_hub.event), (first.event, first.event));
    let refused = other.err().ok_or("the key was used with two payloads")?;
    let refused = refused.downcast::<crossdock::Error>()?;
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let worker = host.work();
    soon("it is delivered", async || Ok(host.all_delivered(1).await?)).await?;
    assert_eq!(heard(&receiver), texts(&[first.event]));
    // The one whose key was used with another payload took its order back.
    assert_eq!(ground.orders().await?, 2);
    worker.stop().await
}

/// The events that have arrived, in the order of their names.
fn heard(receiver: &Receiver) -> Vec<String> {
    let mut heard: Vec<String> = receiver.requests().iter().map(|request| request.event_id()).collect();
    heard.sort();
    heard
}

/// A process that neither tells anybody of work nor is told.
fn deaf(ground: &Ground) -> Result<Shop, Failure> {
    match ground {
        Ground::Sqlite { path, .. } => {
            let store = crossdock::adapters::SqliteStore::open(path)?;
            Shop::open_with(|builder| Ok(builder.store(store).vault(vault()).wake(Silence)))
        }
        Ground::Postgres(place) => {
            let store = place.store.clone();
            Shop::open_with(|builder| Ok(builder.store(store).vault(vault()).wake(Silence)))
        }
    }
}

#[derive(Debug)]
struct Silence;

impl Wake for Silence {
    fn wake(&self) {}

    fn listen(&self) -> Wakened {
        Box::pin(std::future::pending())
    }
}
