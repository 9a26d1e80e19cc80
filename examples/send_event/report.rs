//! An attempt as JSON.

use std::time::Duration;

use crossdock::webhooks::DeliveryRecord;
use serde_json::{Map, Value, json};

pub(crate) fn report(sent: &DeliveryRecord, delivered: bool) -> Value {
    let mut report = json!({
        "delivered": delivered,
        "event": sent.delivery.event.to_string(),
        "event_type": sent.delivery.event_type.as_str(),
        "delivery": sent.delivery.id.to_string(),
        "delivery_status": sent.delivery.status.kind().as_str(),
    });
    let Some(attempt) = sent.attempts.last() else { return report };
    let timings = &attempt.timings;
    report["attempt"] = json!({
        "id": attempt.id.to_string(),
        "started_at": attempt.started_at.to_rfc3339(),
        "peer": attempt.peer.map(|peer| peer.to_string()),
        "status": attempt.status,
        "error": attempt.error.map(|error| error.to_string()),
        "request_headers": headers(attempt.request_headers.iter()),
        "response_headers": headers(attempt.response_headers.iter()),
        "response_body": String::from_utf8_lossy(&attempt.response_body),
        "response_truncated": attempt.truncated,
        "milliseconds": {
            "dns": timings.dns.map(milliseconds),
            "connect": timings.connect.map(milliseconds),
            "tls": timings.tls.map(milliseconds),
            "first_byte": timings.first_byte.map(milliseconds),
            "total": milliseconds(timings.total),
        },
    });
    report
}

/// A header that came more than once is a list.
fn headers<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in headers {
        let value = Value::from(String::from_utf8_lossy(value));
        match object.get_mut(name) {
            None => {
                object.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::from(vec![first.take(), value]),
        }
    }
    object
}

fn milliseconds(time: Duration) -> f64 {
    // Microseconds are exact enough, and short.
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
