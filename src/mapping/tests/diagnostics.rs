//! What is wrong with documents: all of it at once, with place and suggestion.

use serde_json::{Value, json};

use crate::mapping::tests::document;
use crate::mapping::{BuiltinEngine, CompileEnv, Diagnostics, MappingEngine, MappingSpec};

fn found(document: &Value) -> Diagnostics {
    let text = document.to_string();
    match MappingSpec::parse(&text) {
        Err(found) => found,
        Ok(spec) => match BuiltinEngine.compile(&spec, &CompileEnv::default()) {
            Ok(mapping) => mapping.warnings().clone(),
            Err(found) => found.located(&text),
        },
    }
}

fn lines(found: &Diagnostics) -> Vec<String> {
    found.iter().map(|found| format!("{} {}", found.code, found.pointer)).collect()
}

#[test]
fn all_that_is_wrong_with_the_shape_is_said_at_once() {
    let text = r#"{"format":"mapping/2","id":7,"version":1,
        "fields":[{"to":"a","form":"x","steps":[{"op":"uper"},{"op":"pad","widht":3},"trim"]},{"from":"b","missing":"omitt"}],
        "fields2":[]}"#;
    let found = MappingSpec::parse(text).expect_err("much is wrong");

    let mut all: Vec<String> = found
        .iter()
        .map(|found| format!("{} {} {}", found.code, found.pointer, found.help.as_deref().unwrap_or("-")))
        .collect();
    all.sort();
    assert_eq!(
        all,
        [
            "E-KEY /fields/0/form did you mean `from`?",
            "E-KEY /fields/0/steps/1/widht did you mean `width`?",
            "E-KEY /fields2 did you mean `fields`?",
            "E-KEY-MISSING /fields/0/steps/1 -",
            "E-KEY-MISSING /fields/1 -",
            "E-OP /fields/0/steps/0/op did you mean `upper`?",
            "E-VALUE /fields/0/steps/2 -",
            "E-VALUE /id -",
            "E-WORD /fields/1/missing did you mean `omit`?",
            "E-WORD /format did you mean `mapping/1`?",
        ]
    );
    let form =
        found.iter().find(|found| found.pointer == "/fields/0/form").and_then(|found| found.span.clone());
    assert_eq!(form.and_then(|span| text.get(span)), Some("\"form\""));
}

#[test]
fn all_that_is_wrong_with_the_mapping_is_said_at_once() {
    let mut document = document(json!([
        {"to": "a..b", "from": "x[*]"},
        {"to": "a"},
        {"to": "b", "from": "x", "const": 1},
        {"to": "c.d", "from": "x"},
        {"to": "c", "from": "x"},
        {"to": "c.d", "from": "y"},
        {"to": "e", "from": "^.x"},
        {"to": "f", "from": "x", "steps": [{"op": "table", "name": "contry", "key": "a", "value": "b"}]},
        {"to": "g", "from": "x", "steps": [{"op": "table", "name": "country", "key": "iso3", "value": "iso2"}]},
        {"to": "h", "ctx": "warehose"},
        {"to": "i", "cases": [{"else": 1}, {"when": {"present": "x"}, "value": 2}]},
        {"to": "j", "from": "x", "steps": [{"op": "date", "in": "rfc3339", "out": "%Q"}, {"op": "unit", "from": "kg", "to": "m"}]},
        {"to": "k", "from": "x", "missing": "default"},
        {"to": "l", "from": "x", "type": "integer", "default": "none"},
        {"to": "m", "expr": "a ~> b"},
        {"to": "n", "from": "x", "when": {"path": "x"}}
    ]));
    document["tables"] =
        json!({"country": {"columns": ["iso2", "iso_3"], "rows": [["US", "USA"], ["US", "USB"]]}});
    document["context"] = json!({"warehouse": {}});
    let found = found(&document);

    assert_eq!(
        lines(&found),
        [
            "E-PATH /fields/0/to",
            "E-PATH /fields/0/from",
            "E-KIND /fields/1",
            "E-KIND /fields/2",
            "E-WRITERS /fields/4/to",
            "E-WRITERS /fields/5/to",
            "E-PATH /fields/6/from",
            "E-TABLE /fields/7/steps/0/name",
            "E-COLUMN /fields/8/steps/0/key",
            "E-CTX /fields/9/ctx",
            "E-CASE /fields/10/cases/1",
            "E-DATE /fields/11/steps/0/out",
            "E-UNIT /fields/11/steps/1/to",
            "E-DEFAULT /fields/12/missing",
            "E-DEFAULT /fields/13/default",
            "E-EXPR-REFUSED /fields/14/expr",
            "E-CONDITION /fields/15/when/path",
            "E-STEP-TYPE /fields/11/steps/1",
            "W-UNUSED /context/warehouse",
        ]
    );
    let help = |at: usize| found[at].help.as_deref();
    assert_eq!(help(7), Some("did you mean `country`?"));
    assert_eq!(help(8), Some("did you mean `iso2`?"));
    assert_eq!(help(9), Some("did you mean `warehouse`?"));
    let text = document.to_string();
    let star = found[1].span.clone().and_then(|span| text.get(span).map(str::to_owned));
    assert_eq!(star.as_deref(), Some("*"));
}

#[test]
fn keys_that_come_twice_and_texts_that_are_no_json_are_told_with_their_place() {
    let text = r#"{"format":"mapping/1","id":"m","version":1,"fields":[{"to":"a","to":"b","const":1}]}"#;
    let found = MappingSpec::parse(text).expect_err("a key comes twice");
    assert_eq!(lines(&found), ["E-KEY-TWICE /fields/0/to"]);
    assert_eq!(found[0].span, Some(63..67));

    let broken = MappingSpec::parse("{\n  \"format\": mapping\n}").expect_err("no JSON");
    assert_eq!(broken[0].code, "E-JSON");
    assert_eq!(broken[0].span, Some(14..15));
}

#[test]
fn schemas_tell_which_paths_there_are() {
    let source = json!({"type": "object", "properties": {
        "shipping_address": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": false},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}
    }});
    let target = json!({"type": "object", "required": ["id", "lines"], "properties": {
        "id": {"type": "string"}, "city": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}}
    }});
    let document = document(json!([
        {"to": "city", "from": "shiping_address.city", "type": "integer"},
        {"to": "town", "from": "shipping_address.city"},
        {"to": "lines", "each": "lines", "fields": [{"to": "sku", "from": "sku"}, {"to": "skus", "from": "skuu"}]}
    ]));
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let env = CompileEnv::default().with_source_schema(&source).with_target_schema(&target);

    let found = BuiltinEngine.compile(&spec, &env).expect_err("much does not fit");

    assert_eq!(
        lines(&found),
        [
            "E-SCHEMA-TARGET /fields/0/type",
            "E-SCHEMA-SOURCE /fields/0/from",
            "E-SCHEMA-TARGET /fields/1/to",
            "E-SCHEMA-TARGET /fields/2/fields/1/to",
            "E-SCHEMA-SOURCE /fields/2/fields/1/from",
            "E-SCHEMA-REQUIRED /fields",
        ]
    );
    assert_eq!(found[1].help.as_deref(), Some("did you mean `shipping_address.city`?"));
}

#[test]
fn every_code_is_documented_with_an_example() {
    let docs = include_str!("../../../docs/mapping_codes.md");
    let mut sources = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SLICE);
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the slice") {
            let path = entry.expect("an entry").path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                sources.push(std::fs::read_to_string(&path).expect("a file of the slice"));
            }
        }
    }
    assert!(sources.len() > 80, "{}", sources.len());
    let mut codes = std::collections::BTreeSet::new();
    for source in &sources {
        for quote in source.split("#[cfg(test)]").next().unwrap_or_default().split('"') {
            let is_code = (quote.starts_with("E-") || quote.starts_with("W-"))
                && quote.len() > 3
                && quote.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
            if is_code {
                codes.insert(quote);
            }
        }
    }
    assert!(codes.len() > 40, "{codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !docs.contains(&format!("| `{code}` |"))).collect();
    assert!(missing.is_empty(), "not documented: {missing:?}");
    for line in docs.lines().filter(|line| line.starts_with("| `")) {
        assert!(line.matches('`').count() >= 4, "without an example: {line}");
    }
}

const SLICE: &str = "src/mapping";
