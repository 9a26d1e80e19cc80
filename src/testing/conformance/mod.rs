//! One list of named checks per port: whoever writes an adapter runs them, and knows that it keeps the contract.
//!
//! | suite | for | harness |
//! |---|---|---|
//! | [`store_suite`] | the three storage ports together | [`StoreHarness`] |
//! | [`key_store_suite`] | [`KeyStore`](crate::api_keys::KeyStore) | [`KeyStoreHarness`] |
//! | [`inbound_store_suite`] | [`InboundStore`](crate::inbound::InboundStore) | [`InboundStoreHarness`] |
//! | [`clock_suite`] | [`Clock`](crate::ports::Clock) | [`ClockHarness`] |
//! | [`entropy_suite`] | [`Entropy`](crate::ports::Entropy) | the port itself |
//! | [`wake_suite`] | [`Wake`](crate::ports::Wake) | the port itself |
//! | [`key_provider_suite`] | [`KeyProvider`](crate::adapters::vault::KeyProvider) | the port itself |
//! | [`vault_suite`] | [`Vault`](crate::ports::Vault) | [`VaultHarness`] |
//! | [`exchange_suite`] | [`Exchange`](crate::ports::Exchange) | the port itself, allowed to call 127.0.0.1 |
//!
//! A check waits for nothing but the adapter: run it on whatever runtime the adapter needs. It takes a few lines:
//!
//! ```
//! use std::sync::Arc;
//! use crossdock::Result;
//! use crossdock::adapters::memory::MemoryStore;
//! use crossdock::testing::conformance::{StoreHarness, Stores, store_suite};
//!
//! #[derive(Debug)]
//! struct InMemory;
//!
//! #[async_trait::async_trait]
//! impl StoreHarness for InMemory {
//!     async fn fresh(&self) -> Result<Stores> {
//!         Ok(Stores::of(MemoryStore::new()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! for check in store_suite() {
//!     # if !check.name().contains("used_key") { continue; }
//!     let verdict = check.run(Arc::new(InMemory)).await;
//!     assert!(verdict.is_ok(), "{}: {}", check.name(), verdict.unwrap_err());
//! }
//! # }
//! ```

use std::fmt::{self, Debug};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::activity::store::ActivityStore;
use crate::error::{Error, ErrorKind, Result};
use crate::webhooks::queue::DeliveryQueue;
use crate::webhooks::repository::WebhookRepository;

macro_rules! checks {
    ($suite:literal: $($rule:ident),+ $(,)?) => {
        vec![$(Check::new(concat!($suite, "::", stringify!($rule)), |harness| Box::pin($rule(harness)))),+]
    };
}

/// Checks over a fresh world each.
macro_rules! world_checks {
    ($suite:literal: $($rule:ident),+ $(,)?) => {
        vec![$(Check::new(concat!($suite, "::", stringify!($rule)), |harness| {
            Box::pin(async move { $rule(World::fresh(&*harness).await?).await })
        })),+]
    };
}

mod activity;
mod chain;
mod clock;
mod entropy;
mod exchange;
mod inbound;
mod key_provider;
mod keys;
mod queue;
mod receiver;
mod repository;
mod vault;
mod wake;
mod world;

pub use clock::{ClockHarness, clock_suite};
pub use entropy::entropy_suite;
pub use exchange::exchange_suite;
pub use inbound::{InboundStoreHarness, InboundStores, inbound_store_suite};
pub use key_provider::key_provider_suite;
pub use keys::{KeyStoreHarness, KeyStores, key_store_suite};
pub use vault::{VaultHarness, vault_suite};
pub use wake::wake_suite;

/// One named rule of a port's contract, and how to find out whether an adapter keeps it.
///
/// ```
/// use crossdock::testing::conformance::store_suite;
///
/// let names: Vec<_> = store_suite().iter().map(|check| check.name()).collect();
///
/// assert!(names.contains(&"fencing::a_result_that_comes_twice_is_fenced_the_second_time"));
/// ```
pub struct Check<H: ?Sized> {
    name: &'static str,
    run: fn(Arc<H>) -> Checking,
}

/// A check at work.
pub type Checking = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// What a check has found out.
pub type Verdict = std::result::Result<(), Failure>;

/// How an adapter broke a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure(String);

/// Stands up stores for checks.
///
/// ```
/// use crossdock::Result;
/// use crossdock::adapters::memory::MemoryStore;
/// use crossdock::testing::conformance::{StoreHarness, Stores};
///
/// #[derive(Debug)]
/// struct InMemory;
///
/// #[async_trait::async_trait]
/// impl StoreHarness for InMemory {
///     async fn fresh(&self) -> Result<Stores> {
///         Ok(Stores::of(MemoryStore::new()))
///     }
/// }
/// # drop(InMemory);
/// ```
#[async_trait]
pub trait StoreHarness: Debug + Send + Sync + 'static {
    /// A store with nothing in it, which keeps at least 1,000 finished deliveries and at least 1,000 entries of the
    /// activity log.
    async fn fresh(&self) -> Result<Stores>;
}

/// The storage ports of one store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stores {
    /// What an administrator sees.
    pub repository: Arc<dyn WebhookRepository>,
    /// What the engine does.
    pub queue: Arc<dyn DeliveryQueue>,
    /// What happened.
    pub activity: Arc<dyn ActivityStore>,
}

/// Every check of the three storage ports: [`DeliveryQueue`], [`WebhookRepository`] and [`ActivityStore`].
///
/// There is no smaller suite, because a store that keeps one contract without the others cannot run.
pub fn store_suite() -> Vec<Check<dyn StoreHarness>> {
    [queue::checks(), repository::checks(), activity::checks(), chain::checks()]
        .into_iter()
        .flatten()
        .collect()
}

impl<H: ?Sized> Check<H> {
    const fn new(name: &'static str, run: fn(Arc<H>) -> Checking) -> Self {
        Self { name, run }
    }

    /// The rule: port, then what holds.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Finds out whether the adapter keeps the rule.
    pub fn run(&self, harness: Arc<H>) -> Checking {
        (self.run)(harness)
    }
}

impl<H: ?Sized> Clone for Check<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: ?Sized> Copy for Check<H> {}

impl<H: ?Sized> Debug for Check<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

impl Stores {
    /// The ports of a store that implements all three.
    pub fn of<S: WebhookRepository + DeliveryQueue + ActivityStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { repository: store.clone(), queue: store.clone(), activity: store }
    }

    /// Ports that were put together otherwise.
    pub fn new(
        repository: Arc<dyn WebhookRepository>,
        queue: Arc<dyn DeliveryQueue>,
        activity: Arc<dyn ActivityStore>,
    ) -> Self {
        Self { repository, queue, activity }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!("the adapter failed: {error:?}"))
    }
}

/// Fails with this sentence unless it is true.
#[track_caller]
fn holds(is_true: bool, sentence: &str) -> Verdict {
    if is_true {
        return Ok(());
    }
    Err(Failure(format!("does not hold ({}): {sentence}", Location::caller())))
}

#[track_caller]
fn same<T: Debug + PartialEq>(found: T, expected: T, sentence: &str) -> Verdict {
    if found == expected {
        return Ok(());
    }
    let place = Location::caller();
    Err(Failure(format!(
        "does not hold ({place}): {sentence}\n  expected: {expected:?}\n  found:    {found:?}"
    )))
}

#[track_caller]
fn refused<T: Debug>(
    found: Result<T>,
    kind: ErrorKind,
    sentence: &str,
) -> std::result::Result<Error, Failure> {
    match found {
        Err(error) if error.kind() == kind => Ok(error),
        other => {
            let place = Location::caller();
            Err(Failure(format!(
                "does not hold ({place}): {sentence}\n  expected: {kind:?}\n  found:    {other:?}"
            )))
        }
    }
}

/// What must be there is there.
#[track_caller]
fn there<T>(found: Option<T>, what: &str) -> std::result::Result<T, Failure> {
    let place = Location::caller();
    found.ok_or_else(|| Failure(format!("is missing ({place}): {what}")))
}
