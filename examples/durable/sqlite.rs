//! The shop on SQLite: orders and events in one file.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossdock::adapters::SqliteStore;
use crossdock::webhooks::Publication;
use rusqlite::{Connection, TransactionBehavior};

use crate::shop::Ending;

pub(crate) struct SqliteShop {
    path: PathBuf,
}

impl SqliteShop {
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn migrate(&self) -> Result<(), Box<dyn Error>> {
        // Opening the store makes its tables, which all begin with `crossdock_`.
        self.store()?;
        self.connect()?.execute_batch("CREATE TABLE orders (number INTEGER PRIMARY KEY) STRICT")?;
        Ok(())
    }

    /// Where crossdock keeps its events: in the same file, or they could not be in the same transaction.
    pub(crate) fn store(&self) -> Result<SqliteStore, Box<dyn Error>> {
        Ok(SqliteStore::open(&self.path)?)
    }

    /// Takes an order and says so, both or neither.
    pub(crate) fn take(&self, order: u32, event: Publication, ending: Ending) -> Result<(), Box<dyn Error>> {
        let mut connection = self.connect()?;
        // Immediate, so that it waits for other writers here, where nothing has been read yet.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("INSERT INTO orders (number) VALUES (?1)", [order])?;

        event.write_in(&transaction)?;

        match ending {
            Ending::Commit => transaction.commit()?,
            Ending::RollBack => transaction.rollback()?,
            Ending::Death => std::process::abort(),
        }
        Ok(())
    }

    pub(crate) fn orders(&self) -> Result<BTreeSet<u32>, Box<dyn Error>> {
        let connection = self.connect()?;
        let mut orders = connection.prepare("SELECT number FROM orders")?;
        let numbers = orders.query_map([], |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    /// A connection of the shop's own. It keeps its commits through a power cut, like the store's.
    fn connect(&self) -> Result<Connection, Box<dyn Error>> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    }
}
