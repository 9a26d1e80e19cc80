//! What the schema holds, version by version.

use std::sync::atomic::Ordering;

use sqlx::Row;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::failure;
use crate::adapters::postgres::session::Session;
use crate::error::{Error, ErrorKind, Problem, Result};

/// One version's statements, for a tool of the host's own.
///
/// ```no_run
/// # fn f(store: crossdock::adapters::PostgresStore) {
/// for migration in store.migrations() {
///     println!("-- {:04}_{}.sql\n{}", migration.version, migration.name, migration.sql);
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Migration {
    /// The schema's version after it; they count from 1.
    pub version: u32,
    /// What it is about.
    pub name: &'static str,
    /// Its statements, to be run together in one transaction. The last one notes the version.
    pub sql: &'static str,
}

/// The schema is not the one that this version of the crate knows: the source of an `Unconfigured` error.
///
/// ```
/// use crossdock::adapters::postgres::SchemaMismatch;
///
/// let older = SchemaMismatch::Older { found: 1, known: 2 };
///
/// assert_eq!(older.to_string(), "the schema has version 1, and this version of the crate needs 2");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaMismatch {
    /// It is older, or not there (version 0): run `migrate()`.
    #[error("the schema has version {found}, and this version of the crate needs {known}")]
    Older {
        /// The version that is there.
        found: u32,
        /// The version that this crate needs.
        known: u32,
    },
    /// It is newer: upgrade the crate.
    #[error("the schema has version {found}, and this version of the crate knows none above {known}")]
    Newer {
        /// The version that is there.
        found: u32,
        /// The version that this crate knows.
        known: u32,
    },
    /// The store was built with row-level security, and tables have none: run `migrate()`, or what `policies()` gives.
    #[error("{tables} tables of the schema have no row-level security, and the store was built with it")]
    Unguarded {
        /// How many of the tables that hold tenants' rows.
        tables: u32,
    },
}

impl PostgresStore {
    /// Brings the schema to the version that this crate needs, makes the first partitions, and sets the policies if the store was
    /// built with [row-level security](crate::adapters::postgres::PostgresStoreBuilder::row_level_security).
    ///
    /// Each version is one transaction behind a lock, so that any number of processes may do this at once. Dropping the future leaves
    /// whole versions behind.
    ///
    /// # Errors
    /// `Unconfigured` with [`SchemaMismatch::Newer`] if the schema is newer, or if the role may not make one; `Unavailable`.
    pub async fn migrate(&self) -> Result<()> {
        for migration in self.migrations() {
            let mut session = self.migrating().await?;
            let found = self.version_in(&mut session).await?;
            if found > LATEST {
                return Err(mismatch(MIGRATE, found));
            }
            if found < migration.version {
                self.run_script(&mut session, migration.sql).await?;
            }
            session.end().await?;
        }
        let mut session = self.unchecked_transaction(MIGRATE).await?;
        let ahead = session.statement(self.sql(FIRST_PARTITIONS));
        session.run(ahead).await?;
        session.end().await?;
        if let Some(policies) = self.policies() {
            let mut session = self.migrating().await?;
            // They lock every table, which a process that merely starts must not do to those that work.
            if self.unguarded_in(&mut session).await? > 0 {
                self.run_script(&mut session, policies).await?;
            }
            session.end().await?;
        }
        Ok(())
    }

    /// What [`migrate`](Self::migrate) would run on an empty database, for hosts with a tool of their own; the first partitions are
    /// made as well. With row-level security, [`policies`](Self::policies) come after them.
    pub fn migrations(&self) -> Vec<Migration> {
        vec![
            Migration { version: 1, name: "first", sql: self.sql(FIRST) },
            Migration { version: 2, name: "API keys", sql: self.sql(KEYS) },
            Migration { version: 3, name: "activity chain", sql: self.sql(ACTIVITY) },
            Migration { version: 4, name: "inbound webhooks", sql: self.sql(INBOUND) },
        ]
    }

    /// The statements that set the policies of row-level security, for hosts with a tool of their own: to be run after the migrations,
    /// together in one transaction, any number of times. `None` if the store was built without.
    pub fn policies(&self) -> Option<&'static str> {
        self.inner.row_level_security.then(|| self.sql(ROW_LEVEL_SECURITY))
    }

    /// Finds out whether the schema is the one that this version of the crate knows, and whether the database hides tenants from one
    /// another if the store was built with row-level security. Every store does this by itself before its first step. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Unconfigured` with a [`SchemaMismatch`] as its source; `Unavailable`.
    pub async fn check_schema(&self) -> Result<()> {
        let mut session = self.unchecked_transaction(CHECK).await?;
        let found = self.version_in(&mut session).await?;
        if found != LATEST {
            return Err(mismatch(CHECK, found));
        }
        if self.inner.row_level_security {
            let tables = self.unguarded_in(&mut session).await?;
            if tables > 0 {
                return Err(unguarded(tables));
            }
        }
        session.end().await?;
        self.inner.is_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn check_once(&self) -> Result<()> {
        if self.inner.is_checked.load(Ordering::Relaxed) { Ok(()) } else { self.check_schema().await }
    }

    /// The version that is there; 0 if there is none.
    pub(super) async fn version_in(&self, session: &mut Session) -> Result<u32> {
        let table = format!("\"{}\".migration", self.inner.schema.name());
        let is_there = session.statement("SELECT to_regclass($1) IS NOT NULL").bind(table);
        let read = |error| failure(CHECK, error);
        match session.row(is_there).await? {
            Some(row) if row.try_get::<bool, _>(0).map_err(read)? => {}
            _ => return Ok(0),
        }
        let newest = session.statement(self.sql(VERSION));
        let row = session.row(newest).await?;
        let version = row.map(|row| row.try_get::<i32, _>(0)).transpose().map_err(read)?;
        Ok(version.unwrap_or_default().unsigned_abs())
    }

    /// A transaction that nobody else has at the same time.
    async fn migrating(&self) -> Result<Session> {
        let mut session = self.unchecked_transaction(MIGRATE).await?;
        let lock = session.statement("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))");
        session.run(lock.bind(format!("crossdock migrate {}", self.inner.schema.name()))).await?;
        Ok(session)
    }

    /// How many tables with tenants' rows the database does not guard.
    async fn unguarded_in(&self, session: &mut Session) -> Result<u32> {
        let count = session.statement(UNGUARDED).bind(self.inner.schema.name());
        let row = session.row(count).await?;
        let tables = row.map(|row| row.try_get::<i64, _>(0)).transpose();
        let tables = tables.map_err(|error| failure(CHECK, error))?.unwrap_or_default();
        Ok(u32::try_from(tables).unwrap_or(u32::MAX))
    }

    async fn run_script(&self, session: &mut Session, sql: &'static str) -> Result<()> {
        let script = sqlx::raw_sql(sql);
        sqlx::Executor::execute(session.connection(), script)
            .await
            .map_err(|error| failure(MIGRATE, error))?;
        Ok(())
    }
}

fn mismatch(step: &'static str, found: u32) -> Error {
    let (cause, fix) = if found < LATEST {
        (SchemaMismatch::Older { found, known: LATEST }, "run `migrate()` of the store once")
    } else {
        (SchemaMismatch::Newer { found, known: LATEST }, "upgrade this crate in this process")
    };
    let problem = Problem::new("schema", cause.to_string(), fix);
    Error::new(ErrorKind::Unconfigured, step).with_source(cause).with_problem(problem)
}

fn unguarded(tables: u32) -> Error {
    let cause = SchemaMismatch::Unguarded { tables };
    let fix = "run `migrate()` of the store once, or the statements of `policies()` with a tool of your own";
    let problem = Problem::new("row_level_security", cause.to_string(), fix);
    Error::new(ErrorKind::Unconfigured, CHECK).with_source(cause).with_problem(problem)
}

const LATEST: u32 = 4;
const MIGRATE: &str = "migrate the schema";
const CHECK: &str = "check the schema";
const VERSION: &str = r#"SELECT COALESCE(max(version), 0) FROM "crossdock".migration"#;
/// Partitions are read through their tables, whose policies hold.
const UNGUARDED: &str = "SELECT count(*) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity)";
const FIRST_PARTITIONS: &str = r#"SELECT "crossdock".keep_partitions(clock_timestamp(), 1, '-infinity', '-infinity') FROM generate_series(1, 8)"#;
const KEYS: &str = include_str!("sql/keys.sql");
const ACTIVITY: &str = include_str!("sql/activity.sql");
const INBOUND: &str = include_str!("sql/inbound.sql");
const ROW_LEVEL_SECURITY: &str = include_str!("sql/row_level_security.sql");
const FIRST: &str = concat!(
    include_str!("sql/tables.sql"),
    include_str!("sql/queue.sql"),
    include_str!("sql/publish.sql"),
    include_str!("sql/claim.sql"),
    include_str!("sql/settle.sql"),
    include_str!("sql/manage.sql"),
    include_str!("sql/chores.sql"),
    // A schema that a tool of the host's has made needs no worker before its first event.
    "SELECT \"crossdock\".keep_partitions(clock_timestamp(), 1, '-infinity', '-infinity') FROM generate_series(1, 8);\n",
    "INSERT INTO \"crossdock\".migration (version) VALUES (1);\n",
);
