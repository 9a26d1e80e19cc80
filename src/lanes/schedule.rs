//! How long to wait after which failure.

use std::time::Duration;

use crate::error::Problem;
use crate::primitives::backoff::{Backoff, Jitter};

/// When work is tried again after it failed, and when it is given up.
///
/// ```
/// use std::time::Duration;
/// use crossdock::lanes::Schedule;
/// use crossdock::primitives::Jitter;
///
/// let schedule = Schedule::table([Duration::from_secs(5), Duration::from_secs(30)])?;
///
/// assert_eq!(schedule.wait(1, Jitter::NONE), Some(Duration::from_secs(5)));
/// assert_eq!(schedule.wait(2, Jitter::NONE), Some(Duration::from_secs(30)));
/// assert_eq!(schedule.wait(3, Jitter::NONE), None);
/// # Ok::<(), crossdock::lanes::InvalidSchedule>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule(Waits);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Waits {
    Table(Vec<Duration>),
    Exponential { backoff: Backoff, retries: u32 },
}

/// The waits are not a schedule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSchedule {
    /// More waits than anybody needs.
    #[error("a schedule has at most {max} waits", max = Schedule::MAX_RETRIES)]
    TooMany,
    /// A wait of more than a week.
    #[error("wait {index} is longer than 7 days")]
    TooLong {
        /// Which one, counted from 0.
        index: usize,
    },
}

impl Schedule {
    /// The most retries a schedule may have.
    pub const MAX_RETRIES: u32 = 100;
    const MAX_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// A table stretches each wait by up to this share, never shortens it.
    const TABLE_JITTER_PERCENT: u8 = 10;

    /// Never tries again: for receivers that are not idempotent.
    pub const fn none() -> Self {
        Self(Waits::Table(Vec::new()))
    }

    /// These waits, one after each failure, each stretched by 0 to 10 %.
    ///
    /// # Errors
    /// More than 100 waits, or one of more than 7 days.
    pub fn table(waits: impl IntoIterator<Item = Duration>) -> Result<Self, InvalidSchedule> {
        let waits: Vec<_> = waits.into_iter().take(Self::MAX_RETRIES as usize + 1).collect();
        if waits.len() > Self::MAX_RETRIES as usize {
            return Err(InvalidSchedule::TooMany);
        }
        match waits.iter().position(|&wait| wait > Self::MAX_WAIT) {
            Some(index) => Err(InvalidSchedule::TooLong { index }),
            None => Ok(Self(Waits::Table(waits))),
        }
    }

    /// Doubles from `first` up to `cap`, `retries` times, with full jitter: any time from nothing up to the wait.
    ///
    /// # Errors
    /// More than 100 retries, or a cap of more than 7 days.
    pub fn exponential(first: Duration, cap: Duration, retries: u32) -> Result<Self, InvalidSchedule> {
        if retries > Self::MAX_RETRIES {
            return Err(InvalidSchedule::TooMany);
        }
        if cap > Self::MAX_WAIT {
            return Err(InvalidSchedule::TooLong { index: 0 });
        }
        Ok(Self(Waits::Exponential { backoff: Backoff::doubling(first, cap), retries }))
    }

    /// How long to wait after this many failures, counted from 1; `None` when it is time to give up.
    pub fn wait(&self, failures: u32, jitter: Jitter) -> Option<Duration> {
        let index = failures.checked_sub(1)?;
        match &self.0 {
            Waits::Table(waits) => {
                waits.get(index as usize).map(|&wait| jitter.stretch(wait, Self::TABLE_JITTER_PERCENT))
            }
            Waits::Exponential { backoff, retries } => {
                (failures <= *retries).then(|| backoff.after_with_full_jitter(failures, jitter))
            }
        }
    }

    /// How often work is tried at most, the first time included.
    pub fn max_attempts(&self) -> u32 {
        1 + match &self.0 {
            // `table` has checked that there are at most 100.
            Waits::Table(waits) => waits.len() as u32,
            Waits::Exponential { retries, .. } => *retries,
        }
    }

    /// The waits of a table, `None` for an exponential schedule: what a store keeps.
    pub fn as_table(&self) -> Option<&[Duration]> {
        match &self.0 {
            Waits::Table(waits) => Some(waits),
            Waits::Exponential { .. } => None,
        }
    }

    /// First wait, cap and retries of an exponential schedule, `None` for a table: what a store keeps.
    pub fn as_exponential(&self) -> Option<(Duration, Duration, u32)> {
        match &self.0 {
            Waits::Table(_) => None,
            Waits::Exponential { backoff, retries } => Some((backoff.first(), backoff.cap(), *retries)),
        }
    }
}

impl InvalidSchedule {
    /// The broken rule as a field of the caller's input.
    pub fn problem(&self, field: &str) -> Problem {
        match self {
            Self::TooMany => Problem::new(field, self.to_string(), "use fewer, longer waits"),
            Self::TooLong { index } => {
                Problem::new(format!("{field}[{index}]"), self.to_string(), "use a wait of at most 7 days")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_schedule_means_one_attempt() {
        assert_eq!(Schedule::none().max_attempts(), 1);
        assert_eq!(Schedule::none().wait(1, Jitter::NONE), None);
    }

    #[test]
    fn absurd_tables_are_refused_with_their_place() {
        let week = 7 * 24 * 3600;

        assert_eq!(
            Schedule::table([SECOND, Duration::from_secs(week + 1)]),
            Err(InvalidSchedule::TooLong { index: 1 })
        );
        assert_eq!(Schedule::table([SECOND; 101]), Err(InvalidSchedule::TooMany));
        assert_eq!(Schedule::exponential(SECOND, SECOND, 101), Err(InvalidSchedule::TooMany));
        assert!(Schedule::table([SECOND; 100]).is_ok());
    }

    #[test]
    fn an_exponential_schedule_never_waits_longer_than_its_doubled_wait() -> Result<(), InvalidSchedule> {
        let schedule = Schedule::exponential(SECOND, 5 * SECOND, 4)?;

        for (failures, most) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
            let wait = schedule.wait(failures, Jitter::from_bits(u32::MAX)).expect("a retry");
            assert!(wait <= most * SECOND, "{failures}: {wait:?}");
        }
        assert_eq!(schedule.wait(5, Jitter::NONE), None);
        assert_eq!(schedule.max_attempts(), 5);
        Ok(())
    }
}
