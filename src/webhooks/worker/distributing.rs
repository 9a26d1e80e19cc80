//! Published events become deliveries.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::error::Result;
use crate::lanes::desk::Desk;
use crate::ports::{EntropyExt, Wakened};
use crate::primitives::backoff::Backoff;
use crate::primitives::id::DeliveryId;
use crate::primitives::time::later;
use crate::tenancy::model::TenantId;
use crate::webhooks::context::Context;
use crate::webhooks::fan_out::fan_out;
use crate::webhooks::model::{Claim, Webhook};
use crate::webhooks::queue::{Distributed, Distribution, Half, Outbox};
use crate::webhooks::worker::ahead::Ahead;
use crate::webhooks::worker::pace::{MOST, PATIENCE, Pace, WORTH_A_STEP};
use crate::webhooks::worker::sharing::{Sharing, Verdict};
use crate::webhooks::worker::status::StatusBoard;
use crate::webhooks::worker::store_clock::StoreClock;

/// Takes events off the outbox, in order.
#[derive(Debug)]
pub(super) struct Distributing<'a> {
    context: &'a Context,
    board: &'a StatusBoard,
    time: &'a StoreClock,
}

/// A store that is faster than this is not spared.
const SPARED_FROM: Duration = Duration::from_millis(1);
/// No event waits longer for others to be taken off the outbox with.
const LONGEST_GATHERING: Duration = Duration::from_millis(25);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Hints that may be about something else than the events that were found are passed on after so long.
const AT_MOST: Duration = Duration::from_millis(100);
const STORE_BACKOFF: Backoff = Backoff::doubling(Duration::from_millis(50), Duration::from_secs(5));

impl<'a> Distributing<'a> {
    pub(super) fn new(context: &'a Context, board: &'a StatusBoard, time: &'a StoreClock) -> Self {
        Self { context, board, time }
    }

    /// Works until `stopped` completes, but does not stop in the middle of a batch, unless that takes longer than the grace: what the
    /// store has leased is handed over.
    pub(super) async fn run_until(
        &self,
        desk: &Desk<Claim, TenantId>,
        grace: Duration,
        stopped: impl Future<Output = ()> + Unpin,
    ) {
        let clock = &*self.context.clock;
        let mut over = None;
        let course = Course::default();
        let mut work = std::pin::pin!(self.for_ever(desk, &course));
        let mut stopped = stopped.fuse();
        poll_fn(|cx| {
            if !course.is_over.load(Ordering::Relaxed) && stopped.poll_unpin(cx).is_ready() {
                course.is_over.store(true, Ordering::Relaxed);
                over = Some(clock.sleep_until(later(clock.now(), grace)));
            }
            if over.as_mut().is_some_and(|over| over.poll_unpin(cx).is_ready()) {
                return Poll::Ready(());
            }
            let is_done = |course: &Course| {
                course.is_over.load(Ordering::Relaxed) && !course.is_in_a_batch.load(Ordering::Relaxed)
            };
            if is_done(&course) {
                return Poll::Ready(());
            }
            // It never ends by itself.
            let _ = work.as_mut().poll(cx).is_ready();
            if is_done(&course) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    async fn for_ever(&self, desk: &Desk<Claim, TenantId>, course: &Course) {
        let clock = &*self.context.clock;
        let mut pace = Pace::new();
        let mut ahead = Ahead::default();
        let mut failures = 0;
        let mut sharing = Sharing::new();
        // Kept from one look to the next: a timer costs more than a look.
        let mut alarm = clock.sleep_until(clock.now() + LOOK_AGAIN);
        let mut hinted = false;
        // Runners that have nothing to claim are not woken more often.
        let mut wakes_at = clock.now();
        let mut hint = self.context.wake.listen();
        loop {
            let most = self.room(desk, &mut pace).await;
            let begun = clock.now();
            let looks = ahead.to_look_for(begun).map(|most| Look { half: sharing.half(begun), most });
            if looks.is_some() {
                // Before the look, so that an event published during it is not missed.
                hint = self.context.wake.listen();
            }
            match course.within(self.leasing_batch(looks, most, desk, &mut pace, &mut ahead)).await {
                Ok(Step { count, taken, is_due, is_not_divided }) => {
                    failures = 0;
                    if is_not_divided {
                        sharing.is_not_divided();
                    }
                    // A hint without an event is about something else that is due, such as a resend. Runners hear of it
                    // from here only: if every published event woke them too, they would ask for what is not yet there.
                    if is_due || (hinted && (count == 0 || clock.now() >= wakes_at)) {
                        hinted = false;
                        wakes_at = clock.now() + AT_MOST;
                        self.context.due.wake();
                    }
                    match sharing.after(count, taken, clock.now(), || self.toss()) {
                        Verdict::GoesOn => {}
                        Verdict::LooksAgain => {
                            ahead = Ahead::default();
                            hinted |= hint.as_mut().now_or_never().is_some();
                            continue;
                        }
                        Verdict::LeavesToOthers(time) => {
                            ahead = Ahead::default();
                            self.leave_to_others(hint, time).await;
                            hint = self.context.wake.listen();
                            continue;
                        }
                    }
                    if count > 0 && count < WORTH_A_STEP {
                        self.gather(clock.now() - begun).await;
                    }
                    if ahead.has_more() {
                        if hint.as_mut().now_or_never().is_some() {
                            hinted = true;
                            ahead.more_has_come();
                            hint = self.context.wake.listen();
                        }
                    } else if hinted {
                        // The event may have come together with something else.
                        if let Either::Right(_) = select(&mut hint, clock.sleep_until(wakes_at)).await {
                            hinted = false;
                            wakes_at = clock.now() + AT_MOST;
                            self.context.due.wake();
                        }
                    } else {
                        if let Some(until) = sharing.kept_until() {
                            // The other half may be nobody's.
                            alarm = clock.sleep_until(until);
                        }
                        match select(&mut hint, &mut alarm).await {
                            Either::Left(_) => hinted = true,
                            Either::Right(_) => alarm = clock.sleep_until(clock.now() + LOOK_AGAIN),
                        }
                    }
                }
                Err(error) => {
                    failures += 1;
                    ahead = Ahead::default();
                    self.board.store_failed(&error, clock.now());
                    clock.sleep_until(clock.now() + STORE_BACKOFF.after(failures)).await;
                }
            }
        }
    }

    /// Waits until there is room for what may be in the outbox, and says for how much.
    async fn room(&self, desk: &Desk<Claim, TenantId>, pace: &mut Pace) -> usize {
        if let Some(most) = pace.most(desk.leases()) {
            return most;
        }
        let clock = &*self.context.clock;
        let over = clock.sleep_until(later(clock.now(), PATIENCE));
        let known = *pace;
        let room = std::pin::pin!(desk.until(move |leases| known.most(leases).is_some()));
        if let Either::Right(_) = select(room, over).await {
            pace.waited_in_vain(desk.leases());
        }
        pace.most(desk.leases()).unwrap_or(MOST)
    }

    /// Leaves a store alone for twice as long as the last batch took, so that the next one is worth its while; events that come
    /// one by one do not notice.
    async fn gather(&self, took: TimeDelta) {
        let took = took.to_std().unwrap_or_default();
        if took >= SPARED_FROM {
            let clock = &*self.context.clock;
            clock.sleep_until(later(clock.now(), (2 * took).min(LONGEST_GATHERING))).await;
        }
    }

    /// Does not look for so long. What others make of events may be due meanwhile, and so may be something else.
    async fn leave_to_others(&self, mut hint: Wakened, time: Duration) {
        let clock = &*self.context.clock;
        let end = later(clock.now(), time);
        let mut over = clock.sleep_until(end);
        while let Either::Left(_) = select(hint, &mut over).await {
            hint = self.context.wake.listen();
            self.context.due.wake();
            clock.sleep_until(later(clock.now(), LONGEST_GATHERING).min(end)).await;
        }
    }

    pub(super) async fn until_empty(&self) {
        loop {
            match self.one_batch().await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    let clock = &*self.context.clock;
                    self.board.store_failed(&error, clock.now());
                    clock.sleep_until(clock.now() + STORE_BACKOFF.after(1)).await;
                }
            }
        }
    }

    pub(super) async fn is_empty(&self) -> bool {
        let now = self.time.now();
        self.context.queue.outbox(1, now).await.is_ok_and(|outbox| outbox.entries.is_empty())
    }

    /// One batch of which nothing is leased; how much there was.
    async fn one_batch(&self) -> Result<usize> {
        let Found { now, entries, .. } = self.look(Look { half: None, most: MOST }).await?;
        let found = entries.len();
        if found > 0 {
            let entries = entries.into_iter().map(Distribution::without_event).collect();
            self.board.fanned_out(self.context.queue.fan_out(entries, now).await?);
        }
        Ok(found)
    }

    /// One batch of which the store may lease something to the loop at this desk.
    async fn leasing_batch(
        &self,
        looks: Option<Look>,
        most: usize,
        desk: &Desk<Claim, TenantId>,
        pace: &mut Pace,
        ahead: &mut Ahead,
    ) -> Result<Step> {
        let mut now = self.time.now();
        let mut is_not_divided = false;
        if let Some(look) = looks {
            let found = self.look(look).await?;
            now = found.now;
            is_not_divided = found.is_not_divided;
            *ahead = Ahead::of(found.entries, look.most, self.context.clock.now());
        }
        let entries = ahead.take(most);
        let Some(first) = entries.first() else {
            return Ok(Step { is_not_divided, ..Step::default() });
        };
        let (count, oldest) = (entries.len(), first.event.published_at);
        let mut deliveries = BTreeMap::new();
        for Distribution { event, fan_out, .. } in &entries {
            match deliveries.get_mut(&event.tenant) {
                Some(wanted) => *wanted += fan_out.deliveries.len(),
                None => drop(deliveries.insert(event.tenant.clone(), fan_out.deliveries.len())),
            }
        }
        let wanted: usize = deliveries.values().sum();
        let (reserved, full) = desk.reserve(deliveries);
        let request = self.time.request(now, reserved.count()).except(full);

        let Distributed { taken, claims, next_due } = self.context.queue.distribute(entries, request).await?;
        self.board.fanned_out(taken);
        let leased = claims.len();
        reserved.hand(claims.into_iter().map(|claim| (claim.webhook.tenant.clone(), claim)).collect());
        // What others were faster with may be due as well.
        let is_due = taken < count || (leased < wanted && next_due.is_none_or(|due| due <= self.time.now()));
        if let Some(due) = next_due.filter(|_| !is_due) {
            desk.tell(self.time.by_the_hub(due));
        }
        pace.after(leased, now - oldest, desk.leases());
        Ok(Step { count, taken, is_due, is_not_divided })
    }

    /// What stands in the outbox, the oldest first, and what is to become of it.
    async fn look(&self, Look { half, most }: Look) -> Result<Found> {
        let now = self.time.compared().await?;
        let queue = &self.context.queue;
        let of_half = match half {
            Some(half) => queue.outbox_half(half, most, now).await?,
            None => None,
        };
        let is_not_divided = half.is_some() && of_half.is_none();
        let Outbox { entries, webhooks } = match of_half {
            Some(outbox) => outbox,
            None => queue.outbox(most, now).await?,
        };
        let none: Arc<[Arc<Webhook>]> = Arc::new([]);
        let entries = entries.into_iter().map(|(sequence, event)| {
            let mint = || DeliveryId::mint(now, self.context.entropy.bytes());
            let fan_out = fan_out(&event, webhooks.get(&event.tenant).unwrap_or(&none), mint);
            Distribution::new(sequence, event, fan_out)
        });
        Ok(Found { now, entries: entries.collect(), is_not_divided })
    }

    fn toss(&self) -> Half {
        let [byte] = self.context.entropy.bytes();
        if byte & 1 == 0 { Half::Even } else { Half::Odd }
    }
}

/// What is to be looked at, and how much of it.
#[derive(Clone, Copy, Debug)]
struct Look {
    half: Option<Half>,
    most: usize,
}

/// What a look has found, and when.
struct Found {
    now: DateTime<Utc>,
    entries: Vec<Distribution>,
    /// Whether a half was wanted, and the store has none.
    is_not_divided: bool,
}

/// Whether the work is to end, and whether it may.
#[derive(Debug, Default)]
struct Course {
    is_over: AtomicBool,
    is_in_a_batch: AtomicBool,
}

impl Course {
    /// Begins a batch only if the work goes on.
    async fn within<T>(&self, batch: impl Future<Output = T>) -> T {
        if self.is_over.load(Ordering::Relaxed) {
            std::future::pending().await
        }
        self.is_in_a_batch.store(true, Ordering::Relaxed);
        let done = batch.await;
        self.is_in_a_batch.store(false, Ordering::Relaxed);
        done
    }
}

/// How many entries a batch had, how many of them nobody else was faster with, and whether something of them is to be claimed.
#[derive(Default)]
struct Step {
    count: usize,
    taken: usize,
    is_due: bool,
    is_not_divided: bool,
}
