//! How dates and times are written: patterns taken apart once, and read and written by hand.
//!
//! | module | decides |
//! |---|---|
//! | `form` | in which forms a date is written: epochs, RFC 3339, patterns |
//! | `moment` | what a date says, and the same moment elsewhere and on other days |
//! | `read` | which moment a text says |
//! | `write` | which text says a moment |

mod form;
mod moment;
mod read;
mod write;

pub(crate) use form::DateForm;
pub(crate) use moment::Moment;
pub(crate) use read::offset;

/// A rewriting of dates.
#[derive(Debug)]
pub(crate) struct DatePlan {
    pub(crate) input: DateForm,
    pub(crate) output: DateForm,
    pub(crate) zone: Zone,
    pub(crate) assume: Option<i32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Zone {
    Keep,
    /// Seconds east of Greenwich.
    Fixed(i32),
}
