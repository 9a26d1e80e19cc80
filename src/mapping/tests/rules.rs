//! Policies, conditions, tables, lists, and the rest of what a rule can say.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::mapping::tests::{document, outcome, outcome_with};
use crate::mapping::{
    BuiltinEngine, CompileEnv, Excerpt, HostData, Intent, LetterCase, Limits, LookupTable, MapError,
    MappingEngine, MappingSpec, Overlay, Payload, RunCx, run_tests,
};
use crate::primitives::secret::Secret;

fn with(rule: &Value, extra: Value) -> Value {
    let mut rule = rule.clone();
    for (name, value) in extra.as_object().expect("an object") {
        rule[name] = value.clone();
    }
    rule
}

fn found(rule: &Value, input: Value) -> Value {
    match outcome(&document(json!([rule])), &input) {
        Ok(output) => output.get("out").cloned().unwrap_or(json!("nothing")),
        Err(error) => json!(error[error.find("E-").unwrap_or(0)..].split(':').next().unwrap_or_default()),
    }
}

#[test]
fn missing_null_and_empty_are_three_things() {
    let rule = json!({"to": "out", "from": "in"});
    let (missing, null, empty) = (json!({}), json!({"in": null}), json!({"in": ""}));
    for (extra, expected) in [
        (json!({}), ["nothing", "nothing", ""]),
        (json!({"missing": "error"}), ["E-MISSING", "E-MISSING", ""]),
        (
            json!({"missing": "error", "null": "error", "empty_string": "error"}),
            ["E-MISSING", "E-NULL", "E-EMPTY"],
        ),
        (json!({"default": "d"}), ["d", "d", ""]),
        (json!({"missing": "omit", "null": "default", "default": "d"}), ["nothing", "d", ""]),
        (json!({"empty_string": "as_missing", "default": "d"}), ["d", "d", "d"]),
        (
            json!({"empty_string": "omit", "null": "omit", "missing": "error"}),
            ["E-MISSING", "nothing", "nothing"],
        ),
        (json!({"required": true}), ["E-REQUIRED", "E-REQUIRED", ""]),
        (json!({"required": true, "default": "d"}), ["d", "d", ""]),
    ] {
        let rule = with(&rule, extra.clone());
        for (input, expected) in [&missing, &null, &empty].into_iter().zip(expected) {
            assert_eq!(found(&rule, input.clone()), json!(expected), "{extra} of {input}");
        }
    }
    let nulls = with(&rule, json!({"missing": "null", "null": "keep", "empty_string": "null"}));
    for input in [missing, null, empty] {
        assert_eq!(found(&nulls, input.clone()), Value::Null, "{input}");
    }
}

#[test]
fn an_empty_text_that_counts_as_missing_reaches_no_step() {
    let rule = json!({"to": "out", "from": "in", "empty_string": "as_missing", "steps": [{"op": "int"}]});

    assert_eq!(found(&rule, json!({"in": ""})), json!("nothing"));
    assert_eq!(found(&rule, json!({"in": "x"})), json!("E-NUMBER"));
    let trimmed = json!({"to": "out", "from": "in", "empty_string": "as_missing", "steps": [{"op": "trim"}]});
    assert_eq!(found(&trimmed, json!({"in": "  "})), json!("nothing"));
}

#[test]
fn a_step_that_fails_has_a_policy() {
    let rule = json!({"to": "out", "from": "in", "steps": [{"op": "int"}]});
    let input = json!({"in": "x"});

    assert_eq!(found(&rule, input.clone()), json!("E-NUMBER"));
    assert_eq!(found(&with(&rule, json!({"on_error": "fail_field"})), input.clone()), json!("nothing"));
    assert_eq!(found(&with(&rule, json!({"on_error": "default", "default": 0})), input.clone()), json!(0));
    let step = json!({"steps": [{"op": "int", "on_error": "default", "error_default": -1}]});
    assert_eq!(found(&with(&rule, step), input.clone()), json!(-1));
    let required = with(&rule, json!({"on_error": "fail_field", "required": true}));
    assert_eq!(found(&required, input), json!("E-NUMBER"));
}

#[test]
fn a_target_type_is_checked_and_nothing_is_turned_into_it() {
    for (wanted, fits, does_not) in [
        ("string", json!("1"), json!(1)),
        ("integer", json!(1), json!(1.5)),
        ("integer", json!(u64::MAX), json!("1")),
        ("decimal", json!(1.5), json!("1.5")),
        ("boolean", json!(true), json!("true")),
        ("array", json!([1]), json!({})),
        ("object", json!({"a": 1}), json!([])),
    ] {
        let rule = json!({"to": "out", "from": "in", "type": wanted});

        assert_eq!(found(&rule, json!({"in": fits})), fits, "{wanted}");
        assert_eq!(found(&rule, json!({"in": does_not})), json!("E-TYPE"), "{wanted} {does_not}");
    }
}

#[test]
fn rules_apply_when_their_condition_holds() {
    for (when, expected) in [
        (json!({"present": "a"}), true),
        (json!({"absent": "a"}), false),
        (json!({"absent": "nil"}), true),
        (json!({"path": "a", "eq": 1.0}), true),
        (json!({"path": "a", "eq": "1"}), false),
        (json!({"path": "none", "ne": 1}), false),
        (json!({"path": "a", "ge": 1, "lt": "1.5"}), true),
        (json!({"path": "none", "gt": 0}), false),
        (json!({"path": "t", "starts_with": "ab", "contains": "bc"}), true),
        (json!({"path": "t", "one_of": ["x", "abc"]}), true),
        (json!({"all": [{"present": "a"}, {"present": "none"}]}), false),
        (json!({"any": [{"present": "none"}, {"present": "a"}]}), true),
        (json!({"not": {"present": "none"}}), true),
        (json!({"op": "create"}), true),
        (json!({"op": "update"}), false),
        (json!({"expr": "a + 1 = 2"}), true),
    ] {
        let rule = json!({"to": "out", "const": 1, "when": when});
        let output = found(&rule, json!({"a": 1, "nil": null, "t": "abc"}));

        assert_eq!(output, if expected { json!(1) } else { json!("nothing") }, "{when}");
    }
    let text = json!({"to": "out", "const": 1, "when": {"path": "t", "gt": 0}});
    assert_eq!(found(&text, json!({"t": "5"})), json!("E-TYPE"));
    let update = json!({"to": "out", "const": 1, "when": {"op": "update"}});
    let cx = RunCx::default().with_intent(Intent::Update);
    assert_eq!(outcome_with(&document(json!([update])), &json!({}), &cx), Ok(json!({"out": 1})));
}

#[test]
fn tables_answer_alike_whatever_their_size_and_case() {
    let few: Vec<Value> = (0..3).map(|n| json!([format!("K{n}"), n])).collect();
    let many: Vec<Value> = (0..50).map(|n| json!([format!("K{n}"), n])).collect();
    for rows in [few, many] {
        for (case, key, expected) in [
            ("sensitive", json!("K2"), json!(2)),
            ("sensitive", json!("k2"), json!("E-TABLE-MISS")),
            ("insensitive", json!("k2"), json!(2)),
            ("insensitive", json!([]), json!("E-TYPE")),
        ] {
            let mut document = document(
                json!([{"to": "out", "from": "in", "steps": [{"op": "table", "name": "t", "key": "k", "value": "v"}]}]),
            );
            document["tables"] = json!({"t": {"columns": ["k", "v"], "rows": rows, "case": case}});
            let output = outcome(&document, &json!({"in": key}));
            let output = output.map(|output| output["out"].clone()).unwrap_or_else(|error| {
                json!(error[error.find("E-").unwrap_or(0)..].split(':').next().unwrap_or_default())
            });

            assert_eq!(output, expected, "{case} {key}");
        }
    }
}

#[test]
fn a_key_in_no_row_has_a_policy() {
    for (table, step, expected) in [
        (json!({"miss": "default", "default": "d"}), json!({}), json!("d")),
        (json!({"miss": "error"}), json!({"miss": "pass"}), json!(7)),
        (json!({"miss": "null"}), json!({}), json!("nothing")),
        (json!({}), json!({"miss": "omit"}), json!("nothing")),
        (json!({}), json!({"miss": "queue"}), json!("E-TABLE-QUEUED")),
        (json!({}), json!({"miss": "default", "default": 0}), json!(0)),
    ] {
        let step = with(&json!({"op": "table", "name": "t", "key": "k", "value": "v"}), step);
        let mut document = document(json!([{"to": "out", "from": "in", "steps": [step]}]));
        document["tables"] = json!({"t": with(&json!({"columns": ["k", "v"], "rows": [[1, "one"]]}), table)});
        let output = outcome(&document, &json!({"in": 7}));
        let output = match output {
            Ok(output) => output.get("out").cloned().unwrap_or(json!("nothing")),
            Err(error) => json!(error[error.find("E-").unwrap_or(0)..].split(':').next().unwrap_or_default()),
        };

        assert_eq!(output, expected, "{step}");
        assert_eq!(outcome(&document, &json!({"in": 1.0})), Ok(json!({"out": "one"})));
    }
}

#[test]
fn the_host_gives_tables_identities_keys_and_values() -> Result<(), Box<dyn std::error::Error>> {
    let mut document = document(json!([
        {"to": "sku", "from": "sku", "steps": [{"op": "table", "name": "sku", "key": "shop", "value": "erp"}]},
        {"to": "customer", "from": "customer", "steps": [{"op": "xref", "system": "shop", "entity": "customer"}]},
        {"to": "mail", "from": "mail", "steps": [{"op": "hash", "key": "pii"}]},
        {"to": "warehouse", "ctx": "warehouse"},
        {"to": "usd", "from": "eur", "steps": [{"op": "currency", "rate": "eur_usd", "scale": 2, "mode": "half_up"}]}
    ]));
    document["tables"] = json!({"sku": {"columns": ["shop", "erp"], "ref": "host:sku_xref"}});
    document["context"] = json!({"warehouse": {}, "eur_usd": {}});
    let input = json!({"sku": "A", "customer": "gid-7", "mail": "a@b", "eur": 10});
    let rows =
        LookupTable::new(["erp", "shop"], vec![vec![json!("E-1"), json!("A")]], LetterCase::Sensitive)?;
    let data = HostData::new()
        .with_table("sku_xref", Arc::new(rows))
        .with_identity("shop", "customer", "gid-7", "cus_19")
        .with_key("pii", Secret::from("key"))
        .with_context("warehouse", json!("HAM"))
        .with_context("eur_usd", json!("1.0835"));

    let output = outcome_with(&document, &input, &RunCx::new(&data))?;

    assert_eq!(output["sku"], "E-1");
    assert_eq!(output["customer"], "cus_19");
    assert_eq!(output["warehouse"], "HAM");
    assert_eq!(output["usd"], json!(10.84));
    assert_eq!(output["mail"].as_str().map(str::len), Some(64));
    assert!(outcome(&document, &input).is_err_and(|error| error.contains("E-HOST")));
    Ok(())
}

#[test]
fn each_reaches_parents_and_counts_what_it_keeps() {
    let document = document(json!([
        {"to": "orders", "each": "orders", "fields": [
            {"to": "id", "from": "id"},
            {"to": "lines", "each": "lines", "keep": {"when": {"path": "q", "gt": 0}}, "max": 2, "fields": [
                {"to": "no", "index": {"start": 1}},
                {"to": "order", "from": "^.id"},
                {"to": "root", "from": "$.shop"},
                {"to": "sku", "from": "sku"},
                {"to": "tags", "each": "tags", "fields": [{"to": "t", "from": "@"}, {"to": "up", "from": "^.^.id"}]}
            ]}
        ]}
    ]));
    let input = json!({"shop": "S", "orders": [
        {"id": 1, "lines": [{"q": 0, "sku": "a"}, {"q": 1, "sku": "b", "tags": ["x", "y"]}]},
        {"id": 2, "lines": []},
        {"id": 3}
    ]});

    assert_eq!(
        outcome(&document, &input),
        Ok(json!({"orders": [
            {"id": 1, "lines": [{"no": 1, "order": 1, "root": "S", "sku": "b", "tags": [{"t": "x", "up": 1}, {"t": "y", "up": 1}]}]},
            {"id": 2, "lines": []},
            {"id": 3}
        ]}))
    );
    let long = json!({"orders": [{"id": 1, "lines": [{"q": 1}, {"q": 1}, {"q": 1}]}]});
    let error = outcome(&document, &long).expect_err("three are more than two");
    assert!(error.starts_with("m@1: `orders[0].lines` from `lines`: E-ROWS"), "{error}");
    assert!(outcome(&document, &json!({"orders": 1})).is_err_and(|error| error.contains("E-TYPE")));
}

#[test]
fn filters_mean_the_one_match() {
    let rule = |extra: Value| with(&json!({"to": "out", "from": "a[n='x'].v"}), extra);
    let one = json!({"a": [{"n": "y", "v": 1}, {"n": "x", "v": {"w": 2}}]});
    let two = json!({"a": [{"n": "x", "v": 1}, {"n": "x", "v": 2}]});

    assert_eq!(found(&rule(json!({})), one), json!({"w": 2}));
    assert_eq!(found(&rule(json!({})), json!({"a": []})), json!("nothing"));
    assert_eq!(found(&rule(json!({})), two.clone()), json!("E-AMBIGUOUS"));
    assert_eq!(found(&rule(json!({"pick": "first"})), two.clone()), json!(1));
    assert_eq!(found(&rule(json!({"pick": "last"})), two), json!(2));
    assert_eq!(found(&json!({"to": "out", "from": "a[-1].v"}), json!({"a": [{"v": 1}, {"v": 2}]})), json!(2));
}

#[test]
fn a_rule_for_a_part_does_not_hide_the_whole() {
    let document = document(json!([
        {"to": "whole", "from": "customer"},
        {"to": "id", "from": "customer.id"},
        {"to": "tag", "from": "customer.tags[0]"},
        {"to": "tags", "from": "customer.tags"}
    ]));
    let customer = json!({"id": 7, "tags": ["a", "b"], "x": null});

    assert_eq!(
        outcome(&document, &json!({"customer": customer})),
        Ok(json!({"whole": customer, "id": 7, "tag": "a", "tags": ["a", "b"]}))
    );
}

fn run(document: &Value, text: &str) -> Result<String, MapError> {
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default()).expect("a mapping");
    let mut out = Vec::new();
    mapping.run(
        Payload::Bytes(text.as_bytes()),
        &RunCx::default().with_excerpt(Excerpt::TypeAndLength),
        &mut out,
    )?;
    Ok(String::from_utf8(out).expect("text"))
}

#[test]
fn of_repeated_keys_the_last_counts_with_nothing_of_those_before() {
    let document =
        document(json!([{"to": "b", "from": "a.b"}, {"to": "c", "from": "a.c"}, {"to": "d", "from": "d"}]));

    let output = run(&document, r#"{"a":{"b":1},"d":1,"a":{"c":2},"\u0064":3}"#);

    assert_eq!(output.as_deref(), Ok(r#"{"c":2,"d":3}"#));
}

#[test]
fn numbers_of_any_length_pass_unchanged() {
    let document =
        document(json!([{"to": "a", "from": "a"}, {"to": "b", "from": "b"}, {"to": "t", "from": "t"}]));
    let text = r#"{"a":123456789012345678901234567890123456789012345678.10,"b":-0.0e-5,"t":{"x":[1.50, 2]}}"#;

    assert_eq!(run(&document, text).as_deref(), Ok(text));
}

#[test]
fn errors_say_where_and_nothing_of_the_value() {
    let document = document(
        json!([{"to": "l", "each": "l", "fields": [{"to": "a.b", "from": "x", "steps": [{"op": "trim"}, {"op": "int"}]}]}]),
    );

    let error = run(&document, r#"{"l":[{"x":"1"},{"x":"secret"}]}"#).expect_err("no number");

    assert_eq!(
        error.to_string(),
        "m@1: `l[1].a.b` from `x`, step 2 (int): E-NUMBER: the text is not a number; found text of 6 characters"
    );
    assert_eq!((error.rows.as_slice(), error.step, error.op), (&[1][..], Some(1), Some("int")));
}

#[test]
fn what_no_rule_reads_is_dropped_passed_or_refused() {
    let mut document = document(json!([{"to": "b", "from": "a"}]));
    let input = json!({"a": 1, "b": 2, "c": {"d": [3]}});

    assert_eq!(outcome(&document, &input), Ok(json!({"b": 1})));
    document["unmapped"] = json!({"mode": "pass"});
    assert_eq!(outcome(&document, &input), Ok(json!({"b": 1, "c": {"d": [3]}})));
    document["unmapped"] = json!({"mode": "error", "except": ["b"]});
    assert!(outcome(&document, &input).is_err_and(|error| error.contains("E-UNMAPPED")));
    assert_eq!(outcome(&document, &json!({"a": 1, "b": 2})), Ok(json!({"b": 1})));
}

#[test]
fn limits_hold() {
    let spec = MappingSpec::parse(&document(json!([
        {"to": "l", "each": "l", "fields": [{"to": "x", "from": "@", "steps": [{"op": "pad", "width": 100}]}]}
    ])).to_string())
    .expect("a document");
    let input = json!({"l": ["a", "b", "c"]});
    let text = input.to_string();
    for limits in [
        Limits { rows: 2, ..Limits::default() },
        Limits { rows_in_all: 2, ..Limits::default() },
        Limits { output_bytes: 100, ..Limits::default() },
        Limits { fuel: 8, ..Limits::default() },
    ] {
        let mapping =
            BuiltinEngine.compile(&spec, &CompileEnv::default().with_limits(limits)).expect("a mapping");
        for payload in [Payload::Bytes(text.as_bytes()), Payload::Value(&input)] {
            let error = mapping.run(payload, &RunCx::default(), &mut Vec::new()).expect_err("a limit");

            assert_eq!(error.code, "E-LIMIT", "{limits:?}");
            assert_eq!(
                mapping.run_to_value(payload, &RunCx::default()).expect_err("a limit").code,
                "E-LIMIT"
            );
        }
    }
    let short = Limits { text_bytes: 50, ..Limits::default() };
    assert!(BuiltinEngine.compile(&spec, &CompileEnv::default().with_limits(short)).is_err());
    let small = Limits { input_bytes: 5, ..Limits::default() };
    let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default().with_limits(small)).expect("a mapping");
    assert!(mapping.run(Payload::Bytes(text.as_bytes()), &RunCx::default(), &mut Vec::new()).is_err());
    let deep = json!({"to": "out", "from": "in"});
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(found(&deep, json!({"in": nested})), json!("E-LIMIT"));
}

#[test]
fn overlays_change_by_target_path() -> Result<(), Box<dyn std::error::Error>> {
    let base: Value = serde_json::from_str(include_str!("order.json"))?;
    let base = MappingSpec::parse(&base.to_string())?;
    let overlay = Overlay::parse(
        r#"{"base":"shopify-order-to-erp@7","patch":[
            {"remove":"vatId"},{"replace":"totals.gross","with":{"to":"totals.gross","const":1}},
            {"add":{"to":"lines.note","from":"note"}}]}"#,
    )?;

    let changed = overlay.applied_to(&base)?;

    assert!(!changed.fields.iter().any(|field| field.to == "vatId"));
    assert!(
        changed.fields.iter().any(|field| field.to == "totals.gross" && field.constant == Some(json!(1)))
    );
    assert!(changed.fields.iter().any(|field| field.fields.iter().any(|inner| inner.to == "note")));
    let wrong =
        Overlay::parse(r#"{"base":"x@1","patch":[{"remove":"vatID"},{"add":{"to":"status","const":1}}]}"#)?;
    let found = wrong.applied_to(&base).expect_err("nothing fits");
    assert_eq!(
        found.iter().map(|found| found.code).collect::<Vec<_>>(),
        ["E-OVERLAY-BASE", "E-OVERLAY", "E-OVERLAY"]
    );
    assert_eq!(found[1].help.as_deref(), Some("did you mean `vatId`?"));
    Ok(())
}

#[test]
fn examples_in_the_document_are_run() -> Result<(), Box<dyn std::error::Error>> {
    let mut document = document(json!([{"to": "a.b", "from": "in", "steps": [{"op": "int"}]}]));
    document["tests"] = json!([
        {"name": "good", "input": {"in": "1"}, "expect": {"a": {"b": 1.0}}},
        {"name": "fails", "input": {"in": "x"}, "expect_error": {"field": "a.b", "code": "E-NUMBER"}},
        {"name": "wrong", "input": {"in": "1"}, "expect": {"a": {"b": 2}}},
        {"name": "surplus", "input": {"in": "1"}, "expect": {}},
        {"name": "other code", "input": {"in": "x"}, "expect_error": {"code": "E-TYPE"}},
        {"name": "nothing expected", "input": {}}
    ]);
    let spec = MappingSpec::parse(&document.to_string())?;
    let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default())?;

    let outcomes = run_tests(&spec, &*mapping);

    let failed: Vec<_> =
        outcomes.iter().filter(|test| test.problem.is_some()).map(|test| test.name.as_str()).collect();
    assert_eq!(failed, ["wrong", "surplus", "other code", "nothing expected"]);
    assert_eq!(outcomes[2].problem.as_deref(), Some("/a/b is 1 instead of 2"));
    Ok(())
}
