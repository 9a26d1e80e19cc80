//! What one run does: from the environment, or short.

use std::time::Duration;

use crossdock::SystemEntropy;
use crossdock::ports::EntropyExt;

use crate::kills::host::{Engine, Failure};
use crate::kills::publisher::{BURST, CLERKS};

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// At least so many are acknowledged.
    pub(super) events: usize,
    pub(super) worker_kills: usize,
    pub(super) server_kills: usize,
    pub(super) publisher_kills: usize,
    /// How often a worker stands still until its leases have ended, and then goes on.
    pub(super) stalls: usize,
    /// At least so many are acknowledged between two kills.
    pub(super) at_stake: usize,
    pub(super) engine: Engine,
    pub(super) workers: Workers,
}

/// When there are workers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Workers {
    /// From the beginning, two of them.
    Throughout,
    /// After the last kill, so that nothing was delivered before.
    Afterwards,
}

impl Plan {
    /// A run in which nothing may be lost, as long as the environment says.
    pub(super) fn from_environment() -> Result<Self, Failure> {
        let worker_kills = number(KILLS)?.unwrap_or(10);
        Ok(Self {
            seed: seed()?,
            events: number(EVENTS)?.unwrap_or(1_000),
            worker_kills,
            server_kills: number(SERVER_KILLS)?.unwrap_or(3),
            publisher_kills: worker_kills.div_ceil(5),
            stalls: worker_kills / 20,
            at_stake: 5,
            engine: Engine::Honest,
            workers: Workers::Throughout,
        })
    }

    /// A run in which something must be lost; it is short.
    pub(super) fn self_check() -> Result<Self, Failure> {
        Ok(Self {
            seed: seed()?,
            events: 200,
            worker_kills: 0,
            server_kills: 0,
            publisher_kills: 0,
            stalls: 0,
            at_stake: 20,
            engine: Engine::Honest,
            workers: Workers::Afterwards,
        })
    }

    /// How long each publishing task pauses between two bursts, so that its events are spread over the whole run.
    pub(super) fn pause(&self) -> Duration {
        let kills = self.worker_kills + self.publisher_kills + self.server_kills;
        let length = self.server_kills as f64 * 0.7 + kills as f64 * BETWEEN_KILLS_MS.1 as f64 / 2_000.0;
        let bursts_of_each = self.events as f64 / f64::from(BURST) / CLERKS as f64;
        Duration::from_secs_f64((length.max(1.0) / bursts_of_each.max(1.0)).clamp(0.01, 1.0))
    }
}

fn seed() -> Result<u64, Failure> {
    let drawn = || u64::from(u32::from_le_bytes(SystemEntropy.bytes()));
    Ok(number(SEED)?.map_or_else(drawn, |seed| seed as u64))
}

fn number(variable: &str) -> Result<Option<usize>, Failure> {
    match std::env::var(variable) {
        Ok(text) => Ok(Some(text.parse().map_err(|_| format!("{variable}={text} is no number"))?)),
        Err(_) => Ok(None),
    }
}

/// The shortest and the longest time between two kills.
pub(super) const BETWEEN_KILLS_MS: (u64, u64) = (100, 600);
pub(super) const SEED: &str = "CROSSDOCK_KILL_SEED";
const KILLS: &str = "CROSSDOCK_KILLS";
const SERVER_KILLS: &str = "CROSSDOCK_SERVER_KILLS";
const EVENTS: &str = "CROSSDOCK_KILL_EVENTS";
