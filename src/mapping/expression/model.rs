//! What a host, or the plan of a mapping, does with an expression.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::limits::Limits;
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
        Self::parse_within(text, &Limits::default())
    }

    /// The expression, if it is no larger than these limits.
    pub(crate) fn parse_within(text: &str, limits: &Limits) -> Result<Self, ExpressionError> {
        let Parsed { root, reads, tables } = parse(text, limits)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scope::Base;
    use super::*;

    fn result(text: &str, json: &str) -> String {
        let outcome = Expression::parse(text).and_then(|expression| expression.evaluate_json(json));
        match outcome {
            Ok(Some(json)) => json,
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("{} {:?}", error.code(), text.get(error.span())),
        }
    }

    const ORDER: &str = r#"{
        "id": 450789469123456789, "long": 0.1234567890123456789012345678901234567890123456789, "u64": 18446744073709551615,
        "total": "59.97", "nil": null, "odd name": "here", "empty": [],
        "customer": {"name": "Ada", "tags": ["b", "a", "b"]},
        "lines": [{"sku": "A", "price": 19.99, "quantity": 3}, {"sku": "B", "price": 0.1, "quantity": 2, "gift": true}],
        "one": [{"sku": "C", "price": 7}]
    }"#;

    #[test]
    fn numbers_are_exact_and_pass_unchanged() {
        for (text, expected) in [
            ("id", "450789469123456789"),
            ("id + 1", "450789469123456790"),
            ("u64", "18446744073709551615"),
            ("u64 + 1", "18446744073709551616"),
            ("long", "0.1234567890123456789012345678901234567890123456789"),
            ("long + 1", r#"E-EXPR-NUMBER Some("long + 1")"#),
            ("long = long", "true"),
            ("long < 0.2", "true"),
            ("0.1 + 0.2", "0.3"),
            ("1.10 * 3", "3.3"),
            ("lines[0].price * 100", "1999"),
            ("7 / 2", "3.5"),
            ("1 / 3 * 3", "1"),
            ("1 / 3", r#"E-EXPR-INEXACT Some("1 / 3")"#),
            ("$round(1 / 3, 4)", "0.3333"),
            ("$round(2.5) + $round(3.5)", "6"),
            ("$round(1234, -2)", "1200"),
            ("$floor(-7 / 2) & $ceil(-7 / 2)", r#""-4-3""#),
            ("[1 / 3]", r#"E-EXPR-INEXACT Some("[1 / 3]")"#),
            ("1 / 0", r#"E-EXPR-ZERO Some("1 / 0")"#),
            ("7.5 % 2", "1.5"),
            ("$number(total) * 2", "119.94"),
            ("total * 2", r#"E-EXPR-TYPE Some("total * 2")"#),
            ("1 / 3 < 2 / 3", "true"),
            ("$average([1, 2])", "1.5"),
            ("$round($average([1, 1, 2]), 2)", "1.33"),
        ] {
            assert_eq!(result(text, ORDER), expected, "{text}");
        }
    }

    #[test]
    fn what_comes_out_of_a_list_stays_a_list() {
        for (text, expected) in [
            ("lines.sku", r#"["A","B"]"#),
            ("one.sku", r#"["C"]"#),
            ("lines[sku = 'A'].price", "[19.99]"),
            ("lines[sku = 'A'].price * 2", "39.98"),
            ("lines.price * 2", r#"E-EXPR-TYPE Some("lines.price * 2")"#),
            ("lines[0].sku", r#""A""#),
            ("lines[-1].sku", r#""B""#),
            ("lines[5].sku", "nothing"),
            ("lines[$count($$.lines) - 1].sku", r#""B""#),
            ("lines[price > 100]", "nothing"),
            ("lines[gift].sku", r#"["B"]"#),
            ("customer.name", r#""Ada""#),
            ("customer.tags", r#"["b","a","b"]"#),
            ("lines.(sku & ': ' & price)", r#"["A: 19.99","B: 0.1"]"#),
            ("lines.{\"k\": sku, \"none\": none}", r#"[{"k":"A"},{"k":"B"}]"#),
            ("lines.[sku, price]", r#"[["A",19.99],["B",0.1]]"#),
            ("$sum(lines.(price * quantity))", "60.17"),
            ("empty", "[]"),
            ("empty.x", "nothing"),
            ("[lines.sku, 'C', [1]]", r#"["A","B","C",[1]]"#),
            ("`odd name`", r#""here""#),
        ] {
            assert_eq!(result(text, ORDER), expected, "{text}");
        }
    }

    #[test]
    fn nothing_and_null_are_two_things() {
        for (text, expected) in [
            ("none", "nothing"),
            ("nil", "null"),
            ("none.x.y", "nothing"),
            ("nil.x", "nothing"),
            ("none ?? 1", "1"),
            ("nil ?? 1", "null"),
            ("nil ?: 1", "1"),
            ("none + 1", "nothing"),
            ("none & 'x'", r#""x""#),
            ("none = none", "false"),
            ("nil = null", "true"),
            ("none < 1", "nothing"),
            ("nil < 1", r#"E-EXPR-TYPE Some("nil < 1")"#),
            ("$exists(nil) and $not($exists(none))", "true"),
            ("none ? 1", "nothing"),
            ("{\"a\": none, \"b\": nil}", r#"{"b":null}"#),
        ] {
            assert_eq!(result(text, ORDER), expected, "{text}");
        }
    }

    #[test]
    fn no_result_depends_on_the_order_of_members() {
        for (text, expected) in [
            ("$keys(customer)", r#"["name","tags"]"#),
            ("$string({\"b\": 1, \"a\": 2})", r#""{\"a\":2,\"b\":1}""#),
            ("$merge([{\"b\": 1}, {\"a\": 2, \"b\": 3}])", r#"{"a":2,"b":3}"#),
            ("{\"b\": 1, \"a\": 2} = {\"a\": 2, \"b\": 1}", "true"),
            ("$distinct([1, 1.0, 10e-1, '1'])", r#"[1,"1"]"#),
            ("$lookup(customer, 'name')", r#""Ada""#),
        ] {
            assert_eq!(result(text, ORDER), expected, "{text}");
        }
        assert_eq!(result("a", r#"{"a": 1, "a": 2}"#), "2");
    }

    #[test]
    fn nothing_grows_beyond_its_limit() {
        for text in [
            "$pad('x', 2000000)",
            "$pad('x', -9999999999999999999)",
            "$replace($pad('x', 1000000, 'x'), 'x', 'yy')",
            "[1,2,3,4,5,6,7,8,9].$pad('', 1000000).$pad('', 1000001) & $pad('', 1000002) & $pad('', 1000003)",
            "$join([$pad('', 1000000), $pad('', 1000000)])",
        ] {
            assert!(result(text, "{}").starts_with("E-EXPR-SIZE"), "{text}");
        }
        let rows = format!("[{}]", vec!["1"; 400].join(","));
        for text in ["$.($$.($$.($$)))", "$[$count($$[$count($$[$ in $$]) > 0]) > 0]"] {
            let outcome = result(text, &rows);
            assert!(
                outcome.starts_with("E-EXPR-SIZE") || outcome.starts_with("E-EXPR-FUEL"),
                "{text}: {outcome}"
            );
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(result("$string($) = $string($)", &deep), "true");
    }

    #[test]
    fn a_scope_brings_parents_and_tables() -> Result<(), ExpressionError> {
        struct Row;
        impl<'a> Scope<'a> for Row {
            fn read(&self, read: usize) -> Result<(Item<'a>, usize), ScopeError> {
                // The only read is `^.rate`.
                assert_eq!(read, 0);
                Ok((Item::Number(Number::Exact(2_u32.into())), 1))
            }

            fn table(&self, table: usize, key: &str) -> Result<Item<'a>, ScopeError> {
                match (table, key) {
                    (0, "2") => Ok(Item::text("two".to_owned())),
                    _ => Err(ScopeError { code: "E-TABLE-MISS", message: "no row".into() }),
                }
            }
        }
        let known = Expression::parse("$table('words', ^.rate)")?;
        let unknown = Expression::parse("1 & $table('words', ^.rate + 1)")?;

        let found = known.evaluate(&Row, &Budget::default())?;
        let missed = unknown.evaluate(&Row, &Budget::default()).map(|_| ());

        assert_eq!(known.reads(), [Read { base: Base::Parent(1), names: vec!["rate".into()] }]);
        assert_eq!(known.tables(), ["words".into()]);
        assert!(matches!(found, Item::Text(text) if text == "two"));
        assert_eq!(missed.map_err(|error| (error.code(), error.span())), Err(("E-TABLE-MISS", 4..31)));
        Ok(())
    }

    #[test]
    fn a_step_behind_the_expression_may_round() -> Result<(), ExpressionError> {
        let third = Expression::parse("1 / 3")?;
        let scope = On { expression: &third, element: None };

        let rounded = third.evaluate_rounded(&scope, &Budget::default(), 2, Rounding::HalfUp)?;

        assert!(matches!(rounded, Item::Number(Number::Exact(number)) if number.to_string() == "0.33"));
        Ok(())
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("c".to_owned()), ".{0,4}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e6..1e6_f64).prop_map(Value::from),
            "[a-c1-3. \\\\\"é😀]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((name.clone(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Mostly expressions that parse: operands between operators, and calls around them.
    fn any_expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(
            &[
                "a", "b", "c", "a.b", "b.c.a", "$", "$$", "$$.a", "a[0]", "a[-1]", "b[a]", "a[b > 1]", "1",
                "0.5", "'1'", "'a'", "null", "true", "none", "^.a", "$.a.b", "[1, 2]", "{'k': a}",
            ][..],
        );
        leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
            let operator = prop::sample::select(
                &[
                    "+", "-", "*", "/", "%", "&", "=", "!=", "<", ">=", " in ", " and ", " or ", "??", "?:",
                    ".",
                ][..],
            );
            let function = prop::sample::select(super::super::functions::NAMES);
            prop_oneof![
                (inner.clone(), operator, inner.clone())
                    .prop_map(|(a, operator, b)| format!("({a}){operator}({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(a, b, c)| format!("{a} ? {b} : {c}")),
                (function, proptest::collection::vec(inner, 0..4))
                    .prop_map(|(name, arguments)| format!("${name}({})", arguments.join(", "))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn both_sources_give_the_same(text in any_expression(), value in any_json()) {
            let Ok(expression) = Expression::parse(&text) else { return Ok(()) };

            let of_value = expression.evaluate_value(&value);
            let of_json = expression.evaluate_json(&value.to_string());

            let of_json = of_json.map(|json| json.map(|json| serde_json::from_str::<Value>(&json)));
            match (of_value, of_json) {
                (Ok(None), Ok(None)) => {}
                (Ok(Some(left)), Ok(Some(Ok(right)))) => prop_assert_eq!(left, right, "{}", text),
                (Err(left), Err(right)) => prop_assert_eq!(left, right, "{}", text),
                (left, right) => prop_assert!(false, "{text}: {left:?} and {right:?}"),
            }
        }
    }
}
