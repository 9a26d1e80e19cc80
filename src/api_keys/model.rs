//! A key as it is kept, and how it was used.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use ipnet::IpNet;

use crate::api_keys::pepper::SecretMac;
use crate::api_keys::rate::CallRate;
use crate::api_keys::refusal::Refusal;
use crate::api_keys::scope::Rights;
use crate::api_keys::token::{Environment, PublicId};
use crate::error::Result;
use crate::primitives::id::ApiKeyId;
use crate::primitives::stored::Stored;
use crate::primitives::stored::record;
use crate::primitives::stored::word::Word;
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

/// One key, without its token: nobody can make the token of it.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::api_keys::{ApiKey, PublicId, SecretMac};
/// use crossdock::primitives::{ApiKeyId, Stored};
///
/// let now = DateTime::UNIX_EPOCH;
/// let mac = SecretMac::new("2026-01".parse()?, [7; 32]);
/// let id = ApiKeyId::mint(now, [7; 10]);
/// let key = ApiKey::new(id, "org_42".parse()?, PublicId::mint([7; 16]), mac, "cd_live_Ov2l…ztSa", now);
///
/// assert_eq!(ApiKey::from_stored(&key.to_stored()?)?, key);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiKey {
    /// Names the key; keys sort by it in the order of their creation.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Grows with every change.
    pub version: Version,
    /// What a token is looked up by.
    pub public_id: PublicId,
    /// Which world it opens.
    pub environment: Environment,
    /// What is kept of the secret.
    pub mac: SecretMac,
    /// How it is shown, such as `cd_live_rE7s…2ms3`.
    pub display: Arc<str>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub rights: Rights,
    /// From where it may be used; none means from everywhere.
    pub networks: Vec<IpNet>,
    /// How often it may call; `None` means the hub's default.
    pub rate: Option<CallRate>,
    /// How often it may call from one address; `None` means the hub's default.
    pub address_rate: Option<CallRate>,
    /// How often it may be used in all.
    pub max_uses: Option<u64>,
    /// From when on it may be used.
    pub not_before: Option<DateTime<Utc>>,
    /// When it ends: from that instant on it is expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it may be used.
    pub state: KeyState,
    /// When it was found in the open.
    pub leaked_at: Option<DateTime<Utc>>,
    /// The first key of its line: a key and its successors share their limits.
    pub line: ApiKeyId,
    /// The key that takes its place, if it was regenerated.
    pub successor: Option<Succession>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: Arc<str>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Whether a key may be used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyState {
    /// It may.
    Active,
    /// Not until somebody enables it.
    Disabled {
        /// Since when.
        at: DateTime<Utc>,
    },
    /// Never again.
    Revoked {
        /// Since when.
        at: DateTime<Utc>,
        /// Why, as a person has written it.
        reason: String,
    },
}

/// What takes a key's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Succession {
    /// The key that takes its place.
    pub key: ApiKeyId,
    /// Until when the old one may be used.
    pub until: DateTime<Utc>,
}

/// When, from where and for what a key was last used. The time is kept to the second.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LastUse {
    /// When.
    pub at: DateTime<Utc>,
    /// From where.
    pub address: IpAddr,
    /// For which route, as the host names it; cut after 64 bytes.
    pub route: String,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CallOutcome {
    /// It was let in.
    Allowed,
    /// It was refused.
    Refused(Refusal),
}

/// How often calls of one day ended in one way.
///
/// ```
/// use chrono::NaiveDate;
/// use crossdock::api_keys::{CallOutcome, DayCount};
///
/// let day = NaiveDate::from_ymd_opt(2026, 1, 1).ok_or("a day")?;
/// let counts = [2, 3].map(|count| DayCount::new(day, CallOutcome::Allowed, count));
///
/// assert_eq!(DayCount::sum(counts), [DayCount::new(day, CallOutcome::Allowed, 5)]);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DayCount {
    /// Which day, in UTC.
    pub day: NaiveDate,
    /// In which way.
    pub outcome: CallOutcome,
    /// How often.
    pub count: u64,
}

/// How a key was used, to be added to what the store knows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyUsage {
    /// Whose key.
    pub tenant: TenantId,
    /// Which key.
    pub key: ApiKeyId,
    /// The last use, if there was one.
    pub last: Option<LastUse>,
    /// How often.
    pub counts: Vec<DayCount>,
    /// What is now to be kept of the secret, in the place of what was kept under an old pepper.
    pub rekeyed: Option<Rekeyed>,
}

/// A secret under another pepper.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rekeyed {
    /// What was kept.
    pub before: SecretMac,
    /// What is to be kept.
    pub after: SecretMac,
}

/// A key, and what the store knows of its use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The key.
    pub key: ApiKey,
    /// Its last use.
    pub last: Option<LastUse>,
    /// How many uses of its line were leased and not given back.
    pub used: u64,
}

impl ApiKey {
    /// An active key that may do nothing yet.
    pub fn new(
        id: ApiKeyId,
        tenant: TenantId,
        public_id: PublicId,
        mac: SecretMac,
        display: impl Into<Arc<str>>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            tenant,
            version: Version::FIRST,
            public_id,
            environment: Environment::Live,
            mac,
            display: display.into(),
            name: String::new(),
            rights: Rights::default(),
            networks: Vec::new(),
            rate: None,
            address_rate: None,
            max_uses: None,
            not_before: None,
            expires_at: None,
            state: KeyState::Active,
            leaked_at: None,
            line: id,
            successor: None,
            created_at,
            created_by: "".into(),
            updated_at: created_at,
        }
    }

    /// When it ends: by its expiry, or by the grace after it was regenerated, whichever comes first.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        [self.expires_at, self.successor.map(|successor| successor.until)].into_iter().flatten().min()
    }
}

impl Succession {
    /// This key takes the place, at the latest at this time.
    pub const fn new(key: ApiKeyId, until: DateTime<Utc>) -> Self {
        Self { key, until }
    }
}

impl LastUse {
    /// A use at this time.
    pub fn new(at: DateTime<Utc>, address: IpAddr, route: impl Into<String>) -> Self {
        Self { at, address, route: route.into() }
    }
}

impl CallOutcome {
    /// The word that stores use: `allowed`, or that of the refusal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused(reason) => reason.as_str(),
        }
    }
}

impl Stored for CallOutcome {
    fn to_stored(&self) -> Result<String> {
        Ok(self.as_str().to_owned())
    }

    fn from_stored(word: &str) -> Result<Self> {
        let found =
            if word == "allowed" { Some(Self::Allowed) } else { Refusal::from_word(word).map(Self::Refused) };
        found.ok_or_else(|| record::corrupt("read the outcome of calls that a store has kept", "outcome"))
    }
}

impl DayCount {
    /// So often.
    pub const fn new(day: NaiveDate, outcome: CallOutcome, count: u64) -> Self {
        Self { day, outcome, count }
    }

    /// The counts together, one of each day and outcome, in this order.
    pub fn sum(counts: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut sums = BTreeMap::new();
        for count in counts {
            let sum: &mut u64 = sums.entry((count.day, count.outcome)).or_default();
            *sum = sum.saturating_add(count.count);
        }
        sums.into_iter().map(|((day, outcome), count)| Self { day, outcome, count }).collect()
    }
}

impl KeyUsage {
    /// Nothing yet.
    pub const fn new(tenant: TenantId, key: ApiKeyId) -> Self {
        Self { tenant, key, last: None, counts: Vec::new(), rekeyed: None }
    }
}

impl Rekeyed {
    /// This in the place of that.
    pub const fn new(before: SecretMac, after: SecretMac) -> Self {
        Self { before, after }
    }
}

impl KeyRecord {
    /// A key that was never used.
    pub const fn new(key: ApiKey) -> Self {
        Self { key, last: None, used: 0 }
    }
}
