//! The vault of stores that last: a data key per tenant, wrapped in keys that the host holds.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::adapters::vault::aead::{KEY_BYTES, bind, decrypt, encrypt};
use crate::adapters::vault::data_keys::{DataKey, DataKeys};
use crate::adapters::vault::dice::SystemDice;
use crate::adapters::vault::envelope::{Envelope, FORMAT, head};
use crate::adapters::vault::keys::{KeyId, KeyProvider};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Entropy, EntropyExt, SealPlace, Sealed, Vault};
use crate::primitives::secret::Secret;

/// Seals with data keys that are wrapped in keys of the host's own: what is sealed opens after a restart and in every process
/// that has the keys (XChaCha20-Poly1305).
///
/// What is sealed holds the id of the key, so keys can change, in four steps where there are several processes: give them the new
/// one as an [old key](crate::adapters::StaticKeys::with_old), then as the current one with the former as an old key, let the hub
/// [rewrap](crate::Hub::rewrap) until it [is settled](crate::webhooks::Rewrapped::is_settled), then drop the former. Deliveries whose
/// key is missing wait for it, up to the age at which they [expire](crate::webhooks::Settings::max_age), 30 days by default.
///
/// Data keys that were used lately stay in memory, so a key service is not asked for each delivery; a key that was taken from
/// its provider may go on opening until the process ends.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::adapters::{EnvelopeVault, StaticKeys};
///
/// // In production: `std::env::var("CROSSDOCK_KEY")?`, made by `openssl rand -base64 32`.
/// let key = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
///
/// let keys = StaticKeys::new("2026-01", key)?;
/// let hub = Hub::builder().vault(EnvelopeVault::new(keys)).build()?;
/// # drop(hub);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct EnvelopeVault {
    keys: Arc<dyn KeyProvider>,
    data_keys: DataKeys,
    entropy: Arc<dyn Entropy>,
}

impl EnvelopeVault {
    /// A vault with these keys; data keys and nonces come from the operating system.
    pub fn new(keys: impl KeyProvider) -> Self {
        Self { keys: Arc::new(keys), data_keys: DataKeys::default(), entropy: Arc::new(SystemDice) }
    }

    /// Other dice than the operating system's, for tests.
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    async fn sealing_key(&self, tenant: &str, id: &KeyId) -> Result<Arc<DataKey>> {
        if let Some(ready) = self.data_keys.sealing(tenant, id) {
            return Ok(ready);
        }
        let mut key = vec![0; KEY_BYTES];
        self.entropy.fill(&mut key);
        let key = Secret::new(key);
        let wrapped = self.keys.wrap_key(id, &key, &context(tenant)).await?;
        // Two who come here at once make two keys: both serve, one is kept.
        let made = Arc::new(DataKey { key, wrapped });
        self.data_keys.keep_sealing(tenant, id, &made);
        Ok(made)
    }

    async fn opening_key(&self, tenant: &str, id: &KeyId, wrapped: &[u8]) -> Result<Arc<DataKey>> {
        if let Some(ready) = self.data_keys.opening(tenant, id, wrapped) {
            return Ok(ready);
        }
        let key = self.keys.unwrap_key(id, wrapped, &context(tenant)).await?;
        if key.expose().len() != KEY_BYTES {
            return Err(corrupt("the data key has a wrong length"));
        }
        let opened = Arc::new(DataKey { key, wrapped: wrapped.to_vec() });
        self.data_keys.keep_opening(tenant, id, Arc::clone(&opened));
        Ok(opened)
    }
}

#[async_trait]
impl Vault for EnvelopeVault {
    async fn seal(&self, place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        let internal = |why: &'static str| Error::new(ErrorKind::Internal, SEAL).with_source(why);
        let id = self.keys.current().await?;
        let data_key = self.sealing_key(place.tenant, &id).await?;
        let mut bytes =
            head(&id, &data_key.wrapped).ok_or_else(|| internal("the wrapped key is too long"))?;
        let bound = associated_data(place, &id, &bytes);
        let sealed = encrypt(&data_key.key, self.entropy.bytes(), &bound, secret.expose())
            .ok_or_else(|| internal("the secret is too long"))?;
        bytes.extend_from_slice(&sealed);
        Ok(Sealed::new(bytes))
    }

    async fn open(&self, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        let envelope = parse(sealed, OPEN)?;
        let data_key = self.opening_key(place.tenant, &envelope.key, envelope.wrapped).await?;
        let bound = associated_data(place, &envelope.key, envelope.head);
        decrypt(&data_key.key, &bound, envelope.sealed)
            .ok_or_else(|| corrupt("the sealed bytes were changed or moved"))
    }

    async fn is_current(&self, sealed: &Sealed) -> Result<bool> {
        Ok(parse(sealed, "look at a sealed secret")?.key == self.keys.current().await?)
    }
}

impl fmt::Debug for EnvelopeVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeVault").field("keys", &self.keys).finish_non_exhaustive()
    }
}

fn parse<'a>(sealed: &'a Sealed, step: &'static str) -> Result<Envelope<'a>> {
    Envelope::parse(sealed.as_bytes()).ok_or_else(|| {
        let why = "the sealed bytes have a format that is not this vault's";
        Error::new(ErrorKind::Corrupt, step).with_source(why)
    })
}

/// What a data key is bound to: a wrapped key of another tenant does not unwrap.
fn context(tenant: &str) -> Vec<u8> {
    bind(FORMAT, &[b"data key", tenant.as_bytes()])
}

/// What a seal is bound to: its place, its key, and its own head.
fn associated_data(place: SealPlace<'_>, id: &KeyId, head: &[u8]) -> Vec<u8> {
    let place = [place.tenant, place.table, place.record, place.column].map(str::as_bytes);
    let [tenant, table, record, column] = place;
    bind(FORMAT, &[tenant, table, record, column, id.as_str().as_bytes(), head])
}

fn corrupt(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, OPEN).with_source(why)
}

const SEAL: &str = "seal a secret";
const OPEN: &str = "open a sealed secret";
