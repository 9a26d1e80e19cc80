//! What keys open and what they do not, told as stories on a store in memory and a clock set by hand.

mod administration;
mod calls;
mod canary;
mod gate;
mod limits;
mod regeneration;
mod staleness;
mod store;
mod tenants;
mod two_processes;
mod usage;

use std::error::Error as StdError;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{
    ApiCall, ApiKeyAdmin, ApiKeySettings, Authenticated, CreatedKey, NewApiKey, Peppers, Permission, Refusal,
    Refused, Scopes,
};
use crossdock::tenancy::Actor;
use crossdock::testing::{ManualClock, SeededEntropy};
use crossdock::{Hub, HubBuilder, Result};
use http::{HeaderMap, HeaderValue, Method};
use libtest_mimic::Trial;

use crate::rule;

pub(crate) use two_processes::call_with_keys;

pub(crate) fn trials() -> Vec<Trial> {
    let lists = [
        administration::trials(),
        calls::trials(),
        canary::trials(),
        gate::trials(),
        limits::trials(),
        regeneration::trials(),
        staleness::trials(),
        tenants::trials(),
        two_processes::trials(),
        usage::trials(),
    ];
    lists.into_iter().flatten().collect()
}

type Told = Result<(), Box<dyn StdError>>;

const PEPPER: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
const OTHER_PEPPER: &str = "xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=";

/// One story, on a runtime of its own.
fn story<F: Future<Output = Told>>(name: &str, tell: impl FnOnce() -> F + Send + 'static) -> Trial {
    rule(&format!("keys::{name}"), move || -> Told {
        tokio::runtime::Builder::new_current_thread().build()?.block_on(tell())
    })
}

/// A hub whose time and dice are the test's.
struct House {
    hub: Hub,
    clock: ManualClock,
}

fn house() -> Result<House> {
    house_on(MemoryStore::new(), settings())
}

fn house_on(store: MemoryStore, settings: ApiKeySettings) -> Result<House> {
    house_with(ManualClock::new(), 7, |builder| {
        builder.store(store.clone()).key_store(store).api_keys(settings)
    })
}

/// Another process, as it were: it shares nothing but what it is given.
fn house_with(
    clock: ManualClock,
    seed: u64,
    choices: impl FnOnce(HubBuilder) -> HubBuilder,
) -> Result<House> {
    let peppers = Peppers::new("2026", PEPPER).expect("a pepper");
    let builder = Hub::builder().clock(clock.clone()).entropy(SeededEntropy::new(seed)).peppers(peppers);
    Ok(House { hub: choices(builder).build()?, clock })
}

fn settings() -> ApiKeySettings {
    ApiKeySettings::new()
        .scopes(Scopes::declare(["orders:read", "orders:write", "stock:read"]).expect("scopes"))
}

impl House {
    fn keys(&self, tenant: &str) -> ApiKeyAdmin {
        self.hub.admin(Actor::org_admin(tenant.parse().expect("a tenant"), "ada")).api_keys()
    }

    async fn key(&self, new: NewApiKey) -> Result<CreatedKey> {
        self.keys("acme").create(new).await
    }

    /// A GET of everything, from a usual address.
    async fn get(&self, token: &str) -> Result<Authenticated, Refused> {
        self.call(token, |call| call).await
    }

    async fn call(
        &self,
        token: &str,
        choices: impl for<'c> FnOnce(ApiCall<'c>) -> ApiCall<'c>,
    ) -> Result<Authenticated, Refused> {
        self.send(&Method::GET, &bearer(token), ADDRESS, choices).await
    }

    async fn send(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: IpAddr,
        choices: impl for<'c> FnOnce(ApiCall<'c>) -> ApiCall<'c>,
    ) -> Result<Authenticated, Refused> {
        self.hub.authenticate(&choices(ApiCall::new(method, headers, peer).route("/orders"))).await
    }

    /// Why a GET of everything is refused.
    async fn refusal(&self, token: &str) -> Option<Refusal> {
        self.get(token).await.err().map(|refused| refused.reason())
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        crossdock::ports::Clock::now(&self.clock)
    }

    fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn reader() -> NewApiKey {
    NewApiKey::new("ERP").allow([Permission::Read])
}

fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).expect("a value"));
    headers
}
