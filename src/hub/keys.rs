//! The hub's calls about API keys.

use std::sync::Arc;

use crate::activity::store::ActivityStore;
use crate::api_keys::call::{ApiCall, Authenticated};
use crate::api_keys::gate::Gate;
use crate::api_keys::permission::Permission;
use crate::api_keys::refusal::Refused;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hub::admin::Admin;
use crate::hub::handle::Hub;
use crate::tenancy::model::Actor;

/// The gate, and the log of what happens to keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) gate: Gate,
    pub(super) activity: Arc<dyn ActivityStore>,
}

impl Hub {
    /// Lets a call of the host's API in, or refuses it: [`Gate::authenticate`].
    ///
    /// Dropping the future leaves the call uncounted.
    ///
    /// # Errors
    /// The call is refused.
    pub async fn authenticate(&self, call: &ApiCall<'_>) -> Result<Authenticated, Refused> {
        self.keys.gate.authenticate(call).await
    }

    /// The gate that calls of the host's API pass. A host runs its [`run_until`](Gate::run_until) beside its server.
    pub fn gate(&self) -> &Gate {
        &self.keys.gate
    }

    /// The tenant's integrations as the owner of this key may see and change them. They can give no key more rights than their own.
    ///
    /// # Errors
    /// `Denied` for a key without the permission to administer.
    pub fn admin_by_key(&self, caller: &Authenticated) -> Result<Admin> {
        if !caller.rights().permissions().contain(Permission::Admin) {
            let rule = "managing integrations is administrative";
            return Err(Error::new(ErrorKind::Denied, "administer with a key").with_problem(Problem::new(
                "rights",
                rule,
                "use a key with the permission `admin`",
            )));
        }
        let actor = Actor::org_admin(caller.tenant().clone(), caller.key().to_string());
        Ok(Admin::new(self, actor, Some(caller.rights().clone())))
    }
}
