//! XChaCha20-Poly1305 as every vault here uses it, and the bytes that bind a seal to its place.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::primitives::secret::Secret;

pub(super) const KEY_BYTES: usize = 32;
/// Nonces of 24 random bytes never meet twice, so no counter has to be kept.
pub(super) const NONCE_BYTES: usize = 24;

/// Nonce, ciphertext and tag; `None` if the key has a wrong length or the text is too long.
pub(super) fn encrypt(key: &Secret, nonce: [u8; NONCE_BYTES], bound: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: plain, aad: bound };
    let sealed = cipher(key)?.encrypt(&XNonce::from(nonce), payload).ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// What was encrypted with this key and bound to the same bytes; `None` for everything else, of any length.
pub(super) fn decrypt(key: &Secret, bound: &[u8], sealed: &[u8]) -> Option<Secret> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: bound };
    cipher(key)?.decrypt(&XNonce::from(*nonce), payload).ok().map(Secret::new)
}

/// The format and the parts, each behind its length, so that no two lists of parts give the same bytes.
pub(super) fn bind(format: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = 1 + parts.iter().map(|part| size_of::<u64>() + part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length);
    bytes.push(format);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn cipher(key: &Secret) -> Option<XChaCha20Poly1305> {
    XChaCha20Poly1305::new_from_slice(key.expose()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn different_parts_never_give_the_same_bytes(
            one in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..4), 0..4),
            two in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..4), 0..4),
        ) {
            let bytes = |parts: &[Vec<u8>]| bind(1, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());

            prop_assert_eq!(one == two, bytes(&one) == bytes(&two));
        }
    }

    #[test]
    fn a_key_of_a_wrong_length_encrypts_nothing() {
        for length in [0, 16, 31, 33] {
            let key = Secret::new(vec![7; length]);

            assert_eq!(encrypt(&key, [0; NONCE_BYTES], b"", b"plain"), None);
            assert_eq!(decrypt(&key, b"", &[0; 100]), None);
        }
    }
}
