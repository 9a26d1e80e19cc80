//! How calls were answered, from memory to the activity log: in batches, and each entry once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::activity::model::Activity;
use crate::activity::store::ActivityStore;
use crate::api_keys::gate::Inner;
use crate::error::Result;
use crate::ports::EntropyExt;

/// The log, and what could not be written into it the last time.
#[derive(Debug)]
pub(crate) struct Log {
    store: Arc<dyn ActivityStore>,
    waiting: Mutex<VecDeque<Vec<Activity>>>,
    given_up: AtomicU64,
}

impl Log {
    pub(crate) fn new(store: Arc<dyn ActivityStore>) -> Self {
        Self { store, waiting: Mutex::default(), given_up: AtomicU64::new(0) }
    }

    /// How many entries were given up.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Writes down how calls were answered since the last time. An entry that is written again is not there twice, so whatever is not
    /// known to be written waits for the next time.
    pub(crate) async fn flush_calls(&self) -> Result<()> {
        let taken = self.calls.take(|| self.entropy.bytes());
        let mut batches =
            std::mem::take(&mut *self.log.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        batches.extend(taken.chunks(BATCH).map(<[_]>::to_vec));
        // Put back whatever happens: also when this future is dropped halfway.
        let mut waiting = Waiting { log: &self.log, batches };
        while let Some(batch) = waiting.batches.front() {
            let written = self.log.store.append(batch.clone()).await;
            if written.as_ref().is_err_and(|error| error.is_transient()) {
                return written;
            }
            let batch = waiting.batches.pop_front().unwrap_or_default();
            if written.is_err() {
                // It never can be written.
                self.log.given_up.fetch_add(batch.len() as u64, Ordering::Relaxed);
                return written;
            }
        }
        Ok(())
    }
}

struct Waiting<'l> {
    log: &'l Log,
    batches: VecDeque<Vec<Activity>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.log.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // What another flush has put back meanwhile is newer.
        while let Some(batch) = self.batches.pop_back() {
            waiting.push_front(batch);
        }
        // A store that stays away for hours must not fill the memory: the oldest are given up.
        let excess = waiting.len().saturating_sub(MOST_WAITING);
        let lost: usize = waiting.drain(..excess).map(|batch| batch.len()).sum();
        self.log.given_up.fetch_add(lost as u64, Ordering::Relaxed);
    }
}

/// How many entries are written down in one step.
const BATCH: usize = 500;
/// How many steps may wait.
const MOST_WAITING: usize = 200;
