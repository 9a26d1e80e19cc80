//! Where what is received is kept, and how fast rows of the same size go into the same database by themselves.

use std::str::FromStr;
use std::time::Instant;

use crossdock::Hub;
use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::{EnvelopeVault, PostgresStore, SqliteStore, StaticKeys};
use crossdock::inbound::{PlatformSource, presets};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;

use crate::engine::Failure;
use crate::load::SECRET;
use crate::server::{NAMED, Server};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Store {
    Memory,
    Sqlite,
    Postgres,
}

/// A hub on one store, and what that stands on.
pub(crate) struct Ground {
    pub(crate) hub: Hub,
    folder: TempDir,
    postgres: Option<PgPool>,
    _server: Option<Server>,
}

impl Store {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Sqlite, Self::Postgres];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|store| store.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Ground {
    pub(crate) async fn open(store: Store) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let source = PlatformSource::new("stripe", presets::stripe()).secret(SECRET);
        let keys = StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
        let hub = Hub::builder().without_built_ins().source(source).vault(EnvelopeVault::new(keys));
        let (mut postgres, mut server) = (None, None);
        let hub = match store {
            Store::Memory => hub.inbound_store(MemoryStore::new()),
            Store::Sqlite => hub.inbound_store(SqliteStore::open(folder.path().join("hub.db"))?),
            Store::Postgres => {
                let url = match std::env::var(NAMED) {
                    Ok(url) => url,
                    Err(_) => server.insert(Server::start().await?).url(),
                };
                let options = PgConnectOptions::from_str(&url)?;
                let pool = PgPoolOptions::new().max_connections(16).connect_with(options).await?;
                let schema = format!("inbound_{}", std::process::id());
                let store = PostgresStore::builder(pool.clone()).schema(&schema).build()?;
                store.migrate().await?;
                postgres = Some(pool);
                hub.inbound_store(store)
            }
        };
        Ok(Self { hub: hub.build()?, folder, postgres, _server: server })
    }

    /// Rows a second, written in batches and committed durably: what no way of receiving can be faster than. `None` in memory.
    pub(crate) async fn insert_limit(&self, store: Store, rows: usize) -> Result<Option<f64>, Failure> {
        match (store, &self.postgres) {
            (Store::Postgres, Some(pool)) => postgres_limit(pool, rows).await.map(Some),
            (Store::Sqlite, _) => self.sqlite_limit(rows).map(Some),
            _ => Ok(None),
        }
    }

    fn sqlite_limit(&self, rows: usize) -> Result<f64, Failure> {
        let mut connection = rusqlite::Connection::open(self.folder.path().join("limit.db"))?;
        let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body BLOB NOT NULL)",
        )?;
        let body = vec![b'x'; crate::load::BODY];
        let before: i64 = connection.query_row("SELECT count(*) FROM item", [], |row| row.get(0))?;
        let start = Instant::now();
        for batch in 0..rows.div_ceil(BATCH) {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction.prepare("INSERT INTO item (key, body) VALUES (?1, ?2)")?;
                for row in 0..BATCH {
                    insert.execute((format!("evt_{before}_{batch}_{row}"), &body))?;
                }
            }
            transaction.commit()?;
        }
        Ok((rows.div_ceil(BATCH) * BATCH) as f64 / start.elapsed().as_secs_f64())
    }
}

/// Several connections, each with statements of many rows.
async fn postgres_limit(pool: &PgPool, rows: usize) -> Result<f64, Failure> {
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS inbound_limit;
         CREATE TABLE inbound_limit (id bigserial PRIMARY KEY, key text NOT NULL UNIQUE, body bytea NOT NULL)",
    )
    .execute(pool)
    .await?;
    let batches = rows.div_ceil(BATCH * WRITERS);
    let start = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let pool = pool.clone();
        writers.spawn(async move {
            let bodies = vec![vec![b'x'; crate::load::BODY]; BATCH];
            for batch in 0..batches {
                let keys: Vec<String> = (0..BATCH).map(|row| format!("evt_{writer}_{batch}_{row}")).collect();
                sqlx::query(
                    "INSERT INTO inbound_limit (key, body) SELECT * FROM unnest($1::text[], $2::bytea[])",
                )
                .bind(keys)
                .bind(&bodies)
                .execute(&pool)
                .await?;
            }
            Ok::<(), sqlx::Error>(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok((batches * BATCH * WRITERS) as f64 / start.elapsed().as_secs_f64())
}

/// Rows of one commit.
const BATCH: usize = 256;
const WRITERS: usize = 4;
