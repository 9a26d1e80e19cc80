//! Steps in one cell: `prefix text="SHOP-" | upper`.
//!
//! A step is its operation and its arguments, steps stand between bars. A value is JSON; a word of letters, digits and `_ - . % :` may stand
//! without quotes.

use serde_json::{Map, Value};

use crate::mapping::spec::step::Step;

/// Why a cell does not hold steps.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotSteps(String);

/// Steps as they stand in a cell.
pub(crate) fn write_steps(steps: &[Step]) -> String {
    steps.iter().map(write_step).collect::<Vec<_>>().join(" | ")
}

/// The steps in a cell.
pub(crate) fn read_steps(cell: &str) -> Result<Vec<Step>, NotSteps> {
    let mut steps = Vec::new();
    let mut rest = cell.trim();
    while !rest.is_empty() {
        let mut step = Map::new();
        let (op, after) = take_word(rest);
        if op.is_empty() {
            return Err(NotSteps(format!("expected an operation at `{}`", excerpt(rest))));
        }
        step.insert("op".to_owned(), Value::from(op));
        rest = after.trim_start();
        loop {
            if let Some(after) = rest.strip_prefix('|') {
                rest = after.trim_start();
                if rest.is_empty() {
                    return Err(NotSteps("nothing follows the last bar".to_owned()));
                }
                break;
            }
            if rest.is_empty() {
                break;
            }
            let (name, after) = take_word(rest);
            let Some(after) = after.strip_prefix('=').filter(|_| !name.is_empty()) else {
                return Err(NotSteps(format!(
                    "expected an argument such as `text=\"x\"` at `{}`",
                    excerpt(rest)
                )));
            };
            let (value, after) = take_value(after)?;
            if step.insert(name.to_owned(), value).is_some() {
                return Err(NotSteps(format!("`{name}` stands twice")));
            }
            rest = after.trim_start();
        }
        steps.push(serde_json::from_value(Value::Object(step)).map_err(|error| NotSteps(error.to_string()))?);
    }
    Ok(steps)
}

fn write_step(step: &Step) -> String {
    // A step is an object; one that cannot be written has an operation without arguments.
    let Ok(Value::Object(step)) = serde_json::to_value(step) else { return String::new() };
    let mut text = step.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, value) in step.iter().filter(|(name, _)| *name != "op") {
        text.push_str(&format!(" {name}={}", write_value(value)));
    }
    text
}

fn write_value(value: &Value) -> String {
    match value.as_str() {
        Some(word) if is_bare(word) => word.to_owned(),
        _ => value.to_string(),
    }
}

/// Whether a text is read as itself without quotes.
fn is_bare(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '%')
        && word.chars().all(is_of_word)
        && !matches!(word, "true" | "false" | "null")
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%' | ':')
}

fn take_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_of_word(c)).unwrap_or(text.len()))
}

fn take_value(text: &str) -> Result<(Value, &str), NotSteps> {
    let (word, after) = take_word(text);
    if is_bare(word) {
        return Ok((Value::from(word), after));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, &text[values.byte_offset()..])),
        _ => Err(NotSteps(format!("expected a value at `{}`", excerpt(text)))),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_in_a_cell_are_short() {
        let steps: Vec<Step> = serde_json::from_value(json!([
            {"op": "prefix", "text": "SHOP-"}, {"op": "scale10", "n": -2}, {"op": "date", "in": "rfc3339", "out": "%Y%m%d"},
            {"op": "bool_map", "true": "Y", "false": null}, {"op": "replace", "find": " | ", "with": ""}
        ]))
        .unwrap();

        let cell = write_steps(&steps);

        assert!(
            cell.starts_with("prefix text=SHOP- | scale10 n=-2 | date in=rfc3339 out=%Y%m%d | "),
            "{cell}"
        );
        assert_eq!(read_steps(&cell), Ok(steps));
    }

    #[test]
    fn what_is_wrong_with_a_cell_is_said() {
        for (cell, said) in [
            ("prefix text", "expected an argument such as `text=\"x\"` at `text`"),
            ("prefix text=", "expected a value at ``"),
            ("prefix text=a text=b", "`text` stands twice"),
            ("trim |", "nothing follows the last bar"),
            ("| trim", "expected an operation at `| trim`"),
        ] {
            assert_eq!(read_steps(cell).unwrap_err().to_string(), said);
        }
        assert!(read_steps("explode").unwrap_err().to_string().contains("unknown variant"));
    }

    proptest! {
        #[test]
        fn any_text_of_a_step_is_read_back(text in any::<String>(), find in "[|=\" a]{0,6}") {
            let steps: Vec<Step> = serde_json::from_value(json!([
                {"op": "prefix", "text": text}, {"op": "replace", "find": find, "with": text}, {"op": "trim"}
            ])).unwrap();

            prop_assert_eq!(read_steps(&write_steps(&steps)), Ok(steps));
        }

        #[test]
        fn any_cell_is_steps_or_an_error(cell in "[a-z=|\" 0-9{}]{0,30}") {
            if let Ok(steps) = read_steps(&cell) {
                prop_assert_eq!(read_steps(&write_steps(&steps)), Ok(steps));
            }
        }
    }
}
