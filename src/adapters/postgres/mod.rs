//! PostgreSQL.

mod wake;

pub use wake::PostgresWake;
