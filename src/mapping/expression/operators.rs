//! What the operators mean.

use std::cmp::Ordering;

use super::budget::Exhausted;
use super::error::{ExpressionError, Span};
use super::evaluate::{At, Evaluation};
use super::item::{Item, NotOpened, Opened};
use super::json::{self, DEEPEST, NotWritten, Numbers};
use super::scope::Scope;
use super::syntax::Operator;

impl<'a, S: Scope<'a>> Evaluation<'_, S> {
    pub(super) fn calculate(
        &self,
        operator: Operator,
        left: Item<'a>,
        right: Item<'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let (left, right) = match (left.single(), right.single()) {
            (Item::Number(left), Item::Number(right)) => (left, right),
            (Item::Missing, Item::Missing | Item::Number(_)) | (Item::Number(_), Item::Missing) => {
                return Ok(Item::Missing);
            }
            (left, right) => {
                let (side, wrong) = match left {
                    Item::Number(_) | Item::Missing => ("right", right),
                    left => ("left", left),
                };
                let message = format!("{} on the {side} of `{}`", wrong.kind(), operator.sign());
                let error = ExpressionError::kind(at, message);
                return Err(match wrong {
                    Item::Text(_) => {
                        error.with_help("`$number(…)` makes a number of a text, `&` joins texts")
                    }
                    _ => error.with_help("both sides must be numbers"),
                });
            }
        };
        let result = match operator {
            Operator::Add => left.plus(&right),
            Operator::Subtract => left.minus(&right),
            Operator::Multiply => left.times(&right),
            Operator::Divide => left.divided_by(&right),
            _ => left.remainder(&right),
        };
        result.map(Item::Number).at(at)
    }

    pub(super) fn order(
        &self,
        operator: Operator,
        left: Item<'a>,
        right: Item<'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let comparable = |item: &Item<'_>| matches!(item, Item::Missing | Item::Number(_) | Item::Text(_));
        let (left, right) = (left.single(), right.single());
        let order = match (&left, &right) {
            (Item::Number(left), Item::Number(right)) => left.compare(right).at(at)?,
            (Item::Text(left), Item::Text(right)) => {
                self.budget.read(left.len().min(right.len())).at(at)?;
                left.cmp(right)
            }
            (Item::Missing, other) | (other, Item::Missing) if comparable(other) => return Ok(Item::Missing),
            _ => {
                let message = format!(
                    "{} and {} cannot be ordered by `{}`",
                    left.kind(),
                    right.kind(),
                    operator.sign()
                );
                return Err(
                    ExpressionError::kind(at, message).with_help("both sides must be numbers, or both texts")
                );
            }
        };
        Ok(Item::Bool(match operator {
            Operator::Less => order == Ordering::Less,
            Operator::AtMost => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }

    /// Whether the value is one of a list. Lists and objects never are, as in JSONata.
    pub(super) fn is_in(
        &self,
        left: Item<'a>,
        right: Item<'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let left = left.single();
        if left.is_missing() {
            return Ok(Item::Bool(false));
        }
        let items = right.into_items(self.budget).at(at)?;
        for item in items {
            self.budget.spend(1).at(at)?;
            if self.same(&left, &item).at(at)? == Some(true) {
                return Ok(Item::Bool(true));
            }
        }
        Ok(Item::Bool(false))
    }

    pub(super) fn concatenate(
        &self,
        left: Item<'a>,
        right: Item<'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let left = self.written(left).at(at)?;
        let right = self.written(right).at(at)?;
        self.budget.text(left.len() + right.len()).at(at)?;
        let mut text = String::with_capacity(left.len() + right.len());
        text.push_str(&left);
        text.push_str(&right);
        Ok(Item::text(text))
    }

    /// The text of a value, as `&` and `$string` see it; nothing is an empty text.
    pub(super) fn written(&self, item: Item<'a>) -> Result<std::borrow::Cow<'a, str>, NotWritten> {
        match item.single() {
            Item::Missing => Ok("".into()),
            Item::Text(text) => Ok(text),
            other => {
                let mut text = String::new();
                json::write(other, Numbers::Canonical, self.budget, &mut text)?;
                Ok(text.into())
            }
        }
    }

    pub(super) fn equal(&self, left: Item<'a>, right: Item<'a>, depth: u32) -> Result<bool, NotOpened> {
        if depth > DEEPEST {
            return Err(Exhausted::Depth.into());
        }
        self.budget.spend(1)?;
        let (left, right) = if depth == 0 { (left.single(), right.single()) } else { (left, right) };
        if let Some(same) = self.same(&left, &right)? {
            return Ok(same);
        }
        match (left.open(self.budget)?, right.open(self.budget)?) {
            (Opened::List(left), Opened::List(right)) => {
                if left.items.len() != right.items.len() {
                    return Ok(false);
                }
                for (left, right) in left.items.into_iter().zip(right.items) {
                    if !self.equal(left, right, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Opened::Object(left), Opened::Object(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                // Both are sorted by name.
                for ((name, left), (other, right)) in left.into_iter().zip(right) {
                    if name != other || !self.equal(left, right, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether two scalars are the same; `None` if neither is one.
    fn same(&self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>, NotOpened> {
        Ok(Some(match (left, right) {
            (Item::Missing, Item::Missing) | (Item::Null, Item::Null) => true,
            (Item::Bool(left), Item::Bool(right)) => left == right,
            // What cannot be compared, because it is too long, is not equal.
            (Item::Number(left), Item::Number(right)) => left.compare(right).is_ok_and(Ordering::is_eq),
            (Item::Text(left), Item::Text(right)) => {
                self.budget.read(left.len().min(right.len()))?;
                left == right
            }
            (
                Item::List(_) | Item::Object(_) | Item::Raw(_) | Item::Value(_),
                Item::List(_) | Item::Object(_) | Item::Raw(_) | Item::Value(_),
            ) => return Ok(None),
            _ => false,
        }))
    }
}
