//! What a host, or the plan of a mapping, does with an expression.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::rounding::Rounding;
use super::budget::{Budget, Exhausted};
use super::error::{ExpressionError, Span};
use super::evaluate::{At, Evaluation};
use super::item::Item;
use super::json::{self, Numbers};
use super::number::Number;
use super::parser::parse;
use super::scope::{Read, Scope, ScopeError};
use super::syntax::{Node, Parsed};

/// An expression that was checked and can be evaluated any number of times, from any thread.
///
/// The language is a bounded part of JSONata, on exact decimals: every evaluation ends, within limits, and gives the same result
/// for the same record. Inside a mapping it stands in a rule, as `{"to": …, "expr": …}`, and also reads tables and the elements
/// around its own; here it is evaluated on one value.
///
/// ```
/// use crossdock::mapping::Expression;
///
/// let total = Expression::parse("$round($sum(lines.(price * quantity)) * 1.19, 2)")?;
/// let order = r#"{"lines": [{"price": 19.99, "quantity": 3}, {"price": 0.1, "quantity": 2}]}"#;
///
/// assert_eq!(total.evaluate_json(order)?.as_deref(), Some("71.6"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Expression {
    text: Box<str>,
    root: Node,
    reads: Vec<Read>,
    tables: Vec<Box<str>>,
}

impl Expression {
    /// The expression that is written here.
    ///
    /// # Errors
    /// The first thing that is wrong, or not part of mapping expressions, with its place and what to write instead.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let Parsed { root, reads, tables } = parse(text)?;
        Ok(Self { text: text.into(), root, reads, tables })
    }

    /// The result on a JSON text, as a JSON text; `None` if nothing is there. Numbers are exact, at any length if they only pass.
    ///
    /// # Errors
    /// What went wrong, and at which part of the expression; also if the text is not JSON.
    pub fn evaluate_json(&self, json: &str) -> Result<Option<String>, ExpressionError> {
        let whole = Span::new(0, self.text.len());
        let raw: &RawValue = serde_json::from_str(json)
            .map_err(|_| ExpressionError::new("E-EXPR-INPUT", whole, "the input is not JSON"))?;
        let budget = Budget::default();
        let item = self.evaluate(&On { expression: self, element: Item::of_raw(raw).ok() }, &budget)?;
        if item.is_missing() {
            return Ok(None);
        }
        let mut out = String::new();
        json::write(item, Numbers::AsWritten, &budget, &mut out).at(whole)?;
        Ok(Some(out))
    }

    /// The result on a value; `None` if nothing is there. A number that a `Value` cannot hold exactly becomes the nearest one
    /// that it can; [`Expression::evaluate_json`] keeps it.
    ///
    /// # Errors
    /// What went wrong, and at which part of the expression.
    pub fn evaluate_value(&self, element: &Value) -> Result<Option<Value>, ExpressionError> {
        let whole = Span::new(0, self.text.len());
        let budget = Budget::default();
        let item =
            self.evaluate(&On { expression: self, element: Some(Item::of_value(element)) }, &budget)?;
        if item.is_missing() {
            return Ok(None);
        }
        let mut out = String::new();
        json::write(item, Numbers::AsWritten, &budget, &mut out).at(whole)?;
        serde_json::from_str(&out).map(Some).map_err(|_| Exhausted::Depth).at(whole)
    }

    /// The paths that are read, in the order of their numbers in [`Scope::read`].
    pub(crate) fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The names of the tables, in the order of their numbers in [`Scope::table`].
    pub(crate) fn tables(&self) -> &[Box<str>] {
        &self.tables
    }

    /// The value; an unrounded quotient anywhere in it is an error.
    pub(crate) fn evaluate<'a, S: Scope<'a>>(
        &'a self,
        scope: &S,
        budget: &Budget,
    ) -> Result<Item<'a>, ExpressionError> {
        let item = self.run(scope, budget)?;
        self.check(&item)?;
        Ok(item)
    }

    /// The value, rounded if it is a number: for a step `round` right behind the expression, which makes any division exact.
    pub(crate) fn evaluate_rounded<'a, S: Scope<'a>>(
        &'a self,
        scope: &S,
        budget: &Budget,
        places: i32,
        rounding: Rounding,
    ) -> Result<Item<'a>, ExpressionError> {
        match self.run(scope, budget)?.single() {
            Item::Number(number) => {
                let number = number.rounded(places, rounding).at(self.root.at)?;
                Ok(Item::Number(Number::Exact(number)))
            }
            other => {
                self.check(&other)?;
                Ok(other)
            }
        }
    }

    fn run<'a, S: Scope<'a>>(&'a self, scope: &S, budget: &Budget) -> Result<Item<'a>, ExpressionError> {
        Evaluation { scope, budget, tables: &self.tables }.value(&self.root, None)
    }

    fn check(&self, item: &Item<'_>) -> Result<(), ExpressionError> {
        match item {
            Item::Number(number @ Number::Quotient(_)) => number.exact().map(|_| ()).at(self.root.at),
            Item::List(list) => list.items.iter().try_for_each(|item| self.check(item)),
            Item::Object(members) => members.iter().try_for_each(|(_, item)| self.check(item)),
            _ => Ok(()),
        }
    }
}

/// One value as the whole record.
struct On<'a> {
    expression: &'a Expression,
    element: Option<Item<'a>>,
}

impl<'a> Scope<'a> for On<'a> {
    fn read(&self, read: usize) -> Result<(Item<'a>, usize), ScopeError> {
        use super::scope::Base;
        let item = match self.expression.reads.get(read).map(|read| read.base) {
            Some(Base::Element | Base::Root) => self.element.clone().unwrap_or_default(),
            _ => Item::Missing,
        };
        Ok((item, 0))
    }

    fn table(&self, _: usize, _: &str) -> Result<Item<'a>, ScopeError> {
        Err(ScopeError { code: "E-EXPR-TABLE", message: Cow::Borrowed("there are tables in a mapping only") })
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}
