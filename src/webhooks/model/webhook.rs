//! A tenant's subscription, as it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::events::envelope::PayloadFormat;
use crate::events::event_type::EventPattern;
use crate::lanes::throttle::RateLimit;
use crate::ports::Sealed;
use crate::primitives::egress::TenantUrl;
use crate::primitives::id::WebhookId;
use crate::primitives::stored::word::words;
use crate::primitives::version::Version;
use crate::tenancy::model::{Entitlement, TenantId};
use crate::webhooks::model::delivery::SkipReason;
use crate::webhooks::model::login_hosts::LoginHosts;
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::sign::SignatureScheme;

/// A tenant's subscription: which events go to which URL, signed and sent how.
///
/// Secrets are sealed; nothing here can be turned back into a credential without the vault.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Webhook {
    /// Names the webhook.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Grows with every change; an update names the version it was made from.
    pub version: Version,
    /// What people call it.
    pub name: String,
    /// Where deliveries go.
    pub url: TenantUrl,
    /// If set, only events with this same owner are heard.
    pub owner: Option<Arc<str>>,
    /// Which event types are heard; at least one pattern.
    pub events: Vec<EventPattern>,
    /// If not empty, only events that carry one of these channels are heard.
    pub channels: Vec<Arc<str>>,
    /// The modules of the tenant's contract when it was last saved: they open event types that are gated.
    pub entitlements: BTreeSet<Entitlement>,
    /// How an event becomes bytes.
    pub format: PayloadFormat,
    /// The mapping document, as JSON, that writes the whole body instead of the format.
    pub mapping: Option<Arc<str>>,
    /// How requests are signed, side by side; none means unsigned.
    pub schemes: Vec<SignatureScheme>,
    /// The signing secrets, newest first; all but the first end at their time.
    pub secrets: Vec<StoredSecret>,
    /// How requests log in; `None` means the tenant's default.
    pub auth: Option<StoredAuth>,
    /// Headers that every request carries; not for credentials.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// When failed deliveries are tried again; `None` means the tenant's or the hub's default.
    pub retry: Option<RetryPolicy>,
    /// How long a request may take in all; `None` means the hub's default.
    pub timeout: Option<Duration>,
    /// At most so many requests per second.
    pub rate_limit: Option<RateLimit>,
    /// At most so many requests at once; `None` means the hub's default.
    pub max_in_flight: Option<u32>,
    /// Whether deliveries keep the order of events.
    pub ordering: Ordering,
    /// If not empty, requests go only to addresses in these networks.
    pub destinations: Arc<[IpNet]>,
    /// The host's own labels.
    pub metadata: BTreeMap<String, String>,
    /// Whether deliveries are made, wait, or are skipped.
    pub state: WebhookState,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Whether a webhook's deliveries are made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WebhookState {
    /// They are made.
    Active,
    /// They wait; nothing is lost.
    Paused,
    /// Events are recorded as skipped, and can be replayed.
    Disabled {
        /// By whom or what.
        reason: DisableReason,
        /// Since when.
        at: DateTime<Utc>,
    },
}

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DisableReason {
    /// A person has switched it off.
    ByPerson,
    /// The receiver answered 410 Gone.
    Gone,
    /// The receiver answered `webhook-delivery: disable`.
    Asked,
    /// It has failed for too long.
    TooManyFailures,
}

/// Whether deliveries keep the order of events.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Ordering {
    /// As fast as possible, in any order.
    #[default]
    Unordered,
    /// One in flight at a time; a failing delivery holds back those behind it.
    Ordered {
        /// What is kept in order.
        by: Ordered,
        /// What happens when the head of the order cannot be delivered.
        on_exhausted: LaneStop,
    },
}

/// What is kept in order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Ordered {
    /// All deliveries of the webhook.
    All,
    /// Deliveries with the same ordering key; events without a key form an order of their own.
    ByKey,
}

/// What happens to an order whose head cannot be delivered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LaneStop {
    /// It stands still until a person releases it.
    Stop,
    /// The head becomes a dead letter and the next one goes.
    Skip,
}

/// Deliveries of one webhook with equal keys are made one after the other.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrderKey(u64);

/// One signing secret, sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredSecret {
    /// The secret as the vault has sealed it.
    pub sealed: Sealed,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From then on it no longer signs; `None` for the present one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How requests log in at the receiver; credentials are sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StoredAuth {
    /// Not at all, even if the tenant has a default.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: Option<Sealed>,
    },
    /// `authorization: Bearer …`.
    Bearer {
        /// The token.
        token: Sealed,
    },
    /// Headers of the receiver's own, such as an API key.
    Headers(Vec<(HeaderName, Sealed)>),
}

/// What applies to all webhooks of a tenant that do not say otherwise.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TenantDefaults {
    /// Whose they are.
    pub tenant: TenantId,
    /// Grows with every change; 0 as long as nothing was ever set.
    pub version: Version,
    /// One login for the tenant's webhooks that have none of their own.
    pub auth: Option<StoredAuth>,
    /// Where that login may be sent.
    pub auth_hosts: LoginHosts,
    /// One retry policy for all of the tenant's webhooks.
    pub retry: Option<RetryPolicy>,
    /// One timeout for all of the tenant's webhooks.
    pub timeout: Option<Duration>,
}

impl Webhook {
    /// An active webhook with nothing but the necessary.
    pub fn new(
        id: WebhookId,
        tenant: TenantId,
        url: TenantUrl,
        events: Vec<EventPattern>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            tenant,
            version: Version::FIRST,
            name: String::new(),
            url,
            owner: None,
            events,
            channels: Vec::new(),
            entitlements: BTreeSet::new(),
            format: PayloadFormat::default(),
            mapping: None,
            schemes: Vec::new(),
            secrets: Vec::new(),
            auth: None,
            headers: Vec::new(),
            retry: None,
            timeout: None,
            rate_limit: None,
            max_in_flight: None,
            ordering: Ordering::Unordered,
            destinations: Arc::new([]),
            metadata: BTreeMap::new(),
            state: WebhookState::Active,
            created_at,
            updated_at: created_at,
        }
    }

    /// Whether deliveries are made or wait, rather than being skipped.
    pub fn is_enabled(&self) -> bool {
        !matches!(self.state, WebhookState::Disabled { .. })
    }

    /// Why a delivery of this webhook cannot wait, if it cannot; `None` as the webhook means that it was deleted.
    pub fn refusal(webhook: Option<&Self>) -> Option<SkipReason> {
        match webhook {
            None => Some(SkipReason::WebhookDeleted),
            Some(webhook) if !webhook.is_enabled() => Some(SkipReason::WebhookDisabled),
            Some(_) => None,
        }
    }

    /// Disables it, as a new version.
    pub fn disable(&mut self, reason: DisableReason, now: DateTime<Utc>) {
        self.version = self.version.next();
        self.state = WebhookState::Disabled { reason, at: now };
        self.updated_at = now;
    }

    /// Every sealed value that the record holds.
    pub fn seals(&self) -> impl Iterator<Item = &Sealed> {
        self.secrets.iter().map(|secret| &secret.sealed).chain(self.auth.iter().flat_map(StoredAuth::seals))
    }

    /// Puts one sealed value in the place of another, wherever it stands; says whether it stood anywhere.
    pub fn reseal(&mut self, before: &Sealed, after: &Sealed) -> bool {
        let secrets = self.secrets.iter_mut().map(|secret| &mut secret.sealed);
        replace_seal(secrets.chain(self.auth.iter_mut().flat_map(StoredAuth::seals_mut)), before, after)
    }

    /// The order in which a delivery stands, or `None` if this webhook keeps none.
    pub fn order_key(&self, ordering_key: Option<&str>) -> Option<OrderKey> {
        match self.ordering {
            Ordering::Unordered => None,
            Ordering::Ordered { by: Ordered::All, .. } => Some(OrderKey::WHOLE),
            Ordering::Ordered { by: Ordered::ByKey, .. } => {
                Some(ordering_key.map_or(OrderKey::WHOLE, OrderKey::of))
            }
        }
    }
}

impl OrderKey {
    /// The one order of a webhook that keeps all its deliveries in order.
    pub const WHOLE: Self = Self(0);

    /// The order of this ordering key; equal on every machine and in every version.
    pub fn of(key: &str) -> Self {
        // FNV-1a: stable and without a seed. A collision only means that two keys wait for each other.
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(hash)
    }

    /// The order that a store has kept under this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// What a store keeps.
    pub const fn number(self) -> u64 {
        self.0
    }
}

words!(Ordered {
    All => "all",
    ByKey => "by_key",
});

words!(LaneStop {
    Stop => "stop",
    Skip => "skip",
});

words!(DisableReason {
    ByPerson => "by_person",
    Gone => "gone",
    Asked => "asked",
    TooManyFailures => "too_many_failures",
});

impl StoredSecret {
    /// A secret that signs until it is replaced.
    pub fn new(sealed: Sealed, created_at: DateTime<Utc>) -> Self {
        Self { sealed, created_at, expires_at: None }
    }

    /// Whether it still signs.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl StoredAuth {
    /// Every sealed value in it.
    pub fn seals(&self) -> impl Iterator<Item = &Sealed> {
        let (one, many) = match self {
            Self::None => (None, &[][..]),
            Self::Basic { password, .. } => (password.as_ref(), &[][..]),
            Self::Bearer { token } => (Some(token), &[][..]),
            Self::Headers(headers) => (None, &headers[..]),
        };
        one.into_iter().chain(many.iter().map(|(_, sealed)| sealed))
    }

    fn seals_mut(&mut self) -> impl Iterator<Item = &mut Sealed> {
        let (one, many) = match self {
            Self::None => (None, &mut [][..]),
            Self::Basic { password, .. } => (password.as_mut(), &mut [][..]),
            Self::Bearer { token } => (Some(token), &mut [][..]),
            Self::Headers(headers) => (None, &mut headers[..]),
        };
        one.into_iter().chain(many.iter_mut().map(|(_, sealed)| sealed))
    }
}

fn replace_seal<'a>(seals: impl Iterator<Item = &'a mut Sealed>, before: &Sealed, after: &Sealed) -> bool {
    let mut was_there = false;
    for seal in seals.filter(|seal| *seal == before) {
        *seal = after.clone();
        was_there = true;
    }
    was_there
}

impl TenantDefaults {
    /// Every sealed value that the record holds.
    pub fn seals(&self) -> impl Iterator<Item = &Sealed> {
        self.auth.iter().flat_map(StoredAuth::seals)
    }

    /// Puts one sealed value in the place of another, wherever it stands; says whether it stood anywhere.
    pub fn reseal(&mut self, before: &Sealed, after: &Sealed) -> bool {
        replace_seal(self.auth.iter_mut().flat_map(StoredAuth::seals_mut), before, after)
    }

    /// Nothing is set.
    pub fn new(tenant: TenantId) -> Self {
        let auth_hosts = LoginHosts::default();
        Self { tenant, version: Version::NONE, auth: None, auth_hosts, retry: None, timeout: None }
    }

    /// How requests to this URL log in, if its webhook does not say: a login goes only where it may be sent.
    pub fn auth_for(&self, url: &TenantUrl) -> Option<&StoredAuth> {
        self.auth.as_ref().filter(|_| self.auth_hosts.allow(url))
    }
}
