//! Where a loop's slots are counted, and where it is handed what others have leased for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, Utc};

use crate::lanes::shares::Shares;

/// The slots of one loop, and who holds them.
pub struct Desk<I, P>(Mutex<State<I, P>>);

struct State<I, P> {
    slots: usize,
    /// How many are taken, also by what is being leased.
    occupied: usize,
    /// What a claim that is under way may bring.
    claiming: usize,
    shares: Shares<P>,
    /// What was leased by this loop, or for it, and is not settled yet.
    leases: usize,
    /// Counts the starts of the loop: what was reserved before one of them is nobody's any more.
    run: u64,
    handed: Vec<(P, I)>,
    /// When something is due that was not handed over.
    due: Option<DateTime<Utc>>,
    /// Whether something that was reserved is free again.
    has_freed: bool,
    /// Whether something was handed over since the last claim: then a claim leaves most of the slots to what comes that way.
    was_handed: bool,
    /// Who is asked first when there is not enough for all.
    turn: usize,
    /// Whether somebody may still hand something over.
    is_open: bool,
    working: Option<Waker>,
    handing: Option<Waker>,
}

impl<I, P: Clone + Ord> Desk<I, P> {
    /// The slots of a loop, and how many of them one party may hold. Nobody hands it anything.
    pub fn new(slots: usize, share: usize) -> Self {
        Self(Mutex::new(State {
            slots,
            occupied: 0,
            claiming: 0,
            shares: Shares::new(share),
            leases: 0,
            run: 0,
            handed: Vec::new(),
            due: None,
            has_freed: false,
            was_handed: false,
            turn: 0,
            is_open: false,
            working: None,
            handing: None,
        }))
    }

    /// One that somebody hands work to: the loop does not end before this is [closed](Self::close).
    pub fn open(slots: usize, share: usize) -> Self {
        let desk = Self::new(slots, share);
        desk.state().is_open = true;
        desk
    }

    /// Nothing more will be handed over.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_open = false;
        wake(&mut state.working);
    }

    /// Keeps slots for what may come for these parties, so much for each; says who cannot have that many, and so gets none. A part of the
    /// slots is left to what has to be claimed.
    pub fn reserve(&self, wanted: BTreeMap<P, usize>) -> (Reserved<'_, I, P>, Vec<P>) {
        let mut state = self.state();
        let (mut kept, mut full) = (BTreeMap::new(), Vec::new());
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        let first = state.turn.checked_rem(wanted.len()).unwrap_or(0);
        wanted.rotate_left(first);
        state.turn = state.turn.wrapping_add(1);
        // A claim that is under way has some of its part already.
        let left = state.part().saturating_sub(state.claiming);
        let mut free = state.free().saturating_sub(left);
        for (party, count) in wanted {
            // All that a claim brings may be for this one.
            let held = state.shares.held(&party) + state.claiming;
            if count <= free && held + count <= state.shares.share() {
                free -= count;
                state.occupied += count;
                state.shares.take(&party, count);
                kept.insert(party, count);
            } else {
                full.push(party);
            }
        }
        (Reserved { desk: self, run: state.run, kept }, full)
    }

    /// How much was leased by the loop, or for it, and is not settled yet.
    pub fn leases(&self) -> usize {
        self.state().leases
    }

    /// Completes when the number of leases is as wanted. Dropping the future leaves nothing behind.
    pub async fn until(&self, wanted: impl Fn(usize) -> bool) {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            if wanted(state.leases) {
                return Poll::Ready(());
            }
            listen(&mut state.handing, cx);
            Poll::Pending
        })
        .await;
    }

    /// Something can be claimed from this time on.
    pub fn tell(&self, due: DateTime<Utc>) {
        let mut state = self.state();
        state.due = Some(state.due.map_or(due, |known| known.min(due)));
        wake(&mut state.working);
    }

    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.run += 1;
        state.forget();
        let state = &mut *state;
        for (party, _) in &state.handed {
            state.occupied += 1;
            state.shares.take(party, 1);
        }
        state.leases = state.handed.len();
    }

    pub(super) fn forget(&self) {
        self.state().forget();
    }

    /// A claim begins: how much it may bring, and for whom nothing.
    pub(super) fn claim(&self) -> (usize, Vec<P>) {
        let mut state = self.state();
        let most = if state.was_handed { state.part().max(1) } else { state.slots };
        let (limit, full) = match state.free().min(most) {
            0 => (0, Vec::new()),
            free => state.shares.room(free),
        };
        state.claiming = limit;
        state.was_handed &= limit == 0;
        (limit, full)
    }

    /// It has ended, and brought something for these parties.
    pub(super) fn claimed<'p>(&self, parties: impl ExactSizeIterator<Item = &'p P>)
    where
        P: 'p,
    {
        let mut state = self.state();
        state.claiming = 0;
        state.occupied += parties.len();
        state.leases += parties.len();
        for party in parties {
            state.shares.take(party, 1);
        }
        wake(&mut state.handing);
    }

    pub(super) fn landed(&self, party: &P) {
        let mut state = self.state();
        state.occupied = state.occupied.saturating_sub(1);
        state.shares.give_back(party);
    }

    pub(super) fn settled(&self, count: usize) {
        let mut state = self.state();
        state.leases = state.leases.saturating_sub(count);
        wake(&mut state.handing);
    }

    /// What has come since; whoever asks is woken when there is more.
    pub(super) fn take(&self, cx: &Context<'_>) -> Handed<I> {
        let mut state = self.state();
        listen(&mut state.working, cx);
        let items = std::mem::take(&mut state.handed).into_iter().map(|(_, item)| item).collect();
        Handed {
            items,
            due: state.due.take(),
            has_freed: std::mem::take(&mut state.has_freed),
            is_open: state.is_open,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<I, P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has come over a desk.
pub(super) struct Handed<I> {
    pub(super) items: Vec<I>,
    /// When something else is due that the loop was told of.
    pub(super) due: Option<DateTime<Utc>>,
    /// Whether slots that were reserved are free again.
    pub(super) has_freed: bool,
    /// Whether more may come.
    pub(super) is_open: bool,
}

impl<I, P: Clone + Ord> State<I, P> {
    fn free(&self) -> usize {
        self.slots.saturating_sub(self.occupied + self.claiming)
    }

    /// What is left to claims while work is handed over.
    fn part(&self) -> usize {
        self.slots / 4
    }

    fn forget(&mut self) {
        self.occupied = 0;
        self.claiming = 0;
        self.shares.clear();
        self.was_handed = false;
        self.leases = 0;
    }
}

/// Slots that are kept for what is being leased; what is not used is free again when this is dropped.
pub struct Reserved<'a, I, P: Clone + Ord> {
    desk: &'a Desk<I, P>,
    run: u64,
    kept: BTreeMap<P, usize>,
}

impl<I, P: Clone + Ord> Reserved<'_, I, P> {
    /// How many slots these are.
    pub fn count(&self) -> usize {
        self.kept.values().sum()
    }

    /// Hands the loop what was leased, each piece with the party that it is for.
    pub fn hand(mut self, items: Vec<(P, I)>) {
        if items.is_empty() {
            return;
        }
        let mut state = self.desk.state();
        let is_current = state.run == self.run;
        for (party, _) in &items {
            match self.kept.get_mut(party).filter(|kept| is_current && **kept > 0) {
                Some(kept) => *kept -= 1,
                None => {
                    state.occupied += 1;
                    state.shares.take(party, 1);
                }
            }
        }
        state.leases += items.len();
        state.was_handed = true;
        state.handed.extend(items);
        wake(&mut state.working);
    }
}

impl<I, P: Clone + Ord> Drop for Reserved<'_, I, P> {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if state.run != self.run {
            return;
        }
        for (party, &count) in &self.kept {
            state.occupied = state.occupied.saturating_sub(count);
            state.has_freed |= count > 0;
            (0..count).for_each(|_| state.shares.give_back(party));
        }
        // It may have been too little for a claim.
        wake(&mut state.working);
    }
}

impl<I, P> fmt::Debug for Desk<I, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl<I, P: Clone + Ord> fmt::Debug for Reserved<'_, I, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("slots", &self.count()).finish_non_exhaustive()
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn listen(waker: &mut Option<Waker>, cx: &Context<'_>) {
    if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use futures_util::task::noop_waker_ref;

    use super::*;

    type Test = Desk<u8, &'static str>;

    fn wanted(of: &[(&'static str, usize)]) -> BTreeMap<&'static str, usize> {
        of.iter().copied().collect()
    }

    fn free(desk: &Test) -> usize {
        desk.state().free()
    }

    fn handed(desk: &Test) -> Vec<u8> {
        desk.take(&Context::from_waker(noop_waker_ref())).items
    }

    #[test]
    fn slots_are_kept_for_whoever_can_have_all_that_is_wanted() {
        let desk = Test::new(10, 5);

        let (reserved, full) = desk.reserve(wanted(&[("a", 6), ("b", 5), ("c", 3), ("d", 2)]));

        assert_eq!((reserved.count(), full), (8, vec!["a", "d"]));
        assert_eq!(free(&desk), 2, "a part is left to what has to be claimed");
        drop(reserved);
        assert_eq!(free(&desk), 10);
        assert_eq!(desk.claim(), (5, vec![]));
    }

    #[test]
    fn what_is_handed_over_takes_its_slots_and_the_others_are_free_again() {
        let desk = Test::new(10, 5);
        let (reserved, _) = desk.reserve(wanted(&[("a", 3), ("b", 3)]));

        reserved.hand(vec![("a", 1), ("b", 2)]);

        assert_eq!((free(&desk), desk.leases()), (8, 2));
        assert_eq!(handed(&desk), [1, 2]);
        assert!(handed(&desk).is_empty());
        desk.landed(&"a");
        desk.landed(&"b");
        desk.settled(2);
        assert_eq!((free(&desk), desk.leases()), (10, 0));
    }

    #[test]
    fn a_claim_leaves_most_to_what_is_handed_over() {
        let desk = Test::new(12, 12);
        let (reserved, _) = desk.reserve(wanted(&[("a", 2)]));
        reserved.hand(vec![("a", 1), ("a", 2)]);

        assert_eq!(desk.claim(), (3, vec![]));
        // The claim has that part already: all the others can be had.
        let (reserved, full) = desk.reserve(wanted(&[("b", 7)]));
        assert_eq!((reserved.count(), full), (7, vec![]));
        drop(reserved);

        desk.claimed([].iter());
        assert_eq!(desk.claim(), (10, vec![]), "nothing was handed over since");

        // What lands while a small claim is under way does not all go to what is handed over.
        desk.claimed(["a"; 9].iter());
        assert_eq!(desk.claim().0, 1);
        (0..9).for_each(|_| desk.landed(&"a"));
        let (reserved, full) = desk.reserve(wanted(&[("b", 7), ("c", 1)]));
        assert_eq!((reserved.count(), full), (7, vec!["c"]));
    }

    #[test]
    fn a_claim_that_finds_no_slot_changes_nothing() {
        let desk = Test::new(8, 8);
        let (reserved, _) = desk.reserve(wanted(&[("a", 6)]));
        reserved.hand(vec![("a", 1); 6]);
        desk.claimed(["a"; 2].iter());

        assert_eq!(desk.claim(), (0, vec![]));
        (0..8).for_each(|_| desk.landed(&"a"));

        assert_eq!(desk.claim(), (2, vec![]), "something was handed over since the last one");
    }

    #[test]
    fn what_was_reserved_before_the_loop_began_anew_is_nobodys() {
        let desk = Test::new(10, 5);
        let (lost, _) = desk.reserve(wanted(&[("a", 3)]));
        let (late, _) = desk.reserve(wanted(&[("b", 3)]));

        desk.begin();

        drop(lost);
        assert_eq!(free(&desk), 10);
        late.hand(vec![("b", 7)]);
        assert_eq!((free(&desk), desk.leases()), (9, 1));
        // And once more, before it was taken.
        desk.begin();
        assert_eq!((free(&desk), desk.leases()), (9, 1));
        assert_eq!(handed(&desk), [7]);
    }

    #[test]
    fn a_loop_waits_for_whoever_may_hand_something_over() {
        let desk = Test::open(10, 5);
        let (reserved, _) = desk.reserve(wanted(&[("a", 1)]));
        reserved.hand(vec![("a", 1)]);

        let take = |desk: &Test| desk.take(&Context::from_waker(noop_waker_ref()));
        assert!(take(&desk).is_open);
        let (reserved, _) = desk.reserve(wanted(&[("a", 1)]));
        reserved.hand(vec![("a", 2)]);

        desk.close();

        let last = take(&desk);
        assert_eq!((last.items, last.is_open), (vec![2], false), "what lies there comes with it");
        assert!(!take(&Test::new(1, 1)).is_open);
    }

    #[test]
    fn the_earliest_time_is_told_once() {
        let desk = Test::new(10, 5);
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
        desk.tell(at(9));
        desk.tell(at(3));
        desk.tell(at(5));

        let told = || desk.take(&Context::from_waker(noop_waker_ref())).due;

        assert_eq!(told(), Some(at(3)));
        assert_eq!(told(), None);
    }

    #[test]
    fn what_a_claim_may_bring_is_not_reserved() {
        let desk = Test::new(10, 10);
        let (limit, _) = desk.claim();
        assert_eq!(limit, 10);

        let (reserved, full) = desk.reserve(wanted(&[("a", 5)]));

        assert_eq!((reserved.count(), full), (0, vec!["a"]));
        drop(reserved);
        desk.claimed(["a"; 10].iter());
        assert_eq!(desk.claim().0, 0);
        (0..10).for_each(|_| desk.landed(&"a"));
        desk.claimed([].iter());
        assert_eq!(free(&desk), 10);
    }

    #[test]
    fn whoever_came_first_comes_last_the_next_time() {
        let desk = Test::new(4, 4);
        let served = |all: &[(&'static str, usize)]| desk.reserve(wanted(all)).1;

        assert_eq!(served(&[("a", 3), ("b", 3)]), ["b"]);
        assert_eq!(served(&[("a", 3), ("b", 3)]), ["a"]);
    }
}
