//! The loop that claims, works and settles.
//!
//! There is no batch barrier: each piece of work that ends frees its slot at once. Results are settled together with
//! whatever else has ended by the time the store is free again, so batches grow by themselves under load.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::error::{Error, Result};
use crate::lanes::desk::{Desk, Handed};
use crate::lanes::work::{Claims, LaneWork};
use crate::ports::{Clock, Wake, Wakened};
use crate::primitives::backoff::Backoff;
use crate::primitives::time::later;

/// Runs one loop over one kind of work.
#[derive(Debug)]
pub struct Runner<'a, W: LaneWork> {
    /// The work.
    pub work: &'a W,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The hint that there is work.
    pub wake: &'a dyn Wake,
    /// How many pieces may be in flight, and how many of them one party may hold.
    pub desk: &'a Desk<W::Item, W::Party>,
    /// How long work in flight may still take after the shutdown.
    pub grace: Duration,
}

/// Without a wake-up, the store is asked at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a store that fails is left alone.
const STORE_BACKOFF: Backoff = Backoff::doubling(Duration::from_millis(50), Duration::from_secs(5));
/// A batch that fails so often, though the store may be back at any time, is settled one by one.
const FAILURES_TOGETHER: u32 = 4;
/// No more outcomes than this are settled together.
const MAX_BATCH: usize = 500;
/// So many outcomes are worth a step of the store.
const WORTH_A_STEP: usize = 100;
/// A store that settles faster than this is not spared.
const SPARED_FROM: Duration = Duration::from_millis(1);
/// No outcome waits longer for others to be settled with.
const LONGEST_GATHERING: Duration = Duration::from_millis(25);

impl<W: LaneWork> Runner<'_, W> {
    /// Works until `shutdown` completes, and then as long as the grace period allows on what is in flight.
    ///
    /// Dropping the future is like a crash: what is in flight comes back when its lease ends.
    pub async fn run_until(&self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut turn = Turn::new(self);
        while !turn.has_ended() {
            turn.start_what_can_start();
            poll_fn(|cx| {
                if turn.deadline.is_none() && shutdown.as_mut().poll(cx).is_ready() {
                    turn.stop();
                    return Poll::Ready(());
                }
                turn.poll(cx)
            })
            .await;
        }
    }

    /// Works until nothing is due, and says when something will be.
    ///
    /// Dropping the future is like a crash.
    pub async fn run_until_idle(&self) -> Option<DateTime<Utc>> {
        let mut turn = Turn::new(self);
        loop {
            turn.start_what_can_start();
            if turn.is_idle() {
                return turn.next_due;
            }
            poll_fn(|cx| turn.poll(cx)).await;
        }
    }
}

type Landing<O> = (usize, std::thread::Result<O>);
/// How many were asked for, whether for everybody, and the answer.
type Claiming<'a, T> = (usize, bool, BoxFuture<'a, Result<Claims<T>>>);
type Settling<'a, O> = BoxFuture<'a, (Vec<O>, Result<Option<DateTime<Utc>>>)>;

struct Turn<'a, W: LaneWork, F> {
    runner: &'a Runner<'a, W>,
    /// Starts a flight; a closure, because the type of the future has no name.
    take_off: fn(&'a W, usize, W::Item) -> F,
    flights: FuturesUnordered<F>,
    tickets: Vec<Option<W::Ticket>>,
    free: Vec<usize>,
    landed: Vec<W::Outcome>,
    /// Empty, but with room: becomes `landed` when that is settled.
    spare: Vec<W::Outcome>,
    settling: Option<(DateTime<Utc>, Settling<'a, W::Outcome>)>,
    /// Whether the step before was to settle: the next one is to claim, so that what has landed never keeps what is due waiting.
    settled_last: bool,
    /// How long settling took the last time.
    took: Duration,
    /// Until then what has landed waits for more, as long as settling took the last time: half of the time is for the store.
    gathers_until: Option<DateTime<Utc>>,
    /// After a refused batch: how many outcomes are settled one by one, to find the one that is refused.
    singly: usize,
    claiming: Option<Claiming<'a, W::Item>>,
    /// Whether somebody may still hand something over.
    is_open: bool,
    /// Whether the store may have work that we have not been told of.
    may_have_work: bool,
    /// Whether that was heard since the last claim began, and which time was told since then.
    has_heard: bool,
    told: Option<DateTime<Utc>>,
    /// Whether it may have some for those who have got nothing, because they were full.
    has_passed_over: bool,
    /// The store is left alone until then.
    rest_until: Option<DateTime<Utc>>,
    failures: u32,
    next_due: Option<DateTime<Utc>>,
    /// When the store was asked, or was to be: what was due by then is not asked for again before the next look.
    asked_at: DateTime<Utc>,
    timer: Option<(DateTime<Utc>, BoxFuture<'a, ()>)>,
    listener: Wakened,
    /// Set by the shutdown: what is in flight then is abandoned.
    deadline: Option<DateTime<Utc>>,
    has_abandoned: bool,
}

impl<'a, W: LaneWork> Turn<'a, W, ()> {
    fn new(runner: &'a Runner<'a, W>) -> Turn<'a, W, impl Future<Output = Landing<W::Outcome>> + Send + 'a> {
        runner.desk.begin();
        Turn {
            runner,
            take_off: |work, slot, item| async move {
                (slot, AssertUnwindSafe(work.work(item)).catch_unwind().await)
            },
            flights: FuturesUnordered::new(),
            tickets: Vec::new(),
            free: Vec::new(),
            landed: Vec::new(),
            spare: Vec::new(),
            settling: None,
            settled_last: false,
            took: Duration::ZERO,
            gathers_until: None,
            singly: 0,
            claiming: None,
            // Until it was asked.
            is_open: true,
            may_have_work: true,
            has_heard: false,
            told: None,
            has_passed_over: false,
            rest_until: None,
            failures: 0,
            next_due: None,
            asked_at: runner.clock.now(),
            timer: None,
            listener: runner.wake.listen(),
            deadline: None,
            has_abandoned: false,
        }
    }
}

impl<'a, W: LaneWork, F: Future<Output = Landing<W::Outcome>>> Turn<'a, W, F> {
    /// A claim is the only step of the store while it runs: it passes over what another step works on, and would come back with
    /// less. Settling may begin beside one that is under way.
    fn start_what_can_start(&mut self) {
        if self.rest_until.is_some() || self.settling.is_some() {
            return;
        }
        let claims = self.claiming.is_none() && self.may_have_work && self.deadline.is_none();
        let room = (claims && (self.settled_last || self.landed.is_empty() || self.gathers()))
            .then(|| self.runner.desk.claim())
            .filter(|(limit, _)| *limit > 0);
        if let Some((limit, full)) = room {
            self.settled_last = false;
            self.has_heard = false;
            self.told = None;
            self.asked_at = self.runner.clock.now();
            let for_all = full.is_empty();
            self.claiming = Some((limit, for_all, self.runner.work.claim(limit, full).boxed()));
        } else if !self.landed.is_empty() && !self.gathers() {
            self.settled_last = true;
            self.start_settling();
        }
    }

    fn gathers(&self) -> bool {
        let more_to_come = !self.flights.is_empty() && self.landed.len() < WORTH_A_STEP && self.singly == 0;
        self.gathers_until.is_some() && more_to_come && self.deadline.is_none()
    }

    fn gathers_from(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.took >= SPARED_FROM).then(|| later(now, self.took))
    }

    fn start_settling(&mut self) {
        let most = if self.singly > 0 { 1 } else { MAX_BATCH };
        let rest = match self.landed.len() > most {
            true => self.landed.split_off(most),
            false => std::mem::take(&mut self.spare),
        };
        let outcomes = std::mem::replace(&mut self.landed, rest);
        let work = self.runner.work;
        let settling = async move {
            let result = work.settle(&outcomes).await;
            (outcomes, result)
        };
        self.settling = Some((self.runner.clock.now(), settling.boxed()));
    }

    /// Completes as soon as something has happened after which something else can start.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut happened = self.poll_handed(cx);
        happened |= self.poll_flights(cx);
        happened |= self.poll_settling(cx);
        happened |= self.poll_claiming(cx);
        if self.listener.as_mut().poll(cx).is_ready() {
            self.listener = self.runner.wake.listen();
            self.may_have_work();
            happened = true;
        }
        // Nothing may wait for a timer that is not there.
        happened |= self.poll_timer(cx);
        if happened { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes what was leased for this loop.
    fn poll_handed(&mut self, cx: &Context<'_>) -> bool {
        let Handed { items, due, has_freed, is_open } = self.runner.desk.take(cx);
        let happened = !items.is_empty() || due.is_some() || has_freed || is_open != self.is_open;
        self.is_open = is_open;
        if has_freed && self.has_passed_over {
            self.may_have_work();
        }
        if let Some(due) = due {
            self.is_due_at(due);
        }
        for item in items {
            let ticket = self.runner.work.ticket(&item);
            self.launch(item, ticket);
        }
        happened
    }

    fn poll_flights(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.landed.len();
        while let Poll::Ready(Some((slot, result))) = self.flights.poll_next_unpin(cx) {
            let ticket = self.tickets.get_mut(slot).and_then(Option::take);
            self.free.push(slot);
            if let Some(ticket) = &ticket {
                self.runner.desk.landed(self.runner.work.party(ticket));
            }
            match (result, ticket) {
                (Ok(outcome), _) => self.landed.push(outcome),
                (Err(_panic), Some(ticket)) => self.landed.push(self.runner.work.panicked(ticket)),
                (Err(_panic), None) => {}
            }
        }
        let happened = self.landed.len() > before;
        // The first of many that are about to land.
        if happened && before == 0 && self.gathers_until.is_none() && self.flights.len() >= WORTH_A_STEP {
            self.gathers_until = self.gathers_from(self.runner.clock.now());
        }
        // What has landed makes room in the loop, not in its lane: that is there once it is settled.
        if happened && self.has_passed_over {
            self.may_have_work();
        }
        happened
    }

    fn poll_settling(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((since, settling)) = &mut self.settling else { return false };
        let Poll::Ready((mut outcomes, result)) = settling.as_mut().poll(cx) else { return false };
        let (since, now) = (*since, self.runner.clock.now());
        self.settling = None;
        self.took = (now - since).to_std().unwrap_or_default().min(LONGEST_GATHERING);
        self.gathers_until = self.gathers_from(now);
        match result {
            Ok(next) => {
                self.runner.desk.settled(outcomes.len());
                outcomes.clear();
                self.spare = outcomes;
                self.failures = 0;
                self.singly = self.singly.saturating_sub(1);
                match next.filter(|&next| next > now) {
                    Some(next) => self.is_due_at(next),
                    None => self.may_have_work(),
                }
            }
            Err(error) => self.settling_failed(outcomes, &error),
        }
        true
    }

    fn may_have_work(&mut self) {
        self.may_have_work = true;
        self.has_heard = true;
    }

    fn is_due_at(&mut self, at: DateTime<Utc>) {
        let sooner = |known: Option<DateTime<Utc>>| Some(known.map_or(at, |known| known.min(at)));
        self.next_due = sooner(self.next_due);
        self.told = sooner(self.told);
    }

    fn settling_failed(&mut self, mut outcomes: Vec<W::Outcome>, error: &Error) {
        self.runner.work.failed(error);
        // Nothing more is claimed until it succeeds: that would look as if the store were well.
        self.settled_last = false;
        self.took = Duration::ZERO;
        self.gathers_until = None;
        if error.is_transient() {
            self.rest();
            if self.failures >= FAILURES_TOGETHER {
                // One of them may be too much for the store: it is tried alone, and behind the others.
                self.singly = self.singly.max(outcomes.len());
                self.landed.append(&mut outcomes);
                return;
            }
        } else if outcomes.len() > 1 {
            self.singly = outcomes.len();
        } else {
            // Refused for good: it comes back when its lease ends, and in the end becomes a dead letter.
            self.singly = self.singly.saturating_sub(1);
            self.runner.desk.settled(outcomes.len());
            return;
        }
        outcomes.append(&mut self.landed);
        self.landed = outcomes;
    }

    fn poll_claiming(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((limit, for_all, claiming)) = &mut self.claiming else { return false };
        let Poll::Ready(result) = claiming.as_mut().poll(cx) else { return false };
        let (limit, for_all) = (*limit, *for_all);
        self.claiming = None;
        match result {
            Ok(claims) => {
                self.failures = 0;
                // What was heard while it was under way may have come too late for it.
                self.may_have_work = claims.items.len() >= limit || self.has_heard;
                self.has_passed_over = !for_all;
                self.next_due = [claims.next_due, self.told].into_iter().flatten().min();
                let work = self.runner.work;
                let tickets: Vec<_> = claims.items.iter().map(|item| work.ticket(item)).collect();
                self.runner.desk.claimed(tickets.iter().map(|ticket| work.party(ticket)));
                for (item, ticket) in claims.items.into_iter().zip(tickets) {
                    self.launch(item, ticket);
                }
            }
            Err(error) => {
                self.runner.desk.claimed([].iter());
                self.runner.work.failed(&error);
                self.rest();
            }
        }
        true
    }

    fn launch(&mut self, item: W::Item, ticket: W::Ticket) {
        if self.deadline.is_some() {
            self.landed.push(self.runner.work.unbegun(item));
            return;
        }
        let ticket = Some(ticket);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.tickets[slot] = ticket;
                slot
            }
            None => {
                self.tickets.push(ticket);
                self.tickets.len() - 1
            }
        };
        self.flights.push((self.take_off)(self.runner.work, slot, item));
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        // Asked after every single event, so the clock is only read when the answer may be another one.
        if self.timer.as_ref().is_none_or(|(at, _)| self.may_be_due_before(*at)) {
            let target = self.wake_up_at();
            if self.timer.as_ref().is_none_or(|(at, _)| target < *at) {
                self.timer = Some((target, self.runner.clock.sleep_until(target)));
            }
        }
        let Some((at, timer)) = &mut self.timer else { return false };
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let at = *at;
        self.timer = None;
        let asks = at >= self.asks_at();
        self.rest_until = self.rest_until.filter(|&until| until > at);
        self.gathers_until = self.gathers_until.filter(|&until| until > at);
        if asks {
            self.may_have_work = true;
            self.asked_at = at;
        }
        if self.deadline.is_some_and(|deadline| deadline <= at) {
            self.abandon();
        }
        true
    }

    fn may_be_due_before(&self, at: DateTime<Utc>) -> bool {
        let deadline = self.deadline.filter(|_| !self.has_abandoned);
        let times = [Some(self.asks_at()), deadline, self.gathers_until];
        times.into_iter().flatten().any(|time| time < at)
    }

    fn wake_up_at(&self) -> DateTime<Utc> {
        let target = self.asks_at();
        // Once it has been acted on, a deadline that has passed would make us spin.
        let deadline = self.deadline.filter(|_| !self.has_abandoned);
        [deadline, self.gathers_until].into_iter().flatten().fold(target, DateTime::min)
    }

    /// When the store is asked next, if nothing happens before.
    fn asks_at(&self) -> DateTime<Utc> {
        let looks = self.asked_at + LOOK_AGAIN;
        // A time that has passed would make us spin: what is due now was refused for a reason that a look in a second will see changed.
        let due = self.next_due.filter(|&due| due > self.asked_at);
        self.rest_until.unwrap_or_else(|| due.map_or(looks, |due| due.min(looks)))
    }

    fn rest(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.rest_until = Some(self.runner.clock.now() + STORE_BACKOFF.after(self.failures));
        self.may_have_work = true;
    }

    fn stop(&mut self) {
        self.deadline = Some(self.runner.clock.now() + self.runner.grace);
    }

    fn abandon(&mut self) {
        self.has_abandoned = true;
        self.flights = FuturesUnordered::new();
        let tickets = self.tickets.iter_mut().filter_map(Option::take);
        self.landed.extend(tickets.map(|ticket| self.runner.work.abandoned(ticket)));
        self.free.clear();
        self.runner.desk.forget();
        self.tickets.clear();
        if self.rest_until.is_some() {
            // The store is away and the time is over: the leases end by themselves.
            self.landed.clear();
        }
    }

    fn has_ended(&self) -> bool {
        self.deadline.is_some() && self.is_quiet() && !self.is_open
    }

    fn is_idle(&self) -> bool {
        !self.may_have_work && self.is_quiet()
    }

    fn is_quiet(&self) -> bool {
        self.flights.is_empty()
            && self.landed.is_empty()
            && self.settling.is_none()
            && self.claiming.is_none()
    }
}
