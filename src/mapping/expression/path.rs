//! Paths: a name on a list is looked up in each element, and what comes out of a list stays a list.

use super::super::rounding::Rounding;
use super::budget::Exhausted;
use super::error::{ExpressionError, Span};
use super::evaluate::{At, Evaluation, Here};
use super::item::{Item, List, NotOpened};
use super::json::DEEPEST;
use super::number::Number;
use super::raw;
use super::scope::Scope;
use super::syntax::{NodeKind, Path, Predicate, Start, Step, StepKind};

impl<'a, S: Scope<'a>> Evaluation<'_, S> {
    pub(super) fn path(
        &self,
        path: &'a Path,
        here: Here<'_, 'a>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let mut steps = path.steps.as_slice();
        let mut current = match &path.start {
            Start::Read(read) => {
                let (item, followed) = self.scope.read(*read).at(at)?;
                // Whatever is done with it goes through its text at least once.
                match &item {
                    Item::Raw(raw) => self.budget.read(raw.get().len()).at(at)?,
                    Item::Number(Number::Text(text)) if text.len() >= LONG_NUMBER => {
                        self.budget.read(text.len()).at(at)?;
                    }
                    _ => {}
                }
                // Mostly that was all.
                if followed == steps.len()
                    && path.predicates.is_empty()
                    && steps.last().is_none_or(|step| step.predicates.is_empty())
                {
                    return Ok(item);
                }
                if let Some((last, rest)) = steps.split_at_checked(followed) {
                    steps = rest;
                    // The names before the last have no predicates: a read ends where they begin.
                    match last.last() {
                        Some(step) => self.filtered(item, &step.predicates, at)?,
                        None => item,
                    }
                } else {
                    item
                }
            }
            // A name on what is here needs no copy of it.
            Start::Here => match (here, steps.split_first()) {
                (Some(here), Some((Step { kind: StepKind::Name(name), predicates }, rest)))
                    if path.predicates.is_empty() && !here.is_list() =>
                {
                    steps = rest;
                    let item = self.member(here, name, 0).at(at)?;
                    self.filtered(item, predicates, at)?
                }
                (Some(here), _) => self.copy(here).at(at)?,
                (None, _) => Item::Missing,
            },
            Start::Node(node) => self.value(node, here)?,
        };
        current = self.filtered(current, &path.predicates, at)?;
        if path.bare
            && steps.len() == path.steps.len()
            && current.is_list()
            && let Some((first, rest)) = steps.split_first()
        {
            steps = rest;
            current = self.step_on(&current, first, at)?;
            current = self.filtered(current, &first.predicates, at)?;
        }
        for (index, step) in steps.iter().enumerate() {
            if current.is_missing() {
                return Ok(current);
            }
            current = self.step(current, step, index + 1 == steps.len(), at)?;
        }
        Ok(current)
    }

    fn step(
        &self,
        current: Item<'a>,
        step: &'a Step,
        last: bool,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        if !current.is_list() {
            let value = self.step_on(&current, step, at)?;
            return self.filtered(value, &step.predicates, at);
        }
        let items = current.into_items(self.budget).at(at)?;
        // At the end of a path, a list that is written out is one result per element.
        let whole =
            last && matches!(&step.kind, StepKind::Node(node) if matches!(node.kind, NodeKind::List(_)));
        let mut results = Vec::new();
        let mut found = 0_usize;
        let mut gathered = true;
        for item in &items {
            self.budget.spend(1).at(at)?;
            let value = self.step_on(item, step, at)?;
            let value = self.filtered(value, &step.predicates, at)?;
            if value.is_missing() {
                continue;
            }
            found += 1;
            if value.is_list() && !whole {
                gathered = found > 1 || matches!(&value, Item::List(list) if list.gathered);
                let members = value.into_items(self.budget).at(at)?;
                self.budget.members(members.len()).at(at)?;
                results.extend(members);
            } else {
                gathered = true;
                self.budget.members(1).at(at)?;
                results.push(value);
            }
        }
        Ok(if found == 0 { Item::Missing } else { Item::List(List { items: results, gathered }) })
    }

    fn step_on(&self, item: &Item<'a>, step: &'a Step, at: Span) -> Result<Item<'a>, ExpressionError> {
        match &step.kind {
            StepKind::Name(name) => self.member(item, name, 0).at(at),
            StepKind::Node(node) => self.value(node, Some(item)),
        }
    }

    /// The member of this name: of an object, or of each object in a list.
    pub(super) fn member(&self, item: &Item<'a>, name: &str, depth: u32) -> Result<Item<'a>, NotOpened> {
        if depth > DEEPEST {
            return Err(Exhausted::Depth.into());
        }
        self.budget.spend(1)?;
        match item {
            Item::Object(members) => match members.binary_search_by(|(known, _)| (**known).cmp(name)) {
                Ok(at) => Ok(self.copy(&members[at].1)?),
                Err(_) => Ok(Item::Missing),
            },
            Item::Value(serde_json::Value::Object(members)) => {
                Ok(members.get(name).map_or(Item::Missing, Item::of_value))
            }
            Item::Raw(raw) if raw.get().starts_with('{') => {
                self.budget.read(raw.get().len())?;
                Ok(raw::member(raw, name)?)
            }
            Item::List(list) => self.members(&list.items, name, depth),
            list if list.is_list() => self.members(&list.clone().into_items(self.budget)?, name, depth),
            _ => Ok(Item::Missing),
        }
    }

    fn members(&self, items: &[Item<'a>], name: &str, depth: u32) -> Result<Item<'a>, NotOpened> {
        let mut results = Vec::new();
        for item in items {
            let value = self.member(item, name, depth + 1)?;
            if value.is_list() {
                results.extend(value.into_items(self.budget)?);
            } else if !value.is_missing() {
                results.push(value);
            }
        }
        self.budget.members(results.len())?;
        Ok(Item::gathered(results))
    }

    fn filtered(
        &self,
        mut item: Item<'a>,
        predicates: &'a [Predicate],
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        for predicate in predicates {
            item = self.filter(item, predicate, at)?;
        }
        Ok(item)
    }

    fn filter(
        &self,
        item: Item<'a>,
        predicate: &'a Predicate,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let many = item.is_list();
        let mut items = item.into_items(self.budget).at(at)?;
        let node = match predicate {
            Predicate::At(place) => {
                return Ok(match position(*place, items.len()) {
                    Some(place) => items.swap_remove(place),
                    None => Item::Missing,
                });
            }
            Predicate::Where(node) => node,
        };
        let count = items.len();
        let mut kept = Vec::new();
        let mut by_place = true;
        for (index, item) in items.into_iter().enumerate() {
            let answer = self.value(node, Some(&item))?.single();
            let places = self.places(&answer, count).at(node.at)?;
            let keep = match &places {
                Some(places) => places.iter().filter(|&&place| place == index).count(),
                None => usize::from(self.truth(&answer).at(node.at)?),
            };
            by_place &= matches!(answer, Item::Number(_));
            self.budget.members(keep).at(at)?;
            for _ in 1..keep {
                kept.push(self.copy(&item).at(at)?);
            }
            if keep > 0 {
                kept.push(item);
            }
        }
        // One place gives one element; a condition gives those that meet it.
        if (!many || by_place) && kept.len() <= 1 {
            return Ok(kept.pop().unwrap_or_default());
        }
        Ok(Item::gathered(kept))
    }

    /// The places that a predicate names, if it gave a number or a list of numbers.
    fn places(&self, answer: &Item<'a>, count: usize) -> Result<Option<Vec<usize>>, NotOpened> {
        let place = |item: &Item<'a>| match item {
            Item::Number(number) => {
                let whole = number.rounded(0, Rounding::Floor).ok().and_then(|number| number.whole());
                Some(
                    whole
                        .and_then(|place| i64::try_from(place).ok())
                        .and_then(|place| position(place, count)),
                )
            }
            _ => None,
        };
        match answer {
            Item::Number(_) => Ok(Some(place(answer).flatten().into_iter().collect())),
            list if list.is_list() => {
                let items = self.copy(list)?.into_items(self.budget)?;
                self.budget.spend(items.len() as u64)?;
                let places: Option<Vec<_>> = items.iter().map(place).collect();
                Ok(places.map(|places| places.into_iter().flatten().collect()))
            }
            _ => Ok(None),
        }
    }
}

/// Numbers of fewer characters cost no more than the step on them.
const LONG_NUMBER: usize = 64;

/// The place in a list of this length; below zero it counts from the end.
fn position(place: i64, count: usize) -> Option<usize> {
    let place = if place < 0 { place.checked_add(i64::try_from(count).ok()?)? } else { place };
    usize::try_from(place).ok().filter(|&place| place < count)
}
