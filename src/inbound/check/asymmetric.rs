//! What a public-key algorithm does here, and the answer where none is compiled in.

use std::fmt::Debug;
use std::sync::Arc;

use crate::inbound::check::key::KeyRefusal;

/// How many bytes such a signature has.
pub(in crate::inbound) const SIGNATURE_BYTES: usize = 64;

/// Signs messages; `Debug` shows nothing of the key.
pub(in crate::inbound) trait Signs: Debug + Send + Sync {
    /// The signature over the message.
    fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES];

    /// The public key's bytes.
    fn public_key(&self) -> [u8; 32];
}

/// Checks signatures.
pub(in crate::inbound) trait Verifies: Debug + Send + Sync {
    /// Whether this is the signature over the message.
    fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool;
}

/// Refuses: there is no algorithm here. An algorithm of this name passes on to it whatever is no key of its own.
pub(in crate::inbound) fn signing_key(key: &[u8]) -> Result<Arc<dyn Signs>, KeyRefusal> {
    Err(refusal_of(key))
}

/// Refuses: there is no algorithm here. An algorithm of this name passes on to it whatever is no key of its own.
pub(in crate::inbound) fn verifying_key(key: &[u8]) -> Result<Arc<dyn Verifies>, KeyRefusal> {
    Err(refusal_of(key))
}

fn refusal_of(key: &[u8]) -> KeyRefusal {
    match key.len() {
        32 | 64 => KeyRefusal::Missing,
        _ => KeyRefusal::BadKey,
    }
}
