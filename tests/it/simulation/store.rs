//! A store that fails.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossdock::{Error, ErrorKind, Result};

use super::dice::Dice;
use super::executor::yield_once;
use super::faults::Fault;
use super::ledger::Ledger;
use super::receivers::planned_panic;
use super::watched::Watched;
use crate::relay::relay;

/// One process's way to the store.
#[derive(Clone, Debug)]
pub(super) struct FaultyStore {
    pub(super) inner: Watched,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) phase: Arc<Phase>,
    /// Whether whoever calls can bear a panic: a worker must, a publishing host need not.
    pub(super) may_panic: bool,
}

/// Where a process is: what a crash is counted as.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub(super) before_write: AtomicU32,
    pub(super) after_write: AtomicU32,
    pub(super) in_flight: AtomicU32,
}

/// Counts up now and down when it is dropped, also by a crash.
pub(super) struct During<'a>(&'a AtomicU32);

impl<'a> During<'a> {
    pub(super) fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FaultyStore {
    const ERRORS_PER_MILLE: u32 = 8;
    const PANICS_PER_MILLE: u32 = 1;

    async fn around<T>(
        &self,
        what: &'static str,
        write: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        {
            let _before = During::new(&self.phase.before_write);
            yield_once().await;
        }
        if self.panics() {
            self.ledger.books().fault(Fault::StorePanics);
            planned_panic();
        }
        if self.fails() {
            self.ledger.books().fault(Fault::ErrorBeforeWrite);
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        let result = write.await;
        {
            let _after = During::new(&self.phase.after_write);
            yield_once().await;
        }
        if self.fails() {
            self.ledger.books().fault(Fault::ErrorAfterWrite);
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        result
    }

    fn panics(&self) -> bool {
        self.may_panic && !self.ledger.books().calm && self.dice.per_mille(Self::PANICS_PER_MILLE)
    }

    fn fails(&self) -> bool {
        !self.ledger.books().calm && self.dice.per_mille(Self::ERRORS_PER_MILLE)
    }
}

relay! { DeliveryQueue for FaultyStore }
