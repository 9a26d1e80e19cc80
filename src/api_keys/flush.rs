//! Usage, from memory to the store: in batches, and never twice at once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::activity::model::Activity;
use crate::api_keys::gate::Inner;
use crate::api_keys::model::KeyUsage;
use crate::error::Result;
use crate::ports::EntropyExt;

/// What could not be written the last time.
#[derive(Debug, Default)]
pub(crate) struct Flusher(Mutex<VecDeque<Batch>>);

/// What is written in one step: of each key its use, and the entries of the log about it.
type Batch = Vec<(KeyUsage, Vec<Activity>)>;

impl Inner {
    /// Writes down how keys were used since the last time.
    ///
    /// What cannot be written for a reason that does not pass, such as a damaged row, is given up key by key, so that it does not
    /// hold back the others.
    pub(crate) async fn flush(&self) -> Result<()> {
        let now = self.now();
        let taken =
            self.cache.tallies().into_iter().filter_map(|tally| tally.take(now, || self.entropy.bytes()));
        let taken: Batch = taken.collect();
        let mut batches = self.flusher.take();
        batches.extend(taken.chunks(BATCH).map(<[_]>::to_vec));
        // Put back whatever happens: also when this future is dropped halfway.
        let mut waiting = Waiting { flusher: &self.flusher, batches };
        let mut given_up = None;
        while let Some(batch) = waiting.batches.front().cloned() {
            match self.write(&batch).await {
                Err(error) if error.is_transient() => return Err(error),
                Err(_) if batch.len() > 1 => {
                    waiting.batches.pop_front();
                    batch.into_iter().rev().for_each(|one| waiting.batches.push_front(vec![one]));
                }
                written => {
                    waiting.batches.pop_front();
                    given_up = written.err().or(given_up);
                }
            }
        }
        given_up.map_or(Ok(()), Err)
    }

    async fn write(&self, batch: &Batch) -> Result<()> {
        let (usage, entries): (Vec<_>, Vec<_>) = batch.iter().cloned().unzip();
        self.store.record_usage(usage, entries.into_iter().flatten().collect(), self.clock.now()).await?;
        for (usage, _) in batch.iter().filter(|(usage, _)| usage.rekeyed.is_some()) {
            // What is known here holds the code under the old pepper. It still opens, so if this fails, the batch has not.
            match self.store.key(&usage.tenant, usage.key).await {
                Ok(record) => record.iter().for_each(|record| self.cache.distrust(record.key.public_id)),
                Err(error) => self.fail(&error),
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
    fn take(&self) -> VecDeque<Batch> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Waiting<'f> {
    flusher: &'f Flusher,
    batches: VecDeque<Batch>,
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
