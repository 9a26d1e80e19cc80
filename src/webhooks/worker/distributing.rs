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
use crate::webhooks::queue::{Distributed, Distribution, Outbox};
use crate::webhooks::worker::ahead::Ahead;
use crate::webhooks::worker::pace::{MOST, PATIENCE, Pace, WORTH_A_STEP};
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
/// How long the outbox is left to others who were faster with it: each of them takes off all that is there, and reading it as well only
/// makes both slower.
const LEFT_TO_OTHERS: Backoff = Backoff::doubling(LONGEST_GATHERING, LOOK_AGAIN);
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
        let mut losses = 0;
        // Kept from one look to the next: a timer costs more than a look.
        let mut alarm = clock.sleep_until(clock.now() + LOOK_AGAIN);
        let mut hinted = false;
        // Runners that have nothing to claim are not woken more often.
        let mut wakes_at = clock.now();
        let mut hint = self.context.wake.listen();
        loop {
            let most = self.room(desk, &mut pace).await;
            let begun = clock.now();
            let looks = ahead.to_look_for(begun);
            if looks.is_some() {
                // Before the look, so that an event published during it is not missed.
                hint = self.context.wake.listen();
            }
            match course.within(self.leasing_batch(looks, most, desk, &mut pace, &mut ahead)).await {
                Ok(Step { count, taken, is_due }) => {
                    failures = 0;
                    // A hint without an event is about something else that is due, such as a resend. Runners hear of it
                    // from here only: if every published event woke them too, they would ask for what is not yet there.
                    if is_due || (hinted && (count == 0 || clock.now() >= wakes_at)) {
                        hinted = false;
                        wakes_at = clock.now() + AT_MOST;
                        self.context.due.wake();
                    }
                    if 2 * taken < count {
                        losses += 1;
                        ahead = Ahead::default();
                        self.leave_to_others(hint, LEFT_TO_OTHERS.after(losses)).await;
                        hint = self.context.wake.listen();
                        continue;
                    }
                    losses = 0;
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
        let (now, entries) = self.look(MOST).await?;
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
        looks: Option<usize>,
        most: usize,
        desk: &Desk<Claim, TenantId>,
        pace: &mut Pace,
        ahead: &mut Ahead,
    ) -> Result<Step> {
        let mut now = self.time.now();
        if let Some(asked) = looks {
            let entries;
            (now, entries) = self.look(asked).await?;
            *ahead = Ahead::of(entries, asked, self.context.clock.now());
        }
        let entries = ahead.take(most);
        let Some(first) = entries.first() else { return Ok(Step::default()) };
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
        Ok(Step { count, taken, is_due })
    }

    /// What stands in the outbox, the oldest first, and what is to become of it.
    async fn look(&self, most: usize) -> Result<(DateTime<Utc>, Vec<Distribution>)> {
        let now = self.time.compared().await?;
        let Outbox { entries, webhooks } = self.context.queue.outbox(most, now).await?;
        let none: Arc<[Arc<Webhook>]> = Arc::new([]);
        let entries = entries.into_iter().map(|(sequence, event)| {
            let mint = || DeliveryId::mint(now, self.context.entropy.bytes());
            let fan_out = fan_out(&event, webhooks.get(&event.tenant).unwrap_or(&none), mint);
            Distribution::new(sequence, event, fan_out)
        });
        Ok((now, entries.collect()))
    }
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
}
