//! A hub whose store, receivers and vault fail.

use std::sync::Arc;

use crossdock::Hub;
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::{EventCatalog, EventTypeSpec};
use crossdock::primitives::EgressPolicy;
use crossdock::testing::{ManualClock, SeededEntropy};

use crate::simulation::dice::Dice;
use crate::simulation::ledger::Ledger;
use crate::simulation::receivers::{LossyWake, Receivers, ShakyVault};
use crate::simulation::settings::settings;
use crate::simulation::store::FaultyStore;

pub(super) struct Parts<'a> {
    pub(super) clock: &'a ManualClock,
    pub(super) dice: &'a Dice,
    pub(super) ledger: &'a Ledger,
    pub(super) entropy: &'a Arc<SeededEntropy>,
    pub(super) wake: &'a Arc<LossyWake<crossdock::LocalWake>>,
}

pub(super) fn hub(parts: &Parts<'_>, store: FaultyStore, records: &MemoryStore) -> Hub {
    let receivers = Receivers {
        clock: parts.clock.clone(),
        ledger: parts.ledger.clone(),
        dice: parts.dice.clone(),
        phase: Arc::clone(&store.phase),
    };
    let vault = ShakyVault { ledger: parts.ledger.clone(), dice: parts.dice.clone() };
    Hub::builder()
        .store_parts(Arc::new(records.clone()), Arc::new(store), Arc::new(records.clone()))
        .events(EventCatalog::new().with(EventTypeSpec::new("thing.happened")))
        .clock(parts.clock.clone())
        .entropy(Arc::clone(parts.entropy))
        .wake(Arc::clone(parts.wake))
        .vault(vault)
        .transport(receivers)
        .egress(policy())
        .settings(settings())
        .build()
        .expect("the hub of a world is well made")
}

pub(super) fn policy() -> EgressPolicy {
    EgressPolicy::default()
}
