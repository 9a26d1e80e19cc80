//! What can happen at the tills and in the stock of a chain of shops: 21 event types, each with its schema.

use crossdock::events::{EventCatalog, EventTypeSpec};
use serde_json::{Value, json};

pub(crate) fn point_of_sale() -> EventCatalog {
    EventCatalog::new()
        .with_all(sales())
        .with_all(customers())
        .with_all(deliveries())
        .with_all(orders())
        .with_all(transfers())
        .with_all(stock())
}

fn sales() -> [EventTypeSpec; 4] {
    let sale = |name: &str, description: &str| {
        event(name, description, &["saleId", "shop", "total", "currency", "lines"], sale_members())
    };
    [
        sale("SaleCreated", "A sale was closed at a till").example(json!({
            "saleId": "S-1001", "shop": "Lyon", "till": 2, "total": 59.9, "currency": "EUR",
            "lines": [{"sku": "SHIRT-M", "quantity": 1, "price": 59.9}],
        })),
        sale("SaleExternalCreated", "A sale that another system has made was taken over").example(json!({
            "saleId": "X-77", "shop": "Web", "total": 20, "currency": "EUR",
            "lines": [{"sku": "CAP", "quantity": 2, "price": 10}],
        })),
        event(
            "InvoiceCreated",
            "An invoice was written for a sale",
            &["invoiceId", "saleId"],
            json!({"invoiceId": text(), "saleId": text(), "customerId": text()}),
        )
        .example(json!({"invoiceId": "I-31", "saleId": "S-1001", "customerId": "C-9"})),
        event(
            "POSSettlementCreated",
            "A till was counted and closed",
            &["settlementId", "shop", "till", "difference"],
            json!({"settlementId": text(), "shop": text(), "till": count(1), "difference": {"type": "number"}}),
        )
        .example(json!({"settlementId": "Z-5", "shop": "Lyon", "till": 2, "difference": -0.05})),
    ]
}

fn customers() -> [EventTypeSpec; 2] {
    [
        ("CustomerCreated", "A customer was added"),
        ("CustomerUpdated", "What is known of a customer has changed"),
    ]
    .map(|(name, description)| {
        let members = json!({"customerId": text(), "country": {"type": "string", "pattern": "^[A-Z]{2}$"}});
        event(name, description, &["customerId"], members)
            .example(json!({"customerId": "C-9", "country": "FR"}))
    })
}

fn deliveries() -> [EventTypeSpec; 2] {
    [
        ("DeliveryItemsReceived", "Some items of a supplier's delivery were counted in"),
        ("DeliveryCompleted", "A supplier's delivery is complete"),
    ]
    .map(|(name, description)| {
        let members = json!({"deliveryId": text(), "shop": text(), "items": items(1)});
        event(name, description, &["deliveryId", "shop", "items"], members).example(
            json!({"deliveryId": "D-3", "shop": "Lyon", "items": [{"sku": "SHIRT-M", "quantity": 20}]}),
        )
    })
}

fn orders() -> [EventTypeSpec; 4] {
    [
        ("OmniChannelEndlessAisleOrderCreated", "A shop has ordered for a customer what another one has"),
        ("OmniChannelOrderFulfilled", "Every line of an order is with the customer"),
        ("OmniChannelOrderRefundUpdated", "What is given back for an order has changed"),
        ("OmniChannelOrderUpdated", "An order has changed"),
    ]
    .map(|(name, description)| {
        let members =
            json!({"orderId": text(), "status": text(), "refunded": {"type": "number", "minimum": 0}});
        event(name, description, &["orderId", "status"], members)
            .example(json!({"orderId": "O-12", "status": "picked"}))
    })
}

fn transfers() -> [EventTypeSpec; 4] {
    [
        ("ProductTransferCreated", "Products have left a shop for another one"),
        ("ProductTransferReceived", "Products from another shop have arrived"),
        ("ProductTransferVirtualCreated", "Products were put at another shop's disposal without moving"),
        ("ProductTransferVirtualReceived", "Another shop's products were accepted without moving"),
    ]
    .map(|(name, description)| {
        let members = json!({"transferId": text(), "from": text(), "to": text(), "items": items(1)});
        event(name, description, &["transferId", "from", "to", "items"], members).example(json!({
            "transferId": "T-8", "from": "Lyon", "to": "Nantes", "items": [{"sku": "CAP", "quantity": 4}],
        }))
    })
}

fn stock() -> [EventTypeSpec; 5] {
    let movement = |name: &str, description: &str| {
        let members =
            json!({"reference": text(), "shop": text(), "sku": text(), "units": {"type": "integer"}});
        event(name, description, &["reference", "shop", "sku", "units"], members)
            .example(json!({"reference": "M-4", "shop": "Lyon", "sku": "CAP", "units": -2}))
    };
    let reservation = |name: &str, description: &str| {
        let members = json!({"reservationId": text(), "shop": text(), "items": items(1)});
        event(name, description, &["reservationId", "shop", "items"], members).example(
            json!({"reservationId": "R-2", "shop": "Lyon", "items": [{"sku": "CAP", "quantity": 1}]}),
        )
    };
    [
        movement("StockMovementCreated", "The stock of an article has changed"),
        movement("StockAdjustmentCreated", "Somebody has corrected the stock of an article"),
        movement("StockCountReconciled", "A count was compared with the stock, and agreed on"),
        reservation("StockReservationCreated", "Stock was set aside for a customer"),
        reservation("StockReservationExpired", "Stock that was set aside is free again"),
    ]
}

/// A type whose payload is an object with these members, of which some must be there; others may come, now or later.
fn event(name: &str, description: &str, required: &[&str], members: Value) -> EventTypeSpec {
    EventTypeSpec::new(name).description(description).schema(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "type": "object",
        "required": required,
        "properties": members,
    }))
}

fn sale_members() -> Value {
    let line = json!({
        "type": "object",
        "required": ["sku", "quantity", "price"],
        "properties": {"sku": text(), "quantity": {"type": "integer"}, "price": {"type": "number"}},
    });
    json!({
        "saleId": text(),
        "shop": text(),
        "till": count(1),
        "total": {"type": "number"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "lines": {"type": "array", "items": line},
    })
}

fn items(at_least: u32) -> Value {
    let item = json!({
        "type": "object",
        "required": ["sku", "quantity"],
        "properties": {"sku": text(), "quantity": count(1)},
    });
    json!({"type": "array", "minItems": at_least, "items": item})
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn count(at_least: u32) -> Value {
    json!({"type": "integer", "minimum": at_least})
}
