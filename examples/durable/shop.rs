//! The host: a shop that takes orders, and tells its customers' systems of them.

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::RangeInclusive;
use std::time::Duration;

use crossdock::adapters::{EnvelopeVault, StaticKeys};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::primitives::EgressPolicy;
use crossdock::webhooks::Settings;
use crossdock::{Hub, HubBuilder};
use serde_json::json;

use crate::postgres::PostgresShop;
use crate::process::{Database, Setting};
use crate::sqlite::SqliteShop;

pub(crate) const FIRST_ORDER: u32 = 1;
/// While it takes this one, the shop is killed.
pub(crate) const HALF_WAY: u32 = 21;
pub(crate) const LAST_ORDER: u32 = 42;

/// The same shop twice, to be compared: a host has one database.
pub(crate) enum Shop {
    Sqlite(SqliteShop),
    Postgres(PostgresShop),
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Commit,
    /// The payment was refused.
    RollBack,
    /// The process is killed before the transaction ends.
    Death,
}

impl Shop {
    pub(crate) async fn open(setting: &Setting) -> Result<Self, Box<dyn Error>> {
        Ok(match &setting.database {
            Database::Sqlite(path) => Self::Sqlite(SqliteShop::open(path)?),
            Database::Postgres(url) => Self::Postgres(PostgresShop::open(url, &setting.tenant).await?),
        })
    }

    /// Makes the tables: the shop's own, and crossdock's beside them.
    pub(crate) async fn migrate(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Sqlite(shop) => shop.migrate(),
            Self::Postgres(shop) => shop.migrate().await,
        }
    }

    /// The hub of one process. All processes have the same settings and the same keys.
    pub(crate) fn hub(&self, setting: &Setting) -> Result<Hub, Box<dyn Error>> {
        let keys: StaticKeys = setting.keys.parse()?;
        // The strict default refuses loopback and plain HTTP; an operator permits what this example needs.
        let egress = EgressPolicy::default().allow_networks(["127.0.0.0/8".parse()?]).dangerous_allow_http();
        let hub = Hub::builder()
            .events(EventCatalog::new().with(EventTypeSpec::new("order.placed")))
            .vault(EnvelopeVault::new(keys))
            .egress(egress)
            .settings(impatient());
        Ok(self.with_store(hub)?.build()?)
    }

    fn with_store(&self, hub: HubBuilder) -> Result<HubBuilder, Box<dyn Error>> {
        Ok(match self {
            Self::Sqlite(shop) => hub.store(shop.store()?),
            Self::Postgres(shop) => hub.store(shop.store()),
        })
    }

    /// Takes these orders one by one.
    pub(crate) async fn take_orders(
        &self,
        hub: &Hub,
        setting: &Setting,
        orders: RangeInclusive<u32>,
    ) -> Result<(), Box<dyn Error>> {
        for order in orders {
            let ending = match order {
                HALF_WAY => Ending::Death,
                _ if order % 4 == 0 => Ending::RollBack,
                _ => Ending::Commit,
            };
            let event = NewEvent::new(setting.tenant.clone(), "order.placed", &json!({"order": order}))?
                // A host that tries the same order again publishes nothing twice.
                .with_idempotency_key(format!("order {order}"));
            // Everything that can be wrong with an event is found here, before the transaction begins.
            let event = hub.prepare(event)?;
            match self {
                Self::Sqlite(shop) => shop.take(order, event, ending)?,
                Self::Postgres(shop) => shop.take(order, event, ending).await?,
            }
            // Customers come one after another.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The orders that the shop knows of.
    pub(crate) async fn orders(&self) -> Result<BTreeSet<u32>, Box<dyn Error>> {
        match self {
            Self::Sqlite(shop) => shop.orders(),
            Self::Postgres(shop) => shop.orders().await,
        }
    }

    pub(crate) async fn tidy_up(&self) -> Result<(), Box<dyn Error>> {
        match self {
            // The file is a temporary one.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(shop) => shop.tidy_up().await,
        }
    }
}

/// What a killed process was sending is sent again when its lease is over: by default, after a minute.
fn impatient() -> Settings {
    let mut settings = Settings::default();
    settings.limits.total = Duration::from_secs(1);
    settings.lease = settings.limits.total + Settings::LEASE_MARGIN;
    settings
}
