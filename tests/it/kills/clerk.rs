//! The process that receives and handles until it is killed.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossdock::inbound::{InboundSettings, Incoming, Route, TestSigner, presets};
use crossdock::lanes::Schedule;
use crossdock::ports::Clock;
use crossdock::{Hub, SystemClock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::inbound::{Completing, HUSH, SHOP, Till, signed, signer};
use crate::kills::host::{Database, Failure};
use crate::kills::process::{brief, told_to_end};
use crate::postgres::Outcome;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ClerkBrief {
    pub(super) database: Database,
    /// Which process this is: no two name an event alike.
    pub(super) life: usize,
    pub(super) seed: u64,
    pub(super) manner: Manner,
}

/// How carefully it works.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Manner {
    /// It acknowledges what is kept, and completes in the transaction of the effect: as the guide says.
    Careful,
    /// It acknowledges first, and keeps a little later.
    Hasty,
    /// It completes after the effect.
    Apart,
}

/// What it says, line by line.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Heard {
    /// The sender of this event has its 200.
    Acknowledged(String),
    /// The effect of this event is written, and something is still to follow.
    Handling(String),
}

/// Receives and handles until it is killed, or asked to end.
pub(crate) fn receive_until_killed() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let played: Result<(), Failure> = runtime.block_on(async {
        let ClerkBrief { database, life, seed, manner } = brief()?;
        let (_, hub) = open(&database, manner, pause)?;
        let told = told_to_end();
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            let dice = StdRng::seed_from_u64(seed ^ ((life as u64) << 16) ^ (number << 8));
            let (hub, told) = (hub.clone(), Arc::clone(&told));
            senders.spawn(async move { send(&hub, &told, &format!("{life}-{number}"), manner, dice).await });
        }
        let until_told = async {
            while !told.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let worker = hub.inbound_worker().slots(SLOTS).slots_per_party(SLOTS);
        worker.run_until(until_told).await;
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        match worker.status().panics {
            0 => Ok(()),
            panics => Err(format!("{panics} panics").into()),
        }
    });
    played.map_err(|error| -> Box<dyn std::error::Error> { error })
}

/// The table and a hub, whose claims end soon and whose handlers may fail more often than anything can be killed. `meanwhile` happens before
/// the end of a handler's transaction.
pub(super) fn open(database: &Database, manner: Manner, meanwhile: fn(&str)) -> Result<(Till, Hub), Failure> {
    let (till, builder) = Till::open(database)?;
    let given = till.clone();
    let completing = if manner == Manner::Apart { Completing::Afterwards } else { Completing::WithTheEffect };
    let route = Route::new(SHOP, "*", move |event: Incoming<Value>| {
        let till = given.clone();
        async move { till.take(&event, completing, meanwhile).await }
    });
    let again = Schedule::exponential(Duration::from_millis(50), Duration::from_secs(1), 60)?;
    let mut settings = InboundSettings::default();
    (settings.timeout, settings.lease) = (LEASE - Duration::from_secs(1), LEASE);
    Ok((till, builder.route(route.retry(again)).inbound(settings).build()?))
}

/// Now and then, so that somebody can be killed in the middle.
fn pause(event: &str) {
    if event.ends_with('0') {
        // Whoever listened may be gone, and this process is then told to end.
        let _ = say(&Heard::Handling(event.to_owned()));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends events one after the other, each until it is acknowledged, and some of them again.
async fn send(
    hub: &Hub,
    told: &AtomicBool,
    desk: &str,
    manner: Manner,
    mut dice: StdRng,
) -> Result<(), Failure> {
    let signer = signer(&presets::generic(), HUSH)?;
    for number in 0.. {
        if told.load(Ordering::SeqCst) {
            break;
        }
        let event = format!("{desk}-{number}");
        if manner == Manner::Hasty {
            say(&Heard::Acknowledged(event.clone()))?;
            tokio::time::sleep(LATER).await;
        }
        let copies = if dice.random_bool(0.3) { 2 } else { 1 };
        for _ in 0..copies {
            deliver(hub, told, &signer, &event).await?;
        }
        if manner != Manner::Hasty {
            say(&Heard::Acknowledged(event))?;
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..20))).await;
    }
    Ok(())
}

/// As a sender does: until there is a 200.
async fn deliver(hub: &Hub, told: &AtomicBool, signer: &TestSigner, event: &str) -> Result<(), Failure> {
    let body = serde_json::to_vec(&json!({"id": event, "type": "order.made"}))?;
    let mut left = TRIES_AT_THE_END;
    loop {
        let answer = hub.receive(SHOP, signed(signer, &body, SystemClock::new().now())?).await;
        match answer.status.as_u16() {
            200 => return Ok(()),
            503 if left > 0 => tokio::time::sleep(Duration::from_millis(50)).await,
            status => return Err(format!("{event} was answered {status}: {:?}", answer.outcome).into()),
        }
        left -= u32::from(told.load(Ordering::SeqCst));
    }
}

/// In one write: a line is in the pipe or it is not, whenever the process is killed.
fn say(heard: &Heard) -> Result<(), Failure> {
    let line = serde_json::to_string(heard)? + "\n";
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}

const SENDERS: u64 = 4;
const SLOTS: usize = 8;
const TRIES_AT_THE_END: u32 = 200;
/// What a killed process held is somebody else's after this time.
const LEASE: Duration = Duration::from_secs(3);
/// Whoever is hasty keeps so much later what it has acknowledged.
const LATER: Duration = Duration::from_millis(100);
