//! What the algorithm makes of key and message, and whether a candidate says the same.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::inbound::check::key::KeyRefusal;
use crate::inbound::check::keys::{SIGNATURE_BYTES, Signs, Verifies, signing_key, verifying_key};
use crate::inbound::scheme::model::{Algorithm, SignatureText};

/// A key that is ready to use: what depends on the key alone is computed once.
#[derive(Clone)]
pub(in crate::inbound) enum Key {
    HmacSha1(Hmac<Sha1>),
    HmacSha256(Hmac<Sha256>),
    HmacSha512(Hmac<Sha512>),
    Sha256(Sha256),
    Ed25519(Arc<dyn Verifies>),
    /// The digest of a secret that is sent as it is: digests have one length, so comparing them tells none.
    Token([u8; 32]),
}

/// A key that signs, for tests of hosts.
#[derive(Clone)]
pub(in crate::inbound) enum SigningKey {
    Code(Box<Key>),
    Ed25519(Arc<dyn Signs>),
    Token(Zeroizing<Vec<u8>>),
}

/// What an algorithm gives.
pub(in crate::inbound) struct Code {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Key {
    pub(in crate::inbound) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyRefusal> {
        Ok(match algorithm {
            Algorithm::HmacSha1 => Self::HmacSha1(hmac(key)),
            Algorithm::HmacSha256 => Self::HmacSha256(hmac(key)),
            Algorithm::HmacSha512 => Self::HmacSha512(hmac(key)),
            Algorithm::Sha256 => Self::Sha256(Sha256::new_with_prefix(key)),
            Algorithm::Ed25519 => Self::Ed25519(verifying_key(key)?),
            Algorithm::StaticToken | Algorithm::BasicAuth => Self::Token(digest_of(key)),
        })
    }

    /// Whether one of the candidates is what the key makes of the message.
    pub(in crate::inbound) fn fits(
        &self,
        message: &[Cow<'_, [u8]>],
        candidates: &[&[u8]],
        text: SignatureText,
    ) -> bool {
        match self {
            Self::Ed25519(key) => {
                let whole =
                    if let [only] = message { Cow::Borrowed(&**only) } else { message.concat().into() };
                candidates.iter().any(|candidate| {
                    signature_of(candidate, text).is_some_and(|signature| key.verifies(&whole, &signature))
                })
            }
            Self::Token(digest) => is_among(candidates, |candidate| digest.ct_eq(&digest_of(candidate))),
            _ => match self.code(message) {
                Some(code) => {
                    let mut buffer = [0; LONGEST_TEXT];
                    let expected = code.text(text, &mut buffer);
                    // Texts are compared, not decoded bytes, so that there is one way to write a signature.
                    is_among(candidates, |candidate| is_same(expected, unpadded(candidate, text)))
                }
                None => false,
            },
        }
    }

    /// What the key makes of the message; `None` where a secret alone makes nothing.
    #[inline]
    pub(in crate::inbound) fn code(&self, message: &[Cow<'_, [u8]>]) -> Option<Code> {
        Some(match self {
            Self::HmacSha1(key) => Code::of(&mac_of(key, message)),
            Self::HmacSha256(key) => Code::of(&mac_of(key, message)),
            Self::HmacSha512(key) => Code::of(&mac_of(key, message)),
            Self::Sha256(primed) => {
                let mut digest = primed.clone();
                message.iter().for_each(|piece| digest.update(piece));
                Code::of(&digest.finalize())
            }
            Self::Ed25519(_) | Self::Token(_) => return None,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

impl SigningKey {
    pub(in crate::inbound) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyRefusal> {
        Ok(match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(signing_key(key)?),
            Algorithm::StaticToken | Algorithm::BasicAuth => Self::Token(Zeroizing::new(key.to_vec())),
            _ => Self::Code(Box::new(Key::new(algorithm, key)?)),
        })
    }

    /// The signature over the message, as text.
    pub(in crate::inbound) fn sign(&self, message: &[Cow<'_, [u8]>], text: SignatureText) -> Vec<u8> {
        match self {
            Self::Code(key) => match key.code(message) {
                Some(code) => code.text(text, &mut [0; LONGEST_TEXT]).to_vec(),
                None => Vec::new(),
            },
            Self::Ed25519(key) => {
                Code::of(&key.sign(&message.concat())).text(text, &mut [0; LONGEST_TEXT]).to_vec()
            }
            Self::Token(token) => token.to_vec(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

impl Code {
    pub(in crate::inbound) fn of(code: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[..code.len()].copy_from_slice(code);
        Self { bytes, length: code.len() }
    }

    /// The code as text.
    #[inline]
    pub(in crate::inbound) fn text<'b>(
        &self,
        text: SignatureText,
        buffer: &'b mut [u8; LONGEST_TEXT],
    ) -> &'b [u8] {
        let bytes = &self.bytes[..self.length];
        let length = match text {
            SignatureText::Hex | SignatureText::HexUpper => {
                let length = bytes.len() * 2;
                hex::encode_to_slice(bytes, &mut buffer[..length]).expect("there are two digits per byte");
                if text == SignatureText::HexUpper {
                    buffer[..length].make_ascii_uppercase();
                }
                length
            }
            SignatureText::Base64 => {
                STANDARD.encode_slice(bytes, buffer).expect("the buffer holds the longest code")
            }
            SignatureText::Base64Url => {
                URL_SAFE_NO_PAD.encode_slice(bytes, buffer).expect("the buffer holds the longest code")
            }
        };
        &buffer[..length]
    }
}

#[inline]
fn hmac<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[inline]
fn mac_of<M: Mac + Clone>(key: &M, message: &[Cow<'_, [u8]>]) -> hmac::digest::Output<M> {
    let mut mac = key.clone();
    message.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes()
}

/// In constant time as far as the candidates are concerned.
fn is_among(candidates: &[&[u8]], is_it: impl Fn(&[u8]) -> Choice) -> bool {
    candidates.iter().fold(Choice::from(0), |found, candidate| found | is_it(candidate)).into()
}

/// Compares eight bytes at a time: one at a time takes as long as a tenth of the HMAC.
fn is_same(expected: &[u8], candidate: &[u8]) -> Choice {
    if expected.len() != candidate.len() {
        return Choice::from(0);
    }
    let (expected, last) = expected.as_chunks::<8>();
    let (candidate, last_of_candidate) = candidate.as_chunks::<8>();
    let words = expected
        .iter()
        .zip(candidate)
        .map(|(one, other)| (u64::from_ne_bytes(*one), u64::from_ne_bytes(*other)));
    words.fold(last.ct_eq(last_of_candidate), |same, (one, other)| same & one.ct_eq(&other))
}

fn unpadded(candidate: &[u8], text: SignatureText) -> &[u8] {
    match text {
        SignatureText::Base64Url => {
            let padding = candidate.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
            &candidate[..candidate.len() - padding]
        }
        _ => candidate,
    }
}

/// The bytes of a signature that is written in the one way in which we write it.
fn signature_of(candidate: &[u8], text: SignatureText) -> Option<[u8; SIGNATURE_BYTES]> {
    let bytes = match text {
        SignatureText::Hex | SignatureText::HexUpper => hex::decode(candidate).ok()?,
        SignatureText::Base64 => STANDARD.decode(candidate).ok()?,
        SignatureText::Base64Url => URL_SAFE_NO_PAD.decode(unpadded(candidate, text)).ok()?,
    };
    let signature: [u8; SIGNATURE_BYTES] = bytes.try_into().ok()?;
    let mut buffer = [0; LONGEST_TEXT];
    (Code::of(&signature).text(text, &mut buffer) == unpadded(candidate, text)).then_some(signature)
}

pub(in crate::inbound) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

const LONGEST: usize = 64;
/// The longest text of a code.
pub(in crate::inbound) const LONGEST_TEXT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn code(algorithm: Algorithm, text: SignatureText) -> String {
        let key = Key::new(algorithm, b"Jefe").unwrap();
        let message = [Cow::from(&b"what do ya want "[..]), Cow::from(&b"for nothing?"[..])];
        let code = key.code(&message).unwrap();
        String::from_utf8(code.text(text, &mut [0; LONGEST_TEXT]).to_vec()).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_standards() {
        // Test case 2: https://datatracker.ietf.org/doc/html/rfc2202#section-3, rfc4231#section-4.3
        assert_eq!(code(Algorithm::HmacSha1, SignatureText::Hex), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            code(Algorithm::HmacSha256, SignatureText::HexUpper),
            "5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843"
        );
        assert_eq!(
            code(Algorithm::HmacSha512, SignatureText::Hex),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
        // `printf 'Jefewhat do ya want for nothing?' | sha256sum`
        assert_eq!(
            code(Algorithm::Sha256, SignatureText::Hex),
            "689a1a0fa183259e022c4d77a4eb0810a94e9090d132c5f8732ccce2b36e3621"
        );
    }

    #[test]
    fn base64_of_the_url_needs_no_padding() {
        let key = Key::new(Algorithm::HmacSha256, b"key").unwrap();
        let message = [Cow::from(&b"message"[..])];
        let expected = SigningKey::Code(Box::new(key.clone())).sign(&message, SignatureText::Base64Url);
        let padded = [&expected[..], b"="].concat();

        for candidate in [&expected, &padded] {
            assert!(key.fits(&message, &[candidate], SignatureText::Base64Url));
        }
        for candidate in [&padded[..], b"==", b"=", b""] {
            assert!(!key.fits(&message, &[candidate], SignatureText::Base64));
        }
    }

    #[test]
    fn a_token_is_compared_whole() {
        let key = Key::new(Algorithm::StaticToken, b"token").unwrap();

        assert!(key.fits(&[], &[b"x", b"token"], SignatureText::Hex));
        for candidate in [&b""[..], b"toke", b"tokens", b"Token"] {
            assert!(!key.fits(&[], &[candidate], SignatureText::Hex));
        }
    }
}
