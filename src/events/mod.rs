//! What can happen: event types with their schemas, and how an event becomes bytes.
//!
//! A *catalogue* is the list of a host's event types, declared in code: names, groups, descriptions, schemas,
//! examples, and who may know of them. It is compiled once, which reports everything that is wrong with it at once;
//! from then on it decides which events may be published and which patterns may be subscribed to.
//!
//! ```
//! use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
//! use crossdock::tenancy::Actor;
//! use serde_json::json;
//!
//! let catalog = EventCatalog::new()
//!     .with(EventTypeSpec::new("shipment.shipped").group("Shipments").description("Left the warehouse"))
//!     .with(EventTypeSpec::new("stock.counted").group("Inventory").example(json!({"units": 3})))
//!     .compile(None)?;
//!
//! let event = NewEvent::new("org_42".parse()?, "shipment.shipped", &json!({"order": "A-7"}))?;
//! assert!(catalog.check(event).is_ok());
//!
//! let ada = Actor::org_admin("org_42".parse()?, "ada");
//! let problem = catalog.check_pattern(&"shipments.*".parse()?, &ada).expect_err("a slip");
//! assert_eq!(problem.fix, "did you mean `shipment.*`?");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In the order in which an event meets them:
//!
//! | module | what it knows |
//! |---|---|
//! | [`event_type`] | names of types, and patterns over them |
//! | [`type_spec`] | how a host declares one type |
//! | [`schema`] | what happens to payloads that do not match, and the port for the validator |
//! | [`catalog`] | the declarations, and what is wrong with them |
//! | [`compiled`] | the catalogue at work: publishing, visibility, patterns |
//! | [`new_event`] | what the host hands in, and what is left of it once it is checked |
//! | [`model`] | the event as it is stored and delivered |
//! | [`envelope`] | the event as bytes: Standard Webhooks, CloudEvents, flat, custom |

mod bounds;
pub mod catalog;
pub mod compiled;
pub mod envelope;
pub mod event_type;
pub mod model;
mod nearest;
pub mod new_event;
pub mod schema;
mod stored;
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
