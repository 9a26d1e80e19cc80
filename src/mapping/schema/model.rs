//! The leaves of a record, and what is asked of them.

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
    pub(super) leaves: BTreeMap<String, Leaf>,
    /// Objects and arrays of objects on the way to leaves.
    pub(super) inner: BTreeSet<String>,
    /// Where anything may stand: objects and lists about which nothing is said.
    pub(super) open: BTreeSet<String>,
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

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Text, Self::Integer, Self::Number, Self::Boolean, Self::List, Self::Object]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl RecordShape {
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

/// Bytes of the path of one leaf: it is repeated in all that lies below.
pub(super) const LONGEST_PATH: usize = 4_096;
pub(super) const LEAVES: usize = 20_000;
pub(super) const DEEPEST: usize = 64;
