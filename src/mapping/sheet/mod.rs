//! A mapping as a sheet: for people who review, and keep, mappings in spreadsheets.
//!
//! | module | holds |
//! |---|---|
//! | [`export`] | the rules as CSV |
//! | [`import`] | simple rules from CSV |
//! | [`markdown`] | the whole mapping as a document for readers |
//! | `short` | steps in one cell |

pub mod export;
pub mod import;
pub mod markdown;
#[cfg(test)]
mod shipped;
mod short;

pub use export::to_csv;
pub use import::{CsvProblem, CsvRule, import_csv};
pub use markdown::{Documentation, TestNote};
