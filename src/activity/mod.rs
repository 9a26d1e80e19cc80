//! What happened: the log of everything that people and the engine did to a tenant's integrations.

pub mod log;
pub mod model;
mod stored;

pub use log::{ActivityFilter, ActivityLog};
pub use model::{Activity, ActivityKind, Subject};
