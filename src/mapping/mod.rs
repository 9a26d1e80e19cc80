//! Translating records between the host and an external system, by a document that people can review.
//!
//! | module | says |
//! |---|---|
//! | `decimal` | exact numbers |
//! | `expression` | the expressions of rules: a bounded part of JSONata on exact numbers |
//! | `number_text` | numbers as they are written, of any length |
//! | `rounding` | quotients, and how a number is rounded |

mod decimal;
mod expression;
mod number_text;
mod rounding;

pub use decimal::{ArithmeticError, Decimal};
pub use expression::{Expression, ExpressionError};
pub use number_text::compare_numbers;
pub use rounding::Rounding;
