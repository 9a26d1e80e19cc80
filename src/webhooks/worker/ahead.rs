//! What is known of the outbox beyond the batch at hand: pure.
//!
//! A look takes about as long as making deliveries of what it finds, and while it lasts none are made. So a loop that is behind, and has
//! used all of what it found the last time, looks at more than it can use at once.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::webhooks::queue::Distribution;
use crate::webhooks::worker::pace::{MOST, WORTH_A_STEP};

/// What the last look has found, the oldest first, as far as it was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    entries: VecDeque<Distribution>,
    /// Whether there may be more in the outbox.
    goes_on: bool,
    looked_at: DateTime<Utc>,
}

impl Ahead {
    /// What a look for so many entries has found, and when it ended.
    pub(super) fn of(found: Vec<Distribution>, asked: usize, looked_at: DateTime<Utc>) -> Self {
        Self { goes_on: found.len() >= asked, entries: found.into(), looked_at }
    }

    /// How many entries to look for before the next batch: because the rest is not worth one, or because webhooks may want something else
    /// by now.
    pub(super) fn to_look_for(&self, now: DateTime<Utc>) -> Option<usize> {
        // Also after a clock was set back.
        let is_old = !(TimeDelta::zero()..=KNOWN_FOR).contains(&(now - self.looked_at));
        let is_used_up = self.entries.len() < WORTH_A_STEP;
        (is_used_up || is_old).then_some(if is_used_up && self.goes_on && !is_old {
            LOOKS_AHEAD
        } else {
            MOST
        })
    }

    /// The oldest.
    pub(super) fn take(&mut self, most: usize) -> Vec<Distribution> {
        self.entries.drain(..most.min(self.entries.len())).collect()
    }

    /// Something was published since the look.
    pub(super) fn more_has_come(&mut self) {
        self.goes_on = true;
    }

    /// Whether the outbox has more than was taken of it, as far as anybody knows.
    pub(super) fn has_more(&self) -> bool {
        !self.entries.is_empty() || self.goes_on
    }
}

/// How many entries are looked at together at most.
const LOOKS_AHEAD: usize = 2_000;
/// What was seen of the outbox and its webhooks is not relied on for longer.
const KNOWN_FOR: TimeDelta = TimeDelta::milliseconds(250);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::events::event_type::EventType;
    use crate::events::model::EventHead;
    use crate::primitives::id::EventId;
    use crate::webhooks::fan_out::FanOut;
    use crate::webhooks::queue::Sequence;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).expect("a time")
    }

    fn found(count: u64) -> Ahead {
        let entry = |number| {
            let (tenant, name) = ("org_a".parse().expect("a tenant"), "order.placed".parse::<EventType>());
            let head = EventHead::new(EventId::mint(at(0), [0; 10]), tenant, name.expect("a type"), at(0));
            Distribution::new(Sequence::new(number), Arc::new(head), FanOut::default())
        };
        Ahead::of((0..count).map(entry).collect(), 500, at(0))
    }

    fn numbers(taken: &[Distribution]) -> Vec<u64> {
        taken.iter().map(|entry| entry.sequence.number()).collect()
    }

    #[test]
    fn the_oldest_come_first_and_none_is_lost() {
        let mut ahead = found(7);

        assert_eq!(numbers(&ahead.take(3)), [0, 1, 2]);
        assert!(ahead.has_more());
        assert_eq!(numbers(&ahead.take(9)), [3, 4, 5, 6]);
        assert!(!ahead.has_more());
    }

    #[test]
    fn a_look_that_was_full_may_have_left_something() {
        let mut ahead = found(500);

        ahead.take(500);

        assert!(ahead.has_more());
        assert!(!found(0).has_more());
        assert!(!Ahead::default().has_more());
    }

    #[test]
    fn what_is_published_meanwhile_is_looked_for_once_the_rest_is_taken() {
        let mut ahead = found(300);

        ahead.more_has_come();
        assert_eq!(ahead.to_look_for(at(1)), None, "three batches are there");
        ahead.take(300);

        assert!(ahead.has_more());
    }

    #[test]
    fn what_is_not_worth_a_batch_or_old_is_looked_at_again() {
        for (count, millis, looks) in [
            (100, 0, None),
            (99, 0, Some(MOST)),
            (0, 0, Some(MOST)),
            (500, 250, None),
            (500, 251, Some(MOST)),
        ] {
            assert_eq!(found(count).to_look_for(at(millis)), looks, "{count} {millis}");
        }
        assert_eq!(found(500).to_look_for(at(-1)), Some(MOST), "the clock was set back");
    }

    #[test]
    fn who_has_used_all_in_time_looks_further_ahead() {
        let mut ahead = found(500);
        ahead.take(450);

        assert_eq!(ahead.to_look_for(at(250)), Some(LOOKS_AHEAD));
        assert_eq!(ahead.to_look_for(at(251)), Some(MOST));
    }
}
