//! How one step is undone.

use serde_json::Value;

use crate::mapping::reverse::date_inverse::undo_date;
use crate::mapping::reverse::optic::Optic;
use crate::mapping::reverse::table_inverse::undo_table;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::literal::DecimalText;
use crate::mapping::spec::step::{BoolWay, Op, Step, XrefSide};

/// How something is undone: with which steps, how far, and what a reviewer should know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Undo {
    pub(crate) optic: Optic,
    /// In the order in which they are done on the way back.
    pub(crate) steps: Vec<Step>,
    pub(crate) reasons: Vec<String>,
    /// A table that the way back needs and the document does not have.
    pub(crate) tables: Vec<(String, crate::mapping::spec::table::TableSpec)>,
}

/// What a step needs to know of the rule and the document around it.
pub(crate) struct Around<'a> {
    pub(crate) spec: &'a MappingSpec,
    /// Whether what comes into the step is a number already.
    pub(crate) is_number: bool,
    /// Where the value at a source path is written in the target, as a path from the rule's own element.
    pub(crate) image: &'a dyn Fn(&str) -> Option<String>,
}

impl Undo {
    pub(crate) fn new(optic: Optic, ops: impl IntoIterator<Item = Op>) -> Self {
        Self {
            optic,
            steps: ops.into_iter().map(Step::from).collect(),
            reasons: Vec::new(),
            tables: Vec::new(),
        }
    }

    pub(crate) fn none(why: impl Into<String>) -> Self {
        Self::new(Optic::None, []).because(why)
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.reasons.push(why.into());
        self
    }

    /// This, and before it on the way back the other, which comes later on the way there.
    fn after(mut self, later: Self) -> Self {
        self.optic = self.optic.max(later.optic);
        self.reasons.extend(later.reasons);
        self.tables.extend(later.tables);
        let mut steps = later.steps;
        steps.append(&mut self.steps);
        self.steps = steps;
        self
    }
}

/// How a rule's steps are undone, all together.
pub(crate) fn undo_steps(steps: &[Step], spec: &MappingSpec, image: &dyn Fn(&str) -> Option<String>) -> Undo {
    let mut is_number = false;
    let mut all = Undo::new(Optic::Iso, []);
    for step in steps {
        let mut undo = undo_step(&step.op, &Around { spec, is_number, image });
        if step.error_default.is_some() {
            undo.optic = undo.optic.max(Optic::Lossy);
            undo = undo.because("what takes the place of a failed value cannot be told from the value");
        }
        is_number = gives_number(&step.op, is_number);
        all = all.after(undo);
    }
    all
}

fn undo_step(op: &Op, around: &Around<'_>) -> Undo {
    use Optic::{Iso, Lossy, PartialIso};
    let lost = |why: &str| Undo::new(Lossy, []).because(why);
    match op {
        Op::Prefix { text } => {
            Undo::new(PartialIso, [Op::StripPrefix { text: text.clone(), required: true }])
                .because(format!("fails for values that do not begin with {text:?}"))
        }
        Op::Suffix { text } => {
            Undo::new(PartialIso, [Op::StripSuffix { text: text.clone(), required: true }])
                .because(format!("fails for values that do not end with {text:?}"))
        }
        Op::StripPrefix { text, required } => strip(Op::Prefix { text: text.clone() }, text, *required),
        Op::StripSuffix { text, required } => strip(Op::Suffix { text: text.clone() }, text, *required),
        Op::Trim {} => lost("white space at the ends is lost"),
        Op::NormaliseSpace {} => lost("runs of white space are lost"),
        Op::Lower {} | Op::Upper {} | Op::Title {} => lost("upper and lower case are lost"),
        Op::Pad { .. } => lost("padding cannot be told from the text"),
        Op::Truncate { .. } => lost("what is cut off is lost"),
        Op::Replace { find, .. } => lost(&format!("where {find:?} stood is lost")),
        Op::Substring { .. } => lost("the rest of the text is lost"),
        Op::DigitsOnly {} => lost("everything but the digits is lost"),
        Op::Split { on, .. } => Undo::new(Iso, [Op::Join { sep: on.clone(), skip_empty: false }]),
        Op::Join { sep, skip_empty: false } if !sep.is_empty() => {
            Undo::new(PartialIso, [Op::Split { on: sep.clone(), max: None }])
                .because(format!("wrong for texts that hold {sep:?} themselves"))
        }
        Op::Join { .. } => Undo::none("the texts cannot be told apart again"),
        Op::Unique {} => lost("repetitions are lost"),
        Op::Sort { .. } => lost("the order is lost"),
        Op::Decimal { separator, group } => decimal(around, separator.as_deref(), group.as_deref()),
        Op::Int {} | Op::Integer {} if around.is_number => Undo::new(Iso, []),
        Op::Int {} | Op::Integer {} => number_to_text(),
        Op::Boolean {} => Undo::new(PartialIso, [Op::String {}]).because("the value becomes a text again"),
        Op::String {} => Undo::new(PartialIso, [Op::Decimal { separator: None, group: None }])
            .because("the value becomes a number again"),
        Op::Round { .. } => lost("digits are lost"),
        Op::Scale10 { n } => n
            .checked_neg()
            .map_or_else(|| Undo::none("the power is too large"), |n| Undo::new(Iso, [Op::Scale10 { n }])),
        Op::Mul { by } if is_zero(by) => Undo::none("everything becomes 0"),
        Op::Mul { by } => Undo::new(PartialIso, [Op::Div { by: by.clone(), scale: None, mode: None }])
            .because(format!("fails for values that {by} does not divide evenly")),
        Op::Div { by, scale: None, .. } => Undo::new(Iso, [Op::Mul { by: by.clone() }]),
        Op::Div { by, .. } => Undo::new(Lossy, [Op::Mul { by: by.clone() }]).because("digits are lost"),
        Op::Add { by } => Undo::new(Iso, [Op::Add { by: negated(by) }]),
        Op::Neg {} => Undo::new(Iso, [Op::Neg {}]),
        Op::Abs {} => lost("the sign is lost"),
        Op::Clamp { .. } => lost("how far a number lay outside is lost"),
        Op::MinorUnits { currency, code } => money(around, currency.as_deref(), code, true),
        Op::MajorUnits { currency, code } => money(around, currency.as_deref(), code, false),
        Op::Unit { from, to, scale, mode } => {
            let back = Op::Unit { from: to.clone(), to: from.clone(), scale: *scale, mode: *mode };
            if scale.is_none() {
                Undo::new(Iso, [back])
            } else {
                Undo::new(Lossy, [back]).because("digits are lost")
            }
        }
        Op::Currency { .. } => Undo::none("a rate is not turned round by itself"),
        Op::Date { input, output, zone, assume } => {
            undo_date(input, output, zone.as_deref(), assume.as_deref())
        }
        Op::EpochS {} => undo_date("rfc3339", "epoch_s", None, None),
        Op::EpochMs {} => undo_date("rfc3339", "epoch_ms", None, None),
        Op::DateOnly {} => undo_date("rfc3339", "iso_date", None, None),
        Op::AddDays { days } => days.checked_neg().map_or_else(
            || Undo::none("the number of days is too large"),
            |days| Undo::new(Iso, [Op::AddDays { days }]),
        ),
        Op::BoolMap { yes, no, way } => bool_map(yes.as_ref(), no.as_ref(), *way),
        Op::Table { name, key, value, miss, .. } => undo_table(around.spec, name, (key, value), *miss),
        Op::Default { .. } => lost("a default cannot be told from the value"),
        Op::Each { steps } => {
            let inner = undo_steps(steps, around.spec, around.image);
            if inner.optic == Optic::None || inner.steps.is_empty() {
                return Undo { steps: Vec::new(), ..inner };
            }
            Undo { steps: vec![Step::from(Op::Each { steps: inner.steps })], ..inner }
        }
        Op::Xref { system, entity, to, miss } => {
            let to = match to {
                Some(XrefSide::External) => XrefSide::Internal,
                _ => XrefSide::External,
            };
            let back = Op::Xref { system: system.clone(), entity: entity.clone(), to: Some(to), miss: *miss };
            Undo::new(PartialIso, [back]).because("fails for ids that are not known")
        }
        Op::JsonText {} => Undo::new(Iso, [Op::ParseJson { max: None }]),
        Op::ParseJson { .. } => {
            Undo::new(PartialIso, [Op::JsonText {}]).because("white space and the order of members are lost")
        }
        Op::Hash { .. } | Op::Mask { .. } => Undo::none("this is meant not to be undone"),
        Op::First {} | Op::Last {} | Op::Nth { .. } | Op::Filter { .. } => {
            Undo::none("the other elements are lost")
        }
        Op::Flatten {} | Op::GroupBy { .. } | Op::Pick { .. } => {
            Undo::none("how the list was made up is lost")
        }
        Op::Sum { .. } | Op::Count {} | Op::Min { .. } | Op::Max { .. } => {
            Undo::none("the elements cannot be told from the result")
        }
        Op::Cases { .. } => Undo::none("which case it was cannot be told from the value"),
    }
}

fn strip(back: Op, text: &str, required: bool) -> Undo {
    if required {
        Undo::new(Optic::PartialIso, [back]).because("what is written back always has it again")
    } else {
        Undo::new(Optic::Lossy, [back]).because(format!("whether {text:?} was there is lost"))
    }
}

fn decimal(around: &Around<'_>, separator: Option<&str>, group: Option<&str>) -> Undo {
    if around.is_number {
        return Undo::new(Optic::Iso, []);
    }
    let mut undo = number_to_text();
    if let Some(separator) = separator.filter(|separator| *separator != ".") {
        undo.steps.push(Op::Replace { find: ".".to_owned(), with: separator.to_owned() }.into());
    }
    if group.is_some_and(|group| !group.is_empty()) {
        undo.optic = Optic::Lossy;
        undo = undo.because("how digits were grouped is lost");
    }
    undo
}

fn number_to_text() -> Undo {
    Undo::new(Optic::PartialIso, [Op::String {}])
        .because("the number becomes a text again, in its shortest form")
}

fn money(around: &Around<'_>, currency: Option<&str>, code: &Option<String>, was_minor: bool) -> Undo {
    let image = match currency {
        Some(path) => match (around.image)(path) {
            Some(image) => Some(image),
            None => return Undo::none(format!("the currency at `{path}` is not in the target as it is")),
        },
        None => None,
    };
    let code = code.clone();
    let back = if was_minor {
        Op::MajorUnits { currency: image, code }
    } else {
        Op::MinorUnits { currency: image, code }
    };
    Undo::new(Optic::Iso, [back])
}

fn bool_map(yes: Option<&Value>, no: Option<&Value>, way: Option<BoolWay>) -> Undo {
    if yes == no {
        return Undo::none("true and false become the same");
    }
    let way = match way {
        Some(BoolWay::ToBoolean) => BoolWay::ToValue,
        _ => BoolWay::ToBoolean,
    };
    Undo::new(Optic::Iso, [Op::BoolMap { yes: yes.cloned(), no: no.cloned(), way: Some(way) }])
}

fn is_zero(number: &DecimalText) -> bool {
    let mantissa = number.as_str().split(['e', 'E']).next().unwrap_or_default();
    !mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn negated(number: &DecimalText) -> DecimalText {
    match number.as_str().strip_prefix('-') {
        Some(positive) => DecimalText::from(positive),
        None if is_zero(number) => number.clone(),
        None => DecimalText::from(format!("-{number}").as_str()),
    }
}

/// Whether what comes out of a step is a number.
pub(crate) fn gives_number(op: &Op, before: bool) -> bool {
    match op {
        Op::Decimal { .. }
        | Op::Int {}
        | Op::Integer {}
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
        | Op::Currency { .. }
        | Op::EpochS {}
        | Op::EpochMs {}
        | Op::Sum { .. }
        | Op::Count {}
        | Op::Min { .. }
        | Op::Max { .. } => true,
        Op::Default { .. } => before,
        _ => false,
    }
}
