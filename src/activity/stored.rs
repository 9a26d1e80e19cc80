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
