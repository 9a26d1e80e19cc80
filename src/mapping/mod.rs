//! Translating records between the host and an external system, by a document that people can review.
//!
//! | module | says |
//! |---|---|
//! | [`spec`] | the document: what is written, reviewed and saved |
//! | [`path`] | where a value is taken from, and where it is written to |
//! | [`diagnostic`] | what is wrong with a document |
//! | [`limits`] | what a document, an input and a run may cost |
//! | `decimal` | exact numbers |
//! | `number_text` | numbers as they are written, of any length |
//! | `rounding` | quotients, and how a number is rounded |

mod decimal;
pub mod diagnostic;
pub mod limits;
mod number_text;
pub mod path;
mod rounding;
pub mod spec;

pub use decimal::{ArithmeticError, Decimal};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use limits::Limits;
pub use number_text::compare_numbers;
pub use rounding::Rounding;
pub use spec::condition::{Condition, Intent};
pub use spec::document::{ContextValue, Format, MappingSpec, RecordType, Unmapped, UnmappedMode};
pub use spec::field::{
    Case, Counter, Direction, ElementKey, FieldSpec, Keep, Pick, Reverse, ReverseDefault, ReverseRule, Rule,
    TargetType,
};
pub use spec::literal::DecimalText;
pub use spec::overlay::{Overlay, Patch};
pub use spec::policy::{Defaults, OnError, Policy};
pub use spec::step::{BoolWay, HashText, Op, OpInfo, Order, Side, Step, TooLong, XrefSide};
pub use spec::table::{LetterCase, TableMiss, TableSpec};
pub use spec::test::{ExpectedError, TestSpec};
