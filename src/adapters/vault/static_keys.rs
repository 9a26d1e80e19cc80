//! Keys that the host has as text, such as in an environment variable.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::adapters::vault::aead::{KEY_BYTES, bind, decrypt, encrypt};
use crate::adapters::vault::dice::SystemDice;
use crate::adapters::vault::keys::{InvalidKeyId, KeyId, KeyProvider, UnknownKey};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ports::{Entropy, EntropyExt};
use crate::primitives::secret::Secret;

/// Keys that the host passes: one under which new secrets are sealed, and old ones that still open.
///
/// A key is 32 random bytes as base64 or hex, as `openssl rand -base64 32` prints them. One environment variable can hold
/// them all, the current one first:
///
/// ```
/// use crossdock::adapters::StaticKeys;
///
/// # let variable = "2026-01:oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=,2025-07:xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=";
/// let keys: StaticKeys = variable.parse()?;
///
/// assert_eq!(format!("{keys:?}"), "StaticKeys { current: KeyId(2026-01), known: [KeyId(2025-07), KeyId(2026-01)] }");
/// # Ok::<(), crossdock::adapters::vault::InvalidKey>(())
/// ```
#[derive(Clone)]
pub struct StaticKeys {
    current: KeyId,
    keys: BTreeMap<KeyId, Secret>,
    entropy: Arc<dyn Entropy>,
}

/// Why a text is not a key; it never says what the text was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The id breaks a rule.
    #[error(transparent)]
    Id(#[from] InvalidKeyId),
    /// There is no `id:` before the key.
    #[error("a list of keys is `id:key,id:key`, the current one first")]
    Unnamed,
    /// It is neither base64 nor hex.
    #[error("key number {place} is neither base64 nor hex")]
    Encoding {
        /// Which key, counted from 1. Its id is not told: a key may stand where the id belongs.
        place: usize,
    },
    /// It has another length.
    #[error("key number {place} has {bytes} bytes instead of 32; `openssl rand -base64 32` makes one")]
    Length {
        /// Which key, counted from 1.
        place: usize,
        /// How many bytes it has.
        bytes: usize,
    },
    /// It was never random: all bytes are the same.
    #[error("key number {place} is not random; `openssl rand -base64 32` makes one")]
    Weak {
        /// Which key, counted from 1.
        place: usize,
    },
    /// Two keys have this id.
    #[error("there are two keys with the id `{id}`")]
    Repeated {
        /// Which id.
        id: KeyId,
    },
}

impl StaticKeys {
    /// One key, as base64 or hex: what is sealed from now on is sealed under it.
    ///
    /// # Errors
    /// The id or the key breaks a rule.
    pub fn new(id: &str, key: &str) -> Result<Self, InvalidKey> {
        let id: KeyId = id.parse()?;
        let bytes = parse_key(1, key)?;
        Self::of(id, bytes)
    }

    /// One key, as it came from elsewhere.
    ///
    /// # Errors
    /// The id or the key breaks a rule.
    pub fn from_bytes(id: &str, key: &Secret) -> Result<Self, InvalidKey> {
        Self::of(id.parse()?, key.clone())
    }

    /// Also a key that is no longer, or not yet, the current one: what was sealed under it opens.
    ///
    /// # Errors
    /// The id or the key breaks a rule, or the id is there already.
    pub fn with_old(self, id: &str, key: &str) -> Result<Self, InvalidKey> {
        let id: KeyId = id.parse()?;
        let bytes = parse_key(self.keys.len() + 1, key)?;
        self.with(id, bytes)
    }

    /// The same, as it came from elsewhere.
    ///
    /// # Errors
    /// The id or the key breaks a rule, or the id is there already.
    pub fn with_old_bytes(self, id: &str, key: &Secret) -> Result<Self, InvalidKey> {
        self.with(id.parse()?, key.clone())
    }

    /// Other dice than the operating system's, for tests.
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    fn of(current: KeyId, key: Secret) -> Result<Self, InvalidKey> {
        let none = Self { current: current.clone(), keys: BTreeMap::new(), entropy: Arc::new(SystemDice) };
        none.with(current, key)
    }

    fn with(mut self, id: KeyId, key: Secret) -> Result<Self, InvalidKey> {
        check(self.keys.len() + 1, &key)?;
        if self.keys.contains_key(&id) {
            return Err(InvalidKey::Repeated { id });
        }
        self.keys.insert(id, key);
        Ok(self)
    }

    fn key(&self, id: &KeyId, step: &'static str) -> Result<&Secret> {
        let unknown = || Error::new(ErrorKind::Unavailable, step).with_source(UnknownKey::new(id.clone()));
        self.keys.get(id).ok_or_else(unknown)
    }
}

#[async_trait]
impl KeyProvider for StaticKeys {
    async fn current(&self) -> Result<KeyId> {
        Ok(self.current.clone())
    }

    async fn wrap_key(&self, id: &KeyId, data_key: &Secret, context: &[u8]) -> Result<Vec<u8>> {
        let key = self.key(id, WRAP)?;
        encrypt(key, self.entropy.bytes(), &bound(id, context), data_key.expose())
            .ok_or_else(|| Error::new(ErrorKind::Internal, WRAP).with_source("the data key is too long"))
    }

    async fn unwrap_key(&self, id: &KeyId, wrapped: &[u8], context: &[u8]) -> Result<Secret> {
        let key = self.key(id, UNWRAP)?;
        decrypt(key, &bound(id, context), wrapped).ok_or_else(|| {
            let why =
                format!("the data key was changed, moved, or wrapped with another key than this `{id}`");
            Error::new(ErrorKind::Corrupt, UNWRAP).with_source(why)
        })
    }
}

/// A list `id:key,id:key`, the current key first; spaces and line ends around the parts are nothing.
impl FromStr for StaticKeys {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut entries = text.split(',').map(|entry| {
            // An id may hold colons, a key does not.
            entry.trim().rsplit_once(':').ok_or(InvalidKey::Unnamed)
        });
        let (id, key) = entries.next().ok_or(InvalidKey::Unnamed)??;
        entries.try_fold(Self::new(id.trim(), key)?, |keys, entry| {
            let (id, key) = entry?;
            keys.with_old(id.trim(), key)
        })
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys")
            .field("current", &self.current)
            .field("known", &self.keys.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl From<InvalidKey> for Error {
    /// An [`Invalid`](ErrorKind::Invalid), so that `?` serves where the hub is built.
    fn from(invalid: InvalidKey) -> Self {
        let fix = "make a key with `openssl rand -base64 32` and give it an id, such as `2026-01`";
        Self::invalid("read the keys of the vault", [Problem::new("vault.keys", invalid.to_string(), fix)])
    }
}

fn parse_key(place: usize, text: &str) -> Result<Secret, InvalidKey> {
    let text = text.trim();
    // Hex of 32 bytes is base64 of 48 as well: what looks like hex is hex.
    if text.len() == 2 * KEY_BYTES
        && let Ok(bytes) = hex::decode(text)
    {
        return Ok(Secret::new(bytes));
    }
    let alphabets = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let decoded = alphabets.into_iter().find_map(|alphabet| alphabet.decode(text).ok());
    decoded.map(Secret::new).ok_or(InvalidKey::Encoding { place })
}

fn check(place: usize, key: &Secret) -> Result<(), InvalidKey> {
    let bytes = key.expose();
    if bytes.len() != KEY_BYTES {
        return Err(InvalidKey::Length { place, bytes: bytes.len() });
    }
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(InvalidKey::Weak { place });
    }
    Ok(())
}

fn bound(id: &KeyId, context: &[u8]) -> Vec<u8> {
    bind(FORMAT, &[id.as_str().as_bytes(), context])
}

const WRAP: &str = "wrap a data key";
const UNWRAP: &str = "unwrap a data key";
/// How data keys are wrapped here; another way gets another number.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";

    #[test]
    fn a_key_is_read_as_base64_and_as_hex() {
        let bytes = STANDARD.decode(KEY).expect("base64");
        let spellings = [
            KEY.to_owned(),
            format!(" {KEY}\n"),
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE.encode(&bytes),
            hex::encode(&bytes),
            hex::encode_upper(&bytes),
        ];

        for text in spellings {
            let keys = StaticKeys::new("a", &text).expect("a key");
            assert_eq!(keys.keys[&keys.current].expose(), bytes);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_reason() {
        let id: KeyId = "a".parse().expect("an id");
        let zeros = STANDARD.encode([0; 32]);
        let sevens = hex::encode([7; 32]);
        for (id_text, key, reason) in [
            ("", KEY, InvalidKey::Id(InvalidKeyId)),
            ("a b", KEY, InvalidKey::Id(InvalidKeyId)),
            ("a", "", InvalidKey::Length { place: 1, bytes: 0 }),
            ("a", "correct horse battery staple", InvalidKey::Encoding { place: 1 }),
            ("a", "c2hvcnQ=", InvalidKey::Length { place: 1, bytes: 5 }),
            ("a", &zeros, InvalidKey::Weak { place: 1 }),
            ("a", &sevens, InvalidKey::Weak { place: 1 }),
        ] {
            assert_eq!(StaticKeys::new(id_text, key).expect_err("no key"), reason, "{id_text}:{key}");
        }
        let one = StaticKeys::new("a", KEY).expect("a key");
        assert_eq!(one.with_old("a", KEY).expect_err("twice"), InvalidKey::Repeated { id });
    }

    #[test]
    fn a_list_of_keys_begins_with_the_current_one() {
        let keys: StaticKeys = format!("arn:kms:2 : {KEY} ,\n b:{KEY}\n").parse().expect("two keys");

        assert_eq!(keys.current.as_str(), "arn:kms:2");
        assert_eq!(keys.keys.len(), 2);
        for text in ["", KEY, ",", "a:"] {
            assert!(text.parse::<StaticKeys>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_refusal_and_no_debug_repeats_a_key() {
        let almost = &KEY[..40];
        let refusals = [
            StaticKeys::new("a", almost).expect_err("too short"),
            almost.parse::<StaticKeys>().expect_err("unnamed"),
            format!("a:{KEY}!").parse::<StaticKeys>().expect_err("no base64"),
            format!("{KEY}:2026-01").parse::<StaticKeys>().expect_err("the key before its id"),
            format!("a:{KEY},{KEY}:2025-01-aa").parse::<StaticKeys>().expect_err("the key before its id"),
            StaticKeys::new(KEY, "2026-01").expect_err("the key before its id"),
        ];
        let keys = StaticKeys::new("a", KEY).expect("a key");

        for refusal in refusals {
            let error = Error::from(refusal.clone());
            assert!(!format!("{refusal:?} {refusal} {error:?} {error} {keys:?}").contains(&KEY[..8]));
        }
    }
}
