//! API keys in front of any tower service over `http::Request`.
//!
//! The modules, in the order in which a request passes through them:
//!
//! | module | decides |
//! |---|---|
//! | [`layer`] | what the host says: where the peer, the route and the path are found, and what a route demands |
//! | [`head`] | what of a request is looked at |
//! | [`demand`] | which class, and which resource, a request needs |
//! | [`service`] | whether it goes on; a request of a known key waits for nothing |
//! | [`answer`] | what a refused request is told, and which fields tell how a rate stands |
//! | [`problem`] | the form of every refusal: a problem document (RFC 9457) |

pub mod answer;
pub mod demand;
pub mod head;
pub mod layer;
pub mod problem;
pub mod service;

pub use head::Head;
pub use layer::{Authentication, PeerAddress};
pub use problem::ProblemDocument;
pub use service::{Authenticating, AuthenticationService};
