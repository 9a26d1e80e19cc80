//! From the document to the plan, with everything that is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::engine::CompileEnv;
use crate::mapping::limits::Limits;
use crate::mapping::path::{InvalidPath, Origin, Segment, SourcePath};
use crate::mapping::plan::output::Growing;
use crate::mapping::plan::schemas;
use crate::mapping::plan::tables::LookupTable;
use crate::mapping::plan::typing;
use crate::mapping::plan::{PathId, Plan, Rows, RulePlan, TablePlan};
use crate::mapping::source::trie::{Trie, TrieBuilder, Wanted};
use crate::mapping::source::{PathRef, PathStep};
use crate::mapping::spec::document::{MappingSpec, UnmappedMode};
use crate::mapping::spec::field::Pick;
use crate::mapping::spec::policy::Defaults;
use crate::mapping::spec::table::TableSpec;

/// Compiles a document.
pub(crate) fn compile(spec: &MappingSpec, env: &CompileEnv<'_>) -> (Option<Plan>, Diagnostics) {
    let limits = &env.limits;
    let mut compiler = Compiler {
        spec,
        limits,
        defaults: spec.defaults.clone().unwrap_or_default(),
        found: Diagnostics::default(),
        trie: TrieBuilder::new(),
        paths: Vec::new(),
        rules: Vec::new(),
        tables: Vec::new(),
        frames: vec![0],
        used_tables: BTreeSet::new(),
        used_context: BTreeSet::new(),
        searched: BTreeSet::new(),
        repeated_rows: BTreeSet::new(),
    };
    compiler.head();
    compiler.tables();
    let mut record = Growing::default();
    compiler.fields(&spec.fields, "/fields", "", &mut record);
    compiler.unused();
    let Compiler { mut found, trie, paths, rules, tables, defaults, .. } = compiler;
    let source = if env.source_schema.is_some() || env.target_schema.is_some() {
        schemas::check(spec, env.source_schema, env.target_schema, &mut found)
    } else {
        None
    };
    typing::check(spec, &defaults, source.as_ref(), &mut found);
    if found.has_errors() {
        return (None, found.sorted());
    }

    let unmapped = spec.unmapped.as_ref().map_or(UnmappedMode::Drop, |unmapped| unmapped.mode);
    let record = record.finish();
    let mut except: BTreeSet<String> =
        spec.unmapped.iter().flat_map(|unmapped| unmapped.except.iter().cloned()).collect();
    if unmapped == UnmappedMode::Pass {
        except.extend(record.list.iter().map(|(key, _)| key.name.to_string()));
    }
    let trie = trie.finish(unmapped != UnmappedMode::Drop);
    let paths = paths.into_iter().map(|path| PathRef {
        level: path.level,
        slot: trie.slot(path.wanted),
        steps: steps_to(path.path.segments, path.wanted, &trie),
        pick: path.pick,
    });
    let plan = Plan {
        id: spec.id.as_str().into(),
        version: spec.version,
        limits: *limits,
        paths: paths.collect(),
        trie,
        rules: rules.into(),
        tables: tables.into(),
        record,
        unmapped,
        except,
    };
    (Some(plan), found.sorted())
}

/// The parts of a path, each with where it leads.
fn steps_to(segments: Vec<Segment>, wanted: Wanted, trie: &Trie) -> Box<[PathStep]> {
    let (Wanted::Value(mut node) | Wanted::Rows(mut node)) = wanted;
    let mut steps: Box<[PathStep]> =
        segments.into_iter().map(|segment| PathStep { segment, node, above: node }).collect();
    for step in steps.iter_mut().rev() {
        step.node = node;
        node = trie.nodes[node as usize].above;
        step.above = node;
    }
    steps
}

pub(crate) struct Compiler<'s> {
    pub(super) spec: &'s MappingSpec,
    pub(super) limits: &'s Limits,
    pub(super) defaults: Defaults,
    pub(super) found: Diagnostics,
    pub(super) trie: TrieBuilder,
    paths: Vec<Wish>,
    pub(super) rules: Vec<RulePlan>,
    pub(super) tables: Vec<TablePlan>,
    /// The frames of the `each` that the rule stands in; the record's is the first.
    pub(super) frames: Vec<u32>,
    pub(super) used_tables: BTreeSet<String>,
    pub(super) used_context: BTreeSet<String>,
    /// Tables and columns of them whose keys have been looked through.
    pub(super) searched: BTreeSet<(usize, usize)>,
    /// Tables and rows of them that have been found to have a key of another row.
    pub(super) repeated_rows: BTreeSet<(usize, usize)>,
}

struct Wish {
    level: usize,
    path: SourcePath,
    pick: Option<Pick>,
    wanted: Wanted,
}

impl Compiler<'_> {
    pub(super) fn error(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) {
        self.found.add(Diagnostic::error(code, pointer, message));
    }

    fn head(&mut self) {
        if self.spec.id.is_empty() || self.spec.id.len() > 128 {
            self.error("E-DOCUMENT", "/id", "the name of a mapping has 1 to 128 bytes");
        }
        if self.spec.fields.is_empty() {
            let nothing = Diagnostic::warning("W-EMPTY", "/fields", "the mapping has no rules");
            self.found.add(nothing);
        }
        if let Some(policy) = self.defaults.missing {
            self.policy_fits("missing", policy, "/defaults/missing");
        }
        if self.defaults.missing == Some(crate::mapping::spec::policy::Policy::Default) {
            let help = "say `missing` at the rules that have a `default`";
            let problem =
                Diagnostic::warning("W-DEFAULT", "/defaults/missing", "rules without a `default` then fail");
            self.found.add(problem.with_help(help));
        }
    }

    fn tables(&mut self) {
        let mut rows_in_all = 0;
        for (name, table) in &self.spec.tables {
            let pointer = format!("/tables/{}", escape(name));
            rows_in_all += table.rows.len();
            if let Some(rows) = self.table(table, &pointer) {
                let columns = table.columns.iter().map(|column| column.as_str().into()).collect();
                self.tables.push(TablePlan { name: name.as_str().into(), rows, columns });
            }
        }
        if rows_in_all > self.limits.table_rows {
            let most = self.limits.table_rows;
            self.found.add(
                Diagnostic::error(
                    "E-LIMIT",
                    "/tables",
                    format!("{rows_in_all} rows in the document; at most {most} fit"),
                )
                .with_help("large tables come from the host: `\"ref\":\"host:NAME\"`"),
            );
        }
    }

    fn table(&mut self, table: &TableSpec, pointer: &str) -> Option<Rows> {
        if table.columns.len() < 2 {
            self.error("E-TABLE", &format!("{pointer}/columns"), "a table has at least two columns");
            return None;
        }
        for (at, column) in table.columns.iter().enumerate() {
            if !self.is_short(column, &format!("{pointer}/columns/{at}")) {
                return None;
            }
            if table.columns[..at].contains(column) {
                self.error(
                    "E-TABLE",
                    &format!("{pointer}/columns/{at}"),
                    format!("the column `{column}` comes twice"),
                );
            }
        }
        if let Some(reference) = &table.reference {
            if !table.rows.is_empty() {
                self.error(
                    "E-TABLE",
                    &format!("{pointer}/rows"),
                    "a table has rows here or at the host, not both",
                );
            }
            return match reference.strip_prefix("host:").filter(|name| !name.is_empty()) {
                Some(name) => Some(Rows::Host(name.into())),
                None => {
                    self.error(
                        "E-TABLE",
                        &format!("{pointer}/ref"),
                        "a table of the host is named `host:NAME`",
                    );
                    None
                }
            };
        }
        let mut sound = true;
        for (at, row) in table.rows.iter().enumerate() {
            let pointer = format!("{pointer}/rows/{at}");
            if row.len() != table.columns.len() {
                let (has, needs) = (row.len(), table.columns.len());
                self.error(
                    "E-TABLE",
                    &pointer,
                    format!("the row has {has} values, the table {needs} columns"),
                );
                sound = false;
            } else if row.iter().any(|value| matches!(value, Value::Array(_) | Value::Object(_))) {
                self.error("E-TABLE", &pointer, "a row holds texts, numbers, booleans and nulls");
                sound = false;
            }
        }
        if !sound {
            return None;
        }
        let case = table.case.unwrap_or_default();
        LookupTable::new(table.columns.iter().cloned(), table.rows.clone(), case)
            .ok()
            .map(Arc::new)
            .map(Rows::Inline)
    }

    /// Tables and values of the host that nothing uses.
    fn unused(&mut self) {
        let spec = self.spec;
        for name in spec.tables.keys().filter(|name| !self.used_tables.contains(*name)) {
            let pointer = format!("/tables/{}", escape(name));
            self.found.add(Diagnostic::warning(
                "W-UNUSED",
                pointer,
                format!("no step uses the table `{name}`"),
            ));
        }
        for name in spec.context.keys().filter(|name| !self.used_context.contains(*name)) {
            let pointer = format!("/context/{}", escape(name));
            self.found.add(Diagnostic::warning("W-UNUSED", pointer, format!("no rule uses `{name}`")));
        }
    }

    /// A source path of a rule, as a value.
    pub(super) fn value_at(&mut self, text: &str, pick: Option<Pick>, pointer: &str) -> Option<PathId> {
        let path = self.source_path(text, pointer)?;
        self.value_of(path, pick, pointer)
    }

    pub(super) fn value_of(&mut self, path: SourcePath, pick: Option<Pick>, pointer: &str) -> Option<PathId> {
        let level = self.level(path.origin, pointer)?;
        let wanted = self.trie.value(self.frames[level], &path.segments, pick);
        Some(self.wish(Wish { level, path, pick, wanted }))
    }

    /// A source path that `each` goes through, and the frame of its elements.
    pub(super) fn rows_at(&mut self, text: &str, pick: Option<Pick>, pointer: &str) -> Option<(PathId, u32)> {
        let path = self.source_path(text, pointer)?;
        let level = self.level(path.origin, pointer)?;
        let (wanted, frame) = self.trie.rows(self.frames[level], &path.segments, pick);
        Some((self.wish(Wish { level, path, pick, wanted }), frame))
    }

    fn wish(&mut self, wish: Wish) -> PathId {
        self.paths.push(wish);
        PathId((self.paths.len() - 1) as u32)
    }

    /// Whether a path or a name is short enough: it may be written once per element of a record.
    pub(super) fn is_short(&mut self, text: &str, pointer: &str) -> bool {
        if text.len() > LONGEST_PATH {
            self.error("E-LIMIT", pointer, format!("longer than {LONGEST_PATH} bytes"));
        }
        text.len() <= LONGEST_PATH
    }

    pub(super) fn source_path(&mut self, text: &str, pointer: &str) -> Option<SourcePath> {
        if !self.is_short(text, pointer) {
            return None;
        }
        match text.parse::<SourcePath>() {
            Ok(path) if path.segments.len() > self.limits.path_depth => {
                let most = self.limits.path_depth;
                self.error("E-LIMIT", pointer, format!("the path has more than {most} parts"));
                None
            }
            Ok(path) => Some(path),
            Err(error) => {
                self.invalid_path(error, pointer);
                None
            }
        }
    }

    pub(super) fn invalid_path(&mut self, error: InvalidPath, pointer: &str) {
        let mut found = Diagnostic::error("E-PATH", pointer, error.problem).with_within(error.at);
        found.help = error.help;
        self.found.add(found);
    }

    /// How many `each` further in than the record a path begins.
    fn level(&mut self, origin: Origin, pointer: &str) -> Option<usize> {
        let innermost = self.frames.len() - 1;
        match origin {
            Origin::Root => Some(0),
            Origin::Element => Some(innermost),
            Origin::Parent(levels) => {
                let level = innermost.checked_sub(levels);
                if level.is_none() {
                    self.found.add(
                        Diagnostic::error(
                            "E-PATH",
                            pointer,
                            format!("there are only {innermost} elements around this one"),
                        )
                        .with_help("`$.` is the record itself"),
                    );
                }
                level
            }
        }
    }
}

/// Bytes of a source path, of a target path and of the name of a column.
const LONGEST_PATH: usize = 1_024;

/// A name as a part of a JSON Pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
