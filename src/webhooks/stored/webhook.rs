//! A webhook as a store keeps it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::events::envelope::stored::StoredFormat;
use crate::events::event_type::EventPattern;
use crate::lanes::throttle::{InvalidRate, RateLimit};
use crate::ports::Sealed;
use crate::primitives::egress::{TenantUrl, UrlRefusal};
use crate::primitives::id::WebhookId;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Exact, Label, Named, Nanos, Text, Time};
use crate::primitives::stored::record::{self, FormatOne};
use crate::tenancy::model::{Entitlement, TenantId};
use crate::webhooks::model::{
    DisableReason, LaneStop, Ordered, Ordering, StoredAuth, StoredSecret, Version, Webhook, WebhookState,
};
use crate::webhooks::sign::stored::StoredScheme;
use crate::webhooks::stored::auth::{KeptAuth, KeptSeal};
use crate::webhooks::stored::header::KeptHeader;
use crate::webhooks::stored::retry::StoredRetry;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    id: Text<WebhookId>,
    tenant: Text<TenantId>,
    version: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    url: Text<KeptUrl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Label>,
    events: Vec<Text<EventPattern>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<Label>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entitlements: Vec<Label>,
    #[serde(default)]
    format: StoredFormat,
    /// As text: numbers of any length stay as they were typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mapping: Option<Label>,
    #[serde(default)]
    schemes: Vec<StoredScheme>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<KeptSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<KeptAuth>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<KeptHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<StoredRetry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_limit: Option<StoredRate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordering: Option<KeptOrdering>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<Text<IpNet>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    state: KeptState,
    created_at: Time,
    updated_at: Time,
}

#[derive(Deserialize, Serialize)]
struct KeptSecret {
    sealed: KeptSeal,
    created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "KeptRate", into = "KeptRate")]
struct StoredRate(RateLimit);

#[derive(Deserialize, Serialize)]
struct KeptRate {
    per_second: Exact,
    burst: u32,
}

#[derive(Deserialize, Serialize)]
struct KeptOrdering {
    by: Named<Ordered>,
    on_exhausted: Named<LaneStop>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeptState {
    Active,
    Paused,
    Disabled { reason: Named<DisableReason>, at: Time },
}

/// A URL that is read by its form alone.
struct KeptUrl(TenantUrl);

impl Stored for Webhook {
    fn to_stored(&self) -> Result<String> {
        let secret = |secret: &StoredSecret| KeptSecret {
            sealed: (&secret.sealed).into(),
            created_at: Time(secret.created_at),
            expires_at: secret.expires_at.map(Time),
        };
        record::write(
            "write a webhook for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                tenant: Text(self.tenant.clone()),
                version: self.version.number(),
                name: self.name.clone(),
                url: Text(KeptUrl(self.url.clone())),
                owner: self.owner.clone().map(Label),
                events: self.events.iter().cloned().map(Text).collect(),
                channels: self.channels.iter().cloned().map(Label).collect(),
                entitlements: self.entitlements.iter().map(|module| Label(module.shared())).collect(),
                format: StoredFormat(self.format.clone()),
                mapping: self.mapping.clone().map(Label),
                schemes: self.schemes.iter().cloned().map(StoredScheme).collect(),
                secrets: self.secrets.iter().map(secret).collect(),
                auth: self.auth.as_ref().map(KeptAuth::from),
                headers: self.headers.iter().map(KeptHeader::from).collect(),
                retry: self.retry.clone().map(StoredRetry),
                timeout: self.timeout.map(Nanos),
                rate_limit: self.rate_limit.map(StoredRate),
                max_in_flight: self.max_in_flight,
                ordering: KeptOrdering::of(self.ordering),
                destinations: self.destinations.iter().copied().map(Text).collect(),
                metadata: self.metadata.clone(),
                state: self.state.into(),
                created_at: Time(self.created_at),
                updated_at: Time(self.updated_at),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read a webhook that a store has kept", text)?;
        Ok(Self {
            id: kept.id.0,
            tenant: kept.tenant.0,
            version: Version::new(kept.version),
            name: kept.name,
            url: kept.url.0.0,
            owner: kept.owner.map(|Label(owner)| owner),
            events: kept.events.into_iter().map(|Text(pattern)| pattern).collect(),
            channels: kept.channels.into_iter().map(|Label(channel)| channel).collect(),
            entitlements: kept
                .entitlements
                .into_iter()
                .map(|Label(module)| Entitlement::from(module))
                .collect(),
            format: kept.format.0,
            mapping: kept.mapping.map(|Label(document)| document),
            schemes: kept.schemes.into_iter().map(|StoredScheme(scheme)| scheme).collect(),
            secrets: kept.secrets.into_iter().map(StoredSecret::from).collect(),
            auth: kept.auth.map(StoredAuth::from),
            headers: kept.headers.into_iter().map(<(HeaderName, HeaderValue)>::from).collect(),
            retry: kept.retry.map(|StoredRetry(policy)| policy),
            timeout: kept.timeout.map(|Nanos(timeout)| timeout),
            rate_limit: kept.rate_limit.map(|StoredRate(limit)| limit),
            max_in_flight: kept.max_in_flight,
            ordering: kept.ordering.map_or(Ordering::Unordered, Ordering::from),
            destinations: kept.destinations.into_iter().map(|Text(network)| network).collect(),
            metadata: kept.metadata,
            state: kept.state.into(),
            created_at: kept.created_at.0,
            updated_at: kept.updated_at.0,
        })
    }
}

impl From<KeptSecret> for StoredSecret {
    fn from(kept: KeptSecret) -> Self {
        Self {
            sealed: Sealed::from(kept.sealed),
            created_at: kept.created_at.0,
            expires_at: kept.expires_at.map(|Time(end)| end),
        }
    }
}

impl From<StoredRate> for KeptRate {
    fn from(StoredRate(limit): StoredRate) -> Self {
        Self { per_second: Exact(limit.rate()), burst: limit.burst() }
    }
}

impl TryFrom<KeptRate> for StoredRate {
    type Error = InvalidRate;

    fn try_from(kept: KeptRate) -> Result<Self, InvalidRate> {
        RateLimit::per_second(kept.per_second.0)?.with_burst(kept.burst).map(Self)
    }
}

impl KeptOrdering {
    fn of(ordering: Ordering) -> Option<Self> {
        match ordering {
            Ordering::Unordered => None,
            Ordering::Ordered { by, on_exhausted } => {
                Some(Self { by: Named(by), on_exhausted: Named(on_exhausted) })
            }
        }
    }
}

impl From<KeptOrdering> for Ordering {
    fn from(kept: KeptOrdering) -> Self {
        Self::Ordered { by: kept.by.0, on_exhausted: kept.on_exhausted.0 }
    }
}

impl From<WebhookState> for KeptState {
    fn from(state: WebhookState) -> Self {
        match state {
            WebhookState::Active => Self::Active,
            WebhookState::Paused => Self::Paused,
            WebhookState::Disabled { reason, at } => Self::Disabled { reason: Named(reason), at: Time(at) },
        }
    }
}

impl From<KeptState> for WebhookState {
    fn from(kept: KeptState) -> Self {
        match kept {
            KeptState::Active => Self::Active,
            KeptState::Paused => Self::Paused,
            KeptState::Disabled { reason, at } => Self::Disabled { reason: reason.0, at: at.0 },
        }
    }
}

impl Display for KeptUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for KeptUrl {
    type Err = UrlRefusal;

    fn from_str(text: &str) -> Result<Self, UrlRefusal> {
        TenantUrl::from_kept(text).map(Self)
    }
}

const USUAL_LENGTH: usize = 1024;

#[cfg(test)]
mod tests;
