//! What was received, and what becomes of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::inbound::source::{Owner, SourceName};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::stored::word::words;

/// One item that was verified: what a store keeps of it before the sender is told 2xx.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// Names it.
    pub id: ReceivedId,
    /// Where it came from.
    pub source: SourceId,
    /// The name of that source: handlers are registered under it.
    pub name: SourceName,
    /// Whose it is.
    pub owner: Owner,
    /// The same for every copy of it from this source.
    pub dedupe_key: Arc<str>,
    /// A second key, where the sender could change the first one without anybody noticing.
    pub guard: Option<Arc<str>>,
    /// What the sender calls it.
    pub event_id: Option<Arc<str>>,
    /// What it is, in the sender's words, such as `invoice.paid`; may be empty.
    pub kind: Arc<str>,
    /// Whose it is in the sender's words, such as a shop's domain.
    pub tenant_key: Option<Arc<str>>,
    /// What it must stay in order with.
    pub order_key: Option<Arc<str>>,
    /// Whom or what it is about, so that it can be erased.
    pub subject: Option<Arc<str>>,
    /// How new it is.
    pub version: ItemVersion,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// Whether its scheme could read it.
    pub reading: Reading,
    /// Those of the request's headers that may matter to a handler; none that carries a secret.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The item, byte for byte.
    pub body: Bytes,
}

/// Whether a correctly signed body could be read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// It could.
    Parsed,
    /// It could not: it is kept, shown, and not handled by itself.
    Unparsable,
}

/// How new an item is, as far as its sender says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ItemVersion {
    /// When it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// A number that grows.
    pub sequence: Option<i64>,
}

/// For whom work is done: nobody may fill a worker alone. A tenant, or one of a platform's source's own customers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Party(Arc<str>);

/// How something that was received stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReceivedStatus {
    /// It waits for a handler, or is being handled.
    Pending,
    /// It was handled.
    Done,
    /// No handler wants it.
    Ignored,
    /// Something newer of the same order was handled before.
    Outdated,
    /// It could not be handled, and nobody tries any more; a redelivery or a replay begins anew.
    Dead,
    /// Its signature was right, but it could not be read.
    Unparsable,
    /// It was erased before it was handled.
    Erased,
}

/// What was received, and how it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReceivedRecord {
    /// What was received; its body is empty once retention has dropped it, or it was erased.
    pub received: Received,
    /// Whether the body is still there.
    pub has_body: bool,
    /// How it stands.
    pub status: ReceivedStatus,
    /// How often it was handed to a handler since it was received, or replayed.
    pub attempts: u32,
    /// How many more copies came.
    pub duplicates: u32,
    /// When it is handled next; while somebody works on it, when that lease ends.
    pub due_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What a handler, or the worker, said last.
    pub note: Option<Arc<str>>,
}

/// One piece of work for a handler.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundJob {
    /// What was received.
    pub received: Arc<Received>,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// Until when it is this worker's.
    pub lease: Lease,
    /// The newest of its order that was handled.
    pub latest: Option<ItemVersion>,
}

/// What came of one piece of work.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundSettlement {
    /// Of what.
    pub id: ReceivedId,
    /// Under which claim.
    pub token: LeaseToken,
    /// What becomes of it.
    pub fate: InboundFate,
    /// What is worth remembering about it.
    pub note: Option<Arc<str>>,
    /// What is written into the log with it, if it holds.
    pub activity: Vec<Activity>,
}

/// What becomes of something that was worked on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InboundFate {
    /// It was handled.
    Done,
    /// No handler wants it.
    Ignored,
    /// Something newer was handled before.
    Outdated,
    /// It is tried again then.
    RetryAt(DateTime<Utc>),
    /// It is not tried again.
    Dead,
    /// It was not begun: it is due then, and the attempt does not count.
    Release(DateTime<Utc>),
}

/// What is written in a transaction of the host's own, so that an effect and its completion are one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// Of what.
    pub id: ReceivedId,
    /// Under which claim.
    pub token: LeaseToken,
    /// Where it came from.
    pub source: SourceId,
    /// For whom.
    pub party: Party,
    /// What it stays in order with.
    pub order_key: Option<Arc<str>>,
    /// How new it is.
    pub version: ItemVersion,
    /// When it ended.
    pub at: DateTime<Utc>,
}

impl Received {
    /// An item that could be read, with nothing known about it but where it came from.
    pub fn new(
        id: ReceivedId,
        source: SourceId,
        name: SourceName,
        owner: Owner,
        dedupe_key: impl Into<Arc<str>>,
        received_at: DateTime<Utc>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            id,
            source,
            name,
            owner,
            dedupe_key: dedupe_key.into(),
            guard: None,
            event_id: None,
            kind: "".into(),
            tenant_key: None,
            order_key: None,
            subject: None,
            version: ItemVersion::default(),
            received_at,
            reading: Reading::Parsed,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// For whom it is worked on.
    pub fn party(&self) -> Party {
        match &self.owner {
            Owner::Tenant(tenant) => Party(["t/", tenant.as_str()].concat().into()),
            Owner::Platform => {
                let key = self.tenant_key.as_deref().unwrap_or_default();
                // Whatever a sender says: the column is an index.
                let ends = || key.char_indices().map(|(at, c)| at + c.len_utf8());
                let end = if key.len() <= 128 {
                    key.len()
                } else {
                    ends().take_while(|&end| end <= 128).last().unwrap_or(0)
                };
                Party(["p/", self.name.as_str(), "/", &key[..end]].concat().into())
            }
        }
    }
}

impl fmt::Debug for Received {
    /// The body and the values of headers are left out: they are somebody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("name", &self.name.as_str())
            .field("owner", &self.owner)
            .field("kind", &self.kind)
            .field("received_at", &self.received_at)
            .field("reading", &self.reading)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl ItemVersion {
    /// A version of which both may be known.
    pub const fn new(occurred_at: Option<DateTime<Utc>>, sequence: Option<i64>) -> Self {
        Self { occurred_at, sequence }
    }

    /// Whether something of this version comes too late once `latest` was handled.
    ///
    /// ```
    /// use crossdock::inbound::ItemVersion;
    ///
    /// let numbered = |number| ItemVersion::new(None, Some(number));
    ///
    /// assert!(numbered(6).is_outdated_by(&numbered(7)));
    /// assert!(!numbered(7).is_outdated_by(&numbered(7)));
    /// assert!(!ItemVersion::default().is_outdated_by(&numbered(7)));
    /// ```
    pub fn is_outdated_by(&self, latest: &Self) -> bool {
        match (self.sequence, latest.sequence) {
            (Some(own), Some(latest)) => own < latest,
            _ => match (self.occurred_at, latest.occurred_at) {
                (Some(own), Some(latest)) => own < latest,
                // Nobody knows.
                _ => false,
            },
        }
    }
}

impl Party {
    /// The party that was kept as this text.
    pub fn from_kept(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// What a store keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

words!(Reading {
    Parsed => "parsed",
    Unparsable => "unparsable",
});

words!(ReceivedStatus {
    Pending => "pending",
    Done => "done",
    Ignored => "ignored",
    Outdated => "outdated",
    Dead => "dead",
    Unparsable => "unparsable",
    Erased => "erased",
});

impl ReceivedStatus {
    /// The number that a store keeps: 0 is work, everything else has ended.
    pub const fn number(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Done => 1,
            Self::Ignored => 2,
            Self::Outdated => 3,
            Self::Dead => 4,
            Self::Unparsable => 5,
            Self::Erased => 6,
        }
    }

    /// The status that was kept as this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Pending,
            1 => Self::Done,
            2 => Self::Ignored,
            3 => Self::Outdated,
            4 => Self::Dead,
            5 => Self::Unparsable,
            6 => Self::Erased,
            _ => return None,
        })
    }
}

impl ReceivedRecord {
    /// Something that was just received.
    pub fn new(received: Received) -> Self {
        let status = match received.reading {
            Reading::Parsed => ReceivedStatus::Pending,
            Reading::Unparsable => ReceivedStatus::Unparsable,
        };
        let is_pending = status == ReceivedStatus::Pending;
        Self {
            has_body: true,
            status,
            attempts: 0,
            duplicates: 0,
            due_at: is_pending.then_some(received.received_at),
            ended_at: (!is_pending).then_some(received.received_at),
            note: None,
            received,
        }
    }
}

impl InboundJob {
    /// A piece of work.
    pub const fn new(received: Arc<Received>, attempt: u32, lease: Lease) -> Self {
        Self { received, attempt, lease, latest: None }
    }

    /// Whether something newer of its order was handled before.
    pub fn is_outdated(&self) -> bool {
        self.latest.is_some_and(|latest| self.received.version.is_outdated_by(&latest))
    }

    /// What a handler writes in its own transaction.
    pub fn completion(&self, at: DateTime<Utc>) -> Completion {
        Completion {
            id: self.received.id,
            token: self.lease.token,
            source: self.received.source,
            party: self.received.party(),
            order_key: self.received.order_key.clone(),
            version: self.received.version,
            at,
        }
    }
}

impl InboundSettlement {
    /// What came of this piece of work.
    pub fn new(job: &InboundJob, fate: InboundFate) -> Self {
        Self { id: job.received.id, token: job.lease.token, fate, note: None, activity: Vec::new() }
    }

    /// The same with something worth remembering.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<Arc<str>>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl InboundFate {
    /// How it stands then.
    pub const fn status(self) -> ReceivedStatus {
        match self {
            Self::Done => ReceivedStatus::Done,
            Self::Ignored => ReceivedStatus::Ignored,
            Self::Outdated => ReceivedStatus::Outdated,
            Self::Dead => ReceivedStatus::Dead,
            Self::RetryAt(_) | Self::Release(_) => ReceivedStatus::Pending,
        }
    }

    /// When it is due again, if it is.
    pub const fn due_at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::RetryAt(at) | Self::Release(at) => Some(at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(owner: Owner, tenant_key: &str) -> Received {
        let (id, now) = (ReceivedId::mint(DateTime::UNIX_EPOCH, [0; 10]), DateTime::UNIX_EPOCH);
        let name: SourceName = "stripe".parse().expect("a name");
        let mut received = Received::new(id, name.platform_id(), name, owner, "evt_1", now, "{}");
        received.tenant_key = Some(tenant_key.into());
        received
    }

    #[test]
    fn a_sender_cannot_make_its_customers_look_like_a_tenant() {
        let tenant = Owner::Tenant("acme".parse().expect("a tenant"));

        assert_eq!(received(tenant, "x").party().as_str(), "t/acme");
        assert_eq!(received(Owner::Platform, "t/acme").party().as_str(), "p/stripe/t/acme");
    }

    #[test]
    fn a_party_is_never_long() {
        let party = received(Owner::Platform, &"ä".repeat(500)).party();

        assert_eq!(party.as_str(), format!("p/stripe/{}", "ä".repeat(64)));
    }

    #[test]
    fn a_status_survives_the_way_through_its_number() {
        for number in 0..7 {
            assert_eq!(ReceivedStatus::from_number(number).map(ReceivedStatus::number), Some(number));
        }
        assert_eq!(ReceivedStatus::from_number(7), None);
    }

    #[test]
    fn what_cannot_be_compared_is_never_outdated() {
        let time = DateTime::UNIX_EPOCH;
        let (timed, numbered) = (ItemVersion::new(Some(time), None), ItemVersion::new(None, Some(1)));

        assert!(!timed.is_outdated_by(&numbered) && !numbered.is_outdated_by(&timed));
        let earlier = ItemVersion::new(Some(time - chrono::TimeDelta::seconds(1)), None);
        assert!(earlier.is_outdated_by(&timed) && !timed.is_outdated_by(&earlier));
    }
}
