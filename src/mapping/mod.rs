//! Translating records between the host and an external system, by a document that people can review.
//!
//! | module | says |
//! |---|---|
//! | [`spec`] | the document: what is written, reviewed and saved |
//! | [`path`] | where a value is taken from, and where it is written to |
//! | [`diagnostic`] | what is wrong with a document |
//! | [`limits`] | what a document, an input and a run may cost |
//! | [`canonical`] | one way of writing a document, and the hash of it |
//! | [`changes`](mod@changes) | what changed between two versions, by target path, with its risk |
//! | [`sheet`] | the rules as CSV and as Markdown, and simple rules from CSV |
//! | `words` | a mapping in words |
//! | [`coverage`] | what of both sides is covered, and what a new schema means |
//! | [`life`] | the life of one version: draft, tested, approved, active, retired |
//! | [`preview`] | what a mapping does to records, field by field |
//! | [`reverse`] | how far a mapping can be undone, and the document of the way back |
//! | [`schema`] | what a JSON Schema, or a number of samples, says about a record |
//! | `cells` | rows of cells as CSV |
//! | [`facts`] | what is known about a mapping before it runs |
//! | [`keys`] | which keys a batch of records asks the host for |
//! | [`engine`] | the port: a language of mappings, and a mapping that is ready to run |
//! | `builtin` | the engine of documents |
//! | `host` | what the host gives to a run: values, tables, identities, keys |
//! | `error` | why a record could not be translated |
//! | `plan` | a document, compiled |
//! | `source` | where values come from: JSON text or values in memory |
//! | `evaluate` | a plan is carried out |
//! | `trial` | the examples inside a document, run |
//! | `overlaying` | a tenant's changes laid over a shared mapping |
//! | `decimal` | exact numbers |
//! | `expression` | the expressions of rules: a bounded part of JSONata on exact numbers |
//! | `number_text` | numbers as they are written, of any length |
//! | `rounding` | quotients, and how a number is rounded |

mod builtin;
pub mod canonical;
mod cells;
pub mod changes;
pub mod coverage;
mod decimal;
pub mod diagnostic;
pub mod engine;
mod error;
mod evaluate;
mod expression;
pub mod facts;
mod host;
pub mod keys;
pub mod life;
pub mod limits;
mod number_text;
mod overlaying;
pub mod path;
mod plan;
pub mod preview;
pub mod reverse;
mod rounding;
pub mod schema;
pub mod sheet;
mod source;
pub mod spec;
#[cfg(test)]
mod tests;
mod trial;
mod words;

pub use builtin::BuiltinEngine;
pub use canonical::{ContentHash, InvalidContentHash, NoCanonicalForm, canonical_json};
pub use changes::{ChangeKind, MappingChange, Risk, changes};
pub use coverage::{
    Coverage, Drift, DriftKind, IllegalValue, Shapes, SourceUse, TableUse, TargetStatus, drift,
};
pub use decimal::{ArithmeticError, Decimal};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use engine::{Caps, CompileEnv, CompiledMapping, MappingEngine, Payload, RunCx, RunReport};
pub use error::{Excerpt, MapError, MapErrorParts};
pub use expression::{Expression, ExpressionError};
pub use facts::{Facts, MappingFacts, TableFacts};
pub use host::HostData;
pub use keys::HostKeys;
pub use life::{Approval, CoverageGate, Life, LifeEvent, LifeRefusal, Mark, Stage, TestTally};
pub use limits::Limits;
pub use number_text::compare_numbers;
pub use plan::tables::{InvalidTable, LookupTable};
pub use preview::{
    Backtest, FieldCount, FieldDifference, FieldStatus, FieldTrace, Preview, Previewer, StepTrace,
    VersionDiff,
};
pub use reverse::{
    Inverted, Law, LawFailure, LawReport, Optic, ReverseReport, RuleReverse, Verdict, WayBack,
    analyse_reverse, invert,
};
pub use rounding::Rounding;
pub use schema::{Leaf, LeafKind, RecordShape, UnreadableSchema};
pub use sheet::{CsvProblem, CsvRule, Documentation, TestNote, import_csv, to_csv};
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
pub use trial::{TestOutcome, run_tests};
