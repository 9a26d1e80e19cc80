//! Where the engine keeps its work: a new place for every measurement, as empty as the one before.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::postgres::PostgresWake;
use crossdock::adapters::{EnvelopeVault, PostgresStore, SqliteStore, StaticKeys};
use crossdock::webhooks::DeliveryQueue;
use crossdock::{Hub, HubBuilder};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgPool, Row};
use tempfile::TempDir;

use crate::engine::Failure;
use crate::latency::Latencies;
use crate::options::{Options, Store};
use crate::server::{NAMED, Server};
use crate::timed::Timed;

/// What all places of one run stand on.
#[derive(Debug)]
pub(crate) struct Ground {
    store: Store,
    history: usize,
    folder: TempDir,
    postgres: Option<(Option<Server>, String)>,
    made: AtomicUsize,
}

/// One place; other processes find it by its name.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    Memory {
        history: usize,
    },
    Sqlite(PathBuf),
    /// With a count of how long claims take, if somebody wants to know.
    Postgres {
        url: String,
        schema: String,
        claims: Option<Arc<Latencies>>,
    },
}

/// What a database has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) statements: u64,
    pub(crate) wal_bytes: u64,
}

/// Connections of each process.
pub(crate) const CONNECTIONS: u32 = 16;

impl Ground {
    pub(crate) async fn open(options: &Options) -> Result<Self, Failure> {
        let postgres = match (options.store, std::env::var(NAMED)) {
            (Store::Postgres, Ok(url)) => Some((None, url)),
            (Store::Postgres, Err(_)) => {
                let server = Server::start().await?;
                let url = server.url();
                Some((Some(server), url))
            }
            _ => None,
        };
        let made = AtomicUsize::new(0);
        let folder = tempfile::tempdir()?;
        Ok(Self { store: options.store, history: options.history, folder, postgres, made })
    }

    /// A new, empty place.
    pub(crate) async fn site(&self) -> Result<Site, Failure> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Ok(match (self.store, &self.postgres) {
            (Store::Postgres, Some((_, url))) => {
                let schema = format!("bench_{}_{number}", std::process::id());
                let pool = PgPool::connect(url).await?;
                PostgresStore::builder(pool).schema(&schema).build()?.migrate().await?;
                Site::Postgres { url: url.clone(), schema, claims: None }
            }
            (Store::Sqlite, _) => Site::Sqlite(self.folder.path().join(format!("{number}.db"))),
            _ => Site::Memory { history: self.history },
        })
    }

    /// The database's settings that decide what a commit is worth.
    pub(crate) async fn settings(&self) -> Result<String, Failure> {
        let Some((_, url)) = &self.postgres else {
            return Ok(match self.store {
                Store::Sqlite => "SQLite, journal_mode=WAL, synchronous=FULL".to_owned(),
                _ => "nothing is kept".to_owned(),
            });
        };
        let pool = PgPool::connect(url).await?;
        let mut said = Vec::new();
        for name in ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"] {
            let row = sqlx::query("SELECT current_setting($1)").bind(name).fetch_one(&pool).await?;
            said.push(format!("{name}={}", row.try_get::<String, _>(0)?));
        }
        Ok(format!("PostgreSQL, {}", said.join(", ")))
    }

    /// A pool of its own, for what is measured without the engine.
    pub(crate) async fn pool(&self) -> Result<Option<PgPool>, Failure> {
        let Some((_, url)) = &self.postgres else { return Ok(None) };
        Ok(Some(pool().connect(url).await?))
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Site {
    /// A hub on this place, but for what it sends and where to.
    pub(crate) async fn hub(&self) -> Result<HubBuilder, Failure> {
        let keys =
            StaticKeys::new("bench", "c21535abe856c048aa398a5b566a7257f91b3740059eb8613697148a55703075")?;
        let builder = Hub::builder();
        Ok(match self {
            Self::Memory { history } => builder.store(MemoryStore::builder().history(*history).build()),
            Self::Sqlite(path) => builder.store(SqliteStore::open(path)?).vault(EnvelopeVault::new(keys)),
            Self::Postgres { url, schema, claims } => {
                let pool = pool().connect(url).await?;
                let store = PostgresStore::builder(pool).schema(schema).direct().build()?;
                let wake = PostgresWake::start(url.parse()?, schema)?;
                let builder = match claims {
                    Some(claims) => {
                        let inner: Arc<dyn DeliveryQueue> = Arc::new(store.clone());
                        let timed = Timed { inner, claims: Arc::clone(claims) };
                        builder.store_parts(Arc::new(store.clone()), Arc::new(timed), Arc::new(store))
                    }
                    None => builder.store(store),
                };
                builder.wake(wake).vault(EnvelopeVault::new(keys))
            }
        })
    }

    /// What the database has done since it was made; nothing for one that does not count.
    pub(crate) async fn counters(&self) -> Result<Option<Counters>, Failure> {
        let Self::Postgres { url, schema, .. } = self else { return Ok(None) };
        let pool = PgPool::connect(url).await?;
        sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(&pool).await?;
        let row = sqlx::query(
            "SELECT (SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_statements WHERE query LIKE '%' || $1 || '%'), \
             (pg_current_wal_lsn() - '0/0')::bigint",
        )
        .bind(schema)
        .fetch_one(&pool)
        .await?;
        let number = |value: i64| value.unsigned_abs();
        Ok(Some(Counters { statements: number(row.try_get(0)?), wal_bytes: number(row.try_get(1)?) }))
    }

    /// The same place; how long its claims take is counted there.
    pub(crate) fn timed(mut self, counts: &Arc<Latencies>) -> Self {
        if let Self::Postgres { claims, .. } = &mut self {
            *claims = Some(Arc::clone(counts));
        }
        self
    }

    /// As a word that another process understands.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory { history } => format!("memory {history}"),
            Self::Sqlite(path) => format!("sqlite {}", path.display()),
            Self::Postgres { url, schema, .. } => format!("postgres {schema} {url}"),
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        let (kind, rest) = name.split_once(' ').ok_or("a place without a name")?;
        Ok(match kind {
            "sqlite" => Self::Sqlite(rest.into()),
            "postgres" => {
                let (schema, url) = rest.split_once(' ').ok_or("a schema without a server")?;
                Self::Postgres { url: url.to_owned(), schema: schema.to_owned(), claims: None }
            }
            _ => return Err(format!("other processes do not reach {name}").into()),
        })
    }
}

/// As `docs/running.md` advises: who works without a pause need not ask whether the connection still works.
fn pool() -> PgPoolOptions {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    pool.before_acquire(|connection, about| {
        Box::pin(async move {
            if about.idle_for > Duration::from_secs(1) {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}
