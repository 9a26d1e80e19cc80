//! Port: sources, and what was received from them, as a store keeps them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::error::Result;
use crate::inbound::received::{
    InboundJob, InboundSettlement, Party, Received, ReceivedRecord, ReceivedStatus,
};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::lanes::lease::LeaseToken;
use crate::ports::Sealed;
use crate::primitives::durability::Durability;
use crate::primitives::id::{ReceivedId, SourceId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::version::Version;

/// One of the changes that are saved together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SourceChange {
    /// A new source.
    Insert(Source),
    /// A source as it is to be, with a version one above the present one. Its id, its owner and its name are those that it has.
    Replace {
        /// The source as it is to be.
        source: Source,
        /// The version that this was made from.
        expected: Version,
    },
    /// The source goes; what was received from it stays.
    Delete(SourceId),
    /// Nothing by itself, but a condition: with the changes before it, the owner has at most so many sources.
    AtMost(usize),
}

/// What became of one item that was offered to the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Accepted {
    /// It is new, and kept under its own id.
    Fresh,
    /// It was there already, and is counted.
    Duplicate(ReceivedId),
    /// It was there already as a dead letter, and is pending again.
    Rearmed(ReceivedId),
}

/// A source's secret, sealed anew.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResealedSecret {
    /// The seal as it was read.
    pub before: Sealed,
    /// The seal in its place.
    pub after: Sealed,
}

/// Asks for work.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundClaim {
    /// The present time.
    pub now: DateTime<Utc>,
    /// How long the work is the caller's.
    pub lease: Duration,
    /// How many pieces at most.
    pub limit: usize,
    /// Where the round over parties goes on.
    pub after: Option<Party>,
    /// For whom nothing is wanted.
    pub except: Vec<Party>,
}

/// What was claimed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundClaimed {
    /// The work.
    pub jobs: Vec<InboundJob>,
    /// Where the round over parties goes on the next time.
    pub after: Option<Party>,
    /// When something will be due that is not now.
    pub next_due: Option<DateTime<Utc>>,
    /// The store's own time, or the caller's.
    pub now: DateTime<Utc>,
}

/// What became of results.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundSettled {
    /// Those whose lease had gone to somebody else: they changed nothing.
    pub fenced: Vec<(ReceivedId, LeaseToken)>,
}

/// How much was asked to be handled once more.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Replayed {
    /// How much is pending again.
    pub count: usize,
    /// Where the next step begins; `None` when everything was looked at.
    pub next: Option<Cursor>,
}

/// How what was received stands: what an operator must know, over all owners.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundExamination {
    /// Since when what has been due for longest has been so; `None` if nothing is due.
    pub oldest_due: Option<DateTime<Utc>>,
    /// How many dead letters there are; a store need not count beyond 10,000.
    pub dead: u64,
}

/// What an erasure has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundErasure {
    /// How many items are erased now that were not before.
    pub items: u64,
    /// How many of them still waited for a handler.
    pub unhandled: u64,
}

/// How long what has ended is kept; what waits is kept as long as it waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundRetention {
    /// What was received, and with it the keys by which copies are known; 30 days by default, and never less than 7.
    pub received: Duration,
    /// The bodies; 30 days by default.
    pub bodies: Duration,
}

/// Which kinds are meant: a kind, `*`, or a beginning and `*`.
///
/// ```
/// use crossdock::inbound::KindPattern;
///
/// let subscriptions = KindPattern::new("customer.subscription.*");
///
/// assert!(subscriptions.matches("customer.subscription.created"));
/// assert!(!subscriptions.matches("customer.created"));
/// assert!(KindPattern::new("*").matches(""));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KindPattern(Arc<str>);

/// What is wanted of what was received; what is not set does not filter.
///
/// ```
/// use crossdock::inbound::{ReceivedFilter, ReceivedStatus};
///
/// let dead = ReceivedFilter::new().status(ReceivedStatus::Dead).kind("invoice.*");
///
/// assert_eq!(dead.statuses, [ReceivedStatus::Dead]);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReceivedFilter {
    /// Only these.
    pub ids: Vec<ReceivedId>,
    /// Only from this source.
    pub source: Option<SourceId>,
    /// Only what stands like one of these.
    pub statuses: Vec<ReceivedStatus>,
    /// Only of these kinds.
    pub kind: Option<KindPattern>,
    /// Only what came at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only what came before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Keeps sources, and what was received from them.
///
/// # Contract
/// - `save_sources` makes all changes and writes all entries of the activity log, or none; one change sees those before it.
/// - `save_sources` refuses: `NotFound` a source that this owner has not; `Conflict` another version than the expected one, an id that
///   is taken, a second source of the platform of one name, and one source too many; `Invalid` a source of another owner.
/// - `source` and `platform_source` answer with the source as it was at or after the call.
/// - `sources` shows the owner's own only, newest first, each exactly once over all pages.
/// - `all_sources` lists whoever's sources behind this one, in the order of their ids, at most so many.
/// - `reseal_source` puts `after` wherever the source holds `before`, and changes nothing else, no version either; it answers how many
///   of `seals` were still there. What is no longer there, and a source that is gone, is passed over.
/// - `accept` keeps all items or none, with one answer for each, in their order.
/// - Of one source, no two items with one dedupe key are kept, nor two with one guard, whoever offers them and at the same time: the
///   second is `Duplicate`, and counted.
/// - The same key of another source is another item.
/// - A copy of a dead letter makes it pending again, due at once, its attempts forgotten: `Rearmed`.
/// - What could not be read is kept as `Unparsable` and not claimed.
/// - `claim` leases what is due, each item to one caller until its lease ends, then to anybody, under a token that was never given for
///   it before; each claim counts as an attempt.
/// - `claim` gives each party that has due work its turn before any party gets a second one, goes on behind `after`, round to where it
///   began, and gives nothing to parties in `except`.
/// - Of what has one order key (of one source and party) at most one is leased at a time, and the lowest by sequence, time and id goes
///   first; with it comes the newest version of that order that was done.
/// - `next_due` is no later than the time when something is due that was not claimed now.
/// - `settle` settles each result whose token is the last that was given for its item, late or not; every other one is `fenced`, and
///   changes nothing, nor is its activity written.
/// - What has ended stays ended: a second result under its last token changes nothing, and is not fenced. So a completion in the host's
///   transaction wins over whatever the handler then says.
/// - `Done` makes the item's version the newest of its order, unless a newer one is known.
/// - `Release` gives the attempt back.
/// - `received` shows the owner's own only, by the filter as [`ReceivedFilter::matches`] judges it, newest first, each exactly once over
///   all pages; its items have no body. `one_received` shows one, with its body.
/// - `replay` makes pending again what the filter wants, has ended, and still has its body, newest first, from the cursor on, at most so
///   much; attempts are forgotten.
/// - `erase` drops the bodies and notes of the owner's items that are about the subject; rows stay. What waited, was dead or could not
///   be read ends as `Erased`, also while somebody works on it: that result is fenced. Copies of it are `Duplicate`.
/// - `examine` says since when what has been due for longest and nobody holds has been so, and counts dead letters up to 10,000 at least,
///   whoever's they are; it changes nothing.
/// - `tidy` drops what ended before `received` ago, with its keys, and the bodies of what ended before `bodies` ago, in steps of at most
///   1,000 each; never what is pending. Keys are kept for at least 7 days, whatever is asked for.
/// - Another owner's id answers exactly like one that does not exist.
/// - Dropping a future leaves its step made or not made.
#[async_trait]
pub trait InboundStore: Debug + Send + Sync + 'static {
    /// Whether what this store keeps outlives the process.
    fn durability(&self) -> Durability;

    /// Saves changes of sources, and what happened.
    async fn save_sources(
        &self,
        owner: &Owner,
        changes: Vec<SourceChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// The source with this id, whoever's it is: the sender names no owner.
    async fn source(&self, id: SourceId) -> Result<Option<Arc<Source>>>;

    /// The platform's own source of this name.
    async fn platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>>;

    /// A page of an owner's sources.
    async fn sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>>;

    /// Sources of everybody behind this one, at most so many: for work that goes over all secrets.
    async fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Arc<Source>>>;

    /// Replaces seals of a source with seals of the same secrets under another key.
    async fn reseal_source(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64>;

    /// Keeps what was received, perhaps in many requests, each item once.
    async fn accept(&self, received: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>>;

    /// Leases work.
    async fn claim_received(&self, claim: InboundClaim) -> Result<InboundClaimed>;

    /// Takes results.
    async fn settle_received(
        &self,
        results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled>;

    /// A page of what an owner has received, without bodies.
    async fn received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>>;

    /// One item, with its body.
    async fn one_received(&self, owner: &Owner, id: ReceivedId) -> Result<Option<ReceivedRecord>>;

    /// Asks for handling once more what the filter wants.
    async fn replay_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replayed>;

    /// Erases what was received about a subject.
    async fn erase_received(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure>;

    /// How what was received stands, for an operator.
    async fn examine_received(&self, now: DateTime<Utc>) -> Result<InboundExamination>;

    /// Drops what is older than it need be kept; answers how many rows and bodies went.
    async fn tidy_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64>;
}

impl ResealedSecret {
    /// `after` in the place of `before`.
    pub const fn new(before: Sealed, after: Sealed) -> Self {
        Self { before, after }
    }
}

impl InboundClaim {
    /// Asks for so much.
    pub const fn new(now: DateTime<Utc>, lease: Duration, limit: usize) -> Self {
        Self { now, lease, limit, after: None, except: Vec::new() }
    }

    /// Goes on behind this party.
    #[must_use]
    pub fn with_after(mut self, after: Option<Party>) -> Self {
        self.after = after;
        self
    }

    /// Wants nothing for these.
    #[must_use]
    pub fn except(mut self, except: Vec<Party>) -> Self {
        self.except = except;
        self
    }
}

impl InboundClaimed {
    /// This work.
    pub const fn new(
        jobs: Vec<InboundJob>,
        after: Option<Party>,
        next_due: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        Self { jobs, after, next_due, now }
    }
}

impl InboundSettled {
    /// Of these the lease was lost.
    pub const fn new(fenced: Vec<(ReceivedId, LeaseToken)>) -> Self {
        Self { fenced }
    }
}

impl Replayed {
    /// So much.
    pub const fn new(count: usize, next: Option<Cursor>) -> Self {
        Self { count, next }
    }
}

impl InboundExamination {
    /// It stands like this.
    pub const fn new(oldest_due: Option<DateTime<Utc>>, dead: u64) -> Self {
        Self { oldest_due, dead }
    }
}

impl InboundErasure {
    /// So many items, and so many of them unhandled.
    pub const fn new(items: u64, unhandled: u64) -> Self {
        Self { items, unhandled }
    }
}

impl InboundRetention {
    /// Keys are kept at least so long: senders try again for days.
    pub const LEAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// 30 days of everything.
    pub const DEFAULT: Self = Self::days(30);

    /// So many days of everything.
    pub const fn days(days: u64) -> Self {
        let span = Duration::from_secs(days * 24 * 60 * 60);
        Self { received: span, bodies: span }
    }

    /// How long rows and keys are kept.
    pub fn rows(&self) -> Duration {
        self.received.max(Self::LEAST)
    }

    /// How long bodies are kept: never longer than their rows.
    pub fn of_bodies(&self) -> Duration {
        self.bodies.min(self.rows())
    }
}

impl Default for InboundRetention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl KindPattern {
    /// The pattern; any text is one.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a kind must begin with, if not the whole of it is given.
    pub fn beginning(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// Whether this kind is meant.
    pub fn matches(&self, kind: &str) -> bool {
        self.beginning().map_or(&*self.0 == kind, |beginning| kind.starts_with(beginning))
    }
}

impl<T: Into<Arc<str>>> From<T> for KindPattern {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl ReceivedFilter {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this; given several times, one of these.
    #[must_use]
    pub fn id(mut self, id: ReceivedId) -> Self {
        self.ids.push(id);
        self
    }

    /// Only from this source.
    #[must_use]
    pub fn source(mut self, source: SourceId) -> Self {
        self.source = Some(source);
        self
    }

    /// Only what stands like this; given several times, one of these.
    #[must_use]
    pub fn status(mut self, status: ReceivedStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// Only of these kinds.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<KindPattern>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only what came at or after this time.
    #[must_use]
    pub fn from(mut self, from: DateTime<Utc>) -> Self {
        self.from = Some(from);
        self
    }

    /// Only what came before this time.
    #[must_use]
    pub fn to(mut self, to: DateTime<Utc>) -> Self {
        self.to = Some(to);
        self
    }

    /// Whether it is wanted.
    pub fn matches(&self, record: &ReceivedRecord) -> bool {
        let received = &record.received;
        (self.ids.is_empty() || self.ids.contains(&received.id))
            && self.source.is_none_or(|source| source == received.source)
            && (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && self.kind.as_ref().is_none_or(|kind| kind.matches(&received.kind))
            && self.from.is_none_or(|from| from <= received.received_at)
            && self.to.is_none_or(|to| received.received_at < to)
    }
}
