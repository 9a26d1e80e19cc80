//! One rule of the document becomes one of the plan.

use serde_json::Value;

use crate::mapping::diagnostic::Diagnostic;
use crate::mapping::path::TargetPath;
use crate::mapping::plan::compile::Compiler;
use crate::mapping::plan::output::Growing;
use crate::mapping::plan::{CasePlan, EachPlan, Kind, RulePlan, StepPlan, Then};
use crate::mapping::spec::field::{Case, Direction, FieldSpec, Rule, TargetType};
use crate::mapping::spec::policy::{OnError, Policy};

impl Compiler<'_> {
    /// The rules of the record, or of one `each`; `prefix` is the target path of the list they stand in.
    pub(super) fn fields(&mut self, fields: &[FieldSpec], pointer: &str, prefix: &str, out: &mut Growing) {
        for (at, field) in fields.iter().enumerate() {
            let pointer = format!("{pointer}/{at}");
            if field.direction == Some(Direction::Reverse) {
                continue;
            }
            if self.rules.len() >= self.limits.rules {
                let most = self.limits.rules;
                self.error("E-LIMIT", &pointer, format!("more than {most} rules"));
                return;
            }
            let target = match field.to.parse::<TargetPath>() {
                _ if !self.is_short(&field.to, &format!("{pointer}/to")) => None,
                Ok(target) if target.names.len() > self.limits.path_depth => {
                    let most = self.limits.path_depth;
                    self.error(
                        "E-LIMIT",
                        &format!("{pointer}/to"),
                        format!("the path has more than {most} parts"),
                    );
                    None
                }
                Ok(target) => Some(target),
                Err(error) => {
                    self.invalid_path(error, &format!("{pointer}/to"));
                    None
                }
            };
            let to = match prefix {
                "" => field.to.clone(),
                prefix => format!("{prefix}.{}", field.to),
            };
            let rule = self.rule(field, &pointer, &to);
            let (Some(target), Some(rule)) = (target, rule) else { continue };
            self.rules.push(rule);
            let index = (self.rules.len() - 1) as u32;
            if let Err(clash) = out.add(&target, index, &pointer) {
                let message = format!("the rule at {} {}", clash.with, clash.how);
                self.error("E-WRITERS", &format!("{pointer}/to"), message);
            }
        }
    }

    fn rule(&mut self, field: &FieldSpec, pointer: &str, to: &str) -> Option<RulePlan> {
        let kinds: Vec<Rule<'_>> = field.rules().collect();
        let kind = match kinds[..] {
            [rule] => self.kind(field, rule, pointer, to),
            [] => {
                let help = format!("one of {}", in_quotes(Rule::KINDS));
                self.found.add(
                    Diagnostic::error("E-KIND", pointer, "the rule does not say where its value comes from")
                        .with_help(help),
                );
                None
            }
            _ => {
                self.error("E-KIND", pointer, "the rule says more than once where its value comes from");
                None
            }
        };
        self.belongings(field, pointer);
        let when = field.when.as_ref().map(|when| self.question(when, false, &format!("{pointer}/when")));
        let steps = self.all_steps(&field.steps, pointer);
        let missing = field.missing.or(self.defaults.missing).unwrap_or(if field.default.is_some() {
            Policy::Default
        } else {
            Policy::Omit
        });
        let null = field.null.or(self.defaults.null).unwrap_or(Policy::AsMissing);
        let empty = field.empty_string.or(self.defaults.empty_string).unwrap_or(Policy::Keep);
        let on_error = field.on_error.or(self.defaults.on_error).unwrap_or(OnError::FailRecord);
        self.policies(field, pointer, [missing, null, empty], on_error);
        let target_type = field.target_type.unwrap_or(TargetType::Any);
        Some(RulePlan {
            to: to.into(),
            from: sources(field),
            kind: kind?,
            steps: steps?,
            when: when.map(|when| when.ok_or(())).transpose().ok()?,
            required: field.required,
            target_type,
            default: field.default.clone(),
            missing,
            null,
            empty,
            on_error,
        })
    }

    fn kind(&mut self, field: &FieldSpec, rule: Rule<'_>, pointer: &str, to: &str) -> Option<Kind> {
        let all_at = |this: &mut Self, key: &str, paths: &[String]| {
            let found = paths
                .iter()
                .enumerate()
                .map(|(at, path)| this.value_at(path, field.pick, &format!("{pointer}/{key}/{at}")));
            // Not stopped at the first that is wrong: all of them are reported.
            let found: Vec<_> = found.collect();
            found.into_iter().collect::<Option<Box<[_]>>>()
        };
        Some(match rule {
            Rule::From(path) => Kind::From(self.value_at(path, field.pick, &format!("{pointer}/from"))?),
            Rule::First(paths) => {
                self.not_empty(paths.len(), &format!("{pointer}/first"));
                Kind::First { paths: all_at(self, "first", paths)?, skip_empty: field.skip_empty }
            }
            Rule::Join(paths) => {
                self.not_empty(paths.len(), &format!("{pointer}/join"));
                Kind::Join {
                    paths: all_at(self, "join", paths)?,
                    sep: field.sep.as_deref().unwrap_or_default().into(),
                    skip_empty: field.skip_empty,
                }
            }
            Rule::Cases(cases) => Kind::Cases(self.cases(cases, false, &format!("{pointer}/cases"))?),
            Rule::Const(value) => {
                self.literal(value, &format!("{pointer}/const"));
                Kind::Const(value.clone())
            }
            Rule::Ctx(name) => {
                self.context_name(name, &format!("{pointer}/ctx"));
                Kind::Ctx(name.into())
            }
            Rule::Index(counter) => {
                if self.frames.len() == 1 {
                    self.error(
                        "E-KIND",
                        &format!("{pointer}/index"),
                        "only the rules of an `each` are counted",
                    );
                }
                Kind::Index { start: counter.start.unwrap_or(0), step: counter.step.unwrap_or(1) }
            }
            Rule::Each(path) => Kind::Each(Box::new(self.each(field, path, pointer, to)?)),
            Rule::Expr(text) => {
                let plan = self.expression(text, field.lang.as_deref(), &format!("{pointer}/expr"))?;
                Kind::Expr(Box::new(plan))
            }
        })
    }

    fn each(&mut self, field: &FieldSpec, path: &str, pointer: &str, to: &str) -> Option<EachPlan> {
        if self.frames.len() > self.limits.nesting {
            let most = self.limits.nesting;
            self.error(
                "E-LIMIT",
                &format!("{pointer}/each"),
                format!("`each` is nested more than {most} deep"),
            );
            return None;
        }
        if field.fields.is_empty() {
            self.found.add(
                Diagnostic::error("E-KIND", pointer, "an `each` needs rules for its elements")
                    .with_help("in `fields`; a list that is copied as it is needs `from` only"),
            );
        }
        if let (Some(min), Some(max)) = (field.min, field.max)
            && min > max
        {
            self.error("E-ARGUMENT", &format!("{pointer}/min"), "`min` is greater than `max`");
        }
        let rows = self.rows_at(path, field.pick, &format!("{pointer}/each"));
        // What stands inside is checked even if the path of the list is wrong.
        self.frames.push(rows.map_or(0, |(_, frame)| frame));
        let keep =
            field.keep.as_ref().map(|keep| self.question(&keep.when, false, &format!("{pointer}/keep/when")));
        let mut element = Growing::default();
        self.fields(&field.fields, &format!("{pointer}/fields"), to, &mut element);
        if let Some(key) = &field.key {
            self.source_path(&key.source, &format!("{pointer}/key/source"));
            if let Err(error) = key.target.parse::<TargetPath>() {
                self.invalid_path(error, &format!("{pointer}/key/target"));
            } else if !field.fields.iter().any(|inner| inner.to == key.target) {
                let known = field.fields.iter().map(|inner| inner.to.as_str());
                let problem = format!("no rule of this `each` writes `{}`", key.target);
                let found = Diagnostic::error("E-KEY-FIELD", format!("{pointer}/key/target"), problem);
                self.found.add(found.with_nearest(&key.target, known));
            }
        }
        self.frames.pop();
        let keep = keep.map(|keep| keep.ok_or(())).transpose().ok()?;
        let (list, _) = rows?;
        Some(EachPlan { list, keep, min: field.min, max: field.max, element: element.finish() })
    }

    /// Keys that mean something with another kind of rule only.
    fn belongings(&mut self, field: &FieldSpec, pointer: &str) {
        let is_each = field.each.is_some();
        for (key, said, fits, with) in [
            ("sep", field.sep.is_some(), field.join.is_some(), "join"),
            (
                "skip_empty",
                field.skip_empty,
                field.join.is_some() || field.first.is_some(),
                "join` and `first",
            ),
            ("keep", field.keep.is_some(), is_each, "each"),
            ("min", field.min.is_some(), is_each, "each"),
            ("max", field.max.is_some(), is_each, "each"),
            ("key", field.key.is_some(), is_each, "each"),
            ("fields", !field.fields.is_empty(), is_each, "each"),
            ("lang", field.lang.is_some(), field.expr.is_some(), "expr"),
        ] {
            if said && !fits {
                self.error("E-KIND", &format!("{pointer}/{key}"), format!("`{key}` goes with `{with}` only"));
            }
        }
        if is_each && !field.steps.is_empty() {
            self.error("E-KIND", &format!("{pointer}/steps"), "an `each` has no steps; its rules have");
        }
    }

    fn policies(&mut self, field: &FieldSpec, pointer: &str, policies: [Policy; 3], on_error: OnError) {
        for (key, policy, own) in [
            ("missing", policies[0], field.missing),
            ("null", policies[1], field.null),
            ("empty_string", policies[2], field.empty_string),
        ] {
            if own.is_some() {
                self.policy_fits(key, policy, &format!("{pointer}/{key}"));
            }
            if policy == Policy::Default && field.default.is_none() {
                let place = if own.is_some() { format!("{pointer}/{key}") } else { pointer.to_owned() };
                self.found.add(
                    Diagnostic::error(
                        "E-DEFAULT",
                        place,
                        format!("`{key}` is `default`, and the rule has none"),
                    )
                    .with_help("add `default`"),
                );
            }
        }
        let used = policies.contains(&Policy::Default) || on_error == OnError::Default;
        if on_error == OnError::Default && field.default.is_none() {
            let message = "`on_error` is `default`, and the rule has none";
            self.found.add(Diagnostic::error("E-DEFAULT", pointer, message).with_help("add `default`"));
        }
        if let Some(default) = &field.default {
            let place = format!("{pointer}/default");
            self.literal(default, &place);
            let is_asked = used || field.steps.iter().any(|step| step.on_error == Some(OnError::Default));
            if !is_asked {
                let message = "no policy of the rule says `default`";
                self.found.add(Diagnostic::warning("W-DEFAULT", place.clone(), message));
            }
            let wanted = field.target_type.unwrap_or(TargetType::Any);
            if !default.is_null()
                && !crate::mapping::evaluate::checks::fits(
                    &crate::mapping::evaluate::value::V::of(default),
                    wanted,
                )
            {
                self.error("E-DEFAULT", &place, format!("the default is not of type `{wanted}`"));
            }
        }
    }

    pub(super) fn policy_fits(&mut self, key: &str, policy: Policy, pointer: &str) {
        if key == "missing" && matches!(policy, Policy::Keep | Policy::AsMissing) {
            let message = format!("`{policy}` means nothing of what is missing");
            self.found.add(
                Diagnostic::error("E-ARGUMENT", pointer, message)
                    .with_help("`omit`, `null`, `default` or `error`"),
            );
        }
    }

    pub(super) fn cases(&mut self, cases: &[Case], within: bool, pointer: &str) -> Option<Box<[CasePlan]>> {
        self.not_empty(cases.len(), pointer);
        if cases.len() > self.limits.conditions {
            let most = self.limits.conditions;
            self.error("E-LIMIT", pointer, format!("more than {most} cases"));
            return None;
        }
        let mut plans = Vec::with_capacity(cases.len());
        let mut last = false;
        for (at, case) in cases.iter().enumerate() {
            let pointer = format!("{pointer}/{at}");
            if last {
                self.error("E-CASE", &pointer, "this case is never reached: `else` comes before it");
            }
            let earlier = cases[..at].iter().position(|other| case.when.is_some() && other.when == case.when);
            if let Some(earlier) = earlier.filter(|_| !last) {
                let message = format!("this case is never reached: case {earlier} asks the same");
                self.error("E-CASE", &format!("{pointer}/when"), message);
            }
            last |= case.otherwise.is_some();
            plans.push(self.case(case, within, &pointer));
        }
        plans.into_iter().collect()
    }

    fn case(&mut self, case: &Case, within: bool, pointer: &str) -> Option<CasePlan> {
        let results = usize::from(case.value.is_some())
            + usize::from(case.from.is_some())
            + usize::from(case.expr.is_some());
        if let Some(value) = &case.otherwise {
            if case.when.is_some() || results > 0 {
                self.error("E-CASE", pointer, "`else` stands alone");
            }
            self.literal(value, &format!("{pointer}/else"));
            return Some(CasePlan { when: None, then: Then::Value(value.clone()) });
        }
        let Some(when) = &case.when else {
            self.found.add(
                Diagnostic::error("E-CASE", pointer, "a case says `when`").with_help("or it is `else` alone"),
            );
            return None;
        };
        let when = self.question(when, within, &format!("{pointer}/when"));
        if results != 1 {
            self.error("E-CASE", pointer, "a case has one of `value`, `from` and `expr`");
            return None;
        }
        let then = match (&case.value, &case.from, &case.expr) {
            (Some(value), ..) => {
                self.literal(value, &format!("{pointer}/value"));
                Then::Value(value.clone())
            }
            (None, Some(path), _) => Then::Path(self.value_at(path, None, &format!("{pointer}/from"))?),
            (None, None, Some(text)) => {
                Then::Expr(Box::new(self.expression(text, None, &format!("{pointer}/expr"))?))
            }
            (None, None, None) => return None,
        };
        Some(CasePlan { when: Some(when?), then })
    }

    pub(super) fn not_empty(&mut self, count: usize, pointer: &str) {
        if count == 0 {
            self.error("E-ARGUMENT", pointer, "the list is empty");
        }
    }

    pub(super) fn context_name(&mut self, name: &str, pointer: &str) {
        self.used_context.insert(name.to_owned());
        if !self.spec.context.contains_key(name) {
            let known = self.spec.context.keys().map(String::as_str);
            let found = Diagnostic::error("E-CTX", pointer, format!("`{name}` is not declared"))
                .with_help("values of the host are declared in `context`")
                .with_nearest(name, known);
            self.found.add(found);
        }
    }

    /// A literal whose number has been changed by a reader is refused.
    pub(super) fn literal(&mut self, value: &Value, pointer: &str) {
        if let Value::Number(number) = value
            && number.is_f64()
            && number.to_string().bytes().filter(u8::is_ascii_digit).count() > 15
        {
            self.found.add(
                Diagnostic::error(
                    "E-LITERAL",
                    pointer,
                    "a number of more than 15 digits with decimals may have lost some",
                )
                .with_help("write it as a string, and `decimal` as a step"),
            );
        }
        if crate::mapping::evaluate::checks::is_deeper(value, self.limits.json_depth) {
            self.error("E-LIMIT", pointer, format!("nested more than {} deep", self.limits.json_depth));
        }
    }

    fn all_steps(
        &mut self,
        steps: &[crate::mapping::spec::step::Step],
        pointer: &str,
    ) -> Option<Box<[StepPlan]>> {
        if steps.is_empty() {
            return Some(Box::default());
        }
        let count = crate::mapping::plan::steps::count(steps, self.limits.steps);
        if count > self.limits.steps {
            let most = self.limits.steps;
            self.error("E-LIMIT", &format!("{pointer}/steps"), format!("more than {most} steps"));
            return None;
        }
        self.steps(steps, &format!("{pointer}/steps"))
    }
}

/// The source paths of a rule, as they are written.
fn sources(field: &FieldSpec) -> Box<[Box<str>]> {
    let one = field.from.iter().chain(&field.each);
    let many = field.first.iter().chain(&field.join).flatten();
    one.chain(many).map(|path| path.as_str().into()).collect()
}

fn in_quotes(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
