//! How an event becomes the bytes that a receiver gets.
//!
//! A webhook has one [`PayloadFormat`]; rendering is a pure function of format and event. It cannot
//! fail, because it runs when the event is already promised, and it gives the same bytes on every attempt and every
//! replay, because receivers compare digests. The payload's own bytes are copied, never parsed and written again:
//! numbers keep every digit that the host published.
//!
//! | format | what a receiver sees |
//! |---|---|
//! | [`standard`] | `{"type","timestamp","data"}`, as in Standard Webhooks |
//! | [`cloud_events`] | CloudEvents 1.0, structured (all in the body) or binary (attributes in `ce-…` headers) |
//! | [`flat`] | the payload's own fields with `eventId`, `timestamp` and `eventType` beside them |
//! | [`format`](mod@format) | the choice among these, and among the host's own by name |
//!
//! ```
//! use chrono::DateTime;
//! use crossdock::events::{Event, EventHead, PayloadFormat};
//! use crossdock::primitives::EventId;
//!
//! let at = DateTime::UNIX_EPOCH;
//! let head = EventHead::new(EventId::mint(at, [7; 10]), "org_42".parse()?, "stock.counted".parse()?, at);
//! let event = Event::new(head, r#"{"units":3.10}"#);
//! let body = PayloadFormat::default().render(&event).ok_or("one of ours")?;
//!
//! assert_eq!(body.content_type, "application/json");
//! assert_eq!(
//!     body.bytes,
//!     r#"{"type":"stock.counted","timestamp":"1970-01-01T00:00:00.000Z","data":{"units":3.10}}"#
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attribute;
pub mod cloud_events;
pub mod flat;
pub mod format;
mod json_text;
pub(crate) mod named;
pub mod standard;
pub(crate) mod stored;
pub mod time;

pub use cloud_events::{CloudEventsFormat, CloudEventsMode};
pub use flat::FlatFormat;
pub use format::{Body, CustomFormat, InvalidFormat, PayloadFormat};
pub use standard::StandardFormat;
pub use time::{TimeFormat, Zone};
