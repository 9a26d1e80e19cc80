//! What changed between two versions of a mapping, by target path.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::FieldSpec;
use crate::mapping::spec::step::{Op, Step};
use crate::mapping::words::{describe_policies, describe_source, describe_steps};

/// How much a change may break.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Risk {
    /// Words for the reader.
    None,
    /// A field is added, or a rule becomes more forgiving.
    Low,
    /// A field has other values, or is gone.
    Medium,
    /// A key, a required field or money has other values, or is gone.
    High,
}

/// What happened to a part of a document.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MappingChange {
    /// Which part: a target path such as `lines[].qty`, `table country`, `defaults`, `source`, `unmapped`, `tests`.
    pub part: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// How much it may break.
    pub risk: Risk,
    /// What changed about it, in words: `source: a → b`.
    pub details: Vec<String>,
}

impl Risk {
    /// The risk as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MappingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        };
        write!(f, "{} {kind} (risk: {})", self.part, self.risk)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, ": {}", self.details.join("; ")) }
    }
}

/// What changed from one version to another; nothing is said about the order of rules and of white space, which mean nothing.
///
/// ```
/// use crossdock::mapping::{MappingSpec, Risk, changes};
///
/// let old = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[{"to":"total","from":"price"}]}"#)?;
/// let new = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":2,"fields":[
///     {"to":"total","from":"price","steps":[{"op":"minor_units","code":"EUR"}]}]}"#)?;
///
/// let found = changes(&old, &new);
///
/// assert_eq!(found[0].to_string(), "total changed (risk: high): steps: none → in smallest units of EUR");
/// assert_eq!(found[0].risk, Risk::High);
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
pub fn changes(old: &MappingSpec, new: &MappingSpec) -> Vec<MappingChange> {
    let mut found = Vec::new();
    let (before, after) = (by_path(&old.fields), by_path(&new.fields));
    for (path, rule) in &before {
        match after.get(path) {
            None => found.push(whole(path, ChangeKind::Removed, weight(rule).max(Risk::Medium))),
            Some(other) => found.extend(changed_rule(path, rule, other)),
        }
    }
    for (path, rule) in &after {
        if !before.contains_key(path) {
            let risk = if rule.is_key { Risk::High } else { Risk::Low };
            found.push(MappingChange {
                details: vec![described(rule.field)],
                ..whole(path, ChangeKind::Added, risk)
            });
        }
    }
    tables(old, new, &mut found);
    for (part, before, after, risk) in [
        ("source", json(&old.source), json(&new.source), Risk::Medium),
        ("target", json(&old.target), json(&new.target), Risk::Medium),
        ("defaults", json(&old.defaults), json(&new.defaults), Risk::High),
        ("context", json(&old.context), json(&new.context), Risk::Medium),
        ("unmapped", json(&old.unmapped), json(&new.unmapped), Risk::Medium),
        ("tests", json(&old.tests), json(&new.tests), Risk::Low),
        ("title", json(&old.title), json(&new.title), Risk::None),
        ("note", json(&old.note), json(&new.note), Risk::None),
    ] {
        if before != after {
            found.push(whole(part, ChangeKind::Changed, risk));
        }
    }
    found
}

/// A rule, and whether elements are paired by what it writes.
struct Placed<'a> {
    field: &'a FieldSpec,
    is_key: bool,
}

fn by_path(fields: &[FieldSpec]) -> BTreeMap<String, Placed<'_>> {
    fn add<'a>(
        fields: &'a [FieldSpec],
        prefix: &str,
        key: Option<&str>,
        all: &mut BTreeMap<String, Placed<'a>>,
    ) {
        for field in fields {
            let path = format!("{prefix}{}", field.to);
            let inner = field.key.as_ref().map(|key| key.target.as_str());
            add(&field.fields, &format!("{path}[]."), inner, all);
            all.insert(path, Placed { field, is_key: key == Some(field.to.as_str()) });
        }
    }
    let mut all = BTreeMap::new();
    add(fields, "", None, &mut all);
    all
}

/// How much a rule that has other values may break.
fn weight(rule: &Placed<'_>) -> Risk {
    let is_money = |step: &Step| {
        matches!(
            step.op,
            Op::MinorUnits { .. } | Op::MajorUnits { .. } | Op::Currency { .. } | Op::Round { .. }
        )
    };
    if rule.is_key || rule.field.required || rule.field.steps.iter().any(is_money) {
        Risk::High
    } else {
        Risk::Medium
    }
}

fn changed_rule(path: &str, old: &Placed<'_>, new: &Placed<'_>) -> Option<MappingChange> {
    let mut details = Vec::new();
    let mut risk = Risk::None;
    let heavy = weight(old).max(weight(new));
    let mut compare = |what: &str, before: String, after: String, how: Risk| {
        if before != after {
            let said = |words: String| if words.is_empty() { "none".to_owned() } else { words };
            details.push(format!("{what}: {} → {}", said(before), said(after)));
            risk = risk.max(how);
        }
    };
    let (a, b) = (old.field, new.field);
    compare("source", describe_source(a), describe_source(b), heavy);
    compare("steps", describe_steps(a), describe_steps(b), heavy);
    let type_name = |field: &FieldSpec| field.target_type.map(|name| name.to_string()).unwrap_or_default();
    compare("type", type_name(a), type_name(b), Risk::Medium);
    let policy_risk = if a.default == b.default { Risk::Medium } else { heavy };
    compare("policies", describe_policies(a), describe_policies(b), policy_risk);
    let required = |field: &FieldSpec| if field.required { "yes" } else { "no" }.to_owned();
    compare("required", required(a), required(b), if b.required { Risk::Medium } else { Risk::Low });
    compare("reverse", text(&a.reverse), text(&b.reverse), Risk::Medium);
    compare("reverse default", text(&a.reverse_default), text(&b.reverse_default), Risk::Medium);
    compare("direction", text(&a.direction), text(&b.direction), Risk::Medium);
    compare("note", a.note.clone().unwrap_or_default(), b.note.clone().unwrap_or_default(), Risk::None);
    let said_alike = details.is_empty();
    // Words may hide a difference, such as that of two expressions in different languages.
    if said_alike && without_rules(a) == without_rules(b) {
        return None;
    }
    if said_alike {
        risk = heavy;
    }
    Some(MappingChange { details, ..whole(path, ChangeKind::Changed, risk) })
}

fn without_rules(field: &FieldSpec) -> FieldSpec {
    FieldSpec { fields: Vec::new(), ..field.clone() }
}

fn tables(old: &MappingSpec, new: &MappingSpec, found: &mut Vec<MappingChange>) {
    for (name, table) in &old.tables {
        let part = format!("table {name}");
        let Some(other) = new.tables.get(name) else {
            found.push(whole(&part, ChangeKind::Removed, Risk::Medium));
            continue;
        };
        if table == other {
            continue;
        }
        let rows = |in_: &[Vec<Value>], not_in: &[Vec<Value>]| -> Vec<String> {
            in_.iter()
                .filter(|row| !not_in.contains(row))
                .map(|row| Value::from((*row).clone()).to_string())
                .collect()
        };
        let (gone, added) = (rows(&table.rows, &other.rows), rows(&other.rows, &table.rows));
        let mut details = Vec::new();
        if !gone.is_empty() {
            details.push(format!("rows gone: {}", gone.join(", ")));
        }
        if !added.is_empty() {
            details.push(format!("rows added: {}", added.join(", ")));
        }
        let (mut a, mut b) = (table.clone(), other.clone());
        (a.rows, b.rows) = (Vec::new(), Vec::new());
        (a.note, b.note) = (None, None);
        let only_more_rows = a == b && gone.is_empty();
        if a != b {
            details.push("columns, misses or case".to_owned());
        }
        let risk = match (only_more_rows, added.is_empty()) {
            (true, true) => Risk::None,
            (true, false) => Risk::Low,
            (false, _) => Risk::Medium,
        };
        found.push(MappingChange { details, ..whole(&part, ChangeKind::Changed, risk) });
    }
    for name in new.tables.keys().filter(|name| !old.tables.contains_key(*name)) {
        found.push(whole(&format!("table {name}"), ChangeKind::Added, Risk::Low));
    }
}

fn whole(part: &str, kind: ChangeKind, risk: Risk) -> MappingChange {
    MappingChange { part: part.to_owned(), kind, risk, details: Vec::new() }
}

fn described(field: &FieldSpec) -> String {
    let (source, steps) = (describe_source(field), describe_steps(field));
    if steps.is_empty() { source } else { format!("{source}; {steps}") }
}

/// The document's own words; what cannot be written as JSON says nothing.
fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn text<T: Serialize>(value: &Option<T>) -> String {
    match json(value) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fields: Value, tables: Value) -> MappingSpec {
        let document = serde_json::json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields, "tables": tables});
        MappingSpec::parse(&document.to_string()).unwrap()
    }

    fn said(old: Value, new: Value) -> Vec<String> {
        let none = || serde_json::json!({});
        changes(&spec(old, none()), &spec(new, none())).iter().map(MappingChange::to_string).collect()
    }

    #[test]
    fn rules_in_another_order_are_the_same_rules() {
        let (a, b) =
            (serde_json::json!({"to": "a", "from": "x"}), serde_json::json!({"to": "b", "from": "y"}));

        assert_eq!(said(serde_json::json!([a, b]), serde_json::json!([b, a])), Vec::<String>::new());
    }

    #[test]
    fn changes_are_named_by_target_path_with_their_risk() {
        let old = serde_json::json!([
            {"to": "gone", "from": "g", "required": true},
            {"to": "noted", "from": "n"},
            {"to": "lines", "each": "items", "key": {"source": "id", "target": "no"},
             "fields": [{"to": "no", "from": "id"}, {"to": "qty", "from": "quantity"}]}
        ]);
        let new = serde_json::json!([
            {"to": "noted", "from": "n", "note": "why"},
            {"to": "lines", "each": "items", "key": {"source": "id", "target": "no"},
             "fields": [{"to": "no", "from": "uuid"}, {"to": "qty", "from": "quantity", "steps": [{"op": "int"}]}]},
            {"to": "new", "const": 1}
        ]);

        assert_eq!(
            said(old, new),
            [
                "gone removed (risk: high)",
                "lines[].no changed (risk: high): source: id → uuid",
                "lines[].qty changed (risk: medium): steps: none → must be a whole number",
                "noted changed (risk: none): note: none → why",
                "new added (risk: low): always 1",
            ]
        );
    }

    #[test]
    fn of_tables_the_rows_are_compared() {
        let table = |rows: Value| serde_json::json!({"t": {"columns": ["a", "b"], "rows": rows}});
        let old = spec(serde_json::json!([]), table(serde_json::json!([["x", 1], ["y", 2]])));
        let more = spec(serde_json::json!([]), table(serde_json::json!([["x", 1], ["y", 2], ["z", 3]])));
        let other = spec(serde_json::json!([]), table(serde_json::json!([["x", 1], ["y", 3]])));

        assert_eq!(changes(&old, &more)[0].to_string(), "table t changed (risk: low): rows added: [\"z\",3]");
        assert_eq!(
            changes(&old, &other)[0].to_string(),
            "table t changed (risk: medium): rows gone: [\"y\",2]; rows added: [\"y\",3]"
        );
    }
}
