//! What happened: the log of everything that people and the engine did to a tenant's integrations.

mod broadcast;
pub mod log;
pub mod model;
mod stored;

pub(crate) use broadcast::Broadcast;
pub use broadcast::Heard;
pub use log::{ActivityFilter, ActivityLog};
pub use model::{Activity, ActivityKind, Subject};
