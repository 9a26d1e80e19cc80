//! The web side for axum: the layer with what axum knows of a request, and the extractor of a handler.
//!
//! | module | is |
//! |---|---|
//! | [`authentication`](mod@authentication) | the layer: peers from `ConnectInfo`, routes from `MatchedPath`; and guards of routes |
//! | [`caller`] | the extractor [`Authenticated`] |
//! | [`answer`] | errors of this crate as answers of handlers |
//! | [`receiver`](mod@receiver) | inbound webhooks: one route for all sources |
//! | [`management`](mod@management) | the management API: an *Admin → Integrations* page as JSON over HTTP |

pub mod answer;
pub mod authentication;
pub mod caller;
pub mod management;
pub mod receiver;

pub use answer::Failure;
pub use authentication::authentication;
pub use caller::Authenticated;
pub use management::{MAX_BODY, Visitor, management, openapi};
pub use receiver::receiver;
