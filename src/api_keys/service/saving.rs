//! A change is saved with its entry of the log, and this process hears of it at once.

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::api_keys::gate::Inner;
use crate::api_keys::store::KeyChange;
use crate::api_keys::token::PublicId;
use crate::error::Result;
use crate::ports::EntropyExt;
use crate::primitives::id::ActivityId;
use crate::tenancy::model::{Actor, TenantId};

/// Saves changes of one tenant's keys.
pub(crate) struct Saving<'g> {
    gate: &'g Inner,
    tenant: &'g TenantId,
}

impl<'g> Saving<'g> {
    /// How often a change is planned anew when somebody else was faster.
    pub(crate) const RETRIES: usize = 4;

    pub(crate) fn of(gate: &'g Inner, tenant: &'g TenantId) -> Self {
        Self { gate, tenant }
    }

    pub(crate) async fn save(
        &self,
        changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let keys = changes.iter().filter_map(|change| match change {
            KeyChange::Insert(key) | KeyChange::Replace { key, .. } => Some(key.public_id),
            KeyChange::AtMost(_) => None,
        });
        // Whatever becomes of the step, also if nobody waits for it to its end: what is known here may be wrong from now on.
        let _word = Word { gate: self.gate, keys: keys.collect() };
        self.gate.store.save(self.tenant, changes, activity, now).await
    }
}

/// Gives word of a change when the step has ended, however it did.
struct Word<'g> {
    gate: &'g Inner,
    keys: Vec<PublicId>,
}

impl Drop for Word<'_> {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| self.gate.cache.distrust(*key));
    }
}

/// An entry of the log by this actor.
pub(crate) fn entry(
    gate: &Inner,
    actor: &Actor,
    kind: ActivityKind,
    subject: impl Into<Subject>,
    now: DateTime<Utc>,
) -> Activity {
    Activity::new(ActivityId::mint(now, gate.entropy.bytes()), now, actor, kind, subject)
}
