//! Why a call is refused: one word for the caller, the reason for the log.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::api_keys::rate::RateStanding;
use crate::primitives::id::ApiKeyId;
use crate::primitives::stored::word::words;
use crate::tenancy::model::TenantId;

/// Why a call was refused. For the host's log and the key's owner; a caller only learns the [`status`](Refused::status).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no token.
    Missing,
    /// There are several.
    Ambiguous,
    /// It has not the form of a token.
    Malformed,
    /// Its checksum is wrong: mistyped, or cut off.
    Checksum,
    /// There is no such key.
    Unknown,
    /// The key is there, the secret is another one.
    WrongSecret,
    /// The key was kept under a pepper that this process does not know.
    PepperMissing,
    /// A person has disabled the key.
    Disabled,
    /// The key was revoked.
    Revoked,
    /// The key was found in the open, and revoked.
    Leaked,
    /// It is too early for the key.
    NotYetValid,
    /// The key has ended, by its expiry or by the grace after it was regenerated.
    Expired,
    /// The key has been used as often as it may be.
    Exhausted,
    /// The client's address is not in the key's networks.
    Address,
    /// A trusted proxy has forwarded something that is no address.
    AddressUnreadable,
    /// The method is none that is known.
    Method,
    /// The key may not do this.
    Permission,
    /// The key calls too often.
    Rate,
    /// The key calls too often from this address.
    AddressRate,
    /// The store did not answer, so nobody knows.
    Unavailable,
}

/// A refused call: what the caller is told, and apart from it what the host should know.
///
/// `Display` is for the caller, `Debug` for the host's log. Neither holds a token.
///
/// ```
/// use crossdock::api_keys::{Refusal, Refused};
///
/// let refused = Refused::new(Refusal::WrongSecret);
///
/// assert_eq!((refused.status().as_u16(), refused.to_string()), (401, "unauthorized".to_owned()));
/// assert_eq!(refused.reason().as_str(), "wrong_secret");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    reason: Refusal,
    key: Option<(TenantId, ApiKeyId)>,
    retry_after: Option<Duration>,
    rate: Option<RateStanding>,
}

words!(Refusal {
    Missing => "missing",
    Ambiguous => "ambiguous",
    Malformed => "malformed",
    Checksum => "checksum",
    Unknown => "unknown",
    WrongSecret => "wrong_secret",
    PepperMissing => "pepper_missing",
    Disabled => "disabled",
    Revoked => "revoked",
    Leaked => "leaked",
    NotYetValid => "not_yet_valid",
    Expired => "expired",
    Exhausted => "exhausted",
    Address => "address",
    AddressUnreadable => "address_unreadable",
    Method => "method",
    Permission => "permission",
    Rate => "rate",
    AddressRate => "address_rate",
    Unavailable => "unavailable",
});

impl Refusal {
    /// What the caller is told: 401 whatever is wrong with the key, 403 when the key is good and may not do this, 429 on a limit,
    /// 503 when nobody knows.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method | Self::Permission => StatusCode::FORBIDDEN,
            Self::Rate | Self::AddressRate => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Refused {
    /// A refusal of which nothing else is known.
    pub const fn new(reason: Refusal) -> Self {
        Self { reason, key: None, retry_after: None, rate: None }
    }

    pub(crate) fn of(reason: Refusal, tenant: &TenantId, key: ApiKeyId) -> Self {
        Self { reason, key: Some((tenant.clone(), key)), retry_after: None, rate: None }
    }

    pub(crate) fn until(mut self, nanoseconds: i64) -> Self {
        self.retry_after = Some(Duration::from_nanos(nanoseconds.unsigned_abs()));
        self
    }

    pub(crate) fn at(mut self, rate: Option<RateStanding>) -> Self {
        self.rate = rate;
        self
    }

    /// What to answer.
    pub fn status(&self) -> StatusCode {
        self.reason.status()
    }

    /// After how many whole seconds the caller may try again, for `Retry-After`; with status 429.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// How the rate stands that is used up, if it is the key's.
    pub fn rate(&self) -> Option<RateStanding> {
        self.rate
    }

    /// Why, for the log.
    pub fn reason(&self) -> Refusal {
        self.reason
    }

    /// Whose key it is, for the log; `None` if the token belongs to nobody.
    pub fn key(&self) -> Option<(&TenantId, ApiKeyId)> {
        self.key.as_ref().map(|(tenant, key)| (tenant, *key))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.status() {
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::TOO_MANY_REQUESTS => "too many requests",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "unauthorized",
        })
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::stored::word::Word;

    const ALL: [Refusal; 20] = [
        Refusal::Missing,
        Refusal::Ambiguous,
        Refusal::Malformed,
        Refusal::Checksum,
        Refusal::Unknown,
        Refusal::WrongSecret,
        Refusal::PepperMissing,
        Refusal::Disabled,
        Refusal::Revoked,
        Refusal::Leaked,
        Refusal::NotYetValid,
        Refusal::Expired,
        Refusal::Exhausted,
        Refusal::Address,
        Refusal::AddressUnreadable,
        Refusal::Method,
        Refusal::Permission,
        Refusal::Rate,
        Refusal::AddressRate,
        Refusal::Unavailable,
    ];

    #[test]
    fn the_caller_learns_no_reason() {
        for reason in ALL {
            let refused = Refused::new(reason);
            let told = match reason {
                Refusal::Method | Refusal::Permission => (403, "forbidden"),
                Refusal::Rate | Refusal::AddressRate => (429, "too many requests"),
                Refusal::Unavailable => (503, "unavailable"),
                _ => (401, "unauthorized"),
            };
            assert_eq!((refused.status().as_u16(), &*refused.to_string()), told, "{reason}");
        }
    }

    #[test]
    fn every_reason_has_its_word() {
        for reason in ALL {
            assert_eq!(Refusal::from_word(reason.as_str()), Some(reason));
        }
        assert_eq!(Refusal::from_word("tired"), None);
    }

    #[test]
    fn whoever_waits_as_long_as_told_has_waited_long_enough() {
        let after = |nanoseconds| Refused::new(Refusal::Rate).until(nanoseconds).retry_after();

        assert_eq!((after(1), after(1_000_000_000), after(1_000_000_001)), (Some(1), Some(1), Some(2)));
        assert_eq!(Refused::new(Refusal::Unknown).retry_after(), None);
    }
}
