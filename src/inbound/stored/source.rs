//! A source as a store keeps it.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::inbound::scheme::Scheme;
use crate::inbound::source::{Owner, SealedSourceSecret, Source, SourceName, SourceState};
use crate::ports::Sealed;
use crate::primitives::id::SourceId;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Base64, Named, Text, Time};
use crate::primitives::stored::record::{self, FormatOne};
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    id: Text<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<Text<TenantId>>,
    version: u64,
    name: Text<SourceName>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    title: String,
    scheme: Scheme,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<KeptSecret>,
    state: Named<SourceState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reject_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_cap: Option<usize>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Deserialize, Serialize)]
struct KeptSecret {
    sealed: Base64,
    created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

impl Stored for Source {
    fn to_stored(&self) -> Result<String> {
        let secret = |secret: &SealedSourceSecret| KeptSecret {
            sealed: Base64(secret.sealed.shared()),
            created_at: Time(secret.created_at),
            expires_at: secret.expires_at.map(Time),
        };
        record::write(
            "write a source for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                tenant: self.owner.tenant().cloned().map(Text),
                version: self.version.number(),
                name: Text(self.name.clone()),
                title: self.title.clone(),
                scheme: self.scheme.clone(),
                secrets: self.secrets.iter().map(secret).collect(),
                state: Named(self.state),
                public_url: self.public_url.clone(),
                reject_status: self.reject_status,
                body_cap: self.body_cap,
                created_at: Time(self.created_at),
                updated_at: Time(self.updated_at),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read a source that a store has kept", text)?;
        let secret = |kept: KeptSecret| SealedSourceSecret {
            sealed: Sealed::new(kept.sealed.0),
            created_at: kept.created_at.0,
            expires_at: kept.expires_at.map(|Time(end)| end),
        };
        Ok(Self {
            id: kept.id.0,
            owner: kept.tenant.map_or(Owner::Platform, |Text(tenant)| Owner::Tenant(tenant)),
            version: Version::new(kept.version),
            name: kept.name.0,
            title: kept.title,
            scheme: kept.scheme,
            secrets: kept.secrets.into_iter().map(secret).collect(),
            state: kept.state.0,
            public_url: kept.public_url,
            reject_status: kept.reject_status,
            body_cap: kept.body_cap,
            created_at: kept.created_at.0,
            updated_at: kept.updated_at.0,
        })
    }
}

const USUAL_LENGTH: usize = 1024;
