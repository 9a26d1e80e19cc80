//! The web side for axum: the layer with what axum knows of a request, and the extractor of a handler.
//!
//! | module | is |
//! |---|---|
//! | [`authentication`] | the layer: peers from `ConnectInfo`, routes from `MatchedPath`; and guards of routes |
//! | [`caller`] | the extractor [`Authenticated`] |
//! | [`answer`] | errors of this crate as answers of handlers |

pub mod answer;
pub mod authentication;
pub mod caller;

pub use answer::Failure;
pub use authentication::authentication;
pub use caller::Authenticated;
