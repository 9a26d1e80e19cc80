//! stub: replaced by the events branch
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::events::event_type::EventType;
use crate::primitives::id::EventId;
use crate::tenancy::model::TenantId;

/// stub
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "stub")]
pub struct EventHead {
    pub id: EventId,
    pub tenant: TenantId,
    pub event_type: EventType,
    pub occurred_at: DateTime<Utc>,
    pub published_at: DateTime<Utc>,
    pub owner: Option<Arc<str>>,
    pub ordering_key: Option<Arc<str>>,
    pub subject: Option<Arc<str>>,
    pub channels: Vec<Arc<str>>,
    pub metadata: BTreeMap<String, String>,
    pub traceparent: Option<Arc<str>>,
}

/// stub
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "stub")]
pub struct Event {
    pub head: EventHead,
    pub payload: Bytes,
}
