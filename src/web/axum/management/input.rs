//! What is wrong with JSON that somebody has sent: which field, which rule, and what makes it right, but never what stood there.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::Problem;

/// A value, or the first thing that is wrong with it.
pub(super) fn read<'de, D, T>(deserializer: D) -> Result<T, Problem>
where
    D: serde::Deserializer<'de, Error = serde_json::Error>,
    T: DeserializeOwned,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        problem(&path, error.inner())
    })
}

/// What is wrong, in other words than the parser's: those repeat the value, and it may be a secret.
pub(super) fn problem(path: &str, error: &serde_json::Error) -> Problem {
    let path = if path == "." { "" } else { path };
    if error.classify() != Category::Data {
        let rule = format!("this is no JSON: line {}, column {}", error.line(), error.column());
        return Problem::new("body", rule, "send one JSON object");
    }
    let text = error.to_string();
    let text = match text.rfind(" at line ") {
        Some(end) => &text[..end],
        None => &text,
    };
    let quoted = |start: &str| text.strip_prefix(start)?.split_once('`').map(|(name, _)| name);
    if let Some(name) = quoted("unknown field `") {
        let fix = match expected(text) {
            Some(known) => format!("leave it out; known here: {known}"),
            None => "leave it out".to_owned(),
        };
        return Problem::new(below(path, name), "there is no such field", fix);
    }
    if let Some(name) = quoted("missing field `") {
        return Problem::new(below(path, name), "this field is needed", "give it");
    }
    if let Some(name) = quoted("duplicate field `") {
        return Problem::new(below(path, name), "a field stands once", "leave one of them out");
    }
    let field = named(path, "body");
    match expected(text) {
        Some(wanted) => Problem::new(field, format!("this is expected: {wanted}"), "send that"),
        // Said by a shape of this API, which knows not to repeat a value.
        None => Problem::new(field, text, "see the OpenAPI document"),
    }
}

/// What stands behind the last `expected`: before it stands what was sent.
fn expected(text: &str) -> Option<&str> {
    text.rfind(", expected ").map(|at| text[at + ", expected ".len()..].trim_start_matches("one of "))
}

fn named(path: &str, otherwise: &str) -> String {
    if path.is_empty() { otherwise.to_owned() } else { path.to_owned() }
}

/// The field in this place. Where the parser was already in it, the path names it.
fn below(path: &str, name: &str) -> String {
    // A name that was sent is as long as somebody liked.
    let name: String = name.chars().take(LONGEST_NAME).collect();
    let ends_in_it = path == name || path.strip_suffix(&*name).is_some_and(|rest| rest.ends_with('.'));
    match path {
        "" => name,
        _ if ends_in_it => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is looked at")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is looked at")]
    struct Inner {
        secret: u32,
    }

    fn told(text: &str) -> String {
        match read::<_, Outer>(&mut serde_json::Deserializer::from_str(text)) {
            Ok(_) => "fine".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_what_was_sent_is_not_repeated() {
        for (text, wanted) in [
            (r#"{"name":"x"}"#, "fine"),
            ("", "body: this is no JSON: line 1, column 0 (send one JSON object)"),
            ("{", "body: this is no JSON: line 1, column 1 (send one JSON object)"),
            ("[]", "body: this is expected: struct Outer with 3 elements (send that)"),
            ("{}", "name: this field is needed (give it)"),
            (r#"{"name":7}"#, "name: this is expected: a string (send that)"),
            (
                r#"{"name":"x","list":[1,"whsec_a, expected b"]}"#,
                "list[1]: this is expected: u32 (send that)",
            ),
            (
                r#"{"name":"x","inner":{"secret":"whsec_"}}"#,
                "inner.secret: this is expected: u32 (send that)",
            ),
            (
                r#"{"name":"x","inner":{"sceret":1}}"#,
                "inner.sceret: there is no such field (leave it out; known here: `secret`)",
            ),
            (r#"{"name":"x","name":"y"}"#, "name: a field stands once (leave one of them out)"),
            (
                r#"{"nmae":"x"}"#,
                "nmae: there is no such field (leave it out; known here: `name`, `inner`, `list`)",
            ),
        ] {
            assert_eq!(told(text), wanted, "{text}");
        }
    }
}
