//! ed25519: everybody may check, only we can sign (Standard Webhooks `v1a`).

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::ed25519::signature::MultipartSigner;

use crate::webhooks::sign::asymmetric;
use crate::webhooks::sign::asymmetric::SIGNATURE_BYTES;
use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::secret::{Kind, SigningSecret};

impl SigningSecret {
    /// An ed25519 private key, `whsk_…`, made of these random bytes.
    ///
    /// ```
    /// use crossdock::webhooks::SigningSecret;
    ///
    /// let private = SigningSecret::generate_ed25519([7; 32]);
    ///
    /// assert!(private.reveal().starts_with("whsk_"));
    /// assert!(private.public_key()?.reveal().starts_with("whpk_"));
    /// # Ok::<(), crossdock::webhooks::sign::SchemeRefusal>(())
    /// ```
    pub fn generate_ed25519(random: [u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&random);
        Self::of(Kind::PrivateKey, &key.to_keypair_bytes())
    }

    /// The public half, `whpk_…`: what receivers are given.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when this is an HMAC secret, or a private key whose halves do not belong together.
    pub fn public_key(&self) -> Result<Self, SchemeRefusal> {
        verifying(self).map(|key| Self::of(Kind::PublicKey, key.as_bytes()))
    }
}

pub(in crate::webhooks::sign) fn signing_key(
    secret: &SigningSecret,
) -> Result<Arc<dyn asymmetric::SigningKey>, SchemeRefusal> {
    match secret.key() {
        Some((Kind::PrivateKey, key)) => Ok(Arc::new(SigningKey(private(&key)?))),
        Some(_) => Err(SchemeRefusal::NoSecret { needs: "an ed25519 private key, `whsk_…`" }),
        None => asymmetric::signing_key(secret),
    }
}

pub(in crate::webhooks::sign) fn verifying_key(
    secret: &SigningSecret,
) -> Result<Arc<dyn asymmetric::VerifyingKey>, SchemeRefusal> {
    match secret.key() {
        Some(_) => Ok(Arc::new(VerifyingKey(verifying(secret)?))),
        None => asymmetric::verifying_key(secret),
    }
}

struct SigningKey(ed25519_dalek::SigningKey);

impl asymmetric::SigningKey for SigningKey {
    fn sign(&self, pieces: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
        MultipartSigner::<ed25519_dalek::Signature>::multipart_sign(&self.0, pieces).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(ed25519, redacted)")
    }
}

#[derive(Debug)]
struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl asymmetric::VerifyingKey for VerifyingKey {
    fn verifies(&self, pieces: &[&[u8]], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        // Strict: without it one message can have several valid signatures, and a weak key accepts many messages.
        self.0.verify_strict(&pieces.concat(), &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

fn private(key: &[u8]) -> Result<ed25519_dalek::SigningKey, SchemeRefusal> {
    if let Ok(seed) = key.try_into() {
        return Ok(ed25519_dalek::SigningKey::from_bytes(seed));
    }
    let pair = key.try_into().map_err(|_| SchemeRefusal::BadKey)?;
    // Signing with a public key that is not its own would give the private key away.
    ed25519_dalek::SigningKey::from_keypair_bytes(pair).map_err(|_| SchemeRefusal::BadKey)
}

fn verifying(secret: &SigningSecret) -> Result<ed25519_dalek::VerifyingKey, SchemeRefusal> {
    let key = match secret.key() {
        Some((Kind::PrivateKey, key)) => private(&key)?.verifying_key(),
        Some((_, key)) => {
            let key = key.as_slice().try_into().map_err(|_| SchemeRefusal::BadKey)?;
            ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| SchemeRefusal::BadKey)?
        }
        None => return Err(SchemeRefusal::NoSecret { needs: "an ed25519 key, `whsk_…` or `whpk_…`" }),
    };
    if key.is_weak() { Err(SchemeRefusal::BadKey) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    const PRIVATE: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

    #[test]
    fn a_public_key_is_made_of_its_private_key() -> Result<(), Box<dyn std::error::Error>> {
        let private: SigningSecret = PRIVATE.parse()?;

        assert_eq!(private.public_key()?.reveal(), PUBLIC);
        assert_eq!(private.public_key()?.public_key()?.reveal(), PUBLIC);
        Ok(())
    }

    #[test]
    fn a_private_key_with_a_foreign_public_half_is_refused() {
        let mut pair = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).to_keypair_bytes();
        pair[32..]
            .copy_from_slice(ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().as_bytes());
        let secret = SigningSecret::of(Kind::PrivateKey, &pair);

        assert_eq!(signing_key(&secret).map(|_| ()), Err(SchemeRefusal::BadKey));
    }

    #[test]
    fn a_weak_public_key_is_refused() {
        // The neutral element: https://datatracker.ietf.org/doc/html/rfc8032#section-5.1.2
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let secret = SigningSecret::of(Kind::PublicKey, &neutral);

        assert_eq!(verifying_key(&secret).map(|_| ()), Err(SchemeRefusal::BadKey));
    }

    #[test]
    fn neither_an_hmac_secret_nor_a_public_key_signs() -> Result<(), Box<dyn std::error::Error>> {
        for secret in [SigningSecret::generate([1; 32]), PUBLIC.parse()?] {
            let refusal = signing_key(&secret).map(|_| ());

            assert!(matches!(refusal, Err(SchemeRefusal::NoSecret { .. })), "{refusal:?}");
        }
        Ok(())
    }
}
