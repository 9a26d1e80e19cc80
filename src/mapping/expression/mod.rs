//! Expressions inside single rules: a bounded part of JSONata's syntax, on exact decimals.
//!
//! | module | says |
//! |---|---|
//! | `model` | [`Expression`]: what a host calls |
//! | `error` | what is wrong, where, and what to write instead |
//! | `lexer`, `parser`, `constructs`, `syntax` | the text becomes a small tree |
//! | `refused` | what belongs to JSONata and not to this, each with its reason |
//! | `scope` | what an evaluation asks of the record: paths and tables |
//! | `item`, `number`, `raw`, `json` | values, borrowed from the record where they can be |
//! | `budget` | how much an evaluation may do and hold |
//! | `evaluate`, `path`, `operators` | the tree becomes a value |
//! | `functions`, `text_functions`, `list_functions` | `$round`, `$substring`, `$merge` and the others |

mod budget;
mod constructs;
mod error;
mod evaluate;
mod functions;
mod item;
mod json;
mod lexer;
mod list_functions;
mod model;
mod number;
mod operators;
mod parser;
mod path;
mod raw;
mod refused;
mod scope;
mod syntax;
mod text_functions;

pub(super) use budget::Budget;
pub use error::ExpressionError;
pub(super) use item::Item;
pub use model::Expression;
pub(super) use number::Number;
pub(super) use scope::{Base, Read, Scope, ScopeError};
