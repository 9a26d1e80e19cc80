//! The suites of `testing::conformance`, run on everything that this crate brings along; and stores with known defects,
//! which the suites must find.

mod activity_defects;
mod defects;
mod inbound_defects;
mod key_defects;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossdock::adapters::http_client::HttpTransport;
use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::adapters::vault::{EnvelopeVault, EphemeralVault, KeyProvider, StaticKeys};
use crossdock::ports::{Clock, Entropy, Exchange, Vault, Wake};
use crossdock::primitives::EgressPolicy;
use crossdock::testing::conformance::{
    Check, ClockHarness, InboundStoreHarness, InboundStores, KeyStoreHarness, KeyStores, StoreHarness,
    Stores, VaultHarness, clock_suite, entropy_suite, exchange_suite, inbound_store_suite,
    key_provider_suite, key_store_suite, store_suite, vault_suite, wake_suite,
};
use crossdock::testing::{ManualClock, SeededEntropy};
use crossdock::{LocalWake, Result, SystemClock, SystemEntropy};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite("memory", store_suite(), || Arc::new(InMemory) as Arc<dyn StoreHarness>),
        suite("memory", key_store_suite(), || Arc::new(InMemory) as Arc<dyn KeyStoreHarness>),
        suite("sqlite", store_suite(), || Arc::new(InFiles::default()) as Arc<dyn StoreHarness>),
        suite("sqlite", key_store_suite(), || Arc::new(InFiles::default()) as Arc<dyn KeyStoreHarness>),
        suite("memory", inbound_store_suite(), || Arc::new(InMemory) as Arc<dyn InboundStoreHarness>),
        suite("sqlite", inbound_store_suite(), || {
            Arc::new(InFiles::default()) as Arc<dyn InboundStoreHarness>
        }),
        suite("manual_clock", clock_suite(), || {
            Arc::new(ByHand(ManualClock::new())) as Arc<dyn ClockHarness>
        }),
        suite("system_clock", clock_suite(), || Arc::new(ByItself) as Arc<dyn ClockHarness>),
        suite("seeded_entropy", entropy_suite(), || Arc::new(SeededEntropy::new(7)) as Arc<dyn Entropy>),
        suite("system_entropy", entropy_suite(), || Arc::new(SystemEntropy) as Arc<dyn Entropy>),
        suite("local_wake", wake_suite(), || Arc::new(LocalWake::default()) as Arc<dyn Wake>),
        suite("ephemeral_vault", vault_suite(), || Arc::new(OneKey) as Arc<dyn VaultHarness>),
        suite("envelope_vault", vault_suite(), || Arc::new(OwnKeys) as Arc<dyn VaultHarness>),
        suite("static_keys", key_provider_suite(), || Arc::new(one_key("2026-01")) as Arc<dyn KeyProvider>),
        suite("http_client", exchange_suite(), || Arc::new(http_client()) as Arc<dyn Exchange>),
        defects::trials(),
        activity_defects::trials(),
        key_defects::trials(),
        inbound_defects::trials(),
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

#[async_trait::async_trait]
impl KeyStoreHarness for InMemory {
    async fn fresh(&self) -> Result<KeyStores> {
        Ok(KeyStores::of(MemoryStore::new()))
    }
}

#[async_trait::async_trait]
impl InboundStoreHarness for InMemory {
    async fn fresh(&self) -> Result<InboundStores> {
        Ok(InboundStores::of(MemoryStore::new()))
    }
}

/// Each store has a file of its own, which is gone with the harness.
#[derive(Debug, Default)]
struct InFiles(Mutex<Vec<TempDir>>);

#[async_trait::async_trait]
impl StoreHarness for InFiles {
    async fn fresh(&self) -> Result<Stores> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("hub.db"))?;
        self.0.lock().expect("a list").push(folder);
        Ok(Stores::of(store))
    }
}

#[async_trait::async_trait]
impl KeyStoreHarness for InFiles {
    async fn fresh(&self) -> Result<KeyStores> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("hub.db"))?;
        self.0.lock().expect("a list").push(folder);
        Ok(KeyStores::of(store))
    }
}

#[async_trait::async_trait]
impl InboundStoreHarness for InFiles {
    async fn fresh(&self) -> Result<InboundStores> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("hub.db"))?;
        self.0.lock().expect("a list").push(folder);
        Ok(InboundStores::of(store))
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

#[derive(Debug)]
struct ByItself;

#[async_trait::async_trait]
impl ClockHarness for ByItself {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }

    async fn let_pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[derive(Debug)]
struct OneKey;

#[async_trait::async_trait]
impl VaultHarness for OneKey {
    async fn vault(&self) -> Arc<dyn Vault> {
        Arc::new(EphemeralVault::new(Arc::new(SystemEntropy)))
    }

    async fn stranger(&self) -> Option<Arc<dyn Vault>> {
        // It has one key, which has no name: what another one has sealed looks like damage.
        None
    }
}

#[derive(Debug)]
struct OwnKeys;

#[async_trait::async_trait]
impl VaultHarness for OwnKeys {
    async fn vault(&self) -> Arc<dyn Vault> {
        Arc::new(EnvelopeVault::new(one_key("2026-01")))
    }

    async fn stranger(&self) -> Option<Arc<dyn Vault>> {
        Some(Arc::new(EnvelopeVault::new(one_key("2019-12"))))
    }
}

fn one_key(id: &str) -> StaticKeys {
    StaticKeys::new(id, "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=").expect("a key")
}

fn http_client() -> HttpTransport {
    let loopback = "127.0.0.1/32".parse().expect("a network");
    let policy = EgressPolicy::default().allow_networks([loopback]);
    HttpTransport::new(policy.dangerous_allow_http().dangerous_allow_all_ports()).expect("a transport")
}
