//! For tests: a clock that is set by hand, dice that always fall alike, a transport that answers from a script, and
//! conformance suites for everybody who writes an adapter.
//!
//! | module | gives |
//! |---|---|
//! | [`clock`] | [`ManualClock`]: time passes when the test says so |
//! | [`entropy`] | [`SeededEntropy`]: the same seed, the same ids |
//! | [`transport`] | [`ScriptedTransport`]: receivers without a network |
//! | [`drain`](drain()) | everything that is going to happen, at once |
//! | [`conformance`] | one list of named checks per port |

pub mod clock;
pub mod conformance;
mod drain;
pub mod entropy;
pub mod transport;

pub use clock::ManualClock;
pub use drain::drain;
pub use entropy::SeededEntropy;
pub use transport::{Reply, ScriptedTransport, SentRequest};
