//! Published events become deliveries.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::{Either, select};

use crate::error::Result;
use crate::ports::{EntropyExt, Wakened};
use crate::primitives::backoff::Backoff;
use crate::primitives::id::DeliveryId;
use crate::primitives::time::later;
use crate::tenancy::model::TenantId;
use crate::webhooks::context::Context;
use crate::webhooks::fan_out::fan_out;
use crate::webhooks::model::Webhook;
use crate::webhooks::queue::Outbox;
use crate::webhooks::worker::status::StatusBoard;
use crate::webhooks::worker::store_clock::StoreClock;

/// Takes events off the outbox, in order.
#[derive(Debug)]
pub(super) struct Distributing<'a> {
    context: &'a Context,
    board: &'a StatusBoard,
    time: &'a StoreClock,
}

const BATCH: usize = 500;
/// So many events are worth a step of the store.
const WORTH_A_STEP: usize = 100;
/// A store that is faster than this is not spared.
const SPARED_FROM: Duration = Duration::from_millis(1);
/// No event waits longer for others to be taken off the outbox with.
const LONGEST_GATHERING: Duration = Duration::from_millis(25);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the outbox is left to others who were faster with it: each of them takes off all that is there, and reading it as well only
/// makes both slower.
const LEFT_TO_OTHERS: Backoff = Backoff::doubling(LONGEST_GATHERING, LOOK_AGAIN);
const STORE_BACKOFF: Backoff = Backoff::doubling(Duration::from_millis(50), Duration::from_secs(5));

impl<'a> Distributing<'a> {
    pub(super) fn new(context: &'a Context, board: &'a StatusBoard, time: &'a StoreClock) -> Self {
        Self { context, board, time }
    }

    pub(super) async fn for_ever(&self) {
        let clock = &*self.context.clock;
        let mut failures = 0;
        let mut losses = 0;
        // Kept from one look to the next: a timer costs more than a look.
        let mut alarm = clock.sleep_until(clock.now() + LOOK_AGAIN);
        let mut hinted = false;
        loop {
            // Before the look, so that an event published during it is not missed.
            let hint = self.context.wake.listen();
            let begun = clock.now();
            match self.one_batch().await {
                Ok(Looked { found: count, taken }) => {
                    failures = 0;
                    // A hint without an event is about something else that is due, such as a resend. Runners hear of it
                    // from here only: if every published event woke them too, they would ask for what is not yet there.
                    if count > 0 || hinted {
                        self.context.due.wake();
                    }
                    hinted = false;
                    if 2 * taken < count {
                        losses += 1;
                        self.leave_to_others(hint, LEFT_TO_OTHERS.after(losses)).await;
                        continue;
                    }
                    losses = 0;
                    if count > 0 && count < WORTH_A_STEP {
                        self.gather(clock.now() - begun).await;
                    }
                    if count < BATCH {
                        hinted = match select(hint, &mut alarm).await {
                            Either::Left(_) => true,
                            Either::Right(_) => {
                                alarm = clock.sleep_until(clock.now() + LOOK_AGAIN);
                                false
                            }
                        };
                    }
                }
                Err(error) => {
                    failures += 1;
                    self.board.store_failed(&error, clock.now());
                    clock.sleep_until(clock.now() + STORE_BACKOFF.after(failures)).await;
                }
            }
        }
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
                Ok(Looked { found: 0, .. }) => return,
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

    async fn one_batch(&self) -> Result<Looked> {
        let now = self.time.compared().await?;
        let Outbox { entries, webhooks } = self.context.queue.outbox(BATCH, now).await?;
        let found = entries.len();
        if found == 0 {
            return Ok(Looked { found: 0, taken: 0 });
        }
        let none: Arc<[Arc<Webhook>]> = Arc::new([]);
        let of = |tenant: &TenantId| webhooks.get(tenant).unwrap_or(&none);
        let mint = || DeliveryId::mint(now, self.context.entropy.bytes());
        let entries = entries
            .iter()
            .map(|(sequence, event)| (*sequence, fan_out(event, of(&event.tenant), mint)))
            .collect();
        let taken = self.context.queue.fan_out(entries, now).await?;
        self.board.fanned_out(taken);
        Ok(Looked { found, taken })
    }
}

/// What a look at the outbox has found, and how much of it nobody else was faster with.
struct Looked {
    found: usize,
    taken: usize,
}
