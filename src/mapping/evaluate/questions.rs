//! Conditions.

use std::cmp::Ordering;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::run::Run;
use crate::mapping::evaluate::tracer::Tracer;
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::{Look, Question};
use crate::mapping::source::{Source, walk};

impl<'a, S: Source<'a>, T: Tracer> Run<'_, 'a, S, T> {
    pub(super) fn applies(&mut self, question: Option<&'a Question>) -> Result<bool, Failure> {
        question.map_or(Ok(true), |question| self.holds(question, None))
    }

    /// Whether a condition holds; `within` is the value that a step works on.
    pub(super) fn holds(&mut self, question: &'a Question, within: Option<&V<'a>>) -> Result<bool, Failure> {
        Ok(match question {
            Question::Present(look) => !self.look(look, within)?.is_absent(),
            Question::Absent(look) => self.look(look, within)?.is_absent(),
            Question::Equals(look, value) => self.read(look, within)?.equals(&V::of(value)),
            Question::Differs(look, value) => {
                let found = self.read(look, within)?;
                !matches!(found, V::Missing) && !found.equals(&V::of(value))
            }
            Question::Compares(look, number, comparison) => match self.read(look, within)? {
                V::Missing | V::Null => false,
                found => match found.compare_number(&V::Decimal(*number)) {
                    Some(order) => comparison.holds(order),
                    None => return Err(found.unexpected("a number")),
                },
            },
            Question::OneOf(look, values) => {
                let found = self.read(look, within)?;
                // Short values are compared with some others for what one step costs, long ones with one.
                self.spend(values.len() as u64 / 4)?;
                self.pay(found.weight(), values.len())?;
                values.iter().any(|value| found.equals(&V::of(value)))
            }
            Question::StartsWith(look, text) => match self.read(look, within)? {
                V::Missing | V::Null => false,
                found => found.text()?.starts_with(&**text),
            },
            Question::Contains(look, text) => match self.read(look, within)? {
                V::Missing | V::Null => false,
                found => found.text()?.contains(&**text),
            },
            Question::Intent(intent) => self.cx.intent == *intent,
            Question::All(questions) => {
                for question in questions {
                    if !self.holds(question, within)? {
                        return Ok(false);
                    }
                }
                true
            }
            Question::Any(questions) => {
                for question in questions {
                    if self.holds(question, within)? {
                        return Ok(true);
                    }
                }
                false
            }
            Question::Not(question) => !self.holds(question, within)?,
            Question::Expr(plan) => match self.expression(plan, None)? {
                V::Bool(truth) => truth,
                V::Missing | V::Null => false,
                other => return Err(other.unexpected("a boolean")),
            },
        })
    }

    /// What is about to be compared: to see whether something is there costs nothing more, to go through it does.
    fn read(&mut self, look: &'a Look, within: Option<&V<'a>>) -> Result<V<'a>, Failure> {
        let found = self.look(look, within)?;
        self.pay(found.weight(), 1)?;
        Ok(found)
    }

    fn look(&mut self, look: &'a Look, within: Option<&V<'a>>) -> Result<V<'a>, Failure> {
        self.spend(1)?;
        match (look, within) {
            (Look::Path(path), _) => self.fetch(*path),
            (Look::Within(segments), Some(value)) => {
                // What is looked for is found by going through all of it.
                self.pay(value.weight(), 1)?;
                walk::within(value, segments)
            }
            (Look::Within(_), None) => Ok(V::Missing),
        }
    }
}

/// The order of two values in a list that is sorted: texts by their characters, numbers by their size.
pub(super) fn order(left: &V<'_>, right: &V<'_>) -> Option<Ordering> {
    match (left, right) {
        (V::Text(a), V::Text(b)) => Some(a.cmp(b)),
        _ => left.compare_number(right),
    }
}
