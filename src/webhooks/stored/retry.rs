//! A retry policy as a part of a record.

use serde::{Deserialize, Serialize};

use crate::lanes::schedule::{InvalidSchedule, Schedule};
use crate::primitives::stored::field::Nanos;
use crate::webhooks::retry::RetryPolicy;

/// [`RetryPolicy`] as a part of a record.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub(super) struct StoredRetry(pub(super) RetryPolicy);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Table(Vec<Nanos>),
    Exponential { first: Nanos, cap: Nanos, retries: u32 },
}

impl From<StoredRetry> for Kept {
    fn from(StoredRetry(policy): StoredRetry) -> Self {
        let schedule = policy.schedule();
        match schedule.as_exponential() {
            Some((first, cap, retries)) => {
                Self::Exponential { first: Nanos(first), cap: Nanos(cap), retries }
            }
            None => Self::Table(schedule.as_table().unwrap_or_default().iter().copied().map(Nanos).collect()),
        }
    }
}

impl TryFrom<Kept> for StoredRetry {
    type Error = InvalidSchedule;

    fn try_from(kept: Kept) -> Result<Self, InvalidSchedule> {
        let schedule = match kept {
            Kept::Table(waits) => Schedule::table(waits.into_iter().map(|Nanos(wait)| wait))?,
            Kept::Exponential { first, cap, retries } => Schedule::exponential(first.0, cap.0, retries)?,
        };
        Ok(Self(RetryPolicy::new(schedule)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const WEEK_IN_NANOS: u64 = 7 * 24 * 60 * 60 * 1_000_000_000;

    /// Both kinds of schedules.
    pub(in crate::webhooks::stored) fn any_retry() -> impl Strategy<Value = RetryPolicy> {
        let wait = || (0..=WEEK_IN_NANOS).prop_map(Duration::from_nanos);
        prop_oneof![
            vec(wait(), 0..5)
                .prop_map(|waits| RetryPolicy::new(Schedule::table(waits).expect("short waits"))),
            (wait(), wait(), 0..=Schedule::MAX_RETRIES).prop_map(|(first, cap, retries)| {
                RetryPolicy::exponential(first, cap, retries).expect("a short cap")
            }),
        ]
    }
}
