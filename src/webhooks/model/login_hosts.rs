//! Where a tenant's default login may be sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::primitives::egress::TenantUrl;

/// The hosts that a tenant's default login may be sent to. To every other one, requests go without it.
///
/// ```
/// use crossdock::primitives::EgressPolicy;
/// use crossdock::webhooks::LoginHosts;
///
/// let hosts = LoginHosts::only(["erp.example.com"]);
///
/// assert!(hosts.allow(&EgressPolicy::default().parse("https://erp.example.com:8443/hooks")?));
/// assert!(!hosts.allow(&EgressPolicy::default().parse("https://example.com/hooks")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginHosts {
    /// Every host that one of the tenant's webhooks names: whoever may create a webhook can read the login there.
    All,
    /// These, as URLs have them, in lower case; none at all means nowhere.
    Only(BTreeSet<Arc<str>>),
}

impl LoginHosts {
    /// Just these.
    pub fn only<H: Into<Arc<str>>>(hosts: impl IntoIterator<Item = H>) -> Self {
        Self::Only(hosts.into_iter().map(Into::into).collect())
    }

    /// Whether the login may be sent to this URL, whatever its port.
    pub fn allow(&self, url: &TenantUrl) -> bool {
        match self {
            Self::All => true,
            Self::Only(hosts) => hosts.contains(url.host()),
        }
    }

    /// Whether everything that these allow is allowed by the others as well.
    pub(crate) fn are_within(&self, others: &Self) -> bool {
        match (self, others) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(mine), Self::Only(theirs)) => mine.is_subset(theirs),
        }
    }
}

impl Default for LoginHosts {
    /// Nowhere: what a login may be sent to is always said.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_hosts_are_within_more() {
        let (none, one, two) = (LoginHosts::default(), LoginHosts::only(["a"]), LoginHosts::only(["a", "b"]));
        for (mine, theirs, within) in [
            (&none, &none, true),
            (&one, &two, true),
            (&two, &one, false),
            (&two, &LoginHosts::All, true),
            (&LoginHosts::All, &two, false),
            (&LoginHosts::All, &LoginHosts::All, true),
        ] {
            assert_eq!(mine.are_within(theirs), within, "{mine:?} {theirs:?}");
        }
    }
}
