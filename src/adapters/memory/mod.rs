//! The store that needs no server: every storage port behind one lock.
//!
//! | file | decides |
//! |---|---|
//! | `state`, `slab`, `id_map` | what is kept, and how rows come and go |
//! | `group`, `lane` | what a webhook's lanes hold, and when they have work |
//! | `publish`, `claim`, `settle` | the engine's steps |
//! | `webhooks`, `deliveries`, `replays` | what an administrator sees and changes |
//! | `retention`, `fair` | what goes, when, and whose |
//! | `examine` | how the queue stands |
//! | `keys` | API keys and their use |
//! | `activity` | the log, and each tenant's chain in it |
//! | `inbound`, `inbound_port`, `key_map` | sources, and what was received from them |
//! | `ports` | the ports, each method one step under the lock |

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::{fmt, mem};

mod activity;
mod claim;
mod deliveries;
mod examine;
mod fair;
mod group;
mod id_map;
mod inbound;
mod inbound_port;
mod key_map;
mod keys;
mod lane;
mod ports;
mod publish;
mod replays;
mod retention;
mod settle;
mod slab;
mod state;
mod webhooks;

use crate::adapters::memory::state::{Forgotten, State};
use crate::error::{Error, ErrorKind, Result};

/// Keeps everything in memory: the default store, and the double for every store in tests.
///
/// A clone is the same store. What was published is there until it was delivered or given up, however much that is; of
/// what has ended the newest 10,000 deliveries are kept unless [`MemoryStore::builder`] says otherwise. When there are more,
/// the tenant that has the most gives up its oldest: a busy one does not push out what a quiet one has. Nothing survives the
/// process.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::adapters::memory::MemoryStore;
/// use crossdock::webhooks::DeliveryQueue;
///
/// # futures_util::future::FutureExt::now_or_never(async {
/// let store = MemoryStore::new();
///
/// let outbox = store.outbox(10, DateTime::UNIX_EPOCH).await?;
///
/// assert!(outbox.entries.is_empty());
/// # Ok::<(), crossdock::Error>(())
/// # }).expect("a store in memory never waits")?;
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Mutex<State>>);

/// Says how much a [`MemoryStore`] keeps.
///
/// ```
/// use crossdock::adapters::memory::MemoryStore;
///
/// let store = MemoryStore::builder().history(500).activity(100).build();
/// # drop(store);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct MemoryStoreBuilder {
    history: usize,
    activity: usize,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An empty store that keeps more, or less.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder { history: 10_000, activity: 10_000 }
    }

    fn lock(&self, step: &'static str) -> Result<Locked<'_>> {
        // Only a defect in this folder can panic under the lock; what it left behind is not to be trusted.
        let state = self.0.lock().map_err(|_| Error::new(ErrorKind::Internal, step))?;
        Ok(Locked { state, forgotten: Forgotten::default() })
    }
}

/// The state, and what is to be dropped once its lock is free again: fields are dropped in this order.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    forgotten: Forgotten,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.forgotten = mem::take(&mut self.state.forgotten);
    }
}

impl MemoryStoreBuilder {
    /// Keeps so many deliveries that have ended, with their events and attempts, of all tenants together; 10,000 by default.
    /// Replays that have ended count as well.
    pub fn history(mut self, deliveries: usize) -> Self {
        self.history = deliveries;
        self
    }

    /// Keeps so many entries of the activity log, of all tenants together; 10,000 by default.
    pub fn activity(mut self, entries: usize) -> Self {
        self.activity = entries;
        self
    }

    /// The store.
    pub fn build(self) -> MemoryStore {
        MemoryStore(Arc::new(Mutex::new(State::new(self.history, self.activity))))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
