//! May this actor look, may they change?

use std::collections::BTreeSet;

use crate::tenancy::model::{Actor, Entitlement, Role};

/// Who may look at a tenant's integrations and who may change them.
///
/// Members look, organisation administrators change, administrators of the platform may do neither. A host can
/// demand that the tenant's contract holds one of several modules before anything is changed.
///
/// ```
/// use crossdock::tenancy::{AccessPolicy, Actor};
///
/// let policy = AccessPolicy::default().manage_requires_any(["edi", "api"]);
/// let ada = Actor::org_admin("org_42".parse()?, "ada");
///
/// assert!(policy.read(&ada).is_ok());
/// assert!(policy.manage(&ada).is_err());
/// assert!(policy.manage(&ada.with_entitlement("api")).is_ok());
/// # Ok::<(), crossdock::tenancy::InvalidTenantId>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessPolicy {
    manage_requires_any: BTreeSet<Entitlement>,
}

/// Why an actor may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// Nobody above the tenant touches a tenant's integrations.
    #[error("an administrator of the platform may neither see nor change a tenant's integrations")]
    AboveTheTenant,
    /// Members may look, not change.
    #[error("only an administrator of the organisation may change its integrations")]
    NotAnAdministrator,
    /// The tenant's contract lacks every module of which one is needed.
    #[error("the contract has none of the modules that this needs")]
    NotEntitled,
}

impl AccessPolicy {
    /// Demands one of these modules for every change.
    #[must_use]
    pub fn manage_requires_any<E: Into<Entitlement>>(
        mut self,
        entitlements: impl IntoIterator<Item = E>,
    ) -> Self {
        self.manage_requires_any = entitlements.into_iter().map(Into::into).collect();
        self
    }

    /// May they look?
    ///
    /// # Errors
    /// Administrators of the platform may not.
    pub fn read(&self, actor: &Actor) -> Result<(), Denial> {
        match actor.role() {
            Role::Member | Role::OrgAdmin | Role::System => Ok(()),
            Role::SuperAdmin => Err(Denial::AboveTheTenant),
        }
    }

    /// May they change?
    ///
    /// # Errors
    /// Members and administrators of the platform may not, nor may anybody whose contract lacks a needed module.
    /// The host's own code is not asked for modules.
    pub fn manage(&self, actor: &Actor) -> Result<(), Denial> {
        match actor.role() {
            Role::System => Ok(()),
            Role::OrgAdmin if self.is_entitled(actor) => Ok(()),
            Role::OrgAdmin => Err(Denial::NotEntitled),
            Role::Member => Err(Denial::NotAnAdministrator),
            Role::SuperAdmin => Err(Denial::AboveTheTenant),
        }
    }

    fn is_entitled(&self, actor: &Actor) -> bool {
        self.manage_requires_any.is_empty() || !self.manage_requires_any.is_disjoint(actor.entitlements())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::model::TenantId;

    #[test]
    fn each_role_has_its_rights() {
        let policy = AccessPolicy::default().manage_requires_any(["edi", "api"]);
        let tenant: TenantId = "t".parse().expect("a tenant id");
        let entitled = |role| Actor::new(tenant.clone(), "x", role).with_entitlement("edi");
        let plain = |role| Actor::new(tenant.clone(), "x", role);

        for (actor, read, manage) in [
            (plain(Role::Member), Ok(()), Err(Denial::NotAnAdministrator)),
            (entitled(Role::Member), Ok(()), Err(Denial::NotAnAdministrator)),
            (plain(Role::OrgAdmin), Ok(()), Err(Denial::NotEntitled)),
            (entitled(Role::OrgAdmin), Ok(()), Ok(())),
            (entitled(Role::SuperAdmin), Err(Denial::AboveTheTenant), Err(Denial::AboveTheTenant)),
            (plain(Role::System), Ok(()), Ok(())),
        ] {
            assert_eq!((policy.read(&actor), policy.manage(&actor)), (read, manage), "{actor:?}");
        }
    }
}
