//! What tills, shops and a customer's own system say about the stock.

use crossdock::HubBuilder;
use crossdock::inbound::{Incoming, Route};
use rusqlite::Transaction;
use serde::Deserialize;

use crate::books::{Books, Entered};

#[derive(Deserialize)]
struct SquareCounts {
    data: SquareData,
}

#[derive(Deserialize)]
struct SquareData {
    object: SquareObject,
}

#[derive(Deserialize)]
struct SquareObject {
    inventory_counts: Vec<SquareCount>,
}

#[derive(Deserialize)]
struct SquareCount {
    catalog_object_id: String,
    /// A number in a text.
    quantity: String,
}

/// A catalogue's change says that there is one, and not which.
#[derive(Deserialize)]
struct SquareCatalogue {}

#[derive(Deserialize)]
struct ShopifyProduct {
    id: u64,
    title: String,
}

#[derive(Deserialize)]
struct ShopifyLevel {
    inventory_item_id: u64,
    available: i64,
}

/// What a customer's own system sends.
#[derive(Deserialize)]
struct Moved {
    sku: String,
    units: i64,
}

pub(crate) fn routes(hub: HubBuilder, books: &Books) -> HubBuilder {
    let [counted, catalogue, product, level, moved] = [(); 5].map(|()| books.clone());
    hub.on("square", "inventory.count.updated", move |event| {
        let entered = count(&counted, &event);
        async move { entered }
    })
    .on("square", "catalog.version.updated", move |event| {
        let entered = mark_stale(&catalogue, &event);
        async move { entered }
    })
    .on("shopify", "products/*", move |event| {
        let entered = describe(&product, &event);
        async move { entered }
    })
    .route(
        Route::new("shopify", "inventory_levels/update", move |event| {
            let entered = set_level(&level, &event);
            async move { entered }
        })
        .in_order_by("/inventory_item_id"),
    )
    .on("betterdata", "stock.moved", move |event| {
        let entered = move_units(&moved, &event);
        async move { entered }
    })
}

fn count(books: &Books, event: &Incoming<SquareCounts>) -> Entered {
    let counts = &event.payload.data.object.inventory_counts;
    books.enter(event, |transaction| {
        for count in counts {
            let units = count.quantity.parse().unwrap_or_default();
            set(transaction, &count.catalog_object_id, units)?;
        }
        let told: Vec<_> =
            counts.iter().map(|count| format!("{} × {}", count.quantity, count.catalog_object_id)).collect();
        Ok(format!("counted {}", told.join(", ")))
    })
}

fn mark_stale(books: &Books, event: &Incoming<SquareCatalogue>) -> Entered {
    books.enter(event, |transaction| {
        let items = transaction.execute("UPDATE stock SET is_stale = 1", [])?;
        Ok(format!("the catalogue has changed: {items} items are to be read again"))
    })
}

fn describe(books: &Books, event: &Incoming<ShopifyProduct>) -> Entered {
    let ShopifyProduct { id, title } = &event.payload;
    books.enter(event, |transaction| {
        transaction.execute(
            "INSERT INTO stock (item, title) VALUES (?1, ?2) ON CONFLICT (item) DO UPDATE SET title = ?2",
            (id.to_string(), title),
        )?;
        Ok(format!("{id} is called {title}"))
    })
}

fn set_level(books: &Books, event: &Incoming<ShopifyLevel>) -> Entered {
    let ShopifyLevel { inventory_item_id, available } = &event.payload;
    books.enter(event, |transaction| {
        set(transaction, &inventory_item_id.to_string(), *available)?;
        Ok(format!("{available} × {inventory_item_id}"))
    })
}

/// A difference: done twice, it would be wrong.
fn move_units(books: &Books, event: &Incoming<Moved>) -> Entered {
    let Moved { sku, units } = &event.payload;
    books.enter(event, |transaction| {
        transaction.execute(
            "INSERT INTO stock (item, units) VALUES (?1, ?2)
             ON CONFLICT (item) DO UPDATE SET units = coalesce(units, 0) + ?2",
            (sku, units),
        )?;
        Ok(format!("{units:+} × {sku}"))
    })
}

fn set(transaction: &Transaction<'_>, item: &str, units: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO stock (item, units) VALUES (?1, ?2)
         ON CONFLICT (item) DO UPDATE SET units = ?2, is_stale = 0",
        (item, units),
    )
}
