//! A shop as a host of crossdock would write it: its orders in PostgreSQL, and with the feature `sqlite` its tills, each with a
//! file of its own.
//!
//! It is compiled twice, on sqlx 0.8 and on sqlx 0.9.

#[cfg(feature = "sqlite")]
pub mod till;

use std::error::Error;

use crossdock::Hub;
use crossdock::adapters::postgres::PostgresWake;
use crossdock::adapters::{EnvelopeVault, PostgresStore, StaticKeys};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use sqlx::PgPool;

/// A hub on the shop's own database.
pub async fn open(pool: PgPool, keys: &str) -> Result<Hub, Box<dyn Error>> {
    let store = PostgresStore::new(pool.clone());
    store.migrate().await?;
    let wake = PostgresWake::start((*pool.connect_options()).clone(), "crossdock")?;
    let keys: StaticKeys = keys.parse()?;
    let hub = Hub::builder().store(store).wake(wake).vault(EnvelopeVault::new(keys)).events(events());
    Ok(hub.build()?)
}

/// What can happen.
pub fn events() -> EventCatalog {
    EventCatalog::new().with(EventTypeSpec::new("order.placed"))
}

/// Takes an order and says so, both or neither.
pub async fn take(pool: &PgPool, hub: &Hub, order: &str) -> Result<(), Box<dyn Error>> {
    let event = hub.prepare(NewEvent::new("shop_1".parse()?, "order.placed", order)?)?;

    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO orders (name) VALUES ($1)").bind(order).execute(&mut *transaction).await?;
    event.write_in(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// The same on a connection whose transaction somebody else began, and ends.
pub async fn take_within(
    connection: &mut sqlx::PgConnection,
    hub: &Hub,
    orders: &[&str],
) -> Result<(), Box<dyn Error>> {
    let mut events = Vec::new();
    for order in orders {
        sqlx::query("INSERT INTO orders (name) VALUES ($1)").bind(*order).execute(&mut *connection).await?;
        events.push(NewEvent::new("shop_1".parse()?, "order.placed", order)?);
    }
    hub.prepare_many(events)?.write_in(&mut *connection).await?;
    Ok(())
}
