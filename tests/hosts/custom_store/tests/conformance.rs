//! All that it takes to know that a store keeps its contracts.

use std::sync::Arc;

use crossdock::testing::conformance::{StoreHarness, Stores, store_suite};
use custom_store::SimpleStore;
use futures_util::FutureExt;

#[derive(Debug)]
struct Simple;

#[async_trait::async_trait]
impl StoreHarness for Simple {
    async fn fresh(&self) -> crossdock::Result<Stores> {
        Ok(Stores::of(SimpleStore::default()))
    }
}

#[test]
fn a_store_by_somebody_else_keeps_every_contract() {
    let mut broken = Vec::new();
    for check in store_suite() {
        // This store never waits; others run the checks on their runtime.
        let verdict = check.run(Arc::new(Simple)).now_or_never().expect("no wait");
        broken.extend(verdict.err().map(|failure| format!("{}: {failure}", check.name())));
    }

    assert!(broken.is_empty(), "{} rules are broken:\n{}", broken.len(), broken.join("\n"));
}
