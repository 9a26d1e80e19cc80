//! How workers that take events off the same outbox keep out of each other's way: pure.
//!
//! Two that read the same entries do all the work twice, and one of them in vain. So whoever finds that somebody else was faster keeps to
//! one half of the tenants, and tosses again if that is taken as well. Nobody needs to know who else is there: after a second, and when
//! there is nothing in its half, each looks at everything, so nothing stays behind when one of them dies.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::primitives::backoff::Backoff;
use crate::primitives::time::later;
use crate::webhooks::queue::Half;
use crate::webhooks::worker::pace::WORTH_A_STEP;

/// What one worker keeps to.
#[derive(Debug)]
pub(super) struct Sharing {
    half: Option<Half>,
    /// The one that it kept to before it looked at everything.
    last: Option<Half>,
    until: DateTime<Utc>,
    is_divided: bool,
    /// For how many batches in a row others were faster.
    losses: u32,
    /// Whether there was nothing in its half, so that it looks at what may be the others'.
    is_guest: bool,
}

/// How a worker goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    GoesOn,
    /// There may be something else to do: what is known of the outbox is worth nothing.
    LooksAgain,
    /// Others take off all that is there, and reading it as well only makes all of them slower.
    LeavesToOthers(Duration),
}

impl Sharing {
    pub(super) const fn new() -> Self {
        Self {
            half: None,
            last: None,
            until: DateTime::UNIX_EPOCH,
            is_divided: true,
            losses: 0,
            is_guest: false,
        }
    }

    /// What to look at now: everything if there is no half.
    pub(super) fn half(&mut self, now: DateTime<Utc>) -> Option<Half> {
        // Also after a clock was set back.
        if now >= self.until || self.until - now > KEPT_FOR {
            self.half = None;
        }
        self.half
    }

    /// The store does not divide its outbox.
    pub(super) fn is_not_divided(&mut self) {
        self.is_divided = false;
        self.half = None;
    }

    /// Learns how many of a batch's entries were still there.
    pub(super) fn after(
        &mut self,
        count: usize,
        taken: usize,
        now: DateTime<Utc>,
        toss: impl FnOnce() -> Half,
    ) -> Verdict {
        if count == 0 {
            self.is_guest = self.half.take().is_some();
            if self.is_guest {
                return Verdict::LooksAgain;
            }
            self.losses = 0;
            return Verdict::GoesOn;
        }
        let is_guest = std::mem::take(&mut self.is_guest);
        let lost = count.saturating_sub(taken);
        let has_lost_most = 2 * lost > count;
        self.losses += u32::from(has_lost_most);
        if count < WORTH_A_STEP || !self.is_divided {
            // Few are taken off by whoever comes first.
            if has_lost_most {
                return Verdict::LeavesToOthers(LEFT_TO_OTHERS.after(self.losses));
            }
            self.losses = 0;
            return Verdict::GoesOn;
        }
        if 4 * lost <= count {
            self.losses = 0;
            return Verdict::GoesOn;
        }
        let half = match (self.half, self.last) {
            // Others look at everything every now and then: that alone is no reason to give way.
            (Some(kept), _) if self.losses <= 1 => kept,
            (None, Some(last)) => last,
            // Two who give way at the same time would meet again.
            _ => toss(),
        };
        let losses = if is_guest { self.losses } else { self.losses.saturating_sub(TRIED) };
        let pause = (losses > 0 && has_lost_most).then(|| LEFT_TO_OTHERS.after(losses));
        if self.half != Some(half) || pause.is_some() {
            // As long as ever behind the pause.
            self.until = later(now, pause.unwrap_or_default()) + KEPT_FOR;
        }
        (self.half, self.last) = (Some(half), Some(half));
        pause.map_or(Verdict::LooksAgain, Verdict::LeavesToOthers)
    }

    /// When everything is to be looked at, if that is not the case already.
    pub(super) fn kept_until(&self) -> Option<DateTime<Utc>> {
        self.half.map(|_| self.until)
    }
}

/// A half is kept to for so long before everything is looked at.
const KEPT_FOR: TimeDelta = TimeDelta::seconds(1);
/// So often in a row somebody else may be faster before the outbox is left to them.
const TRIED: u32 = 3;
const LEFT_TO_OTHERS: Backoff = Backoff::doubling(Duration::from_millis(25), Duration::from_secs(1));

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).expect("a time")
    }

    fn unasked() -> Half {
        unreachable!("nobody tosses for that")
    }

    /// One that has lost all of a batch once, and keeps to this half.
    fn keeping_to(half: Half) -> Sharing {
        let mut sharing = Sharing::new();
        assert_eq!(sharing.after(500, 0, at(0), || half), Verdict::LooksAgain);
        sharing
    }

    #[test]
    fn who_is_alone_looks_at_everything() {
        let mut sharing = Sharing::new();

        for (count, taken) in [(0, 0), (500, 500), (3, 3), (500, 375)] {
            assert_eq!(sharing.after(count, taken, at(0), unasked), Verdict::GoesOn);
            assert_eq!(sharing.half(at(0)), None);
        }
    }

    #[test]
    fn who_loses_keeps_to_one_half_for_a_while() {
        let mut sharing = keeping_to(Half::Odd);

        assert_eq!(sharing.half(at(0)), Some(Half::Odd));
        assert_eq!(sharing.after(200, 200, at(9), unasked), Verdict::GoesOn);
        assert_eq!(sharing.half(at(999)), Some(Half::Odd));
        assert_eq!(sharing.half(at(1_000)), None);
        assert_eq!(sharing.after(500, 200, at(1_001), unasked), Verdict::LooksAgain);
        assert_eq!(sharing.half(at(1_002)), Some(Half::Odd), "the same as before");
        assert_eq!(sharing.half(at(-1)), None, "the clock was set back");
    }

    #[test]
    fn who_keeps_losing_tosses_and_then_leaves_it_to_others() {
        let mut sharing = keeping_to(Half::Even);

        assert_eq!(sharing.after(500, 0, at(1), || Half::Odd), Verdict::LooksAgain);
        assert_eq!(sharing.half(at(1)), Some(Half::Odd));
        assert_eq!(sharing.after(500, 0, at(2), || Half::Odd), Verdict::LooksAgain);
        let left = |millis| Verdict::LeavesToOthers(Duration::from_millis(millis));
        assert_eq!(sharing.after(500, 0, at(3), || Half::Even), left(25));
        assert_eq!(sharing.after(500, 0, at(28), || Half::Even), left(50));
        assert_eq!(sharing.after(500, 500, at(78), unasked), Verdict::GoesOn);
        assert_eq!(sharing.after(500, 0, at(79), unasked), Verdict::LooksAgain);
        assert_eq!(sharing.half(at(79)), Some(Half::Even), "it was somebody who had looked at everything");
    }

    #[test]
    fn whose_half_is_empty_looks_at_everything() {
        let mut sharing = keeping_to(Half::Even);

        assert_eq!(sharing.after(0, 0, at(1), unasked), Verdict::LooksAgain);

        assert_eq!(sharing.half(at(1)), None);
        assert_eq!(sharing.after(0, 0, at(1), unasked), Verdict::GoesOn);
    }

    #[test]
    fn who_finds_only_what_others_do_leaves_it_to_them() {
        let mut sharing = keeping_to(Half::Even);
        sharing.after(500, 500, at(1), unasked);
        sharing.after(0, 0, at(2), unasked);

        let left = Verdict::LeavesToOthers(Duration::from_millis(25));
        assert_eq!(sharing.after(500, 0, at(3), unasked), left);

        assert_eq!(sharing.half(at(28)), Some(Half::Even), "its own half has something by now");
        assert_eq!(sharing.kept_until(), Some(at(1_028)));
    }

    #[test]
    fn a_half_is_kept_to_behind_a_pause_however_long_that_is() {
        let mut sharing = keeping_to(Half::Even);
        let mut now = at(0);
        for _ in 0..20 {
            let verdict = sharing.after(500, 0, now, || Half::Odd);
            if let Verdict::LeavesToOthers(pause) = verdict {
                now = later(now, pause);
            }
            assert_eq!(sharing.half(now), Some(Half::Odd), "behind {verdict:?}");
        }
    }

    #[test]
    fn an_outbox_that_is_empty_ends_a_row_of_losses() {
        let mut sharing = Sharing::new();
        let left = Verdict::LeavesToOthers(Duration::from_millis(25));
        for _ in 0..9 {
            assert_eq!(sharing.after(9, 0, at(0), unasked), left);
            assert_eq!(sharing.after(0, 0, at(0), unasked), Verdict::GoesOn);
        }
    }

    #[test]
    fn who_takes_most_of_it_is_not_sent_away() {
        let mut sharing = keeping_to(Half::Even);

        for _ in 0..9 {
            assert_eq!(sharing.after(500, 300, at(1), unasked), Verdict::LooksAgain);
        }
    }

    #[test]
    fn of_few_and_of_what_is_not_divided_all_are_left_to_who_was_faster() {
        let left = |millis| Verdict::LeavesToOthers(Duration::from_millis(millis));
        let mut undivided = keeping_to(Half::Odd);
        undivided.is_not_divided();
        for (mut sharing, count, [first, second]) in
            [(Sharing::new(), 9, [25, 50]), (undivided, 500, [50, 100])]
        {
            assert_eq!(sharing.after(count, 0, at(0), unasked), left(first));
            assert_eq!(sharing.after(count, 1, at(0), unasked), left(second));
            assert_eq!(sharing.half(at(0)), None);
            assert_eq!(sharing.after(count, count - 1, at(0), unasked), Verdict::GoesOn);
            assert_eq!(sharing.after(count, 0, at(0), unasked), left(25));
        }
    }
}
