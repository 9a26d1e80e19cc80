//! crossdock
#![forbid(unsafe_code)]

pub mod activity;
pub mod adapters;
pub mod error;
pub mod events;
pub mod hub;
pub mod lanes;
pub mod ports;
pub mod primitives;
pub mod tenancy;
#[cfg(feature = "testing")]
pub mod testing;
pub mod webhooks;

pub use error::{Error, ErrorKind, Problem, Result};
pub use hub::{Hub, HubBuilder, LocalWake, SystemClock, SystemEntropy};
