//! What can happen: event types with their schemas, and how an event becomes bytes.

pub mod event_type;

pub use event_type::{EventPattern, EventType, InvalidEventType, InvalidPattern};
pub mod envelope;
pub mod model;
pub use envelope::PayloadFormat;
pub use model::{Event, EventHead};
