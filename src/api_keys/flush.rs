//! Usage, from memory to the store: in batches, and never twice at once.

use std::sync::{Mutex, PoisonError};

use crate::activity::model::Activity;
use crate::api_keys::gate::Inner;
use crate::api_keys::model::KeyUsage;
use crate::error::Result;
use crate::ports::EntropyExt;

/// What could not be written the last time.
#[derive(Debug, Default)]
pub(crate) struct Flusher(Mutex<Vec<Batch>>);

/// What is written in one step.
#[derive(Clone, Debug)]
struct Batch {
    usage: Vec<KeyUsage>,
    entries: Vec<Activity>,
}

impl Inner {
    /// Writes down how keys were used since the last time.
    pub(crate) async fn flush(&self) -> Result<()> {
        let now = self.now();
        let taken =
            self.cache.tallies().into_iter().filter_map(|tally| tally.take(now, || self.entropy.bytes()));
        let mut batches = self.flusher.take();
        let fresh: Vec<_> = taken.collect();
        batches.extend(fresh.chunks(BATCH).map(|part| {
            let (usage, entries): (Vec<_>, Vec<_>) = part.iter().cloned().unzip();
            Batch { usage, entries: entries.into_iter().flatten().collect() }
        }));
        // Put back whatever happens: also when this future is dropped halfway.
        let mut waiting = Waiting { flusher: &self.flusher, batches };
        while let Some(batch) = waiting.batches.first().cloned() {
            let rekeyed: Vec<_> =
                batch.usage.iter().filter(|usage| usage.rekeyed.is_some()).cloned().collect();
            self.store.record_usage(batch.usage, batch.entries, self.clock.now()).await?;
            waiting.batches.remove(0);
            for usage in rekeyed {
                // What is known here holds the code under the old pepper.
                if let Some(record) = self.store.key(&usage.tenant, usage.key).await? {
                    self.cache.distrust(record.key.public_id);
                }
            }
        }
        Ok(())
    }

    /// Gives back what was leased and not spent.
    pub(crate) async fn give_back(&self) -> Result<()> {
        for line in self.cache.lines() {
            let unused = line.drain();
            if unused > 0 {
                self.store.return_uses(&line.tenant, line.id, unused, self.clock.now()).await?;
            }
        }
        Ok(())
    }
}

impl Flusher {
    fn take(&self) -> Vec<Batch> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Waiting<'f> {
    flusher: &'f Flusher,
    batches: Vec<Batch>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.flusher.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.append(&mut self.batches);
        // A store that stays away for hours must not fill the memory: the oldest usage is given up.
        let excess = waiting.len().saturating_sub(MOST_WAITING);
        waiting.drain(..excess);
    }
}

/// How many keys are written down in one step.
const BATCH: usize = 500;
/// How many steps may wait.
const MOST_WAITING: usize = 1_000;
