//! Port: what the engine does.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::error::Result;
use crate::events::model::EventHead;
use crate::lanes::lease::LeaseToken;
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::tenancy::model::TenantId;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{Claim, DisableReason, Publication, Published, Settlement, Webhook};

/// The place of a published event in the order of fan-out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sequence(u64);

/// Published events that nobody has fanned out yet.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Outbox {
    /// The events, oldest first.
    pub entries: Vec<(Sequence, Arc<EventHead>)>,
    /// All webhooks of the tenants that these events belong to, as they were at, or after, the time of reading the entries.
    pub webhooks: HashMap<TenantId, Arc<[Arc<Webhook>]>>,
}

/// One half of the tenants, by a hash of their names that all processes on a store work out alike: so two that take events off the same
/// outbox can keep out of each other's way.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Half {
    /// Tenants with an even hash.
    Even,
    /// Tenants with an odd hash.
    Odd,
}

/// How much a worker wants, and where it goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The time.
    pub now: DateTime<Utc>,
    /// How long the claims hold.
    pub lease: Duration,
    /// At most so many deliveries.
    pub limit: usize,
    /// The tenant behind which the round goes on, as the last answer said.
    pub after: Option<TenantId>,
    /// How many of one webhook may be in flight if the webhook does not say.
    pub max_in_flight: u32,
    /// How many resends and replays of one webhook may be in flight; they count towards its own limit as well.
    pub max_replays_in_flight: u32,
    /// Tenants that get nothing this time: they have their share of the caller's slots already.
    pub except: Vec<TenantId>,
}

/// What a worker got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claimed {
    /// The deliveries, each leased to this worker.
    pub claims: Vec<Claim>,
    /// Where the next round goes on; always given, also when nothing was claimed. `None` means from the beginning.
    pub after: Option<TenantId>,
    /// When something will be due that is not now, as far as the store knows; a hint for how long to sleep.
    pub next_due: Option<DateTime<Utc>>,
    /// The store's own time.
    pub now: DateTime<Utc>,
}

/// Results that are settled together.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SettleBatch<'a> {
    /// The results.
    pub settlements: &'a [Settlement],
    /// Webhooks that have failed for too long, or were warned about it.
    pub judgements: &'a [Judged],
}

/// What was decided about a webhook's health.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which webhook.
    pub webhook: WebhookId,
    /// What is to be done.
    pub step: JudgedStep,
    /// What the log is told.
    pub activity: Vec<Activity>,
}

/// What is to be done about a webhook's health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JudgedStep {
    /// Remember that a warning of so many per cent was given.
    Warned(u8),
    /// Disable it.
    Disable(DisableReason),
}

/// What settling has changed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settled {
    /// Results whose lease was lost: logged, nothing else. The token is part of the name, because a batch may hold an old
    /// and a new result of one delivery.
    pub fenced: Vec<(DeliveryId, LeaseToken)>,
    /// Webhooks that are failing, or have just recovered: health before and after this batch.
    pub health: Vec<HealthMoved>,
    /// Webhooks that this batch has disabled; those that were disabled or changed before are not among them.
    pub disabled: Vec<(TenantId, WebhookId)>,
    /// Before this time nothing can be claimed of the webhooks that the results belong to, unless something new comes: then nobody needs
    /// to ask. The end of time if nothing waits; `None` if the store does not know.
    pub next_due: Option<DateTime<Utc>>,
}

/// An entry of the outbox with what fan-out makes of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Distribution {
    /// The place in the outbox.
    pub sequence: Sequence,
    /// The event.
    pub event: Arc<EventHead>,
    /// What becomes of it.
    pub fan_out: FanOut,
}

/// What fan-out has brought.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Distributed {
    /// How many entries were still there.
    pub taken: usize,
    /// Deliveries that are leased to whoever asked.
    pub claims: Vec<Claim>,
    /// Before this time nothing can be claimed of the webhooks that the others belong to, unless something new comes; the end of time if
    /// there are no others, `None` if the store does not know.
    pub next_due: Option<DateTime<Utc>>,
}

/// A webhook's health before and after a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthMoved {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which webhook.
    pub webhook: WebhookId,
    /// Before the batch.
    pub before: WebhookHealth,
    /// After it.
    pub after: WebhookHealth,
}

/// What a round of chores has done.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Expired {
    /// Deliveries that became dead letters because of their age.
    pub deliveries: Vec<(TenantId, WebhookId, DeliveryId)>,
    /// How many more ended as skipped, because their webhook is disabled or deleted, or their event was erased.
    pub skipped: u64,
}

/// What is kept until when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retention {
    /// Payloads, and bodies in the attempt log; 30 days by default.
    pub payloads: Duration,
    /// Events, deliveries, attempts, replays that have ended, entries of the activity log; 90 days by default.
    pub history: Duration,
    /// Idempotency keys; 24 hours by default.
    pub idempotency_keys: Duration,
}

/// A step forward of the replays that are due.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Advanced {
    /// How many deliveries were made.
    pub made: u64,
    /// How many more are due now, for which ids were missing: a caller need not mint ids before it knows that they are wanted.
    pub wanted: u64,
    /// Replays that have made their last one.
    pub completed: Vec<(TenantId, WebhookId, ReplayId)>,
}

/// How a queue stands: what an operator must know, over all tenants.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Examination {
    /// How many events are not fanned out yet.
    pub outbox: u64,
    /// When the oldest of them was published.
    pub oldest_in_outbox: Option<DateTime<Utc>>,
    /// When the delivery that has been due for longest became due; `None` if nothing is due. Deliveries of webhooks that are
    /// paused or held back count as well.
    pub oldest_due: Option<DateTime<Utc>>,
    /// How many deliveries are claimed.
    pub live_leases: u64,
    /// How many leases ended unsettled within the last minute, as far as that was noticed: workers die, or are too slow.
    pub expired_leases_per_minute: u64,
    /// The store's own clock, if it has one.
    pub store_clock: Option<DateTime<Utc>>,
    /// What only this kind of store has, by name, such as `schema_version`, `default_partition_rows`,
    /// `oldest_transaction_seconds`, `dead_tuples`, `wal_bytes`.
    pub vitals: BTreeMap<&'static str, i64>,
}

/// The engine's storage: events go in, claims come out, results go in.
///
/// # Contract
/// - `publish` writes all publications or none. A key that this tenant used within `idempotency_keys` of `now` makes nothing
///   new: it answers the first event with `fresh: false` if the digest is the same, and is `Conflict` (which names
///   `publications[index].idempotency_key`) if it is not; also when two callers race, or one call uses a key twice. An older
///   key counts as absent. An event's id that exists is `Conflict`.
/// - `outbox` lists the oldest events first and changes nothing. A webhook saved before an event was published is listed with it.
/// - `outbox_half` lists a tenant's events in one of the two halves, always the same one, whichever process asks; both together are what
///   `outbox` lists, but where very many of the other half stand before them. A store that answers `None` for one half does so for the
///   other.
/// - `fan_out` takes each entry off the outbox once: an entry that is no longer there is ignored, with its deliveries. A
///   delivery to a webhook that is disabled by now is recorded as skipped; one that is deleted by now, or of an event that was
///   erased by now, likewise. A delivery's id that exists is `Conflict`, and nothing is taken.
/// - `distribute` is `fan_out`, and may give the caller some of the new deliveries at once: at most `limit`, and only what the same
///   request would have been given by `claim`, of webhooks of which nothing else is due. What it does not give is claimed as usual.
/// - `claim` gives each due delivery to one caller at a time: while a lease is live, nobody else gets it. When a lease has ended
///   unsettled, the delivery is due again, with the next attempt number.
/// - `claim` never gives more of one webhook than its in-flight limit less its live leases, its rate and its circuit allow, in
///   total over all callers. It counts live leases, never settlements.
/// - `claim` gives nothing of a webhook that is paused, disabled, or held back until later. What was erased while it was claimed
///   is not given again.
/// - Resends and replays are in a lane of their own: without order, at most `max_replays_in_flight` of a webhook at once, and
///   neither lane starves the other. Within a lane, what has been due for longer goes first.
/// - In an order, only the oldest undelivered delivery is given. Order follows the outbox.
/// - `claim` goes round over tenants from behind `after` and gives each tenant with due work its share before it gives any a second
///   one, and none waits because others must; the cursor is always answered, and wraps around to the beginning. Over a few
///   calls, each webhook of a tenant has its turn.
/// - `claim` gives nothing of the tenants in `except`, and what they have due holds back nobody: the others get what they would
///   get if it were not there, and `next_due` need not tell of it.
/// - `next_due` is never later than the next time at which something can be claimed, and is after `now` if nothing can be
///   claimed now.
/// - `settle` applies each settlement whose lease is the present one, all of them or none. One whose lease was lost, also because
///   it was settled before, is answered as fenced: its attempt is logged as fenced, and nothing else changes, no health, no pause,
///   no circuit, no disabling, no activity. An attempt is logged once under its id, however often it is settled. A lease whose
///   time is over is still the present one until somebody else claims, or the delivery ends.
/// - A settlement that retries, releases or stops a delivery whose webhook is disabled or deleted by now, or whose event was
///   erased, ends it as skipped instead.
/// - What a settlement says about the webhook (health, pause, circuit, disabling) counts only if the webhook still has the version
///   that the settlement names: a result of the old URL must not hold back the new one. What it says about the delivery counts.
/// - The time of a webhook's last success is exact to the second: a success within a second of a noted one need not be noted.
/// - `next_due` of `settle` and `distribute`, if a store knows it, is never later than the next time at which something can be claimed
///   of the webhooks that the results, or the entries, belong to.
/// - `Fate::Release` takes the begun attempt back: the next claim has the same number.
/// - A disabling settlement or judgement disables the webhook as a save would; it is idempotent. The answer names the
///   webhooks that the batch has disabled; a settlement that did not disable writes its other activity, but none of kind
///   [`WebhookDisabled`](crate::activity::ActivityKind). A judgement that changes nothing writes no activity; a warning counts only while the webhook fails, and only if it is a higher one.
/// - `pause_until` never shortens a pause. A brake change whose `seen` is not the present version changes nothing.
/// - `expire` ends pending and stopped deliveries made before `before` as dead letters, unless they are leased, and those that
///   nobody has claimed, or whose lease has ended, as skipped if their webhook is disabled or deleted, and those whose lease has
///   ended if their event was erased. Both count towards `limit`; fewer are answered only if nothing is left.
/// - `advance_replays` makes at most one second's worth of each due replay, oldest first, and begins with the
///   replays that have been due for longest, so that none goes short because of another; it makes at most one delivery for each given id, of
///   deliveries with [`Origin::Live`](crate::webhooks::Origin) only, whose payload is there; if ids are missing, `wanted` says at
///   most how many. A crash between two calls makes nothing twice. A replay of a disabled webhook waits.
/// - `tidy` drops what is past its retention, also entries of the activity log past `history`, but never an event, payload or delivery that is still undelivered.
/// - `examine` changes nothing, and asks for no more than a count that an index holds.
#[async_trait]
pub trait DeliveryQueue: Debug + Send + Sync + 'static {
    /// Writes events.
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>>;

    /// The oldest events that are not fanned out yet, at most so many.
    async fn outbox(&self, limit: usize, now: DateTime<Utc>) -> Result<Outbox>;

    /// The same of one half of the tenants. Only workers that get in each other's way ask for that; `None`, the default, if the store does
    /// not divide its outbox.
    async fn outbox_half(&self, half: Half, limit: usize, now: DateTime<Utc>) -> Result<Option<Outbox>> {
        let _ = (half, limit, now);
        Ok(None)
    }

    /// Turns outbox entries into deliveries; answers how many entries were still there.
    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize>;

    /// Turns outbox entries into deliveries, and may lease some of them at once, where that is cheaper than to write them down as due and
    /// then as leased. Unless a store says otherwise, it leases none.
    async fn distribute(&self, entries: Vec<Distribution>, request: ClaimRequest) -> Result<Distributed> {
        let entries = entries.into_iter().map(Distribution::without_event).collect();
        Ok(Distributed::new(self.fan_out(entries, request.now).await?, Vec::new(), None))
    }

    /// Leases due deliveries.
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed>;

    /// Takes results.
    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled>;

    /// Ends what has waited for too long, at most so many.
    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired>;

    /// Makes the next deliveries of running replays.
    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced>;

    /// Drops what is past its retention; answers how many rows went.
    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64>;

    /// How the queue stands, for an operator.
    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination>;
}

impl Sequence {
    /// The place with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that a store keeps.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl Outbox {
    /// What a store has read.
    pub fn new(
        entries: Vec<(Sequence, Arc<EventHead>)>,
        webhooks: HashMap<TenantId, Arc<[Arc<Webhook>]>>,
    ) -> Self {
        Self { entries, webhooks }
    }
}

impl Distribution {
    /// What becomes of this entry.
    pub fn new(sequence: Sequence, event: Arc<EventHead>, fan_out: FanOut) -> Self {
        Self { sequence, event, fan_out }
    }

    /// The entry as [`DeliveryQueue::fan_out`] takes it.
    pub fn without_event(self) -> (Sequence, FanOut) {
        (self.sequence, self.fan_out)
    }
}

impl Distributed {
    /// What a store has taken off the outbox and leased.
    pub fn new(taken: usize, claims: Vec<Claim>, next_due: Option<DateTime<Utc>>) -> Self {
        Self { taken, claims, next_due }
    }
}

impl ClaimRequest {
    /// At most so many deliveries, each for so long.
    pub fn new(now: DateTime<Utc>, lease: Duration, limit: usize) -> Self {
        Self {
            now,
            lease,
            limit,
            after: None,
            max_in_flight: 8,
            max_replays_in_flight: 1,
            except: Vec::new(),
        }
    }

    /// Going on behind this tenant.
    #[must_use]
    pub fn with_after(mut self, after: Option<TenantId>) -> Self {
        self.after = after;
        self
    }

    /// With nothing of these tenants.
    #[must_use]
    pub fn except(mut self, tenants: impl IntoIterator<Item = TenantId>) -> Self {
        self.except = tenants.into_iter().collect();
        self
    }

    /// With this limit for webhooks that do not say their own.
    #[must_use]
    pub fn with_max_in_flight(mut self, max_in_flight: u32) -> Self {
        self.max_in_flight = max_in_flight;
        self
    }
}

impl Claimed {
    /// What a store has leased.
    pub fn new(
        claims: Vec<Claim>,
        after: Option<TenantId>,
        next_due: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        Self { claims, after, next_due, now }
    }
}

impl<'a> SettleBatch<'a> {
    /// Results alone.
    pub fn new(settlements: &'a [Settlement]) -> Self {
        Self { settlements, judgements: &[] }
    }

    /// Judgements alone.
    pub fn judged(judgements: &'a [Judged]) -> Self {
        Self { settlements: &[], judgements }
    }
}

impl Judged {
    /// A decision about this webhook.
    pub fn new(tenant: TenantId, webhook: WebhookId, step: JudgedStep, activity: Vec<Activity>) -> Self {
        Self { tenant, webhook, step, activity }
    }
}

impl HealthMoved {
    /// A webhook's health before and after a batch.
    pub fn new(tenant: TenantId, webhook: WebhookId, before: WebhookHealth, after: WebhookHealth) -> Self {
        Self { tenant, webhook, before, after }
    }
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            payloads: Duration::from_secs(30 * DAY),
            history: Duration::from_secs(90 * DAY),
            idempotency_keys: Duration::from_secs(DAY),
        }
    }
}
