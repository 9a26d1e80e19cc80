//! The whole mapping as a document for readers.

use std::fmt::Write as _;

use crate::mapping::canonical::ContentHash;
use crate::mapping::coverage::{Coverage, SourceUse, TargetStatus};
use crate::mapping::reverse::{ReverseReport, Verdict, analyse_reverse};
use crate::mapping::spec::document::{MappingSpec, RecordType};
use crate::mapping::spec::field::FieldSpec;
use crate::mapping::spec::table::TableMiss;
use crate::mapping::words::{
    describe_defaults, describe_miss, describe_policies, describe_source, describe_steps,
};

/// How one of the mapping's own tests went.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TestNote {
    /// The test's name.
    pub name: String,
    /// What went wrong; nothing if it passed.
    pub failure: Option<String>,
}

/// What a reader should find beside the rules.
///
/// ```
/// use crossdock::mapping::{Documentation, MappingSpec};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[
///     {"to":"cents","from":"price","steps":[{"op":"scale10","n":2}]}]}"#)?;
///
/// let text = Documentation::new().with_author("ada").to_markdown(&spec);
///
/// assert!(text.contains("| 1 | `cents` |  |  | `price` | multiply by 100 |  | automatic |  |"), "{text}");
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Documentation<'a> {
    author: Option<&'a str>,
    coverage: Option<&'a Coverage>,
    tests: Option<&'a [TestNote]>,
}

impl TestNote {
    /// A test that passed.
    pub fn passed(name: impl Into<String>) -> Self {
        Self { name: name.into(), failure: None }
    }

    /// A test that did not.
    pub fn failed(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), failure: Some(why.into()) }
    }
}

impl<'a> Documentation<'a> {
    /// The rules alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names who wrote the mapping.
    #[must_use]
    pub fn with_author(mut self, author: &'a str) -> Self {
        self.author = Some(author);
        self
    }

    /// Adds what the mapping covers of both sides.
    #[must_use]
    pub fn with_coverage(mut self, coverage: &'a Coverage) -> Self {
        self.coverage = Some(coverage);
        self
    }

    /// Adds how the mapping's own tests went.
    #[must_use]
    pub fn with_tests(mut self, tests: &'a [TestNote]) -> Self {
        self.tests = Some(tests);
        self
    }

    /// The document, in GitHub's Markdown.
    pub fn to_markdown(&self, spec: &MappingSpec) -> String {
        let mut out = String::new();
        self.header(spec, &mut out);
        out.push_str("\n## Rules\n\n");
        let reverse = analyse_reverse(spec);
        section(&spec.fields, "", &reverse, &mut out);
        tables(spec, &mut out);
        way_back(&reverse, &mut out);
        if let Some(coverage) = self.coverage {
            summary(coverage, &mut out);
        }
        self.tests(spec, &mut out);
        out
    }

    fn header(&self, spec: &MappingSpec, out: &mut String) {
        let title = spec.title.as_deref().unwrap_or(&spec.id);
        line(out, &format!("# {}\n", text(title)));
        if let Some(note) = &spec.note {
            line(out, &format!("{}\n", text(note)));
        }
        let record = |record: &Option<RecordType>| {
            record.as_ref().map_or_else(String::new, |record| {
                let schema =
                    record.schema.as_ref().map(|schema| format!(" ({})", code(schema))).unwrap_or_default();
                format!("{}: {}{schema}", text(&record.system), text(&record.entity))
            })
        };
        line(out, "| | |\n|---|---|");
        line(out, &format!("| mapping | {}, version {} |", code(&spec.id), spec.version));
        line(out, &format!("| source | {} |", record(&spec.source)));
        line(out, &format!("| target | {} |", record(&spec.target)));
        if let Ok(hash) = ContentHash::of(spec) {
            line(out, &format!("| content | {} |", code(&hash.to_string())));
        }
        if let Some(author) = self.author {
            line(out, &format!("| author | {} |", text(author)));
        }
        line(out, &format!("| unless a rule says otherwise | {} |", text(&describe_defaults(spec))));
        for (name, value) in &spec.context {
            let note = value.note.as_deref().map(|note| format!(": {}", text(note))).unwrap_or_default();
            line(out, &format!("| from the host | {}{note} |", code(name)));
        }
    }

    fn tests(&self, spec: &MappingSpec, out: &mut String) {
        if spec.tests.is_empty() {
            return;
        }
        out.push_str("\n## Tests\n\n| Test | Expects | Result |\n|---|---|---|\n");
        for test in &spec.tests {
            let expects = match &test.expect_error {
                Some(error) => format!(
                    "the error {} at {}",
                    code(error.code.as_deref().unwrap_or("any")),
                    code(error.field.as_deref().unwrap_or("any field"))
                ),
                None => "the record in the document".to_owned(),
            };
            let known = self.tests.and_then(|notes| notes.iter().find(|note| note.name == test.name));
            let result = match known {
                None => "not run".to_owned(),
                Some(TestNote { failure: None, .. }) => "passed".to_owned(),
                Some(TestNote { failure: Some(why), .. }) => format!("**failed**: {}", text(why)),
            };
            line(out, &format!("| {} | {expects} | {result} |", text(&test.name)));
        }
    }
}

/// One table per frame, that of an `each` below the one that it stands in.
fn section(fields: &[FieldSpec], prefix: &str, reverse: &ReverseReport, out: &mut String) {
    line(out, "| # | Target | Type | Req | Source | Transformation | Default / on error | Reverse | Note |");
    line(out, "|---|---|---|---|---|---|---|---|---|");
    for (number, field) in (1..).zip(fields) {
        let target = format!("{prefix}{}", field.to);
        let verdict = reverse.rule(&target).map(|rule| rule.verdict.as_str()).unwrap_or_default();
        let source = if field.from.is_some() && field.pick.is_none() {
            code(&describe_source(field))
        } else {
            text(&describe_source(field))
        };
        line(
            out,
            &format!(
                "| {number} | {} | {} | {} | {source} | {} | {} | {verdict} | {} |",
                code(&field.to),
                field.target_type.map(|name| name.to_string()).unwrap_or_default(),
                if field.required { "yes" } else { "" },
                text(&describe_steps(field)),
                text(&describe_policies(field)),
                text(field.note.as_deref().unwrap_or_default()),
            ),
        );
    }
    for field in fields.iter().filter(|field| field.each.is_some()) {
        let target = format!("{prefix}{}[]", field.to);
        let list = field.each.as_deref().unwrap_or_default();
        line(out, &format!("\n### {}: each element of {}\n", code(&target), code(list)));
        section(&field.fields, &format!("{target}."), reverse, out);
    }
}

fn tables(spec: &MappingSpec, out: &mut String) {
    if spec.tables.is_empty() {
        return;
    }
    out.push_str("\n## Tables\n");
    for (name, table) in &spec.tables {
        let miss = describe_miss(table.miss.unwrap_or(TableMiss::Error));
        let default = table.default.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
        line(
            out,
            &format!(
                "\n### {}\n\nOf a key that is in no row: {}{}.\n",
                code(name),
                text(miss),
                text(&default)
            ),
        );
        if let Some(reference) = &table.reference {
            line(out, &format!("The rows are the host's: {}.\n", code(reference)));
        }
        let columns: Vec<_> = table.columns.iter().map(|column| text(column)).collect();
        line(out, &format!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len())));
        for row in &table.rows {
            let cells: Vec<_> = row.iter().map(|cell| code(&cell.to_string())).collect();
            line(out, &format!("| {} |", cells.join(" | ")));
        }
    }
}

fn way_back(reverse: &ReverseReport, out: &mut String) {
    out.push_str("\n## The way back\n\n");
    for verdict in [Verdict::Auto, Verdict::NeedsCheck, Verdict::NeedsExplicit, Verdict::OneWay] {
        line(out, &format!("- {}: {}", verdict.as_str(), reverse.with(verdict).count()));
    }
    let asks = |verdict: &Verdict| matches!(verdict, Verdict::NeedsCheck | Verdict::NeedsExplicit);
    let open: Vec<_> = reverse.rules.iter().filter(|rule| asks(&rule.verdict)).collect();
    if !open.is_empty() {
        out.push_str("\n| Target | Reverse | Why |\n|---|---|---|\n");
        for rule in open {
            let why = text(&rule.reasons.join("; "));
            line(out, &format!("| {} | {} | {why} |", code(&rule.to), rule.verdict));
        }
    }
}

fn summary(coverage: &Coverage, out: &mut String) {
    out.push_str("\n## Coverage\n\n");
    if !coverage.target.is_empty() {
        let counts = [
            ("mapped", TargetStatus::Mapped),
            ("defaulted", TargetStatus::Defaulted),
            ("constant", TargetStatus::Constant),
            ("unmapped, optional", TargetStatus::UnmappedOptional),
            ("**unmapped, required**", TargetStatus::UnmappedRequired),
        ]
        .map(|(word, status)| format!("{} {word}", coverage.with(status).count()));
        line(out, &format!("- target: {} %: {}", coverage.target_percent(), counts.join(", ")));
    }
    if !coverage.source.is_empty() {
        let used = coverage.source.values().filter(|used| **used == SourceUse::Used).count();
        line(
            out,
            &format!(
                "- source: {} %: {used} of {} fields used",
                coverage.source_percent(),
                coverage.source.len()
            ),
        );
    }
    let list = |paths: Vec<&str>| paths.into_iter().map(code).collect::<Vec<_>>().join(", ");
    let illegal: Vec<_> = coverage.illegal_values.iter().map(|found| found.path.as_str()).collect();
    for (what, paths) in [
        ("required and unmapped", coverage.with(TargetStatus::UnmappedRequired).collect()),
        ("optional and unmapped", coverage.with(TargetStatus::UnmappedOptional).collect()),
        ("written, and not in the target", coverage.unknown_writes.iter().map(String::as_str).collect()),
        ("unused", coverage.unused().collect()),
        ("read, and not in the source", coverage.unknown_reads.iter().map(String::as_str).collect()),
        ("with values that the target does not list", illegal),
    ] {
        if !paths.is_empty() {
            line(out, &format!("- {what}: {}", list(paths)));
        }
    }
}

fn line(out: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{line}");
}

/// Words in a cell: what a tenant wrote stays words, whatever it looks like.
fn text(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// A name or a path in a cell, in the letters of code. Inside a table even code must not hold a bare bar.
fn code(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", name.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tenant_wrote_does_not_break_the_table() {
        let fields = serde_json::json!([{"to": "a", "from": "b['`|x']", "note": "<b>|*no* _no_\n# [x](y)"}]);
        let document = serde_json::json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields});
        let spec = MappingSpec::parse(&document.to_string()).unwrap();

        let text = Documentation::new().to_markdown(&spec);

        let row = text.lines().find(|line| line.starts_with("| 1 |")).unwrap();
        assert_eq!(
            row,
            "| 1 | `a` |  |  | `` b['`\\|x'] `` |  |  | automatic | &lt;b&gt;\\|\\*no\\* \\_no\\_ \\# \\[x\\](y) |"
        );
    }

    #[test]
    fn tests_are_listed_with_their_results() {
        let document = serde_json::json!({"format": "mapping/1", "id": "m", "version": 1, "fields": [], "tests": [
            {"name": "one", "input": {}, "expect": {}}, {"name": "two", "input": {}, "expect_error": {"code": "E-TYPE"}},
            {"name": "three", "input": {}, "expect": {}}
        ]});
        let spec = MappingSpec::parse(&document.to_string()).unwrap();
        let notes = [TestNote::passed("one"), TestNote::failed("two", "it passed")];

        let text = Documentation::new().with_tests(&notes).to_markdown(&spec);

        for line in [
            "| one | the record in the document | passed |",
            "| two | the error `E-TYPE` at `any field` | **failed**: it passed |",
            "| three | the record in the document | not run |",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
