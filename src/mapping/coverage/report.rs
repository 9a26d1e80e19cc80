//! Which fields of both sides are covered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::mapping::coverage::reach::Reach;
use crate::mapping::schema::{Leaf, RecordShape, is_below};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{FieldSpec, Rule};
use crate::mapping::spec::step::{BoolWay, Op};

/// How a field of the target comes to its value.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TargetStatus {
    /// From the source.
    Mapped,
    /// From the source, or else a default.
    Defaulted,
    /// It is always the same, or comes from the host.
    Constant,
    /// No rule writes it, and it need not be there.
    UnmappedOptional,
    /// No rule writes it, and it must be there.
    UnmappedRequired,
}

/// Whether a field of the source is used.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SourceUse {
    /// A rule reads it.
    Used,
    /// No rule reads it.
    Unused,
}

/// Whether a table is used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TableUse {
    /// The table.
    pub name: String,
    /// Whether a step looks into it.
    pub used: bool,
    /// How many rows it has; nothing if the host keeps it.
    pub rows: Option<usize>,
}

/// A value that a rule may write and that the target does not list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IllegalValue {
    /// Where it is written.
    pub path: String,
    /// The value.
    pub value: Value,
    /// Where it comes from, such as `table country`.
    pub origin: String,
}

/// What a mapping covers of both sides.
///
/// ```
/// use crossdock::mapping::{Coverage, MappingSpec, RecordShape, TargetStatus};
/// use serde_json::json;
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[{"to":"no","from":"id"}]}"#)?;
/// let source = RecordShape::from_samples([&json!({"id": 7, "note": "x"})])?;
/// let target = RecordShape::from_schema(&json!({"required": ["no", "day"], "properties": {"no": {}, "day": {}, "memo": {}}}))?;
///
/// let coverage = Coverage::of(&spec, Some(&source), Some(&target));
///
/// assert_eq!(coverage.with(TargetStatus::UnmappedRequired).collect::<Vec<_>>(), ["day"]);
/// assert_eq!((coverage.unmapped_required(), coverage.target_percent()), (1, 33));
/// assert_eq!(coverage.unused().collect::<Vec<_>>(), ["note"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Coverage {
    /// The target's fields; empty if nothing is known about it.
    pub target: BTreeMap<String, TargetStatus>,
    /// Paths that rules write and the target does not have.
    pub unknown_writes: Vec<String>,
    /// The source's fields; empty if nothing is known about it.
    pub source: BTreeMap<String, SourceUse>,
    /// Paths that rules read and the source does not have.
    pub unknown_reads: Vec<String>,
    /// The document's tables.
    pub tables: Vec<TableUse>,
    /// Values that the target does not list.
    pub illegal_values: Vec<IllegalValue>,
}

impl Coverage {
    /// What a mapping covers of what is known about both sides.
    pub fn of(spec: &MappingSpec, source: Option<&RecordShape>, target: Option<&RecordShape>) -> Self {
        let reach = Reach::of(spec);
        let mut coverage = Self::default();
        if let Some(shape) = target {
            coverage.cover_target(spec, &reach, shape);
        }
        if let Some(shape) = source {
            coverage.cover_source(&reach, shape);
        }
        coverage.tables = spec
            .tables
            .iter()
            .map(|(name, table)| TableUse {
                name: name.clone(),
                used: reach.tables.contains(name),
                rows: table.reference.is_none().then_some(table.rows.len()),
            })
            .collect();
        coverage
    }

    /// The target's fields of this status.
    pub fn with(&self, status: TargetStatus) -> impl Iterator<Item = &str> {
        self.target.iter().filter(move |(_, other)| **other == status).map(|(path, _)| path.as_str())
    }

    /// How many required fields of the target no rule writes: what [`Life::activate`](crate::mapping::Life::activate) asks.
    pub fn unmapped_required(&self) -> usize {
        self.with(TargetStatus::UnmappedRequired).count()
    }

    /// The source's fields that no rule reads.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.source.iter().filter(|(_, used)| **used == SourceUse::Unused).map(|(path, _)| path.as_str())
    }

    /// How many of a hundred fields of the target have a rule, rounded down; 100 if nothing is known about it.
    pub fn target_percent(&self) -> usize {
        let open = self.with(TargetStatus::UnmappedOptional).count() + self.unmapped_required();
        percent(self.target.len() - open, self.target.len())
    }

    /// How many of a hundred fields of the source are read, rounded down; 100 if nothing is known about it.
    pub fn source_percent(&self) -> usize {
        percent(self.source.len() - self.unused().count(), self.source.len())
    }

    fn cover_target(&mut self, spec: &MappingSpec, reach: &Reach<'_>, shape: &RecordShape) {
        for leaf in shape.leaves() {
            // The most exact rule decides: one for the field itself before one for an object around it.
            let covers = |path: &str| path == leaf.path || is_below(&leaf.path, path);
            let rules = reach.writes.iter().filter(|write| write.field.each.is_none() && covers(&write.path));
            let status = match rules.max_by_key(|write| write.path.len()) {
                Some(write) => status(write.field),
                None if leaf.required => TargetStatus::UnmappedRequired,
                None => TargetStatus::UnmappedOptional,
            };
            self.target.insert(leaf.path.clone(), status);
        }
        for write in &reach.writes {
            if !shape.may_have(&write.path) {
                self.unknown_writes.push(write.path.clone());
            }
            if let Some(leaf) = shape.leaf(&write.path) {
                self.check_values(spec, write.field, leaf);
            }
        }
    }

    fn cover_source(&mut self, reach: &Reach<'_>, shape: &RecordShape) {
        let is_read =
            |leaf: &Leaf| reach.reads.iter().any(|read| *read == leaf.path || is_below(&leaf.path, read));
        for leaf in shape.leaves() {
            let used = if is_read(leaf) { SourceUse::Used } else { SourceUse::Unused };
            self.source.insert(leaf.path.clone(), used);
        }
        let all = reach.reads.iter().chain(&reach.lists);
        self.unknown_reads = all.filter(|path| !path.is_empty() && !shape.may_have(path)).cloned().collect();
    }

    /// Whether the values that a rule is known to give are ones that the target lists.
    fn check_values(&mut self, spec: &MappingSpec, field: &FieldSpec, leaf: &Leaf) {
        let Some(allowed) = &leaf.allowed else { return };
        for (value, origin) in known_values(spec, field) {
            // Compared as they are written: 1 and 1.0 are the same only to those who say so.
            let written = format!("{value}");
            let legal = allowed.iter().any(|other| format!("{other}") == written);
            let passes = legal || (value.is_null() && leaf.nullable);
            if !passes {
                self.illegal_values.push(IllegalValue { path: leaf.path.clone(), value, origin });
            }
        }
    }
}

fn percent(part: usize, whole: usize) -> usize {
    (part * 100).checked_div(whole).unwrap_or(100)
}

fn status(field: &FieldSpec) -> TargetStatus {
    let has_default =
        field.default.is_some() || field.steps.iter().any(|step| matches!(step.op, Op::Default { .. }));
    match field.rule() {
        Some(Rule::Const(_) | Rule::Ctx(_) | Rule::Index(_)) => TargetStatus::Constant,
        _ if has_default => TargetStatus::Defaulted,
        _ => TargetStatus::Mapped,
    }
}

/// Values that a rule is sure to be able to give, with where they come from.
fn known_values(spec: &MappingSpec, field: &FieldSpec) -> Vec<(Value, String)> {
    let mut known = Vec::new();
    if field.steps.is_empty() {
        match field.rule() {
            Some(Rule::Const(value)) => known.push((value.clone(), "const".to_owned())),
            Some(Rule::Cases(cases)) => {
                let values = cases.iter().filter_map(|case| case.value.as_ref().or(case.otherwise.as_ref()));
                known.extend(values.map(|value| (value.clone(), "cases".to_owned())));
            }
            _ => {}
        }
    }
    if let Some(default) = &field.default {
        known.push((default.clone(), "default".to_owned()));
    }
    // What the last step gives is what is written.
    match field.steps.last().map(|step| &step.op) {
        Some(Op::Table { name, value, default, .. }) => {
            if let Some(table) = spec.tables.get(name) {
                let column = table.columns.iter().position(|column| column == value);
                let values = table.rows.iter().filter_map(|row| row.get(column?));
                let default = default.as_ref().or(table.default.as_ref());
                known.extend(values.chain(default).map(|value| (value.clone(), format!("table {name}"))));
            }
        }
        Some(Op::BoolMap { yes, no, way }) if *way != Some(BoolWay::ToBoolean) => {
            known.extend([yes, no].into_iter().flatten().map(|value| (value.clone(), "bool_map".to_owned())));
        }
        Some(Op::Default { value }) => known.push((value.clone(), "default".to_owned())),
        _ => {}
    }
    known
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(fields: Value) -> MappingSpec {
        let tables = json!({"t": {"columns": ["a", "b"], "rows": [["x", "one"], ["y", "two"]]}, "idle": {"columns": ["a"]}});
        let document =
            json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields, "tables": tables});
        MappingSpec::parse(&document.to_string()).unwrap()
    }

    #[test]
    fn each_field_of_the_target_has_a_status() {
        let spec = spec(json!([
            {"to": "a", "from": "x"},
            {"to": "b", "from": "y", "default": 1},
            {"to": "c", "const": 1},
            {"to": "d", "from": "address"},
            {"to": "e", "from": "z", "direction": "reverse"},
            {"to": "lines", "each": "items", "fields": [{"to": "no", "index": {}}]},
            {"to": "extra", "from": "x"}
        ]));
        let target = RecordShape::from_schema(&json!({
            "required": ["e", "lines"],
            "properties": {
                "a": {}, "b": {}, "c": {}, "d": {"properties": {"city": {}}}, "e": {}, "f": {},
                "lines": {"items": {"required": ["no", "sku"], "properties": {"no": {}, "sku": {}}}}
            }
        }))
        .unwrap();

        let coverage = Coverage::of(&spec, None, Some(&target));

        let expected = [
            ("a", TargetStatus::Mapped),
            ("b", TargetStatus::Defaulted),
            ("c", TargetStatus::Constant),
            ("d.city", TargetStatus::Mapped),
            ("e", TargetStatus::UnmappedRequired),
            ("f", TargetStatus::UnmappedOptional),
            ("lines[].no", TargetStatus::Constant),
            ("lines[].sku", TargetStatus::UnmappedRequired),
        ];
        assert_eq!(coverage.target, expected.map(|(path, status)| (path.to_owned(), status)).into());
        assert_eq!(coverage.unknown_writes, ["extra"]);
        assert_eq!(coverage.target_percent(), 62);
    }

    #[test]
    fn what_is_read_in_conditions_filters_keys_and_expressions_is_used() {
        let spec = spec(json!([
            {"to": "a", "cases": [{"when": {"path": "state", "eq": 1}, "value": 1}, {"else": 2}]},
            {"to": "b", "from": "notes[name='vat'].value"},
            {"to": "lines", "each": "items", "keep": {"when": {"path": "qty", "gt": 0}}, "key": {"source": "id", "target": "no"},
             "fields": [{"to": "sum", "expr": "price * $$.rate"}, {"to": "gone", "from": "color"}]}
        ]));
        let sample = json!({
            "state": 1, "rate": 2, "notes": [{"name": "vat", "value": "x", "at": 1}],
            "items": [{"id": 1, "qty": 1, "price": 2, "colour": "red"}], "other": 1
        });

        let coverage = Coverage::of(&spec, Some(&RecordShape::from_samples([&sample]).unwrap()), None);

        assert_eq!(coverage.unused().collect::<Vec<_>>(), ["items[].colour", "notes[].at", "other"]);
        assert_eq!(coverage.unknown_reads, ["items[].color"]);
    }

    #[test]
    fn values_that_the_target_does_not_list_are_found() {
        let spec = spec(json!([
            {"to": "a", "from": "x", "steps": [{"op": "table", "name": "t", "key": "a", "value": "b"}]},
            {"to": "b", "cases": [{"else": "odd"}]}
        ]));
        let listed = json!({"enum": ["one", "three"]});
        let target = RecordShape::from_schema(&json!({"properties": {"a": listed, "b": listed}})).unwrap();

        let coverage = Coverage::of(&spec, None, Some(&target));

        let found: Vec<_> = coverage
            .illegal_values
            .iter()
            .map(|found| (found.path.as_str(), found.value.as_str(), found.origin.as_str()))
            .collect();
        assert_eq!(found, [("a", Some("two"), "table t"), ("b", Some("odd"), "cases")]);
        let used: Vec<_> = coverage.tables.iter().map(|table| (table.name.as_str(), table.used)).collect();
        assert_eq!(used, [("idle", false), ("t", true)]);
    }
}
