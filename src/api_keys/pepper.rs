//! The host's pepper: without it, what the store keeps of a secret is of no use.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::primitives::secret::Secret;

/// The host's peppers: one under which new keys are kept, and old ones under which keys are still known.
///
/// A pepper is at least 32 bytes that nobody can guess, as `openssl rand -base64 32` prints them, and lives where the store is
/// not. To change it, give the new one and keep the old one [beside it](Peppers::with_old): a key moves to the new one when it is
/// next used.
///
/// ```
/// use crossdock::api_keys::Peppers;
///
/// let peppers = Peppers::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?
///     .with_old("2025-07", "xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=")?;
///
/// assert_eq!(format!("{peppers:?}"), r#"Peppers { current: "2026-01", old: ["2025-07"] }"#);
/// # Ok::<(), crossdock::api_keys::InvalidPepper>(())
/// ```
#[derive(Clone)]
pub struct Peppers {
    current: Pepper,
    old: Vec<Pepper>,
}

/// Names a pepper: 1 to 64 letters, digits, `-`, `_` and `.`.
///
/// ```
/// use crossdock::api_keys::PepperId;
///
/// let id: PepperId = "2026-01".parse()?;
///
/// assert_eq!(id.as_str(), "2026-01");
/// # Ok::<(), crossdock::api_keys::InvalidPepperId>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PepperId(Arc<str>);

/// Why a pepper is not taken; it never says what it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPepper {
    /// The id breaks a rule.
    #[error("a pepper's id is 1 to 64 letters, digits, `-`, `_` and `.`")]
    Id,
    /// It can be guessed.
    #[error("a pepper has at least 32 bytes; `openssl rand -base64 32` makes one")]
    Short,
    /// There is one of this id already.
    #[error("each pepper has an id of its own")]
    Repeated,
}

/// What is kept of a secret: its HMAC-SHA-256 under a pepper.
#[derive(Clone, Eq, PartialEq)]
pub struct SecretMac {
    pepper: PepperId,
    code: [u8; 32],
}

#[derive(Clone)]
struct Pepper {
    id: PepperId,
    /// The key schedule, computed once.
    key: Hmac<Sha256>,
}

/// Which of the host's peppers a key was kept under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PepperSlot {
    Current,
    Old(usize),
    /// None that this process knows.
    Missing,
}

impl Peppers {
    /// One pepper, for new keys and for all.
    ///
    /// # Errors
    /// The id breaks a rule, or the pepper is shorter than 32 bytes.
    pub fn new(id: &str, pepper: impl Into<Secret>) -> Result<Self, InvalidPepper> {
        Ok(Self { current: Pepper::new(id, &pepper.into())?, old: Vec::new() })
    }

    /// A pepper of earlier times, for keys that were kept under it.
    ///
    /// # Errors
    /// As [`Peppers::new`]; or the id is taken.
    pub fn with_old(mut self, id: &str, pepper: impl Into<Secret>) -> Result<Self, InvalidPepper> {
        let pepper = Pepper::new(id, &pepper.into())?;
        if self.slot(&pepper.id) != PepperSlot::Missing {
            return Err(InvalidPepper::Repeated);
        }
        self.old.push(pepper);
        Ok(self)
    }

    /// What is to be kept of this secret.
    pub(crate) fn mac(&self, secret: &[u8]) -> SecretMac {
        SecretMac { pepper: self.current.id.clone(), code: self.current.code(secret) }
    }

    /// Which pepper this one is.
    pub(crate) fn slot(&self, id: &PepperId) -> PepperSlot {
        if *id == self.current.id {
            return PepperSlot::Current;
        }
        self.old.iter().position(|old| old.id == *id).map_or(PepperSlot::Missing, PepperSlot::Old)
    }

    /// Whether the secret is the one that was kept, in a time that does not depend on what was kept. An unknown pepper takes as
    /// long as a known one.
    #[inline]
    pub(crate) fn matches(&self, slot: PepperSlot, secret: &[u8], kept: &[u8; 32]) -> bool {
        let pepper = match slot {
            PepperSlot::Old(index) => self.old.get(index).unwrap_or(&self.current),
            PepperSlot::Current | PepperSlot::Missing => &self.current,
        };
        let equal: bool = pepper.code(secret).ct_eq(kept).into();
        equal & (slot != PepperSlot::Missing)
    }
}

impl Pepper {
    fn new(id: &str, pepper: &Secret) -> Result<Self, InvalidPepper> {
        let id = id.parse().map_err(|InvalidPepperId| InvalidPepper::Id)?;
        if pepper.expose().len() < SHORTEST {
            return Err(InvalidPepper::Short);
        }
        let key = Hmac::new_from_slice(pepper.expose()).map_err(|_| InvalidPepper::Short)?;
        Ok(Self { id, key })
    }

    #[inline]
    fn code(&self, secret: &[u8]) -> [u8; 32] {
        let mut mac = self.key.clone();
        mac.update(secret);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old: Vec<_> = self.old.iter().map(|pepper| pepper.id.as_str()).collect();
        f.debug_struct("Peppers").field("current", &self.current.id.as_str()).field("old", &old).finish()
    }
}

impl PepperId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not the id of a pepper.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a pepper's id is 1 to 64 letters, digits, `-`, `_` and `.`")]
pub struct InvalidPepperId;

impl FromStr for PepperId {
    type Err = InvalidPepperId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        match text.len() {
            1..=64 if text.bytes().all(is_plain) => Ok(Self(text.into())),
            _ => Err(InvalidPepperId),
        }
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PepperId({})", &*self.0)
    }
}

impl SecretMac {
    /// What a store has kept.
    pub const fn new(pepper: PepperId, code: [u8; 32]) -> Self {
        Self { pepper, code }
    }

    /// Under which pepper.
    pub fn pepper(&self) -> &PepperId {
        &self.pepper
    }

    /// What a store keeps. It does not open anything by itself, but belongs nowhere else.
    pub fn code(&self) -> &[u8; 32] {
        &self.code
    }
}

impl fmt::Debug for SecretMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretMac(redacted, under {})", self.pepper)
    }
}

const SHORTEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
    const OTHER: &str = "xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=";

    #[test]
    fn what_is_kept_is_hmac_sha_256() {
        // Test case 4 of RFC 4231 is the first whose key is long enough to be a pepper's; its key has 25 bytes, so the sixth with
        // 131 bytes: https://datatracker.ietf.org/doc/html/rfc4231#section-4.7
        let peppers = Peppers::new("rfc", Secret::new(vec![0xaa; 131])).expect("a pepper");

        let kept = peppers.mac(b"Test Using Larger Than Block-Size Key - Hash Key First");

        assert_eq!(
            hex::encode(kept.code()),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn only_the_right_secret_under_the_right_pepper_matches() {
        let peppers = Peppers::new("a", ONE).expect("a pepper");
        let kept = peppers.mac(b"secret");
        let slot = peppers.slot(kept.pepper());

        assert!(peppers.matches(slot, b"secret", kept.code()));
        assert!(!peppers.matches(slot, b"secreT", kept.code()));
        assert!(!peppers.matches(slot, b"", kept.code()));
        assert!(!Peppers::new("a", OTHER).expect("a pepper").matches(slot, b"secret", kept.code()));
        for bit in 0..256 {
            let mut code = *kept.code();
            code[bit / 8] ^= 1 << (bit % 8);
            assert!(!peppers.matches(slot, b"secret", &code), "bit {bit}");
        }
    }

    #[test]
    fn an_old_pepper_still_knows_its_keys_and_new_ones_get_the_new_one() {
        let kept = Peppers::new("a", ONE).expect("a pepper").mac(b"secret");
        let rotated = Peppers::new("b", OTHER).and_then(|peppers| peppers.with_old("a", ONE)).expect("two");

        assert!(rotated.matches(rotated.slot(kept.pepper()), b"secret", kept.code()));
        assert_eq!(rotated.mac(b"secret").pepper().as_str(), "b");

        let without = Peppers::new("b", OTHER).expect("a pepper");
        assert_eq!(without.slot(kept.pepper()), PepperSlot::Missing);
        assert!(!without.matches(PepperSlot::Missing, b"secret", kept.code()));
        // Nor does a code under the current pepper match when it is said to be under another one.
        assert!(!without.matches(PepperSlot::Missing, b"secret", without.mac(b"secret").code()));
    }

    #[test]
    fn a_pepper_has_a_plain_id_and_cannot_be_guessed() {
        let refusal = |id: &str, pepper: &str| Peppers::new(id, pepper).err();

        assert_eq!(refusal("a", ONE), None);
        assert_eq!(refusal("", ONE), Some(InvalidPepper::Id));
        assert_eq!(refusal("a b", ONE), Some(InvalidPepper::Id));
        assert_eq!(refusal(&"a".repeat(65), ONE), Some(InvalidPepper::Id));
        assert_eq!(refusal("a", "short"), Some(InvalidPepper::Short));
        assert_eq!(
            Peppers::new("a", ONE).and_then(|peppers| peppers.with_old("a", OTHER)).err(),
            Some(InvalidPepper::Repeated)
        );
    }

    #[test]
    fn nothing_of_it_shows() {
        let peppers = Peppers::new("a", ONE).expect("a pepper");
        let kept = peppers.mac(b"secret");

        let shown = format!("{peppers:?} {kept:?}");

        assert_eq!(shown, "Peppers { current: \"a\", old: [] } SecretMac(redacted, under a)");
    }
}
