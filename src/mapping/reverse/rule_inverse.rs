//! How one rule is undone.

use serde_json::Value;

use crate::mapping::reverse::analyse::{Frames, as_table, is_constant, is_reversible, undo_each, writable};
use crate::mapping::reverse::optic::{Optic, Verdict};
use crate::mapping::reverse::step_inverse::{Undo, gives_number, undo_steps};
use crate::mapping::spec::condition::Condition;
use crate::mapping::spec::field::{
    Case, Direction, FieldSpec, Reverse, ReverseDefault, ReverseRule, Rule, TargetType,
};
use crate::mapping::spec::policy::Policy;
use crate::mapping::spec::step::{BoolWay, Op, Step};
use crate::mapping::spec::table::TableSpec;

/// The rules of the way back for one rule, and what is to be said about them.
#[derive(Clone, Debug)]
pub(crate) struct Inverse {
    pub(crate) optic: Optic,
    pub(crate) verdict: Verdict,
    pub(crate) reasons: Vec<String>,
    pub(crate) rules: Vec<FieldSpec>,
    pub(crate) tables: Vec<(String, TableSpec)>,
}

impl Default for Inverse {
    fn default() -> Self {
        Self {
            optic: Optic::None,
            verdict: Verdict::NeedsExplicit,
            reasons: Vec::new(),
            rules: Vec::new(),
            tables: Vec::new(),
        }
    }
}

impl Inverse {
    pub(crate) fn one_way(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::OneWay, reasons: vec![why.into()], ..Self::default() }
    }

    pub(crate) fn explicit(why: impl Into<String>) -> Self {
        Self { reasons: vec![why.into()], ..Self::default() }
    }

    /// There is less of an inverse than was thought.
    pub(crate) fn lower(&mut self, optic: Optic, why: impl Into<String>) {
        self.optic = self.optic.max(optic);
        self.verdict = self.verdict.max(Verdict::NeedsCheck);
        self.reasons.push(why.into());
    }

    fn of(undo: Undo, rules: Vec<FieldSpec>) -> Self {
        let verdict = match undo.optic {
            Optic::Iso => Verdict::Auto,
            Optic::PartialIso | Optic::Lossy => Verdict::NeedsCheck,
            Optic::None => Verdict::NeedsExplicit,
        };
        Self { optic: undo.optic, verdict, reasons: undo.reasons, rules, tables: undo.tables }
    }
}

pub(crate) fn undo_rule(field: &FieldSpec, frames: &Frames<'_>) -> Inverse {
    if field.direction == Some(Direction::Forward) {
        return Inverse::one_way("the rule says that it works forward only");
    }
    let Some(rule) = field.rule() else {
        return Inverse::explicit("the rule does not say what it is made from");
    };
    if field.note.as_deref().is_some_and(|note| note.starts_with(TODO)) {
        return Inverse::explicit("what the rule is made from is still to be said");
    }
    let mut inverse = match &field.reverse {
        Some(Reverse::None) => return Inverse::one_way("the rule says that it is not reversed"),
        Some(Reverse::By(by)) if says_how(by) => explicit(field, &rule, by),
        _ => by_itself(field, &rule, frames),
    };
    if field.each.is_none() {
        around(field, &mut inverse);
    }
    if inverse.verdict == Verdict::NeedsExplicit {
        inverse.rules = marked(field, &rule, &inverse.reasons);
    } else if inverse.verdict == Verdict::NeedsCheck {
        for rule in &mut inverse.rules {
            rule.note = Some(format!("{CHECK}{}", inverse.reasons.join("; ")));
        }
    }
    inverse
}

fn says_how(by: &ReverseRule) -> bool {
    by.steps.is_some() || by.expr.is_some() || by.cases.is_some()
}

/// As the rule's own `reverse` says.
fn explicit(field: &FieldSpec, rule: &Rule<'_>, by: &ReverseRule) -> Inverse {
    let own = match rule {
        Rule::From(path) => writable(path).map(|path| path.to_string()),
        _ => None,
    };
    let Some(to) = by.to.clone().or(own) else {
        return Inverse::explicit("`reverse` does not say with `to` which source field is written");
    };
    let mut back = FieldSpec::new(to);
    if let Some(expr) = &by.expr {
        back.expr = Some(expr.clone());
    } else if let Some(cases) = &by.cases {
        back.cases = Some(cases.clone());
    } else {
        back.from = Some(field.to.clone());
    }
    back.steps = by.steps.clone().unwrap_or_default();
    Inverse::of(Undo::new(Optic::PartialIso, []).because("reversed as the rule says"), vec![back])
}

fn by_itself(field: &FieldSpec, rule: &Rule<'_>, frames: &Frames<'_>) -> Inverse {
    let by = match &field.reverse {
        Some(Reverse::By(by)) => Some(&**by),
        _ => None,
    };
    match rule {
        Rule::Each(list) => undo_each(field, list),
        Rule::From(path) => {
            let to = by.and_then(|by| by.to.clone());
            from_path(field, path, to, by, frames)
        }
        Rule::First(paths) => match by.and_then(|by| by.to.clone()) {
            Some(to) => {
                let mut inverse = from_path(field, &to.clone(), Some(to), by, frames);
                inverse.lower(Optic::Lossy, "which of the paths it came from is lost");
                inverse
            }
            None => Inverse::explicit(format!("which of {} it came from is lost", paths.join(", "))),
        },
        Rule::Join(paths) => undo_join(field, paths, by),
        Rule::Cases(_) => undo_cases(field),
        Rule::Expr(_) => Inverse::explicit("an expression is not turned round by itself"),
        constant => Inverse::one_way(is_constant(constant).unwrap_or("nothing is read from the source")),
    }
}

fn from_path(
    field: &FieldSpec,
    path: &str,
    to: Option<String>,
    by: Option<&ReverseRule>,
    frames: &Frames<'_>,
) -> Inverse {
    let outside = path.starts_with(['$', '^']) && frames.fields.len() > 1;
    let Some(to) = to.or_else(|| writable(path).map(|path| path.to_string())) else {
        return if outside {
            Inverse::one_way("a copy of a field outside of the element")
        } else {
            Inverse::explicit(format!(
                "`{path}` is not a place that can be written: say with `reverse` what is"
            ))
        };
    };
    let mut undo = undo_steps(&field.steps, frames.spec, &|path| frames.image(path));
    if let Some(scale) = by.and_then(|by| by.scale.as_ref()).and_then(|scale| scale.as_str().parse().ok()) {
        for step in &mut undo.steps {
            if let Op::Div { scale: digits @ None, .. } = &mut step.op {
                *digits = Some(scale);
                undo.optic = Optic::Lossy;
            }
        }
    }
    let mut back = FieldSpec::new(to);
    back.from = Some(field.to.clone());
    back.steps = std::mem::take(&mut undo.steps);
    back.target_type = type_back(field, &back.steps);
    Inverse::of(undo, vec![back])
}

/// The type that the source field has, as far as the steps tell.
fn type_back(field: &FieldSpec, back: &[Step]) -> Option<TargetType> {
    let Some(last) = back.last() else {
        return if field.steps.is_empty() { field.target_type } else { None };
    };
    match &last.op {
        Op::StripPrefix { .. }
        | Op::StripSuffix { .. }
        | Op::Prefix { .. }
        | Op::Suffix { .. }
        | Op::String {}
        | Op::Replace { .. }
        | Op::Join { .. }
        | Op::JsonText {} => Some(TargetType::String),
        Op::Split { .. } => Some(TargetType::Array),
        Op::BoolMap { way: Some(BoolWay::ToBoolean), .. } => Some(TargetType::Boolean),
        Op::Integer {} | Op::Int {} => Some(TargetType::Integer),
        op if gives_number(op, false) => Some(TargetType::Decimal),
        _ => None,
    }
}

fn undo_join(field: &FieldSpec, paths: &[String], by: Option<&ReverseRule>) -> Inverse {
    let Some(on) = by.and_then(|by| by.split_on.clone()) else {
        return Inverse::explicit("say with `split_on` where the text is split again");
    };
    let targets: Option<Vec<_>> = paths.iter().map(|path| writable(path)).collect();
    let Some(targets) = targets else {
        return Inverse::explicit("a part is not a place that can be written");
    };
    if !field.steps.is_empty() {
        return Inverse::explicit("a join with further steps is not split by itself");
    }
    let max = by.and_then(|by| by.max).or_else(|| u32::try_from(targets.len()).ok());
    let rules = targets.iter().zip(0..).map(|(path, index)| {
        let mut back = FieldSpec::new(path.to_string());
        back.from = Some(field.to.clone());
        back.target_type = Some(TargetType::String);
        back.steps = vec![Op::Split { on: on.clone(), max }.into(), Op::Nth { index }.into()];
        back
    });
    let why = format!("wrong for parts that hold {on:?} themselves");
    Inverse::of(Undo::new(Optic::PartialIso, []).because(why), rules.collect())
}

fn undo_cases(field: &FieldSpec) -> Inverse {
    let found =
        as_table(field).and_then(|(path, pairs, otherwise)| Some((writable(path)?, pairs, otherwise)));
    let Some((path, pairs, otherwise)) = found else {
        return Inverse::explicit("which case it was cannot be told from the value");
    };
    let mut back = FieldSpec::new(path.to_string());
    let case = |(constant, value): &(&Value, &Value)| Case {
        when: Some(Condition {
            path: Some(field.to.clone()),
            eq: Some((*value).clone()),
            ..Condition::default()
        }),
        value: Some((*constant).clone()),
        ..Case::default()
    };
    back.cases = Some(pairs.iter().map(case).collect());
    let undo = match otherwise {
        Some(_) => Undo::new(Optic::Lossy, []).because("all other values became the same"),
        None => Undo::new(Optic::Iso, []),
    };
    let steps = field.steps.is_empty();
    if steps {
        Inverse::of(undo, vec![back])
    } else {
        Inverse::explicit("cases with further steps are not turned round")
    }
}

/// What stands around the value: defaults, conditions, empty texts.
fn around(field: &FieldSpec, inverse: &mut Inverse) {
    if !is_reversible(field) || matches!(inverse.verdict, Verdict::OneWay | Verdict::NeedsExplicit) {
        return;
    }
    if let Some(default) = &field.default {
        match field.reverse_default {
            Some(ReverseDefault::Keep) => {
                inverse.lower(Optic::Lossy, "the default is written back as any other value")
            }
            _ => {
                inverse.lower(Optic::Lossy, "the default is not written back");
                for rule in &mut inverse.rules {
                    rule.when = Some(Condition {
                        path: Some(field.to.clone()),
                        ne: Some(default.clone()),
                        ..Condition::default()
                    });
                }
            }
        }
    }
    if field.when.is_some() {
        inverse.lower(Optic::Lossy, "whether the rule applies is asked of the source only");
    }
    if field.empty_string == Some(Policy::AsMissing) || field.null == Some(Policy::Omit) {
        inverse.lower(Optic::Lossy, "that the value was empty is lost");
    }
}

/// A rule that stands in the reversed document for people, and does nothing until somebody has said how.
fn marked(field: &FieldSpec, rule: &Rule<'_>, reasons: &[String]) -> Vec<FieldSpec> {
    let path = match rule {
        Rule::From(path) | Rule::Each(path) => Some(*path),
        Rule::First(paths) | Rule::Join(paths) => paths.first().map(String::as_str),
        Rule::Cases(cases) => {
            let asked = |case: &Case| {
                let when = case.when.clone()?;
                when.path.or(when.present).or(when.absent)
            };
            return cases
                .iter()
                .find_map(asked)
                .and_then(|path| todo(field, &path, reasons))
                .into_iter()
                .collect();
        }
        _ => None,
    };
    path.and_then(|path| todo(field, path, reasons)).into_iter().collect()
}

fn todo(field: &FieldSpec, path: &str, reasons: &[String]) -> Option<FieldSpec> {
    let mut back = FieldSpec::new(writable(path)?.to_string());
    back.from = Some(field.to.clone());
    back.direction = Some(Direction::Reverse);
    back.note = Some(format!("{TODO}{}", reasons.join("; ")));
    Some(back)
}

/// Before what somebody has to say.
pub(crate) const TODO: &str = "TODO: ";

/// Before what somebody should look at.
pub(crate) const CHECK: &str = "CHECK: ";
