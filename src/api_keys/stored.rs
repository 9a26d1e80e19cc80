//! A key as a store keeps it.

use bytes::Bytes;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::api_keys::model::{ApiKey, KeyState, Succession};
use crate::api_keys::pepper::{PepperId, SecretMac};
use crate::api_keys::permission::Permission;
use crate::api_keys::rate::{CallRate, InvalidCallRate};
use crate::api_keys::scope::{Rights, Scope};
use crate::api_keys::token::{Environment, PublicId};
use crate::error::Result;
use crate::primitives::id::ApiKeyId;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Base64, Label, Named, Nanos, Text, Time};
use crate::primitives::stored::record::{self, FormatOne};
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    id: Text<ApiKeyId>,
    tenant: Text<TenantId>,
    version: u64,
    public_id: Text<PublicId>,
    environment: Named<Environment>,
    mac: StoredMac,
    display: Label,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<Named<Permission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<Text<Scope>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    networks: Vec<Text<IpNet>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<StoredRate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address_rate: Option<StoredRate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_uses: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    state: KeptState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaked_at: Option<Time>,
    line: Text<ApiKeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    successor: Option<KeptSuccession>,
    created_at: Time,
    created_by: Label,
    updated_at: Time,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "KeptMac", into = "KeptMac")]
struct StoredMac(SecretMac);

#[derive(Deserialize, Serialize)]
struct KeptMac {
    pepper: Text<PepperId>,
    code: Base64,
}

/// What is kept of a secret has another length.
#[derive(Debug, thiserror::Error)]
#[error("unreadable")]
struct AnotherLength;

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "KeptRate", into = "KeptRate")]
struct StoredRate(CallRate);

#[derive(Deserialize, Serialize)]
struct KeptRate {
    calls: u32,
    span: Nanos,
    burst: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeptState {
    Active,
    Disabled { at: Time },
    Revoked { at: Time, reason: String },
}

#[derive(Deserialize, Serialize)]
struct KeptSuccession {
    key: Text<ApiKeyId>,
    until: Time,
}

impl Stored for ApiKey {
    fn to_stored(&self) -> Result<String> {
        let state = match &self.state {
            KeyState::Active => KeptState::Active,
            KeyState::Disabled { at } => KeptState::Disabled { at: Time(*at) },
            KeyState::Revoked { at, reason } => KeptState::Revoked { at: Time(*at), reason: reason.clone() },
        };
        let succession = |succession: Succession| KeptSuccession {
            key: Text(succession.key),
            until: Time(succession.until),
        };
        record::write(
            "write a key for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                tenant: Text(self.tenant.clone()),
                version: self.version.number(),
                public_id: Text(self.public_id),
                environment: Named(self.environment),
                mac: StoredMac(self.mac.clone()),
                display: Label(self.display.clone()),
                name: self.name.clone(),
                permissions: self.rights.permissions().iter().map(Named).collect(),
                scopes: self.rights.scopes().iter().cloned().map(Text).collect(),
                networks: self.networks.iter().copied().map(Text).collect(),
                rate: self.rate.map(StoredRate),
                address_rate: self.address_rate.map(StoredRate),
                max_uses: self.max_uses,
                not_before: self.not_before.map(Time),
                expires_at: self.expires_at.map(Time),
                state,
                leaked_at: self.leaked_at.map(Time),
                line: Text(self.line),
                successor: self.successor.map(succession),
                created_at: Time(self.created_at),
                created_by: Label(self.created_by.clone()),
                updated_at: Time(self.updated_at),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read a key that a store has kept", text)?;
        let permissions = kept.permissions.into_iter().map(|Named(permission)| permission);
        let scopes = kept.scopes.into_iter().map(|Text(scope)| scope);
        Ok(Self {
            id: kept.id.0,
            tenant: kept.tenant.0,
            version: Version::new(kept.version),
            public_id: kept.public_id.0,
            environment: kept.environment.0,
            mac: kept.mac.0,
            display: kept.display.0,
            name: kept.name,
            rights: scopes.fold(Rights::new(permissions), Rights::with_scope),
            networks: kept.networks.into_iter().map(|Text(network)| network).collect(),
            rate: kept.rate.map(|StoredRate(rate)| rate),
            address_rate: kept.address_rate.map(|StoredRate(rate)| rate),
            max_uses: kept.max_uses,
            not_before: kept.not_before.map(|Time(time)| time),
            expires_at: kept.expires_at.map(|Time(time)| time),
            state: match kept.state {
                KeptState::Active => KeyState::Active,
                KeptState::Disabled { at } => KeyState::Disabled { at: at.0 },
                KeptState::Revoked { at, reason } => KeyState::Revoked { at: at.0, reason },
            },
            leaked_at: kept.leaked_at.map(|Time(time)| time),
            line: kept.line.0,
            successor: kept.successor.map(|kept| Succession::new(kept.key.0, kept.until.0)),
            created_at: kept.created_at.0,
            created_by: kept.created_by.0,
            updated_at: kept.updated_at.0,
        })
    }
}

impl From<StoredMac> for KeptMac {
    fn from(StoredMac(mac): StoredMac) -> Self {
        Self { pepper: Text(mac.pepper().clone()), code: Base64(Bytes::copy_from_slice(mac.code())) }
    }
}

impl TryFrom<KeptMac> for StoredMac {
    type Error = AnotherLength;

    fn try_from(kept: KeptMac) -> std::result::Result<Self, AnotherLength> {
        let code = kept.code.0[..].try_into().map_err(|_| AnotherLength)?;
        Ok(Self(SecretMac::new(kept.pepper.0, code)))
    }
}

impl From<StoredRate> for KeptRate {
    fn from(StoredRate(rate): StoredRate) -> Self {
        Self { calls: rate.calls(), span: Nanos(rate.span()), burst: rate.burst() }
    }
}

impl TryFrom<KeptRate> for StoredRate {
    type Error = InvalidCallRate;

    fn try_from(kept: KeptRate) -> std::result::Result<Self, InvalidCallRate> {
        CallRate::per(kept.calls, kept.span.0)?.with_burst(kept.burst).map(Self)
    }
}

/// A key with a scope and a network or two.
const USUAL_LENGTH: usize = 640;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::primitives::stored::proof::{
        any_damage, any_label, any_time, broken_field, comes_back, holds_out,
    };

    fn any_key() -> impl Strategy<Value = ApiKey> {
        let rate = || {
            let numbers = (1..1_000_000_u32, 1..86_400_u64, 1..1_000_000_u32);
            let rate = numbers.prop_filter_map("a rate", |(calls, seconds, burst)| {
                CallRate::per(calls, Duration::from_secs(seconds))
                    .and_then(|rate| rate.with_burst(burst))
                    .ok()
            });
            option::of(rate)
        };
        let state = prop_oneof![
            Just(KeyState::Active),
            any_time().prop_map(|at| KeyState::Disabled { at }),
            (any_time(), any::<String>()).prop_map(|(at, reason)| KeyState::Revoked { at, reason }),
        ];
        let scopes = vec(select(vec!["orders:read", "orders/*:write", "a/b/c:delete"]), 0..3);
        let networks = vec(select(vec!["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"]), 0..3);
        let rights = (vec(select(Permission::ALL.to_vec()), 0..4), scopes, networks, rate(), rate());
        let times =
            (option::of(any_time()), option::of(any_time()), option::of(any_time()), any_time(), any_time());
        let texts = (any_label(), any::<String>(), any_label());
        let numbers =
            (any::<u128>(), any::<[u8; 16]>(), any::<[u8; 32]>(), any::<u64>(), option::of(any::<u64>()));
        (numbers, texts, rights, times, state, option::of((any::<u128>(), any_time()))).prop_map(
            |(
                (id, public, code, version, max_uses),
                (display, name, by),
                rights,
                times,
                state,
                successor,
            )| {
                let id = ApiKeyId::from_uuid(uuid::Uuid::from_u128(id));
                let mac = SecretMac::new("2026-01".parse().expect("an id"), code);
                let tenant = "org_42".parse().expect("a tenant");
                let mut key = ApiKey::new(id, tenant, PublicId::mint(public), mac, display, times.3);
                (key.name, key.created_by, key.updated_at) = (name, by, times.4);
                (key.not_before, key.expires_at, key.leaked_at) = (times.0, times.1, times.2);
                let (permissions, scopes, networks, rate, address_rate) = rights;
                let scopes = scopes.into_iter().map(|text| text.parse().expect("a scope"));
                key.rights = scopes.fold(Rights::new(permissions), Rights::with_scope);
                key.networks = networks.into_iter().map(|text| text.parse().expect("a network")).collect();
                (key.rate, key.address_rate, key.max_uses) = (rate, address_rate, max_uses);
                (key.version, key.state) = (Version::new(version), state);
                key.successor = successor.map(|(key, until)| {
                    Succession::new(ApiKeyId::from_uuid(uuid::Uuid::from_u128(key)), until)
                });
                key
            },
        )
    }

    proptest! {
        #[test]
        fn every_key_comes_back(key in any_key()) {
            comes_back(&key)?;
        }

        #[test]
        fn any_text_is_a_key_or_an_error(key in any_key(), damage in any_damage()) {
            holds_out::<ApiKey>(&damage.to(&key.to_stored()?))?;
        }
    }

    fn simple() -> ApiKey {
        let at = DateTime::from_timestamp_nanos(1_767_225_600_000_001_000);
        let mac = SecretMac::new("2026-01".parse().expect("an id"), [7; 32]);
        let id = ApiKeyId::mint(at, [7; 10]);
        let tenant = "org_42".parse().expect("a tenant");
        let mut key = ApiKey::new(id, tenant, PublicId::mint([7; 16]), mac, "cd_live_Ov2l…ztSa", at);
        key.rights = Rights::new([Permission::Read]).with_scope("orders:write".parse().expect("a scope"));
        key.rate = CallRate::per_minute(60).ok();
        key
    }

    #[test]
    fn a_key_is_written_like_this_and_read_for_ever() -> Result<()> {
        assert_eq!(simple().to_stored()?, FIRST);
        assert_eq!(ApiKey::from_stored(FIRST)?, simple());
        assert_eq!(broken_field::<ApiKey>(&FIRST.replace("\"read\"", "\"king\"")), "permissions[0]");
        assert_eq!(broken_field::<ApiKey>(&FIRST.replace("\"calls\":60", "\"calls\":0")), "rate");
        Ok(())
    }

    const FIRST: &str = r#"{"v":1,"id":"key_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","version":1,"public_id":"Ov2l6AkSp3WsPxY7","environment":"live","mac":{"pepper":"2026-01","code":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="},"display":"cd_live_Ov2l…ztSa","permissions":["read"],"scopes":["orders:write"],"rate":{"calls":60,"span":60000000000,"burst":60},"state":"active","line":"key_01kdvdna00ew3re1r70w3ge1r7","created_at":"2026-01-01T00:00:00.000001Z","created_by":"","updated_at":"2026-01-01T00:00:00.000001Z"}"#;
}
