//! Translating records between the host and an external system: a document that can be reviewed, compiled to a plan.
//!
//! | module | holds |
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
//! | [`reverse`] | how far a mapping can be undone, and the document of the way back |
//! | [`schema`] | what a JSON Schema, or a number of samples, says about a record |
//! | `cells` | rows of cells as CSV |

pub mod canonical;
mod cells;
pub mod changes;
pub mod coverage;
pub mod diagnostic;
pub mod life;
pub mod limits;
pub mod path;
pub mod reverse;
pub mod schema;
pub mod sheet;
pub mod spec;
mod words;

pub use canonical::{ContentHash, InvalidContentHash, NoCanonicalForm, canonical_json};
pub use changes::{ChangeKind, MappingChange, Risk, changes};
pub use coverage::{
    Coverage, Drift, DriftKind, IllegalValue, Shapes, SourceUse, TableUse, TargetStatus, drift,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use life::{Approval, CoverageGate, Life, LifeEvent, LifeRefusal, Mark, Stage, TestTally};
pub use limits::Limits;
pub use reverse::{Inverted, Optic, ReverseReport, RuleReverse, Verdict, analyse_reverse, invert};
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
pub use spec::policy::{Defaults, OnError, Policy, Rounding};
pub use spec::step::{BoolWay, HashText, Op, OpInfo, Order, Side, Step, TooLong, XrefSide};
pub use spec::table::{LetterCase, TableMiss, TableSpec};
pub use spec::test::{ExpectedError, TestSpec};
