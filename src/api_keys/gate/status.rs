//! What is counted, and how the gate stands.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};

use crate::api_keys::gate::handle::{Gate, Inner};
use crate::api_keys::refusal::{Refusal, Refused};
use crate::error::{Error, Result};

/// How the gate stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GateStatus {
    /// Until when all changes are known here; `None` before the first look.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// How often calls were refused that belong to no key, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// How many calls were recorded that stand in no entry of the log: there was more between two flushes than is remembered, or the
    /// store stayed away for too long.
    pub calls_missed: u64,
    /// How often the store has failed.
    pub failures: u64,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

impl Gate {
    /// How the gate stands.
    pub fn status(&self) -> GateStatus {
        let gate = &*self.0;
        let refused = UNATTRIBUTED.iter().zip(&gate.refused);
        GateStatus {
            confirmed_at: DateTime::from_timestamp_micros(gate.confirmed_at.load(Ordering::Relaxed)),
            refused: refused.map(|(reason, count)| (*reason, count.load(Ordering::Relaxed))).collect(),
            calls_missed: gate.calls.missed() + gate.log.given_up(),
            failures: gate.failures.load(Ordering::Relaxed),
            last_failure: gate.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Inner {
    pub(super) fn refuse_unknown(&self, reason: Refusal) -> Refused {
        if let Some(index) = UNATTRIBUTED.iter().position(|known| *known == reason) {
            self.refused[index].fetch_add(1, Ordering::Relaxed);
        }
        Refused::new(reason)
    }

    pub(super) fn unavailable(&self, error: &Error) -> Refused {
        self.fail(error);
        self.refuse_unknown(Refusal::Unavailable)
    }

    pub(crate) fn fail(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.in_words());
    }

    pub(super) fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.fail(&error);
        }
    }
}

/// What is counted of calls that belong to no key.
pub(super) const UNATTRIBUTED: [Refusal; 6] = [
    Refusal::Missing,
    Refusal::Ambiguous,
    Refusal::Malformed,
    Refusal::Checksum,
    Refusal::Unknown,
    Refusal::Unavailable,
];
