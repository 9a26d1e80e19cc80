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

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;
    use uuid::Uuid;

    use super::*;
    use crate::primitives::stored::proof::{any_damage, any_time, broken_field, comes_back, holds_out};

    const STATUSES: &[StatusKind] = &[
        StatusKind::Pending,
        StatusKind::Delivered,
        StatusKind::DeadLetter,
        StatusKind::Skipped,
        StatusKind::Stopped,
    ];

    fn any_replay() -> impl Strategy<Value = Replay> {
        let types = vec("[a-z]{1,9}(\\.[A-Z0-9_]{1,9}){0,2}", 0..3);
        let filter = (any_time(), any_time(), vec(select(STATUSES), 0..3), types);
        let state = select(vec![ReplayState::Running, ReplayState::Completed, ReplayState::Cancelled]);
        let numbers = (any::<u32>(), state, any::<u64>(), any::<u64>(), option::of(any::<u128>()));
        let times = (any_time(), any_time(), any_time());
        (any::<(u128, u128)>(), filter, numbers, times).prop_map(|((id, webhook), filter, numbers, times)| {
            let (from, to, statuses, types) = filter;
            let event_types = types.iter().map(|name| name.parse().expect("a type")).collect();
            let (per_second, state, matched, made, position) = numbers;
            Replay {
                id: ReplayId::from_uuid(Uuid::from_u128(id)),
                tenant: "org_42".parse().expect("a tenant"),
                webhook: WebhookId::from_uuid(Uuid::from_u128(webhook)),
                filter: ReplayFilter { from, to, statuses, event_types },
                per_second,
                state,
                matched,
                made,
                position: position.map(Uuid::from_u128).map(DeliveryId::from_uuid),
                next_at: times.0,
                created_at: times.1,
                updated_at: times.2,
            }
        })
    }

    fn full() -> Replay {
        let now: DateTime<Utc> = DateTime::from_timestamp_nanos(1_767_225_600_000_001_000);
        let filter = ReplayFilter::undelivered(now - TimeDelta::days(1), now)
            .with_event_types(["order.placed".parse().expect("a type")]);
        let tenant = "org_42".parse().expect("a tenant");
        let (id, webhook) = (ReplayId::mint(now, [7; 10]), WebhookId::mint(now, [8; 10]));
        Replay {
            matched: 70,
            made: 7,
            position: Some(DeliveryId::mint(now, [9; 10])),
            state: ReplayState::Cancelled,
            ..Replay::new(id, tenant, webhook, filter, 5, now)
        }
    }

    proptest! {
        #[test]
        fn every_replay_comes_back(replay in any_replay()) {
            comes_back(&replay)?;
        }

        #[test]
        fn any_text_is_a_replay_or_an_error(replay in any_replay(), damage in any_damage()) {
            holds_out::<Replay>(&damage.to(&replay.to_stored()?))?;
        }
    }

    #[test]
    fn a_replay_is_written_like_this() -> Result<()> {
        insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"id":"rpl_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","webhook":"wh_01kdvdna00f048g2081040g208","filter":{"from":"2025-12-31T00:00:00.000001Z","to":"2026-01-01T00:00:00.000001Z","statuses":["dead_letter","skipped"],"event_types":["order.placed"]},"per_second":5,"state":"cancelled","matched":70,"made":7,"position":"dlv_01kdvdna00f44rj289144gj289","next_at":"2026-01-01T00:00:00.000001Z","created_at":"2026-01-01T00:00:00.000001Z","updated_at":"2026-01-01T00:00:00.000001Z"}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(Replay::from_stored(FIRST)?, full());
        assert_eq!(broken_field::<Replay>(&FIRST.replace("skipped", "lost")), "filter.statuses[1]");
        assert_eq!(broken_field::<Replay>(&FIRST.replace("\"from\"", "\"form\"")), "filter.from");
        Ok(())
    }

    const FIRST: &str = r#"{"v":1,"id":"rpl_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","webhook":"wh_01kdvdna00f048g2081040g208","filter":{"from":"2025-12-31T00:00:00.000001Z","to":"2026-01-01T00:00:00.000001Z","statuses":["dead_letter","skipped"],"event_types":["order.placed"]},"per_second":5,"state":"cancelled","matched":70,"made":7,"position":"dlv_01kdvdna00f44rj289144gj289","next_at":"2026-01-01T00:00:00.000001Z","created_at":"2026-01-01T00:00:00.000001Z","updated_at":"2026-01-01T00:00:00.000001Z"}"#;
}
