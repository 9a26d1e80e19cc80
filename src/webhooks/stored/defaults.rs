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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::ports::Sealed;
    use crate::primitives::stored::proof::{any_damage, any_length, broken_field, comes_back, holds_out};
    use crate::webhooks::retry::RetryPolicy;
    use crate::webhooks::stored::auth::tests::any_auth;
    use crate::webhooks::stored::retry::tests::any_retry;

    fn any_defaults() -> impl Strategy<Value = TenantDefaults> {
        (any::<u64>(), option::of(any_auth()), option::of(any_retry()), option::of(any_length())).prop_map(
            |(version, auth, retry, timeout)| {
                let tenant = "org_42".parse().expect("a tenant");
                TenantDefaults { tenant, version: Version::new(version), auth, retry, timeout }
            },
        )
    }

    fn full() -> TenantDefaults {
        TenantDefaults {
            tenant: "org_42".parse().expect("a tenant"),
            version: Version::new(3),
            auth: Some(StoredAuth::Bearer { token: Sealed::new(vec![0xff; 5]) }),
            retry: Some(RetryPolicy::after_seconds([5, 30])),
            timeout: Some(Duration::from_millis(1_500)),
        }
    }

    proptest! {
        #[test]
        fn all_defaults_come_back(defaults in any_defaults()) {
            comes_back(&defaults)?;
        }

        #[test]
        fn any_text_is_defaults_or_an_error(defaults in any_defaults(), damage in any_damage()) {
            holds_out::<TenantDefaults>(&damage.to(&defaults.to_stored()?))?;
        }
    }

    #[test]
    fn defaults_are_written_like_this() -> Result<()> {
        insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"tenant":"org_42","version":3,"auth":{"bearer":{"token":"//////8="}},"retry":{"table":[5000000000,30000000000]},"timeout":1500000000}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(TenantDefaults::from_stored(FIRST)?, full());
        let nothing = TenantDefaults::new("org_42".parse().expect("a tenant"));
        assert_eq!(TenantDefaults::from_stored(r#"{"v":1,"tenant":"org_42"}"#)?, nothing);
        assert_eq!(broken_field::<TenantDefaults>(&FIRST.replace("//", "??")), "auth.bearer.token");
        assert_eq!(
            broken_field::<TenantDefaults>(&FIRST.replace("[5000000000", "[700000000000000")),
            "retry"
        );
        Ok(())
    }

    const FIRST: &str = r#"{"v":1,"tenant":"org_42","version":3,"auth":{"bearer":{"token":"//////8="}},"retry":{"table":[5000000000,30000000000]},"timeout":1500000000}"#;
}
