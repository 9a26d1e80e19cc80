//! One condition of the document becomes a question of the plan.

use serde_json::Value;

use crate::mapping::decimal::Decimal;
use crate::mapping::diagnostic::Diagnostic;
use crate::mapping::path::Origin;
use crate::mapping::plan::compile::Compiler;
use crate::mapping::plan::{Comparison, Look, Question};
use crate::mapping::spec::condition::Condition;
use crate::mapping::spec::literal::DecimalText;

impl Compiler<'_> {
    /// Compiles a condition. With `within`, paths that begin at the element look into the value that the step works on.
    pub(super) fn question(
        &mut self,
        condition: &Condition,
        within: bool,
        pointer: &str,
    ) -> Option<Question> {
        if count(condition, self.limits.conditions) > self.limits.conditions {
            let most = self.limits.conditions;
            self.error("E-LIMIT", pointer, format!("more than {most} conditions"));
            return None;
        }
        self.inner_question(condition, within, pointer)
    }

    fn inner_question(&mut self, condition: &Condition, within: bool, pointer: &str) -> Option<Question> {
        let mut questions: Vec<Option<Question>> = Vec::new();
        if let Some(path) = &condition.present {
            questions.push(self.look(path, within, &format!("{pointer}/present")).map(Question::Present));
        }
        if let Some(path) = &condition.absent {
            questions.push(self.look(path, within, &format!("{pointer}/absent")).map(Question::Absent));
        }
        if let Some(path) = &condition.path {
            let before = questions.len();
            self.comparisons(condition, path, within, pointer, &mut questions);
            if questions.len() == before {
                self.found.add(
                    Diagnostic::error(
                        "E-CONDITION",
                        format!("{pointer}/path"),
                        "the value is compared with nothing",
                    )
                    .with_help("`present` asks whether there is one"),
                );
            }
        } else if has_comparison(condition) {
            self.found.add(
                Diagnostic::error("E-CONDITION", pointer, "a comparison needs a `path`")
                    .with_help("`@` is the element itself"),
            );
        }
        if let Some(intent) = condition.op {
            questions.push(Some(Question::Intent(intent)));
        }
        if !condition.all.is_empty() {
            let all = self.questions(&condition.all, within, &format!("{pointer}/all"));
            questions.push(all.map(Question::All));
        }
        if !condition.any.is_empty() {
            let any = self.questions(&condition.any, within, &format!("{pointer}/any"));
            questions.push(any.map(Question::Any));
        }
        if let Some(not) = &condition.not {
            let not = self.inner_question(not, within, &format!("{pointer}/not"));
            questions.push(not.map(|not| Question::Not(Box::new(not))));
        }
        match &condition.expr {
            Some(_) if within => {
                self.error(
                    "E-CONDITION",
                    &format!("{pointer}/expr"),
                    "expressions do not see the value of a step",
                );
            }
            Some(text) => {
                let plan = self.expression(text, None, &format!("{pointer}/expr"));
                questions.push(plan.map(|plan| Question::Expr(Box::new(plan))));
            }
            None => {}
        }
        if questions.is_empty()
            && !has_comparison(condition)
            && condition.path.is_none()
            && condition.expr.is_none()
        {
            self.error("E-CONDITION", pointer, "the condition asks nothing");
        }
        let mut questions = questions.into_iter().collect::<Option<Vec<_>>>()?;
        match questions.len() {
            1 => questions.pop(),
            _ => Some(Question::All(questions.into())),
        }
    }

    fn questions(
        &mut self,
        conditions: &[Condition],
        within: bool,
        pointer: &str,
    ) -> Option<Box<[Question]>> {
        let questions: Vec<_> = conditions
            .iter()
            .enumerate()
            .map(|(at, condition)| self.inner_question(condition, within, &format!("{pointer}/{at}")))
            .collect();
        questions.into_iter().collect()
    }

    fn comparisons(
        &mut self,
        condition: &Condition,
        path: &str,
        within: bool,
        pointer: &str,
        questions: &mut Vec<Option<Question>>,
    ) {
        let place = format!("{pointer}/path");
        for (key, value, question) in [
            ("eq", &condition.eq, Question::Equals as fn(Look, Value) -> Question),
            ("ne", &condition.ne, Question::Differs),
        ] {
            if let Some(value) = value {
                self.literal(value, &format!("{pointer}/{key}"));
                questions.push(self.look(path, within, &place).map(|look| question(look, value.clone())));
            }
        }
        for (key, number, comparison) in [
            ("gt", &condition.gt, Comparison::Greater),
            ("ge", &condition.ge, Comparison::GreaterOrEqual),
            ("lt", &condition.lt, Comparison::Less),
            ("le", &condition.le, Comparison::LessOrEqual),
        ] {
            if let Some(number) = number {
                let number = self.exact(number, &format!("{pointer}/{key}"));
                let look = self.look(path, within, &place);
                questions.push(
                    look.zip(number).map(|(look, number)| Question::Compares(look, number, comparison)),
                );
            }
        }
        if !condition.one_of.is_empty() {
            let look = self.look(path, within, &place);
            questions.push(look.map(|look| Question::OneOf(look, condition.one_of.clone().into())));
        }
        if let Some(text) = &condition.starts_with {
            let look = self.look(path, within, &place);
            questions.push(look.map(|look| Question::StartsWith(look, text.as_str().into())));
        }
        if let Some(text) = &condition.contains {
            let look = self.look(path, within, &place);
            questions.push(look.map(|look| Question::Contains(look, text.as_str().into())));
        }
    }

    fn look(&mut self, text: &str, within: bool, pointer: &str) -> Option<Look> {
        let path = self.source_path(text, pointer)?;
        if within && path.origin == Origin::Element {
            return Some(Look::Within(path.segments.into()));
        }
        self.value_of(path, None, pointer).map(Look::Path)
    }

    pub(super) fn exact(&mut self, number: &DecimalText, pointer: &str) -> Option<Decimal> {
        match number.as_str().parse() {
            Ok(number) => Some(number),
            Err(error) => {
                self.error("E-ARGUMENT", pointer, format!("`{number}`: {error}"));
                None
            }
        }
    }
}

fn has_comparison(condition: &Condition) -> bool {
    let Condition { eq, ne, gt, ge, lt, le, one_of, starts_with, contains, .. } = condition;
    eq.is_some()
        || ne.is_some()
        || [gt, ge, lt, le].into_iter().any(Option::is_some)
        || !one_of.is_empty()
        || starts_with.is_some()
        || contains.is_some()
}

/// How many conditions there are, with those inside; not counted further than one above the limit.
fn count(condition: &Condition, limit: usize) -> usize {
    let mut open = vec![condition];
    let mut counted = 0;
    while let Some(condition) = open.pop() {
        counted += 1;
        if counted > limit {
            break;
        }
        open.extend(condition.all.iter().chain(&condition.any));
        open.extend(condition.not.as_deref());
    }
    counted
}
