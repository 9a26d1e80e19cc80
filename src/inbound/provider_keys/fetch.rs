//! Gets certificates from where they are, through the egress rules, and keeps them for a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Method;

use crate::inbound::outcome::Refusal;
use crate::inbound::provider_keys::certificate::Certificate;
use crate::ports::{Answer, Exchange, ExchangeLimits, ExchangeRequest};
use crate::primitives::egress::EgressPolicy;
use crate::primitives::time::earlier;

/// The certificates of providers, fetched when they are first needed and kept for a day; clones share them.
///
/// Whoever sends forgeries chooses URLs on a provider's host, so only so many are fetched in a minute, and what could not be
/// had is not asked for again at once.
///
/// ```
/// # #[derive(Debug)] struct NoNetwork;
/// # #[async_trait::async_trait]
/// # impl crossdock::ports::Exchange for NoNetwork {
/// #     async fn exchange(&self, _: crossdock::ports::ExchangeRequest)
/// #         -> Result<crossdock::ports::Answer, crossdock::ports::TransportError> {
/// #         Err(crossdock::ports::TransportError::new(crossdock::ports::TransportErrorKind::Unconfigured))
/// #     }
/// # }
/// use std::sync::Arc;
/// use crossdock::inbound::ProviderKeys;
/// use crossdock::primitives::EgressPolicy;
///
/// // A host gives the transport that its hub uses.
/// let keys = ProviderKeys::new(Arc::new(NoNetwork), EgressPolicy::default());
/// # drop(keys);
/// ```
#[derive(Clone)]
pub struct ProviderKeys {
    exchange: Arc<dyn Exchange>,
    policy: EgressPolicy,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    certificates: HashMap<String, Known>,
    /// When the last ones were fetched.
    fetched: Vec<DateTime<Utc>>,
}

#[derive(Clone)]
struct Known {
    certificate: Option<Arc<Certificate>>,
    at: DateTime<Utc>,
}

impl ProviderKeys {
    /// Asks through this transport, where this policy permits it.
    pub fn new(exchange: Arc<dyn Exchange>, policy: EgressPolicy) -> Self {
        Self { exchange, policy, kept: Arc::default() }
    }

    /// The certificate at this URL, whose host the caller has pinned.
    ///
    /// Dropping the future leaves nothing behind but the count of what was asked for.
    ///
    /// # Errors
    /// [`Refusal::KeyUnavailable`] when it cannot be had at present.
    pub(super) async fn certificate(
        &self,
        url: &str,
        now: DateTime<Utc>,
    ) -> Result<Arc<Certificate>, Refusal> {
        match self.known(url, now) {
            Some(known) => return known.certificate.ok_or(Refusal::KeyUnavailable),
            None => self.may_fetch(now)?,
        }
        let certificate = match self.ask(Method::GET, url).await {
            Ok(pem) => Certificate::from_pem(&pem).ok().map(Arc::new),
            Err(_) => None,
        };
        self.keep(url, Known { certificate: certificate.clone(), at: now });
        certificate.ok_or(Refusal::KeyUnavailable)
    }

    /// The answer's body, if it is a good one.
    ///
    /// Dropping the future closes the connection; the question may have been asked.
    pub(super) async fn ask(&self, method: Method, url: &str) -> Result<Bytes, Refusal> {
        let url = self.policy.parse(url).map_err(|_| Refusal::KeyUnavailable)?;
        let mut request = ExchangeRequest::post(url, Bytes::new());
        request.method = method;
        request.limits = LIMITS;
        let answer: Answer = self.exchange.exchange(request).await.map_err(|_| Refusal::KeyUnavailable)?;
        if answer.status.is_success() && !answer.truncated {
            Ok(answer.body)
        } else {
            Err(Refusal::KeyUnavailable)
        }
    }

    fn known(&self, url: &str, now: DateTime<Utc>) -> Option<Known> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.certificates.get(url)?;
        let good_for = if known.certificate.is_some() { KEPT } else { ASKED_AGAIN_AFTER };
        (known.at >= earlier(now, good_for)).then(|| known.clone())
    }

    fn may_fetch(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.fetched.retain(|&at| at > earlier(now, MINUTE));
        if kept.fetched.len() >= FETCHES_A_MINUTE {
            return Err(Refusal::KeyUnavailable);
        }
        kept.fetched.push(now);
        Ok(())
    }

    fn keep(&self, url: &str, known: Known) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.certificates.len() >= MOST_KEPT {
            // Failures go first: forgers make them, and certificates cost a question.
            kept.certificates.retain(|_, known| known.certificate.is_some());
            if kept.certificates.len() >= MOST_KEPT {
                kept.certificates.clear();
            }
        }
        kept.certificates.insert(url.to_owned(), known);
    }
}

impl fmt::Debug for ProviderKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKeys").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The sender waits meanwhile, some of them for three seconds only.
const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_secs(2),
    total: Duration::from_millis(2_500),
    read: 64 * 1024,
    keep: 64 * 1024,
};
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const FETCHES_A_MINUTE: usize = 30;
const MOST_KEPT: usize = 64;
