//! The product's own tables, in the database that the hub's store is in: an effect and the completion of its notification are one
//! transaction, so that there is exactly one effect.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossdock::inbound::Incoming;
use rusqlite::{Connection, Transaction, TransactionBehavior};

#[derive(Clone)]
pub(crate) struct Books {
    path: Arc<Path>,
}

/// What a handler answers: an error means that the hub tries again.
pub(crate) type Entered = Result<(), Box<dyn Error + Send + Sync>>;

impl Books {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let books = Self { path: path.into() };
        books.connect()?.execute_batch(TABLES)?;
        Ok(books)
    }

    /// Lets something happen because of a notification, and notes that it did.
    pub(crate) fn enter<T>(
        &self,
        notified: &Incoming<T>,
        effect: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<String>,
    ) -> Entered {
        // The driver blocks; other handlers go on elsewhere meanwhile.
        tokio::task::block_in_place(|| {
            let mut connection = self.connect()?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let what = effect(&transaction)?;
            let (source, received) = (notified.source().as_str(), notified.received());
            let event = received.event_id.as_ref().unwrap_or(&received.dedupe_key);
            // Nothing here would refuse a second entry: that there is none is what the run shows.
            transaction.execute(
                "INSERT INTO effect (source, event, what) VALUES (?1, ?2, ?3)",
                (source, &**event, &*what),
            )?;
            notified.complete_in(&transaction)?;
            transaction.commit()?;
            println!("    * {source} {}: {what}", notified.kind());
            Ok(())
        })
    }

    pub(crate) fn number(&self, sql: &str) -> rusqlite::Result<u64> {
        self.connect()?.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|number| number.unsigned_abs())
    }

    /// The first text that a query finds; empty if it finds nothing.
    pub(crate) fn text(&self, sql: &str) -> rusqlite::Result<String> {
        match self.connect()?.query_row(sql, [], |row| row.get(0)) {
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(String::new()),
            found => found,
        }
    }

    /// The events that have had an effect, as `source event`.
    pub(crate) fn effects(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.connect()?;
        let mut effects = connection.prepare("SELECT source || ' ' || event FROM effect")?;
        effects.query_map([], |row| row.get(0))?.collect()
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        Ok(connection)
    }
}

const TABLES: &str = "
    CREATE TABLE effect (source TEXT NOT NULL, event TEXT NOT NULL, what TEXT NOT NULL);
    CREATE TABLE billing (customer TEXT PRIMARY KEY, subscription TEXT, plan TEXT NOT NULL, features TEXT NOT NULL);
    CREATE TABLE payment (invoice TEXT PRIMARY KEY, customer TEXT NOT NULL, amount INTEGER NOT NULL);
    CREATE TABLE failure (invoice TEXT NOT NULL, customer TEXT NOT NULL, amount INTEGER NOT NULL);
    CREATE TABLE audit (entry TEXT NOT NULL);
    CREATE TABLE alert (operator TEXT NOT NULL, about TEXT NOT NULL);
    CREATE TABLE stock (item TEXT PRIMARY KEY, units INTEGER, title TEXT, is_stale INTEGER NOT NULL DEFAULT 0);
";
