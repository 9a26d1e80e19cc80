//! The process that publishes, and says of each order what it knows, in the moment in which it knows it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossdock::events::NewEvent;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::kills::eager::LATER;
use crate::kills::host::{Database, Ended, Ending, Engine, Failure, Host};
use crate::kills::orders::{CHANNEL, name, name_in_order, payload, place};
use crate::kills::process::{brief, told_to_end};
use crate::postgres::Outcome;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct PublisherBrief {
    pub(super) database: Database,
    pub(super) engine: Engine,
    /// How many such processes there were before.
    pub(super) life: u64,
    pub(super) seed: u64,
    /// How long each task waits between two bursts of orders, on average.
    pub(super) pause: Duration,
}

/// One line to whoever keeps the books. What is not said before the process is killed was not known.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Said {
    /// It is about to begin: whatever arrives was tried.
    Tries { order: String, way: Way },
    /// It is published.
    Acknowledged { order: String, event: String },
    /// It was not committed, because nobody has asked for it.
    TakenBack { order: String },
}

/// How an order is published.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) enum Way {
    /// By the hub, once.
    Hub,
    /// By the hub under an idempotency key, again and again until it is acknowledged.
    Keyed,
    /// In a transaction of the host's.
    Transaction,
}

/// Publishes bursts of orders until it is killed, or asked to end.
pub(crate) fn publish_until_killed() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let played: Result<(), Failure> = runtime.block_on(async {
        let brief: PublisherBrief = brief()?;
        let host = Arc::new(Host::open(&brief.database, brief.engine)?);
        let told = told_to_end();
        let mut clerks = JoinSet::new();
        for number in 0..CLERKS {
            let dice = StdRng::seed_from_u64(brief.seed ^ (brief.life << 16) ^ (number << 8));
            let desk = format!("{}-{number}", brief.life);
            let clerk = Clerk { host: Arc::clone(&host), told: Arc::clone(&told), desk, dice };
            let pause = brief.pause;
            clerks.spawn(async move { clerk.work(pause).await });
        }
        while let Some(ended) = clerks.join_next().await {
            ended??;
        }
        if brief.engine == Engine::Eager {
            // Only a kill may make it a liar.
            tokio::time::sleep(5 * LATER).await;
        }
        Ok(())
    });
    played.map_err(|error| -> Box<dyn std::error::Error> { error })
}

/// One of the tasks that take orders at the same time.
struct Clerk {
    host: Arc<Host>,
    told: Arc<AtomicBool>,
    desk: String,
    dice: StdRng,
}

impl Clerk {
    async fn work(mut self, pause: Duration) -> Result<(), Failure> {
        let mut number = 0;
        while !self.told.load(Ordering::SeqCst) {
            for index in 0..self.dice.random_range(1..=2 * BURST) {
                let name = if index == 0 { name_in_order } else { name };
                self.take(name(&self.desk, number)).await?;
                number += 1;
            }
            let pause = 2 * u64::try_from(pause.as_millis())?;
            tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..=pause))).await;
        }
        Ok(())
    }

    async fn take(&mut self, order: String) -> Result<(), Failure> {
        match self.dice.random_range(0..100) {
            0..40 => self.publish(order).await,
            40..60 => self.publish_once(order).await,
            60..85 => self.commit(order, Ending::Commit).await,
            _ => self.commit(order, Ending::RollBack).await,
        }
    }

    async fn publish(&self, order: String) -> Result<(), Failure> {
        say(&Said::Tries { order: order.clone(), way: Way::Hub })?;
        match self.host.shop.hub.publish(event(&order)?).await {
            Ok(published) => say(&Said::Acknowledged { order, event: published.event.to_string() }),
            // It may have been written all the same.
            Err(error) if error.is_transient() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn publish_once(&self, order: String) -> Result<(), Failure> {
        say(&Said::Tries { order: order.clone(), way: Way::Keyed })?;
        let mut left = TRIES_AT_THE_END;
        while left > 0 {
            match self.host.shop.hub.publish(event(&order)?.with_idempotency_key(order.as_str())).await {
                Ok(published) => {
                    return say(&Said::Acknowledged { order, event: published.event.to_string() });
                }
                Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error.into()),
            }
            left -= u32::from(self.told.load(Ordering::SeqCst));
        }
        Ok(())
    }

    async fn commit(&self, order: String, ending: Ending) -> Result<(), Failure> {
        say(&Said::Tries { order: order.clone(), way: Way::Transaction })?;
        match self.host.order(&order, event(&order)?, ending).await? {
            Ended::Committed(event) => say(&Said::Acknowledged { order, event: event.to_string() }),
            Ended::TakenBack => say(&Said::TakenBack { order }),
            Ended::InDoubt => Ok(()),
        }
    }
}

fn event(order: &str) -> Result<NewEvent, Failure> {
    let event = NewEvent::new("org_42".parse()?, "shipment.shipped", &payload(order))?;
    Ok(match place(order) {
        Some((desk, _)) => event.with_ordering_key(desk).with_channels([CHANNEL]),
        None => event,
    })
}

/// In one write: a line is in the pipe or it is not, whenever the process is killed.
fn say(said: &Said) -> Result<(), Failure> {
    let line = serde_json::to_string(said)? + "\n";
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Orders of one task before it pauses, on average.
pub(super) const BURST: u32 = 10;
/// Tasks that take orders at the same time.
pub(super) const CLERKS: u64 = 8;
const TRIES_AT_THE_END: u32 = 100;
