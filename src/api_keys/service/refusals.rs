//! "Why is my key not working?"

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::api_keys::refusal::Refusal;
use crate::api_keys::tally::{ADDRESS, COUNT, Note, REASON, ROUTE};
use crate::primitives::stored::word::Word;

/// Calls with a key that were refused for one reason, within about a minute.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyRefusal {
    /// Why.
    pub reason: Refusal,
    /// How often.
    pub count: u64,
    /// When the last of them was.
    pub at: DateTime<Utc>,
    /// From where that one came.
    pub address: Option<IpAddr>,
    /// For which route.
    pub route: Option<String>,
}

impl KeyRefusal {
    /// From an entry of the log; `None` if it is about something else.
    pub(crate) fn of_entry(entry: &Activity) -> Option<Self> {
        let detail = |name| entry.details.get(name);
        Some(Self {
            reason: Refusal::from_word(detail(REASON)?)?,
            count: detail(COUNT)?.parse().ok()?,
            at: entry.at,
            address: detail(ADDRESS).and_then(|text| text.parse().ok()),
            route: detail(ROUTE).cloned(),
        })
    }

    /// From what is not written down yet.
    pub(crate) fn of_note(note: &Note) -> Self {
        let route = Some(note.route()).filter(|route| !route.is_empty());
        Self {
            reason: note.reason,
            count: note.count,
            at: note.at(),
            address: note.address(),
            route: route.map(str::to_owned),
        }
    }
}
