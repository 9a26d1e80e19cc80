//! The host's side of a process: its table of effects, beside what the hub keeps in the same database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crossdock::adapters::{EnvelopeVault, PostgresStore, SqliteStore, StaticKeys};
use crossdock::inbound::{Incoming, PlatformSource, presets};
use crossdock::{Hub, HubBuilder};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::world::Failure;
use crate::kills::Database;

/// Where effects are written. Nothing but the store keeps an event from having two.
#[derive(Clone)]
pub(crate) enum Till {
    Sqlite(PathBuf),
    Postgres(PgPool, PostgresStore),
}

/// Who says that an event was handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Completing {
    /// The handler, in the transaction of its effect.
    WithTheEffect,
    /// The worker, some time after the effect.
    Afterwards,
}

impl Till {
    /// The table, and a hub that keeps what it receives beside it. The server need not be there.
    pub(crate) fn open(database: &Database) -> Result<(Self, HubBuilder), Failure> {
        let keys = StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
        let shop = PlatformSource::new(SHOP, presets::generic()).secret(HUSH);
        let hub = Hub::builder().without_built_ins().vault(EnvelopeVault::new(keys)).source(shop);
        match database {
            Database::Sqlite(path) => {
                Ok((Self::Sqlite(path.clone()), hub.inbound_store(SqliteStore::open(path)?)))
            }
            Database::Postgres(url) => {
                let server = PgConnectOptions::from_str(url)?;
                let pool = PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_secs(5));
                let pool = pool.connect_lazy_with(server);
                let store = PostgresStore::builder(pool.clone()).direct().build()?;
                Ok((Self::Postgres(pool, store.clone()), hub.inbound_store(store)))
            }
        }
    }

    pub(crate) async fn set_up(&self) -> Result<(), Failure> {
        const TABLE: &str = "CREATE TABLE effect (event text NOT NULL)";
        match self {
            Self::Sqlite(path) => Ok(connect(path)?.execute_batch(TABLE)?),
            Self::Postgres(pool, store) => {
                store.migrate().await?;
                sqlx::raw_sql(TABLE).execute(pool).await?;
                Ok(())
            }
        }
    }

    /// How many effects each event has had.
    pub(crate) async fn effects(&self) -> Result<BTreeMap<String, i64>, Failure> {
        const COUNT: &str = "SELECT event, count(*) FROM effect GROUP BY event";
        match self {
            Self::Sqlite(path) => {
                let connection = connect(path)?;
                let mut count = connection.prepare(COUNT)?;
                let rows = count.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Postgres(pool, _) => Ok(sqlx::query_as(COUNT).fetch_all(pool).await?.into_iter().collect()),
        }
    }

    /// The effect of one event; `meanwhile` happens before the end of the transaction, or before the worker hears of it.
    pub(crate) async fn take(
        &self,
        event: &Incoming<Value>,
        completing: Completing,
        meanwhile: impl FnOnce(&str) + Send,
    ) -> Result<(), Failure> {
        let name = event.payload["id"].as_str().ok_or("an event has an id")?.to_owned();
        let completes = completing == Completing::WithTheEffect;
        match self {
            Self::Sqlite(path) => tokio::task::block_in_place(|| {
                let mut connection = connect(path)?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute("INSERT INTO effect (event) VALUES (?1)", [&name])?;
                if !completes {
                    transaction.commit()?;
                    meanwhile(&name);
                    return Ok(());
                }
                event.complete_in(&transaction)?;
                meanwhile(&name);
                Ok(transaction.commit()?)
            }),
            Self::Postgres(pool, store) => {
                let mut transaction = pool.begin().await?;
                sqlx::query("INSERT INTO effect (event) VALUES ($1)")
                    .bind(&name)
                    .execute(&mut *transaction)
                    .await?;
                if !completes {
                    transaction.commit().await?;
                    tokio::task::block_in_place(|| meanwhile(&name));
                    return Ok(());
                }
                event.complete_in(store.within(&mut transaction)).await?;
                tokio::task::block_in_place(|| meanwhile(&name));
                Ok(transaction.commit().await?)
            }
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    // What is proven here is about processes, not about power.
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    Ok(connection)
}

/// The one source.
pub(crate) const SHOP: &str = "shop";
pub(crate) const HUSH: &str = "hush";
