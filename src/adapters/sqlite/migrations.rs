//! The tables, version by version.

use rusqlite::Connection;

use crate::adapters::sqlite::fault::{Done, Fault};
use crate::error::{Error, ErrorKind, Problem};

/// One step from a version of the tables to the next.
///
/// ```
/// use crossdock::adapters::sqlite::migrations;
///
/// let newest = migrations().last().map(|migration| migration.version);
///
/// assert_eq!(newest, Some(migrations().len() as u32));
/// assert!(migrations()[0].sql.contains("CREATE TABLE crossdock_event"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Migration {
    /// The version of the tables after it, counted from 1.
    pub version: u32,
    /// What it is about.
    pub name: &'static str,
    /// Its statements. The version is noted by whoever runs them.
    pub sql: &'static str,
}

/// Every step, oldest first, for hosts that look at what will be done.
///
/// [`SqliteStore::open`](super::SqliteStore::open) takes those that are missing by itself, all of them in one transaction. The
/// version is kept in the table `crossdock_schema`; `PRAGMA user_version` is left to the host.
pub const fn migrations() -> &'static [Migration] {
    MIGRATIONS
}

/// Brings the tables to the newest version; processes that do so at once wait for each other.
pub(super) fn migrate(connection: &Connection, steps: &[Migration]) -> Done<()> {
    let newest = steps.last().map_or(0, |step| step.version);
    // Mostly there is nothing to do, and then nothing is locked: a file that is read-only can be opened.
    if version(connection)? == Some(newest) {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = take_missing(connection, steps, newest);
    let ended = connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
    done?;
    Ok(ended?)
}

/// The version of the tables; `None` if there are none.
pub(super) fn version(connection: &Connection) -> Done<Option<u32>> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'crossdock_schema'";
    if !connection.prepare(there)?.exists([])? {
        return Ok(None);
    }
    Ok(connection.query_row("SELECT max(version) FROM crossdock_schema", [], |row| row.get(0))?)
}

fn take_missing(connection: &Connection, steps: &[Migration], newest: u32) -> Done<()> {
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS crossdock_schema (version INTEGER PRIMARY KEY) STRICT")?;
    // Asked again under the lock: another process may have been faster.
    let present = version(connection)?.unwrap_or(0);
    if present > newest {
        return Err(newer(present, newest));
    }
    for step in steps.iter().filter(|step| step.version > present) {
        connection.execute_batch(step.sql)?;
        connection.execute("INSERT INTO crossdock_schema (version) VALUES (?1)", [step.version])?;
    }
    Ok(())
}

fn newer(present: u32, newest: u32) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Unconfigured, "open the SQLite store").with_problem(Problem::new(
        "schema_version",
        format!("the tables have version {present}, and this version of crossdock knows them up to {newest}"),
        "run the version of crossdock that has made them, or a newer one",
    )))
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("schema.sql") },
    Migration { version: 2, name: "API keys", sql: include_str!("keys.sql") },
    Migration { version: 3, name: "activity chain", sql: include_str!("activity.sql") },
    Migration { version: 4, name: "inbound webhooks", sql: include_str!("inbound.sql") },
];

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: Migration =
        Migration { version: 5, name: "note", sql: "ALTER TABLE crossdock_lane ADD COLUMN note TEXT" };
    const BROKEN: Migration = Migration {
        version: 6,
        name: "broken",
        sql: "CREATE TABLE crossdock_new (n INTEGER) STRICT; nonsense",
    };

    fn with<const N: usize>(more: [Migration; N]) -> Vec<Migration> {
        MIGRATIONS.iter().copied().chain(more).collect()
    }

    #[test]
    fn older_tables_are_brought_up_step_by_step() -> Done<()> {
        let connection = Connection::open_in_memory()?;
        assert_eq!(version(&connection)?, None);

        migrate(&connection, &MIGRATIONS[..1])?;
        assert_eq!(version(&connection)?, Some(1));
        migrate(&connection, MIGRATIONS)?;
        assert_eq!(version(&connection)?, Some(4));
        migrate(&connection, &with([NEXT]))?;
        migrate(&connection, &with([NEXT]))?;

        assert_eq!(version(&connection)?, Some(5));
        connection.prepare("SELECT note FROM crossdock_lane")?;
        Ok(())
    }

    #[test]
    fn a_migration_that_fails_leaves_everything_as_it_was() -> Done<()> {
        let connection = Connection::open_in_memory()?;
        migrate(&connection, MIGRATIONS)?;

        let failed = migrate(&connection, &with([NEXT, BROKEN]));

        assert!(failed.is_err());
        assert_eq!(version(&connection)?, Some(4));
        assert!(connection.prepare("SELECT note FROM crossdock_lane").is_err());
        assert!(connection.is_autocommit());
        Ok(())
    }

    #[test]
    fn newer_tables_are_refused_with_what_to_do() -> Done<()> {
        let connection = Connection::open_in_memory()?;
        migrate(&connection, &with([NEXT]))?;

        let refused = migrate(&connection, MIGRATIONS).expect_err("a refusal").during("open");

        assert_eq!(refused.kind(), ErrorKind::Unconfigured);
        assert_eq!(
            refused.to_string(),
            "could not open the SQLite store: not configured: schema_version: the tables have version 5, and this \
             version of crossdock knows them up to 4 (run the version of crossdock that has made them, or a newer one)"
        );
        Ok(())
    }
}
