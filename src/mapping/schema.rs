//! What a JSON Schema, or a number of samples, says about a record: its leaves.
//!
//! Of JSON Schema this reads what mappings need: `type`, `properties`, `required`, `items`, `enum`, `const`, `format`,
//! `minLength`/`maxLength`, `minimum`/`maximum`, `oneOf`/`anyOf` (for "or null" and for alternatives), `allOf`, and `$ref` into the same document.
//! Everything else is passed over: this is no validator.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::mapping::path::TargetPath;

/// The leaves of a record, by path.
///
/// ```
/// use crossdock::mapping::RecordShape;
/// use serde_json::json;
///
/// let shape = RecordShape::from_schema(&json!({
///     "type": "object",
///     "required": ["id", "lines"],
///     "properties": {
///         "id": {"type": "string"},
///         "note": {"type": ["string", "null"]},
///         "lines": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}},
///     },
/// }))?;
///
/// let required: Vec<_> = shape.leaves().filter(|leaf| leaf.required).map(|leaf| leaf.path.as_str()).collect();
/// assert_eq!(required, ["id", "lines[].sku"]);
/// # Ok::<(), crossdock::mapping::UnreadableSchema>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecordShape {
    leaves: BTreeMap<String, Leaf>,
    /// Objects and arrays of objects on the way to leaves.
    inner: BTreeSet<String>,
    /// Where anything may stand: objects and lists about which nothing is said.
    open: BTreeSet<String>,
}

/// One value of a record that is neither an object with known members nor a list of such.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Leaf {
    /// Where it stands: `shipTo.city`, `lines[].sku`, `tags[]`; a name with other signs in it is written `['customer.name']`.
    pub path: String,
    /// Which kinds of value it may have; empty if nothing is said.
    pub kinds: BTreeSet<LeafKind>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether every valid record has it, as far as the lists on the way have elements.
    pub required: bool,
    /// The only values that it may have, if they are listed.
    pub allowed: Option<Vec<Value>>,
    /// A `format`, such as `date`.
    pub format: Option<String>,
    /// Shortest text.
    pub min_length: Option<u64>,
    /// Longest text.
    pub max_length: Option<u64>,
    /// Least number, as it is written.
    pub minimum: Option<String>,
    /// Greatest number, as it is written.
    pub maximum: Option<String>,
}

/// A kind of JSON value at a leaf.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum LeafKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list about whose elements nothing is said, or a list of leaves' own place.
    List,
    /// An object about whose members nothing is said.
    Object,
}

/// Why a schema's leaves cannot be listed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableSchema {
    /// A `$ref` leads out of the document or to nothing.
    #[error("`$ref` at {at} does not lead to a place in the same document")]
    Ref {
        /// Where it stands, as a JSON Pointer.
        at: String,
    },
    /// More leaves than fit, or nested without an end.
    #[error(
        "the schema has more than {LEAVES} fields, is nested more than {DEEPEST} levels deep, or has a path of more than \
         {LONGEST_PATH} bytes"
    )]
    TooLarge,
    /// A schema is an object, `true` or `false`.
    #[error("what stands at {at} is not a schema")]
    NotASchema {
        /// Where it stands, as a JSON Pointer.
        at: String,
    },
}

impl LeafKind {
    /// The kind as JSON Schema calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "array",
            Self::Object => "object",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Text, Self::Integer, Self::Number, Self::Boolean, Self::List, Self::Object]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

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

    /// The leaves that samples have: the union, and required is what all of them have.
    ///
    /// # Errors
    /// There are too many leaves, or they are nested too deeply.
    pub fn from_samples<'a>(samples: impl IntoIterator<Item = &'a Value>) -> Result<Self, UnreadableSchema> {
        let mut shape = Self::default();
        let mut count = 0_usize;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for sample in samples {
            count += 1;
            let mut present = BTreeSet::new();
            shape.take_in(sample, String::new(), &mut present, 0)?;
            for path in present {
                *seen.entry(path).or_default() += 1;
            }
        }
        for (path, leaf) in &mut shape.leaves {
            leaf.required = seen.get(path) == Some(&count);
        }
        // A leaf that is elsewhere an object is no leaf.
        let inner = shape.inner.clone();
        shape.leaves.retain(|path, _| !inner.contains(path));
        Ok(shape)
    }

    /// All leaves, by path.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.values()
    }

    /// The leaf at this path.
    pub fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.get(path)
    }

    /// Whether a record may have something at this path: a leaf, something on the way to one, or anything below what is open.
    pub fn may_have(&self, path: &str) -> bool {
        self.leaves.contains_key(path)
            || self.inner.contains(path)
            || self.open.iter().any(|open| open == path || is_below(path, open))
    }

    /// Whether a record may have an object with known members, or a list, at this path.
    pub(crate) fn leads_on(&self, path: &str) -> bool {
        path.is_empty() || self.inner.contains(path)
    }

    /// Every path that has a meaning of its own: leaves and what lies on the way to them. For suggestions.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().chain(&self.inner).map(String::as_str)
    }

    fn take_in(
        &mut self,
        value: &Value,
        path: String,
        present: &mut BTreeSet<String>,
        depth: usize,
    ) -> Result<(), UnreadableSchema> {
        if depth > DEEPEST || self.leaves.len() > LEAVES || path.len() > LONGEST_PATH {
            return Err(UnreadableSchema::TooLarge);
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                if !path.is_empty() {
                    self.inner.insert(path.clone());
                }
                for (name, member) in members {
                    self.take_in(member, child(&path, name), present, depth + 1)?;
                }
            }
            Value::Array(items) if !items.is_empty() => {
                self.inner.insert(path.clone());
                for item in items {
                    self.take_in(item, format!("{path}[]"), present, depth + 1)?;
                }
            }
            value => {
                present.insert(path.clone());
                let leaf =
                    self.leaves.entry(path.clone()).or_insert_with(|| Leaf { path, ..Leaf::default() });
                match kind_of(value) {
                    Some(kind) => {
                        leaf.kinds.insert(kind);
                    }
                    None => leaf.nullable = true,
                }
            }
        }
        Ok(())
    }
}

/// Whether one path lies below another: `a.b`, `a[]`, `a['b c']` below `a`.
pub(crate) fn is_below(path: &str, other: &str) -> bool {
    other.is_empty() || path.strip_prefix(other).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// A member's path; names that are not plain are quoted, as in target paths.
pub(crate) fn child(path: &str, name: &str) -> String {
    let name = TargetPath { names: vec![name.to_owned()] }.to_string();
    if path.is_empty() || name.starts_with('[') { format!("{path}{name}") } else { format!("{path}.{name}") }
}

fn kind_of(value: &Value) -> Option<LeafKind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(LeafKind::Boolean),
        Value::Number(number) if number.is_f64() => Some(LeafKind::Number),
        Value::Number(_) => Some(LeafKind::Integer),
        Value::String(_) => Some(LeafKind::Text),
        Value::Array(_) => Some(LeafKind::List),
        Value::Object(_) => Some(LeafKind::Object),
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

/// Bytes of the path of one leaf: it is repeated in all that lies below.
const LONGEST_PATH: usize = 4_096;
const LEAVES: usize = 20_000;
const DEEPEST: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

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
}
