//! The order in which a request is received, and what administrators see and change.
//!
//! | file | holds |
//! |---|---|
//! | `receive` | the steps of receiving |
//! | `keep` | verified items become what is kept |
//! | `known` | sources with their secrets opened, for a few seconds |
//! | `platform` | the platform's own sources, as the host declares them |
//! | `sources`, `new_source`, `view` | sources, as their administrators see and change them |
//! | `received` | what was received, and replays |
//! | `examine` | how it all stands |
//! | `rewrap` | all secrets anew, under another key |

pub(crate) mod examine;
mod keep;
pub(crate) mod known;
mod new_source;
pub(crate) mod platform;
pub(crate) mod receive;
mod received;
pub(crate) mod rewrap;
mod sources;
mod view;

pub use new_source::{NewSource, SourceUpdate};
pub use platform::PlatformSource;
pub use receive::{InboundAnswer, InboundRequest, ReceiveOutcome};
pub use received::ReceivedAdmin;
pub use sources::SourceAdmin;
pub use view::{SourceSecretView, SourceView};
