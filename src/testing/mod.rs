//! For tests: a clock that is set by hand, dice that always fall alike, a transport that answers from a script, and
//!
//! | module | gives |
//! |---|---|
//! | [`clock`] | [`ManualClock`]: time passes when the test says so |
//! | [`entropy`] | [`SeededEntropy`]: the same seed, the same ids |
//! | [`transport`] | [`ScriptedTransport`]: receivers without a network |

pub mod clock;
pub mod entropy;
pub mod transport;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use transport::{Reply, ScriptedTransport, SentRequest};
