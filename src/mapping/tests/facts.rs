//! What is known before a mapping runs, and what a batch asks the host for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::mapping::tests::document;
use crate::mapping::{
    BuiltinEngine, CompileEnv, CompiledMapping, Facts, HostData, LetterCase, LookupTable, MappingEngine,
    MappingFacts, MappingSpec, Payload, RunCx, XrefSide,
};

fn mapping() -> Arc<dyn CompiledMapping> {
    let mut document = document(json!([
        {"to": "no", "from": "id", "steps": [{"op": "xref", "system": "shop", "entity": "order"}]},
        {"to": "to.country", "from": "address.country", "when": {"present": "address"},
         "steps": [{"op": "table", "name": "country", "key": "a", "value": "b"}]},
        {"to": "sum", "from": "total", "steps": [{"op": "decimal"}, {"op": "minor_units", "currency": "currency"}]},
        {"to": "house", "ctx": "warehouse"},
        {"to": "lines", "each": "items", "keep": {"when": {"path": "qty", "gt": 0}}, "fields": [
            {"to": "item", "from": "sku",
             "steps": [{"op": "upper"}, {"op": "table", "name": "sku", "key": "shop", "value": "erp"},
                       {"op": "table", "name": "bin", "key": "item", "value": "bin"}]},
            {"to": "of", "expr": "$table('sku', set.sku) & $$.id"}
        ]}
    ]));
    document["tables"] = json!({
        "country": {"columns": ["a", "b"], "rows": [["US", "USA"]]},
        "sku": {"ref": "host:sku_xref", "columns": ["shop", "erp"]},
        "bin": {"ref": "host:bins", "columns": ["item", "bin"]}
    });
    document["context"] = json!({"warehouse": {}});
    let spec = MappingSpec::parse(&document.to_string()).expect("a document");
    BuiltinEngine.compile(&spec, &CompileEnv::default()).expect("it compiles")
}

fn facts() -> MappingFacts {
    match mapping().facts() {
        Facts::Known(facts) => facts,
        Facts::Opaque => panic!("documents can be looked into"),
    }
}

#[test]
fn what_is_read_written_and_looked_up_is_known() {
    let facts = facts();

    let reads: Vec<_> = facts.reads.iter().map(String::as_str).collect();
    assert_eq!(
        reads,
        [
            "address",
            "address.country",
            "currency",
            "id",
            "items[].qty",
            "items[].set.sku",
            "items[].sku",
            "total"
        ]
    );
    let writes: Vec<_> = facts.writes.iter().map(String::as_str).collect();
    assert_eq!(writes, ["house", "lines", "lines[].item", "lines[].of", "no", "sum", "to.country"]);
    let tables: Vec<_> = facts
        .tables
        .iter()
        .map(|table| {
            let keys: Vec<_> = table.keys.iter().map(String::as_str).collect();
            format!("{} {} {}", table.host.as_deref().unwrap_or("-"), table.key, keys.join(","))
        })
        .collect();
    assert_eq!(
        tables,
        [
            "- a address.country",
            "sku_xref shop items[].sku",
            "bins item items[].sku",
            "sku_xref shop id,items[].set.sku"
        ]
    );
    assert!(facts.identities.contains(&("shop".to_owned(), "order".to_owned())));
    assert!(facts.context.contains("warehouse"));
}

#[test]
fn a_batch_tells_its_keys_each_once_and_those_behind_them_in_a_second_round() {
    let mapping = mapping();
    let records = [
        json!({"id": 7, "items": [{"sku": "a-1", "qty": 1, "set": {"sku": "s"}}, {"sku": "b-2", "qty": 0}]}),
        json!({"id": 8, "address": {"country": "US"}, "items": [{"sku": "A-1", "qty": 2}]}),
    ];
    let mut batch: Vec<Payload<'_>> = records.iter().map(Payload::Value).collect();
    batch.push(Payload::Bytes(b"no JSON"));

    let asked = mapping.collect_keys(&batch, &RunCx::default());

    // What `keep` leaves out asks for nothing, and a table in the document is not the host's.
    assert_eq!(asked.of_table("sku_xref", "shop").collect::<Vec<_>>(), ["A-1", "s"]);
    assert_eq!(asked.of_table("bins", "item").count(), 0);
    assert_eq!(asked.of_identity("shop", "order", XrefSide::Internal).collect::<Vec<_>>(), ["7", "8"]);
    assert_eq!(asked.tables.len(), 1);
    assert!(!format!("{asked:?}").contains("A-1"));

    let rows = vec![vec![json!("A-1"), Value::from(100)], vec![json!("s"), Value::from(200)]];
    let table = LookupTable::new(["shop", "erp"], rows, LetterCase::Sensitive).expect("it fits");
    let data = HostData::new().with_table("sku_xref", Arc::new(table));
    let asked = mapping.collect_keys(&batch, &RunCx::new(&data));

    assert_eq!(asked.of_table("bins", "item").collect::<Vec<_>>(), ["100"]);
}

#[test]
fn a_compiled_mapping_previews_itself_and_promises_all() {
    let mapping = mapping();

    let preview =
        mapping.preview(Payload::Value(&json!({"total": "1.50", "currency": "EUR"})), &RunCx::default());

    assert_eq!(preview.output.as_deref(), Some(r#"{"sum":150}"#));
    assert_eq!(preview.fields.len(), 5);
    let caps = mapping.capabilities();
    assert!(caps.exact_numbers && caps.traceable && caps.reversible && caps.bounded && caps.tenant_safe);
}
