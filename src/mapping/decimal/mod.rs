//! Exact decimals: what arithmetic on amounts, quantities and rates is done in.
//!
//! A decimal is a whole number of up to 37 digits and a count of decimal places. Nothing here rounds unless it is told how, and
//! nothing allocates. Binary floats are not used: `int(x * 100)` is wrong for one amount in fifteen. `rust_decimal` was looked at
//! and left: its `checked_mul` and `checked_add` round silently when the exact result has more than 28 digits.
//!
//! Numbers that merely pass through a mapping never come here; they stay the text that they were, of any length.
//!
//! | module | decides |
//! |---|---|
//! | `model` | which numbers there are |
//! | `arithmetic` | sums, products and remainders, exactly or not at all |
//! | `order` | which numbers are equal, and which is greater |
//! | `text` | how a number is read and written |

mod arithmetic;
mod model;
mod order;
mod text;

pub use model::{ArithmeticError, Decimal};
pub(super) use model::{MOST_PLACES, power, signed};

#[cfg(test)]
pub(super) mod tests;
