//! The results of the last minute, per webhook: what one process knows beyond the stored circuit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::lanes::throttle::{Brake, CircuitPolicy, Outcome, Samples};
use crate::primitives::id::WebhookId;
use crate::webhooks::model::{BrakeChange, Claim};

/// Samples of many webhooks. Losing them only means judging later.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<HashMap<WebhookId, Circuit>>);

#[derive(Debug, Default)]
struct Circuit {
    samples: Samples,
    /// The circuit as this process last saw or changed it, with its version.
    known: (u64, Brake),
}

impl Circuits {
    /// Samples of so many webhooks are kept; beyond that, all are forgotten.
    const KEPT: usize = 100_000;

    /// Takes one more result in and says what changes.
    pub(super) fn record(
        &self,
        claim: &Claim,
        outcome: Outcome,
        policy: &CircuitPolicy,
        cap: u32,
        now: DateTime<Utc>,
    ) -> Option<BrakeChange> {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if circuits.len() >= Self::KEPT && !circuits.contains_key(&claim.webhook.id) {
            circuits.clear();
        }
        let circuit = circuits.entry(claim.webhook.id).or_default();
        if claim.brake_version >= circuit.known.0 {
            circuit.known = (claim.brake_version, claim.brake);
        }
        let (seen, brake) = circuit.known;
        let changed = brake.after(outcome, &mut circuit.samples, policy, cap, now)?;
        circuit.known = (seen + 1, changed);
        Some(BrakeChange::new(seen, changed))
    }
}
