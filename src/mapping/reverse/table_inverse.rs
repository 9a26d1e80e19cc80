//! How a look-up is undone: which rows answer on the way back.

use serde_json::Value;

use crate::mapping::reverse::optic::Optic;
use crate::mapping::reverse::step_inverse::Undo;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::step::Op;
use crate::mapping::spec::table::{LetterCase, TableMiss, TableSpec};

/// How a look-up of `columns.1` by `columns.0` is undone.
pub(crate) fn undo_table(
    spec: &MappingSpec,
    name: &str,
    columns: (&str, &str),
    miss: Option<TableMiss>,
) -> Undo {
    let (key, value) = columns;
    let Some(table) = spec.tables.get(name) else { return Undo::none(format!("there is no table `{name}`")) };
    let column = |name: &str| table.columns.iter().position(|column| column == name);
    let (Some(key_at), Some(value_at)) = (column(key), column(value)) else {
        return Undo::none(format!("the table `{name}` has no such columns"));
    };
    let miss = miss.or(table.miss).unwrap_or(TableMiss::Error);
    let mut undo = Undo::new(Optic::Iso, []);
    let mut table_name = name.to_owned();
    if table.reference.is_some() {
        undo.optic = Optic::PartialIso;
        undo = undo.because(format!("the host's table `{name}` must have each value once"));
    } else {
        let shared = shared_values(table, key_at, value_at);
        if shared.iter().any(|shared| shared.picked.is_none()) {
            let rows: Vec<_> = shared.iter().map(|shared| shared.keys.join(", ")).collect();
            return Undo::none(format!(
                "several rows of `{name}` have the same {value}: {}; say with `reverse_pick` which one answers",
                rows.join("; ")
            ));
        }
        if !shared.is_empty() {
            undo.optic = Optic::Lossy;
            undo = undo.because(format!("which of several rows of `{name}` it was is lost"));
            table_name = format!("{name}_reverse");
            undo.tables.push((table_name.clone(), without_other_rows(table, key_at, value_at, &shared)));
        }
    }
    let back = match miss {
        // What was not in the table is not in it on the way back either.
        TableMiss::Default | TableMiss::Null => {
            undo.optic = Optic::Lossy;
            undo = undo.because("keys that are in no row are lost");
            Some(TableMiss::Omit)
        }
        TableMiss::Pass => {
            undo.optic = undo.optic.max(Optic::Lossy);
            undo = undo.because("a key that is in no row cannot be told from a value");
            Some(TableMiss::Pass)
        }
        TableMiss::Omit => {
            undo.optic = undo.optic.max(Optic::Lossy);
            undo = undo.because("keys that are in no row are lost");
            Some(TableMiss::Error)
        }
        TableMiss::Error | TableMiss::Queue => Some(miss).filter(|miss| Some(*miss) != table.miss),
    };
    if table.case == Some(LetterCase::Insensitive) {
        undo.optic = undo.optic.max(Optic::Lossy);
        undo = undo.because("upper and lower case are lost");
    }
    let step = Op::Table {
        name: table_name,
        key: value.to_owned(),
        value: key.to_owned(),
        miss: back,
        default: None,
    };
    undo.steps.push(step.into());
    undo
}

/// A value that several rows have.
struct Shared<'a> {
    value: &'a Value,
    keys: Vec<String>,
    /// The key of the row that answers.
    picked: Option<&'a Value>,
}

fn shared_values(table: &TableSpec, key_at: usize, value_at: usize) -> Vec<Shared<'_>> {
    let mut shared: Vec<Shared<'_>> = Vec::new();
    let mut by_text: std::collections::BTreeMap<String, Vec<(&Value, &Value)>> =
        std::collections::BTreeMap::new();
    for row in &table.rows {
        if let (Some(key), Some(value)) = (row.get(key_at), row.get(value_at)) {
            by_text.entry(value.to_string()).or_default().push((key, value));
        }
    }
    for rows in by_text.into_values().filter(|rows| rows.len() > 1) {
        let picked = rows.iter().map(|(key, _)| *key).find(|key| table.reverse_pick.contains(key));
        let keys = rows.iter().map(|(key, _)| key.to_string()).collect();
        shared.push(Shared { value: rows[0].1, keys, picked });
    }
    shared
}

fn without_other_rows(table: &TableSpec, key_at: usize, value_at: usize, shared: &[Shared<'_>]) -> TableSpec {
    let answers = |row: &&Vec<Value>| {
        let of_row = shared.iter().find(|shared| row.get(value_at) == Some(shared.value));
        of_row.is_none_or(|shared| shared.picked == row.get(key_at))
    };
    TableSpec {
        rows: table.rows.iter().filter(answers).cloned().collect(),
        reverse_pick: Vec::new(),
        ..table.clone()
    }
}
