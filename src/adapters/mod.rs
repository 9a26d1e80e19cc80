//! What the hub calls: implementations of its ports, one folder per technology.
//!
//! Every adapter uses only public items of this crate, so that whatever is done here can be done outside as well.

#[cfg(feature = "http-client")]
pub mod http_client;
#[cfg(feature = "jq")]
pub mod jq;
#[cfg(feature = "schemas")]
pub mod json_schema;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod vault;

#[cfg(feature = "jq")]
pub use jq::JqEngine;
#[cfg(feature = "schemas")]
pub use json_schema::JsonSchemaEngine;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresWake};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use vault::{EnvelopeVault, EphemeralVault, StaticKeys};
