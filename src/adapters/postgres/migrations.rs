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
#[derive(Clone, Copy, Debug)]
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
}

impl PostgresStore {
    /// Brings the schema to the version that this crate needs, and makes the first partitions.
    ///
    /// Each version is one transaction behind a lock, so that any number of processes may do this at once. Dropping the future leaves
    /// whole versions behind.
    ///
    /// # Errors
    /// `Unconfigured` with [`SchemaMismatch::Newer`] if the schema is newer, or if the role may not make one; `Unavailable`.
    pub async fn migrate(&self) -> Result<()> {
        for migration in self.migrations() {
            let mut session = self.unchecked_transaction(MIGRATE).await?;
            let lock = session.statement("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))");
            session.run(lock.bind(format!("crossdock migrate {}", self.inner.schema.name()))).await?;
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
        if self.inner.row_level_security {
            let mut session = self.unchecked_transaction(MIGRATE).await?;
            self.run_script(&mut session, self.sql(ROW_LEVEL_SECURITY)).await?;
            session.end().await?;
        }
        Ok(())
    }

    /// What [`migrate`](Self::migrate) would run on an empty database, for hosts with a tool of their own.
    pub fn migrations(&self) -> Vec<Migration> {
        vec![Migration { version: 1, name: "first", sql: self.sql(FIRST) }]
    }

    /// Finds out whether the schema is the one that this version of the crate knows. Every store does this by itself before its first
    /// step. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Unconfigured` with a [`SchemaMismatch`] as its source; `Unavailable`.
    pub async fn check_schema(&self) -> Result<()> {
        let mut session = self.unchecked_transaction(CHECK).await?;
        let found = self.version_in(&mut session).await?;
        session.end().await?;
        if found != LATEST {
            return Err(mismatch(CHECK, found));
        }
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

const LATEST: u32 = 1;
const MIGRATE: &str = "migrate the schema";
const CHECK: &str = "check the schema's version";
const VERSION: &str = r#"SELECT COALESCE(max(version), 0) FROM "crossdock".migration"#;
const FIRST_PARTITIONS: &str =
    r#"SELECT "crossdock".keep_partitions(clock_timestamp(), 1, '-infinity', '-infinity')"#;
const ROW_LEVEL_SECURITY: &str = include_str!("sql/row_level_security.sql");
const FIRST: &str = concat!(
    include_str!("sql/tables.sql"),
    include_str!("sql/queue.sql"),
    include_str!("sql/publish.sql"),
    include_str!("sql/claim.sql"),
    include_str!("sql/settle.sql"),
    include_str!("sql/manage.sql"),
    include_str!("sql/chores.sql"),
    "INSERT INTO \"crossdock\".migration (version) VALUES (1);\n",
);
