//! Two processes, one store: each of 1,000 events is sent one to five times, to both at once, and has exactly one effect.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossdock::inbound::{Incoming, ReceivedFilter, ReceivedStatus, presets};
use crossdock::ports::Clock;
use crossdock::primitives::PageRequest;
use crossdock::{Hub, SystemClock};
use futures_util::StreamExt;
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::till::{Completing, HUSH, SHOP, Till};
use super::world::{Failure, signed, signer};
use crate::kills::{Database, Ground, Process, brief, told_to_end};
use crate::postgres::{Outcome, rule_with};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::sqlite::two_processes_give_each_event_one_effect", || {
            two_processes(&Ground::sqlite()?)
        }),
        rule_with(
            "inbound::postgres::two_processes_give_each_event_one_effect",
            Ground::postgres,
            |ground| two_processes(&ground),
        ),
    ]
}

const EVENTS: usize = 1_000;
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(240);

#[derive(Debug, Deserialize, Serialize)]
struct Brief {
    database: Database,
    /// Which of the two.
    number: usize,
}

/// How often an event is sent: one to five times.
fn copies(event: usize) -> usize {
    1 + (event * 7 + event / 5) % 5
}

fn two_processes(ground: &Ground) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(story(ground))
}

async fn story(ground: &Ground) -> Result<(), Failure> {
    let (till, builder) = Till::open(&ground.database)?;
    till.set_up().await?;
    let hub = builder.build()?;
    let start =
        |number| Process::start("receive_and_handle", &Brief { database: ground.database.clone(), number });
    let mut processes = [start(0)?, start(1)?];

    let (begun, sent) = (Instant::now(), (0..EVENTS).map(copies).sum::<usize>());
    loop {
        for process in &mut processes {
            process.check()?;
        }
        let effects: i64 = till.effects().await?.values().sum();
        if effects >= EVENTS as i64 && standing(&hub).await?.1 == sent - EVENTS {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("only {effects} effects, standing {:?}", standing(&hub).await?).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for process in &mut processes {
        process.stop()?;
    }

    let found = till.effects().await?;
    let (effects, distinct) = (found.values().sum::<i64>(), found.len());
    let (statuses, copies) = standing(&hub).await?;
    eprintln!(
        "two processes, {}: {sent} requests of {EVENTS} events, {effects} effects of {distinct} events, {copies} copies counted",
        ground.name
    );
    if (effects, distinct) != (EVENTS as i64, EVENTS) {
        return Err(format!("{effects} effects of {distinct} events").into());
    }
    if statuses != HashMap::from([(ReceivedStatus::Done, EVENTS)]) || copies != sent - EVENTS {
        return Err(format!("{statuses:?}, {copies} copies").into());
    }
    Ok(())
}

/// How many items stand how, and how many copies were counted.
pub(crate) async fn standing(hub: &Hub) -> Result<(HashMap<ReceivedStatus, usize>, usize), Failure> {
    let (mut statuses, mut copies) = (HashMap::new(), 0);
    let mut page = PageRequest::first(PageRequest::MAX);
    loop {
        let part = hub.platform_received().list(&ReceivedFilter::new(), page).await?;
        for record in &part.items {
            *statuses.entry(record.status).or_default() += 1;
            copies += record.duplicates as usize;
        }
        let Some(next) = part.next else { return Ok((statuses, copies)) };
        page = PageRequest::first(PageRequest::MAX).after(next);
    }
}

/// One of the two: sends its half of the copies to a hub of its own, and handles what anybody has received, until it is told to end.
pub(crate) fn receive_and_handle() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let played: Result<(), Failure> = runtime.block_on(async {
        let Brief { database, number } = brief()?;
        let (till, builder) = Till::open(&database)?;
        let hub = builder.on(SHOP, "*", move |event: Incoming<Value>| {
            let till = till.clone();
            async move { till.take(&event, Completing::WithTheEffect, |_| {}).await }
        });
        let hub = hub.build()?;
        let told = told_to_end();
        let until_told = async {
            while !told.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let worker = hub.inbound_worker().slots(16).slots_per_party(16);
        let (sent, ()) = tokio::join!(send(&hub, number), worker.run_until(until_told));
        sent?;
        match worker.status().panics {
            0 => Ok(()),
            panics => Err(format!("{panics} panics").into()),
        }
    });
    played.map_err(|error| -> Box<dyn std::error::Error> { error })
}

async fn send(hub: &Hub, number: usize) -> Result<(), Failure> {
    let signer = signer(&presets::generic(), HUSH)?;
    let mut requests = Vec::new();
    for event in 0..EVENTS {
        let body = serde_json::to_vec(&json!({"id": format!("evt_{event}"), "type": "order.made"}))?;
        for copy in 0..copies(event) {
            if (event + copy) % 2 == number {
                requests.push(signed(&signer, &body, SystemClock::new().now())?);
            }
        }
    }
    let answers = futures_util::stream::iter(requests).map(|request| hub.receive(SHOP, request));
    let mut answers = answers.buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        if answer.status != 200 {
            return Err(format!("a request was answered {}: {:?}", answer.status, answer.outcome).into());
        }
    }
    Ok(())
}
