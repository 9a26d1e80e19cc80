//! The tree becomes a value. Total: every evaluation ends, with a value or an error, within its budget.

use std::borrow::Cow;

use super::budget::{Budget, Exhausted};
use super::error::{ExpressionError, Span, TEXT};
use super::item::{Item, NotOpened, Opened};
use super::json::NotWritten;
use super::number::Number;
use super::scope::{Scope, ScopeError};
use super::syntax::{Node, NodeKind, Operator};

/// What an evaluation works with.
pub(super) struct Evaluation<'e, S> {
    pub(super) scope: &'e S,
    pub(super) budget: &'e Budget,
    /// The names of the tables, for their errors.
    pub(super) tables: &'e [Box<str>],
}

/// What a predicate or a step is evaluated on; `None` outside of them.
pub(super) type Here<'h, 'a> = Option<&'h Item<'a>>;

impl<'a, S: Scope<'a>> Evaluation<'_, S> {
    pub(super) fn value(&self, node: &'a Node, here: Here<'_, 'a>) -> Result<Item<'a>, ExpressionError> {
        self.budget.spend(1).map_err(|exhausted| ExpressionError::exhausted(node.at, exhausted))?;
        match &node.kind {
            NodeKind::Null => Ok(Item::Null),
            NodeKind::Bool(bool) => Ok(Item::Bool(*bool)),
            NodeKind::Text(text) => Ok(Item::Text((&**text).into())),
            NodeKind::Number(number) => Ok(Item::Number(Number::Exact(*number))),
            NodeKind::Path(path) => self.path(path, here, node.at),
            NodeKind::Negate(operand) => match self.value(operand, here)?.single() {
                Item::Missing => Ok(Item::Missing),
                Item::Number(number) => number.negated().map(Item::Number).at(node.at),
                other => Err(ExpressionError::kind(node.at, format!("`-` before {}", other.kind()))
                    .with_help("`$number(…)` makes a number of a text")),
            },
            NodeKind::Binary(operator, sides) => self.binary(*operator, sides, here, node.at),
            NodeKind::Choice(sides, otherwise) => {
                let [condition, then] = &**sides;
                if self.is_true(condition, here)? {
                    return self.value(then, here);
                }
                match otherwise {
                    Some(otherwise) => self.value(otherwise, here),
                    None => Ok(Item::Missing),
                }
            }
            NodeKind::Elvis(sides) => {
                let [left, right] = &**sides;
                let value = self.value(left, here)?;
                if self.truth(&value).at(left.at)? { Ok(value) } else { self.value(right, here) }
            }
            NodeKind::Coalesce(sides) => {
                let [left, right] = &**sides;
                let value = self.value(left, here)?;
                if value.is_missing() { self.value(right, here) } else { Ok(value) }
            }
            NodeKind::List(members) => self.list(members, here, node.at),
            NodeKind::Object(members) => {
                let mut object: Vec<(Cow<'a, str>, Item<'a>)> = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let value = self.value(member, here)?;
                    if !value.is_missing() {
                        object.push((Cow::Borrowed(name), value));
                    }
                }
                self.budget.members(object.len()).at(node.at)?;
                // The names differ: the parser has seen to that.
                object.sort_by(|(left, _), (right, _)| left.cmp(right));
                Ok(Item::Object(object))
            }
            NodeKind::Call(function, arguments) => self.call(*function, arguments, here, node.at),
            NodeKind::Table(table, key) => self.look_up(*table, key, here, node.at),
        }
    }

    /// A list as it is written: a list in it is laid out, unless it is written as a list too.
    fn list(&self, members: &'a [Node], here: Here<'_, 'a>, at: Span) -> Result<Item<'a>, ExpressionError> {
        let mut items = Vec::with_capacity(members.len());
        for member in members {
            let value = self.value(member, here)?;
            if value.is_missing() {
                continue;
            }
            if value.is_list() && !matches!(member.kind, NodeKind::List(_)) {
                items.extend(value.into_items(self.budget).at(member.at)?);
            } else {
                items.push(value);
            }
        }
        self.budget.members(items.len()).at(at)?;
        Ok(Item::list(items))
    }

    fn binary(
        &self,
        operator: Operator,
        sides: &'a [Node; 2],
        here: Here<'_, 'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let [left, right] = sides;
        match operator {
            Operator::And => return Ok(Item::Bool(self.is_true(left, here)? && self.is_true(right, here)?)),
            Operator::Or => return Ok(Item::Bool(self.is_true(left, here)? || self.is_true(right, here)?)),
            _ => {}
        }
        let left = self.value(left, here)?;
        let right = self.value(right, here)?;
        match operator {
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => self.calculate(operator, left, right, at),
            Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast => {
                self.order(operator, left, right, at)
            }
            Operator::In => self.is_in(left, right, at),
            Operator::Concatenate => self.concatenate(left, right, at),
            Operator::Equal | Operator::Unequal => {
                if left.is_missing() || right.is_missing() {
                    return Ok(Item::Bool(false));
                }
                let equal = self.equal(left, right, 0).at(at)?;
                Ok(Item::Bool(equal == (operator == Operator::Equal)))
            }
            // Already decided.
            Operator::And | Operator::Or => Ok(Item::Missing),
        }
    }

    fn is_true(&self, node: &'a Node, here: Here<'_, 'a>) -> Result<bool, ExpressionError> {
        let value = self.value(node, here)?;
        self.truth(&value).at(node.at)
    }

    /// Whether JSONata takes the value for true: not nothing, null, zero, an empty text or object, or a list without anything true.
    pub(super) fn truth(&self, item: &Item<'a>) -> Result<bool, NotOpened> {
        self.truth_at(item, 0)
    }

    fn truth_at(&self, item: &Item<'a>, depth: u32) -> Result<bool, NotOpened> {
        if depth > super::json::DEEPEST {
            return Err(Exhausted::Depth.into());
        }
        let any = |items: &[Item<'a>]| -> Result<bool, NotOpened> {
            self.budget.spend(items.len() as u64)?;
            for item in items {
                if self.truth_at(item, depth + 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok(match item {
            Item::Missing | Item::Null => false,
            Item::Bool(bool) => *bool,
            Item::Number(number) => !number.is_zero(),
            Item::Text(text) => !text.is_empty(),
            Item::List(list) => any(&list.items)?,
            Item::Object(members) => !members.is_empty(),
            Item::Raw(_) | Item::Value(_) => match item.clone().open(self.budget)? {
                Opened::Single(_) => false,
                Opened::List(list) => any(&list.items)?,
                Opened::Object(members) => !members.is_empty(),
            },
        })
    }

    fn look_up(
        &self,
        table: usize,
        key: &'a Node,
        here: Here<'_, 'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let answer = match self.value(key, here)?.single() {
            Item::Missing => return Ok(Item::Missing),
            Item::Text(text) => self.scope.table(table, &text),
            Item::Number(number) => self.scope.table(table, &number.canonical().at(key.at)?),
            Item::Bool(bool) => self.scope.table(table, if bool { "true" } else { "false" }),
            other => {
                let message = format!("{} as the key of a table", other.kind());
                return Err(ExpressionError::kind(key.at, message));
            }
        };
        answer.map_err(|error| {
            let name = self.tables.get(table).map_or("", |name| name);
            ExpressionError::new(error.code, at, format!("table `{name}`: {}", error.message))
        })
    }

    /// A copy of a value, paid for.
    pub(super) fn copy(&self, item: &Item<'a>) -> Result<Item<'a>, Exhausted> {
        self.pay(item)?;
        Ok(item.clone())
    }

    fn pay(&self, item: &Item<'a>) -> Result<(), Exhausted> {
        match item {
            Item::Text(Cow::Owned(text)) => self.budget.text(text.len()),
            Item::List(list) => {
                self.budget.members(list.items.len())?;
                list.items.iter().try_for_each(|item| self.pay(item))
            }
            Item::Object(members) => {
                self.budget.members(members.len())?;
                members.iter().try_for_each(|(_, item)| self.pay(item))
            }
            _ => Ok(()),
        }
    }
}

/// Says where an error happened.
pub(super) trait At<T> {
    fn at(self, at: Span) -> Result<T, ExpressionError>;
}

impl<T, E: Happened> At<T> for Result<T, E> {
    fn at(self, at: Span) -> Result<T, ExpressionError> {
        self.map_err(|error| error.happened(at))
    }
}

pub(super) trait Happened {
    fn happened(self, at: Span) -> ExpressionError;
}

impl Happened for super::super::decimal::ArithmeticError {
    fn happened(self, at: Span) -> ExpressionError {
        ExpressionError::arithmetic(at, self)
    }
}

impl Happened for Exhausted {
    fn happened(self, at: Span) -> ExpressionError {
        ExpressionError::exhausted(at, self)
    }
}

impl Happened for NotOpened {
    fn happened(self, at: Span) -> ExpressionError {
        match self {
            Self::Exhausted(exhausted) => exhausted.happened(at),
            Self::Unreadable => ExpressionError::new(TEXT, at, "a text with half a character"),
        }
    }
}

impl Happened for NotWritten {
    fn happened(self, at: Span) -> ExpressionError {
        match self {
            Self::NotOpened(error) => error.happened(at),
            Self::Arithmetic(error) => error.happened(at),
        }
    }
}

impl Happened for ScopeError {
    fn happened(self, at: Span) -> ExpressionError {
        ExpressionError::new(self.code, at, self.message)
    }
}
