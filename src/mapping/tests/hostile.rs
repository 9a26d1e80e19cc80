//! What somebody writes who wants the engine to fail, to hang or to grow.

use serde_json::{Value, json};

use crate::mapping::tests::{document, outcome};
use crate::mapping::{
    BuiltinEngine, CompileEnv, CompiledMapping, FieldStatus, Limits, MapError, MappingEngine, MappingSpec,
    Payload, Previewer, RunCx,
};

/// A mapping with these limits.
fn compiled(document: &Value, limits: Limits) -> std::sync::Arc<dyn CompiledMapping> {
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    BuiltinEngine.compile(&spec, &CompileEnv { limits, ..CompileEnv::default() }).expect("it compiles")
}

/// How a run ends, from bytes to bytes and from memory to memory.
fn ends(mapping: &dyn CompiledMapping, input: &Value) -> [Result<(), &'static str>; 2] {
    let code = |error: MapError| error.code;
    let text = input.to_string();
    [
        mapping
            .run(Payload::Bytes(text.as_bytes()), &RunCx::default(), &mut Vec::new())
            .map(drop)
            .map_err(code),
        mapping.run_to_value(Payload::Value(input), &RunCx::default()).map(drop).map_err(code),
    ]
}

#[test]
fn quotients_without_an_end_are_not_sorted() {
    let sorted =
        |text: &str| outcome(&document(json!([{"to": "a", "expr": text}])), &json!({"n": [3, 1, 2]}));

    let refused = sorted("$sort([1/3, 0.5, 2/7, 12345678901234567890123456789012345.1])").unwrap_err();
    assert!(refused.contains("INEXACT"), "{refused}");
    assert_eq!(sorted("$sort(n)"), Ok(json!({"a": [1, 2, 3]})));
}

#[test]
fn names_that_are_long_are_refused() {
    let long = "x".repeat(1_025);
    for rule in [
        json!({"to": long, "from": "a"}),
        json!({"to": "a", "from": long}),
        json!({"to": "a", "first": ["b", long]}),
    ] {
        let refused = outcome(&document(json!([rule])), &json!({})).unwrap_err();
        assert!(refused.contains("E-LIMIT"), "{refused}");
    }
    let mut with_table = document(json!([{"to": "a", "from": "a"}]));
    with_table["tables"] = json!({"t": {"columns": ["k", long], "rows": []}});
    assert!(outcome(&with_table, &json!({})).unwrap_err().contains("E-LIMIT"));
}

#[test]
fn the_names_of_empty_lists_count_as_output() {
    let name = "x".repeat(1_000);
    let fields: Vec<Value> = (0..3)
        .map(|at| json!({"to": format!("{name}{at}"), "each": "$.none", "fields": [{"to": "b", "const": 1}]}))
        .collect();
    let document = document(json!([{"to": "rows", "each": "rows", "fields": fields}]));
    let mapping = compiled(&document, Limits { output_bytes: 50_000, ..Limits::default() });

    let input = |rows: usize| json!({"rows": vec![0; rows], "none": []});

    assert_eq!(ends(&*mapping, &input(10)), [Ok(()), Ok(())]);
    assert_eq!(ends(&*mapping, &input(100)), [Err("E-LIMIT"), Err("E-LIMIT")]);
}

#[test]
fn what_is_left_out_in_the_end_takes_no_room() {
    // Each inner list is too short, and is undone.
    let document = document(json!([{"to": "rows", "each": "rows", "fields": [
        {"to": "inner", "each": "$.few", "min": 2, "on_error": "fail_field", "fields": [{"to": "b", "from": "@"}]},
    ]}]));
    let mapping = compiled(&document, Limits { output_bytes: 5_000, ..Limits::default() });

    let input = json!({"rows": vec![0; 100], "few": ["x".repeat(500)]});

    assert_eq!(ends(&*mapping, &input), [Ok(()), Ok(())]);
}

#[test]
fn a_record_in_which_too_many_fields_fail_ends() {
    let document = document(json!([{"to": "rows", "each": "rows", "fields": [
        {"to": "n", "from": "n", "steps": [{"op": "int"}], "on_error": "fail_field"},
    ]}]));
    let mapping = compiled(&document, Limits::default());
    let input = |rows: usize| json!({"rows": vec![json!({"n": "no"}); rows]});

    assert_eq!(ends(&*mapping, &input(1_000)), [Ok(()), Ok(())]);
    assert_eq!(ends(&*mapping, &input(1_001)), [Err("E-NUMBER"), Err("E-NUMBER")]);
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let previewer = Previewer::compile(&spec, &CompileEnv::default()).expect("it compiles");
    assert!(previewer.preview(Payload::Value(&input(1_001)), &RunCx::default()).output.is_some());
}

#[test]
fn going_through_large_values_costs_as_much_as_they_are_large() {
    let rules = |rule: Value| {
        let rule = |at: usize| {
            let mut rule = rule.clone();
            rule["to"] = json!(format!("t{at}"));
            rule
        };
        document(json!((0..40).map(rule).collect::<Vec<_>>()))
    };
    let limits = Limits { fuel: 1_000, ..Limits::default() };
    let list = json!((0..500).map(|at| json!({"k": at})).collect::<Vec<_>>());
    let small = json!({"list": [{"k": 1}], "text": "x"});
    let large = json!({"list": list, "text": "x".repeat(6_000)});
    for rule in [
        json!({"from": "list", "steps": [{"op": "pick", "path": "[0].k"}]}),
        json!({"from": "list", "steps": [{"op": "cases", "cases": [{"when": {"path": "@[0].k", "eq": 7}, "value": 1}]}]}),
        json!({"const": 1, "when": {"path": "list", "eq": [1]}}),
        json!({"const": 1, "when": {"path": "text", "eq": "y"}}),
        json!({"const": 1, "when": {"path": "text", "one_of": ["y", "z"]}}),
        json!({"expr": "list[0].k = 7"}),
    ] {
        let mapping = compiled(&rules(rule.clone()), limits);

        assert_eq!(ends(&*mapping, &small), [Ok(()), Ok(())], "{rule}");
        let large = ends(&*mapping, &large);
        assert!(large.iter().all(Result::is_err), "{rule} {large:?}");
    }
}

#[test]
fn each_path_of_a_rule_costs_something() {
    for rule in ["first", "join"] {
        let paths: Vec<String> = (0..100).map(|at| format!("a{at}")).collect();
        let mut field = json!({"to": "t"});
        field[rule] = json!(paths);
        let mapping = compiled(&document(json!([field])), Limits { fuel: 50, ..Limits::default() });

        assert_eq!(ends(&*mapping, &json!({})), [Err("E-LIMIT"), Err("E-LIMIT")]);
    }
}

#[test]
fn to_see_whether_something_large_is_there_costs_no_more_than_if_it_is_small() {
    let document = document(json!([{"to": "rows", "each": "rows", "fields": [
        {"to": "a", "const": 1, "when": {"present": "$.rows"}},
    ]}]));
    let mapping = compiled(&document, Limits { fuel: 5_000, ..Limits::default() });

    assert_eq!(ends(&*mapping, &json!({"rows": vec!["x".repeat(100); 1_000]})), [Ok(()), Ok(())]);
}

#[test]
fn a_preview_writes_down_the_beginning_of_what_has_no_end() {
    let document = document(json!([{"to": "rows", "each": "rows", "fields": [
        {"to": "n", "from": "n", "steps": [{"op": "int"}]},
        {"to": "few", "each": "$.few", "min": 2, "fields": [{"to": "a", "from": "@"}]},
    ]}]));
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let previewer = Previewer::compile(&spec, &CompileEnv::default()).expect("it compiles");
    let input = json!({"rows": vec![json!({"n": "no"}); 8_000], "few": ["x"]});

    let preview = previewer.preview(Payload::Value(&input), &RunCx::default());

    assert_eq!((preview.fields.len(), preview.errors.len()), (20_000, 1_000));
    let told: Vec<_> = preview.fields[1..4].iter().map(|field| (field.place(), field.status)).collect();
    assert_eq!(
        told,
        [
            ("rows[0].n".to_owned(), FieldStatus::Error("E-NUMBER")),
            ("rows[0].few".to_owned(), FieldStatus::Error("E-ROWS")),
            ("rows[0].few[0].a".to_owned(), FieldStatus::Mapped),
        ]
    );
    assert_eq!(preview.fields[3].result.as_deref(), Some("\"x\""));
}

#[test]
fn of_members_with_the_same_name_the_last_one_is_passed_however_far_it_is() {
    let mut document = document(json!([{"to": "x", "from": "x"}]));
    document["unmapped"] = json!({"mode": "pass"});
    let mapping = compiled(&document, Limits::default());
    let between: String = (0..1_000).map(|at| format!(r#""n{at}":0,"#)).collect();
    let text = format!(r#"{{"twice":1,{between}"twice":2}}"#);

    let mut out = Vec::new();
    mapping.run(Payload::Bytes(text.as_bytes()), &RunCx::default(), &mut out).expect("it runs");

    let out = String::from_utf8(out).expect("text");
    assert_eq!((out.matches("twice").count(), out.contains(r#""twice":2"#)), (1, true));
}

#[test]
fn a_row_with_the_key_of_another_is_told_once_for_all_steps_that_search_it() {
    let step = |key: &str| json!({"op": "table", "name": "t", "key": key, "value": "c"});
    let rules: Vec<Value> = ["a", "a", "b", "a", "b"]
        .iter()
        .enumerate()
        .map(|(at, key)| json!({"to": format!("t{at}"), "from": "x", "steps": [step(key)]}))
        .collect();
    let mut document = document(json!(rules));
    document["tables"] = json!({"t": {"columns": ["a", "b", "c"], "rows": [["1", "1", "1"], ["1", "2", "1"], ["1", "1", "1"]]}});
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");

    let found = BuiltinEngine.compile(&spec, &CompileEnv::default()).expect_err("keys come twice");

    let told: Vec<_> = found.iter().map(|found| (found.code, found.pointer.as_str())).collect();
    assert_eq!(told, [("E-TABLE-KEY", "/tables/t/rows/1"), ("E-TABLE-KEY", "/tables/t/rows/2")]);
}

#[test]
fn filters_and_indexes_pay_for_the_elements_that_they_look_at() {
    let rules = (0..20)
        .map(|at| json!({"to": format!("t{at}"), "from": format!("l[k='{at}'].v"), "missing": "null"}));
    let mapping = compiled(&document(rules.collect()), Limits { fuel: 1_000, ..Limits::default() });
    let input = |elements: usize| json!({"l": vec![json!({"k": "x", "v": 1}); elements]});

    assert_eq!(ends(&*mapping, &input(20)), [Ok(()), Ok(())]);
    assert_eq!(ends(&*mapping, &input(100)), [Err("E-LIMIT"), Err("E-LIMIT")]);

    let indexes = document(json!([{"to": "a", "from": "l[0].v"}, {"to": "b", "from": "l[-1].v"}]));
    let mapping = compiled(&indexes, Limits { fuel: 1_000, ..Limits::default() });
    let text = format!(r#"{{"l":[{{"v":1,"w":"{}"}}]}}"#, "x".repeat(40_000));
    let outcome = mapping.run(Payload::Bytes(text.as_bytes()), &RunCx::default(), &mut Vec::new());
    assert_eq!(outcome.map(drop).map_err(|error| error.code), Err("E-LIMIT"));
}

#[test]
fn a_number_that_a_reader_would_change_is_refused_by_its_text() {
    let parsed = |number: &str| {
        let fields = format!(r#"[{{"to":"a","const":{number}}}]"#);
        let text = format!(r#"{{"format":"mapping/1","id":"m","version":1,"fields":{fields}}}"#);
        MappingSpec::parse(&text).map(drop).map_err(|found| {
            let span = found[0].span.clone().unwrap_or_default();
            (found[0].code, found[0].pointer.clone(), text[span].to_owned())
        })
    };

    for changed in ["100000000000000000001", "-100000000000000000001", "0.12345678901234567890123", "1e-400"]
    {
        assert_eq!(parsed(changed), Err(("E-LITERAL", "/fields/0/const".to_owned(), changed.to_owned())));
    }
    for kept in
        ["18446744073709551615", "-9223372036854775808", "1e20", "0.1", "-0", "-0.0", "1.50", "1E2", "0e0"]
    {
        assert_eq!(parsed(kept), Ok(()), "{kept}");
    }
}

#[test]
fn a_mask_does_not_outgrow_what_texts_may_be() {
    let document = document(
        json!([{"to": "a", "from": "a", "steps": [{"op": "mask", "keep": 2, "with": "\u{1F512}"}]}]),
    );
    let mapping = compiled(&document, Limits { text_bytes: 40, ..Limits::default() });

    assert_eq!(ends(&*mapping, &json!({"a": "12345678é0"})), [Ok(()), Ok(())]);
    assert_eq!(ends(&*mapping, &json!({"a": "123456789012"})), [Err("E-LIMIT"), Err("E-LIMIT")]);
}

#[test]
fn half_of_a_surrogate_pair_in_a_path_is_no_character() {
    let read = |path: &str| outcome(&document(json!([{"to": "a", "from": path}])), &json!({"\u{1F600}": 1}));

    assert_eq!(read(r"['\uD83D\uDE00']"), Ok(json!({"a": 1})));
    for half in [r"['\uD83D\u0041']", r"['\uD83D\uE000']", r"['\uD83D']", r"['\uDE00']", r"['\uD83D\uD83D']"]
    {
        assert!(read(half).unwrap_err().contains("E-PATH"), "{half}");
    }
}

#[test]
fn the_text_of_a_value_is_the_same_from_bytes_and_from_memory() {
    let document = document(json!([{"to": "a", "from": "a", "steps": [{"op": "json_text"}]}]));
    let mapping = compiled(&document, Limits::default());
    let text = r#"{"a": { "z" : [1.50, 1e2, 0.0, -0, 12345678901234567890, 1E-7], "b": "\u0041\/", "c": {}, "z2": 1,
        "c": {"y": null, "x": [ ]} }}"#;
    let value: Value = serde_json::from_str(text).expect("JSON");

    let texts = [Payload::Bytes(text.as_bytes()), Payload::Value(&value)].map(|payload| {
        let (value, _) = mapping.run_to_value(payload, &RunCx::default()).expect("it runs");
        value["a"].as_str().map(str::to_owned)
    });

    let wanted =
        r#"{"b":"A/","c":{"x":[],"y":null},"z":[1.5,100,0,0,12345678901234567890,0.0000001],"z2":1}"#;
    assert_eq!(texts, [Some(wanted.to_owned()), Some(wanted.to_owned())]);
}
