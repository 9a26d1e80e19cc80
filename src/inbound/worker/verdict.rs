//! What a handler's answer becomes.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::inbound::handlers::Handled;
use crate::inbound::received::InboundFate;
use crate::lanes::schedule::Schedule;
use crate::primitives::backoff::Jitter;
use crate::primitives::time::later;

/// Whether a handler has written the completion in a transaction of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Completing {
    ByTheWorker,
    ByTheHandler,
}

/// What becomes of an item, and what is remembered about it.
///
/// A handler that has written the completion itself is not believed when it says that it is done: if its transaction was committed, the
/// store knows, and passes over whatever comes after; if not, the item is tried again.
pub(super) fn verdict(
    handled: Handled,
    completing: Completing,
    attempt: u32,
    schedule: &Schedule,
    now: DateTime<Utc>,
    jitter: Jitter,
) -> (InboundFate, Option<String>) {
    match (handled, completing) {
        (Handled::Done, Completing::ByTheWorker) => (InboundFate::Done, None),
        (Handled::Done, Completing::ByTheHandler) => {
            let note = "the handler's transaction was not committed".to_owned();
            (again(None, attempt, schedule, now, jitter), Some(note))
        }
        (Handled::Retry(after), _) => (again(Some(after), attempt, schedule, now, jitter), None),
        (Handled::Failed(why), _) => (again(None, attempt, schedule, now, jitter), Some(shortened(&why))),
        (Handled::Dead(why), _) => (InboundFate::Dead, Some(shortened(&why))),
    }
}

fn again(
    after: Option<Duration>,
    attempt: u32,
    schedule: &Schedule,
    now: DateTime<Utc>,
    jitter: Jitter,
) -> InboundFate {
    match schedule.wait(attempt, jitter) {
        Some(wait) => InboundFate::RetryAt(later(now, after.unwrap_or(wait))),
        None => InboundFate::Dead,
    }
}

/// Notes are kept with every item.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

const LONGEST: usize = 500;

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn fate(handled: Handled, completing: Completing, attempt: u32) -> InboundFate {
        let schedule = Schedule::table([Duration::from_secs(5)]).expect("a schedule");
        verdict(handled, completing, attempt, &schedule, NOW, Jitter::NONE).0
    }

    #[test]
    fn a_failure_is_tried_again_as_long_as_there_is_an_attempt_left() {
        let in_5_s = InboundFate::RetryAt(NOW + TimeDelta::seconds(5));
        let in_60_s = InboundFate::RetryAt(NOW + TimeDelta::seconds(60));
        let asked = Handled::Retry(Duration::from_secs(60));

        for (handled, attempt, expected) in [
            (Handled::Done, 1, InboundFate::Done),
            (Handled::Failed(String::new()), 1, in_5_s),
            (Handled::Failed(String::new()), 2, InboundFate::Dead),
            (asked.clone(), 1, in_60_s),
            (asked, 2, InboundFate::Dead),
            (Handled::Dead(String::new()), 1, InboundFate::Dead),
        ] {
            assert_eq!(
                fate(handled.clone(), Completing::ByTheWorker, attempt),
                expected,
                "{handled:?} {attempt}"
            );
        }
    }

    #[test]
    fn a_handler_that_completes_by_itself_is_not_believed() {
        let in_5_s = InboundFate::RetryAt(NOW + TimeDelta::seconds(5));

        assert_eq!(fate(Handled::Done, Completing::ByTheHandler, 1), in_5_s);
        assert_eq!(fate(Handled::Done, Completing::ByTheHandler, 2), InboundFate::Dead);
    }

    #[test]
    fn a_note_is_short_and_in_one_line() {
        assert_eq!(shortened("a\nb"), "a b");
        assert_eq!(shortened(&"ä".repeat(9_000)).chars().count(), LONGEST);
    }
}
