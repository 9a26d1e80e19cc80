//! The gate: every call of the host's API passes it.
//!
//! The order is: form and checksum, look-up, secret, state, time, address, rights, limits. Nothing about a key is told before its
//! secret was right. What is known here is judged without waiting and without allocating; what is not is looked up first, an
//! unknown id exactly like a known one.
//!
//! What is known here is at most [`STALE`](Gate::STALE) old: every second the gate asks the store what has changed, by
//! [`run_until`](Gate::run_until) or, where nothing runs, by the next call that finds its knowledge too old.
//!
//! | module | decides |
//! |---|---|
//! | `handle` | what a host calls, and what runs beside its server |
//! | `judge` | the order in which a call is judged |
//! | `knowledge` | what has changed since, and whether what is known is new enough |
//! | `status` | what is counted, and how the gate stands |

mod handle;
mod judge;
mod knowledge;
mod status;

pub use handle::Gate;
pub(crate) use handle::Inner;
pub use status::GateStatus;
