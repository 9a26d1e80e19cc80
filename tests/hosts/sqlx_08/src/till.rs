//! A till: orders and events in one file.

use std::error::Error;
use std::path::Path;

use crossdock::Hub;
use crossdock::adapters::{EnvelopeVault, SqliteStore, StaticKeys};
use crossdock::events::NewEvent;
use rusqlite::{Connection, TransactionBehavior};

/// A hub on the till's file.
pub fn open(file: &Path, keys: &str) -> Result<Hub, Box<dyn Error>> {
    let keys: StaticKeys = keys.parse()?;
    let hub = Hub::builder().store(SqliteStore::open(file)?).vault(EnvelopeVault::new(keys));
    Ok(hub.events(crate::events()).build()?)
}

/// Takes an order and says so, both or neither.
pub fn take(connection: &mut Connection, hub: &Hub, order: &str) -> Result<(), Box<dyn Error>> {
    let event = hub.prepare(NewEvent::new("till_7".parse()?, "order.placed", order)?)?;

    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("INSERT INTO orders (name) VALUES (?1)", [order])?;
    event.write_in(&transaction)?;
    transaction.commit()?;
    Ok(())
}
