//! A document, compiled: paths resolved to slots, keys written out, numbers read, tables indexed. Immutable and shared.
//!
//! | module | turns |
//! |---|---|
//! | `compile` | the document into a plan |
//! | `rules` | one rule |
//! | `steps` | one step |
//! | `conditions` | one condition |
//! | `expressions` | an expression, with what it reads |
//! | `typing`, `kinds` | whether every step gets what it works on, and every required field has a value |
//! | `schemas` | whether a document fits the schemas of its records |
//! | `output` | target paths into a tree that is written from top to bottom |
//! | `tables` | rows into an index |
//! | `dates` | a pattern into its parts |
//! | `units`, `currencies` | names into exact factors and decimal places |

pub(crate) mod compile;
pub(crate) mod conditions;
pub(crate) mod currencies;
pub(crate) mod dates;
pub(crate) mod expressions;
pub(crate) mod kinds;
pub(crate) mod output;
pub(crate) mod rules;
pub(crate) mod schemas;
pub(crate) mod steps;
pub(crate) mod tables;
pub(crate) mod typing;
pub(crate) mod units;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::mapping::decimal::Decimal;
use crate::mapping::expression::Expression;
use crate::mapping::limits::Limits;
use crate::mapping::path::Segment;
use crate::mapping::plan::dates::DatePlan;
use crate::mapping::plan::output::Members;
use crate::mapping::plan::tables::LookupTable;
use crate::mapping::rounding::Rounding;
use crate::mapping::source::PathRef;
use crate::mapping::source::trie::Trie;
use crate::mapping::spec::condition::Intent;
use crate::mapping::spec::document::UnmappedMode;
use crate::mapping::spec::field::TargetType;
use crate::mapping::spec::policy::{OnError, Policy};
use crate::mapping::spec::step::{Op, XrefSide};
use crate::mapping::spec::table::TableMiss;

/// What is executed.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: Box<str>,
    pub(crate) version: u64,
    pub(crate) limits: Limits,
    pub(crate) trie: Trie,
    pub(crate) paths: Box<[PathRef]>,
    pub(crate) rules: Box<[RulePlan]>,
    pub(crate) tables: Box<[TablePlan]>,
    pub(crate) record: Members,
    pub(crate) unmapped: UnmappedMode,
    /// Names that `unmapped` does not touch.
    pub(crate) except: BTreeSet<String>,
}

/// A path of the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PathId(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct RulePlan {
    /// The target path from the top of the record, without rows.
    pub(crate) to: Box<str>,
    /// The source paths, as they are written.
    pub(crate) from: Box<[Box<str>]>,
    pub(crate) kind: Kind,
    pub(crate) steps: Box<[StepPlan]>,
    pub(crate) when: Option<Question>,
    pub(crate) required: bool,
    pub(crate) target_type: TargetType,
    pub(crate) default: Option<Value>,
    pub(crate) missing: Policy,
    pub(crate) null: Policy,
    pub(crate) empty: Policy,
    pub(crate) on_error: OnError,
}

#[derive(Debug)]
pub(crate) enum Kind {
    From(PathId),
    First { paths: Box<[PathId]>, skip_empty: bool },
    Join { paths: Box<[PathId]>, sep: Box<str>, skip_empty: bool },
    Cases(Box<[CasePlan]>),
    Const(Value),
    Ctx(Box<str>),
    Index { start: i64, step: i64 },
    Each(Box<EachPlan>),
    Expr(Box<ExprPlan>),
}

/// An expression, with what it reads.
#[derive(Debug)]
pub(crate) struct ExprPlan {
    pub(crate) expression: Expression,
    /// For each read the paths to its base and to all its names in turn: a list may stand on the way.
    pub(crate) reads: Box<[Box<[PathId]>]>,
    pub(crate) tables: Box<[TableStep]>,
}

#[derive(Debug)]
pub(crate) struct EachPlan {
    pub(crate) list: PathId,
    pub(crate) keep: Option<Question>,
    pub(crate) min: Option<u32>,
    pub(crate) max: Option<u32>,
    pub(crate) element: Members,
}

#[derive(Debug)]
pub(crate) struct CasePlan {
    pub(crate) when: Option<Question>,
    pub(crate) then: Then,
}

#[derive(Debug)]
pub(crate) enum Then {
    Value(Value),
    Path(PathId),
    Expr(Box<ExprPlan>),
}

/// A condition, compiled.
#[derive(Debug)]
pub(crate) enum Question {
    Present(Look),
    Absent(Look),
    Equals(Look, Value),
    Differs(Look, Value),
    Compares(Look, Decimal, Comparison),
    OneOf(Look, Box<[Value]>),
    StartsWith(Look, Box<str>),
    Contains(Look, Box<str>),
    Intent(Intent),
    All(Box<[Question]>),
    Any(Box<[Question]>),
    Not(Box<Question>),
    Expr(Box<ExprPlan>),
}

/// What a condition looks at.
#[derive(Debug)]
pub(crate) enum Look {
    /// Something of the record.
    Path(PathId),
    /// Something of the value that the step works on.
    Within(Box<[Segment]>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct StepPlan {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) on_error: Option<OnError>,
    pub(crate) default: Option<Value>,
}

/// What a step does, with everything read that can be read beforehand.
#[derive(Debug)]
pub(crate) enum Act {
    /// Nothing of it needs preparation.
    Plain(Box<Op>),
    Decimal {
        separator: char,
        group: Option<char>,
    },
    Round {
        scale: u32,
        mode: Option<Rounding>,
    },
    Mul(Decimal),
    Add(Decimal),
    Div {
        by: Decimal,
        scale: Option<u32>,
        mode: Option<Rounding>,
    },
    Clamp {
        min: Option<Decimal>,
        max: Option<Decimal>,
    },
    MinorUnits(CurrencyOf),
    MajorUnits(CurrencyOf),
    /// Times the first, divided by the second.
    Unit {
        times: Decimal,
        by: Decimal,
        scale: Option<u32>,
        mode: Option<Rounding>,
    },
    Rate {
        name: Box<str>,
        scale: u32,
        mode: Option<Rounding>,
    },
    Date(Box<DatePlan>),
    Table(Box<TableStep>),
    Cases(Box<[CasePlan]>),
    Each(Box<[StepPlan]>),
    Filter(Box<Question>),
    GroupBy(Box<[Segment]>),
    Sum(Box<[Segment]>),
    Min(Box<[Segment]>),
    Max(Box<[Segment]>),
    Pick(Box<[Segment]>),
    Xref {
        system: Box<str>,
        entity: Box<str>,
        to: XrefSide,
        miss: TableMiss,
    },
}

#[derive(Debug)]
pub(crate) enum CurrencyOf {
    Code(u32),
    Path(PathId),
}

#[derive(Debug)]
pub(crate) struct TableStep {
    pub(crate) table: u32,
    pub(crate) key: usize,
    pub(crate) value: usize,
    pub(crate) miss: TableMiss,
    pub(crate) default: Option<Value>,
}

#[derive(Debug)]
pub(crate) struct TablePlan {
    pub(crate) name: Box<str>,
    pub(crate) rows: Rows,
    pub(crate) columns: Box<[Box<str>]>,
}

#[derive(Debug)]
pub(crate) enum Rows {
    Inline(Arc<LookupTable>),
    /// The host gives them, under this name.
    Host(Box<str>),
}
