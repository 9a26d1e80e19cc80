//! The layout of what [`EnvelopeVault`](crate::adapters::EnvelopeVault) seals: pure, so that bytes of any kind can be tried.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format |
//! | 1 | the length of the key's id |
//! | so many | the id of the key-encryption key |
//! | 2 | the length of the wrapped data key, big end first |
//! | so many | the wrapped data key |
//! | 24 | the nonce |
//! | the rest | the ciphertext and its tag |

use crate::adapters::vault::keys::KeyId;

/// The first byte of everything that is sealed so; another layout gets another number. What the vault in memory seals begins
/// with a 1.
pub(super) const FORMAT: u8 = 0xE1;

/// What was sealed, taken apart.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) key: KeyId,
    pub(super) wrapped: &'a [u8],
    /// Everything before the nonce: part of the seal.
    pub(super) head: &'a [u8],
    /// Nonce, ciphertext and tag.
    pub(super) sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes bytes apart; `None` if they have another layout.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&FORMAT, rest) = bytes.split_first()? else { return None };
        let (&length, rest) = rest.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(length))?;
        let key = std::str::from_utf8(id).ok()?.parse().ok()?;
        let (&length, rest) = rest.split_first_chunk()?;
        let (wrapped, sealed) = rest.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        let head = &bytes[..bytes.len() - sealed.len()];
        Some(Self { key, wrapped, head, sealed })
    }
}

/// Everything before the nonce; `None` if the wrapped key is too long.
pub(super) fn head(key: &KeyId, wrapped: &[u8]) -> Option<Vec<u8>> {
    let id = key.as_str().as_bytes();
    let mut head = Vec::with_capacity(4 + id.len() + wrapped.len());
    head.push(FORMAT);
    head.push(u8::try_from(id.len()).ok()?);
    head.extend_from_slice(id);
    head.extend_from_slice(&u16::try_from(wrapped.len()).ok()?.to_be_bytes());
    head.extend_from_slice(wrapped);
    Some(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_taken_apart_again(
            id in "[!-+\\--~]{1,128}",
            wrapped in proptest::collection::vec(any::<u8>(), 0..300),
            sealed in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let key: KeyId = id.parse().expect("an id");
            let head = head(&key, &wrapped).expect("not too long");
            let bytes = [&head[..], &sealed].concat();

            let envelope = Envelope::parse(&bytes).expect("the layout");

            prop_assert_eq!(envelope.key, key);
            prop_assert_eq!(envelope.wrapped, &wrapped[..]);
            prop_assert_eq!((envelope.head, envelope.sealed), (&head[..], &sealed[..]));
        }

        #[test]
        fn any_bytes_are_refused_or_taken_apart(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Envelope::parse(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = FORMAT;
            }

            if let Some(envelope) = Envelope::parse(&bytes) {
                prop_assert_eq!([envelope.head, envelope.sealed].concat(), bytes);
            }
        }
    }
}
