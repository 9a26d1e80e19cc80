//! Which URLs and which resolved addresses we may call.

use std::fmt;
use std::net::IpAddr;

/// stub
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {}

/// stub
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct TenantUrl(std::sync::Arc<str>);

/// stub
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("refused")]
pub struct UrlRefusal;

/// stub
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("refused")]
pub struct AddressRefusal;

impl EgressPolicy {
    /// stub
    pub fn parse(&self, text: &str) -> Result<TenantUrl, UrlRefusal> {
        Ok(TenantUrl(text.into()))
    }

    /// stub
    pub fn check_address(&self, _address: IpAddr) -> Result<(), AddressRefusal> {
        Ok(())
    }
}

impl TenantUrl {
    /// stub
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
