//! An event's head as a store keeps it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::events::event_type::EventType;
use crate::events::model::EventHead;
use crate::primitives::id::EventId;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Label, Text, Time};
use crate::primitives::stored::record::{self, FormatOne};
use crate::tenancy::model::{Entitlement, TenantId};

/// What is shared is shared here, too; nothing is copied to be written.
#[derive(Deserialize, Serialize)]
struct Kept<'a> {
    v: FormatOne,
    id: Text<EventId>,
    tenant: Text<TenantId>,
    #[serde(rename = "type")]
    event_type: Text<EventType>,
    published_at: Time,
    /// Missing, it happened when it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordering_key: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Label>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<Label>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gate: Vec<Label>,
    #[serde(default, skip_serializing_if = "is_empty")]
    metadata: Cow<'a, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Label>,
}

impl Stored for EventHead {
    fn to_stored(&self) -> Result<String> {
        let label = |text: &Option<Arc<str>>| text.clone().map(Label);
        record::write(
            "write an event for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                tenant: Text(self.tenant.clone()),
                event_type: Text(self.event_type.clone()),
                published_at: Time(self.published_at),
                occurred_at: other_than(self.occurred_at, self.published_at),
                owner: label(&self.owner),
                ordering_key: label(&self.ordering_key),
                subject: label(&self.subject),
                channels: self.channels.iter().cloned().map(Label).collect(),
                gate: self.gate.iter().map(|module| Label(module.shared())).collect(),
                metadata: Cow::Borrowed(&self.metadata),
                traceparent: label(&self.traceparent),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept<'_> = record::read("read an event that a store has kept", text)?;
        let label = |label: Option<Label>| label.map(|Label(text)| text);
        Ok(Self {
            id: kept.id.0,
            tenant: kept.tenant.0,
            event_type: kept.event_type.0,
            occurred_at: kept.occurred_at.unwrap_or(kept.published_at).0,
            published_at: kept.published_at.0,
            owner: label(kept.owner),
            ordering_key: label(kept.ordering_key),
            subject: label(kept.subject),
            channels: kept.channels.into_iter().map(|Label(text)| text).collect(),
            gate: kept.gate.into_iter().map(|Label(text)| Entitlement::from(text)).collect::<BTreeSet<_>>(),
            metadata: kept.metadata.into_owned(),
            traceparent: label(kept.traceparent),
        })
    }
}

fn other_than(time: DateTime<Utc>, usual: DateTime<Utc>) -> Option<Time> {
    (time != usual).then_some(Time(time))
}

fn is_empty(metadata: &BTreeMap<String, String>) -> bool {
    metadata.is_empty()
}

/// An event with a few labels.
const USUAL_LENGTH: usize = 384;
