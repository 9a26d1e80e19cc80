//! What can happen: event types with their schemas, and how an event becomes bytes.

pub mod event_type;

pub use event_type::{EventPattern, EventType, InvalidEventType, InvalidPattern};
