//! What orders are called, what receivers see of them, and which receiver hears of which.

use serde_json::{Value, json};

/// A task's next order, which names the task and counts.
pub(super) fn name(desk: &str, number: u32) -> String {
    format!("{desk}-{number}")
}

/// A task's next order, of which the receiver is told as well that wants those of one task in their order.
pub(super) fn name_in_order(desk: &str, number: u32) -> String {
    format!("{desk}-{number}{MARK}")
}

/// The task, and the order's place in what the task has done, if somebody wants to have them in this order.
pub(super) fn place(order: &str) -> Option<(&str, u32)> {
    let (desk, number) = order.strip_suffix(MARK)?.rsplit_once('-')?;
    Some((desk, number.parse().ok()?))
}

/// What an order looks like to its receivers.
pub(super) fn payload(order: &str) -> Value {
    json!({ "order": order, "text": order.repeat(LENGTH / order.len().max(1)) })
}

/// Whether a receiver has asked for this order.
pub(super) fn is_for(order: &str, receiver: &str) -> bool {
    receiver != IN_ORDER || place(order).is_some()
}

/// Who hears of orders; a path each.
pub(super) const RECEIVERS: [&str; 3] = ["/erp", "/crm", IN_ORDER];
/// The receiver that wants a task's orders one after the other.
pub(super) const IN_ORDER: &str = "/in-order";
/// What it listens to, and the others do not ask about.
pub(super) const CHANNEL: &str = "in-order";
const MARK: &str = "-kept";
const LENGTH: usize = 300;
