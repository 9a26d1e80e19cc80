//! The suites of `testing::conformance`, run on everything that this crate brings along; and stores with known defects,
//! which the suites must find.

mod defects;

use std::sync::Arc;
use std::time::Duration;

use crossdock::Result;
use crossdock::adapters::memory::MemoryStore;
use crossdock::ports::{Clock, Entropy};
use crossdock::testing::conformance::{
    Check, ClockHarness, StoreHarness, Stores, clock_suite, entropy_suite, store_suite,
};
use crossdock::testing::{ManualClock, SeededEntropy};
use libtest_mimic::Trial;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite("memory", store_suite(), || Arc::new(InMemory) as Arc<dyn StoreHarness>),
        suite("manual_clock", clock_suite(), || Arc::new(ByHand(ManualClock::new())) as Arc<dyn ClockHarness>),
        suite("seeded_entropy", entropy_suite(), || Arc::new(SeededEntropy::new(7)) as Arc<dyn Entropy>),
        defects::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One trial per check, each on a runtime of its own.
fn suite<H: ?Sized + Send + Sync + 'static>(
    adapter: &str,
    checks: Vec<Check<H>>,
    harness: impl Fn() -> Arc<H> + Clone + Send + 'static,
) -> Vec<Trial> {
    let trial = |check: Check<H>| {
        let harness = harness.clone();
        rule(&format!("conformance::{adapter}::{}", check.name()), move || {
            run(async move { check.run(harness()).await })
        })
    };
    checks.into_iter().map(trial).collect()
}

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(story)
}

#[derive(Debug)]
struct InMemory;

#[async_trait::async_trait]
impl StoreHarness for InMemory {
    async fn fresh(&self) -> Result<Stores> {
        Ok(Stores::of(MemoryStore::new()))
    }
}

#[derive(Debug)]
struct ByHand(ManualClock);

#[async_trait::async_trait]
impl ClockHarness for ByHand {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.0.clone())
    }

    async fn let_pass(&self, span: Duration) {
        self.0.advance(span);
    }
}
