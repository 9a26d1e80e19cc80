//! Whether a document has the shape that its schema says: all deviations at once, each with its place and a suggestion.

use serde_json::{Map, Value};

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::plan::compile::escape;

/// Adds everything that deviates. As deep as the document, which serde_json has bounded.
pub(super) fn check(value: &Value, schema: &Value, found: &mut Diagnostics) {
    let definitions = schema["$defs"].as_object();
    Checker { definitions, found }.value(value, schema, String::new());
}

struct Checker<'s, 'f> {
    definitions: Option<&'s Map<String, Value>>,
    found: &'f mut Diagnostics,
}

/// More would not be read.
const MOST: usize = 200;

impl<'s> Checker<'s, '_> {
    fn add(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < MOST {
            self.found.add(diagnostic);
        }
    }

    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions?.get(name)).unwrap_or(schema)
    }

    fn value(&mut self, value: &Value, schema: &'s Value, pointer: String) {
        let schema = self.resolve(schema);
        if let Some(variants) = schema["oneOf"].as_array() {
            return self.step(value, variants, pointer);
        }
        if let Some(variants) = schema["anyOf"].as_array() {
            return self.any(value, variants, pointer);
        }
        let words = schema["enum"].as_array().map_or(&[][..], Vec::as_slice);
        let words: Vec<&str> = words.iter().chain(schema.get("const")).filter_map(Value::as_str).collect();
        if !words.is_empty() {
            return self.word(value, &words, pointer);
        }
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(members)) => self.object(members, schema, pointer),
            (Some("array"), Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.value(item, &schema["items"], format!("{pointer}/{at}"));
                }
            }
            (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("number"), Value::Number(_)) => {}
            (Some("integer"), Value::Number(number)) => {
                let whole = number.as_i64().is_some() || number.as_u64().is_some();
                let negative = number.as_i64().is_some_and(|number| number < 0);
                if !whole || (negative && schema["minimum"] == 0) {
                    let wanted = if schema["minimum"] == 0 {
                        "a whole number, not below zero"
                    } else {
                        "a whole number"
                    };
                    self.add(Diagnostic::error("E-VALUE", pointer, format!("expected {wanted}")));
                }
            }
            (Some(wanted), other) => {
                let message = format!("expected {}, found {}", in_words(wanted), kind(other));
                self.add(Diagnostic::error("E-VALUE", pointer, message));
            }
        }
    }

    fn object(&mut self, members: &Map<String, Value>, schema: &'s Value, pointer: String) {
        let empty = Map::new();
        let properties = schema["properties"].as_object();
        for (name, member) in members {
            let place = format!("{pointer}/{}", escape(name));
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.value(member, property, place),
                None if schema["additionalProperties"].is_object() => {
                    self.value(member, &schema["additionalProperties"], place);
                }
                None => {
                    let known = properties.unwrap_or(&empty).keys().map(String::as_str);
                    let message = format!("`{name}` is not a key of this object");
                    self.add(Diagnostic::error("E-KEY", place, message).with_nearest(name, known));
                }
            }
        }
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for name in required.iter().filter_map(Value::as_str).filter(|name| !members.contains_key(*name)) {
            self.add(Diagnostic::error("E-KEY-MISSING", pointer.clone(), format!("`{name}` is missing")));
        }
    }

    fn word(&mut self, value: &Value, words: &[&str], pointer: String) {
        let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        match value {
            Value::String(word) if words.contains(&word.as_str()) => {}
            Value::String(word) => {
                let found = Diagnostic::error("E-WORD", pointer, format!("`{word}` is none of {list}"));
                self.add(found.with_nearest(word, words.iter().copied()));
            }
            other => {
                let message = format!("expected one of {list}, found {}", kind(other));
                self.add(Diagnostic::error("E-WORD", pointer, message));
            }
        }
    }

    /// A step is of the variant that its `op` names.
    fn step(&mut self, value: &Value, variants: &'s [Value], pointer: String) {
        let Value::Object(members) = value else {
            let message = format!("a step is an object with `op`, found {}", kind(value));
            return self.add(Diagnostic::error("E-VALUE", pointer, message));
        };
        let Some(op) = members.get("op") else {
            return self.add(Diagnostic::error("E-KEY-MISSING", pointer, "`op` is missing"));
        };
        match variants.iter().find(|variant| variant["properties"]["op"]["const"] == *op) {
            Some(variant) => self.object(members, variant, pointer),
            None => {
                let known =
                    variants.iter().filter_map(|variant| variant["properties"]["op"]["const"].as_str());
                let name = op.as_str().unwrap_or_default();
                let message = match op {
                    Value::String(name) => format!("there is no operation `{name}`"),
                    _ => "`op` is the name of an operation".to_owned(),
                };
                self.add(
                    Diagnostic::error("E-OP", format!("{pointer}/op"), message).with_nearest(name, known),
                );
            }
        }
    }

    /// The variant that fits the kind of the value.
    fn any(&mut self, value: &Value, variants: &'s [Value], pointer: String) {
        let fits = |schema: &Value| {
            let words = schema["enum"].is_array() && value.is_string();
            let typed = match schema["type"].as_str() {
                Some("object") => value.is_object(),
                Some("string") => value.is_string(),
                Some("number") => value.is_number(),
                _ => false,
            };
            words || typed
        };
        match variants.iter().map(|variant| self.resolve(variant)).find(|schema| fits(schema)) {
            Some(schema) => self.value(value, schema, pointer),
            None => {
                let message = format!("{} cannot stand here", kind(value));
                self.add(Diagnostic::error("E-VALUE", pointer, message));
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn in_words(wanted: &str) -> &'static str {
    match wanted {
        "object" => "an object",
        "array" => "a list",
        "string" => "text",
        "boolean" => "true or false",
        _ => "a number",
    }
}
