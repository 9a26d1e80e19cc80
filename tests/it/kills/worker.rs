//! The process that delivers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kills::host::{Database, Engine, Failure, Host};
use crate::kills::process::{brief, told_to_end};
use crate::postgres::Outcome;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct WorkerBrief {
    pub(super) database: Database,
}

/// Delivers over real HTTP until it is killed, or asked to end.
pub(crate) fn deliver_until_killed() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let played: Result<(), Failure> = runtime.block_on(async {
        let WorkerBrief { database } = brief()?;
        let host = Host::open(&database, Engine::Honest)?;
        // One tenant, which may have every slot.
        let worker = host.shop.hub.worker().slots(SLOTS).slots_per_tenant(SLOTS);
        let told = told_to_end();
        let until_told = async {
            while !told.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        worker.run_until(until_told).await;
        match worker.status().panics {
            0 => Ok(()),
            panics => Err(format!("{panics} panics").into()),
        }
    });
    played.map_err(|error| -> Box<dyn std::error::Error> { error })
}

const SLOTS: usize = 128;
