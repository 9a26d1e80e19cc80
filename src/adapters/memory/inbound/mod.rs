//! Sources, and what was received from them.
//!
//! | file | decides |
//! |---|---|
//! | `sources` | which sources there are |
//! | `accept` | what is fresh, and what is a copy of something that came before |
//! | `line` | what can be claimed, and when: an order offers its head only |
//! | `claim`, `settle` | the worker's steps |
//! | `listing` | what an administrator sees, and replays |
//! | `retention` | what is erased, and what goes, when |

mod accept;
mod claim;
mod line;
mod listing;
mod retention;
mod settle;
mod sources;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::adapters::memory::key_map::KeyMap;
use crate::inbound::received::{ItemVersion, Party, Received, ReceivedRecord, ReceivedStatus};
use crate::inbound::source::Source;
use crate::lanes::lease::LeaseToken;
use crate::primitives::id::{ReceivedId, SourceId};

/// All sources, and everything that was received.
#[derive(Default)]
pub(super) struct Inbound {
    sources: BTreeMap<SourceId, Arc<Source>>,
    rows: BTreeMap<ReceivedId, Row>,
    by_key: KeyMap,
    by_guard: KeyMap,
    /// What can be claimed, or is leased, by its time; of an order only its head.
    due: BTreeMap<Party, BTreeSet<(DateTime<Utc>, ReceivedId)>>,
    orders: HashMap<Order, Line>,
    /// What has ended, the longest ago first; an entry is stale if the row has another time now.
    ended: BTreeSet<(DateTime<Utc>, ReceivedId)>,
    /// What has ended and has its body, in that order.
    with_body: VecDeque<ReceivedId>,
    /// How many are dead letters.
    dead: u64,
    token: u64,
}

/// What must stay in order.
type Order = (SourceId, Party, Arc<str>);
/// Where something stands in its order.
type Place = (i64, DateTime<Utc>, ReceivedId);

#[derive(Default)]
struct Line {
    pending: BTreeSet<Place>,
    /// The one that can be claimed, or is leased.
    offered: Option<ReceivedId>,
    latest: Option<ItemVersion>,
    touched_at: DateTime<Utc>,
}

struct Row {
    received: Arc<Received>,
    party: Party,
    has_body: bool,
    status: ReceivedStatus,
    attempts: u32,
    duplicates: u32,
    due: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// Outlives the lease: a late result counts as long as nobody else has claimed.
    token: Option<LeaseToken>,
    is_leased: bool,
    note: Option<Arc<str>>,
}

impl Row {
    fn order(&self) -> Option<Order> {
        let key = self.received.order_key.as_ref()?;
        Some((self.received.source, self.party.clone(), Arc::clone(key)))
    }

    /// A redelivery or somebody's work could still make something of it.
    fn is_unfinished(&self) -> bool {
        matches!(self.status, ReceivedStatus::Pending | ReceivedStatus::Dead | ReceivedStatus::Unparsable)
    }

    fn can_be_erased(&self) -> bool {
        self.has_body || self.is_unfinished()
    }

    fn place(&self) -> Place {
        let version = self.received.version;
        let at = version.occurred_at.unwrap_or(self.received.received_at);
        (version.sequence.unwrap_or(0), at, self.received.id)
    }

    fn record(&self, body: Bytes) -> ReceivedRecord {
        let mut received = (*self.received).clone();
        received.body = body;
        let mut record = ReceivedRecord::new(received);
        record.has_body = self.has_body;
        record.status = self.status;
        record.attempts = self.attempts;
        record.duplicates = self.duplicates;
        record.due_at = (self.status == ReceivedStatus::Pending).then_some(self.due);
        record.ended_at = self.ended_at;
        record.note.clone_from(&self.note);
        record
    }
}
