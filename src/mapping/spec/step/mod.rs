//! One step: what is done to a value.
//!
//! | module | holds |
//! |---|---|
//! | `model` | a step: an operation, and what happens when it fails |
//! | `operation` | the operations, each with its arguments |
//! | `choice` | the words between which arguments choose |

mod choice;
mod model;
mod operation;

pub use choice::{BoolWay, HashText, Order, Side, TooLong, XrefSide};
pub use model::Step;
pub use operation::{Op, OpInfo};
