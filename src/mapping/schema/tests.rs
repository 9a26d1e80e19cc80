//! Leaves, from schemas and from samples.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::LONGEST_PATH;
use super::*;

fn paths(shape: &RecordShape) -> Vec<(&str, bool)> {
    shape.leaves().map(|leaf| (leaf.path.as_str(), leaf.required)).collect()
}

#[test]
fn required_is_what_is_required_all_the_way() {
    let shape = RecordShape::from_schema(&json!({
        "required": ["shipTo"],
        "properties": {
            "shipTo": {"required": ["city"], "properties": {"city": {"type": "string"}, "zip": {}}},
            "billTo": {"required": ["city"], "properties": {"city": {"type": "string"}}},
        },
    }))
    .unwrap();

    assert_eq!(paths(&shape), [("billTo.city", false), ("shipTo.city", true), ("shipTo.zip", false)]);
}

#[test]
fn or_null_is_nullable_and_still_required() {
    let shape = RecordShape::from_schema(&json!({
        "required": ["a", "b", "c"],
        "properties": {
            "a": {"oneOf": [{"type": "null"}, {"type": "string", "maxLength": 9}]},
            "b": {"type": ["integer", "null"]},
            "c": {"enum": ["x", null]},
        },
    }))
    .unwrap();

    assert_eq!(paths(&shape), [("a", true), ("b", true), ("c", true)]);
    assert!(shape.leaves().all(|leaf| leaf.nullable));
    assert_eq!(shape.leaf("a").unwrap().max_length, Some(9));
    assert_eq!(shape.leaf("c").unwrap().allowed, Some(vec![json!("x"), json!(null)]));
}

#[test]
fn what_one_of_several_alternatives_asks_for_is_not_required() {
    let shape = RecordShape::from_schema(&json!({
        "required": ["pay"],
        "properties": {"pay": {"oneOf": [
            {"required": ["iban"], "properties": {"iban": {"type": "string"}}},
            {"required": ["card"], "properties": {"card": {"type": "string"}}},
        ]}},
    }))
    .unwrap();

    assert_eq!(paths(&shape), [("pay.card", false), ("pay.iban", false)]);
}

#[test]
fn local_refs_are_followed_and_loops_end() {
    let shape = RecordShape::from_schema(&json!({
        "$defs": {"address": {"properties": {"city": {"type": "string"}}}},
        "properties": {"a": {"$ref": "#/$defs/address"}},
    }))
    .unwrap();
    assert_eq!(paths(&shape), [("a.city", false)]);

    let endless = json!({"properties": {"child": {"$ref": "#"}}});
    assert_eq!(RecordShape::from_schema(&endless), Err(UnreadableSchema::TooLarge));

    let elsewhere = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
    assert_eq!(
        RecordShape::from_schema(&elsewhere),
        Err(UnreadableSchema::Ref { at: "#/properties/a".to_owned() })
    );
}

#[test]
fn below_what_is_open_anything_may_stand() {
    let shape = RecordShape::from_schema(&json!({
        "properties": {"meta": {"type": "object"}, "name": {"type": "string"}},
    }))
    .unwrap();

    assert!(shape.may_have("meta.anything[].at.all"));
    assert!(!shape.may_have("name.first"));
    assert!(!shape.may_have("metadata"));
}

#[test]
fn a_path_that_is_longer_than_a_page_is_too_large() {
    let sample = json!({"x".repeat(LONGEST_PATH + 1): [1, 2, 3]});
    assert_eq!(RecordShape::from_samples([&sample]), Err(UnreadableSchema::TooLarge));

    let schema = json!({"properties": {"x".repeat(LONGEST_PATH + 1): {"type": "string"}}});
    assert_eq!(RecordShape::from_schema(&schema), Err(UnreadableSchema::TooLarge));
}

#[test]
fn samples_are_united() {
    let samples = [
        json!({"id": 1, "tags": ["a"], "lines": [{"sku": "x"}]}),
        json!({"id": "2", "tags": [], "lines": [{"qty": 1.5}]}),
    ];

    let shape = RecordShape::from_samples(&samples).unwrap();

    assert_eq!(
        paths(&shape),
        [("id", true), ("lines[].qty", false), ("lines[].sku", false), ("tags[]", false)]
    );
    assert_eq!(shape.leaf("id").unwrap().kinds, BTreeSet::from([LeafKind::Text, LeafKind::Integer]));
}

#[test]
fn odd_names_are_quoted() {
    assert_eq!(child("a", "customer.name"), "a['customer.name']");
    assert_eq!(child("", "o'clock"), "['o\\'clock']");
}

proptest! {
    #[test]
    fn no_schema_panics(text in "[{}\\[\\]\",:a-z$#/0-9]{0,80}") {
        if let Ok(schema) = serde_json::from_str::<Value>(&text) {
            // Whether it is a schema is of no interest here.
            let _ = RecordShape::from_schema(&schema);
        }
    }
}
