//! What an operator asks of a running worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::error::Error;

/// How a worker does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundWorkerStatus {
    /// How many claims were settled, whatever came of them.
    pub settled: u64,
    /// How many items became dead letters.
    pub dead: u64,
    /// How many results came after their lease was lost.
    pub fenced: u64,
    /// How many times host code (a handler, a store) panicked.
    pub panics: u64,
    /// Since when the store has failed without a success in between.
    pub store_failing_since: Option<DateTime<Utc>>,
    /// What the store failed with last.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    settled: AtomicU64,
    dead: AtomicU64,
    fenced: AtomicU64,
    panics: AtomicU64,
    trouble: Mutex<(Option<DateTime<Utc>>, Option<String>)>,
}

impl Board {
    pub(super) fn settled(&self, count: usize, dead: usize, fenced: usize) {
        self.settled.fetch_add(count as u64, Ordering::Relaxed);
        self.dead.fetch_add(dead as u64, Ordering::Relaxed);
        self.fenced.fetch_add(fenced as u64, Ordering::Relaxed);
        self.store_works();
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn store_failed(&self, error: &Error, now: DateTime<Utc>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.0.get_or_insert(now);
        trouble.1 = Some(error.to_string());
    }

    pub(super) fn store_works(&self) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    pub(super) fn read(&self) -> InboundWorkerStatus {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        InboundWorkerStatus {
            settled: self.settled.load(Ordering::Relaxed),
            dead: self.dead.load(Ordering::Relaxed),
            fenced: self.fenced.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            store_failing_since: trouble.0,
            last_error: trouble.1.clone(),
        }
    }
}
