//! What an operator asks of a running worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::error::Error;

/// How a worker does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// How many claims were settled, whatever came of them.
    pub settled: u64,
    /// How many events were fanned out.
    pub fanned_out: u64,
    /// How many results came after their lease was lost.
    pub fenced: u64,
    /// How many times host code (a transport, a vault, a payload format, a store) panicked.
    pub panics: u64,
    /// Since when the vault has not opened a secret, without a success in between.
    pub vault_failing_since: Option<DateTime<Utc>>,
    /// Since when the store has failed without a success in between.
    pub store_failing_since: Option<DateTime<Utc>>,
    /// What the store, or the vault, failed with last.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct StatusBoard {
    settled: AtomicU64,
    fanned_out: AtomicU64,
    fenced: AtomicU64,
    panics: AtomicU64,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    since: Option<DateTime<Utc>>,
    vault_since: Option<DateTime<Utc>>,
    last: Option<String>,
}

impl StatusBoard {
    pub(super) fn settled(&self, count: usize, fenced: usize) {
        self.settled.fetch_add(count as u64, Ordering::Relaxed);
        if fenced > 0 {
            self.fenced.fetch_add(fenced as u64, Ordering::Relaxed);
        }
        self.store_works();
    }

    pub(super) fn fanned_out(&self, count: usize) {
        self.fanned_out.fetch_add(count as u64, Ordering::Relaxed);
        self.store_works();
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn store_failed(&self, error: &Error, now: DateTime<Utc>) {
        let mut trouble = self.lock();
        trouble.since.get_or_insert(now);
        trouble.last = Some(error.to_string());
    }

    /// The store has answered.
    pub(super) fn store_works(&self) {
        self.lock().since = None;
    }

    pub(super) fn vault_failed(&self, error: &Error, now: DateTime<Utc>) {
        let mut trouble = self.lock();
        trouble.vault_since.get_or_insert(now);
        trouble.last = Some(error.to_string());
    }

    /// A request could be made.
    pub(super) fn vault_works(&self) {
        self.lock().vault_since = None;
    }

    pub(super) fn read(&self) -> WorkerStatus {
        let trouble = self.lock();
        WorkerStatus {
            settled: self.settled.load(Ordering::Relaxed),
            fanned_out: self.fanned_out.load(Ordering::Relaxed),
            fenced: self.fenced.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            vault_failing_since: trouble.vault_since,
            store_failing_since: trouble.since,
            last_error: trouble.last.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
