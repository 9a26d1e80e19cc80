//! What an expression sees of the record.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::run::Run;
use crate::mapping::evaluate::tracer::Tracer;
use crate::mapping::evaluate::value::V;
use crate::mapping::expression::{Budget, ExpressionError, Item, Number, Scope, ScopeError};
use crate::mapping::plan::ExprPlan;
use crate::mapping::rounding::Rounding;
use crate::mapping::source::Source;

impl<'a, S: Source<'a>, T: Tracer> Run<'_, 'a, S, T> {
    /// The value of an expression; with `rounding`, for a step that rounds right behind it, quotients may be without an end.
    pub(super) fn expression(
        &mut self,
        plan: &'a ExprPlan,
        rounding: Option<(u32, Rounding)>,
    ) -> Result<V<'a>, Failure> {
        let limits = &self.plan.limits;
        let budget = Budget::new(self.fuel, limits.output_bytes as u64, limits.text_bytes);
        let seen = Seen { run: self, plan };
        let item = match rounding {
            Some((scale, mode)) => plan.expression.evaluate_rounded(&seen, &budget, scale as i32, mode),
            None => plan.expression.evaluate(&seen, &budget),
        };
        self.fuel = budget.steps();
        item.map(of_item).map_err(Failure::from)
    }
}

/// A run, as an expression sees it.
struct Seen<'s, 'r, 'a, S: Source<'a>, T: Tracer> {
    run: &'s Run<'r, 'a, S, T>,
    plan: &'a ExprPlan,
}

impl<'a, S: Source<'a>, T: Tracer> Scope<'a> for Seen<'_, '_, 'a, S, T> {
    fn read(&self, read: usize) -> Result<(Item<'a>, usize), ScopeError> {
        let Some(paths) = self.plan.reads.get(read) else { return Ok((Item::Missing, 0)) };
        let all = paths.len() - 1;
        for (length, path) in paths.iter().enumerate().rev() {
            let mut found = V::Missing;
            self.run.fetch_into(*path, &mut found).map_err(of_failure)?;
            match found {
                V::Missing => {}
                found if length == all || found.is_list() => return Ok((item_of(found)?, length)),
                // An object or a scalar that does not lead further.
                _ => break,
            }
        }
        Ok((Item::Missing, all))
    }

    fn table(&self, table: usize, key: &str) -> Result<Item<'a>, ScopeError> {
        let Some(step) = self.plan.tables.get(table) else { return Ok(Item::Missing) };
        let found = self.run.look_up(step, V::owned_text(key.to_owned())).map_err(of_failure)?;
        item_of(found)
    }
}

fn of_failure(failure: Failure) -> ScopeError {
    ScopeError { code: failure.code, message: failure.message }
}

fn item_of(value: V<'_>) -> Result<Item<'_>, ScopeError> {
    let unreadable = || ScopeError { code: "E-INPUT", message: Cow::Borrowed("a value that cannot be read") };
    Ok(match value {
        V::Missing => Item::Missing,
        V::Null => Item::Null,
        V::Bool(truth) => Item::Bool(truth),
        V::Number(text) => Item::Number(Number::Text(text)),
        V::Decimal(number) => Item::Number(Number::Exact(number)),
        V::Text(text) => Item::Text(text),
        V::Raw(raw) => {
            let raw: &RawValue = serde_json::from_str(raw).map_err(|_| unreadable())?;
            Item::of_raw(raw).map_err(|_| unreadable())?
        }
        V::Node(node) => Item::of_value(node),
        // Sources give none of these.
        V::List(_) | V::Object(_) => return Err(unreadable()),
    })
}

fn of_item(item: Item<'_>) -> V<'_> {
    match item {
        Item::Missing => V::Missing,
        Item::Null => V::Null,
        Item::Bool(truth) => V::Bool(truth),
        Item::Number(Number::Text(text)) => V::Number(text),
        // Quotients without an end do not leave an evaluation.
        Item::Number(number) => number.exact().map_or(V::Missing, V::Decimal),
        Item::Text(text) => V::Text(text),
        Item::List(list) => V::List(list.items.into_iter().map(of_item).collect()),
        Item::Object(members) => {
            V::Object(members.into_iter().map(|(name, value)| (name, of_item(value))).collect())
        }
        Item::Raw(raw) => V::Raw(raw.get()),
        Item::Value(value) => V::Node(value),
    }
}

impl From<ExpressionError> for Failure {
    fn from(error: ExpressionError) -> Self {
        let span = error.span();
        let fatal = matches!(error.code(), "E-EXPR-FUEL" | "E-EXPR-SIZE");
        let message = format!("{} (bytes {} to {} of the expression)", error.message(), span.start, span.end);
        Self { code: error.code(), message: message.into(), fatal }
    }
}
