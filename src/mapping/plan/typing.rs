//! The static pass: which kinds of value flow through each rule, and whether there always is one.
//!
//! Only what can never be right is an error: a step that no value passes, a constant of another type. Of a source about which
//! no schema says anything nothing is assumed.

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::evaluate::checks::fits;
use crate::mapping::evaluate::value::V;
use crate::mapping::path::{Segment, SourcePath};
use crate::mapping::plan::kinds::{Flow, Kinds, made, taken};
use crate::mapping::plan::schemas;
use crate::mapping::schema::{LeafKind, RecordShape, is_below};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{Case, Direction, FieldSpec, Rule, TargetType};
use crate::mapping::spec::policy::{Defaults, OnError, Policy};
use crate::mapping::spec::step::{Op, Step};

/// Adds what can never be right, and required fields that can be missing.
pub(crate) fn check(
    spec: &MappingSpec,
    defaults: &Defaults,
    source: Option<&RecordShape>,
    found: &mut Diagnostics,
) {
    let mut pass = Pass { spec, defaults, source, found };
    pass.fields(&spec.fields, "/fields", &[String::new()]);
}

struct Pass<'s, 'f> {
    spec: &'s MappingSpec,
    defaults: &'s Defaults,
    source: Option<&'s RecordShape>,
    found: &'f mut Diagnostics,
}

impl Pass<'_, '_> {
    fn error(&mut self, code: &'static str, pointer: String, message: String) {
        self.found.add(Diagnostic::error(code, pointer, message));
    }

    /// As deep as `each` is nested, which has been bounded.
    fn fields(&mut self, fields: &[FieldSpec], pointer: &str, sources: &[String]) {
        if sources.len() > DEEPEST {
            return;
        }
        for (at, field) in fields.iter().enumerate() {
            if field.direction == Some(Direction::Reverse) {
                continue;
            }
            // What says nothing, or too much, about its value has been reported.
            let Some(rule) = field.rule() else { continue };
            let pointer = format!("{pointer}/{at}");
            let origin = self.origin(rule, &pointer, sources);
            let flow = self.steps(&field.steps, &format!("{pointer}/steps"), origin, 0);
            self.defaults_of_steps(field, &pointer);
            self.target(field, rule, flow.kinds, &pointer);
            self.presence(field, flow.kinds, &pointer);
            if let Some(list) = &field.each
                && let Some(list) = schemas::resolved(list, sources)
            {
                let mut inner = sources.to_vec();
                inner.push(format!("{list}[]"));
                self.fields(&field.fields, &format!("{pointer}/fields"), &inner);
            }
        }
    }

    /// What a rule begins with.
    fn origin(&mut self, rule: Rule<'_>, pointer: &str, sources: &[String]) -> Flow {
        match rule {
            Rule::From(path) => self.at(path, sources),
            Rule::First(paths) => {
                let flows: Vec<_> = paths.iter().map(|path| self.at(path, sources)).collect();
                let values = flows.iter().fold(Kinds::NONE, |kinds, flow| kinds.or(flow.kinds.values()));
                Flow::of(values.or(all_absent(&flows)))
            }
            Rule::Join(paths) => {
                let flows: Vec<_> = paths.iter().map(|path| self.at(path, sources)).collect();
                for (at, flow) in flows.iter().enumerate() {
                    let values = flow.kinds.values();
                    if !values.is_none() && !values.has(Kinds::TEXT.or(Kinds::NUMBER)) {
                        let message =
                            format!("texts and numbers are joined, and in the source this is {values}");
                        self.error("E-STEP-TYPE", format!("{pointer}/join/{at}"), message);
                    }
                }
                Flow::of(Kinds::TEXT.or(all_absent(&flows)))
            }
            Rule::Cases(cases) => {
                let mut kinds = Kinds::NONE;
                for case in cases {
                    kinds = kinds.or(match (case.value.as_ref().or(case.otherwise.as_ref()), &case.from) {
                        (Some(value), _) => Kinds::of(value),
                        (None, Some(path)) => self.at(path, sources).kinds,
                        (None, None) => Kinds::ANY,
                    });
                }
                if cases.iter().all(|case| case.otherwise.is_none()) {
                    kinds = kinds.or(Kinds::MISSING);
                }
                Flow::of(kinds)
            }
            Rule::Const(value) => Flow::of(Kinds::of(value)),
            Rule::Ctx(name) => {
                let declared = self.spec.context.get(name).and_then(|value| value.value_type);
                Flow::of(Kinds::wanted(declared.unwrap_or(TargetType::Any)).or(Kinds::UNSAID))
            }
            Rule::Index(_) => Flow::of(Kinds::NUMBER),
            Rule::Each(path) => {
                let kinds = self.at(path, sources).kinds;
                if !kinds.values().is_none() && !kinds.has(Kinds::LIST) {
                    let message =
                        format!("`each` goes through a list, and in the source this is {}", kinds.values());
                    self.error("E-STEP-TYPE", format!("{pointer}/each"), message);
                }
                Flow::of(Kinds::LIST.or(kinds.absence()))
            }
            Rule::Expr(_) => Flow::of(Kinds::ANY),
        }
    }

    /// What the source schema says of a path.
    fn at(&self, text: &str, sources: &[String]) -> Flow {
        let anything = Flow::of(Kinds::ANY);
        // Most documents have no schema, and are not read for it.
        let Some(shape) = self.source else { return anything };
        let Ok(path) = text.parse::<SourcePath>() else { return anything };
        let Some(full) = schemas::resolved(text, sources) else { return anything };
        let inside = format!("{full}[]");
        let mut flow = match shape.leaf(&full) {
            Some(leaf) => {
                let absent = if leaf.required { Kinds::NONE } else { Kinds::MISSING };
                let null = if leaf.nullable { Kinds::NULL } else { Kinds::NONE };
                Flow::of(of_leaf(&leaf.kinds).or(absent).or(null))
            }
            None if shape.leads_on(&full) => {
                Flow::of(if shape.leaves().any(|leaf| leaf.required && is_below(&leaf.path, &full)) {
                    Kinds::NONE
                } else {
                    Kinds::UNSAID
                })
            }
            None => return anything,
        };
        if shape.leads_on(&full) {
            let is_list = shape.leads_on(&inside) || shape.leaf(&inside).is_some();
            flow.kinds = flow.kinds.or(if is_list { Kinds::LIST } else { Kinds::OBJECT });
        }
        if let Some(leaf) = shape.leaf(&inside) {
            flow.elements = of_leaf(&leaf.kinds).or(Kinds::UNSAID);
        } else if shape.leads_on(&inside) {
            flow.elements = Kinds::LIST.or(Kinds::OBJECT).or(Kinds::UNSAID);
        }
        if path.segments.iter().any(|segment| !matches!(segment, Segment::Name(_))) {
            flow.kinds = flow.kinds.or(Kinds::MISSING);
        }
        flow
    }

    fn steps(&mut self, steps: &[Step], pointer: &str, mut flow: Flow, depth: usize) -> Flow {
        for (at, step) in steps.iter().enumerate() {
            let values = flow.kinds.values();
            let absence = flow.kinds.absence();
            if let Op::Default { value } = &step.op {
                let instead = if absence.is_none() { Kinds::NONE } else { Kinds::of(value) };
                flow.kinds = values.or(instead);
                continue;
            }
            if values.is_none() {
                // What is not there passes through.
                continue;
            }
            let takes = taken(&step.op);
            let mut passed = values.and(takes);
            if passed.is_none() {
                let place = format!("{pointer}/{at}");
                let name = step.op.name();
                let message = format!("`{name}` works on {takes}, and here there is only {values}");
                let mut problem = Diagnostic::error("E-STEP-TYPE", place, message);
                problem.help = hint(values, takes).map(str::to_owned);
                self.found.add(problem);
                // Later steps are looked at as if this one were right.
                passed = takes;
            }
            let elements = match &step.op {
                Op::Each { steps } if depth < DEEPEST => {
                    let pointer = format!("{pointer}/{at}/steps");
                    self.steps(steps, &pointer, Flow::of(flow.elements), depth + 1).kinds
                }
                _ => flow.elements,
            };
            flow = made(&step.op, Flow { kinds: passed, elements }, &self.spec.tables);
            flow.kinds = flow.kinds.or(absence);
        }
        flow
    }

    /// Values that take the place of failures are written as they are.
    fn defaults_of_steps(&mut self, field: &FieldSpec, pointer: &str) {
        let wanted = field.target_type.unwrap_or(TargetType::Any);
        for (at, step) in field.steps.iter().enumerate() {
            match &step.error_default {
                Some(value) if !value.is_null() && !fits(&V::of(value), wanted) => {
                    let place = format!("{pointer}/steps/{at}/error_default");
                    self.error("E-DEFAULT", place, format!("the default is not of type `{wanted}`"));
                }
                None if step.on_error == Some(OnError::Default) && field.default.is_none() => {
                    let message = "`on_error` is `default`, and neither the step nor the rule has one";
                    let problem =
                        Diagnostic::error("E-DEFAULT", format!("{pointer}/steps/{at}/on_error"), message);
                    self.found.add(problem.with_help("add `error_default`, or `default` at the rule"));
                }
                _ => {}
            }
        }
    }

    fn target(&mut self, field: &FieldSpec, rule: Rule<'_>, kinds: Kinds, pointer: &str) {
        let Some(wanted) = field.target_type.filter(|wanted| *wanted != TargetType::Any) else { return };
        let mut is_said = false;
        for (place, value) in constants(field, rule, pointer) {
            if !value.is_null() && !fits(&V::of(value), wanted) {
                self.error("E-CONST", place, format!("the value is not of type `{wanted}`"));
                is_said = true;
            }
        }
        let values = kinds.values();
        if !is_said && !values.is_none() && !values.has(Kinds::wanted(wanted)) {
            let message = format!("the target is of type `{wanted}`, and the rule gives {values}");
            let mut problem = Diagnostic::error("E-TARGET-TYPE", format!("{pointer}/type"), message);
            problem.help = hint(values, Kinds::wanted(wanted)).map(str::to_owned);
            self.found.add(problem);
        }
    }

    /// Whether a required field can be without a value. Who says `"missing":"error"` knows.
    fn presence(&mut self, field: &FieldSpec, kinds: Kinds, pointer: &str) {
        if !field.required {
            return;
        }
        let unsaid = if field.default.is_some() { Policy::Default } else { Policy::Omit };
        let missing = field.missing.or(self.defaults.missing).unwrap_or(unsaid);
        let null = match field.null.or(self.defaults.null).unwrap_or(Policy::AsMissing) {
            Policy::AsMissing => missing,
            own => own,
        };
        let is_answered = |policy| match policy {
            Policy::Default => field.default.is_some(),
            Policy::Error => true,
            _ => false,
        };
        let what = match (kinds.has(Kinds::MISSING), kinds.has(Kinds::NULL)) {
            (true, _) if !is_answered(missing) => "be missing",
            (_, true) if !is_answered(null) => "be null",
            _ => return,
        };
        let never = kinds.values().is_none() && !kinds.has(Kinds::UNSAID);
        let place = format!("{pointer}/required");
        let problem = if never {
            Diagnostic::error("E-MAY-MISS", place, "the field is required, and its rule never has a value")
        } else if self.source.is_some() {
            Diagnostic::error("E-MAY-MISS", place, format!("the field is required, and its value can {what}"))
        } else {
            Diagnostic::warning(
                "W-MAY-MISS",
                place,
                format!("the field is required, and its value can {what}"),
            )
        };
        self.found.add(problem.with_help(
            "add `default`, or `else`; if the record shall then fail, say `\"missing\":\"error\"` or `\"null\":\"error\"`",
        ));
    }
}

/// Values of the document that a rule may write as they are, with their places.
fn constants<'v>(
    field: &'v FieldSpec,
    rule: Rule<'v>,
    pointer: &str,
) -> Vec<(String, &'v serde_json::Value)> {
    let of_cases = |cases: &'v [Case], pointer: String| {
        let mut values = Vec::new();
        for (at, case) in cases.iter().enumerate() {
            values.extend(case.value.iter().map(|value| (format!("{pointer}/cases/{at}/value"), value)));
            values.extend(case.otherwise.iter().map(|value| (format!("{pointer}/cases/{at}/else"), value)));
        }
        values
    };
    let Some((step, at)) = field.steps.last().map(|step| (step, field.steps.len() - 1)) else {
        return match rule {
            Rule::Const(value) => vec![(format!("{pointer}/const"), value)],
            Rule::Cases(cases) => of_cases(cases, pointer.to_owned()),
            _ => Vec::new(),
        };
    };
    let pointer = format!("{pointer}/steps/{at}");
    match &step.op {
        Op::Cases { cases } => of_cases(cases, pointer),
        Op::BoolMap { yes, no, way } if *way != Some(crate::mapping::spec::step::BoolWay::ToBoolean) => {
            let yes = yes.iter().map(|value| (format!("{pointer}/true"), value));
            yes.chain(no.iter().map(|value| (format!("{pointer}/false"), value))).collect()
        }
        Op::Table { default: Some(value), .. } => vec![(format!("{pointer}/default"), value)],
        Op::Default { value } => vec![(format!("{pointer}/value"), value)],
        _ => Vec::new(),
    }
}

/// What is known about none of several paths having a value.
fn all_absent(flows: &[Flow]) -> Kinds {
    if flows.iter().any(|flow| flow.kinds.absence().is_none()) {
        Kinds::NONE
    } else if flows.iter().any(|flow| flow.kinds.has(Kinds::UNSAID)) {
        Kinds::UNSAID
    } else {
        Kinds::MISSING
    }
}

fn of_leaf(kinds: &std::collections::BTreeSet<LeafKind>) -> Kinds {
    if kinds.is_empty() {
        return Kinds::VALUE;
    }
    kinds.iter().fold(Kinds::NONE, |all, kind| {
        all.or(match kind {
            LeafKind::Text => Kinds::TEXT,
            LeafKind::Integer | LeafKind::Number => Kinds::NUMBER,
            LeafKind::Boolean => Kinds::BOOL,
            LeafKind::List => Kinds::LIST,
            LeafKind::Object => Kinds::OBJECT,
        })
    })
}

fn hint(there: Kinds, wanted: Kinds) -> Option<&'static str> {
    if there == Kinds::NUMBER && wanted.has(Kinds::TEXT) {
        Some("a number becomes text by `string`")
    } else if there == Kinds::TEXT && wanted.has(Kinds::NUMBER) {
        Some("text becomes a number by `decimal` or `int`")
    } else if there == Kinds::TEXT && wanted.has(Kinds::BOOL) {
        Some("text becomes a boolean by `boolean` or `bool_map`")
    } else if there == Kinds::LIST && !wanted.has(Kinds::LIST) {
        Some("`first` takes one element of a list, `each` works on all, `join` makes one text of them")
    } else {
        None
    }
}

/// Deeper than any document that is read.
const DEEPEST: usize = 64;
