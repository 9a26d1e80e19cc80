//! One entry of the activity log.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::primitives::id::ActivityId;
use crate::primitives::stored::word::words;
use crate::tenancy::model::{Actor, Role, TenantId};

/// Who did what to which record, and when. It never holds a secret or a payload.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Activity {
    /// Names the entry; entries sort by it.
    pub id: ActivityId,
    /// For whom.
    pub tenant: TenantId,
    /// When.
    pub at: DateTime<Utc>,
    /// The name of whoever did it: the host's name for a person, `crossdock` for the engine.
    pub actor: Arc<str>,
    /// What they are.
    pub role: Role,
    /// What was done.
    pub kind: ActivityKind,
    /// To what.
    pub subject: Subject,
    /// What is worth knowing besides, such as `reason`.
    pub details: BTreeMap<Cow<'static, str>, String>,
}

/// The record that something was done to.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Subject(Arc<str>);

/// What was done.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ActivityKind {
    /// A webhook was created.
    WebhookCreated,
    /// A webhook's settings were changed.
    WebhookUpdated,
    /// A webhook was paused: its deliveries wait.
    WebhookPaused,
    /// A webhook delivers again.
    WebhookResumed,
    /// A webhook was disabled, by a person or by the engine.
    WebhookDisabled,
    /// A webhook was deleted.
    WebhookDeleted,
    /// A webhook has a new secret.
    SecretRotated,
    /// A test was sent.
    WebhookTested,
    /// A webhook is on its way to being disabled for failing.
    WebhookFailing,
    /// A failing webhook delivers again.
    WebhookRecovered,
    /// An ordered lane stands still behind a delivery that could not be made.
    LaneStopped,
    /// A stopped lane goes on.
    LaneReleased,
    /// A delivery became a dead letter.
    DeadLettered,
    /// A delivery was asked for once more.
    DeliveryResent,
    /// A replay was started.
    ReplayStarted,
    /// A replay was cancelled.
    ReplayCancelled,
    /// A replay has made all its deliveries.
    ReplayCompleted,
    /// The tenant's defaults were changed.
    DefaultsUpdated,
    /// The payloads about a subject were erased.
    SubjectErased,
    /// An API key was made.
    KeyCreated,
    /// An API key was disabled.
    KeyDisabled,
    /// An API key may be used again.
    KeyEnabled,
    /// An API key was revoked.
    KeyRevoked,
    /// An API key has a successor.
    KeyRegenerated,
    /// An API key was found in the open.
    KeyLeaked,
    /// Calls with an API key were refused.
    KeyRefused,
    /// Calls of the host's API were answered.
    ApiCalled,
    /// A call of the host's API, or several, ended with an error.
    ApiCallFailed,
    /// A source of inbound webhooks was created.
    SourceCreated,
    /// A source's settings were changed.
    SourceUpdated,
    /// A source was switched on or off.
    SourceSwitched,
    /// A source has another secret.
    SourceSecretRotated,
    /// A source was deleted.
    SourceDeleted,
    /// Something that was received became a dead letter.
    ReceivedDead,
    /// What was received was asked to be handled once more.
    ReceivedReplayed,
}

impl Activity {
    /// An entry by this actor.
    pub fn new(
        id: ActivityId,
        at: DateTime<Utc>,
        actor: &Actor,
        kind: ActivityKind,
        subject: impl Into<Subject>,
    ) -> Self {
        Self {
            id,
            tenant: actor.tenant().clone(),
            at,
            actor: actor.name().into(),
            role: actor.role(),
            kind,
            subject: subject.into(),
            details: BTreeMap::new(),
        }
    }

    /// Adds something worth knowing.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Whether it is a change that somebody has made to the tenant's integrations, and so belongs into the tenant's
    /// [chain](crate::activity::chain). What the engine does by itself, such as disabling a webhook that fails, does not.
    pub fn is_administrative(&self) -> bool {
        let is_engines = self.role == Role::System && &*self.actor == ENGINE;
        self.kind.is_of_management() && !(is_engines && self.kind == ActivityKind::WebhookDisabled)
    }
}

/// What the engine calls itself in the log.
pub(crate) const ENGINE: &str = "crossdock";

words!(ActivityKind {
    WebhookCreated => "webhook.created",
    WebhookUpdated => "webhook.updated",
    WebhookPaused => "webhook.paused",
    WebhookResumed => "webhook.resumed",
    WebhookDisabled => "webhook.disabled",
    WebhookDeleted => "webhook.deleted",
    SecretRotated => "webhook.secret_rotated",
    WebhookTested => "webhook.tested",
    WebhookFailing => "webhook.failing",
    WebhookRecovered => "webhook.recovered",
    LaneStopped => "lane.stopped",
    LaneReleased => "lane.released",
    DeadLettered => "delivery.dead_lettered",
    DeliveryResent => "delivery.resent",
    ReplayStarted => "replay.started",
    ReplayCancelled => "replay.cancelled",
    ReplayCompleted => "replay.completed",
    DefaultsUpdated => "defaults.updated",
    SubjectErased => "subject.erased",
    KeyCreated => "key.created",
    KeyDisabled => "key.disabled",
    KeyEnabled => "key.enabled",
    KeyRevoked => "key.revoked",
    KeyRegenerated => "key.regenerated",
    KeyLeaked => "key.leaked",
    KeyRefused => "key.refused",
    ApiCalled => "api.called",
    ApiCallFailed => "api.failed",
    SourceCreated => "source.created",
    SourceUpdated => "source.updated",
    SourceSwitched => "source.switched",
    SourceSecretRotated => "source.secret_rotated",
    SourceDeleted => "source.deleted",
    ReceivedDead => "received.dead_lettered",
    ReceivedReplayed => "received.replayed",
});

impl ActivityKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::WebhookCreated,
        Self::WebhookUpdated,
        Self::WebhookPaused,
        Self::WebhookResumed,
        Self::WebhookDisabled,
        Self::WebhookDeleted,
        Self::SecretRotated,
        Self::WebhookTested,
        Self::WebhookFailing,
        Self::WebhookRecovered,
        Self::LaneStopped,
        Self::LaneReleased,
        Self::DeadLettered,
        Self::DeliveryResent,
        Self::ReplayStarted,
        Self::ReplayCancelled,
        Self::ReplayCompleted,
        Self::DefaultsUpdated,
        Self::SubjectErased,
        Self::KeyCreated,
        Self::KeyDisabled,
        Self::KeyEnabled,
        Self::KeyRevoked,
        Self::KeyRegenerated,
        Self::KeyLeaked,
        Self::KeyRefused,
        Self::ApiCalled,
        Self::ApiCallFailed,
    ];

    /// Whether it says that something went wrong and may need somebody. A webhook that is disabled is one, whoever did it: it
    /// delivers nothing.
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::WebhookFailing
                | Self::WebhookDisabled
                | Self::LaneStopped
                | Self::DeadLettered
                | Self::ReceivedDead
                | Self::KeyLeaked
                | Self::KeyRefused
                | Self::ApiCallFailed
        )
    }

    /// Whether somebody who manages does it, and not the engine or a caller of the API.
    const fn is_of_management(self) -> bool {
        !matches!(
            self,
            Self::WebhookFailing
                | Self::WebhookRecovered
                | Self::LaneStopped
                | Self::DeadLettered
                | Self::ReceivedDead
                | Self::ReplayCompleted
                | Self::KeyRefused
                | Self::ApiCalled
                | Self::ApiCallFailed
        )
    }
}

impl Subject {
    /// The record's id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: ToString> From<T> for Subject {
    fn from(id: T) -> Self {
        Self(id.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::stored::word::Word;

    #[test]
    fn every_kind_is_in_the_list_once() {
        let words: std::collections::BTreeSet<_> =
            ActivityKind::ALL.iter().map(|kind| kind.as_str()).collect();

        assert_eq!(words.len(), ActivityKind::ALL.len());
        // The last one that was added; whoever adds a kind behind it changes this line, and the list.
        assert_eq!(ActivityKind::ALL.last(), Some(&ActivityKind::ApiCallFailed));
        assert!(ActivityKind::ALL.iter().all(|kind| ActivityKind::from_word(kind.as_str()) == Some(*kind)));
        let places = ActivityKind::ALL.iter().map(|kind| *kind as usize);
        assert!(places.eq(0..ActivityKind::ALL.len()));
    }

    #[test]
    fn what_the_engine_does_by_itself_is_not_administrative() {
        let tenant: TenantId = "org_42".parse().expect("a tenant");
        let at = DateTime::UNIX_EPOCH;
        let by = |actor: &Actor, kind| {
            Activity::new(ActivityId::mint(at, [7; 10]), at, actor, kind, "wh_1").is_administrative()
        };
        let (ada, job) = (Actor::org_admin(tenant.clone(), "ada"), Actor::system(tenant.clone(), "nightly"));
        let engine = Actor::system(tenant, ENGINE);

        assert!(by(&ada, ActivityKind::WebhookDisabled));
        assert!(by(&job, ActivityKind::WebhookDisabled), "the host's own code is somebody");
        assert!(!by(&engine, ActivityKind::WebhookDisabled));
        assert!(by(&engine, ActivityKind::KeyLeaked), "a report changes a key");
        assert!(!by(&engine, ActivityKind::DeadLettered));
        assert!(!by(&ada, ActivityKind::KeyRefused));
    }
}
