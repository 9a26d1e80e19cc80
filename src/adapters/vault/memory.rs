//! A vault whose key lives as long as the process: for stores that do not live longer either.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::adapters::vault::aead::{KEY_BYTES, bind, decrypt, encrypt};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Entropy, EntropyExt, SealPlace, Sealed, Vault};
use crate::primitives::secret::Secret;

/// Seals with a key that is made at start and forgotten at the end (XChaCha20-Poly1305).
///
/// It keeps secrets out of dumps and listings of a store in memory. What it has sealed cannot be opened by another
/// process, nor after a restart: a durable store needs a vault whose key lasts.
///
/// ```
/// # use crossdock::adapters::EphemeralVault;
/// # use crossdock::ports::{Entropy, SealPlace, Vault};
/// # use crossdock::primitives::Secret;
/// # #[derive(Debug)] struct Dice;
/// # impl Entropy for Dice { fn fill(&self, buffer: &mut [u8]) { buffer.fill(7) } }
/// # futures_util::future::FutureExt::now_or_never(async {
/// # let entropy = Dice;
/// let vault = EphemeralVault::new(std::sync::Arc::new(entropy));
/// let place = SealPlace::new("org_42", "webhook", "wh_1", "secret");
///
/// let sealed = vault.seal(place, &Secret::from("correct horse")).await?;
///
/// assert_eq!(vault.open(place, &sealed).await?, Secret::from("correct horse"));
/// let elsewhere = SealPlace::new("org_43", "webhook", "wh_1", "secret");
/// assert!(vault.open(elsewhere, &sealed).await.is_err());
/// # Ok::<(), crossdock::Error>(()) }).expect("nothing waits here")?;
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct EphemeralVault {
    key: Secret,
    entropy: Arc<dyn Entropy>,
}

impl EphemeralVault {
    /// A vault with a new key; nonces come from the same dice.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let mut key = vec![0; KEY_BYTES];
        entropy.fill(&mut key);
        Self { key: Secret::new(key), entropy }
    }
}

#[async_trait]
impl Vault for EphemeralVault {
    async fn seal(&self, place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        let sealed = encrypt(&self.key, self.entropy.bytes(), &associated_data(place), secret.expose())
            .ok_or_else(|| Error::new(ErrorKind::Internal, SEAL).with_source("the secret is too long"))?;
        Ok(Sealed::new([&[FORMAT], &sealed[..]].concat()))
    }

    async fn open(&self, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        decrypt(&self.key, &associated_data(place), own(sealed, OPEN)?)
            .ok_or_else(|| corrupt(OPEN, "the sealed bytes were changed, moved, or sealed with another key"))
    }

    async fn is_current(&self, sealed: &Sealed) -> Result<bool> {
        // There is one key, and no other one ever.
        own(sealed, "look at a sealed secret").map(|_| true)
    }
}

impl fmt::Debug for EphemeralVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralVault").finish_non_exhaustive()
    }
}

/// What is behind the format.
fn own<'a>(sealed: &'a Sealed, step: &'static str) -> Result<&'a [u8]> {
    match sealed.as_bytes().split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        _ => Err(corrupt(step, "the sealed bytes have a format that is not this vault's")),
    }
}

fn corrupt(step: &'static str, why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, step).with_source(why)
}

fn associated_data(place: SealPlace<'_>) -> Vec<u8> {
    bind(FORMAT, &[place.tenant, place.table, place.record, place.column].map(str::as_bytes))
}

const SEAL: &str = "seal a secret";
const OPEN: &str = "open a sealed secret";
/// The first byte of everything that this vault seals; another layout gets another number.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use futures_util::FutureExt;

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for byte in buffer {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn vault() -> EphemeralVault {
        EphemeralVault::new(Arc::new(Counting::default()))
    }

    fn seal(vault: &EphemeralVault, place: SealPlace<'_>, text: &str) -> Sealed {
        vault.seal(place, &Secret::from(text)).now_or_never().expect("no waiting").expect("sealed")
    }

    fn open(vault: &EphemeralVault, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        vault.open(place, sealed).now_or_never().expect("no waiting")
    }

    const HERE: SealPlace<'_> = SealPlace::new("tenant", "webhook", "wh_1", "secret");

    #[test]
    fn what_was_sealed_opens_at_its_place_and_nowhere_else() {
        let vault = vault();
        let sealed = seal(&vault, HERE, "correct horse");

        assert_eq!(open(&vault, HERE, &sealed).expect("opened"), Secret::from("correct horse"));
        for elsewhere in [
            SealPlace::new("tenant2", "webhook", "wh_1", "secret"),
            SealPlace::new("tenant", "webhook2", "wh_1", "secret"),
            SealPlace::new("tenant", "webhook", "wh_2", "secret"),
            SealPlace::new("tenant", "webhook", "wh_1", "auth"),
            // The same letters, cut elsewhere.
            SealPlace::new("tenantw", "ebhook", "wh_1", "secret"),
            SealPlace::new("tenant", "webhook", "wh_", "1secret"),
        ] {
            let error = open(&vault, elsewhere, &sealed).expect_err("moved");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{elsewhere:?}");
        }
    }

    #[test]
    fn a_single_changed_bit_or_a_missing_byte_does_not_open() {
        let vault = vault();
        let sealed = seal(&vault, HERE, "correct horse");

        for index in 0..sealed.as_bytes().len() {
            for bit in 0..8 {
                let mut bytes = sealed.as_bytes().to_vec();
                bytes[index] ^= 1 << bit;
                let error = open(&vault, HERE, &Sealed::new(bytes)).expect_err("changed");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {index}, bit {bit}");
            }
            let shortened = Sealed::new(sealed.as_bytes()[..index].to_vec());
            assert_eq!(open(&vault, HERE, &shortened).expect_err("short").kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn another_key_does_not_open() {
        let dice: Arc<dyn Entropy> = Arc::new(Counting::default());
        let sealed = seal(&EphemeralVault::new(Arc::clone(&dice)), HERE, "correct horse");

        let error = open(&EphemeralVault::new(dice), HERE, &sealed).expect_err("another key");

        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn the_same_secret_is_never_sealed_to_the_same_bytes() {
        let vault = vault();

        assert_ne!(seal(&vault, HERE, "correct horse"), seal(&vault, HERE, "correct horse"));
    }

    #[test]
    fn neither_key_nor_secret_shows() {
        let vault = vault();
        let sealed = seal(&vault, HERE, "correct horse");

        assert_eq!(format!("{vault:?} {sealed:?}"), "EphemeralVault { .. } Sealed(54 bytes)");
    }
}
