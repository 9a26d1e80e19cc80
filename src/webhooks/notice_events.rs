//! Notices as events of their own, for hosts whose tenants want to hear of them.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::events::new_event::NewEvent;
use crate::events::type_spec::EventTypeSpec;
use crate::webhooks::context::Context;
use crate::webhooks::model::Include;
use crate::webhooks::notice::{Notice, NoticeKind};
use crate::webhooks::service::publish::{prepare, publish_all};

/// Keeps notices until they are published; best effort, as every notice is: the activity log is what lasts.
#[derive(Debug, Default)]
pub(crate) struct NoticeEvents(Option<Mutex<Vec<Notice>>>);

/// What the event says.
#[derive(Debug, Serialize)]
struct NoticeData {
    webhook: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
}

impl NoticeEvents {
    /// More are dropped: a store that is away must not fill the memory.
    const MOST: usize = 10_000;

    /// Notices become events.
    pub(crate) fn on() -> Self {
        Self(Some(Mutex::default()))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn keep(&self, notice: Notice) {
        let Some(kept) = &self.0 else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if is_published(notice.kind) && kept.len() < Self::MOST {
            kept.push(notice);
        }
    }

    fn take(&self) -> Vec<Notice> {
        let Some(kept) = &self.0 else { return Vec::new() };
        std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The event types that a catalogue needs for notices.
pub(crate) fn notice_types() -> impl Iterator<Item = EventTypeSpec> {
    TYPES.into_iter().map(|(name, description)| {
        EventTypeSpec::new(name).group("Webhooks").description(description).example(
            serde_json::json!({"webhook": "wh_0000000000fzvzzzzzzzzzzzz0", "at": "2030-01-01T00:00:00Z"}),
        )
    })
}

/// Publishes what has been kept; says how many events were made.
///
/// Dropping the future loses what it had taken.
///
/// # Errors
/// The store's; what was taken is then kept for the next call.
pub(crate) async fn publish_notices(context: &Context) -> Result<usize> {
    let taken = context.notice_events.take();
    if taken.is_empty() {
        return Ok(0);
    }
    let published = publish_taken(context, &taken).await;
    if published.is_err() {
        taken.into_iter().for_each(|notice| context.notice_events.keep(notice));
    }
    published
}

async fn publish_taken(context: &Context, notices: &[Notice]) -> Result<usize> {
    let mut publications = Vec::with_capacity(notices.len());
    for notice in notices {
        if !is_about_a_notice(context, notice).await? {
            publications.push(prepare(context, event(notice)?)?);
        }
    }
    Ok(publish_all(context, publications).await?.len())
}

fn event(notice: &Notice) -> Result<NewEvent> {
    let mut data = NoticeData {
        webhook: notice.webhook.to_string(),
        at: notice.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        reason: None,
        percent: None,
        delivery: None,
        replay: None,
    };
    match notice.kind {
        NoticeKind::Disabled(reason) => data.reason = Some(reason.as_str()),
        NoticeKind::Failing(percent) => data.percent = Some(percent),
        NoticeKind::LaneStopped(delivery) => data.delivery = Some(delivery.to_string()),
        NoticeKind::DeadLetter(delivery, reason) => {
            data.delivery = Some(delivery.to_string());
            data.reason = Some(reason.as_str());
        }
        NoticeKind::ReplayCompleted(replay) => data.replay = Some(replay.to_string()),
        NoticeKind::Recovered | NoticeKind::CircuitOpened(_) => {}
    }
    let event =
        NewEvent::new(notice.tenant.clone(), notice.kind.as_str(), &data)?.with_occurred_at(notice.at);
    let key = key(&event);
    Ok(event.with_idempotency_key(key))
}

/// The same for the same notice: a store whose answer is lost is told of it again, and again until it answers.
fn key(event: &NewEvent) -> String {
    let digest =
        Sha256::new().chain_update(event.event_type()).chain_update([0]).chain_update(event.payload());
    format!("crossdock-notice-{}", hex::encode(digest.finalize()))
}

/// An open circuit is the engine's own business: a failing webhook that heard of each opening would grow its own backlog.
fn is_published(kind: NoticeKind) -> bool {
    TYPES.iter().any(|(name, _)| *name == kind.as_str())
}

/// A notice that could not be delivered makes no further notice: a failing receiver of notices would go round for ever.
async fn is_about_a_notice(context: &Context, notice: &Notice) -> Result<bool> {
    let (NoticeKind::DeadLetter(delivery, _) | NoticeKind::LaneStopped(delivery)) = notice.kind else {
        return Ok(false);
    };
    let record = context.repository.delivery(&notice.tenant, delivery, Include::default()).await?;
    Ok(record
        .is_some_and(|record| TYPES.iter().any(|(name, _)| *name == record.delivery.event_type.as_str())))
}

/// Named as [`NoticeKind::as_str`] names them.
const TYPES: [(&str, &str); 6] = [
    ("webhook.disabled", "A webhook was disabled; its events are recorded as skipped from now on."),
    ("webhook.failing", "A webhook is on its way to being disabled, `percent` says how far."),
    ("webhook.recovered", "A webhook that was failing delivers again."),
    ("webhook.lane_stopped", "An order stands still behind a delivery that cannot be made."),
    ("webhook.dead_letter", "A delivery was given up."),
    ("webhook.replay_completed", "A replay has made its last delivery."),
];

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
    use crate::webhooks::model::{DeadReason, DisableReason};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn notice(kind: NoticeKind) -> Notice {
        Notice::new(NOW, "t".parse().expect("a tenant"), WebhookId::mint(NOW, [1; 10]), kind)
    }

    #[test]
    fn every_notice_but_an_open_circuit_has_its_event_type() {
        let delivery = DeliveryId::mint(NOW, [2; 10]);
        let kept = NoticeEvents::on();
        for kind in [
            NoticeKind::Disabled(DisableReason::Gone),
            NoticeKind::Failing(50),
            NoticeKind::Recovered,
            NoticeKind::LaneStopped(delivery),
            NoticeKind::DeadLetter(delivery, DeadReason::Exhausted),
            NoticeKind::CircuitOpened(NOW),
            NoticeKind::ReplayCompleted(ReplayId::mint(NOW, [3; 10])),
        ] {
            kept.keep(notice(kind));
        }

        let names: Vec<_> = kept.take().iter().map(|notice| notice.kind.as_str()).collect();

        assert_eq!(names, TYPES.map(|(name, _)| name));
    }

    #[test]
    fn a_notice_that_is_told_again_is_the_same_event() -> Result<()> {
        let key = |kind| event(&notice(kind)).map(|event| event.labels.idempotency_key);

        assert!(key(NoticeKind::Failing(50))?.is_some());
        assert_eq!(key(NoticeKind::Failing(50))?, key(NoticeKind::Failing(50))?);
        assert_ne!(key(NoticeKind::Failing(50))?, key(NoticeKind::Failing(70))?);
        assert_ne!(key(NoticeKind::Failing(50))?, key(NoticeKind::Recovered)?);
        Ok(())
    }

    #[test]
    fn without_the_wish_nothing_is_kept() {
        let kept = NoticeEvents::default();

        kept.keep(notice(NoticeKind::Recovered));

        assert_eq!(kept.take(), []);
    }
}
