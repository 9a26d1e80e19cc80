//! Secrets at rest.
//!
//! | vault | for |
//! |---|---|
//! | [`EnvelopeVault`] | stores that last: keys of the host's own, which can change |
//! | [`EphemeralVault`] | stores in memory: a key that ends with the process |
//!
//! How a key changes, without a moment in which something cannot be opened:
//!
//! 1. Give the new key to every process [as an old one](StaticKeys::with_old): it opens, and seals nothing yet.
//! 2. Make it the current one in every process, with the former as an old one.
//! 3. Run [`Hub::rewrap`](crate::Hub::rewrap) until nothing is [left to do](crate::webhooks::Rewrapped::is_settled).
//! 4. Drop the former key.
//!
//! With one process, or one restart for all of them, step 1 can be left out. A process that lacks a key retries: deliveries wait
//! for it, until they expire: 30 days after they were made, by [`Settings::max_age`](crate::webhooks::Settings::max_age).

mod aead;
mod data_keys;
mod dice;
pub mod durable;
mod envelope;
pub mod keys;
pub mod memory;
pub mod static_keys;

pub use durable::EnvelopeVault;
pub use keys::{InvalidKeyId, KeyId, KeyProvider, UnknownKey};
pub use memory::EphemeralVault;
pub use static_keys::{InvalidKey, StaticKeys};
