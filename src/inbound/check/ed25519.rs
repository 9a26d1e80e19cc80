//! ed25519: the provider signs, everybody may check.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::Signer;

use crate::inbound::check::asymmetric;
use crate::inbound::check::asymmetric::{SIGNATURE_BYTES, Signs, Verifies};
use crate::inbound::check::key::KeyRefusal;

/// The key of these bytes: a seed, or a seed and its public key.
pub(in crate::inbound) fn signing_key(key: &[u8]) -> Result<Arc<dyn Signs>, KeyRefusal> {
    let key = if let Ok(seed) = key.try_into() {
        ed25519_dalek::SigningKey::from_bytes(seed)
    } else if let Ok(pair) = key.try_into() {
        // Signing with a public key that is not its own would give the private key away.
        ed25519_dalek::SigningKey::from_keypair_bytes(pair).map_err(|_| KeyRefusal::BadKey)?
    } else {
        return asymmetric::signing_key(key);
    };
    Ok(Arc::new(SigningKey(key)))
}

/// The public key of these bytes.
pub(in crate::inbound) fn verifying_key(key: &[u8]) -> Result<Arc<dyn Verifies>, KeyRefusal> {
    let Ok(bytes) = key.try_into() else {
        return asymmetric::verifying_key(key);
    };
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyRefusal::BadKey)?;
    if key.is_weak() { Err(KeyRefusal::BadKey) } else { Ok(Arc::new(VerifyingKey(key))) }
}

struct SigningKey(ed25519_dalek::SigningKey);

impl Signs for SigningKey {
    fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }

    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(ed25519, redacted)")
    }
}

#[derive(Debug)]
struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl Verifies for VerifyingKey {
    fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        // Strict: without it one message can have several valid signatures, and a weak key accepts many messages.
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}
