//! What is known of the outbox beyond the batch at hand: pure.
//!
//! A look takes about as long as making deliveries of what it finds, and while it lasts nothing is made. So a loop that is behind looks at
//! more than it can use at once.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::webhooks::queue::Distribution;
use crate::webhooks::worker::pace::WORTH_A_STEP;

/// What the last look has found, the oldest first, as far as it was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    entries: VecDeque<Distribution>,
    /// Whether there may be more behind them.
    goes_on: bool,
    looked_at: DateTime<Utc>,
}

impl Ahead {
    /// What a look for [`LOOKS_AHEAD`] entries has found.
    pub(super) fn of(found: Vec<Distribution>, looked_at: DateTime<Utc>) -> Self {
        Self { goes_on: found.len() >= LOOKS_AHEAD, entries: found.into(), looked_at }
    }

    /// Whether to look before a batch of so many: because the rest is not worth one, or because webhooks may want something else by now.
    pub(super) fn has_nothing_for(&self, most: usize, now: DateTime<Utc>) -> bool {
        self.entries.len() < most.min(WORTH_A_STEP) || now - self.looked_at > KNOWN_FOR
    }

    /// The oldest.
    pub(super) fn take(&mut self, most: usize) -> Vec<Distribution> {
        self.entries.drain(..most.min(self.entries.len())).collect()
    }

    /// Whether the outbox has more than was taken of it, as far as anybody knows.
    pub(super) fn has_more(&self) -> bool {
        !self.entries.is_empty() || self.goes_on
    }
}

/// How many entries are looked at together.
pub(super) const LOOKS_AHEAD: usize = 2_000;
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
        Ahead::of((0..count).map(entry).collect(), at(0))
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
        let mut ahead = found(2_000);

        ahead.take(2_000);

        assert!(ahead.has_more());
        assert!(!found(0).has_more());
        assert!(!Ahead::default().has_more());
    }

    #[test]
    fn what_is_not_worth_a_batch_or_old_is_looked_at_again() {
        for (count, most, millis, looks) in [
            (100, 500, 0, false),
            (99, 500, 0, true),
            // As many as there is room for.
            (30, 20, 0, false),
            (19, 20, 0, true),
            (0, 1, 0, true),
            (500, 500, 250, false),
            (500, 500, 251, true),
        ] {
            assert_eq!(found(count).has_nothing_for(most, at(millis)), looks, "{count} {most} {millis}");
        }
    }
}
