//! The published JSONata suite: the cases that use only what mapping expressions have, on both kinds of source.

use std::collections::BTreeMap;
use std::error::Error;

use crossdock::mapping::{Expression, ExpressionError, compare_numbers};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::rule;

type Outcome = Result<(), Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    vec![rule("mapping_expressions::the_published_suite_agrees", published_suite)]
}

/// `tests/data/jsonata/cases.json` holds the cases of the suite without a refused construct; the counts are in the guide.
fn published_suite() -> Outcome {
    let suite: Value = serde_json::from_str(include_str!("../data/jsonata/cases.json"))?;
    let cases = suite["cases"].as_array().ok_or("the suite has cases")?;
    let mut differing = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases {
        let name = case["name"].as_str().ok_or("a case has a name")?;
        let listed = DIFFERENT.iter().find(|(listed, _)| *listed == name);
        match (verdict(&suite, case)?, listed) {
            (None, None) => {}
            (Some(_), Some((_, reason))) => *differing.entry(*reason).or_insert(0) += 1,
            (Some(difference), None) => wrong.push(format!("{name}: {difference}")),
            (None, Some(_)) => wrong.push(format!("{name}: listed as different, and is not")),
        }
    }
    let different: usize = differing.values().sum();
    eprintln!(
        "published JSONata suite: {} cases, {} within the subset, {} agree, {different} differ by design: {differing:?}",
        suite["in_suite"],
        cases.len(),
        cases.len() - different - wrong.len(),
    );
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    assert_eq!((cases.len(), different), (789, DIFFERENT.len()), "the guide's figures");
    Ok(())
}

/// How the outcome differs from the published one, if it does.
fn verdict(suite: &Value, case: &Value) -> Result<Option<String>, Box<dyn Error>> {
    let text = case["expr"].as_str().ok_or("a case has an expression")?;
    let data = match (case.get("data"), case["dataset"].as_str()) {
        (Some(data), _) => data,
        (None, Some(dataset)) => &suite["datasets"][dataset],
        (None, None) => &Value::Null,
    };
    let of_value = evaluate(text, |expression| expression.evaluate_value(data));
    let of_json = evaluate(text, |expression| {
        let json = expression.evaluate_json(&data.to_string())?;
        Ok(json.map(|json| serde_json::from_str(&json).unwrap_or(Value::Null)))
    });
    let alike = match (&of_value, &of_json) {
        (Ok(Some(left)), Ok(Some(right))) => same(left, right),
        (left, right) => left == right,
    };
    if !alike {
        return Err(format!("two sources of {text}: {of_value:?} and {of_json:?}").into());
    }
    if let Err(error) = &of_value
        && error.code() == "E-EXPR-REFUSED"
    {
        return Err(format!("{text} was part of the language: {error}").into());
    }
    let agrees = match (&of_value, case.get("code"), case.get("result")) {
        (Err(_), Some(_), _) | (Ok(None), None, None) => true,
        (Ok(Some(result)), None, Some(published)) => same(result, published),
        _ => false,
    };
    Ok((!agrees).then(|| format!("{text} gave {of_value:?}")))
}

fn evaluate(
    text: &str,
    run: impl FnOnce(&Expression) -> Result<Option<Value>, ExpressionError>,
) -> Result<Option<Value>, ExpressionError> {
    run(&Expression::parse(text)?)
}

/// Equal, with numbers as numbers, to the thirteen digits that are common to ours and to those of a program whose numbers are binary: it
/// has written the suite, and has `90.57000000000001` for what is 90.57.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let alike = |left: f64, right: f64| (left - right).abs() <= 1e-13 * left.abs().max(right.abs());
            left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| alike(left, right))
                || compare_numbers(&left.to_string(), &right.to_string()).is_some_and(|order| order.is_eq())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

/// What comes out of a list stays a list, of one element too.
const LIST: &str = "a list stays a list";
/// An unrounded quotient is an error; numbers have up to 37 digits and no exponent.
const EXACT: &str = "exact numbers";
/// No result depends on the order in which a source wrote its members.
const SORTED: &str = "names are sorted";
/// The suite evaluates on nothing at all; a mapping always has a record, here `null`.
const RECORD: &str = "there is a record";

/// The cases that differ by design, each with its reason; the same list is in `docs/mapping_expressions.md`.
const DIFFERENT: &[(&str, &str)] = &[
    ("array-constructor/array-sequences[2]", LIST),
    ("array-constructor/case013", LIST),
    ("comparison-operators/case021", LIST),
    ("comparison-operators/case022", LIST),
    ("conditionals/case006", LIST),
    ("fields/case002", LIST),
    ("fields/case006", LIST),
    ("flattening/case036", LIST),
    ("flattening/sequence-of-arrays[1]", LIST),
    ("function-keys/case003", LIST),
    ("inclusion-operator/case008", LIST),
    ("predicates/case001", LIST),
    ("function-keys/case001", SORTED),
    ("function-string/case001", EXACT),
    ("function-string/case002", EXACT),
    ("function-string/case003", EXACT),
    ("function-string/case005", EXACT),
    ("function-string/case007", EXACT),
    ("numeric-operators/case006", EXACT),
    ("numeric-operators/case007", EXACT),
    ("function-string/case022", RECORD),
    ("function-trim/case002", RECORD),
    ("transform/case022", RECORD),
];
