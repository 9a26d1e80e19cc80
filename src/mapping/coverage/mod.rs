//! What of both sides a mapping covers, and what becomes of it when a side changes.
//!
//! | module | holds |
//! |---|---|
//! | [`report`] | which fields of both sides are covered, counted and listed |
//! | [`drift`](mod@drift) | what a new version of a schema means for a mapping |
//! | `reach` | which paths a mapping reads and writes |

pub mod drift;
mod reach;
pub mod report;

pub use drift::{Drift, DriftKind, Shapes, drift};
pub use report::{Coverage, IllegalValue, SourceUse, TableUse, TargetStatus};
