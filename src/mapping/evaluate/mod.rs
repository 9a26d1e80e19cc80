//! A plan is carried out: values from a source, through steps, into a sink.
//!
//! | module | holds |
//! |---|---|
//! | `run` | the loop over rules and elements |
//! | `rule` | one rule: its value, its steps, its policies |
//! | `questions` | conditions |
//! | `steps` | which step does what |
//! | `texts`, `numbers`, `dates`, `lists`, `lookups`, `types` | the steps |
//! | `expressions` | what an expression sees of the record |
//! | `checks` | types and depths |
//! | `value` | what flows through |
//! | `failure` | why a step failed, before it is known where |
//! | `sink` | where it goes: bytes, or a value in memory |
//! | `tracer` | who looks on |

pub(crate) mod checks;
mod dates;
mod expressions;
pub(crate) mod failure;
mod lists;
mod lookups;
mod numbers;
mod questions;
mod rule;
pub(crate) mod run;
pub(crate) mod sink;
mod steps;
mod texts;
pub(crate) mod tracer;
mod types;
pub(crate) mod value;
