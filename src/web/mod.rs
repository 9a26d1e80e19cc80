//! What calls the hub over HTTP.
//!
//! | module | is |
//! |---|---|
//! | [`tower`] | API keys in front of any tower service: 401, 403 and 429 as problem documents, rate limit fields |
//! | `axum` | with the feature of that name: the same with what axum knows of a request, and an extractor; the management API; the route of inbound webhooks |

#[cfg(feature = "axum")]
pub mod axum;
pub mod tower;

pub use tower::{Authentication, ProblemDocument};
