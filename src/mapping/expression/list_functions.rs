//! The functions on lists and objects.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use super::super::decimal::ArithmeticError;
use super::error::{ExpressionError, Span};
use super::evaluate::{At, Evaluation};
use super::functions::{Function, wrong_argument};
use super::item::{Item, List, NotOpened, Opened, sorted};
use super::json::{self, Numbers};
use super::number::Number;
use super::scope::Scope;

impl<'a, S: Scope<'a>> Evaluation<'_, S> {
    pub(super) fn on_list(
        &self,
        function: Function,
        first: Item<'a>,
        second: Item<'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        match function {
            Function::Append => return self.append(first, second, at),
            Function::Count => {
                let count = first.into_items(self.budget).at(at)?.len();
                return Ok(Item::Number(Number::Exact((count as u64).into())));
            }
            _ if first.is_missing() => return Ok(Item::Missing),
            Function::Distinct if !first.is_list() => return Ok(first),
            Function::Keys => return self.keys(first, at),
            Function::Lookup => {
                return match second.single() {
                    Item::Missing => Ok(Item::Missing),
                    Item::Text(name) => self.member(&first, &name, 0).at(at),
                    other => Err(wrong_argument(function, &other, "a text", at)),
                };
            }
            _ => {}
        }
        let gathered = matches!(&first, Item::List(list) if list.gathered);
        let mut items = first.into_items(self.budget).at(at)?;
        self.budget.members(items.len()).at(at)?;
        match function {
            Function::Sum | Function::Min | Function::Max | Function::Average => {
                self.fold(function, items, at)
            }
            Function::Reverse => {
                items.reverse();
                Ok(Item::List(List { items, gathered }))
            }
            Function::Distinct => {
                let mut seen = HashSet::new();
                let mut kept = Vec::new();
                for item in items {
                    let mut text = String::new();
                    json::write(self.copy(&item).at(at)?, Numbers::Canonical, self.budget, &mut text)
                        .at(at)?;
                    if seen.insert(text) {
                        kept.push(item);
                    }
                }
                Ok(Item::List(List { items: kept, gathered }))
            }
            Function::Sort => {
                self.sort(&mut items, at)?;
                Ok(Item::List(List { items, gathered }))
            }
            _ => self.merge(items, at),
        }
    }

    fn fold(&self, function: Function, items: Vec<Item<'a>>, at: Span) -> Result<Item<'a>, ExpressionError> {
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Item::Number(number) => numbers.push(number),
                other => return Err(wrong_argument(function, &other, "numbers", at)),
            }
        }
        let count = Number::Exact((numbers.len() as u64).into());
        let mut numbers = numbers.into_iter();
        if let Function::Min | Function::Max = function {
            let Some(mut best) = numbers.next() else { return Ok(Item::Missing) };
            let wanted = if function == Function::Min { Ordering::Less } else { Ordering::Greater };
            for number in numbers {
                if number.compare(&best).at(at)? == wanted {
                    best = number;
                }
            }
            return Ok(Item::Number(best));
        }
        if function == Function::Average && numbers.len() == 0 {
            return Ok(Item::Missing);
        }
        let start = Number::Exact(super::super::decimal::Decimal::ZERO);
        let sum = numbers.try_fold(start, |sum, number| sum.plus(&number)).at(at)?;
        let result = if function == Function::Sum { Ok(sum) } else { sum.divided_by(&count) };
        result.map(Item::Number).at(at)
    }

    fn append(&self, first: Item<'a>, second: Item<'a>, at: Span) -> Result<Item<'a>, ExpressionError> {
        if first.is_missing() {
            return Ok(second);
        }
        if second.is_missing() {
            return Ok(first);
        }
        let mut items = first.into_items(self.budget).at(at)?;
        let more = second.into_items(self.budget).at(at)?;
        self.budget.members(items.len() + more.len()).at(at)?;
        items.extend(more);
        Ok(Item::list(items))
    }

    /// Numbers or texts, by value; equal ones keep their order.
    fn sort(&self, items: &mut [Item<'a>], at: Span) -> Result<(), ExpressionError> {
        if items.iter().all(|item| matches!(item, Item::Text(_))) {
            let bytes: usize =
                items.iter().map(|item| if let Item::Text(text) = item { text.len() } else { 0 }).sum();
            self.budget.read(bytes).at(at)?;
            items.sort_by(|left, right| match (left, right) {
                (Item::Text(left), Item::Text(right)) => left.cmp(right),
                _ => Ordering::Equal,
            });
            return Ok(());
        }
        if let Some(other) = items.iter().find(|item| !matches!(item, Item::Number(_))) {
            return Err(wrong_argument(Function::Sort, other, "numbers only, or texts only", at));
        }
        // Quotients can be compared with some numbers and not with others: that is no order to sort by.
        let is_quotient = |item: &Item<'a>| matches!(item, Item::Number(Number::Quotient(_)));
        if items.len() > 1 && items.iter().any(is_quotient) {
            return Err(ExpressionError::arithmetic(at, ArithmeticError::Inexact));
        }
        let mut failed: Option<ArithmeticError> = None;
        items.sort_by(|left, right| match (left, right) {
            (Item::Number(left), Item::Number(right)) => left.compare(right).unwrap_or_else(|error| {
                failed = Some(error);
                Ordering::Equal
            }),
            _ => Ordering::Equal,
        });
        match failed {
            Some(error) => Err(ExpressionError::arithmetic(at, error)),
            None => Ok(()),
        }
    }

    /// The names of the members, in the order of the alphabet; of a list, those of all objects in it.
    fn keys(&self, value: Item<'a>, at: Span) -> Result<Item<'a>, ExpressionError> {
        let mut names = BTreeSet::new();
        self.gather_keys(value, &mut names, 0).at(at)?;
        self.budget.members(names.len()).at(at)?;
        Ok(Item::gathered(names.into_iter().map(Item::Text).collect()))
    }

    fn gather_keys(
        &self,
        value: Item<'a>,
        names: &mut BTreeSet<Cow<'a, str>>,
        depth: u32,
    ) -> Result<(), NotOpened> {
        if depth > json::DEEPEST {
            return Err(super::budget::Exhausted::Depth.into());
        }
        match value.open(self.budget)? {
            Opened::Object(members) => names.extend(members.into_iter().map(|(name, _)| name)),
            Opened::List(list) => {
                self.budget.spend(list.items.len() as u64)?;
                for item in list.items {
                    self.gather_keys(item, names, depth + 1)?;
                }
            }
            Opened::Single(_) => {}
        }
        Ok(())
    }

    /// One object of many: of two members with the same name, the later stays.
    fn merge(&self, items: Vec<Item<'a>>, at: Span) -> Result<Item<'a>, ExpressionError> {
        let mut all = Vec::new();
        for item in items {
            let kind = item.kind();
            match item.open(self.budget).at(at)? {
                Opened::Object(members) => {
                    self.budget.members(members.len()).at(at)?;
                    all.extend(members);
                }
                _ => {
                    let message = format!("`$merge` of {kind} where it takes objects");
                    return Err(ExpressionError::kind(at, message));
                }
            }
        }
        Ok(Item::Object(sorted(all)))
    }
}
