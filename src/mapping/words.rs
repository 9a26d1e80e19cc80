//! A mapping in words, for people who review it.

use serde_json::Value;

use crate::mapping::rounding::Rounding;
use crate::mapping::spec::condition::Condition;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{Case, FieldSpec, Rule};
use crate::mapping::spec::policy::{OnError, Policy};
use crate::mapping::spec::step::{BoolWay, Op, Side, Step, TooLong, XrefSide};
use crate::mapping::spec::table::TableMiss;

impl Step {
    /// The step in words: "put "SHOP-" in front".
    ///
    /// ```
    /// use crossdock::mapping::{Op, Step};
    ///
    /// let step = Step::from(Op::Scale10 { n: 2 });
    ///
    /// assert_eq!(step.describe(), "multiply by 100");
    /// ```
    pub fn describe(&self) -> String {
        let mut words = describe_op(&self.op);
        match self.on_error {
            Some(OnError::FailRecord) => words.push_str(" (or fail the record)"),
            Some(OnError::FailField) => words.push_str(" (or leave the field out)"),
            Some(OnError::Default) => match &self.error_default {
                Some(value) => words.push_str(&format!(" (or else {value})")),
                None => words.push_str(" (or else the default)"),
            },
            None => {}
        }
        words
    }
}

/// Where a rule's value comes from, in words.
pub(crate) fn describe_source(field: &FieldSpec) -> String {
    match field.rule() {
        Some(Rule::From(path)) => match field.pick {
            Some(pick) => format!("{path} ({pick} match)"),
            None => path.to_owned(),
        },
        Some(Rule::First(paths)) => format!("first of {}", paths.join(", ")),
        Some(Rule::Join(paths)) => {
            let between =
                field.sep.as_deref().map(|sep| format!(" with {sep:?} between")).unwrap_or_default();
            format!("{} joined{between}", paths.join(", "))
        }
        Some(Rule::Cases(cases)) => cases.iter().map(describe_case).collect::<Vec<_>>().join("; "),
        Some(Rule::Const(value)) => format!("always {value}"),
        Some(Rule::Ctx(name)) => format!("from the host: {name}"),
        Some(Rule::Index(counter)) => {
            let (start, step) = (counter.start.unwrap_or(0), counter.step.unwrap_or(1));
            format!(
                "{start}, {}, {} …",
                start.saturating_add(step),
                start.saturating_add(step.saturating_mul(2))
            )
        }
        Some(Rule::Each(list)) => format!("each element of {list}"),
        Some(Rule::Expr(expr)) => format!("expression: {expr}"),
        None => "not said".to_owned(),
    }
}

/// What is done to a rule's value, in words.
pub(crate) fn describe_steps(field: &FieldSpec) -> String {
    let mut words: Vec<String> = field.steps.iter().map(Step::describe).collect();
    if let Some(when) = &field.when {
        words.insert(0, format!("only if {}", describe_condition(when)));
    }
    if let Some(keep) = &field.keep {
        words.push(format!("keep those where {}", describe_condition(&keep.when)));
    }
    if let Some(min) = field.min {
        words.push(format!("at least {min}"));
    }
    if let Some(max) = field.max {
        words.push(format!("at most {max}"));
    }
    if let Some(key) = &field.key {
        words.push(format!("{} identifies {}", key.source, key.target));
    }
    words.join("; ")
}

/// What becomes of what is missing and of what fails, in words; what the document says for all is left out.
pub(crate) fn describe_policies(field: &FieldSpec) -> String {
    let mut words = Vec::new();
    if let Some(default) = &field.default {
        words.push(format!("default {default}"));
    }
    for (what, policy) in [("missing", field.missing), ("null", field.null), ("empty", field.empty_string)] {
        words.extend(policy.map(|policy| format!("{what}: {}", describe_policy(policy))));
    }
    words.extend(field.on_error.map(|on_error| format!("on error: {}", describe_on_error(on_error))));
    words.join("; ")
}

/// What holds for all rules of a document that say nothing else.
pub(crate) fn describe_defaults(spec: &MappingSpec) -> String {
    let defaults = spec.defaults.clone().unwrap_or_default();
    let mut words = vec![
        format!("missing: {}", describe_policy(defaults.missing.unwrap_or(Policy::Omit))),
        format!("null: {}", describe_policy(defaults.null.unwrap_or(Policy::AsMissing))),
        format!("empty text: {}", describe_policy(defaults.empty_string.unwrap_or(Policy::Keep))),
        format!("on error: {}", describe_on_error(defaults.on_error.unwrap_or(OnError::FailRecord))),
    ];
    words.extend(defaults.rounding.map(|mode| format!("rounding: {}", describe_rounding(mode))));
    words.join("; ")
}

pub(crate) fn describe_policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Omit => "leave the field out",
        Policy::Null => "write null",
        Policy::Default => "write the default",
        Policy::Error => "fail",
        Policy::Keep => "keep",
        Policy::AsMissing => "treat as missing",
    }
}

pub(crate) fn describe_on_error(on_error: OnError) -> &'static str {
    match on_error {
        OnError::FailRecord => "fail the record",
        OnError::FailField => "leave the field out",
        OnError::Default => "write the default",
    }
}

pub(crate) fn describe_miss(miss: TableMiss) -> &'static str {
    match miss {
        TableMiss::Error => "fail",
        TableMiss::Default => "write the default",
        TableMiss::Pass => "keep the key",
        TableMiss::Null => "write null",
        TableMiss::Omit => "leave the field out",
        TableMiss::Queue => "hold the record",
    }
}

fn describe_rounding(mode: Rounding) -> &'static str {
    match mode {
        Rounding::HalfUp => "half away from zero",
        Rounding::HalfDown => "half towards zero",
        Rounding::HalfEven => "half to even",
        Rounding::Up => "away from zero",
        Rounding::Down => "towards zero",
        Rounding::Ceiling => "up",
        Rounding::Floor => "down",
    }
}

fn describe_case(case: &Case) -> String {
    if let Some(value) = &case.otherwise {
        return format!("else {value}");
    }
    let value = match (&case.value, &case.from, &case.expr) {
        (Some(value), ..) => value.to_string(),
        (_, Some(path), _) => path.clone(),
        (_, _, Some(expr)) => expr.clone(),
        _ => "nothing".to_owned(),
    };
    match &case.when {
        Some(when) => format!("{value} if {}", describe_condition(when)),
        None => value,
    }
}

/// A condition in words.
pub(crate) fn describe_condition(when: &Condition) -> String {
    let path = when.path.as_deref().unwrap_or("@");
    let list = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let mut words = Vec::new();
    words.extend(when.present.as_ref().map(|path| format!("{path} is there")));
    words.extend(when.absent.as_ref().map(|path| format!("{path} is not there")));
    words.extend(when.eq.as_ref().map(|value| format!("{path} = {value}")));
    words.extend(when.ne.as_ref().map(|value| format!("{path} ≠ {value}")));
    for (sign, number) in [(">", &when.gt), ("≥", &when.ge), ("<", &when.lt), ("≤", &when.le)] {
        words.extend(number.as_ref().map(|number| format!("{path} {sign} {number}")));
    }
    if !when.one_of.is_empty() {
        words.push(format!("{path} is one of {}", list(&when.one_of)));
    }
    words.extend(when.starts_with.as_ref().map(|text| format!("{path} begins with {text:?}")));
    words.extend(when.contains.as_ref().map(|text| format!("{path} contains {text:?}")));
    words.extend(when.op.map(|intent| format!("the target record is to be {intent}d")));
    let group = |conditions: &[Condition], word: &str| {
        let inner: Vec<_> = conditions.iter().map(describe_condition).collect();
        (!inner.is_empty()).then(|| format!("({})", inner.join(word)))
    };
    words.extend(group(&when.all, " and "));
    words.extend(group(&when.any, " or "));
    words.extend(when.not.as_ref().map(|inner| format!("not ({})", describe_condition(inner))));
    words.extend(when.expr.as_ref().map(|expr| format!("{expr} is true")));
    words.join(" and ")
}

fn describe_op(op: &Op) -> String {
    let mode = |mode: &Option<Rounding>| {
        mode.map(|mode| format!(", rounding {}", describe_rounding(mode))).unwrap_or_default()
    };
    let digits = |scale: &Option<u32>, rounding: &Option<Rounding>| match scale {
        Some(scale) => format!(" to {scale} decimals{}", mode(rounding)),
        None => ", must come out even".to_owned(),
    };
    let must = |required: bool| if required { ", which must be there" } else { " if it is there" };
    let at = |path: &Option<String>| path.as_ref().map(|path| format!(" at {path}")).unwrap_or_default();
    let currency = |path: &Option<String>, code: &Option<String>| match (path, code) {
        (Some(path), _) => format!("the currency at {path}"),
        (_, Some(code)) => code.clone(),
        _ => "the currency".to_owned(),
    };
    match op {
        Op::Prefix { text } => format!("put {text:?} in front"),
        Op::Suffix { text } => format!("put {text:?} behind"),
        Op::StripPrefix { text, required } => format!("take {text:?} away from the front{}", must(*required)),
        Op::StripSuffix { text, required } => format!("take {text:?} away from the end{}", must(*required)),
        Op::Trim {} => "trim".to_owned(),
        Op::Lower {} => "lower case".to_owned(),
        Op::Upper {} => "upper case".to_owned(),
        Op::Title {} => "capitalise words".to_owned(),
        Op::Pad { width, with, side } => format!(
            "fill up to {width} characters with {:?} at the {}",
            with.as_deref().unwrap_or(" "),
            side.unwrap_or(Side::Start)
        ),
        Op::Truncate { max, mode: TooLong::Cut } => format!("cut after {max} characters"),
        Op::Truncate { max, .. } => format!("must have at most {max} characters"),
        Op::Replace { find, with } if with.is_empty() => format!("take out every {find:?}"),
        Op::Replace { find, with } => format!("replace {find:?} by {with:?}"),
        Op::Substring { start, length: Some(length) } => {
            format!("characters {} to {}", u64::from(*start) + 1, u64::from(*start) + u64::from(*length))
        }
        Op::Substring { start, length: None } => format!("from character {} on", u64::from(*start) + 1),
        Op::NormaliseSpace {} => "single spaces".to_owned(),
        Op::DigitsOnly {} => "digits only".to_owned(),
        Op::Split { on, max } => {
            format!("split at {on:?}{}", max.map(|max| format!(" into at most {max}")).unwrap_or_default())
        }
        Op::Join { sep, skip_empty } => {
            format!("join with {sep:?}{}", if *skip_empty { ", without empty ones" } else { "" })
        }
        Op::First {} => "first element".to_owned(),
        Op::Last {} => "last element".to_owned(),
        Op::Nth { index } if *index < 0 => format!("element {} from the end", index.unsigned_abs()),
        Op::Nth { index } => format!("element {}", index.saturating_add(1)),
        Op::Unique {} => "without repetitions".to_owned(),
        Op::Sort { order } => format!("sort{}", order.map(|order| format!(" {order}")).unwrap_or_default()),
        Op::Decimal { .. } => "read as a number".to_owned(),
        Op::Int {} | Op::Integer {} => "must be a whole number".to_owned(),
        Op::Round { scale, mode: rounding } => format!("round to {scale} decimals{}", mode(rounding)),
        Op::Scale10 { n } => describe_power(*n),
        Op::Mul { by } => format!("multiply by {by}"),
        Op::Add { by } => format!("add {by}"),
        Op::Div { by, scale, mode } => format!("divide by {by}{}", digits(scale, mode)),
        Op::Neg {} => "change the sign".to_owned(),
        Op::Abs {} => "without the sign".to_owned(),
        Op::Clamp { min, max } => {
            let words: Vec<_> = [("at least", min), ("at most", max)]
                .into_iter()
                .filter_map(|(word, bound)| bound.as_ref().map(|bound| format!("{word} {bound}")))
                .collect();
            words.join(", ")
        }
        Op::MinorUnits { currency: path, code } => format!("in smallest units of {}", currency(path, code)),
        Op::MajorUnits { currency: path, code } => format!("from smallest units of {}", currency(path, code)),
        Op::Unit { from, to, scale, mode } => format!("from {from} to {to}{}", digits(scale, mode)),
        Op::Currency { rate, scale, mode: rounding } => {
            format!("at the rate {rate}, {scale} decimals{}", mode(rounding))
        }
        Op::Date { input, output, zone, assume } => {
            let zone = zone.as_deref().filter(|zone| *zone != "keep").map(|zone| format!(" in {zone}"));
            let assume = assume.as_deref().map(|zone| format!(", {zone} if no zone is named"));
            format!("date from {input} to {output}{}{}", zone.unwrap_or_default(), assume.unwrap_or_default())
        }
        Op::EpochS {} => "time as seconds since 1970".to_owned(),
        Op::EpochMs {} => "time as milliseconds since 1970".to_owned(),
        Op::DateOnly {} => "date only".to_owned(),
        Op::AddDays { days } => format!("{days:+} days"),
        Op::BoolMap { yes, no, way } => {
            let word =
                |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
            match way {
                Some(BoolWay::ToBoolean) => format!("{} is true, {} is false", word(yes), word(no)),
                _ => format!("{} if true, {} if false", word(yes), word(no)),
            }
        }
        Op::Table { name, key, value, miss, default } => {
            let miss = miss.map(|miss| format!(", otherwise {}", describe_miss(miss))).unwrap_or_default();
            let default = default.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
            format!("look up in table {name}: {key} → {value}{miss}{default}")
        }
        Op::Default { value } => format!("{value} if there is nothing"),
        Op::Cases { cases } => cases.iter().map(describe_case).collect::<Vec<_>>().join(", "),
        Op::Each { steps } => {
            format!("each: {}", steps.iter().map(Step::describe).collect::<Vec<_>>().join(", then "))
        }
        Op::Filter { when } => format!("those where {}", describe_condition(when)),
        Op::Flatten {} => "flatten one level".to_owned(),
        Op::GroupBy { key } => format!("group by {key}"),
        Op::Sum { path } => format!("sum{}", at(path)),
        Op::Count {} => "count".to_owned(),
        Op::Min { path } => format!("least{}", at(path)),
        Op::Max { path } => format!("greatest{}", at(path)),
        Op::Pick { path } => format!("what is at {path}"),
        Op::Xref { system, entity, to, .. } => match to {
            Some(XrefSide::External) => format!("id of the {entity} in {system}"),
            _ => format!("own id of the {entity} of {system}"),
        },
        Op::Hash { key, .. } => format!("hash under the key {key}"),
        Op::Mask { keep, with } => {
            format!("cover all but the last {keep} with {:?}", with.as_deref().unwrap_or("*"))
        }
        Op::String {} => "as text".to_owned(),
        Op::Boolean {} => "read as true or false".to_owned(),
        Op::JsonText {} => "as JSON text".to_owned(),
        Op::ParseJson { .. } => "read as JSON".to_owned(),
    }
}

fn describe_power(n: i32) -> String {
    let zeros = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    let verb = if n < 0 { "divide" } else { "multiply" };
    if zeros > 18 {
        format!("{verb} by ten to the power {zeros}")
    } else {
        format!("{verb} by 1{}", "0".repeat(zeros))
    }
}
