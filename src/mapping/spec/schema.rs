//! The JSON Schema of documents, made from the types that read them.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::mapping::spec::described::Described;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::overlay::Overlay;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| of::<MappingSpec>("A mapping"));
static OVERLAY: LazyLock<Value> = LazyLock::new(|| of::<Overlay>("An overlay of a mapping"));

impl MappingSpec {
    /// The JSON Schema (2020-12) of documents: for editors, for forms, for whoever writes documents.
    ///
    /// It is made from the types that read documents; `docs/mapping.schema.json` is the same.
    pub fn json_schema() -> &'static Value {
        &DOCUMENT
    }
}

impl Overlay {
    /// The JSON Schema (2020-12) of overlays.
    pub fn json_schema() -> &'static Value {
        &OVERLAY
    }
}

fn of<T: Described>(title: &str) -> Value {
    let mut definitions = Map::new();
    let root = T::schema(&mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": root["$ref"],
        "$defs": definitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_schema_is_the_one_of_the_types() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mapping.schema.json");
        if std::env::var_os("CROSSDOCK_WRITE_SCHEMA").is_some() {
            let text = format!("{:#}\n", sorted(MappingSpec::json_schema().clone()));
            std::fs::write(shipped, text).expect("the schema can be written");
        }

        let text = std::fs::read_to_string(shipped).expect("the schema is shipped");
        let shipped: Value = serde_json::from_str(&text).expect("the shipped schema is JSON");

        assert_eq!(&shipped, MappingSpec::json_schema(), "run the test with CROSSDOCK_WRITE_SCHEMA=1");
    }

    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> =
                    members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(members.into_iter().collect())
            }
            Value::Array(items) => items.into_iter().map(sorted).collect(),
            other => other,
        }
    }
}
