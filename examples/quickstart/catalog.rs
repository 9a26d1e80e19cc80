//! What can happen in a supply chain: the event types that this product's customers may subscribe to.
//!
//! Groups are the headings of the list that a customer sees. A schema is enforced when an event is published; an example
//! is shown to people, and is what a test delivery carries.

use crossdock::events::{EventCatalog, EventTypeSpec};
use serde_json::{Value, json};

pub(crate) fn supply_chain() -> EventCatalog {
    EventCatalog::new()
        .with_all(inventory())
        .with_all(shipments())
        .with_all(stock_requests())
        .with_all(orders())
        .with_all(planning())
        .with_all(imports())
        .with_all(alerts())
        .with_all(loops())
        .with(
            EventTypeSpec::new("subscription.updated")
                .group("Account")
                .description("The organisation's contract has changed")
                .schema(object(&["plan"], json!({"plan": {"type": "string"}, "seats": {"type": "integer"}})))
                .example(json!({"plan": "scale", "seats": 25})),
        )
}

fn inventory() -> [EventTypeSpec; 2] {
    let position = || {
        object(
            &["sku", "site", "units"],
            json!({"sku": text(), "site": text(), "units": {"type": "integer", "minimum": 0}}),
        )
    };
    [
        EventTypeSpec::new("inventory.adjusted")
            .group("Inventory")
            .description("A count or a correction has changed what is in stock")
            .schema(position())
            .example(json!({"sku": "PEN-01", "site": "Rotterdam", "units": 1_180})),
        EventTypeSpec::new("inventory.below_minimum")
            .group("Inventory")
            .description("The stock of an article has fallen below its minimum")
            .schema(position())
            .example(json!({"sku": "PEN-01", "site": "Rotterdam", "units": 40})),
    ]
}

fn shipments() -> [EventTypeSpec; 4] {
    let shipment = |name: &str, description: &str| {
        EventTypeSpec::new(name)
            .group("Shipments")
            .description(description)
            .schema(object(
                &["shipment", "order"],
                json!({
                    "shipment": text(),
                    "order": text(),
                    "carrier": text(),
                    "lines": {"type": "array", "items": object(
                        &["sku", "units"],
                        json!({"sku": text(), "units": {"type": "integer", "minimum": 1}}),
                    )},
                }),
            ))
            .example(json!({
                "shipment": "SHP-2041",
                "order": "A-7",
                "carrier": "Nordic Freight",
                "lines": [{"sku": "PEN-01", "units": 300}],
            }))
    };
    [
        shipment("shipment.created", "A shipment has been planned"),
        shipment("shipment.shipped", "A shipment has left the warehouse"),
        shipment("shipment.delivered", "The consignee has signed for a shipment"),
        // Still published and delivered; the text says what to use instead.
        shipment("shipment.sent", "A shipment has left the warehouse").deprecated("use shipment.shipped"),
    ]
}

fn stock_requests() -> [EventTypeSpec; 3] {
    let request = |name: &str, description: &str| {
        EventTypeSpec::new(name)
            .group("Stock requests")
            .description(description)
            .schema(object(
                &["request", "sku", "units"],
                json!({"request": text(), "sku": text(), "units": {"type": "integer", "minimum": 1}, "reason": text()}),
            ))
            .example(json!({"request": "REQ-88", "sku": "PEN-01", "units": 500}))
    };
    [
        request("stock_request.submitted", "A site has asked for stock"),
        request("stock_request.approved", "A request for stock was approved"),
        request("stock_request.rejected", "A request for stock was rejected"),
    ]
}

fn orders() -> [EventTypeSpec; 2] {
    let order = |name: &str, description: &str, example: Value| {
        EventTypeSpec::new(name)
            .group("Orders")
            .description(description)
            .schema(object(
                &["order"],
                json!({"order": text(), "site": text(), "missing": {"type": "array"}}),
            ))
            .example(example)
    };
    [
        order(
            "order.allocation_succeeded",
            "Every line of an order has stock",
            json!({"order": "A-7", "site": "Rotterdam"}),
        ),
        order(
            "order.allocation_failed",
            "Some lines of an order have no stock",
            json!({"order": "A-8", "missing": [{"sku": "INK-02", "units": 12}]}),
        ),
    ]
}

fn planning() -> [EventTypeSpec; 4] {
    let signal = |name: &str, description: &str| {
        EventTypeSpec::new(name)
            .group("Planning")
            .description(description)
            .schema(object(
                &["sku", "score"],
                json!({"sku": text(), "score": {"type": "number", "maximum": 1}}),
            ))
            .example(json!({"sku": "PEN-01", "score": 0.93}))
    };
    [
        EventTypeSpec::new("forecast.published")
            .group("Planning")
            .description("A new forecast is in force")
            .schema(object(&["forecast", "weeks"], json!({"forecast": text(), "weeks": {"type": "integer"}})))
            .example(json!({"forecast": "2031-W14", "weeks": 12})),
        signal("demand_signal.spike_detected", "Demand rises faster than the forecast says"),
        signal("demand_signal.stockout_risk", "The stock will not last until the next delivery"),
        EventTypeSpec::new("loop_commitment.threshold_reached")
            .group("Planning")
            .description("The commitments of a loop have reached the agreed share")
            .schema(object(&["loop", "percent"], json!({"loop": text(), "percent": {"type": "integer"}})))
            .example(json!({"loop": "PEN-EU", "percent": 80}))
            // Only organisations whose contract has this module see the type.
            .requires_any(["loop_planning"]),
    ]
}

fn imports() -> [EventTypeSpec; 3] {
    let import = |name: &str, description: &str, rejected: u32| {
        EventTypeSpec::new(name)
            .group("Imports")
            .description(description)
            .schema(object(
                &["import", "accepted", "rejected"],
                json!({"import": text(), "accepted": {"type": "integer"}, "rejected": {"type": "integer"}}),
            ))
            .example(json!({"import": "IMP-5", "accepted": 1_000 - rejected, "rejected": rejected}))
    };
    [
        import("import.completed", "Every row of a file was taken", 0),
        import("import.partial", "Some rows of a file were refused", 17),
        import("import.failed", "No row of a file was taken", 1_000),
    ]
}

fn alerts() -> [EventTypeSpec; 2] {
    let alert = |name: &str, description: &str| {
        EventTypeSpec::new(name)
            .group("Alerts")
            .description(description)
            .schema(object(
                &["alert", "severity"],
                json!({"alert": text(), "severity": {"enum": ["info", "warning", "critical"]}, "text": text()}),
            ))
            .example(json!({"alert": "ALR-3", "severity": "critical", "text": "cold chain broken"}))
    };
    [alert("alert.raised", "Something needs a person"), alert("alert.resolved", "A person has seen to it")]
}

/// The four loops move from state to state in the same way.
fn loops() -> [EventTypeSpec; 4] {
    ["procurement", "orders", "returns", "quality"].map(|name| {
        EventTypeSpec::new(format!("{name}_loop.transitioned"))
            .group("Loop transitions")
            .description(format!("A loop of the kind \"{name}\" has moved to another state"))
            .schema(object(&["loop", "from", "to"], json!({"loop": text(), "from": text(), "to": text()})))
            .example(json!({"loop": "L-19", "from": "requested", "to": "confirmed"}))
    })
}

/// An object with these members, of which some must be there; others may come, now or later.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}
