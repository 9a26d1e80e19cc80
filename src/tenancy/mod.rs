//! Who asks, and may they?

pub mod model;
pub mod policy;

pub use model::{Actor, Entitlement, InvalidTenantId, Role, TenantId};
pub use policy::{AccessPolicy, Denial};
