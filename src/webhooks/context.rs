//! What the slice works with: its ports and the hub's numbers, in one place.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::activity::store::ActivityStore;
use crate::events::compiled::CompiledCatalog;
use crate::ports::{Clock, Entropy, EntropyExt, Vault, Wake};
use crate::primitives::egress::EgressPolicy;
use crate::primitives::id::ActivityId;
use crate::tenancy::model::Actor;
use crate::tenancy::policy::AccessPolicy;
use crate::webhooks::dispatch::Dispatcher;
use crate::webhooks::notice::{Notice, Notices};
use crate::webhooks::notice_events::NoticeEvents;
use crate::webhooks::queue::DeliveryQueue;
use crate::webhooks::repository::WebhookRepository;
use crate::webhooks::settings::Settings;

/// The ports and numbers of one hub.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) repository: Arc<dyn WebhookRepository>,
    pub(crate) queue: Arc<dyn DeliveryQueue>,
    pub(crate) activity: Arc<dyn ActivityStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Rings when there may be something to fan out, in any process.
    pub(crate) wake: Arc<dyn Wake>,
    /// Rings within this process, when there may be something to claim.
    pub(crate) due: Arc<dyn Wake>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) catalog: CompiledCatalog,
    pub(crate) egress: EgressPolicy,
    pub(crate) access: AccessPolicy,
    pub(crate) notices: Notices,
    pub(crate) notice_events: NoticeEvents,
    pub(crate) settings: Settings,
}

impl Context {
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

    /// Says that there may be something to claim that was not just published, such as a resend: here at once, and in
    /// other processes once their workers have looked for events.
    pub(crate) fn something_is_due(&self) {
        self.due.wake();
        self.wake.wake();
    }

    /// Tells the operator.
    pub(crate) fn tell(&self, notice: Notice) {
        self.notices.tell(&notice);
        self.notice_events.keep(notice);
    }
}
