//! Translating records between the host and an external system, by a document that people can review.
//!
//! | module | says |
//! |---|---|
//! | [`spec`] | the document: what is written, reviewed and saved |
//! | [`path`] | where a value is taken from, and where it is written to |
//! | [`diagnostic`] | what is wrong with a document |
//! | [`limits`] | what a document, an input and a run may cost |
//! | [`engine`] | the port: a language of mappings, and a mapping that is ready to run |
//! | `builtin` | the engine of documents |
//! | `host` | what the host gives to a run: values, tables, identities, keys |
//! | `error` | why a record could not be translated |
//! | `plan` | a document, compiled |
//! | `source` | where values come from: JSON text or values in memory |
//! | `evaluate` | a plan is carried out |
//! | `decimal` | exact numbers |
//! | `expression` | the expressions of rules: a bounded part of JSONata on exact numbers |
//! | `number_text` | numbers as they are written, of any length |
//! | `rounding` | quotients, and how a number is rounded |

mod builtin;
mod decimal;
pub mod diagnostic;
pub mod engine;
mod error;
mod evaluate;
mod expression;
mod host;
pub mod limits;
mod number_text;
pub mod path;
mod plan;
mod rounding;
mod source;
pub mod spec;
#[cfg(test)]
mod tests;

pub use builtin::BuiltinEngine;
pub use decimal::{ArithmeticError, Decimal};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use engine::{Caps, CompileEnv, CompiledMapping, MappingEngine, Payload, RunCx, RunReport};
pub use error::{Excerpt, MapError, MapErrorParts};
pub use expression::{Expression, ExpressionError};
pub use host::HostData;
pub use limits::Limits;
pub use number_text::compare_numbers;
pub use plan::tables::{InvalidTable, LookupTable};
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
