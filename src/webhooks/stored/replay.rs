//! A replay as a store keeps it.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::events::event_type::EventType;
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Named, Text, Time, says_nothing};
use crate::primitives::stored::record::{self, FormatOne};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{Replay, ReplayFilter, ReplayState, StatusKind};

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    id: Text<ReplayId>,
    tenant: Text<TenantId>,
    webhook: Text<WebhookId>,
    filter: KeptFilter,
    per_second: u32,
    state: Named<ReplayState>,
    #[serde(default, skip_serializing_if = "says_nothing")]
    matched: u64,
    #[serde(default, skip_serializing_if = "says_nothing")]
    made: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<Text<DeliveryId>>,
    next_at: Time,
    created_at: Time,
    updated_at: Time,
}

#[derive(Deserialize, Serialize)]
struct KeptFilter {
    from: Time,
    to: Time,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<Named<StatusKind>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    event_types: Vec<Text<EventType>>,
}

impl Stored for Replay {
    fn to_stored(&self) -> Result<String> {
        record::write(
            "write a replay for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                tenant: Text(self.tenant.clone()),
                webhook: Text(self.webhook),
                filter: KeptFilter {
                    from: Time(self.filter.from),
                    to: Time(self.filter.to),
                    statuses: self.filter.statuses.iter().copied().map(Named).collect(),
                    event_types: self.filter.event_types.iter().cloned().map(Text).collect(),
                },
                per_second: self.per_second,
                state: Named(self.state),
                matched: self.matched,
                made: self.made,
                position: self.position.map(Text),
                next_at: Time(self.next_at),
                created_at: Time(self.created_at),
                updated_at: Time(self.updated_at),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read a replay that a store has kept", text)?;
        Ok(Self {
            id: kept.id.0,
            tenant: kept.tenant.0,
            webhook: kept.webhook.0,
            filter: ReplayFilter {
                from: kept.filter.from.0,
                to: kept.filter.to.0,
                statuses: kept.filter.statuses.into_iter().map(|Named(status)| status).collect(),
                event_types: kept.filter.event_types.into_iter().map(|Text(name)| name).collect(),
            },
            per_second: kept.per_second,
            state: kept.state.0,
            matched: kept.matched,
            made: kept.made,
            position: kept.position.map(|Text(position)| position),
            next_at: kept.next_at.0,
            created_at: kept.created_at.0,
            updated_at: kept.updated_at.0,
        })
    }
}

const USUAL_LENGTH: usize = 512;
