//! Looking before leaping: what a mapping does to records, field by field.
//!
//! | module | holds |
//! |---|---|
//! | [`trace`] | one record, every field, every step; errors do not end it |
//! | [`backtest`] | many records, counted; two versions over the same records |
//! | `watch` | what looks on while the plan is carried out |

pub mod backtest;
pub mod trace;
pub(crate) mod watch;

pub use backtest::{Backtest, FieldCount, FieldDifference, VersionDiff};
pub use trace::{FieldStatus, FieldTrace, Preview, Previewer, StepTrace};
