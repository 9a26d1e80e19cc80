//! Where reading the outbox begins.
//!
//! What has been fanned out is deleted, but while somebody holds a snapshot of the server it is still passed over, entry by entry, by
//! whoever begins at the front. Entries are numbered before they are committed, so there may be a late one before those that have been
//! read: reading begins behind what was read a while ago, and every now and then at the front.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::webhooks::queue::Half;

/// What one process knows of the outbox, and of its halves: what is read of the one says nothing of the other.
#[derive(Debug, Default)]
pub(super) struct OutboxFloors {
    whole: OutboxFloor,
    even: OutboxFloor,
    odd: OutboxFloor,
}

impl OutboxFloors {
    pub(super) const fn of(&mut self, half: Option<Half>) -> &mut OutboxFloor {
        match half {
            None => &mut self.whole,
            Some(Half::Even) => &mut self.even,
            Some(Half::Odd) => &mut self.odd,
        }
    }
}

/// What one process knows of it.
#[derive(Debug, Default)]
pub(super) struct OutboxFloor {
    /// Nothing is expected at this place or before.
    floor: i64,
    /// The highest place that had been read at these times.
    marks: VecDeque<(DateTime<Utc>, i64)>,
    highest: i64,
    front_at: Option<DateTime<Utc>>,
}

impl OutboxFloor {
    /// Behind which place reading begins now.
    pub(super) fn begin(&mut self, now: DateTime<Utc>) -> i64 {
        // A clock that has gone back says nothing about how long ago that was.
        if self.front_at.is_none_or(|at| now < at || now - at >= FRONT_EVERY) {
            self.front_at = Some(now);
            self.floor = 0;
        }
        self.floor
    }

    /// Notes what was read from there on: the first and the last place, if there was any.
    pub(super) fn read(&mut self, found: Option<(i64, i64)>, now: DateTime<Utc>) {
        self.highest = self.highest.max(found.map_or(0, |(_, last)| last));
        if self.marks.back().is_some_and(|(at, _)| now < *at) {
            self.marks.clear();
        }
        if self.marks.back().is_none_or(|(at, _)| now - *at >= MARK_EVERY) {
            self.marks.push_back((now, self.highest));
        }
        let mut old = 0;
        while self.marks.front().is_some_and(|(at, _)| now - *at >= LATE) {
            old = self.marks.pop_front().map_or(old, |(_, place)| place);
        }
        if old > 0 {
            // Kept as the oldest: reading may begin there until the next one is old enough.
            self.marks.push_front((now - LATE, old));
        }
        let here = found.map_or(i64::MAX, |(first, _)| first - 1);
        self.floor = self.floor.max(old.min(here));
    }
}

/// An entry that is committed later than this after others of its time is found when reading begins at the front.
const LATE: TimeDelta = TimeDelta::seconds(5);
const MARK_EVERY: TimeDelta = TimeDelta::milliseconds(500);
/// How often reading begins at the front.
const FRONT_EVERY: TimeDelta = TimeDelta::seconds(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    #[test]
    fn what_was_read_of_a_half_says_nothing_of_the_other_one() {
        let mut floors = OutboxFloors::default();
        for time in 0..8 {
            floors.of(Some(Half::Odd)).begin(second(time));
            floors.of(Some(Half::Odd)).read(Some((10 * time + 1, 10 * time + 10)), second(time));
        }

        let begins = [Some(Half::Odd), Some(Half::Even), None].map(|half| floors.of(half).begin(second(7)));

        assert_eq!(begins, [30, 0, 0]);
    }

    #[test]
    fn what_was_read_a_while_ago_is_not_looked_through_again() {
        let mut floor = OutboxFloor::default();
        let mut begun = Vec::new();

        for time in 0..9 {
            begun.push(floor.begin(second(time)));
            floor.read(Some((10 * time + 1, 10 * time + 10)), second(time));
        }

        // Every other second at the front, and in between behind what had been read five seconds before.
        assert_eq!(begun, [0, 0, 0, 0, 0, 0, 0, 20, 0]);
    }

    #[test]
    fn what_waits_is_never_passed_over() {
        let mut floor = OutboxFloor::default();

        for time in 0..20 {
            let begin = floor.begin(second(time));
            assert!(begin < 7, "began behind {begin} at {time}");
            floor.read(Some((7, 7 + time)), second(time));
        }
    }

    #[test]
    fn an_entry_that_comes_late_is_found_from_the_front() {
        let mut floor = OutboxFloor::default();
        for time in 0..9 {
            floor.begin(second(time));
            floor.read(Some((10 * time + 1, 10 * time + 10)), second(time));
        }

        // Committed now, under a number of the first second.
        let begins = [floor.begin(second(9)), floor.begin(second(10))];

        assert!(begins.contains(&0), "{begins:?}");
    }

    #[test]
    fn a_clock_that_goes_back_begins_anew() {
        let mut floor = OutboxFloor::default();
        for time in 100..110 {
            floor.begin(second(time));
            floor.read(Some((time, time)), second(time));
        }

        assert_eq!(floor.begin(second(3)), 0);
    }
}
