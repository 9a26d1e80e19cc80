//! The store of any number of processes: PostgreSQL, 14 or later.
//!
//! | file | decides |
//! |---|---|
//! | `migrations`, `sql/` | what is kept, and the steps that run inside the server |
//! | `schema`, `session` | which schema, and on which connection |
//! | `failure` | what an error of the driver means |
//! | `queue`, `outbox`, `outbox_floor`, `claim`, `settle`, `chores`, `examine` | the engine's steps |
//! | `publications`, `shared` | publishing by the store itself; what many give at once shares a commit |
//! | `publish`, `host_transaction`, `tokio_postgres` | publishing in a transaction of the host's own |
//! | `repository`, `save`, `test_record`, `listing`, `activity` | what an administrator sees and changes |
//! | `inbound_port`, `sources`, `received`, `received_list` | sources of inbound webhooks, and what was received from them |
//! | `wake` | how other processes hear of work at once |
//! | `rows`, `attempts`, `entries`, `records` | how a record becomes a row, and back |
//!
//! # How it works
//!
//! The steps that must judge by what they have just locked (publish, fan out, claim, settle, the chores) are functions inside the
//! schema, installed by the migration. To the store each is one statement for a whole batch; inside, a statement that begins
//! after a lock was had sees what its former holder has committed, which no single statement could: a claim counts the leases
//! of a webhook behind the webhook's lock, and so callers that race never admit more than a limit allows.
//!
//! Nothing depends on a session: no `LISTEN`, no session locks, no named statements, so that a pooler in transaction mode may
//! stand in between.
//!
//! Every decision is made by the time that the caller gives. A claim answers the server's own time if it is within a day of that,
//! so that hosts whose clocks differ judge leases alike; a clock that differs by more is a story's, not a machine's, and is
//! left alone ([`Examination::store_clock`](crate::webhooks::Examination::store_clock) shows the server's in any case).
//!
//! # Which sqlx
//!
//! The transactions that a host gives must be of the very sqlx that this crate is built with. It accepts more than one major
//! version, and where nothing else is said, Cargo takes the newest: a host on an older one then has both, which `cargo tree -d`
//! shows, and the compiler finds that its transactions are no transactions. `cargo update sqlx@<newer> --precise <the host's>` makes
//! them one again.
//!
//! sqlx 0.9 needs Rust 1.94; with 0.8.6, this crate's own `rust-version` is enough. To a server across a network, choose how sqlx
//! speaks TLS by a feature of your own dependency on it, such as `tls-rustls-ring-webpki`: without one, a URL that asks for TLS is refused.
//!
//! Only one version of SQLite's bindings fits into a build, and sqlx names one even where only PostgreSQL is asked for. With the
//! feature `sqlite`, take a version of `rusqlite` that goes with it; Cargo says which one is in the way.

mod activity;
mod attempts;
mod chores;
mod claim;
mod distribute;
mod entries;
mod examine;
mod failure;
mod host_transaction;
mod inbound_port;
mod key_usage;
mod keys;
mod listing;
mod migrations;
mod names;
mod outbox;
mod outbox_floor;
mod own_events;
mod publications;
mod publish;
mod queue;
mod received;
mod received_list;
mod records;
mod repository;
mod rows;
mod save;
mod schema;
mod session;
mod settle;
mod shared;
mod sources;
mod test_record;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;
mod wake;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use sqlx::PgPool;

use crate::adapters::postgres::outbox_floor::OutboxFloors;
use crate::adapters::postgres::own_events::OwnEvents;
use crate::adapters::postgres::publish::At;
use crate::adapters::postgres::received::NewRow;
use crate::adapters::postgres::records::Records;
use crate::adapters::postgres::schema::{Schema, USUAL};
use crate::adapters::postgres::shared::Queue;
use crate::error::Result;
use crate::webhooks::model::Publication;

pub use host_transaction::InSchema;
pub use migrations::{Migration, SchemaMismatch};
pub use publish::{PublishParameters, PublishStatement};
pub use wake::PostgresWake;

/// Keeps everything in PostgreSQL; any number of processes may share it.
///
/// A clone is the same store. Run [`migrate`](Self::migrate) once before the first use, and after an upgrade of this crate.
///
/// ```no_run
/// use crossdock::adapters::PostgresStore;
/// use sqlx::postgres::PgPoolOptions;
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = PgPoolOptions::new().connect("postgres://localhost/shop").await?;
/// let store = PostgresStore::new(pool);
///
/// store.migrate().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

/// Says how a [`PostgresStore`] works.
///
/// ```no_run
/// use crossdock::adapters::PostgresStore;
///
/// # fn f(pool: sqlx::PgPool) -> crossdock::Result<()> {
/// let store = PostgresStore::builder(pool).schema("hooks").row_level_security().build()?;
/// # drop(store);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a store begins with `build`"]
pub struct PostgresStoreBuilder {
    pool: PgPool,
    schema: String,
    connections: Connections,
    row_level_security: bool,
}

struct Inner {
    pool: PgPool,
    schema: Schema,
    connections: Connections,
    row_level_security: bool,
    records: Records,
    publishing: Queue<(Publication, At)>,
    accepting: Queue<NewRow>,
    outbox_floors: Mutex<OutboxFloors>,
    own_events: OwnEvents,
    /// Whether the schema was found to be the one that this version knows.
    is_checked: AtomicBool,
}

/// What the pool's connections lead to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Connections {
    /// The server, perhaps through a pooler in transaction mode.
    Pooled,
    /// The server itself.
    Direct,
}

impl PostgresStore {
    /// A store in the schema `crossdock`.
    pub fn new(pool: PgPool) -> Self {
        let inner = Inner {
            pool,
            schema: Schema::usual(),
            connections: Connections::Pooled,
            row_level_security: false,
            records: Records::default(),
            publishing: Queue::default(),
            outbox_floors: Mutex::default(),
            own_events: OwnEvents::default(),
            accepting: Queue::default(),
            is_checked: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A store that differs from that.
    pub fn builder(pool: PgPool) -> PostgresStoreBuilder {
        PostgresStoreBuilder {
            pool,
            schema: USUAL.to_owned(),
            connections: Connections::Pooled,
            row_level_security: false,
        }
    }
}

impl PostgresStoreBuilder {
    /// The schema that everything stands in; `crossdock` by default.
    pub fn schema(mut self, name: &str) -> Self {
        name.clone_into(&mut self.schema);
        self
    }

    /// Says that the pool's connections lead to the server itself. Then a step that is one statement needs one round trip instead of
    /// four: it is prepared once, and needs no transaction around it. Through a pooler in transaction mode it would fail.
    pub fn direct(mut self) -> Self {
        self.connections = Connections::Direct;
        self
    }

    /// Lets the database itself hide other tenants' rows from what an administrator does, as a second line behind this crate's
    /// own. [`PostgresStore::migrate`] then sets the policies, or a tool of yours by [`PostgresStore::policies`]; without them no step
    /// is taken. They hold for the tables' owner too, but not for a superuser or a role
    /// with `BYPASSRLS`: connect as neither.
    pub fn row_level_security(mut self) -> Self {
        self.row_level_security = true;
        self
    }

    /// The store.
    ///
    /// # Errors
    /// `Invalid` for a schema name that is none.
    pub fn build(self) -> Result<PostgresStore> {
        let inner = Inner {
            pool: self.pool,
            schema: Schema::named(&self.schema)?,
            connections: self.connections,
            row_level_security: self.row_level_security,
            records: Records::default(),
            publishing: Queue::default(),
            outbox_floors: Mutex::default(),
            own_events: OwnEvents::default(),
            accepting: Queue::default(),
            is_checked: AtomicBool::new(false),
        };
        Ok(PostgresStore { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.inner.schema)
            .field("connections", &self.inner.connections)
            .field("row_level_security", &self.inner.row_level_security)
            .finish_non_exhaustive()
    }
}
