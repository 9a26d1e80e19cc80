//! What can never be right is found before a record is.

use serde_json::{Value, json};

use crate::mapping::tests::document;
use crate::mapping::{BuiltinEngine, CompileEnv, Diagnostics, MappingEngine, MappingSpec};

fn found_in(document: &Value, schema: Option<&Value>) -> Diagnostics {
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let env = CompileEnv::default();
    let env = schema.map_or(env, |schema| env.with_source_schema(schema));
    match BuiltinEngine.compile(&spec, &env) {
        Ok(mapping) => mapping.warnings().clone(),
        Err(found) => found,
    }
}

fn lines(found: &Diagnostics) -> Vec<String> {
    found.iter().map(|found| format!("{} {}", found.code, found.pointer)).collect()
}

/// What is found in one rule, without the place of the rule.
fn of_rule(rule: Value) -> Vec<String> {
    let mut document = document(json!([rule]));
    document["tables"] = json!({"t": {"columns": ["a", "n"], "rows": [["x", 1], ["y", 2]]}});
    lines(&found_in(&document, None))
        .into_iter()
        .filter(|line| !line.starts_with("W-UNUSED"))
        .map(|line| line.replace("/fields/0", ""))
        .collect()
}

#[test]
fn a_step_that_no_value_passes_is_found() {
    for (rule, expected) in [
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "int"}, {"op": "upper"}]}),
            vec!["E-STEP-TYPE /steps/1"],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "int"}, {"op": "string"}, {"op": "upper"}]}),
            vec![],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "trim"}, {"op": "round", "scale": 2}]}),
            vec!["E-STEP-TYPE /steps/1"],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "split", "on": ","}, {"op": "trim"}]}),
            vec!["E-STEP-TYPE /steps/1"],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "split", "on": ","}, {"op": "each", "steps": [{"op": "decimal"}, {"op": "trim"}]}]}),
            vec!["E-STEP-TYPE /steps/1/steps/1"],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "split", "on": ","}, {"op": "first"}, {"op": "neg"}]}),
            vec!["E-STEP-TYPE /steps/2"],
        ),
        (json!({"to": "a", "const": 7, "steps": [{"op": "lower"}]}), vec!["E-STEP-TYPE /steps/0"]),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "table", "name": "t", "key": "a", "value": "n"}, {"op": "lower"}]}),
            vec!["E-STEP-TYPE /steps/1"],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "table", "name": "t", "key": "a", "value": "n", "miss": "pass"}, {"op": "lower"}]}),
            vec![],
        ),
        (json!({"to": "a", "from": "b", "steps": [{"op": "default", "value": 1}, {"op": "lower"}]}), vec![]),
        (json!({"to": "a", "expr": "b & c", "steps": [{"op": "lower"}]}), vec![]),
        // What follows is looked at as if the step were right: one finding, not two.
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "int"}, {"op": "upper"}, {"op": "lower"}]}),
            vec!["E-STEP-TYPE /steps/1"],
        ),
    ] {
        assert_eq!(of_rule(rule.clone()), expected, "{rule}");
    }
}

#[test]
fn what_is_written_is_of_the_type_of_the_target() {
    for (rule, expected) in [
        (
            json!({"to": "a", "type": "integer", "from": "b", "steps": [{"op": "trim"}]}),
            vec!["E-TARGET-TYPE /type"],
        ),
        (json!({"to": "a", "type": "string", "from": "b"}), vec![]),
        (json!({"to": "a", "type": "integer", "const": "7"}), vec!["E-CONST /const"]),
        (json!({"to": "a", "type": "integer", "const": 1.5}), vec!["E-CONST /const"]),
        (json!({"to": "a", "type": "decimal", "const": 1.5}), vec![]),
        (
            json!({"to": "a", "type": "integer", "cases": [{"when": {"present": "b"}, "value": "1"}, {"else": 2}]}),
            vec!["E-CONST /cases/0/value"],
        ),
        (
            json!({"to": "a", "type": "string", "cases": [{"when": {"present": "b"}, "value": "1"}, {"else": false}]}),
            vec!["E-CONST /cases/1/else"],
        ),
        (
            json!({"to": "a", "type": "string", "from": "b", "steps": [{"op": "bool_map", "true": "J", "false": 0}]}),
            vec!["E-CONST /steps/0/false"],
        ),
        (
            json!({"to": "a", "type": "string", "from": "b", "steps": [{"op": "table", "name": "t", "key": "a", "value": "n"}]}),
            vec!["E-TARGET-TYPE /type"],
        ),
        (json!({"to": "a", "type": "string", "from": "b", "default": 0}), vec!["E-DEFAULT /default"]),
        (
            json!({"to": "a", "type": "integer", "from": "b", "steps": [{"op": "int", "on_error": "default", "error_default": "?"}]}),
            vec!["E-DEFAULT /steps/0/error_default"],
        ),
        (
            json!({"to": "a", "from": "b", "steps": [{"op": "int", "on_error": "default"}]}),
            vec!["E-DEFAULT /steps/0/on_error"],
        ),
        (
            json!({"to": "a", "type": "object", "each": "b", "fields": [{"to": "c", "from": "c"}]}),
            vec!["E-TARGET-TYPE /type"],
        ),
    ] {
        assert_eq!(of_rule(rule.clone()), expected, "{rule}");
    }
}

#[test]
fn a_required_field_that_can_be_missing_is_told() {
    let present = json!({"when": {"present": "b"}, "value": 1});
    for (rule, expected) in [
        (json!({"to": "a", "required": true, "from": "b"}), vec![]),
        (json!({"to": "a", "required": true, "cases": [present.clone()]}), vec!["W-MAY-MISS /required"]),
        (json!({"to": "a", "required": true, "cases": [present.clone(), {"else": 2}]}), vec![]),
        (json!({"to": "a", "required": true, "cases": [present.clone()], "default": 3}), vec![]),
        (json!({"to": "a", "required": true, "cases": [present.clone()], "missing": "error"}), vec![]),
        (
            json!({"to": "a", "required": true, "cases": [present, {"else": null}]}),
            vec!["W-MAY-MISS /required"],
        ),
        (json!({"to": "a", "required": true, "const": null}), vec!["E-MAY-MISS /required"]),
        (
            json!({"to": "a", "required": true, "from": "b", "steps": [{"op": "split", "on": ","}, {"op": "last"}]}),
            vec!["W-MAY-MISS /required"],
        ),
        (
            json!({"to": "a", "required": true, "from": "b", "steps": [{"op": "table", "name": "t", "key": "a", "value": "n", "miss": "omit"}]}),
            vec!["W-MAY-MISS /required"],
        ),
        (
            json!({"to": "a", "required": true, "from": "b", "steps": [{"op": "split", "on": ","}, {"op": "last"}, {"op": "default", "value": "-"}]}),
            vec![],
        ),
    ] {
        assert_eq!(of_rule(rule.clone()), expected, "{rule}");
    }
}

#[test]
fn a_source_schema_tells_types_and_what_can_be_missing() {
    let schema = json!({"type": "object", "required": ["id", "name", "lines"], "properties": {
        "id": {"type": "integer"}, "name": {"type": ["string", "null"]}, "note": {"type": "string"},
        "paid": {"type": "boolean"}, "free": {},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {
            "sku": {"type": "string"}, "qty": {"type": "number"}}}},
        "tags": {"type": "array", "items": {"type": "string"}}
    }});
    let document = document(json!([
        {"to": "a", "from": "id", "steps": [{"op": "upper"}]},
        {"to": "b", "from": "id", "type": "string"},
        {"to": "c", "from": "id", "required": true},
        {"to": "d", "from": "name", "required": true},
        {"to": "e", "from": "note", "required": true},
        {"to": "f", "from": "note", "required": true, "missing": "error"},
        {"to": "g", "first": ["note", "id"], "required": true},
        {"to": "h", "join": ["name", "paid"]},
        {"to": "i", "each": "lines", "required": true, "fields": [
            {"to": "sku", "from": "sku", "required": true, "steps": [{"op": "trim"}]},
            {"to": "qty", "from": "qty", "required": true, "steps": [{"op": "trim"}]},
            {"to": "id", "from": "$.id", "required": true, "steps": [{"op": "trim"}]}
        ]},
        {"to": "j", "each": "name", "fields": [{"to": "x", "const": 1}]},
        {"to": "k", "from": "tags", "steps": [{"op": "each", "steps": [{"op": "neg"}]}]},
        {"to": "l", "from": "lines[0].sku", "required": true},
        {"to": "m", "from": "free", "steps": [{"op": "upper"}]},
        {"to": "n", "from": "lines", "steps": [{"op": "upper"}]}
    ]));

    let found = found_in(&document, Some(&schema));

    assert_eq!(
        lines(&found),
        [
            "E-STEP-TYPE /fields/0/steps/0",
            "E-TARGET-TYPE /fields/1/type",
            "E-MAY-MISS /fields/3/required",
            "E-MAY-MISS /fields/4/required",
            "E-STEP-TYPE /fields/7/join/1",
            "E-STEP-TYPE /fields/8/fields/1/steps/0",
            "E-MAY-MISS /fields/8/fields/1/required",
            "E-STEP-TYPE /fields/8/fields/2/steps/0",
            "E-STEP-TYPE /fields/9/each",
            "E-STEP-TYPE /fields/10/steps/0/steps/0",
            "E-MAY-MISS /fields/11/required",
            "E-STEP-TYPE /fields/13/steps/0",
        ]
    );
    assert_eq!(found[0].message, "`upper` works on text, and here there is only a number");
    assert_eq!(found[0].help.as_deref(), Some("a number becomes text by `string`"));
}

#[test]
fn a_case_that_asks_again_is_never_reached() {
    let rule = json!({"to": "a", "cases": [
        {"when": {"path": "b", "eq": 1}, "value": 1}, {"when": {"path": "b", "eq": 2}, "value": 2},
        {"when": {"path": "b", "eq": 1}, "value": 3}, {"else": 4}, {"when": {"path": "b", "eq": 2}, "value": 5}
    ]});

    assert_eq!(of_rule(rule), ["E-CASE /cases/2/when", "E-CASE /cases/4"]);
}

#[test]
fn the_shipped_mappings_are_free_of_findings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mappings");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.to_string_lossy();
        if !name.ends_with(".json") || name.ends_with(".input.json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        let spec = MappingSpec::parse(&text).expect("a document");
        let found = match BuiltinEngine.compile(&spec, &CompileEnv::default()) {
            Ok(mapping) => mapping.warnings().clone(),
            Err(found) => found,
        };
        assert!(found.is_empty(), "{name}: {found}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn expressions_are_held_to_the_limits_of_the_host() {
    let compiled = |limits: crate::mapping::Limits, text: &str| {
        let document = document(json!([{"to": "a", "expr": text}]));
        let spec = MappingSpec::parse(&document.to_string()).expect("a document");
        let env = CompileEnv::default().with_limits(limits);
        BuiltinEngine.compile(&spec, &env).map(|_| ()).map_err(|found| found[0].message.clone())
    };
    let narrow = crate::mapping::Limits { expression_depth: 3, expression_nodes: 4, ..Default::default() };
    let wide = crate::mapping::Limits {
        expression_depth: 100,
        expression_nodes: 2_000,
        expression_bytes: 10_000,
        ..Default::default()
    };
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    let long = |terms: usize| vec!["a"; terms].join(" + ");

    assert_eq!(compiled(narrow, &nested(1)), Ok(()));
    assert_eq!(compiled(narrow, &nested(3)), Err("an expression nested more than 3 deep".to_owned()));
    assert_eq!(compiled(narrow, "a + b + c"), Err("an expression of more than 4 parts".to_owned()));
    assert_eq!(compiled(wide, &nested(60)), Ok(()));
    // However much the host allows, the stack is not at stake.
    assert_eq!(compiled(wide, &nested(90)), Err("an expression nested more than 64 deep".to_owned()));
    assert_eq!(compiled(wide, &long(500)), Ok(()));
    assert_eq!(compiled(wide, &long(600)), Err("an expression of more than 1024 parts".to_owned()));
}

#[test]
fn a_default_that_takes_the_place_of_a_failure_is_shown_with_its_code() {
    use crate::mapping::{FieldStatus, Payload, Previewer, RunCx};

    let document = document(json!([
        {"to": "a", "from": "x", "steps": [{"op": "trim"}, {"op": "int", "on_error": "default"}], "default": 0},
        {"to": "b", "from": "x", "type": "integer", "on_error": "default", "default": 1},
        {"to": "c", "from": "y", "default": 2},
        {"to": "d", "from": "x", "steps": [{"op": "int", "on_error": "fail_field"}]}
    ]));
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let previewer = Previewer::compile(&spec, &CompileEnv::default()).expect("it compiles");

    let preview = previewer.preview(Payload::Value(&json!({"x": " one "})), &RunCx::default());

    let told: Vec<_> = preview.fields.iter().map(|field| (field.status, field.failure)).collect();
    assert_eq!(
        told,
        [
            (FieldStatus::Defaulted, Some("E-NUMBER")),
            (FieldStatus::Defaulted, Some("E-TYPE")),
            (FieldStatus::Defaulted, None),
            (FieldStatus::Error("E-NUMBER"), Some("E-NUMBER")),
        ]
    );
    assert_eq!(preview.fields[0].steps[1].after, Err("E-NUMBER"));
    assert_eq!(preview.fields[0].source.as_deref(), Some("\" one \""));
    assert_eq!(preview.fields[0].result.as_deref(), Some("0"));
    assert_eq!(preview.output.as_deref(), Some(r#"{"a":0,"b":1,"c":2}"#));
}
