//! The four documents that a trading platform tells its companies of.

use crossdock::events::{EventCatalog, EventTypeSpec};
use serde::Serialize;
use serde_json::{Value, json};

/// Each is an event type of its own.
pub(crate) const DOCUMENT_TYPES: [&str; 4] = ["ORDER", "ORDERRESPONSE", "DELIVERY", "INVOICE"];

/// What a receiver is told of a document, besides `eventId`, `timestamp` and `eventType`; in this order.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(crate) transaction_status: String,
    pub(crate) order_id: String,
    pub(crate) itscope_order_id: String,
    pub(crate) document_id: String,
    pub(crate) document_url: String,
    pub(crate) transaction_id: String,
}

/// The names of a message's fields, all on one level.
pub(crate) const FIELDS: [&str; 9] = [
    "eventId",
    "timestamp",
    "eventType",
    "transactionStatus",
    "orderId",
    "itscopeOrderId",
    "documentId",
    "documentUrl",
    "transactionId",
];

impl Document {
    /// The document of this number.
    pub(crate) fn numbered(kind: &str, number: u32, status: &str) -> Self {
        Self {
            transaction_status: status.to_owned(),
            order_id: format!("PO-{number}"),
            itscope_order_id: format!("7{number:06}"),
            document_id: format!("{kind}-{number}"),
            document_url: format!("https://platform.example/documents/{kind}-{number}"),
            transaction_id: format!("T-{number:08}"),
        }
    }
}

pub(crate) fn documents() -> EventCatalog {
    EventCatalog::new().with_all(DOCUMENT_TYPES.map(|kind| {
        EventTypeSpec::new(kind)
            .description(format!("A document of the type {kind} has arrived or changed"))
            .schema(schema())
            // What the test button sends.
            .example(json!(Document::numbered(kind, 0, "TEST")))
    }))
}

fn schema() -> Value {
    let text = || json!({"type": "string", "minLength": 1});
    json!({
        "type": "object",
        "required": &FIELDS[3..],
        "properties": {
            "transactionStatus": {"enum": ["NEW", "ACCEPTED", "REJECTED", "DONE", "TEST"]},
            "orderId": text(),
            "itscopeOrderId": text(),
            "documentId": text(),
            "documentUrl": {"type": "string", "pattern": "^https://"},
            "transactionId": text(),
        },
        "additionalProperties": false,
    })
}
