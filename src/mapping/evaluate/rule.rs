//! One rule: its value, its steps, its policies.

use std::borrow::Cow;

use serde_json::Value;

use crate::mapping::evaluate::checks::fits;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::run::{Failed, Run};
use crate::mapping::evaluate::tracer::{Ending, Tracer};
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::{Act, CasePlan, Kind, PathId, RulePlan, StepPlan, Then};
use crate::mapping::source::Source;
use crate::mapping::spec::policy::{OnError, Policy};

/// Why there is no value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Absence {
    Missing,
    Null,
    Empty,
}

impl<'a, S: Source<'a>, T: Tracer> Run<'_, 'a, S, T> {
    /// What the rule writes, if it writes anything. Put where it stays: to move values to and fro costs more than most rules.
    pub(super) fn value(
        &mut self,
        rule: &'a RulePlan,
        value: &mut V<'a>,
    ) -> Result<Option<Ending>, Failed<'a>> {
        match self.mapped(rule, value) {
            // Nothing is lost that is not said in the report: a rule with such a policy asks for its default.
            Err(failed) if !failed.failure.fatal => match self.instead(rule, &failed) {
                Some(default) => {
                    if T::ON {
                        self.tracer.instead(failed.failure.code);
                    }
                    *value = V::of(default);
                    Ok(Some(Ending::Defaulted))
                }
                None => Err(failed),
            },
            other => other,
        }
    }

    /// The default that takes the place of a failure, if the policy says so.
    fn instead(&self, rule: &'a RulePlan, failed: &Failed<'a>) -> Option<&'a Value> {
        let step = failed.step.and_then(|(step, _)| rule.steps.get(step));
        let policy = step.and_then(|step| step.on_error).unwrap_or(rule.on_error);
        match policy {
            OnError::Default => step.and_then(|step| step.default.as_ref()).or(rule.default.as_ref()),
            _ => None,
        }
    }

    fn mapped(&mut self, rule: &'a RulePlan, value: &mut V<'a>) -> Result<Option<Ending>, Failed<'a>> {
        let applies = self.spend(1).and_then(|()| self.applies(rule.when.as_ref()));
        match applies {
            Ok(true) => {}
            Ok(false) => {
                if T::ON {
                    self.tracer.end(Ending::NotAsked, None);
                }
                return Ok(None);
            }
            Err(failure) => return Err(Failed { failure, step: None, value: None }),
        }
        let origin = match &rule.kind {
            Kind::From(path) => self.fetch_into(*path, value),
            _ => self.origin(rule).map(|origin| *value = origin),
        };
        origin.map_err(|failure| Failed { failure, step: None, value: None })?;
        if T::ON {
            self.tracer.source(value);
        }
        let absence = match value {
            V::Null if !matches!(rule.null, Policy::Keep | Policy::Null) => Some(Absence::Null),
            V::Text(text) if text.is_empty() && rule.empty != Policy::Keep => Some(Absence::Empty),
            _ => None,
        };
        if absence.is_some() {
            *value = V::Missing;
        }
        for (at, step) in rule.steps.iter().enumerate() {
            self.step_at(at, step, value)?;
        }
        let absence = match value {
            V::Missing => absence.unwrap_or(Absence::Missing),
            V::Null => Absence::Null,
            V::Text(text) if text.is_empty() && rule.empty != Policy::Keep => Absence::Empty,
            _ => {
                return if fits(value, rule.target_type) {
                    Ok(Some(Ending::Mapped))
                } else {
                    let failure = Failure::new(
                        "E-TYPE",
                        format!(
                            "the target is of type `{}`, and the value is {}",
                            rule.target_type,
                            described(value)
                        ),
                    );
                    let value = std::mem::replace(value, V::Missing);
                    Err(Failed { failure, step: None, value: Some(Box::new(value)) })
                };
            }
        };
        self.absent(rule, absence, value)
    }

    /// What is written when there is no value.
    fn absent(
        &mut self,
        rule: &'a RulePlan,
        absence: Absence,
        value: &mut V<'a>,
    ) -> Result<Option<Ending>, Failed<'a>> {
        let policy = match absence {
            Absence::Missing => rule.missing,
            Absence::Null => rule.null,
            Absence::Empty => rule.empty,
        };
        let (policy, absence) =
            if policy == Policy::AsMissing { (rule.missing, Absence::Missing) } else { (policy, absence) };
        let failure = match (policy, &rule.default) {
            (Policy::Omit | Policy::AsMissing, _) if !rule.required => {
                if T::ON {
                    self.tracer.end(Ending::Omitted, None);
                }
                return Ok(None);
            }
            (Policy::Null | Policy::Keep, _) if !rule.required => {
                *value = V::Null;
                return Ok(Some(Ending::Mapped));
            }
            (Policy::Default, Some(default)) => {
                *value = V::of(default);
                return Ok(Some(Ending::Defaulted));
            }
            (Policy::Error, _) => match absence {
                Absence::Missing => Failure::new("E-MISSING", "there is no value"),
                Absence::Null => Failure::new("E-NULL", "the value is null"),
                Absence::Empty => Failure::new("E-EMPTY", "the text is empty"),
            },
            _ => Failure::new(
                "E-REQUIRED",
                match absence {
                    Absence::Missing => "the field is required, and there is no value",
                    Absence::Null => "the field is required, and the value is null",
                    Absence::Empty => "the field is required, and the text is empty",
                },
            ),
        };
        Err(Failed { failure, step: None, value: None })
    }

    fn step_at(&mut self, at: usize, step: &'a StepPlan, value: &mut V<'a>) -> Result<(), Failed<'a>> {
        let tells = T::ON || self.cx.excerpt != crate::mapping::error::Excerpt::Nothing;
        let before = if tells { Some(value.clone()) } else { None };
        let outcome = match self.spend(1) {
            Ok(()) => self.step(step, std::mem::replace(value, V::Missing)),
            Err(failure) => Err(failure),
        };
        if T::ON
            && let Some(before) = &before
        {
            self.tracer.step(step.name, before, outcome.as_ref().map_err(|failure| failure.code));
        }
        match outcome {
            Ok(after) => *value = after,
            Err(failure) => {
                let value = before.map(Box::new);
                return Err(Failed { failure, step: Some((at, step.name)), value });
            }
        }
        Ok(())
    }

    /// What a rule begins with.
    fn origin(&mut self, rule: &'a RulePlan) -> Result<V<'a>, Failure> {
        match &rule.kind {
            Kind::From(path) => self.fetch(*path),
            Kind::First { paths, skip_empty } => {
                for path in paths {
                    self.spend(1)?;
                    match self.fetch(*path)? {
                        V::Missing | V::Null => {}
                        V::Text(text) if text.is_empty() && *skip_empty => {}
                        found => return Ok(found),
                    }
                }
                Ok(V::Missing)
            }
            Kind::Join { paths, sep, skip_empty } => self.join(paths, sep, *skip_empty),
            Kind::Cases(cases) => Ok(self.first_case(cases, None)?.unwrap_or(V::Missing)),
            Kind::Const(value) => Ok(V::of(value)),
            Kind::Ctx(name) => self.context(name),
            Kind::Index { start, step } => {
                let number = i64::from(self.numbers.last().copied().unwrap_or(0));
                let number = step.checked_mul(number).and_then(|steps| start.checked_add(steps));
                number
                    .map(|number| V::Decimal(number.into()))
                    .ok_or_else(|| Failure::new("E-NUMBER", "the count overflows"))
            }
            Kind::Expr(plan) => {
                let rounding = match rule.steps.first().map(|step| &step.act) {
                    Some(Act::Round { scale, mode: Some(mode) }) => Some((*scale, *mode)),
                    _ => None,
                };
                self.expression(plan, rounding)
            }
            // Written by the loop over elements.
            Kind::Each(_) => Ok(V::Missing),
        }
    }

    fn join(&mut self, paths: &[PathId], sep: &str, skip_empty: bool) -> Result<V<'a>, Failure> {
        let mut joined = String::new();
        let (mut any, mut parts) = (false, 0);
        for path in paths {
            self.spend(1)?;
            let text = match self.fetch(*path)? {
                V::Missing | V::Null if skip_empty => continue,
                V::Missing | V::Null => Cow::Borrowed(""),
                found => {
                    any = true;
                    found.text_or_number()?
                }
            };
            if skip_empty && text.is_empty() {
                continue;
            }
            if joined.len() + sep.len() + text.len() > self.plan.limits.text_bytes {
                return Err(Failure::limit("the text is longer than texts may be"));
            }
            if parts > 0 {
                joined.push_str(sep);
            }
            joined.push_str(&text);
            parts += 1;
        }
        Ok(if any { V::owned_text(joined) } else { V::Missing })
    }

    /// The value of the first case that holds.
    pub(super) fn first_case(
        &mut self,
        cases: &'a [CasePlan],
        within: Option<&V<'a>>,
    ) -> Result<Option<V<'a>>, Failure> {
        for case in cases {
            self.spend(1)?;
            let holds = match &case.when {
                Some(when) => self.holds(when, within)?,
                None => true,
            };
            if holds {
                return match &case.then {
                    Then::Value(value) => Ok(Some(V::of(value))),
                    Then::Path(path) => self.fetch(*path).map(Some),
                    Then::Expr(plan) => self.expression(plan, None).map(Some),
                };
            }
        }
        Ok(None)
    }
}

fn described(value: &V<'_>) -> &'static str {
    match value {
        V::Number(_) | V::Decimal(_) if !fits(value, crate::mapping::spec::field::TargetType::Integer) => {
            "a number that is not written as a whole one"
        }
        other => other.kind(),
    }
}
