//! From the hub's deliveries to this product's webhook events.
//!
//! The hub keeps a row for each time that an event goes to a webhook: the first one, and one for each resend. This product
//! knows a webhook event, which is all of them together: it has succeeded when one of them has.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use crossdock::primitives::{EventId, WebhookId};
use crossdock::webhooks::{Attempt, DeliveryAdmin, DeliveryQuery, DeliveryRecord, Origin, StatusKind};
use crossdock::{Error, ErrorKind};
use serde_json::value::RawValue;

use crate::answers::{Run, WebhookEvent, date_time};

/// Which events are wanted, and what along with each.
pub(crate) struct Wanted {
    pub(crate) webhook: WebhookId,
    pub(crate) event: Option<EventId>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
    pub(crate) success: Option<bool>,
    pub(crate) payload: Along,
    pub(crate) runs: Along,
}

/// Whether something comes along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Along {
    Wanted,
    Unwanted,
}

impl From<bool> for Along {
    fn from(wanted: bool) -> Self {
        if wanted { Self::Wanted } else { Self::Unwanted }
    }
}

impl Wanted {
    /// All events of this webhook, and nothing along with them.
    pub(crate) fn of(webhook: WebhookId) -> Self {
        let (payload, runs) = (Along::Unwanted, Along::Unwanted);
        Self { webhook, event: None, from: None, to: None, success: None, payload, runs }
    }
}

/// The webhook's events, newest first.
pub(crate) async fn list(deliveries: &DeliveryAdmin, wanted: &Wanted) -> Result<Vec<WebhookEvent>, Error> {
    let mut events: Vec<WebhookEvent> = stories(deliveries, wanted)
        .await?
        .iter()
        .rev()
        .filter(|story| story.begins_within(wanted))
        .map(|story| story.told(wanted))
        .collect();
    events.retain(|event| wanted.success.is_none_or(|success| success == event.success));
    Ok(events)
}

/// Sends one event once more.
pub(crate) async fn resend(
    deliveries: &DeliveryAdmin,
    webhook: WebhookId,
    event: EventId,
) -> Result<WebhookEvent, Error> {
    let wanted = Wanted { event: Some(event), ..Wanted::of(webhook) };
    let missing = || Error::new(ErrorKind::NotFound, "resend webhook event");
    let story = stories(deliveries, &wanted).await?.pop().ok_or_else(missing)?;
    deliveries.resend(story.latest().delivery.id).await?;
    let again = stories(deliveries, &wanted).await?.pop().ok_or_else(missing)?;
    Ok(again.told(&wanted))
}

/// The deliveries of one event to one webhook, oldest first; there is at least one.
struct Story(Vec<DeliveryRecord>);

/// Oldest first. A resend is younger than what it repeats: so `from` holds for the query, and `to` only for the first delivery.
async fn stories(deliveries: &DeliveryAdmin, wanted: &Wanted) -> Result<Vec<Story>, Error> {
    let mut query = DeliveryQuery::new().webhook(wanted.webhook).limit(1_000);
    if let Some(from) = wanted.from {
        query = query.from(from);
    }
    if let Some(event) = wanted.event {
        query = query.event(event);
    }
    if wanted.payload == Along::Wanted {
        query = query.with_payload();
    }
    if wanted.runs == Along::Wanted {
        query = query.with_attempts();
    }
    let mut stories: BTreeMap<EventId, Vec<DeliveryRecord>> = BTreeMap::new();
    let mut page = deliveries.list(query.clone()).await?;
    loop {
        for record in page.items {
            stories.entry(record.delivery.event).or_default().insert(0, record);
        }
        let Some(next) = page.next else { break };
        page = deliveries.list(query.clone().after(next)).await?;
    }
    // Ids of events sort by time.
    Ok(stories.into_values().map(Story).collect())
}

impl Story {
    /// Whether the event was sent for the first time within the span that is wanted.
    fn begins_within(&self, wanted: &Wanted) -> bool {
        self.0.first().is_some_and(|first| {
            let is_first = matches!(first.delivery.origin, Origin::Live | Origin::Test);
            is_first && wanted.to.is_none_or(|to| first.delivery.created_at < to)
        })
    }

    fn latest(&self) -> &DeliveryRecord {
        &self.0[self.0.len() - 1]
    }

    fn told(&self, wanted: &Wanted) -> WebhookEvent {
        let (first, latest) = (&self.0[0].delivery, &self.latest().delivery);
        let all = || self.0.iter().map(|record| &record.delivery);
        let taken = all().find(|delivery| delivery.status.kind() == StatusKind::Delivered);
        // What was delivered once stays so, however later resends end.
        let telling = taken.unwrap_or(latest);
        let last_status =
            telling.last_status.or_else(|| all().rev().find_map(|delivery| delivery.last_status));
        WebhookEvent {
            webhook_id: first.webhook.to_string(),
            webhook_event_id: first.event.to_string(),
            created_date_time: date_time(first.created_at),
            updated_date_time: date_time(
                all().map(|delivery| delivery.updated_at).max().unwrap_or(first.updated_at),
            ),
            status: word(telling.status.kind()),
            status_code: last_status,
            success: taken.is_some(),
            runs_counter: all().map(|delivery| delivery.attempts).sum(),
            runs: (wanted.runs == Along::Wanted).then(|| {
                self.0.iter().flat_map(|record| &record.attempts).map(|attempt| run(attempt)).collect()
            }),
            payload: self.payload(),
        }
    }

    /// `None` also if it was erased.
    fn payload(&self) -> Option<Box<RawValue>> {
        let bytes = self.0.iter().find_map(|record| record.payload.as_ref())?;
        RawValue::from_string(String::from_utf8(bytes.to_vec()).ok()?).ok()
    }
}

fn run(attempt: &Attempt) -> Run {
    Run {
        started_date_time: date_time(attempt.started_at),
        duration_ms: attempt.timings.total.as_millis(),
        status_code: attempt.status,
        success: attempt.succeeded(),
        error: attempt.error.map(|error| error.to_string()),
    }
}

fn word(status: StatusKind) -> &'static str {
    match status {
        StatusKind::Pending => "Pending",
        StatusKind::Delivered => "Delivered",
        StatusKind::Skipped => "Skipped",
        _ => "Failed",
    }
}
