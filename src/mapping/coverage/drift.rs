//! What a new version of a schema means for a mapping.

use std::fmt;

use crate::mapping::coverage::reach::Reach;
use crate::mapping::schema::{Leaf, RecordShape, is_below};
use crate::mapping::spec::document::MappingSpec;

/// What a side was and what it is now.
#[derive(Clone, Copy, Debug)]
pub struct Shapes<'a> {
    /// What it was.
    pub old: &'a RecordShape,
    /// What it is now.
    pub new: &'a RecordShape,
}

/// What happened to a field of a schema.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DriftKind {
    /// The source no longer has it, and a rule reads it.
    ReadVanished,
    /// The target no longer has it, and a rule writes it.
    WriteVanished,
    /// The target requires it, and no rule writes it.
    NewlyRequired,
    /// It has another type.
    TypeChanged {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// It may be null now, and a rule reads it.
    NowNullable,
    /// It may not be null any more, and a rule writes it.
    NoLongerNullable,
    /// It may be missing now, and a rule reads it.
    NowOptional,
    /// The target takes less than before: other values, shorter texts, a smaller range.
    Narrowed(String),
}

/// One thing that a reviewer of the mapping should look at.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drift {
    /// The field.
    pub path: String,
    /// What happened to it.
    pub kind: DriftKind,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            DriftKind::ReadVanished => write!(f, "{path} is read, and the source no longer has it"),
            DriftKind::WriteVanished => write!(f, "{path} is written, and the target no longer has it"),
            DriftKind::NewlyRequired => write!(f, "{path} is required now, and no rule writes it"),
            DriftKind::TypeChanged { old, new } => write!(f, "{path} was {old} and is {new} now"),
            DriftKind::NowNullable => write!(f, "{path} may be null now"),
            DriftKind::NoLongerNullable => write!(f, "{path} may not be null any more"),
            DriftKind::NowOptional => write!(f, "{path} may be missing now"),
            DriftKind::Narrowed(how) => write!(f, "{path} takes less now: {how}"),
        }
    }
}

/// What new versions of the schemas mean for a mapping; what no rule touches is passed over.
///
/// ```
/// use crossdock::mapping::{MappingSpec, RecordShape, Shapes, drift};
/// use serde_json::json;
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[{"to":"no","from":"id"}]}"#)?;
/// let old = RecordShape::from_schema(&json!({"properties": {"id": {"type": "integer"}}}))?;
/// let new = RecordShape::from_schema(&json!({"properties": {"id": {"type": "string"}, "name": {}}}))?;
///
/// let found = drift(&spec, Some(Shapes { old: &old, new: &new }), None);
///
/// assert_eq!(found[0].to_string(), "id was integer and is string now");
/// assert_eq!(found.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn drift(spec: &MappingSpec, source: Option<Shapes<'_>>, target: Option<Shapes<'_>>) -> Vec<Drift> {
    let reach = Reach::of(spec);
    let mut found = Vec::new();
    let mut add = |path: &str, kind: DriftKind| found.push(Drift { path: path.to_owned(), kind });
    if let Some(Shapes { old, new }) = source {
        for path in reach.reads.iter().chain(&reach.lists) {
            if old.may_have(path) && !new.may_have(path) {
                add(path, DriftKind::ReadVanished);
            }
        }
        let is_read =
            |leaf: &&Leaf| reach.reads.iter().any(|read| *read == leaf.path || is_below(&leaf.path, read));
        for leaf in old.leaves().filter(is_read) {
            let Some(now) = new.leaf(&leaf.path) else { continue };
            if leaf.kinds != now.kinds {
                add(&leaf.path, DriftKind::TypeChanged { old: kinds(leaf), new: kinds(now) });
            }
            if !leaf.nullable && now.nullable {
                add(&leaf.path, DriftKind::NowNullable);
            }
            if leaf.required && !now.required {
                add(&leaf.path, DriftKind::NowOptional);
            }
        }
    }
    if let Some(Shapes { old, new }) = target {
        let writes = |path: &str| {
            reach.writes.iter().any(|write| {
                write.path == path || (write.field.each.is_none() && is_below(path, &write.path))
            })
        };
        for write in &reach.writes {
            if old.may_have(&write.path) && !new.may_have(&write.path) {
                add(&write.path, DriftKind::WriteVanished);
            }
        }
        for leaf in new.leaves() {
            let before = old.leaf(&leaf.path);
            let is_written = writes(&leaf.path);
            if leaf.required && !is_written && !before.is_some_and(|before| before.required) {
                add(&leaf.path, DriftKind::NewlyRequired);
            }
            let (Some(before), true) = (before, is_written) else { continue };
            if before.kinds != leaf.kinds {
                add(&leaf.path, DriftKind::TypeChanged { old: kinds(before), new: kinds(leaf) });
            }
            if before.nullable && !leaf.nullable {
                add(&leaf.path, DriftKind::NoLongerNullable);
            }
            for how in narrowed(before, leaf) {
                add(&leaf.path, DriftKind::Narrowed(how));
            }
        }
    }
    found
}

fn kinds(leaf: &Leaf) -> String {
    if leaf.kinds.is_empty() {
        return "anything".to_owned();
    }
    leaf.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ")
}

fn narrowed(before: &Leaf, now: &Leaf) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(allowed) = &now.allowed {
        match &before.allowed {
            None => found.push("only listed values".to_owned()),
            Some(old) => {
                let gone: Vec<_> =
                    old.iter().filter(|value| !allowed.contains(value)).map(ToString::to_string).collect();
                if !gone.is_empty() {
                    found.push(format!("no longer {}", gone.join(", ")));
                }
            }
        }
    }
    if let Some(max) = now.max_length.filter(|max| before.max_length.is_none_or(|old| *max < old)) {
        found.push(format!("at most {max} characters"));
    }
    if let Some(min) = now.min_length.filter(|min| before.min_length.is_none_or(|old| *min > old)) {
        found.push(format!("at least {min} characters"));
    }
    for (word, old, new) in [
        ("minimum", &before.minimum, &now.minimum),
        ("maximum", &before.maximum, &now.maximum),
        ("format", &before.format, &now.format),
    ] {
        if let Some(new) = new.as_ref().filter(|_| old != new) {
            found.push(format!("{word} {new}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shape(schema: Value) -> RecordShape {
        RecordShape::from_schema(&schema).unwrap()
    }

    #[test]
    fn what_no_rule_touches_is_passed_over() {
        let text = r#"{"format":"mapping/1","id":"m","version":1,"fields":[
            {"to":"a","from":"x"}, {"to":"lines","each":"items","fields":[{"to":"no","from":"id"}]}]}"#;
        let spec = MappingSpec::parse(text).unwrap();
        let old_source = shape(json!({"required": ["x"], "properties": {
            "x": {"type": "string"}, "y": {"type": "string"},
            "items": {"items": {"properties": {"id": {"type": "integer"}}}}}}));
        let new_source = shape(json!({"properties": {
            "x": {"type": ["string", "null"]}, "items": {"items": {"properties": {"uid": {"type": "integer"}}}}}}));
        let old_target = shape(json!({"properties": {
            "a": {"enum": ["p", "q"]}, "b": {}, "lines": {"items": {"properties": {"no": {"type": "integer"}}}}}}));
        let new_target = shape(json!({"required": ["b", "c"], "properties": {
            "a": {"enum": ["p"], "maxLength": 3}, "b": {}, "c": {}, "lines": {"items": {"properties": {"no": {"type": "string"}}}}}}));

        let found = drift(
            &spec,
            Some(Shapes { old: &old_source, new: &new_source }),
            Some(Shapes { old: &old_target, new: &new_target }),
        );

        let said: Vec<_> = found.iter().map(Drift::to_string).collect();
        assert_eq!(
            said,
            [
                "items[].id is read, and the source no longer has it",
                "x may be null now",
                "x may be missing now",
                "a takes less now: no longer \"q\"",
                "a takes less now: at most 3 characters",
                "b is required now, and no rule writes it",
                "c is required now, and no rule writes it",
                "lines[].no was integer and is string now",
            ]
        );
    }
}
