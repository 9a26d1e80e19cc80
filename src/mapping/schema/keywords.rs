//! From a JSON Schema to leaves: keyword by keyword, through `$ref` and alternatives.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::mapping::schema::model::{
    DEEPEST, LEAVES, LONGEST_PATH, Leaf, LeafKind, RecordShape, UnreadableSchema, child,
};

impl RecordShape {
    /// The leaves that a JSON Schema describes.
    ///
    /// # Errors
    /// A `$ref` leads nowhere, or the schema is too large or nested without an end.
    pub fn from_schema(schema: &Value) -> Result<Self, UnreadableSchema> {
        let mut walk = Walk { root: schema, shape: Self::default() };
        walk.visit(schema, &Place { path: String::new(), pointer: "#".to_owned(), required: true }, 0)?;
        Ok(walk.shape)
    }
}

struct Walk<'a> {
    root: &'a Value,
    shape: RecordShape,
}

/// Where in the record, and where in the schema, the walk stands.
#[derive(Clone)]
struct Place {
    path: String,
    pointer: String,
    required: bool,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, schema: &'a Value, place: &Place, depth: usize) -> Result<(), UnreadableSchema> {
        if depth > DEEPEST || self.shape.leaves.len() > LEAVES || place.path.len() > LONGEST_PATH {
            return Err(UnreadableSchema::TooLarge);
        }
        if let Value::Bool(allowed) = schema {
            if *allowed {
                self.shape.open.insert(place.path.clone());
                self.leaf(place);
            }
            return Ok(());
        }
        let Value::Object(keywords) = schema else {
            return Err(UnreadableSchema::NotASchema { at: place.pointer.clone() });
        };
        if let Some(target) = keywords.get("$ref") {
            let target = target.as_str().and_then(|target| target.strip_prefix('#'));
            let found = target.and_then(|pointer| self.root.pointer(pointer));
            let found = found.ok_or_else(|| UnreadableSchema::Ref { at: place.pointer.clone() })?;
            self.visit(found, place, depth + 1)?;
        }
        let mut nullable = keywords.get("nullable").and_then(Value::as_bool).unwrap_or(false);
        for keyword in ["oneOf", "anyOf", "allOf"] {
            let Some(Value::Array(parts)) = keywords.get(keyword) else { continue };
            let real: Vec<_> = parts.iter().filter(|part| !is_null_schema(part)).collect();
            nullable |= keyword != "allOf" && real.len() < parts.len();
            // What only one of several alternatives asks for is not required.
            let required = place.required && (keyword == "allOf" || real.len() == 1);
            for (index, part) in real.into_iter().enumerate() {
                let pointer = format!("{}/{keyword}/{index}", place.pointer);
                self.visit(part, &Place { path: place.path.clone(), pointer, required }, depth + 1)?;
            }
        }
        let (kinds, null_named) = named_kinds(keywords.get("type"));
        nullable |= null_named;
        if let Some(Value::Object(properties)) = keywords.get("properties") {
            self.object(keywords, properties, place, depth)?;
        } else if let Some(items) = keywords.get("items") {
            if !place.path.is_empty() {
                self.shape.inner.insert(place.path.clone());
            }
            let inner = Place {
                path: format!("{}[]", place.path),
                pointer: format!("{}/items", place.pointer),
                // Elements are as required as the list: where there is no list, nothing is missing from its elements.
                required: place.required,
            };
            self.visit(items, &inner, depth + 1)?;
        } else if !self.is_described_elsewhere(keywords) {
            self.leaf(place);
        }
        self.describe(keywords, &kinds, nullable, place);
        Ok(())
    }

    fn object(
        &mut self,
        keywords: &'a serde_json::Map<String, Value>,
        properties: &'a serde_json::Map<String, Value>,
        place: &Place,
        depth: usize,
    ) -> Result<(), UnreadableSchema> {
        if !place.path.is_empty() {
            self.shape.inner.insert(place.path.clone());
        }
        let required: BTreeSet<_> = keywords
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in properties {
            let inner = Place {
                path: child(&place.path, name),
                pointer: format!(
                    "{}/properties/{}",
                    place.pointer,
                    name.replace('~', "~0").replace('/', "~1")
                ),
                required: place.required && required.contains(name.as_str()),
            };
            self.visit(property, &inner, depth + 1)?;
        }
        if matches!(keywords.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_))) {
            self.shape.open.insert(place.path.clone());
        }
        Ok(())
    }

    fn is_described_elsewhere(&self, keywords: &serde_json::Map<String, Value>) -> bool {
        ["$ref", "oneOf", "anyOf", "allOf"].iter().any(|keyword| keywords.contains_key(*keyword))
    }

    fn leaf(&mut self, place: &Place) {
        let leaf = self.shape.leaves.entry(place.path.clone()).or_insert_with(|| Leaf {
            path: place.path.clone(),
            required: place.required,
            ..Leaf::default()
        });
        leaf.required |= place.required;
    }

    fn describe(
        &mut self,
        keywords: &serde_json::Map<String, Value>,
        kinds: &BTreeSet<LeafKind>,
        nullable: bool,
        place: &Place,
    ) {
        if kinds.contains(&LeafKind::Object) || kinds.contains(&LeafKind::List) {
            let known = keywords.contains_key("properties") || keywords.contains_key("items");
            if !known && !self.is_described_elsewhere(keywords) {
                self.shape.open.insert(place.path.clone());
            }
        }
        let Some(leaf) = self.shape.leaves.get_mut(&place.path) else { return };
        leaf.nullable |= nullable;
        leaf.kinds.extend(kinds);
        let listed = keywords.get("enum").and_then(Value::as_array).cloned();
        if let Some(values) = listed.or_else(|| keywords.get("const").map(|value| vec![value.clone()])) {
            leaf.nullable |= values.contains(&Value::Null);
            leaf.allowed.get_or_insert_default().extend(values);
        }
        if let Some(format) = keywords.get("format").and_then(Value::as_str) {
            leaf.format = Some(format.to_owned());
        }
        let length = |name| keywords.get(name).and_then(Value::as_u64);
        leaf.min_length = length("minLength").or(leaf.min_length);
        leaf.max_length = length("maxLength").or(leaf.max_length);
        let bound = |name| keywords.get(name).filter(|bound| bound.is_number()).map(Value::to_string);
        leaf.minimum = bound("minimum").or_else(|| leaf.minimum.take());
        leaf.maximum = bound("maximum").or_else(|| leaf.maximum.take());
    }
}

fn named_kinds(types: Option<&Value>) -> (BTreeSet<LeafKind>, bool) {
    let names: Vec<&str> = match types {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    (names.iter().filter_map(|name| LeafKind::named(name)).collect(), names.contains(&"null"))
}

fn is_null_schema(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null") || schema.get("const").is_some_and(Value::is_null)
}
