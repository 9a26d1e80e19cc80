//! Connections that wait for their next request.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::{Instant, sleep};

use super::link::Link;
use crate::primitives::egress::is_destination;

/// Idle connections by origin; the one used last is used next, so that the others can grow old.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    sweeping: AtomicBool,
    bounds: PoolBounds,
}

/// How many connections wait, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolBounds {
    pub(super) per_origin: usize,
    pub(super) total: usize,
    pub(super) longest_life: Duration,
}

#[derive(Default)]
struct Idle {
    links: HashMap<Box<str>, Vec<Link>>,
    count: usize,
}

impl Pool {
    pub(super) fn new(bounds: PoolBounds) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), sweeping: AtomicBool::new(false), bounds })
    }

    /// A connection to this origin that still works and whose peer is one of the destinations, unless these are empty.
    pub(super) fn take(&self, origin: &str, destinations: &[IpNet], now: Instant) -> Option<Link> {
        loop {
            let mut link = self.lock().take(origin, destinations)?;
            if self.is_young(&link, now) && link.is_alive() {
                return Some(link);
            }
        }
    }

    /// Keeps the connection for the next request, or closes it.
    pub(super) fn put(self: &Arc<Self>, origin: &str, mut link: Link, now: Instant) {
        if !self.is_young(&link, now) || !link.is_idle() {
            return;
        }
        // Whatever is not kept is closed here, after the lock is free again.
        let _surplus = self.lock().put(origin, link, self.bounds);
        if !self.sweeping.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep_from_time_to_time(Sweeper(Arc::downgrade(self)), self.bounds.longest_life));
        }
    }

    fn sweep(&self, now: Instant) {
        let mut over = Vec::new();
        {
            let mut idle = self.lock();
            for links in idle.links.values_mut() {
                over.extend(links.extract_if(.., |link| !self.is_young(link, now) || !link.is_alive()));
            }
            idle.links.retain(|_, links| !links.is_empty());
            idle.count -= over.len();
        }
        drop(over);
    }

    fn is_young(&self, link: &Link, now: Instant) -> bool {
        now.saturating_duration_since(link.born()) < self.bounds.longest_life
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        // Nothing in between leaves the map half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn take(&mut self, origin: &str, destinations: &[IpNet]) -> Option<Link> {
        let links = self.links.get_mut(origin)?;
        let index = links.iter().rposition(|link| is_destination(link.peer().ip(), destinations))?;
        self.count -= 1;
        Some(links.remove(index))
    }

    /// Gives back what there is no room for.
    fn put(&mut self, origin: &str, link: Link, bounds: PoolBounds) -> Option<Link> {
        if self.count >= bounds.total {
            return Some(link);
        }
        match self.links.get_mut(origin) {
            Some(links) if links.len() >= bounds.per_origin => return Some(link),
            Some(links) => links.push(link),
            None if bounds.per_origin == 0 => return Some(link),
            None => {
                self.links.insert(origin.into(), vec![link]);
            }
        }
        self.count += 1;
        None
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.lock().count;
        f.debug_struct("Pool").field("idle", &count).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

/// Holds the pool's only sweeper; when its runtime ends, the next `put` starts another.
struct Sweeper(Weak<Pool>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.sweeping.store(false, Ordering::Relaxed);
        }
    }
}

/// Closes what is over even when no request comes by; ends with the pool.
async fn sweep_from_time_to_time(sweeper: Sweeper, longest_life: Duration) {
    let pause = (longest_life / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    loop {
        sleep(pause).await;
        let Some(pool) = sweeper.0.upgrade() else { return };
        pool.sweep(Instant::now());
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
