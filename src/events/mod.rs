//! What can happen: event types with their schemas, and how an event becomes bytes.

mod bounds;
pub mod catalog;
pub mod compiled;
pub mod envelope;
pub mod event_type;
pub mod model;
mod nearest;
pub mod new_event;
pub mod schema;
pub mod type_spec;

pub use catalog::EventCatalog;
pub use compiled::{CatalogEntry, CompiledCatalog};
pub use envelope::{
    Body, CloudEventsFormat, CloudEventsMode, CustomFormat, FlatFormat, InvalidFormat, PayloadFormat,
    StandardFormat, TimeFormat, Zone,
};
pub use event_type::{EventPattern, EventType, InvalidEventType, InvalidPattern};
pub use model::{Event, EventHead};
pub use new_event::{CheckedEvent, NewEvent};
pub use schema::{SchemaCheck, SchemaEngine, SchemaMode, SchemaViolation};
pub use type_spec::EventTypeSpec;
