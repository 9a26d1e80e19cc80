//! What was received, as a store keeps it: everything but the body, and but how it stands.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::inbound::received::{ItemVersion, Reading, Received};
use crate::inbound::source::{Owner, SourceName};
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Label, Text, Time, says_nothing};
use crate::primitives::stored::record::{self, FormatOne};
use crate::tenancy::model::TenantId;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    id: Text<ReceivedId>,
    source: Text<SourceId>,
    name: Text<SourceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<Text<TenantId>>,
    key: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guard: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Label>,
    kind: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_key: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
    received_at: Time,
    #[serde(default, skip_serializing_if = "says_nothing")]
    unparsable: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(Label, Label)>,
}

/// How a subject stands in what a store keeps, and nothing else does: for stores that look for it there.
///
/// ```
/// use crossdock::inbound::subject_in_store;
///
/// assert_eq!(subject_in_store("cus_1"), r#""subject":"cus_1""#);
/// ```
pub fn subject_in_store(subject: &str) -> String {
    // Within a text, a quotation mark has a backslash before it: no text looks like this.
    format!(r#""subject":{}"#, serde_json::Value::from(subject))
}

/// Without its body, which has a place of its own.
impl Stored for Received {
    fn to_stored(&self) -> Result<String> {
        let label = |text: &Arc<str>| Label(Arc::clone(text));
        record::write(
            "write what was received for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                source: Text(self.source),
                name: Text(self.name.clone()),
                tenant: self.owner.tenant().cloned().map(Text),
                key: label(&self.dedupe_key),
                guard: self.guard.as_ref().map(label),
                event: self.event_id.as_ref().map(label),
                kind: label(&self.kind),
                tenant_key: self.tenant_key.as_ref().map(label),
                order: self.order_key.as_ref().map(label),
                subject: self.subject.as_ref().map(label),
                occurred_at: self.version.occurred_at.map(Time),
                sequence: self.version.sequence,
                received_at: Time(self.received_at),
                unparsable: self.reading == Reading::Unparsable,
                headers: self.headers.iter().map(|(name, value)| (label(name), label(value))).collect(),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read what was received, as a store has kept it", text)?;
        let plain = |Label(text): Label| text;
        Ok(Self {
            id: kept.id.0,
            source: kept.source.0,
            name: kept.name.0,
            owner: kept.tenant.map_or(Owner::Platform, |Text(tenant)| Owner::Tenant(tenant)),
            dedupe_key: kept.key.0,
            guard: kept.guard.map(plain),
            event_id: kept.event.map(plain),
            kind: kept.kind.0,
            tenant_key: kept.tenant_key.map(plain),
            order_key: kept.order.map(plain),
            subject: kept.subject.map(plain),
            version: ItemVersion::new(kept.occurred_at.map(|Time(at)| at), kept.sequence),
            received_at: kept.received_at.0,
            reading: if kept.unparsable { Reading::Unparsable } else { Reading::Parsed },
            headers: kept.headers.into_iter().map(|(name, value)| (name.0, value.0)).collect(),
            body: Bytes::new(),
        })
    }
}

const USUAL_LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::primitives::stored::proof::{comes_back, holds_out};

    fn full() -> Received {
        let (id, now) = (ReceivedId::mint(DateTime::UNIX_EPOCH, [1; 10]), DateTime::UNIX_EPOCH);
        let name: SourceName = "stripe".parse().expect("a name");
        let owner = Owner::Tenant("acme \"1\"".parse().expect("a tenant"));
        let mut received = Received::new(id, name.platform_id(), name, owner, "evt\u{1}", now, Bytes::new());
        received.guard = Some("guard".into());
        received.event_id = Some("evt".into());
        received.kind = "invoice.paid".into();
        received.tenant_key = Some("acct".into());
        received.order_key = Some("sub_1".into());
        received.subject = Some("ada \"1\"".into());
        received.version = ItemVersion::new(Some(now), Some(i64::MIN));
        received.reading = Reading::Unparsable;
        received.headers = vec![("x-id".into(), "ä".into())];
        received
    }

    #[test]
    fn what_was_received_comes_back() {
        comes_back(&full()).expect("the same");
        let mut plain = full();
        (plain.guard, plain.event_id, plain.tenant_key, plain.order_key) = (None, None, None, None);
        plain.subject = None;
        (plain.version, plain.reading) = (ItemVersion::default(), Reading::Parsed);
        plain.owner = Owner::Platform;
        plain.headers.clear();
        comes_back(&plain).expect("the same");
    }

    #[test]
    fn a_subject_is_found_where_it_is_one_and_nowhere_else() -> Result<()> {
        let mut text = full();
        assert!(text.to_stored()?.contains(&subject_in_store("ada \"1\"")));
        assert!(!text.to_stored()?.contains(&subject_in_store("ada")));
        text.subject = None;
        text.kind = r#""subject":"ada""#.into();
        assert!(!text.to_stored()?.contains(&subject_in_store("ada")));
        Ok(())
    }

    #[test]
    fn a_damaged_text_says_where() -> Result<()> {
        let text = full().to_stored()?;
        for damaged in [text.replace("rcv_", "?"), text.replace("\"key\"", "\"kez\""), text[..40].to_owned()]
        {
            holds_out::<Received>(&damaged).expect("one error that says where");
        }
        Ok(())
    }
}
