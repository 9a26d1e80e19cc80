//! What the slice works with: its ports and the hub's numbers, in one place.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::inbound::handlers::Router;
use crate::inbound::service::known::KnownSources;
use crate::inbound::service::platform::PlatformSource;
use crate::inbound::settings::InboundSettings;
use crate::inbound::source::SourceName;
use crate::inbound::store::InboundStore;
use crate::inbound::verifier::Verifier;
use crate::ports::{Clock, Entropy, EntropyExt, Vault, Wake};
use crate::primitives::id::ActivityId;
use crate::tenancy::model::{Actor, TenantId};
use crate::tenancy::policy::AccessPolicy;

/// The ports and numbers of one hub.
#[derive(Debug)]
pub(crate) struct InboundContext {
    pub(crate) store: Arc<dyn InboundStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) vault: Arc<dyn Vault>,
    /// Rings within this process when something was received.
    pub(crate) due: Arc<dyn Wake>,
    pub(crate) access: AccessPolicy,
    pub(crate) router: Router,
    /// The platform's own sources, as the host has declared them.
    pub(crate) platform: BTreeMap<SourceName, PlatformSource>,
    pub(crate) verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    pub(crate) known: KnownSources,
    pub(crate) settings: InboundSettings,
}

impl InboundContext {
    /// An entry of the log by this actor.
    pub(crate) fn activity_by(
        &self,
        actor: &Actor,
        kind: ActivityKind,
        subject: impl Into<Subject>,
        now: DateTime<Utc>,
    ) -> Activity {
        Activity::new(ActivityId::mint(now, self.entropy.bytes()), now, actor, kind, subject)
    }

    /// An entry of the log by the engine itself.
    pub(crate) fn activity_by_engine(
        &self,
        tenant: &TenantId,
        kind: ActivityKind,
        subject: impl Into<Subject>,
        now: DateTime<Utc>,
    ) -> Activity {
        self.activity_by(&Actor::system(tenant.clone(), "crossdock"), kind, subject, now)
    }
}
