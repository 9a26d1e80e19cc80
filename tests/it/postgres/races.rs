//! Callers that race, in several processes' places: no limit is broken, no delivery is given twice, no order is turned round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossdock::adapters::PostgresStore;
use crossdock::events::EventHead;
use crossdock::primitives::{DeliveryId, WebhookId};
use crossdock::webhooks::{
    Claim, ClaimRequest, DeliveryQueue, Fate, LaneStop, Ordered, Ordering, SettleBatch, Settlement,
};
use libtest_mimic::Trial;

use tokio::task::JoinSet;

use crate::postgres::play::Outcome;
use crate::postgres::server::{rule_with, server};
use crate::postgres::world::{DAY, LEASE, World, at, head, publication, tenant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::races::eight_claimers_break_no_limit_and_no_order", server, |url| {
            play(eight_claimers(url))
        }),
        rule_with("postgres::races::two_stores_make_one_event_of_one_key", server, |url| play(one_key(url))),
        rule_with("postgres::races::an_erasure_and_a_fan_out_leave_nothing_to_send", server, |url| {
            play(erasure(url))
        }),
    ]
}

fn play(story: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(story)
}

/// What is known from outside: who works on what, and what has arrived.
#[derive(Default)]
struct Ledger {
    live: BTreeSet<DeliveryId>,
    in_flight: BTreeMap<WebhookId, u32>,
    arrived: BTreeMap<(WebhookId, String), Vec<u32>>,
    count: usize,
    broken: Vec<String>,
}

const CAP: u32 = 5;
const EVENTS: u32 = 40;

async fn eight_claimers(url: String) -> Outcome {
    let world = World::new(url).await?;
    let mut deliveries = 0;
    for number in 0..6 {
        let tenant = tenant(&format!("tenant {number}"));
        world.webhook(&tenant, |webhook| webhook.max_in_flight = Some(CAP)).await?;
        world
            .webhook(&tenant, |webhook| {
                webhook.ordering = Ordering::Ordered { by: Ordered::ByKey, on_exhausted: LaneStop::Stop };
            })
            .await?;
        for event in 0..EVENTS {
            let key = if event % 3 == 0 { "a" } else { "b" };
            let head: EventHead =
                head(&tenant, at(0))?.with_ordering_key(key).with_metadata([("number", event.to_string())]);
            world.store.publish(vec![publication(head)], DAY, at(0)).await?;
            deliveries += 2;
        }
    }
    world.distribute(at(0)).await?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let other = world.other_process().await?;

    let mut claimers = JoinSet::new();
    for number in 0..8 {
        let store = if number % 2 == 0 { world.store.clone() } else { other.clone() };
        claimers.spawn(work(store, Arc::clone(&ledger), deliveries));
    }
    // The first that fails ends the others: they would wait for what it has claimed.
    while let Some(claimer) = claimers.join_next().await {
        claimer??;
    }

    let ledger = Arc::into_inner(ledger).ok_or("a claimer is at work")?.into_inner()?;
    assert_eq!(ledger.broken, Vec::<String>::new());
    assert_eq!(ledger.count, deliveries);
    for (order, numbers) in &ledger.arrived {
        assert!(numbers.is_sorted(), "{order:?}: {numbers:?}");
    }
    world.end().await
}

async fn work(store: PostgresStore, ledger: Arc<Mutex<Ledger>>, all: usize) -> crossdock::Result<()> {
    let mut after = None;
    loop {
        let claimed = store.claim(ClaimRequest::new(at(1), LEASE, 7).with_after(after)).await?;
        after = claimed.after;
        if claimed.claims.is_empty() {
            if ledger.lock().expect("a ledger").count >= all {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        begun(&ledger, &claimed.claims);
        tokio::time::sleep(Duration::from_millis(2)).await;
        ended(&ledger, &claimed.claims);
        let results: Vec<_> =
            claimed.claims.iter().map(|claim| Settlement::new(claim, Fate::Delivered)).collect();
        let fenced = store.settle(SettleBatch::new(&results), at(1)).await?.fenced;
        let mut ledger = ledger.lock().expect("a ledger");
        ledger.broken.extend(fenced.iter().map(|lost| format!("lost: {lost:?}")));
        ledger.count += results.len();
    }
}

fn begun(ledger: &Mutex<Ledger>, claims: &[Claim]) {
    let mut ledger = ledger.lock().expect("a ledger");
    for claim in claims {
        if !ledger.live.insert(claim.delivery) {
            ledger.broken.push(format!("given twice: {}", claim.delivery));
        }
        let in_flight = ledger.in_flight.entry(claim.webhook.id).or_default();
        *in_flight += 1;
        let in_flight = *in_flight;
        if claim.webhook.max_in_flight.is_some_and(|cap| in_flight > cap) {
            ledger.broken.push(format!("{in_flight} in flight of {}", claim.webhook.id));
        }
        if claim.webhook.ordering != Ordering::Unordered {
            let key = claim.event.ordering_key.as_deref().unwrap_or_default().to_owned();
            let number = claim.event.metadata["number"].parse().unwrap_or_default();
            ledger.arrived.entry((claim.webhook.id, key)).or_default().push(number);
        }
    }
}

/// Before the store is told: from then on, others may have the slots.
fn ended(ledger: &Mutex<Ledger>, claims: &[Claim]) {
    let mut ledger = ledger.lock().expect("a ledger");
    for claim in claims {
        ledger.live.remove(&claim.delivery);
        *ledger.in_flight.entry(claim.webhook.id).or_default() -= 1;
    }
}

async fn one_key(url: String) -> Outcome {
    let world = World::new(url).await?;
    let (acme, other) = (tenant("acme"), world.other_process().await?);

    for key in 0..10 {
        let mut racing = Vec::new();
        for number in 0..8 {
            let store = if number % 2 == 0 { world.store.clone() } else { other.clone() };
            let new = publication(head(&acme, at(key))?).with_idempotency_key(format!("key {key}"));
            racing.push(tokio::spawn(async move { store.publish(vec![new], DAY, at(key)).await }));
        }
        let mut answers = Vec::new();
        for answer in racing {
            answers.extend(answer.await??);
        }

        assert_eq!(answers.iter().filter(|answer| answer.fresh).count(), 1);
        assert!(answers.iter().all(|answer| answer.event == answers[0].event));
    }

    assert_eq!(world.store.outbox(100, at(20)).await?.entries.len(), 10);
    world.end().await
}

async fn erasure(url: String) -> Outcome {
    use crossdock::webhooks::WebhookRepository;
    let world = World::new(url).await?;
    let acme = tenant("acme");
    world.webhook(&acme, |webhook| webhook.max_in_flight = Some(1_000)).await?;

    for round in 0..15 {
        let subject = format!("ada {round}");
        for _ in 0..5 {
            let head = head(&acme, at(round))?.with_subject(subject.as_str());
            world.store.publish(vec![publication(head)], DAY, at(round)).await?;
        }
        let (fanned_out, erased) = tokio::join!(
            world.distribute(at(round)),
            world.store.erase_subject(&acme, &subject, Vec::new(), at(round)),
        );
        fanned_out?;
        assert_eq!(erased?.events, 5);
        world.distribute(at(round)).await?;
    }

    assert!(world.claim(100, at(100)).await?.is_empty());
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.queue").await?, 0);
    assert_eq!(
        world.number("SELECT count(*) FROM SCHEMA.delivery WHERE status = 'skipped.erased'").await?,
        75
    );
    world.end().await
}
