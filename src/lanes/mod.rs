//! Work that waits: the engine under webhooks, and under whatever else is claimed, done and settled.
//!
//! | module | decides |
//! |---|---|
//! | [`schedule`] | how long to wait after which failure |
//! | [`throttle`] | how much of a lane may run: in flight, rate, circuit |
//! | [`lease`] | who works on what, and until when |
//! | [`work`] | what there is to do for a loop: claim, work, settle (feature `worker`) |
//! | [`runner`] | the loop that claims, works and settles (feature `worker`) |
//! | [`desk`] | which slots of a loop are taken, and what others hand it (feature `worker`) |
//! | `shares` | how much of a loop one party may hold (feature `worker`) |

#[cfg(feature = "worker")]
pub mod desk;
pub mod lease;
#[cfg(feature = "worker")]
pub mod runner;
pub mod schedule;
#[cfg(feature = "worker")]
mod shares;
mod stored;
pub mod throttle;
#[cfg(feature = "worker")]
pub mod work;

pub use lease::{Lease, LeaseToken};
pub use schedule::{InvalidSchedule, Schedule};
pub use throttle::{Brake, CircuitPolicy, InvalidRate, Outcome, RateLimit, Samples, TokenBucket};
