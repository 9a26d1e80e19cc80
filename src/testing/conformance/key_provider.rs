//! The contract of [`KeyProvider`], sentence by sentence.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::adapters::vault::keys::{InvalidKeyId, KeyId, KeyProvider, UnknownKey};
use crate::error::ErrorKind;
use crate::primitives::secret::Secret;
use crate::testing::conformance::{Check, Failure, Verdict, holds, refused, same, there};

/// Every check of a [`KeyProvider`] that answers.
///
/// ```
/// use std::sync::Arc;
/// use crossdock::adapters::StaticKeys;
/// use crossdock::testing::conformance::key_provider_suite;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), crossdock::Error> {
/// let keys = StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
/// for check in key_provider_suite() {
///     assert_eq!(check.run(Arc::new(keys.clone())).await, Ok(()), "{}", check.name());
/// }
/// # Ok(()) }
/// ```
pub fn key_provider_suite() -> Vec<Check<dyn KeyProvider>> {
    checks!["key_provider":
        the_present_key_wraps_and_unwraps,
        wrapped_bytes_are_short_and_do_not_hold_the_data_key,
        another_context_does_not_unwrap,
        what_was_never_wrapped_does_not_unwrap,
        a_key_that_is_not_known_is_named_and_may_come_back,
    ]
}

const CONTEXT: &[u8] = b"acme";

fn data_key() -> Secret {
    Secret::new((100..132).collect())
}

async fn the_present_key_wraps_and_unwraps(keys: Arc<dyn KeyProvider>) -> Verdict {
    let id = keys.current().await?;

    for context in [CONTEXT, b"", &[0; 1_000]] {
        let wrapped = keys.wrap_key(&id, &data_key(), context).await?;
        holds(keys.unwrap_key(&id, &wrapped, context).await? == data_key(), "exactly what was wrapped")?;
    }
    same(keys.current().await?, id, "and the present key is still the same")
}

async fn wrapped_bytes_are_short_and_do_not_hold_the_data_key(keys: Arc<dyn KeyProvider>) -> Verdict {
    let id = keys.current().await?;

    let wrapped = keys.wrap_key(&id, &data_key(), CONTEXT).await?;

    holds(wrapped.len() <= usize::from(u16::MAX), "what is wrapped stands in every seal")?;
    let shows = |part: &[u8]| wrapped.windows(part.len()).any(|window| window == part);
    holds(!data_key().expose().chunks(8).any(shows), "what is wrapped cannot be read")
}

async fn another_context_does_not_unwrap(keys: Arc<dyn KeyProvider>) -> Verdict {
    let id = keys.current().await?;
    let wrapped = keys.wrap_key(&id, &data_key(), CONTEXT).await?;

    for context in [&b""[..], b"acm", b"acmf", b"acmeacme"] {
        let unwrapped = keys.unwrap_key(&id, &wrapped, context).await;
        refused(unwrapped, ErrorKind::Corrupt, "a data key serves its own tenant only")?;
    }
    Ok(())
}

async fn what_was_never_wrapped_does_not_unwrap(keys: Arc<dyn KeyProvider>) -> Verdict {
    let id = keys.current().await?;
    let wrapped = keys.wrap_key(&id, &data_key(), CONTEXT).await?;

    let mut last_bit = wrapped.clone();
    last_bit.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1);
    let mut longer = wrapped.clone();
    longer.push(0);
    let lengths = [0, 1, 16, 24, 40, 72, 1_000].map(|length| vec![7; length]);
    for bytes in [last_bit, longer, wrapped[..wrapped.len() / 2].to_vec()].into_iter().chain(lengths) {
        refused(keys.unwrap_key(&id, &bytes, CONTEXT).await, ErrorKind::Corrupt, "damage is damage")?;
    }
    Ok(())
}

async fn a_key_that_is_not_known_is_named_and_may_come_back(keys: Arc<dyn KeyProvider>) -> Verdict {
    let unknown: KeyId =
        "a-key-that-nobody-knows".parse().map_err(|error: InvalidKeyId| Failure(error.to_string()))?;

    let wrapping = keys.wrap_key(&unknown, &data_key(), CONTEXT).await;
    let unwrapping = keys.unwrap_key(&unknown, &[7; 72], CONTEXT).await;

    for error in [
        refused(wrapping, ErrorKind::Unavailable, "it may come back")?,
        refused(unwrapping, ErrorKind::Unavailable, "it may come back")?,
    ] {
        let source = error.source().and_then(|source| source.downcast_ref::<UnknownKey>());
        same(&there(source, "the key's id as the source")?.id, &unknown, "by its id")?;
    }
    Ok(())
}
