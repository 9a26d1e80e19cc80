//! Documents in, records through, as a host uses the slice.

mod diagnostics;
mod facts;
mod fuzz;
mod hostile;
mod memory;
mod operations;
mod rules;
mod typing;

use serde_json::{Value, json};

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::sink::tree;
use crate::mapping::source::scan::Scanner;
use crate::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, Payload, RunCx};

/// The output by all four ways through the engine, which must agree; or the code of the error.
pub(crate) fn outcome(document: &Value, input: &Value) -> Result<Value, String> {
    outcome_with(document, input, &RunCx::default())
}

pub(crate) fn outcome_with(document: &Value, input: &Value, cx: &RunCx<'_>) -> Result<Value, String> {
    let spec = MappingSpec::parse(&document.to_string()).map_err(|found| found.to_string())?;
    let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default()).map_err(|found| found.to_string())?;
    let text = input.to_string();
    let mut results = Vec::new();
    for payload in [Payload::Bytes(text.as_bytes()), Payload::Value(input)] {
        let mut out = b"before".to_vec();
        let bytes = mapping.run(payload, cx, &mut out);
        let memory = mapping.run_to_value(payload, cx);
        match (bytes.map(|_| read(&out[6..])), &memory) {
            // What memory cannot hold is refused by the other sink, too: the record, or the field alone if its rule says so.
            (Ok(Err(failure)), _) => {
                let refused = match &memory {
                    Err(error) => error.code == failure.code,
                    Ok((_, report)) => report.failed_fields.iter().any(|field| field.code == failure.code),
                };
                assert!(refused, "{memory:?}");
                results.push(Err(failure.code.to_owned()));
                continue;
            }
            (Ok(Ok(value)), _) => results.push(Ok(value)),
            (Err(_), Err(refused))
                if refused.code == NO_ROOM && is_first_refused(document, payload, cx, &refused.target) =>
            {
                assert_eq!(out, b"before", "a run that failed leaves nothing");
                // Bytes hold the number, and have gone on to what fails behind it.
                results.push(Err(NO_ROOM.to_owned()));
                continue;
            }
            (Err(error), _) => {
                assert_eq!(out, b"before", "a run that failed leaves nothing");
                results.push(Err(error.to_string()));
            }
        }
        results.push(memory.map(|(value, _)| value).map_err(|error| error.to_string()));
    }
    for result in &results {
        assert_eq!(*result, results[0]);
    }
    results.swap_remove(0)
}

/// The code of a number that memory cannot hold.
const NO_ROOM: &str = "E-NUMBER-MEMORY";

/// An output. Not by serde_json, which may read a neighbour of a float.
fn read(out: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(out).expect("the output is text");
    serde_json::from_str::<serde::de::IgnoredAny>(text).expect("the output is JSON");
    tree(&mut Scanner::new(text))
}

/// Whether memory refuses a number of this field, and bytes get as far.
fn is_first_refused(document: &Value, payload: Payload<'_>, cx: &RunCx<'_>, target: &str) -> bool {
    let mut document = document.clone();
    let fields = document["fields"].as_array_mut().expect("rules");
    let is_of = |field: &Value| field["to"].as_str().is_some_and(|to| target.starts_with(to));
    let last = fields.iter().position(is_of).expect("a field of the document");
    fields.truncate(last + 1);
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default()).expect("a mapping");
    let mut out = Vec::new();
    mapping.run(payload, cx, &mut out).is_ok() && read(&out).is_err_and(|failure| failure.code == NO_ROOM)
}

/// A document of these rules.
pub(crate) fn document(fields: Value) -> Value {
    json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields})
}

#[test]
fn the_example_of_the_design_runs() {
    let document: Value = serde_json::from_str(include_str!("tests/order.json")).expect("a document");
    let input = json!({
        "id": 450789469123456789_u64, "created_at": "2026-02-03T23:30:00-05:00", "currency": "EUR",
        "shipping_address": {"country_code": "US"},
        "customer": {"first_name": "Ada", "last_name": "Lovelace", "email": "ADA@Example.com"},
        "cancelled_at": null, "fulfillment_status": "fulfilled", "total_price": "199.90",
        "note_attributes": [{"name": "gift", "value": "no"}, {"name": "vat_id", "value": "DE1"}],
        "line_items": [
            {"id": 1, "quantity": 3, "price": "19.99"},
            {"id": 2, "quantity": 0, "price": "1.00"},
            {"id": 3, "quantity": 1, "price": "5.00"}
        ]
    });

    let output = outcome(&document, &input).expect("it runs");

    assert_eq!(
        output,
        json!({
            "externalId": "SHOP-450789469123456789", "orderDate": "20260203", "shipTo": {"countryIso3": "USA"},
            "billEmail": "ada@example.com", "customer": {"fullName": "Ada Lovelace"}, "status": "SHIPPED",
            "totals": {"gross": 19990}, "vatId": "DE1",
            "lines": [
                {"sourceLineId": 1, "lineNo": 10, "currency": "EUR", "qty": 3, "lineTotal": 19.99},
                {"sourceLineId": 3, "lineNo": 20, "currency": "EUR", "qty": 1, "lineTotal": 1.67}
            ]
        })
    );
}

#[test]
fn bytes_go_on_behind_a_number_that_memory_refuses() {
    let document = document(json!([
        {"to": "large", "from": "n", "steps": [{"op": "mul", "by": 2}]},
        {"to": "rows", "from": "n", "steps": [{"op": "each", "steps": [{"op": "string"}]}]}
    ]));

    let refused = outcome(&document, &json!({"n": -4611686018427387905_i64}));
    let failed = outcome(&document, &json!({"n": 2}));

    assert_eq!(refused, Err("E-NUMBER-MEMORY".to_owned()));
    let error = failed.expect_err("a number is no list");
    assert!(error.contains("`rows` from `n`, step 1 (each): E-TYPE"), "{error}");
}

#[test]
fn a_number_that_memory_refuses_may_fail_alone() {
    let document = document(json!([
        {"to": "large", "from": "n", "steps": [{"op": "mul", "by": 2}], "on_error": "fail_field"},
        {"to": "small", "from": "n"}
    ]));

    let refused = outcome(&document, &json!({"n": -4611686018427387905_i64}));

    assert_eq!(refused, Err("E-NUMBER-MEMORY".to_owned()));
}
