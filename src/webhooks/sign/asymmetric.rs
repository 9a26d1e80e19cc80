//! What an asymmetric algorithm does here, and the answer where none is compiled in.

use std::fmt::Debug;
use std::sync::Arc;

use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::secret::SigningSecret;

/// How many bytes an asymmetric signature has.
pub(in crate::webhooks::sign) const SIGNATURE_BYTES: usize = 64;

/// Signs messages; `Debug` shows nothing of the key.
pub(in crate::webhooks::sign) trait SigningKey: Debug + Send + Sync {
    /// The signature over these pieces, one behind the other.
    fn sign(&self, pieces: &[&[u8]]) -> [u8; SIGNATURE_BYTES];
}

/// Checks signatures.
pub(in crate::webhooks::sign) trait VerifyingKey: Debug + Send + Sync {
    /// Whether this is the signature over these pieces, one behind the other.
    fn verifies(&self, pieces: &[&[u8]], signature: &[u8; SIGNATURE_BYTES]) -> bool;
}

/// Refuses: there is no algorithm here. An algorithm of this name passes on to it whatever is not its own key.
pub(in crate::webhooks::sign) fn signing_key(
    secret: &SigningSecret,
) -> Result<Arc<dyn SigningKey>, SchemeRefusal> {
    Err(match secret.key() {
        Some(_) => SchemeRefusal::Ed25519Missing,
        None => SchemeRefusal::NoSecret { needs: "an ed25519 private key, `whsk_…`" },
    })
}

/// Refuses: there is no algorithm here. An algorithm of this name passes on to it whatever is not its own key.
pub(in crate::webhooks::sign) fn verifying_key(
    secret: &SigningSecret,
) -> Result<Arc<dyn VerifyingKey>, SchemeRefusal> {
    Err(match secret.key() {
        Some(_) => SchemeRefusal::Ed25519Missing,
        None => SchemeRefusal::NoSecret { needs: "an ed25519 public key, `whpk_…`" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_algorithm_a_key_is_refused_by_name() -> Result<(), Box<dyn std::error::Error>> {
        let public: SigningSecret = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".parse()?;

        assert_eq!(signing_key(&public).map(|_| ()), Err(SchemeRefusal::Ed25519Missing));
        assert_eq!(verifying_key(&public).map(|_| ()), Err(SchemeRefusal::Ed25519Missing));
        Ok(())
    }
}
