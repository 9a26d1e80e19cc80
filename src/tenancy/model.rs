//! Tenants and the people who act for them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::primitives::stored::word::words;

/// Names one tenant: opaque text of 1 to 128 bytes, as the host names its organisations.
///
/// ```
/// use crossdock::tenancy::TenantId;
///
/// let tenant: TenantId = "org_42".parse()?;
///
/// assert_eq!(tenant.as_str(), "org_42");
/// assert!("".parse::<TenantId>().is_err());
/// # Ok::<(), crossdock::tenancy::InvalidTenantId>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TenantId(Arc<str>);

/// The text is not a tenant id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tenant id is 1 to 128 bytes of text without control characters")]
pub struct InvalidTenantId;

/// Somebody who looks at, or changes, one tenant's integrations.
///
/// The actor carries the tenant, so that no call can name another one.
///
/// ```
/// use crossdock::tenancy::{Actor, Role};
///
/// let ada = Actor::org_admin("org_42".parse()?, "ada").with_entitlement("edi");
///
/// assert_eq!(ada.role(), Role::OrgAdmin);
/// # Ok::<(), crossdock::tenancy::InvalidTenantId>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    tenant: TenantId,
    name: Arc<str>,
    role: Role,
    entitlements: BTreeSet<Entitlement>,
}

/// What somebody is within, above or beside a tenant.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Belongs to the tenant and may look.
    Member,
    /// Administers the tenant and may change.
    OrgAdmin,
    /// Administers the platform; may neither look nor change.
    SuperAdmin,
    /// The host's own code or the engine itself.
    System,
}

/// A module of the tenant's contract, as the host names it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Entitlement(Arc<str>);

impl TenantId {
    /// The longest tenant id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The host's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(InvalidTenantId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({:?})", &*self.0)
    }
}

impl Actor {
    /// A member of the tenant: may look.
    pub fn member(tenant: TenantId, name: impl Into<Arc<str>>) -> Self {
        Self::new(tenant, name, Role::Member)
    }

    /// An administrator of the tenant: may look and change.
    pub fn org_admin(tenant: TenantId, name: impl Into<Arc<str>>) -> Self {
        Self::new(tenant, name, Role::OrgAdmin)
    }

    /// An administrator of the platform: may do neither, because nobody above the tenant touches a
    /// tenant's integrations.
    pub fn super_admin(tenant: TenantId, name: impl Into<Arc<str>>) -> Self {
        Self::new(tenant, name, Role::SuperAdmin)
    }

    /// The host's own code, such as a migration or an import; the engine acts as one, too.
    pub fn system(tenant: TenantId, name: impl Into<Arc<str>>) -> Self {
        Self::new(tenant, name, Role::System)
    }

    /// The actor of this role.
    pub fn new(tenant: TenantId, name: impl Into<Arc<str>>, role: Role) -> Self {
        Self { tenant, name: name.into(), role, entitlements: BTreeSet::new() }
    }

    /// Adds a module of the tenant's contract.
    #[must_use]
    pub fn with_entitlement(mut self, entitlement: impl Into<Entitlement>) -> Self {
        self.entitlements.insert(entitlement.into());
        self
    }

    /// For whom they act.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who they are, as the host names its users; it stands in the activity log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they are.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The modules of the tenant's contract.
    pub fn entitlements(&self) -> &BTreeSet<Entitlement> {
        &self.entitlements
    }
}

words!(Role {
    Member => "member",
    OrgAdmin => "org_admin",
    SuperAdmin => "super_admin",
    System => "system",
});

impl Entitlement {
    /// The host's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text once more, without a copy.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl<T: Into<Arc<str>>> From<T> for Entitlement {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}
