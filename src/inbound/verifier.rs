//! Checks that no data can say: in code.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use crate::inbound::outcome::{Outcome, Refusal, Verified};
use crate::inbound::prepared::PreparedScheme;
use crate::inbound::request::{Request, SourceSecret};

/// Decides in code whether a request is genuine; for providers whose scheme is no [`Scheme`](crate::inbound::Scheme).
///
/// # Contract
/// - `verify` says yes only to bytes that someone has signed who knows one of the secrets, or holds the provider's key.
/// - It compares in constant time, and panics on no input. If it does all the same, that one request is refused.
/// - A secret that has ended at `now` verifies nothing.
/// - Dropping the future leaves nothing behind but, perhaps, a cached key.
///
/// ```
/// use async_trait::async_trait;
/// use chrono::{DateTime, Utc};
/// use crossdock::inbound::{Refusal, Request, SourceSecret, Verified, Verifier};
/// use crossdock::primitives::Secret;
///
/// /// The sender writes the secret into a header.
/// #[derive(Debug)]
/// struct SharedToken;
///
/// #[async_trait]
/// impl Verifier for SharedToken {
///     async fn verify(
///         &self,
///         request: &Request<'_>,
///         secrets: &[SourceSecret],
///         now: DateTime<Utc>,
///     ) -> Result<Verified, Refusal> {
///         let given = request.headers.get("x-token").ok_or(Refusal::MissingSignature)?;
///         let given = Secret::new(given.as_bytes().to_vec());
///         let live = |secret: &&SourceSecret| secret.not_after().is_none_or(|end| now <= end);
///         let fits = secrets.iter().filter(live).find(|secret| *secret.secret() == given);
///         fits.map(|secret| Verified::with_secret(secret.name())).ok_or(Refusal::NoMatch)
///     }
/// }
/// ```
#[async_trait]
pub trait Verifier: Debug + Send + Sync + 'static {
    /// Whether the request is genuine.
    async fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[SourceSecret],
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal>;
}

impl PreparedScheme {
    /// Decides what the request is, as [`receive`](Self::receive) does, with a verifier in code.
    ///
    /// Dropping the future leaves nothing behind but, perhaps, a key that the verifier has cached.
    pub async fn receive_by(
        &self,
        verifier: &dyn Verifier,
        request: &Request<'_>,
        now: DateTime<Utc>,
    ) -> Outcome {
        if let Some(outcome) = self.before(request, now) {
            return outcome;
        }
        // Called in here, because it may panic before it gives a future.
        let check = async { verifier.verify(request, self.secrets(), now).await };
        match AssertUnwindSafe(check).catch_unwind().await {
            Ok(Ok(verified)) => self.after(request, verified, now),
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            Err(_panic) => Outcome::Refused(Refusal::VerifierPanicked),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderMap;
    use http::{Method, StatusCode};

    use super::*;
    use crate::inbound::scheme::Scheme;
    use crate::primitives::secret::Secret;

    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Verifier for Broken {
        async fn verify(
            &self,
            _: &Request<'_>,
            _: &[SourceSecret],
            _: DateTime<Utc>,
        ) -> Result<Verified, Refusal> {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_verifier_that_panics_refuses_one_request_which_may_come_again() {
        let scheme = Scheme::by_code("broken");
        let secret = SourceSecret::new("current", Secret::from("s"));
        let prepared = PreparedScheme::new(&scheme, &[secret]).expect("a scheme");
        let headers = HeaderMap::new();
        let request = Request::new(&Method::POST, "https://app.example.com/in", &headers, b"{}");

        let outcome = prepared
            .receive_by(&Broken, &request, DateTime::UNIX_EPOCH)
            .now_or_never()
            .expect("nothing is waited for");

        assert!(matches!(outcome, Outcome::Refused(Refusal::VerifierPanicked)), "{outcome:?}");
        assert_eq!(prepared.refuse(Refusal::VerifierPanicked).status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
