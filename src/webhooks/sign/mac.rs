//! HMAC with a key schedule that is computed once, and how its result is written.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::webhooks::sign::hmac_scheme::Encoding;

/// A key that is ready to use: a message costs its own blocks and two more, not four.
#[derive(Clone)]
pub(super) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// The code of whatever `feed` hands over.
    #[inline]
    pub(super) fn code(&self, feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Code {
        let mut mac = self.0.clone();
        feed(&mut |piece| mac.update(piece));
        Code(mac.finalize().into_bytes().into())
    }

    /// The code of these pieces, one behind the other.
    #[inline]
    pub(super) fn code_of<const N: usize>(&self, pieces: &[&[u8]; N]) -> Code {
        let mut mac = self.0.clone();
        for piece in pieces {
            mac.update(piece);
        }
        Code(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(redacted)")
    }
}

/// What an HMAC gives.
pub(super) struct Code([u8; 32]);

impl Code {
    /// Writes the code as text behind what is already there.
    #[inline]
    pub(super) fn write_to(&self, encoding: Encoding, text: &mut Vec<u8>) {
        let start = text.len();
        text.resize(start + encoding.code_length(), 0);
        self.fill(encoding, &mut text[start..]);
    }

    /// The code as text.
    #[inline]
    pub(super) fn text<'b>(&self, encoding: Encoding, buffer: &'b mut [u8; LONGEST]) -> &'b [u8] {
        let text = &mut buffer[..encoding.code_length()];
        self.fill(encoding, text);
        text
    }

    #[inline]
    pub(super) fn fill(&self, encoding: Encoding, text: &mut [u8]) {
        match encoding {
            Encoding::Hex => hex::encode_to_slice(self.0, text).expect("the text has two digits per byte"),
            Encoding::Base64 => {
                STANDARD.encode_slice(self.0, text).expect("the text has four digits per three bytes");
            }
        }
    }
}

impl Encoding {
    /// How long the text of a code is.
    pub(super) const fn code_length(self) -> usize {
        match self {
            Self::Hex => 64,
            Self::Base64 => 44,
        }
    }
}

/// The longest text of a code.
pub(super) const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_4231() {
        // Test case 2: https://datatracker.ietf.org/doc/html/rfc4231#section-4.3
        let code = MacKey::new(b"Jefe").code_of(&[b"what do ya want ", b"for nothing?"]);
        let mut buffer = [0; LONGEST];

        assert_eq!(
            code.text(Encoding::Hex, &mut buffer),
            b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(code.text(Encoding::Base64, &mut buffer), b"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    }

    #[test]
    fn a_key_is_used_any_number_of_times() {
        let key = MacKey::new(&[7; 200]);

        let codes = [(); 3].map(|()| key.code(|sink| sink(b"message")).0);

        assert_eq!(codes[0], codes[1]);
        assert_eq!(codes[1], codes[2]);
    }
}
