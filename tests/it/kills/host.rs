//! A host on a store that lasts: its table of orders, and a hub in the same database.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crossdock::HubBuilder;
use crossdock::activity::ActivityStore;
use crossdock::adapters::postgres::PostgresWake;
use crossdock::adapters::{PostgresStore, SqliteStore};
use crossdock::events::NewEvent;
use crossdock::lanes::Schedule;
use crossdock::primitives::EventId;
use crossdock::webhooks::{
    Delivery, DeliveryQuery, DeliveryQueue, LaneStop, NewWebhook, Ordered, Ordering, Publication,
    RetryPolicy, Settings, StatusKind, WebhookRepository,
};
use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Row};

use crate::durable::ground::vault;
use crate::kills::eager::EagerQueue;
use crate::kills::orders::{CHANNEL, IN_ORDER};
use crate::story::shop::Shop;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where every process of a host finds its database.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

/// When the hub says that an event is published.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Engine {
    /// When it is written: the product.
    Honest,
    /// At once; it is written a little later.
    Eager,
}

/// One process of a host.
pub(super) struct Host {
    pub(super) shop: Shop,
    orders: Orders,
}

/// The host's own table, which every order and its event are written into together.
enum Orders {
    Sqlite(PathBuf),
    Postgres { pool: PgPool, store: PostgresStore },
}

/// How a host means to end a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Commit,
    RollBack,
}

/// What a host knows of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    Committed(EventId),
    /// Nobody has said `COMMIT`.
    TakenBack,
    /// It was said, and the answer was lost.
    InDoubt,
}

impl Host {
    /// As a process of its own has it: connections of its own, a hub of its own. The server need not be there.
    pub(super) fn open(database: &Database, engine: Engine) -> Result<Self, Failure> {
        match database {
            Database::Sqlite(path) => {
                let store = SqliteStore::open(path)?;
                let shop = open(|hub| with_store(hub, store, engine))?;
                Ok(Self { shop, orders: Orders::Sqlite(path.clone()) })
            }
            Database::Postgres(url) => {
                let server = PgConnectOptions::from_str(url)?;
                let wake = PostgresWake::start(server.clone(), "crossdock")?;
                let patience = Duration::from_secs(2);
                let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(patience);
                let pool = pool.connect_lazy_with(server);
                let store = PostgresStore::new(pool.clone());
                let given = store.clone();
                let shop = open(|hub| with_store(hub, given, engine).wake(wake))?;
                Ok(Self { shop, orders: Orders::Postgres { pool, store } })
            }
        }
    }

    /// Makes the tables, before anything is killed.
    pub(super) async fn set_up(&self) -> Result<(), Failure> {
        match &self.orders {
            // Opening the store has made the others.
            Orders::Sqlite(path) => Ok(connect(path)?.execute_batch(TABLE)?),
            Orders::Postgres { pool, store } => {
                store.migrate().await?;
                sqlx::raw_sql(TABLE).execute(pool).await?;
                Ok(())
            }
        }
    }

    /// A receiver of all orders, or of those that it wants to have in order.
    pub(super) async fn subscribe(&self, path: &str, url: &str) -> Result<(), Failure> {
        let webhook = NewWebhook::new(path, url).events(["shipment.*"]);
        let webhook = match path {
            IN_ORDER => webhook
                .channels([CHANNEL])
                .ordering(Ordering::Ordered { by: Ordered::ByKey, on_exhausted: LaneStop::Stop }),
            _ => webhook,
        };
        self.shop.admin().webhooks().create(webhook).await?;
        Ok(())
    }

    /// What was written so far is on the disk, also where commits do not wait for it.
    pub(super) async fn make_lasting(&self) -> Result<(), Failure> {
        if let Orders::Postgres { pool, .. } = &self.orders {
            sqlx::query("CHECKPOINT").execute(pool).await?;
        }
        Ok(())
    }

    /// Takes an order and publishes it in one transaction.
    pub(super) async fn order(&self, name: &str, event: NewEvent, ending: Ending) -> Result<Ended, Failure> {
        let event = self.shop.hub.prepare(event)?;
        match &self.orders {
            Orders::Sqlite(path) => tokio::task::block_in_place(|| in_sqlite(path, name, event, ending)),
            Orders::Postgres { pool, store } => Ok(in_postgres(pool, store, name, event, ending).await),
        }
    }

    /// The orders that the host has.
    pub(super) async fn orders(&self) -> Result<BTreeSet<String>, Failure> {
        const ALL: &str = "SELECT name FROM orders";
        match &self.orders {
            Orders::Sqlite(path) => {
                let connection = connect(path)?;
                let mut orders = connection.prepare(ALL)?;
                let names = orders.query_map([], |row| row.get(0))?;
                Ok(names.collect::<Result<_, _>>()?)
            }
            Orders::Postgres { pool, .. } => {
                let rows = sqlx::query(ALL).fetch_all(pool).await?;
                Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Whether nothing is left to be done: all is fanned out, and no delivery is pending.
    pub(super) async fn is_idle(&self) -> Result<bool, Failure> {
        let queue = self.shop.hub.doctor().await.queue.ok_or("the store does not answer")?;
        let pending = DeliveryQuery::new().statuses([StatusKind::Pending]).limit(1);
        Ok(queue.outbox == 0 && self.shop.admin().deliveries().list(pending).await?.items.is_empty())
    }

    /// Deliveries that have ended, or stand still, without having been taken.
    pub(super) async fn given_up(&self) -> Result<Vec<String>, Failure> {
        let undelivered = DeliveryQuery::new().undelivered().limit(5);
        let page = self.shop.admin().deliveries().list(undelivered).await?;
        let told =
            |delivery: &Delivery| format!("{} of {}: {:?}", delivery.id, delivery.event, delivery.status);
        Ok(page.items.iter().map(|record| told(&record.delivery)).collect())
    }
}

fn open(change: impl FnOnce(HubBuilder) -> HubBuilder) -> Result<Shop, Failure> {
    let shop = Shop::open_with(|hub| Ok(change(hub).settings(settings())));
    Ok(shop.map_err(|error| error.to_string())?)
}

fn in_sqlite(path: &Path, name: &str, event: Publication, ending: Ending) -> Result<Ended, Failure> {
    let mut connection = connect(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("INSERT INTO orders (name) VALUES (?1)", [name])?;
    let published = event.write_in(&transaction)?;
    match ending {
        Ending::Commit => {
            transaction.commit()?;
            Ok(Ended::Committed(published.event))
        }
        Ending::RollBack => {
            transaction.rollback()?;
            Ok(Ended::TakenBack)
        }
    }
}

/// No error is told apart from another: the server may go at any time.
async fn in_postgres(
    pool: &PgPool,
    store: &PostgresStore,
    name: &str,
    event: Publication,
    ending: Ending,
) -> Ended {
    let Ok(mut transaction) = pool.begin().await else { return Ended::TakenBack };
    let insert = sqlx::query("INSERT INTO orders (name) VALUES ($1)").bind(name);
    if insert.execute(&mut *transaction).await.is_err() {
        return Ended::TakenBack;
    }
    let Ok(published) = event.write_in(store.within(&mut transaction)).await else {
        return Ended::TakenBack;
    };
    match ending {
        Ending::RollBack => Ended::TakenBack,
        Ending::Commit => match transaction.commit().await {
            Ok(()) => Ended::Committed(published.event),
            Err(_) => Ended::InDoubt,
        },
    }
}

/// A connection of the host's own, which keeps its commits like the store's.
fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn with_store<S>(hub: HubBuilder, store: S, engine: Engine) -> HubBuilder
where
    S: WebhookRepository + DeliveryQueue + ActivityStore + Clone,
{
    let hub = hub.vault(vault());
    match engine {
        Engine::Honest => hub.store(store),
        Engine::Eager => {
            let queue = EagerQueue::start(Arc::new(store.clone()));
            hub.store_parts(Arc::new(store.clone()), Arc::new(queue), Arc::new(store))
        }
    }
}

/// The shortest lease that the hub permits beside the shortest requests, and more attempts than a delivery can lose to kills.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.limits.total = Settings::MIN_TIMEOUT;
    settings.lease = LEASE;
    // What killed workers held counts until its lease ends, and must not hold up the others.
    settings.max_in_flight = Settings::MAX_IN_FLIGHT;
    let retries = Schedule::exponential(Duration::from_millis(50), Duration::from_secs(1), 60);
    settings.retry = RetryPolicy::new(retries.expect("a schedule"));
    settings
}

/// The shortest that may be: 11 s.
pub(super) const LEASE: Duration = Settings::MIN_TIMEOUT.saturating_add(Settings::LEASE_MARGIN);
const TABLE: &str = "CREATE TABLE orders (name TEXT PRIMARY KEY)";
