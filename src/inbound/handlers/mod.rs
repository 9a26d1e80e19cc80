//! What the host does with what was received.
//!
//! | file | holds |
//! |---|---|
//! | `handled` | what a handler can answer |
//! | `incoming` | what a handler gets |
//! | `route` | which handler gets what |

mod handled;
mod incoming;
mod route;

pub use handled::{Handled, IntoHandled};
pub use incoming::Incoming;
pub(crate) use route::Router;
pub use route::{HandlerRun, Route};
