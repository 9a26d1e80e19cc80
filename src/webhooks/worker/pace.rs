//! How much of the outbox is taken off at once, and when: pure.
//!
//! What waits in the outbox costs nothing. What is taken off while its webhook is busy is written down as due and has to be claimed; what
//! is taken off when there is room is leased at once. So a loop that is behind takes off only as much as it needs to be kept busy.

use std::time::Duration;

use chrono::TimeDelta;

/// How much there may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many leases there may be at once.
    ceiling: usize,
    /// Whether the store leases at once: else there is nothing to wait for.
    leases_at_once: bool,
    /// Whether the oldest event has waited for long: behind it may be one of somebody else's, who has nothing to do with all that.
    is_late: bool,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { ceiling: MOST, leases_at_once: false, is_late: false }
    }

    /// How many entries may be taken off now; none if it is better to wait for room.
    pub(super) fn most(&self, leases: usize) -> Option<usize> {
        if !self.leases_at_once || self.is_late {
            return Some(MOST);
        }
        let room = self.ceiling.saturating_sub(leases);
        (room >= WORTH_A_STEP).then_some(room.min(MOST))
    }

    /// What is under way does not end: what is in the outbox cannot wait for that.
    pub(super) fn waited_in_vain(&mut self, leases: usize) {
        self.ceiling = leases + MOST;
    }

    /// Learns from what became of a batch, and from how long its oldest event had waited.
    pub(super) fn after(&mut self, leased: usize, waited: TimeDelta, leases: usize) {
        self.leases_at_once |= leased > 0;
        self.is_late = waited > LATE;
        self.ceiling = self.ceiling.min(leases + MOST);
    }
}

/// So much is taken off at most, and so many leases keep a loop busy.
pub(super) const MOST: usize = 500;
/// So many events are worth a step of the store.
pub(super) const WORTH_A_STEP: usize = 100;
/// Nothing waits longer for room.
pub(super) const PATIENCE: Duration = Duration::from_millis(25);
/// An outbox that is so far behind is emptied as fast as possible: what is in the queue is given out fairly.
const LATE: TimeDelta = TimeDelta::seconds(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn after(leased: usize, leases: usize) -> Pace {
        let mut pace = Pace::new();
        pace.after(leased, TimeDelta::zero(), leases);
        pace
    }

    #[test]
    fn a_store_that_leases_nothing_at_once_is_not_waited_for() {
        assert_eq!(after(0, 500).most(500), Some(MOST));
    }

    #[test]
    fn as_much_is_taken_off_as_keeps_the_loop_busy() {
        let pace = after(500, 500);

        for (leases, most) in [(500, None), (401, None), (400, Some(100)), (100, Some(400)), (0, Some(500))] {
            assert_eq!(pace.most(leases), most, "{leases}");
        }
    }

    #[test]
    fn what_hangs_is_waited_for_once() {
        let mut pace = after(500, 800);
        assert_eq!(pace.most(800), None);

        pace.waited_in_vain(800);

        assert_eq!(pace.most(800), Some(MOST));
        pace.after(10, TimeDelta::zero(), 810);
        assert_eq!(pace.most(805), Some(495));
    }

    #[test]
    fn who_is_late_does_not_wait() {
        let mut pace = after(500, 500);

        pace.after(500, TimeDelta::milliseconds(1_001), 1_000);

        assert_eq!(pace.most(1_000), Some(MOST));
    }

    #[test]
    fn when_it_is_over_all_is_as_before() {
        let mut pace = after(500, 500);
        pace.waited_in_vain(800);

        pace.after(100, TimeDelta::zero(), 100);
        pace.after(0, TimeDelta::zero(), 0);

        assert_eq!(pace.most(401), None);
    }
}
