//! The contract of [`InboundStore`], sentence by sentence.

mod accept;
mod claim;
mod erasure;
mod listing;
mod settle;
mod sources;
mod world;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::activity::store::ActivityStore;
use crate::error::Result;
use crate::inbound::store::InboundStore;
use crate::testing::conformance::Check;

/// Stands up stores of inbound webhooks for checks.
///
/// ```
/// use crossdock::Result;
/// use crossdock::adapters::memory::MemoryStore;
/// use crossdock::testing::conformance::{InboundStoreHarness, InboundStores};
///
/// #[derive(Debug)]
/// struct InMemory;
///
/// #[async_trait::async_trait]
/// impl InboundStoreHarness for InMemory {
///     async fn fresh(&self) -> Result<InboundStores> {
///         Ok(InboundStores::of(MemoryStore::new()))
///     }
/// }
/// # drop(InMemory);
/// ```
#[async_trait]
pub trait InboundStoreHarness: Debug + Send + Sync + 'static {
    /// A store with nothing in it, which keeps at least 1,000 entries of the activity log.
    async fn fresh(&self) -> Result<InboundStores>;
}

/// The two ports that inbound webhooks need of one store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InboundStores {
    /// Sources, and what was received from them.
    pub inbound: Arc<dyn InboundStore>,
    /// What happened to them.
    pub activity: Arc<dyn ActivityStore>,
}

impl InboundStores {
    /// The ports of a store that implements both.
    pub fn of<S: InboundStore + ActivityStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { inbound: store.clone(), activity: store }
    }
}

/// Every check of [`InboundStore`].
///
/// ```
/// use crossdock::testing::conformance::inbound_store_suite;
///
/// let names: Vec<_> = inbound_store_suite().iter().map(|check| check.name()).collect();
///
/// assert!(names.contains(&"inbound_accept::a_copy_is_counted_and_not_kept"));
/// ```
pub fn inbound_store_suite() -> Vec<Check<dyn InboundStoreHarness>> {
    let lists = [
        sources::checks(),
        accept::checks(),
        claim::checks(),
        settle::checks(),
        listing::checks(),
        erasure::checks(),
    ];
    lists.into_iter().flatten().collect()
}
