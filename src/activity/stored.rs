//! An entry of the log as a store keeps it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::error::Result;
use crate::primitives::id::ActivityId;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Label, Named, Text, Time};
use crate::primitives::stored::record::{self, FormatOne};
use crate::tenancy::model::{Role, TenantId};

#[derive(Deserialize, Serialize)]
struct Kept<'a> {
    v: FormatOne,
    id: Text<ActivityId>,
    tenant: Text<TenantId>,
    at: Time,
    actor: Label,
    role: Named<Role>,
    kind: Named<ActivityKind>,
    subject: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_empty")]
    details: Cow<'a, BTreeMap<Cow<'static, str>, String>>,
}

impl Stored for Activity {
    fn to_stored(&self) -> Result<String> {
        record::write(
            "write an entry of the log for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                tenant: Text(self.tenant.clone()),
                at: Time(self.at),
                actor: Label(self.actor.clone()),
                role: Named(self.role),
                kind: Named(self.kind),
                subject: self.subject.as_str().into(),
                details: Cow::Borrowed(&self.details),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept<'_> = record::read("read an entry of the log that a store has kept", text)?;
        Ok(Self {
            id: kept.id.0,
            tenant: kept.tenant.0,
            at: kept.at.0,
            actor: kept.actor.0,
            role: kept.role.0,
            kind: kept.kind.0,
            subject: Subject::from(kept.subject),
            details: kept.details.into_owned(),
        })
    }
}

fn is_empty(details: &BTreeMap<Cow<'static, str>, String>) -> bool {
    details.is_empty()
}

/// An entry with a detail or two.
const USUAL_LENGTH: usize = 320;

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::collection::btree_map;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::primitives::stored::proof::{
        any_damage, any_label, any_time, broken_field, comes_back, holds_out,
    };
    use crate::tenancy::model::Actor;

    fn any_activity() -> impl Strategy<Value = Activity> {
        let role = select(vec![Role::Member, Role::OrgAdmin, Role::SuperAdmin, Role::System]);
        let kind = select(vec![
            ActivityKind::WebhookCreated,
            ActivityKind::LaneStopped,
            ActivityKind::SubjectErased,
        ]);
        let details = btree_map(any::<String>().prop_map(Cow::Owned), any::<String>(), 0..3);
        (any::<u128>(), any_time(), any_label(), role, kind, any::<String>(), details).prop_map(
            |(id, at, name, role, kind, subject, details)| {
                let actor = Actor::new("org_42".parse().expect("a tenant"), name, role);
                let id = ActivityId::from_uuid(uuid::Uuid::from_u128(id));
                Activity { details, ..Activity::new(id, at, &actor, kind, subject) }
            },
        )
    }

    fn full() -> Activity {
        let at = DateTime::from_timestamp_nanos(1_767_225_600_000_001_000);
        let actor = Actor::org_admin("org_42".parse().expect("a tenant"), "ada");
        Activity::new(ActivityId::mint(at, [7; 10]), at, &actor, ActivityKind::WebhookDisabled, "wh_1")
            .with_detail("reason", "by_person")
    }

    proptest! {
        #[test]
        fn every_entry_comes_back(entry in any_activity()) {
            comes_back(&entry)?;
        }

        #[test]
        fn any_text_is_an_entry_or_an_error(entry in any_activity(), damage in any_damage()) {
            holds_out::<Activity>(&damage.to(&entry.to_stored()?))?;
        }
    }

    #[test]
    fn an_entry_is_written_like_this() -> Result<()> {
        insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"id":"act_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","at":"2026-01-01T00:00:00.000001Z","actor":"ada","role":"org_admin","kind":"webhook.disabled","subject":"wh_1","details":{"reason":"by_person"}}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(Activity::from_stored(FIRST)?, full());
        assert_eq!(broken_field::<Activity>(&FIRST.replace("webhook.disabled", "webhook.painted")), "kind");
        assert_eq!(broken_field::<Activity>(&FIRST.replace("org_admin", "king")), "role");
        Ok(())
    }

    const FIRST: &str = r#"{"v":1,"id":"act_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","at":"2026-01-01T00:00:00.000001Z","actor":"ada","role":"org_admin","kind":"webhook.disabled","subject":"wh_1","details":{"reason":"by_person"}}"#;
}
