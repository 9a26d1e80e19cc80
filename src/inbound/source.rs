//! Where notifications come from: one sender, its scheme, its secrets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::inbound::scheme::Scheme;
use crate::ports::Sealed;
use crate::primitives::id::SourceId;
use crate::primitives::stored::word::words;
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

/// Whose a source is, and what was received from it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Owner {
    /// One tenant's, made by its administrator.
    Tenant(TenantId),
    /// The platform's own, such as its billing account.
    Platform,
}

/// The name that handlers are registered under, such as `stripe`: 1 to 64 lower-case letters, digits, `_` and `-`.
///
/// Of the platform's sources no two have the same; a tenant may have several of one name, such as two shops.
///
/// ```
/// use crossdock::inbound::SourceName;
///
/// let name: SourceName = "stripe".parse()?;
///
/// assert_eq!(name.as_str(), "stripe");
/// assert!("Stripe!".parse::<SourceName>().is_err());
/// # Ok::<(), crossdock::inbound::InvalidSourceName>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceName(Arc<str>);

/// The text is not a source's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a source's name is 1 to 64 lower-case letters, digits, `_` and `-`")]
pub struct InvalidSourceName;

/// Whether a source takes what is sent to it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SourceState {
    /// It does.
    Active,
    /// It is switched off: senders are told 501, never 200.
    Off,
    /// It is known, but nobody handles what it sends yet: senders are told 501, never 200.
    NotImplemented,
}

/// A secret that only the vault can open.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SealedSourceSecret {
    /// The secret.
    pub sealed: Sealed,
    /// Since when it is valid.
    pub created_at: DateTime<Utc>,
    /// From when on it is not; `None` is never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// One sender as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Source {
    /// Names it, and is the last part of its path.
    pub id: SourceId,
    /// Whose it is.
    pub owner: Owner,
    /// Counts its changes.
    pub version: Version,
    /// Which handlers hear of it.
    pub name: SourceName,
    /// What people call it.
    pub title: String,
    /// How it signs, and how its messages read.
    pub scheme: Scheme,
    /// What it signs with: one, or several while they are being changed.
    pub secrets: Vec<SealedSourceSecret>,
    /// Whether it takes what is sent.
    pub state: SourceState,
    /// The URL that the sender was told, where it is another one than the hub's settings make; some senders sign it.
    pub public_url: Option<String>,
    /// What a sender is told whose signature is wrong; `None` is what the scheme says.
    pub reject_status: Option<u16>,
    /// How long a body may be, in bytes; `None` is what the scheme says.
    pub body_cap: Option<usize>,
    /// Since when it is there.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl Owner {
    /// The tenant, if it is one's.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Platform => None,
        }
    }

    /// What a store keeps: the tenant's text, or nothing. No tenant's text is empty.
    pub fn as_str(&self) -> &str {
        self.tenant().map_or("", TenantId::as_str)
    }

    /// The owner that was kept as this text; `None` if it is no tenant's.
    pub fn from_kept(text: &str) -> Option<Self> {
        if text.is_empty() { Some(Self::Platform) } else { text.parse().ok().map(Self::Tenant) }
    }
}

impl From<TenantId> for Owner {
    fn from(tenant: TenantId) -> Self {
        Self::Tenant(tenant)
    }
}

impl SourceName {
    const MAX: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the platform's source of this name: the same in every process, because it is made of the name.
    pub fn platform_id(&self) -> SourceId {
        let digest =
            Sha256::new().chain_update("crossdock platform source ").chain_update(self.as_str()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        SourceId::from_uuid(Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl FromStr for SourceName {
    type Err = InvalidSourceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if text.is_empty() || text.len() > Self::MAX || !text.bytes().all(fits) {
            return Err(InvalidSourceName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words!(SourceState {
    Active => "active",
    Off => "off",
    NotImplemented => "not_implemented",
});

impl SealedSourceSecret {
    /// A secret that never expires.
    pub const fn new(sealed: Sealed, created_at: DateTime<Utc>) -> Self {
        Self { sealed, created_at, expires_at: None }
    }

    /// Whether it is valid.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl Source {
    /// A source that takes what is sent, without a secret yet.
    pub fn new(id: SourceId, owner: Owner, name: SourceName, scheme: Scheme, now: DateTime<Utc>) -> Self {
        Self {
            id,
            owner,
            version: Version::FIRST,
            name,
            title: String::new(),
            scheme,
            secrets: Vec::new(),
            state: SourceState::Active,
            public_url: None,
            reject_status: None,
            body_cap: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Puts one sealed secret in the place of another; says whether that was there.
    pub fn reseal(&mut self, before: &Sealed, after: &Sealed) -> bool {
        let mut was_there = false;
        for secret in self.secrets.iter_mut().filter(|secret| secret.sealed == *before) {
            secret.sealed = after.clone();
            was_there = true;
        }
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_sources_have_ids_of_their_own_that_never_change() -> Result<(), InvalidSourceName> {
        let (stripe, square): (SourceName, SourceName) = ("stripe".parse()?, "square".parse()?);

        assert_eq!(stripe.platform_id(), stripe.platform_id());
        assert_ne!(stripe.platform_id(), square.platform_id());
        Ok(())
    }

    #[test]
    fn only_short_plain_names_are_names() {
        for text in ["", "Stripe", "a b", "a/b", "a.b", "ä", &"a".repeat(65)] {
            assert!(text.parse::<SourceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_owner_survives_the_way_through_text() {
        for owner in [Owner::Platform, Owner::Tenant("org_42".parse().expect("a tenant"))] {
            assert_eq!(Owner::from_kept(owner.as_str()), Some(owner));
        }
        assert_eq!(Owner::from_kept("a\nb"), None);
    }
}
