//! Secrets at rest.

pub mod memory;

pub use memory::EphemeralVault;
