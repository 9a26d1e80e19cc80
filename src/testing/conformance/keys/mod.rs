//! The contract of [`KeyStore`], sentence by sentence.

mod changes;
mod isolation;
mod listing;
mod save;
mod usage;
mod uses;
mod world;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::activity::store::ActivityStore;
use crate::api_keys::store::KeyStore;
use crate::error::Result;
use crate::testing::conformance::Check;

/// Stands up key stores for checks.
///
/// ```
/// use crossdock::Result;
/// use crossdock::adapters::memory::MemoryStore;
/// use crossdock::testing::conformance::{KeyStoreHarness, KeyStores};
///
/// #[derive(Debug)]
/// struct InMemory;
///
/// #[async_trait::async_trait]
/// impl KeyStoreHarness for InMemory {
///     async fn fresh(&self) -> Result<KeyStores> {
///         Ok(KeyStores::of(MemoryStore::new()))
///     }
/// }
/// # drop(InMemory);
/// ```
#[async_trait]
pub trait KeyStoreHarness: Debug + Send + Sync + 'static {
    /// A store with nothing in it, which keeps at least 1,000 entries of the activity log.
    async fn fresh(&self) -> Result<KeyStores>;
}

/// The two ports that keys need of one store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyStores {
    /// Keys and their use.
    pub keys: Arc<dyn KeyStore>,
    /// What happened to them.
    pub activity: Arc<dyn ActivityStore>,
}

impl KeyStores {
    /// The ports of a store that implements both.
    pub fn of<S: KeyStore + ActivityStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { keys: store.clone(), activity: store }
    }
}

/// Every check of [`KeyStore`].
///
/// ```
/// use crossdock::testing::conformance::key_store_suite;
///
/// let names: Vec<_> = key_store_suite().iter().map(|check| check.name()).collect();
///
/// assert!(names.contains(&"key_uses::of_one_line_never_more_uses_are_leased_than_it_has"));
/// ```
pub fn key_store_suite() -> Vec<Check<dyn KeyStoreHarness>> {
    let lists = [
        save::checks(),
        changes::checks(),
        listing::checks(),
        usage::checks(),
        uses::checks(),
        isolation::checks(),
    ];
    lists.into_iter().flatten().collect()
}
