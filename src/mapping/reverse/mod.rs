//! The way back: how far a mapping can be undone, and by what.
//!
//! | module | decides |
//! |---|---|
//! | [`optic`] | the kinds: exact, exact where possible, lossy, none |
//! | `step_inverse`, `table_inverse`, `date_inverse` | how one step is undone |
//! | `rule_inverse` | how one rule is undone |
//! | [`analyse`] | what becomes of every rule |
//! | [`invert`](mod@invert) | the document of the way back |
//! | [`put`] | writing back into an existing record |
//! | [`laws`] | whether the way back keeps its promises |

pub mod analyse;
mod date_inverse;
pub mod invert;
pub mod laws;
pub mod optic;
pub mod put;
mod rule_inverse;
mod step_inverse;
mod table_inverse;

pub use analyse::{ReverseReport, RuleReverse, analyse_reverse};
pub use invert::{Inverted, invert};
pub use laws::{Law, LawFailure, LawReport};
pub use optic::{Optic, Verdict};
pub use put::WayBack;

#[cfg(test)]
mod tests;
