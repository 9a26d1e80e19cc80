//! crossdock
#![forbid(unsafe_code)]

pub mod adapters;
pub mod error;
pub mod events;
pub mod ports;
pub mod primitives;
pub mod tenancy;

pub use error::{Error, ErrorKind, Problem, Result};
