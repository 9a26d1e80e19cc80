//! Any document, any input: no panic, no limit exceeded, and all four ways through the engine agree.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::mapping::tests::{document, outcome};
use crate::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, Op, Payload, RunCx};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[a-c0-9 .,\"\\\\\u{1}é-]{0,8}".prop_map(Value::from),
        Just(json!("2026-02-03T10:00:00+02:00")),
        Just(json!("EUR")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[abcd]", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_path() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a", "b", "c", "a.b", "a.b.c", "b.a", "$.a", "$.b.c", "^.a", "@", "$", "a[0]", "a[-1].b", "a[b='a']",
        "a[b=1].c", "c.d", "d",
    ])
    .prop_map(str::to_owned)
}

/// Steps from the catalogue, with arguments that mostly fit.
fn any_step() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(Op::CATALOGUE.iter().map(|op| op.name).collect::<Vec<_>>());
    (op, any::<u8>(), any_path()).prop_map(|(name, small, path)| {
        let mut step = Map::new();
        step.insert("op".to_owned(), json!(name));
        let info = Op::CATALOGUE.iter().find(|op| op.name == name).expect("a known operation");
        for argument in info.arguments.iter().filter(|argument| argument.required || small.is_multiple_of(2))
        {
            let value = match argument.name {
                "path" | "currency" | "key" if name != "table" && name != "hash" => json!(path),
                "name" => json!("t"),
                "key" => json!("k"),
                "value" if name == "table" => json!("v"),
                "mode" if name == "truncate" => json!("cut"),
                "mode" => json!("half_up"),
                "miss" => json!("pass"),
                "side" => json!("end"),
                "order" => json!("descending"),
                "way" => json!("to_boolean"),
                "to" | "from" if name == "unit" => json!("kg"),
                "to" => json!("internal"),
                "in" => json!("rfc3339"),
                "out" => json!("%Y%m%d %H%M"),
                "zone" | "assume" => json!("utc"),
                "code" => json!("EUR"),
                "rate" => json!("r"),
                "text" if name == "hash" => json!("hex"),
                "text" | "find" | "on" => json!("a"),
                "with" | "sep" | "separator" => json!(","),
                "group" => json!("."),
                "required" | "skip_empty" => json!(small.is_multiple_of(4)),
                "steps" => json!([{"op": "string"}]),
                "when" => json!({"path": path, "gt": small}),
                "cases" => json!([{"when": {"path": "@", "eq": "a"}, "value": 1}, {"else": 2}]),
                "by" | "min" => json!(small),
                "max" if name == "clamp" => json!(300),
                "true" | "false" => json!(argument.name),
                "default" | "value" => json!(small),
                "system" | "entity" => json!("s"),
                _ => json!(small % 12),
            };
            step.insert(argument.name.to_owned(), value);
        }
        Value::Object(step)
    })
}

fn any_rule(index: usize) -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        any_path().prop_map(|path| json!({"from": path})),
        proptest::collection::vec(any_path(), 1..3).prop_map(|paths| json!({"first": paths})),
        proptest::collection::vec(any_path(), 1..3).prop_map(|paths| json!({"join": paths, "sep": "-", "skip_empty": true})),
        any_path().prop_map(|path| json!({"cases": [{"when": {"present": path}, "from": path}, {"else": 0}]})),
        (any_path(), any_path()).prop_map(|(list, path)| json!({"each": list, "fields": [{"to": "x", "from": path}, {"to": "n", "index": {}}]})),
        prop::sample::select(vec!["a.b", "$sum(a)", "a & b", "$$.a[0]", "a = b ? c : d"]).prop_map(|expr| json!({"expr": expr})),
    ];
    let policies = prop_oneof![
        Just(json!({})),
        Just(json!({"on_error": "fail_field", "null": "keep"})),
        Just(json!({"missing": "null", "empty_string": "as_missing"})),
        Just(json!({"default": "d", "on_error": "default"})),
    ];
    (kind, proptest::collection::vec(any_step(), 0..4), policies).prop_map(move |(kind, steps, policies)| {
        let mut rule = json!({"to": format!("o.f{index}")});
        for (name, value) in
            kind.as_object().into_iter().flatten().chain(policies.as_object().into_iter().flatten())
        {
            rule[name] = value.clone();
        }
        if rule.get("each").is_none() {
            rule["steps"] = json!(steps);
        }
        rule
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    (any_rule(0), any_rule(1), any_rule(2)).prop_map(|(a, b, c)| {
        let mut document = document(json!([a, b, c]));
        document["tables"] = json!({"t": {"columns": ["k", "v"], "rows": [["a", 1], [2, "b"]]}});
        document["context"] = json!({"r": {}});
        document["unmapped"] = json!({"mode": "pass"});
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn all_ways_through_the_engine_agree(document in any_document(), input in any_value()) {
        // It asserts that itself.
        let _ = outcome(&document, &input);
    }

    #[test]
    fn any_text_is_a_record_or_an_error(text in "[\\[\\]{},:\"abcd\\\\u0-9e.-]{0,60}") {
        let spec = MappingSpec::parse(&document(json!([
            {"to": "x", "from": "a"}, {"to": "y", "from": "a.b"}, {"to": "z", "each": "b", "fields": [{"to": "c", "from": "c[0]"}]}
        ])).to_string()).expect("a document");
        let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default()).expect("a mapping");
        let mut out = Vec::new();
        match (mapping.run(Payload::Bytes(text.as_bytes()), &RunCx::default(), &mut out), serde_json::from_str::<Value>(&text)) {
            (Ok(_), Ok(value)) => {
                let mut again = Vec::new();
                if mapping.run(Payload::Value(&value), &RunCx::default(), &mut again).is_ok() {
                    let (left, right): (Value, Value) = (serde_json::from_slice(&out).expect("JSON"), serde_json::from_slice(&again).expect("JSON"));
                    prop_assert_eq!(left, right);
                }
            }
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("surrogate") || error.to_string().contains("out of range"), "{}", error),
            (Err(_), _) => {}
        }
    }

    #[test]
    fn any_text_is_a_document_or_an_error(text in "[\\[\\]{},:\"fieldstoform/1 \\\\u0-9.-]{0,80}") {
        if let Err(found) = MappingSpec::parse(&text) {
            prop_assert!(found.has_errors());
            for found in found.iter() {
                prop_assert!(found.span.clone().is_none_or(|span| text.get(span).is_some()));
            }
        }
    }

    #[test]
    fn any_value_in_the_place_of_rules_is_a_document_or_errors(fields in any_value(), tables in any_value()) {
        let text = json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields, "tables": tables}).to_string();
        if let Ok(spec) = MappingSpec::parse(&text) {
            let _ = BuiltinEngine.compile(&spec, &CompileEnv::default());
        }
    }
}

#[test]
fn deep_texts_neither_overflow_nor_hang() {
    let rules = document(
        json!([{"to": "a", "from": "a"}, {"to": "l", "each": "l", "fields": [{"to": "x", "from": "@"}]}]),
    );
    let spec = MappingSpec::parse(&rules.to_string()).expect("a document");
    let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default()).expect("a mapping");
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    for (text, code) in [
        (format!("{{\"a\":{deep}}}"), "E-LIMIT"),
        (format!("{{\"l\":[{deep}]}}"), "E-LIMIT"),
        (deep[..1_000_000].to_owned(), "E-INPUT"),
    ] {
        let error = mapping
            .run(Payload::Bytes(text.as_bytes()), &RunCx::default(), &mut Vec::new())
            .expect_err("too deep");

        assert_eq!(error.code, code);
    }
    let skipped = format!("{{\"other\":{deep}}}");
    assert!(mapping.run(Payload::Bytes(skipped.as_bytes()), &RunCx::default(), &mut Vec::new()).is_ok());
    assert!(MappingSpec::parse(&deep[..200_000]).is_err());
}
