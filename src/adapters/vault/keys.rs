//! The keys that a host holds, by their ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::primitives::secret::Secret;

/// Names one key-encryption key; it is no secret, and stands in what is sealed.
///
/// ```
/// use crossdock::adapters::vault::KeyId;
///
/// let id: KeyId = "2026-01".parse()?;
///
/// assert_eq!(id.as_str(), "2026-01");
/// assert!("two words".parse::<KeyId>().is_err());
/// # Ok::<(), crossdock::adapters::vault::InvalidKeyId>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(Arc<str>);

/// The text is not the id of a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key's id is 1 to 128 visible ASCII characters without commas, such as `2026-01`")]
pub struct InvalidKeyId;

/// Nobody knows the key with this id here: the source of an [`Unavailable`](crate::ErrorKind::Unavailable), because a key that
/// is missing from one process may be given to it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key `{id}` is not known here: give it to the vault as an old key")]
#[non_exhaustive]
pub struct UnknownKey {
    /// Which key is missing.
    pub id: KeyId,
}

/// Wraps data keys in keys that the host holds, such as those of a key management service.
///
/// The vault makes a data key per tenant and has it wrapped here; a key-encryption key never has to leave its provider. For
/// keys that the host has as text there is [`StaticKeys`](crate::adapters::vault::StaticKeys).
///
/// ```
/// use crossdock::Result;
/// use crossdock::adapters::StaticKeys;
/// use crossdock::adapters::vault::{KeyId, KeyProvider};
/// use crossdock::primitives::Secret;
///
/// /// Keys that an operator can exchange while the process runs.
/// #[derive(Debug)]
/// struct Exchangeable(std::sync::RwLock<StaticKeys>);
///
/// impl Exchangeable {
///     fn now(&self) -> StaticKeys {
///         self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl KeyProvider for Exchangeable {
///     async fn current(&self) -> Result<KeyId> {
///         self.now().current().await
///     }
///
///     async fn wrap_key(&self, id: &KeyId, data_key: &Secret, context: &[u8]) -> Result<Vec<u8>> {
///         self.now().wrap_key(id, data_key, context).await
///     }
///
///     async fn unwrap_key(&self, id: &KeyId, wrapped: &[u8], context: &[u8]) -> Result<Secret> {
///         self.now().unwrap_key(id, wrapped, context).await
///     }
/// }
/// # drop(Exchangeable);
/// ```
///
/// # Contract
/// - `current` is the key for new seals. It is asked for each seal, so it answers from memory.
/// - `unwrap_key` gives back what `wrap_key` was given, for the same key and context, for as long as the key is known: old
///   keys stay known until nothing is sealed under them.
/// - Another context, or wrapped bytes of any length that `wrap_key` did not make, are
///   [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
/// - Nothing of a data key stands in its wrapped bytes, which are at most 65,535.
/// - A key that is not known is [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) with [`UnknownKey`] as its source; a
///   provider that does not answer is `Unavailable` as well.
/// - Errors hold neither keys nor data keys.
#[async_trait]
pub trait KeyProvider: fmt::Debug + Send + Sync + 'static {
    /// The key under which new data keys are wrapped.
    async fn current(&self) -> Result<KeyId>;

    /// Wraps a data key and binds it to the context; the wrapped bytes can be kept anywhere.
    async fn wrap_key(&self, id: &KeyId, data_key: &Secret, context: &[u8]) -> Result<Vec<u8>>;

    /// Unwraps a data key that was wrapped with the same context.
    async fn unwrap_key(&self, id: &KeyId, wrapped: &[u8], context: &[u8]) -> Result<Secret>;
}

#[async_trait]
impl<T: KeyProvider + ?Sized> KeyProvider for Arc<T> {
    async fn current(&self) -> Result<KeyId> {
        (**self).current().await
    }

    async fn wrap_key(&self, id: &KeyId, data_key: &Secret, context: &[u8]) -> Result<Vec<u8>> {
        (**self).wrap_key(id, data_key, context).await
    }

    async fn unwrap_key(&self, id: &KeyId, wrapped: &[u8], context: &[u8]) -> Result<Secret> {
        (**self).unwrap_key(id, wrapped, context).await
    }
}

impl KeyId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(is_visible) {
            return Err(InvalidKeyId);
        }
        Ok(Self(text.into()))
    }
}

impl UnknownKey {
    /// The key with this id is missing.
    pub fn new(id: KeyId) -> Self {
        Self { id }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}
