//! Times that stay within what a time can be, however long the span.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// So much earlier, or the beginning of time: what is kept for ever reaches back to it.
///
/// ```
/// use std::time::Duration;
/// use chrono::{DateTime, Utc};
/// use crossdock::primitives::earlier;
///
/// let now = DateTime::UNIX_EPOCH;
///
/// assert_eq!(earlier(now, Duration::from_secs(60)).timestamp(), -60);
/// assert_eq!(earlier(now, Duration::MAX), DateTime::<Utc>::MIN_UTC);
/// ```
pub fn earlier(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    now.checked_sub_signed(bounded(span)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// So much later, or the end of time.
///
/// ```
/// use std::time::Duration;
/// use chrono::{DateTime, Utc};
/// use crossdock::primitives::later;
///
/// let now = DateTime::UNIX_EPOCH;
///
/// assert_eq!(later(now, Duration::from_secs(60)).timestamp(), 60);
/// assert_eq!(later(now, Duration::MAX), DateTime::<Utc>::MAX_UTC);
/// ```
pub fn later(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    now.checked_add_signed(bounded(span)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn bounded(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}
