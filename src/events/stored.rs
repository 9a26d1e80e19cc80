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

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::primitives::stored::proof::{
        any_damage, any_label, any_time, broken_field, comes_back, holds_out,
    };

    fn any_head() -> impl Strategy<Value = EventHead> {
        let labels = (
            option::of(any_label()),
            option::of(any_label()),
            option::of(any_label()),
            vec(any_label(), 0..3),
            vec(any_label(), 0..3),
            btree_map(any::<String>(), any::<String>(), 0..3),
            option::of(any_label()),
        );
        let times = (any_time(), any_time(), any::<bool>());
        ("[^\\pC]{1,32}", "[A-Za-z0-9_]{1,9}(\\.[A-Za-z0-9_]{1,9}){0,3}", any::<u128>(), times, labels)
            .prop_map(|(tenant, event_type, id, (published_at, occurred_at, at_once), labels)| {
                let id = EventId::from_uuid(uuid::Uuid::from_u128(id));
                let tenant = tenant.parse().expect("a tenant");
                let mut head = EventHead::new(id, tenant, event_type.parse().expect("a type"), published_at);
                head.occurred_at = if at_once { published_at } else { occurred_at };
                let gate;
                (
                    head.owner,
                    head.ordering_key,
                    head.subject,
                    head.channels,
                    gate,
                    head.metadata,
                    head.traceparent,
                ) = labels;
                head.gate = gate.into_iter().map(Entitlement::from).collect();
                head
            })
    }

    fn full() -> EventHead {
        let published = DateTime::from_timestamp_nanos(1_767_225_600_123_456_789);
        let id = EventId::mint(published, [7; 10]);
        EventHead::new(
            id,
            "org_42".parse().expect("a tenant"),
            "order.placed".parse().expect("a type"),
            published,
        )
        .with_occurred_at(DateTime::UNIX_EPOCH)
        .with_owner("merchant_9")
        .with_ordering_key("order \"7\"")
        .with_subject("customer 5")
        .with_channels(["eu", "retail"])
        .with_gate(["edi"].map(Entitlement::from).into())
        .with_metadata([("source", "import\n")])
        .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    }

    proptest! {
        #[test]
        fn every_head_comes_back(head in any_head()) {
            comes_back(&head)?;
        }

        #[test]
        fn any_text_is_a_head_or_an_error(head in any_head(), damage in any_damage()) {
            holds_out::<EventHead>(&damage.to(&head.to_stored()?))?;
        }
    }

    #[test]
    fn a_head_is_written_like_this() -> Result<()> {
        insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"id":"evt_01kdvdna3vew3re1r70w3ge1r7","tenant":"org_42","type":"order.placed","published_at":"2026-01-01T00:00:00.123456789Z","occurred_at":"1970-01-01T00:00:00Z","owner":"merchant_9","ordering_key":"order \"7\"","subject":"customer 5","channels":["eu","retail"],"gate":["edi"],"metadata":{"source":"import\n"},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(EventHead::from_stored(FIRST_FULL)?, full());
        let plain = EventHead::from_stored(FIRST_PLAIN)?;
        assert_eq!((plain.occurred_at, plain.owner, plain.gate.len()), (plain.published_at, None, 0));
        Ok(())
    }

    #[test]
    fn an_error_names_the_field_and_repeats_nothing() {
        for (damaged, field) in [
            (FIRST_FULL.replace("evt_", "evil_"), "id"),
            (FIRST_FULL.replace("\"v\":1", "\"v\":2"), "v"),
            (FIRST_FULL.replace("\"v\":1,", ""), "v"),
            (FIRST_FULL.replace("\"retail\"", "7"), "channels[1]"),
            (FIRST_FULL.replace("\"import\\n\"", "[]"), "metadata.source"),
            (FIRST_FULL.replace("\"tenant\":\"org_42\",", ""), "tenant"),
            (FIRST_FULL.replace("\"retail\"", "\"retail"), "text"),
            (String::new(), "text"),
            ("[]".to_owned(), "text"),
            (FIRST_FULL.replace("\"subject\"", "\"owner\""), "text"),
        ] {
            assert_eq!(broken_field::<EventHead>(&damaged), field, "{damaged}");
        }
        let error = EventHead::from_stored(&FIRST_FULL.replace("2026", "hunter2")).expect_err("no time");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_text_of_any_depth_is_read_without_recursion() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));

        assert_eq!(broken_field::<EventHead>(&FIRST_PLAIN.replace("\"order.placed\"", &deep)), "type");
        assert!(EventHead::from_stored(&FIRST_PLAIN.replace("null", &deep)).is_ok());
    }

    const FIRST_FULL: &str = r#"{"v":1,"id":"evt_01kdvdna3vew3re1r70w3ge1r7","tenant":"org_42","type":"order.placed","published_at":"2026-01-01T00:00:00.123456789Z","occurred_at":"1970-01-01T00:00:00Z","owner":"merchant_9","ordering_key":"order \"7\"","subject":"customer 5","channels":["eu","retail"],"gate":["edi"],"metadata":{"source":"import\n"},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;
    const FIRST_PLAIN: &str = r#"{"v":1,"id":"evt_01kdvg3n3v0w3g71r70w3ge1r7","tenant":"org_42","type":"order.placed","published_at":"2026-01-01T00:00:00Z","new":[{"x":null}]}"#;
}
