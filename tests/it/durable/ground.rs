//! A store that lasts, beside a table of the host's own.

use std::path::PathBuf;
use std::time::Duration;

use crossdock::adapters::{EnvelopeVault, PostgresStore, SqliteStore, StaticKeys};
use crossdock::events::NewEvent;
use crossdock::primitives::EventId;
use crossdock::webhooks::Published;
use crossdock::{Error, ErrorKind};
use rusqlite::{Connection, TransactionBehavior};
use sqlx::Row;
use tempfile::TempDir;

use crate::postgres::{Place, Schemas};
use crate::story::shop::Shop;

pub(crate) type Failure = Box<dyn std::error::Error>;

/// Where a host keeps its orders, and its hub everything else.
pub(crate) enum Ground {
    Sqlite { path: PathBuf, _folder: TempDir },
    Postgres(Place),
}

/// How the host's transaction ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Commit,
    RollBack,
    /// Nobody ends it: the process goes away.
    Loss,
}

impl Ground {
    pub(crate) fn sqlite() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("shop.db");
        SqliteStore::open(&path)?;
        Connection::open(&path)?.execute_batch("CREATE TABLE orders (name TEXT)")?;
        Ok(Self::Sqlite { path, _folder: folder })
    }

    pub(crate) async fn postgres(schemas: &Schemas) -> Result<Self, Failure> {
        let place = schemas.place().await?;
        let table = format!("CREATE TABLE \"{}\".orders (name text)", place.schema);
        sqlx::raw_sql(sqlx::AssertSqlSafe(table)).execute(&place.pool).await?;
        Ok(Self::Postgres(place))
    }

    /// A hub on this store, as a process of its own has one.
    pub(crate) fn shop(&self) -> Result<Shop, Failure> {
        match self {
            Self::Sqlite { path, .. } => {
                let store = SqliteStore::open(path)?;
                Shop::open_with(|builder| Ok(builder.store(store).vault(vault())))
            }
            Self::Postgres(place) => on_postgres(place.store.clone()),
        }
    }

    /// Takes an order and publishes it, in one transaction of the host's.
    pub(crate) async fn order(
        &self,
        shop: &Shop,
        event: NewEvent,
        ending: Ending,
    ) -> Result<Published, Failure> {
        let event = shop.hub.prepare(event)?;
        match self {
            Self::Sqlite { path, .. } => {
                let mut connection = Connection::open(path)?;
                connection.busy_timeout(Duration::from_secs(10))?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute("INSERT INTO orders (name) VALUES ('A-7')", [])?;
                let published = event.write_in(&transaction)?;
                match ending {
                    Ending::Commit => transaction.commit()?,
                    Ending::RollBack => transaction.rollback()?,
                    Ending::Loss => drop(transaction),
                }
                Ok(published)
            }
            Self::Postgres(place) => {
                let mut transaction = place.pool.begin().await?;
                let insert = format!("INSERT INTO \"{}\".orders (name) VALUES ('A-7')", place.schema);
                sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut *transaction).await?;
                let published = event.write_in(place.store.within(&mut transaction)).await?;
                match ending {
                    Ending::Commit => transaction.commit().await?,
                    Ending::RollBack => transaction.rollback().await?,
                    Ending::Loss => drop(transaction),
                }
                Ok(published)
            }
        }
    }

    /// How many orders the host has.
    pub(crate) async fn orders(&self) -> Result<i64, Failure> {
        match self {
            Self::Sqlite { path, .. } => {
                let count = "SELECT count(*) FROM orders";
                Ok(Connection::open(path)?.query_row(count, [], |row| row.get(0))?)
            }
            Self::Postgres(place) => {
                let count = format!("SELECT count(*) FROM \"{}\".orders", place.schema);
                // Nothing is prepared: there may be a pooler in between.
                let row = sqlx::raw_sql(sqlx::AssertSqlSafe(count)).fetch_one(&place.pool).await?;
                Ok(row.try_get(0)?)
            }
        }
    }
}

/// A hub on this store.
pub(crate) fn on_postgres(store: PostgresStore) -> Result<Shop, Failure> {
    Shop::open_with(|builder| Ok(builder.store(store).vault(vault())))
}

/// Every process has the same key.
pub(crate) fn vault() -> EnvelopeVault {
    let keys = StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=");
    EnvelopeVault::new(keys.expect("a key"))
}

/// What the host publishes.
pub(crate) fn shipped() -> Result<NewEvent, Error> {
    let tenant = "org_42".parse();
    let tenant =
        tenant.map_err(|error| Error::new(ErrorKind::Invalid, "name a tenant").with_source(error))?;
    NewEvent::new(tenant, "shipment.shipped", "A-7")
}

pub(crate) fn texts(ids: &[EventId]) -> Vec<String> {
    let mut texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}
