//! Which kinds of value can stand at a place: the values of the static pass, and what each operation does to them.

use std::fmt;

use serde_json::Value;

use crate::mapping::spec::field::{Case, TargetType};
use crate::mapping::spec::step::{BoolWay, Op};
use crate::mapping::spec::table::{TableMiss, TableSpec};

/// A set of kinds, with what is known about there being no value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const TEXT: Self = Self(1);
    pub(crate) const NUMBER: Self = Self(2);
    pub(crate) const BOOL: Self = Self(4);
    pub(crate) const LIST: Self = Self(8);
    pub(crate) const OBJECT: Self = Self(16);
    /// It is known that there are records without a value here.
    pub(crate) const MISSING: Self = Self(32);
    /// It is known that there are records with a null here.
    pub(crate) const NULL: Self = Self(64);
    /// Nothing says whether there always is a value.
    pub(crate) const UNSAID: Self = Self(128);
    pub(crate) const SCALAR: Self = Self(1 | 2 | 4);
    pub(crate) const VALUE: Self = Self(1 | 2 | 4 | 8 | 16);
    /// Anything, or nothing.
    pub(crate) const ANY: Self = Self(1 | 2 | 4 | 8 | 16 | 128);
    const ABSENT: Self = Self(32 | 64 | 128);

    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds of value alone.
    #[must_use]
    pub(crate) fn values(self) -> Self {
        self.and(Self::VALUE)
    }

    /// What is known about there being none.
    #[must_use]
    pub(crate) fn absence(self) -> Self {
        self.and(Self::ABSENT)
    }

    /// The kind of a value that is written in the document.
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOL,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::OBJECT,
        }
    }

    fn of_all<'v>(values: impl IntoIterator<Item = &'v Value>) -> Self {
        values.into_iter().fold(Self::NONE, |kinds, value| kinds.or(Self::of(value)))
    }

    /// The kinds that a target of this type takes.
    pub(crate) fn wanted(target: TargetType) -> Self {
        match target {
            TargetType::String => Self::TEXT,
            TargetType::Integer | TargetType::Decimal => Self::NUMBER,
            TargetType::Boolean => Self::BOOL,
            TargetType::Array => Self::LIST,
            TargetType::Object => Self::OBJECT,
            TargetType::Any => Self::VALUE,
        }
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (Self::TEXT, "text"),
            (Self::NUMBER, "a number"),
            (Self::BOOL, "a boolean"),
            (Self::LIST, "a list"),
            (Self::OBJECT, "an object"),
        ];
        let mut first = true;
        for (_, word) in words.into_iter().filter(|(kind, _)| self.has(*kind)) {
            write!(f, "{}{word}", if first { "" } else { " or " })?;
            first = false;
        }
        if first { f.write_str("nothing") } else { Ok(()) }
    }
}

/// What can stand at a place, and, where it is a list, in its elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Flow {
    pub(crate) kinds: Kinds,
    pub(crate) elements: Kinds,
}

impl Flow {
    pub(crate) fn of(kinds: Kinds) -> Self {
        Self { kinds, elements: Kinds::ANY }
    }
}

/// The kinds of value that an operation takes.
pub(crate) fn taken(op: &Op) -> Kinds {
    match op {
        Op::Prefix { .. } | Op::Suffix { .. } | Op::Pad { .. } | Op::DigitsOnly {} | Op::Mask { .. } => {
            Kinds::TEXT.or(Kinds::NUMBER)
        }
        Op::Hash { .. } | Op::Xref { .. } | Op::Decimal { .. } | Op::Int {} | Op::Integer {} => {
            Kinds::TEXT.or(Kinds::NUMBER)
        }
        Op::StripPrefix { .. }
        | Op::StripSuffix { .. }
        | Op::Trim {}
        | Op::Lower {}
        | Op::Upper {}
        | Op::Title {}
        | Op::Truncate { .. }
        | Op::Replace { .. }
        | Op::Substring { .. }
        | Op::NormaliseSpace {}
        | Op::Split { .. }
        | Op::EpochS {}
        | Op::EpochMs {}
        | Op::DateOnly {}
        | Op::AddDays { .. }
        | Op::ParseJson { .. } => Kinds::TEXT,
        Op::Date { input, .. } if is_epoch(input) => Kinds::TEXT.or(Kinds::NUMBER),
        Op::Date { .. } => Kinds::TEXT,
        Op::Round { .. }
        | Op::Scale10 { .. }
        | Op::Mul { .. }
        | Op::Add { .. }
        | Op::Div { .. }
        | Op::Neg {}
        | Op::Abs {}
        | Op::Clamp { .. }
        | Op::MinorUnits { .. }
        | Op::MajorUnits { .. }
        | Op::Unit { .. }
        | Op::Currency { .. } => Kinds::NUMBER,
        Op::Join { .. }
        | Op::First {}
        | Op::Last {}
        | Op::Nth { .. }
        | Op::Unique {}
        | Op::Sort { .. }
        | Op::Each { .. }
        | Op::Filter { .. }
        | Op::Flatten {}
        | Op::GroupBy { .. }
        | Op::Sum { .. }
        | Op::Count {}
        | Op::Min { .. }
        | Op::Max { .. } => Kinds::LIST,
        Op::Pick { .. } => Kinds::LIST.or(Kinds::OBJECT),
        Op::Table { .. } | Op::String {} => Kinds::SCALAR,
        Op::Boolean {} => Kinds::TEXT.or(Kinds::BOOL),
        Op::BoolMap { yes, no, way } => match way {
            Some(BoolWay::ToBoolean) => Kinds::of_all(yes.iter().chain(no)),
            _ => Kinds::BOOL,
        },
        Op::Default { .. } | Op::Cases { .. } | Op::JsonText {} => Kinds::VALUE,
    }
}

/// What an operation makes of values that it takes; what is not there has been set aside. `each` is followed by the caller.
pub(crate) fn made(op: &Op, value: Flow, tables: &std::collections::BTreeMap<String, TableSpec>) -> Flow {
    let text = Flow::of(Kinds::TEXT);
    let number = Flow::of(Kinds::NUMBER);
    let list = |elements| Flow { kinds: Kinds::LIST, elements };
    match op {
        Op::Split { .. } => list(Kinds::TEXT),
        Op::First {} | Op::Last {} | Op::Nth { .. } => Flow::of(value.elements.or(Kinds::MISSING)),
        Op::Unique {} | Op::Sort { .. } | Op::Filter { .. } | Op::Each { .. } => list(value.elements),
        Op::Flatten {} => list(Kinds::ANY),
        Op::GroupBy { .. } => list(Kinds::OBJECT),
        Op::Sum { .. } | Op::Count {} => number,
        Op::Min { .. } | Op::Max { .. } => Flow::of(Kinds::NUMBER.or(Kinds::MISSING)),
        // Of a list a list, of an object whatever is there.
        Op::Pick { .. } if !value.kinds.has(Kinds::OBJECT) => list(Kinds::ANY),
        Op::Pick { .. } | Op::ParseJson { .. } => Flow::of(Kinds::ANY),
        Op::Decimal { .. }
        | Op::Int {}
        | Op::Integer {}
        | Op::EpochS {}
        | Op::EpochMs {}
        | Op::Round { .. }
        | Op::Scale10 { .. }
        | Op::Mul { .. }
        | Op::Add { .. }
        | Op::Div { .. }
        | Op::Neg {}
        | Op::Abs {}
        | Op::Clamp { .. }
        | Op::MinorUnits { .. }
        | Op::MajorUnits { .. }
        | Op::Unit { .. }
        | Op::Currency { .. } => number,
        Op::Date { output, .. } if is_epoch(output) => number,
        Op::Boolean {} | Op::BoolMap { way: Some(BoolWay::ToBoolean), .. } => Flow::of(Kinds::BOOL),
        Op::BoolMap { yes, no, .. } => Flow::of(Kinds::of_all(yes.iter().chain(no))),
        Op::Table { name, value: column, miss, default, .. } => {
            Flow::of(looked_up(tables.get(name), column, *miss, default.as_ref(), value.kinds))
        }
        Op::Xref { miss, .. } => Flow::of(missed(Kinds::TEXT, *miss, None, value.kinds)),
        Op::Default { .. } => value,
        Op::Cases { cases } => chosen(cases, value),
        Op::Prefix { .. }
        | Op::Suffix { .. }
        | Op::Pad { .. }
        | Op::DigitsOnly {}
        | Op::Mask { .. }
        | Op::Hash { .. }
        | Op::StripPrefix { .. }
        | Op::StripSuffix { .. }
        | Op::Trim {}
        | Op::Lower {}
        | Op::Upper {}
        | Op::Title {}
        | Op::Truncate { .. }
        | Op::Replace { .. }
        | Op::Substring { .. }
        | Op::NormaliseSpace {}
        | Op::Date { .. }
        | Op::DateOnly {}
        | Op::AddDays { .. }
        | Op::Join { .. }
        | Op::String {}
        | Op::JsonText {} => text,
    }
}

fn looked_up(
    table: Option<&TableSpec>,
    column: &str,
    miss: Option<TableMiss>,
    default: Option<&Value>,
    key: Kinds,
) -> Kinds {
    // What is wrong with the table has been said.
    let Some(table) = table else { return Kinds::ANY };
    let place = table.columns.iter().position(|known| known == column);
    let values = match (place, &table.reference) {
        (Some(place), None) => Kinds::of_all(table.rows.iter().filter_map(|row| row.get(place))),
        _ => Kinds::SCALAR.or(Kinds::UNSAID),
    };
    missed(values, miss.or(table.miss), default.or(table.default.as_ref()), key)
}

/// What is found, or what a miss gives.
fn missed(found: Kinds, miss: Option<TableMiss>, default: Option<&Value>, key: Kinds) -> Kinds {
    found.or(match miss {
        Some(TableMiss::Pass) => key,
        Some(TableMiss::Null) => Kinds::NULL,
        Some(TableMiss::Omit) => Kinds::MISSING,
        Some(TableMiss::Default) => default.map_or(Kinds::NONE, Kinds::of),
        Some(TableMiss::Error | TableMiss::Queue) | None => Kinds::NONE,
    })
}

fn chosen(cases: &[Case], value: Flow) -> Flow {
    let mut kinds = Kinds::NONE;
    for case in cases {
        kinds = kinds.or(case.value.as_ref().or(case.otherwise.as_ref()).map_or(Kinds::ANY, Kinds::of));
    }
    // A value that fits none goes on as it is.
    if cases.iter().all(|case| case.otherwise.is_none()) {
        kinds = kinds.or(value.kinds);
    }
    Flow::of(kinds)
}

fn is_epoch(form: &str) -> bool {
    matches!(form, "epoch_s" | "epoch_ms")
}
