//! A tenant's defaults as a store keeps them.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Nanos, Text, says_nothing};
use crate::primitives::stored::record::{self, FormatOne};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{StoredAuth, TenantDefaults, Version};
use crate::webhooks::stored::auth::KeptAuth;
use crate::webhooks::stored::retry::StoredRetry;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    tenant: Text<TenantId>,
    #[serde(default, skip_serializing_if = "says_nothing")]
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<KeptAuth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<StoredRetry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Nanos>,
}

impl Stored for TenantDefaults {
    fn to_stored(&self) -> Result<String> {
        record::write(
            "write a tenant's defaults for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                tenant: Text(self.tenant.clone()),
                version: self.version.number(),
                auth: self.auth.as_ref().map(KeptAuth::from),
                retry: self.retry.clone().map(StoredRetry),
                timeout: self.timeout.map(Nanos),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read a tenant's defaults that a store has kept", text)?;
        Ok(Self {
            tenant: kept.tenant.0,
            version: Version::new(kept.version),
            auth: kept.auth.map(StoredAuth::from),
            retry: kept.retry.map(|StoredRetry(policy)| policy),
            timeout: kept.timeout.map(|Nanos(timeout)| timeout),
        })
    }
}

const USUAL_LENGTH: usize = 256;
