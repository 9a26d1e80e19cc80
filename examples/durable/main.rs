//! Events that survive: published inside the host's own transactions, and delivered by processes that are killed half-way.
//!
//! ```text
//! $ cargo run --example durable
//! $ cargo run --example durable -- --postgres postgres://localhost/app
//! ```
//!
//! This process plays the world around a shop; the shop's own processes are this binary once more (`process.rs`).
//!
//! 1. A customer's administrator subscribes a URL (`receiver.rs`).
//! 2. The shop takes orders, each in a transaction of its own, and publishes in the same transaction (`sqlite.rs`,
//!    `postgres.rs`). Some payments are refused: those transactions are rolled back.
//! 3. Half-way the shop is killed, after it has written an order and its event, and before it commits.
//! 4. It is started again, and goes on.
//! 5. Every order that is in the shop's table was delivered, and no other.
//!
//! In SQLite one process does it all. In PostgreSQL one takes orders, two others deliver, and one of these is killed as well. There
//! the example makes the schema `crossdock`, which it leaves, and a table of its own, which it does not.
#![expect(clippy::print_stdout, reason = "a tutorial talks to people")]

mod postgres;
mod process;
mod receiver;
mod shop;
mod sqlite;

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossdock::tenancy::Actor;
use crossdock::webhooks::{NewWebhook, RetryPolicy};

use crate::process::{Part, Process, Setting};
use crate::receiver::Receiver;
use crate::shop::{LAST_ORDER, Shop};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    match Part::of_this_process()? {
        Some((part, setting)) => {
            part.play(&setting).await?;
            Ok(ExitCode::SUCCESS)
        }
        None => tell(&Setting::from_arguments()?).await,
    }
}

async fn tell(setting: &Setting) -> Result<ExitCode, Box<dyn Error>> {
    let shop = Shop::open(setting).await?;
    shop.migrate().await?;
    let receiver = Receiver::listen().await?;
    subscribe(&shop, setting, &receiver).await?;

    println!("the shop opens");
    let mut processes = Vec::new();
    if setting.is_shared() {
        processes.push(Process::start(Part::Deliver, setting)?);
        processes.push(Process::start(Part::Deliver, setting)?);
        let ended = Process::start(Part::TakeOrdersUntilKilled, setting)?.wait()?;
        println!("the process that takes orders has ended: {ended}");
        until_arrived(&receiver, 5).await?;
        // This is `kill -9`: what it was just sending is sent once more by another one, when its lease is over.
        processes.remove(0).kill()?;
        println!("one of those that deliver was killed");
        processes.push(Process::start(Part::Deliver, setting)?);
        processes.push(Process::start(Part::TakeOrders, setting)?);
    } else {
        let ended = Process::start(Part::DoItAllUntilKilled, setting)?.wait()?;
        println!("the shop has ended: {ended}");
        processes.push(Process::start(Part::DoItAll, setting)?);
    }
    println!("so far {} orders were delivered; the shop opens again", receiver.orders().len());

    let committed = until_delivered(&shop, &receiver).await?;
    for process in processes {
        process.stop()?;
    }
    shop.tidy_up().await?;

    let delivered = receiver.orders();
    let rolled_back: BTreeSet<u32> = (1..=LAST_ORDER).filter(|order| !committed.contains(order)).collect();
    let (right, wrong) =
        (delivered.intersection(&committed).count(), delivered.intersection(&rolled_back).count());
    println!("{} requests came twice, with the same id", receiver.repeated());
    println!(
        "durable: committed {}, delivered {right}, rolled back {}, delivered {wrong} of them",
        committed.len(),
        rolled_back.len(),
    );
    let is_well = right == committed.len() && wrong == 0 && receiver.forged() == 0;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn subscribe(shop: &Shop, setting: &Setting, receiver: &Receiver) -> Result<(), Box<dyn Error>> {
    let hub = shop.hub(setting)?;
    let ada = hub.admin(Actor::org_admin(setting.tenant.clone(), "ada"));
    let webhook = NewWebhook::new("ERP", receiver.url())
        .events(["order.*"])
        // The default waits 5 s, 30 s, 2 min … 24 h. Nobody waits for a tutorial.
        .retry(RetryPolicy::after_seconds([1, 1, 2, 2, 5, 5]));
    let created = ada.webhooks().create(webhook).await?;
    // Shown once. In the database it is sealed; the shop's other processes open it with the key that they share.
    receiver.configure(created.secret.ok_or("signed webhooks have a secret")?.reveal());
    Ok(())
}

/// Waits until so many orders have arrived.
async fn until_arrived(receiver: &Receiver, wanted: usize) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    while receiver.orders().len() < wanted {
        have_patience(begun).await?;
    }
    Ok(())
}

/// Waits until the last order is taken, and every order in the table has arrived; answers with these.
async fn until_delivered(shop: &Shop, receiver: &Receiver) -> Result<BTreeSet<u32>, Box<dyn Error>> {
    let begun = Instant::now();
    loop {
        let committed = shop.orders().await?;
        if committed.contains(&LAST_ORDER) && committed.is_subset(&receiver.orders()) {
            return Ok(committed);
        }
        have_patience(begun).await?;
    }
}

async fn have_patience(begun: Instant) -> Result<(), Box<dyn Error>> {
    const PATIENCE: Duration = Duration::from_secs(60);
    if begun.elapsed() > PATIENCE {
        return Err("the orders do not arrive".into());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}
