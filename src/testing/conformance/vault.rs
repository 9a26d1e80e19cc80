//! The contract of [`Vault`], sentence by sentence.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::ErrorKind;
use crate::ports::{SealPlace, Sealed, Vault};
use crate::primitives::secret::Secret;
use crate::testing::conformance::{Check, Verdict, holds, refused, same};

/// Stands up vaults for checks.
///
/// ```
/// use std::sync::Arc;
/// use crossdock::adapters::EphemeralVault;
/// use crossdock::ports::Vault;
/// use crossdock::testing::SeededEntropy;
/// use crossdock::testing::conformance::{VaultHarness, vault_suite};
///
/// #[derive(Debug)]
/// struct OneKey;
///
/// #[async_trait::async_trait]
/// impl VaultHarness for OneKey {
///     async fn vault(&self) -> Arc<dyn Vault> {
///         Arc::new(EphemeralVault::new(Arc::new(SeededEntropy::new(7))))
///     }
///
///     async fn stranger(&self) -> Option<Arc<dyn Vault>> {
///         // Its one key has no name: what another one has sealed looks like damage.
///         None
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// for check in vault_suite() {
///     # if !check.name().contains("place") { continue; }
///     assert_eq!(check.run(Arc::new(OneKey)).await, Ok(()), "{}", check.name());
/// }
/// # }
/// ```
#[async_trait]
pub trait VaultHarness: Debug + Send + Sync + 'static {
    /// The vault.
    async fn vault(&self) -> Arc<dyn Vault>;

    /// A vault of the same kind whose keys the first one does not know; `None` if vaults of this kind cannot tell an unknown
    /// key from damage.
    async fn stranger(&self) -> Option<Arc<dyn Vault>>;
}

/// Every check of a [`Vault`].
pub fn vault_suite() -> Vec<Check<dyn VaultHarness>> {
    checks!["vault":
        what_was_sealed_opens_for_the_same_place,
        another_place_does_not_open,
        a_single_changed_bit_does_not_open,
        bytes_of_any_length_are_an_error_and_no_panic,
        the_same_secret_is_never_sealed_alike,
        sealed_bytes_do_not_hold_the_secret,
        an_unknown_key_may_come_back,
        what_is_sealed_now_is_current,
        what_an_unknown_key_has_sealed_is_not_current,
        what_no_vault_has_sealed_is_neither_current_nor_not,
    ]
}

const PLACE: SealPlace<'_> = SealPlace::new("acme", "webhook", "wh_1", "secret");

async fn what_was_sealed_opens_for_the_same_place(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;
    for length in [0, 1, 24, 32, 1_000, 100_000] {
        let secret = Secret::new((0..length).map(|byte: u32| byte as u8).collect());

        let sealed = vault.seal(PLACE, &secret).await?;

        holds(vault.open(PLACE, &sealed).await? == secret, "exactly what was sealed")?;
        let kept = Sealed::new(sealed.as_bytes().to_vec());
        holds(vault.open(PLACE, &kept).await? == secret, "also after a store has kept it")?;
    }
    Ok(())
}

async fn another_place_does_not_open(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;
    let sealed = vault.seal(PLACE, &Secret::from("correct horse")).await?;
    let elsewhere = [
        SealPlace::new("acmf", "webhook", "wh_1", "secret"),
        SealPlace::new("acme", "webhooks", "wh_1", "secret"),
        SealPlace::new("acme", "webhook", "wh_2", "secret"),
        SealPlace::new("acme", "webhook", "wh_1", "password"),
        // The same letters, cut elsewhere.
        SealPlace::new("acmew", "ebhook", "wh_1", "secret"),
        SealPlace::new("acme", "webhook", "wh_", "1secret"),
        SealPlace::new("", "", "", ""),
    ];

    for place in elsewhere {
        let opened = vault.open(place, &sealed).await;
        refused(opened, ErrorKind::Corrupt, "a sealed value opens at its own place only")?;
    }
    Ok(())
}

async fn a_single_changed_bit_does_not_open(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;
    let sealed = vault.seal(PLACE, &Secret::from("correct horse")).await?;
    let bytes = sealed.as_bytes();

    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = vault.open(PLACE, &Sealed::new(changed)).await;
        // A changed key id may be the id of a key that is not known.
        let kind = opened.err().map(|error| error.kind());
        holds(
            matches!(kind, Some(ErrorKind::Corrupt | ErrorKind::Unavailable)),
            "no changed bit goes unnoticed",
        )?;
    }
    let last = bytes.len() - 1;
    let mut changed = bytes.to_vec();
    changed[last] ^= 1;
    refused(vault.open(PLACE, &Sealed::new(changed)).await, ErrorKind::Corrupt, "damage is damage")
        .map(|_| ())
}

async fn bytes_of_any_length_are_an_error_and_no_panic(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;
    let sealed = vault.seal(PLACE, &Secret::from("correct horse")).await?;

    for length in 0..sealed.as_bytes().len() {
        let cut = Sealed::new(sealed.as_bytes()[..length].to_vec());
        holds(vault.open(PLACE, &cut).await.is_err(), "a beginning is not the whole")?;
    }
    for length in [0, 1, 2, 12, 24, 40, 41, 100, 10_000] {
        for byte in [0, 1, 2, 255] {
            let opened = vault.open(PLACE, &Sealed::new(vec![byte; length])).await;
            holds(opened.is_err(), "nonsense does not open")?;
        }
    }
    let mut longer = sealed.as_bytes().to_vec();
    longer.push(0);
    holds(vault.open(PLACE, &Sealed::new(longer)).await.is_err(), "nor does more than the whole")
}

async fn the_same_secret_is_never_sealed_alike(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;
    let secret = Secret::from("correct horse");
    let mut seen = std::collections::BTreeSet::new();

    for _ in 0..100 {
        seen.insert(vault.seal(PLACE, &secret).await?.as_bytes().to_vec());
    }

    same(seen.len(), 100, "who sees two seals does not learn that the secrets are equal")
}

async fn sealed_bytes_do_not_hold_the_secret(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;
    let secret = b"a secret that is long enough to be found again";

    let sealed = vault.seal(PLACE, &Secret::new(secret.to_vec())).await?;

    let shows = |part: &[u8]| sealed.as_bytes().windows(part.len()).any(|window| window == part);
    holds(!secret.chunks(8).filter(|part| part.len() == 8).any(shows), "what is sealed cannot be read")
}

async fn an_unknown_key_may_come_back(harness: Arc<dyn VaultHarness>) -> Verdict {
    let Some(stranger) = harness.stranger().await else { return Ok(()) };
    let sealed = stranger.seal(PLACE, &Secret::from("correct horse")).await?;

    let opened = harness.vault().await.open(PLACE, &sealed).await;

    refused(opened, ErrorKind::Unavailable, "an unknown key is no damage: it may come back").map(|_| ())
}

async fn what_is_sealed_now_is_current(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;

    let sealed = vault.seal(PLACE, &Secret::from("correct horse")).await?;

    holds(vault.is_current(&sealed).await?, "what was just sealed needs no rewrap")
}

async fn what_an_unknown_key_has_sealed_is_not_current(harness: Arc<dyn VaultHarness>) -> Verdict {
    let Some(stranger) = harness.stranger().await else { return Ok(()) };
    let sealed = stranger.seal(PLACE, &Secret::from("correct horse")).await?;

    let current = harness.vault().await.is_current(&sealed).await?;

    holds(!current, "another key's seal is told apart without the other key")
}

async fn what_no_vault_has_sealed_is_neither_current_nor_not(harness: Arc<dyn VaultHarness>) -> Verdict {
    let vault = harness.vault().await;

    for bytes in [Vec::new(), vec![0; 100], vec![255; 100]] {
        let asked = vault.is_current(&Sealed::new(bytes)).await;
        refused(asked, ErrorKind::Corrupt, "nonsense has no key")?;
    }
    Ok(())
}
