//! What the hub calls: each adapter behind its feature.

#[cfg(feature = "schemas")]
pub mod json_schema;
pub mod vault;

#[cfg(feature = "schemas")]
pub use json_schema::JsonSchemaEngine;
pub use vault::EphemeralVault;
