//! Two processes that deliver side by side, and nobody is killed: nothing arrives twice, and a limit is one limit.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossdock::webhooks::NewWebhook;

use crate::kills::ground::Ground;
use crate::kills::host::{Engine, Failure, Host};
use crate::kills::process::Process;
use crate::kills::worker::WorkerBrief;
use crate::loopback::{Talk, listen};

const LIMIT: u32 = 5;
const EVENTS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(120);

/// How many requests a receiver works on at once, as it sees it.
#[derive(Debug, Default)]
struct AtWork {
    now: AtomicU32,
    most: AtomicU32,
}

pub(super) fn two_processes(ground: &Ground) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(story(ground))
}

async fn story(ground: &Ground) -> Result<(), Failure> {
    let host = Host::open(&ground.database, Engine::Honest)?;
    host.set_up().await?;
    let at_work = Arc::new(AtWork::default());
    let counted = Arc::clone(&at_work);
    let receiver = listen(move |talk| answer(talk, Arc::clone(&counted))).await?;
    let url = format!("http://{}/hooks", receiver.address);
    let webhook = NewWebhook::to(url).events(["shipment.*"]).max_in_flight(LIMIT);
    host.shop.admin().webhooks().create(webhook).await?;

    let brief = WorkerBrief { database: ground.database.clone() };
    let mut workers =
        [Process::start("deliver_until_killed", &brief)?, Process::start("deliver_until_killed", &brief)?];
    for _ in 0..EVENTS {
        host.shop.publish("shipment.shipped").await?;
    }
    let begun = Instant::now();
    while receiver.requests() < EVENTS || !host.is_idle().await? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("only {} of {EVENTS} have arrived", receiver.requests()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for worker in &mut workers {
        worker.stop()?;
    }

    let heads = receiver.heads();
    let ids: HashSet<_> = heads.iter().filter_map(|head| id_in(head)).collect();
    let most = at_work.most.load(Ordering::SeqCst);
    eprintln!(
        "two processes, {}: {EVENTS} events, {} requests, {} ids; at most {most} at once of {LIMIT} allowed; {} connections",
        ground.name,
        heads.len(),
        ids.len(),
        receiver.connections(),
    );
    if heads.len() != EVENTS || ids.len() != EVENTS {
        return Err("something came twice".into());
    }
    // One process alone would keep a limit that each of them counts for itself.
    if most != LIMIT {
        return Err(format!("{most} requests at once; the limit is {LIMIT}").into());
    }
    Ok(())
}

async fn answer(mut talk: Talk, at_work: Arc<AtWork>) -> std::io::Result<()> {
    loop {
        talk.hear().await?;
        let now = at_work.now.fetch_add(1, Ordering::SeqCst) + 1;
        at_work.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(15)).await;
        at_work.now.fetch_sub(1, Ordering::SeqCst);
        talk.say("HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}

fn id_in(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("webhook-id: "))
}
