//! Tests and diagnoses.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::mapping::{MapError, Preview};
use crate::web::axum::management::deliveries::Attempt;
use crate::web::axum::management::shapes::Time;
use crate::web::axum::management::webhooks::view::Health;
use crate::webhooks::{Cause, Diagnosis, Finding, Hearing, TestEvent, Tested, Verdict};

/// What is sent for a test.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TestEvent)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRequest {
    /// Which type; its example is sent.
    event_type: String,
    /// This instead of the example.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tested)]
pub(super) struct TestedShape {
    attempt: Attempt,
    /// What the answer would mean for a delivery: `delivered`, `retry`, `gone`, `disable_asked`, `rejected` or `unmapped`.
    verdict: &'static str,
    /// What the webhook's mapping made of the event; `null` if it has none.
    mapped: Option<MappedShape>,
}

/// What a mapping made of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mapped)]
struct MappedShape {
    /// The body, without the fields that failed; `null` if the event cannot be read at all.
    #[schema(value_type = Option<serde_json::Value>)]
    output: Option<Box<RawValue>>,
    /// Everything that failed; the body is sent only if nothing did.
    errors: Vec<MapErrorShape>,
}

/// A field that a mapping could not make.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MapError)]
struct MapErrorShape {
    /// Such as `E-NUMBER`.
    code: &'static str,
    /// The target path; empty if the event as a whole failed.
    target: String,
    /// The source paths.
    sources: Vec<String>,
    message: String,
}

/// Why nothing arrives, as far as it can be told from here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(super) struct DiagnosisShape {
    /// What stands in the way, the most decisive first; empty if nothing does.
    findings: Vec<FindingShape>,
    last_attempt: Option<Attempt>,
    health: Health,
}

/// One thing that stands in the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingShape {
    /// A word, such as `disabled` or `refused`.
    cause: &'static str,
    /// A word about it, such as why it is disabled.
    reason: Option<String>,
    /// The status that the receiver has answered.
    status: Option<u16>,
    /// Since when, or until when.
    time: Option<Time>,
    what_to_do: &'static str,
}

impl TestRequest {
    pub(super) fn event(self) -> TestEvent {
        let event = TestEvent::of(self.event_type);
        match self.payload {
            Some(payload) => event.payload(payload.get().to_owned()),
            None => event,
        }
    }
}

impl TestedShape {
    pub(super) fn of(tested: &Tested) -> Self {
        let verdict = match tested.verdict {
            Verdict::Delivered => "delivered",
            Verdict::Retry(_) => "retry",
            Verdict::Gone => "gone",
            Verdict::DisableAsked => "disable_asked",
            Verdict::Rejected => "rejected",
            Verdict::Unmapped => "unmapped",
        };
        let mapped = tested.mapped.as_ref().map(MappedShape::of);
        Self { attempt: Attempt::of(&tested.attempt), verdict, mapped }
    }
}

impl MappedShape {
    fn of(preview: &Preview) -> Self {
        let shape = |error: &MapError| MapErrorShape {
            code: error.code,
            target: error.target.clone(),
            sources: error.sources.clone(),
            message: error.message.clone(),
        };
        Self {
            // A mapping writes nothing but JSON.
            output: preview.output.clone().and_then(|json| RawValue::from_string(json).ok()),
            errors: preview.errors.iter().map(shape).collect(),
        }
    }
}

impl DiagnosisShape {
    pub(super) fn of(diagnosis: &Diagnosis) -> Self {
        Self {
            findings: diagnosis.findings.iter().map(FindingShape::of).collect(),
            last_attempt: diagnosis.last_attempt.as_ref().map(|attempt| Attempt::of(attempt)),
            health: Health::of(&diagnosis.health),
        }
    }
}

impl FindingShape {
    fn of(finding: &Finding) -> Self {
        let (mut reason, mut status, mut time) = (None, None, None);
        match finding.cause {
            Cause::Disabled(why) => reason = Some(why.as_str().to_owned()),
            Cause::UrlRefused(refusal) => reason = Some(refusal.to_string()),
            Cause::NotHeard(hearing) => reason = Some(word(hearing).to_owned()),
            Cause::Ended(ended) => reason = ended.reason().map(str::to_owned),
            Cause::Refused(code) | Cause::ReceiverFails(code) => status = Some(code),
            Cause::NoAnswer(kind) => reason = Some(kind.as_str().to_owned()),
            Cause::HeldBack(until) => time = Some(until.into()),
            Cause::NoWorker(since) => time = Some(since.into()),
            Cause::Paused
            | Cause::NothingPublished
            | Cause::LoginWithheld
            | Cause::Unsendable
            | Cause::Unmapped
            | Cause::OrderStopped => {}
        }
        Self { cause: finding.cause.as_str(), reason, status, time, what_to_do: finding.what_to_do }
    }
}

fn word(hearing: Hearing) -> &'static str {
    match hearing {
        Hearing::Hears => "hears",
        Hearing::Disabled => "disabled",
        Hearing::NotSubscribed => "not_subscribed",
        Hearing::OtherOwner => "other_owner",
        Hearing::OtherChannel => "other_channel",
        Hearing::NotEntitled => "not_entitled",
    }
}
