//! Simple rules from CSV.

use serde_json::Value;

use crate::mapping::cells::{Row, read_rows};
use crate::mapping::path::{SourcePath, TargetPath};
use crate::mapping::sheet::short::{read_steps, write_steps};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{FieldSpec, Rule};

/// One row of a sheet that says all of its rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CsvRule {
    /// The target path.
    pub target: String,
    /// The target's type, or nothing.
    pub target_type: String,
    /// Whether the target must have a value.
    pub required: bool,
    /// `from`, `const` or `ctx`.
    pub kind: String,
    /// The path, the constant as JSON, or the name.
    pub source: String,
    /// The steps: `prefix text="SHOP-" | upper`.
    pub steps: String,
    /// The default as JSON, or nothing.
    pub default: String,
    /// For the reader.
    pub note: Option<String>,
}

/// What is wrong with a sheet, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvProblem {
    /// The text is not CSV.
    #[error("line {line}: {problem}")]
    Malformed {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The first row does not name this column.
    #[error("line 1: there is no column `{column}`")]
    NoColumn {
        /// The column.
        column: &'static str,
    },
    /// A cell does not say what its column asks for.
    #[error("line {line}, column {column}: {problem}")]
    Cell {
        /// The line, from 1 on.
        line: usize,
        /// The column.
        column: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A rule is more than a row can say, and the document beside the sheet does not have it.
    #[error("line {line}: the rule for `{target}` is more than a row can say; write it in the document")]
    NotSimple {
        /// The line, from 1 on.
        line: usize,
        /// The target path.
        target: String,
    },
    /// Two rows write the same target path.
    #[error("line {line}: `{target}` is written twice")]
    Twice {
        /// The line, from 1 on.
        line: usize,
        /// The target path.
        target: String,
    },
}

/// The rules of a sheet, in its order. Rules that are more than a row can say are taken from `base`, unchanged.
///
/// ```
/// use crossdock::mapping::import_csv;
///
/// let csv = "Target,Source,Steps\norderNo,name,prefix text=SHOP-\ncity,address.city,\n";
///
/// let fields = import_csv(csv, None).map_err(|problems| problems[0].clone())?;
/// assert_eq!(fields[1].from.as_deref(), Some("address.city"));
///
/// let problems = import_csv("Target,Source,Steps\na,b,explode\n", None).unwrap_err();
/// assert!(problems[0].to_string().starts_with("line 2, column Steps: "));
/// # Ok::<(), crossdock::mapping::CsvProblem>(())
/// ```
///
/// # Errors
/// Everything that is wrong, with line and column.
pub fn import_csv(csv: &str, base: Option<&MappingSpec>) -> Result<Vec<FieldSpec>, Vec<CsvProblem>> {
    let rows = read_rows(csv)
        .map_err(|(line, problem)| vec![CsvProblem::Malformed { line, problem: problem.to_string() }])?;
    let Some((header, rows)) = rows.split_first() else {
        return Err(vec![CsvProblem::NoColumn { column: TARGET }]);
    };
    let place = |name: &str| header.cells.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
    let missing: Vec<_> = [TARGET, SOURCE]
        .into_iter()
        .filter(|column| place(column).is_none())
        .map(|column| CsvProblem::NoColumn { column })
        .collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut fields: Vec<FieldSpec> = Vec::new();
    let mut problems = Vec::new();
    for row in rows {
        let cell = |name: &str| place(name).and_then(|place| row.cells.get(place)).map_or("", String::as_str);
        let target = cell(TARGET).trim();
        if fields.iter().any(|field| field.to == target) {
            problems.push(CsvProblem::Twice { line: row.line, target: target.to_owned() });
            continue;
        }
        // Belongs to the rule of its list, which came before it.
        let list = target.split_once("[]").map(|(list, _)| list);
        if list.is_some_and(|list| fields.iter().any(|field| field.to == list && field.each.is_some())) {
            continue;
        }
        match read_rule(row, target, &cell) {
            Ok(Some(field)) => fields.push(field),
            Ok(None) => match base.and_then(|base| base.fields.iter().find(|field| field.to == target)) {
                Some(field) => fields.push(field.clone()),
                None => problems.push(CsvProblem::NotSimple { line: row.line, target: target.to_owned() }),
            },
            Err(mut found) => problems.append(&mut found),
        }
    }
    if problems.is_empty() { Ok(fields) } else { Err(problems) }
}

/// The rule of a row; nothing if a row cannot say it.
fn read_rule<'a>(
    row: &Row,
    target: &str,
    cell: &impl Fn(&str) -> &'a str,
) -> Result<Option<FieldSpec>, Vec<CsvProblem>> {
    let mut problems = Vec::new();
    let mut wrong = |column: &'static str, problem: String| {
        problems.push(CsvProblem::Cell { line: row.line, column, problem });
    };
    let kind = cell(KIND).trim();
    if !matches!(kind, "" | "from" | "const" | "ctx") || target.contains("[]") {
        return Ok(None);
    }
    let mut field = FieldSpec::new(target);
    if let Err(error) = target.parse::<TargetPath>() {
        wrong(TARGET, error.to_string());
    }
    let source = cell(SOURCE);
    match kind {
        "const" => field.constant = Some(json_or_text(source)),
        "ctx" => field.ctx = Some(source.to_owned()),
        _ => {
            if let Err(error) = source.trim().parse::<SourcePath>() {
                wrong(SOURCE, error.to_string());
            }
            field.from = Some(source.trim().to_owned());
        }
    }
    match cell(TYPE).trim() {
        "" => {}
        word => match serde_json::from_value(Value::from(word)) {
            Ok(target_type) => field.target_type = Some(target_type),
            Err(_) => wrong(TYPE, format!("`{word}` is not a type")),
        },
    }
    match cell(REQUIRED).trim().to_ascii_lowercase().as_str() {
        "" | "no" | "false" => {}
        "yes" | "true" | "x" => field.required = true,
        word => wrong(REQUIRED, format!("expected `yes` or nothing, not `{word}`")),
    }
    match read_steps(cell(STEPS)) {
        Ok(steps) => field.steps = steps,
        Err(error) => wrong(STEPS, error.to_string()),
    }
    if !cell(DEFAULT).is_empty() {
        field.default = Some(json_or_text(cell(DEFAULT)));
    }
    if !cell(NOTE).is_empty() {
        field.note = Some(cell(NOTE).to_owned());
    }
    if problems.is_empty() { Ok(Some(field)) } else { Err(problems) }
}

fn json_or_text(cell: &str) -> Value {
    // People write words without quotes.
    serde_json::from_str(cell).unwrap_or_else(|_| Value::from(cell))
}

impl CsvRule {
    /// The row for a rule, if a row can say all of it.
    pub fn of(field: &FieldSpec) -> Option<Self> {
        let (kind, source) = match field.rule()? {
            Rule::From(path) => ("from", path.to_owned()),
            Rule::Const(value) => ("const", value.to_string()),
            Rule::Ctx(name) => ("ctx", name.to_owned()),
            _ => return None,
        };
        let row = Self { kind: kind.to_owned(), source, ..Self::shared(field) };
        // What is read back must be the rule itself: then nothing was left out.
        let cells = Row { line: 1, cells: Vec::new() };
        let read = read_rule(&cells, &field.to, &|column| row.cell(column));
        read.is_ok_and(|read| read.as_ref() == Some(field)).then_some(row)
    }

    /// The row for a rule that is more than a row can say.
    pub(crate) fn other(field: &FieldSpec) -> Self {
        let kind = match field.rule() {
            Some(Rule::Each(_)) => "each",
            Some(Rule::First(_)) => "first",
            Some(Rule::Join(_)) => "join",
            Some(Rule::Cases(_)) => "cases",
            Some(Rule::Index(_)) => "index",
            Some(Rule::Expr(_)) => "expr",
            _ => "other",
        };
        Self { kind: kind.to_owned(), ..Self::shared(field) }
    }

    fn shared(field: &FieldSpec) -> Self {
        Self {
            target: field.to.clone(),
            target_type: field.target_type.map(|name| name.to_string()).unwrap_or_default(),
            required: field.required,
            kind: String::new(),
            source: String::new(),
            steps: write_steps(&field.steps),
            default: field.default.as_ref().map(Value::to_string).unwrap_or_default(),
            note: field.note.clone(),
        }
    }

    fn cell(&self, column: &str) -> &str {
        match column {
            TYPE => &self.target_type,
            REQUIRED if self.required => "yes",
            KIND => &self.kind,
            SOURCE => &self.source,
            STEPS => &self.steps,
            DEFAULT => &self.default,
            NOTE => self.note.as_deref().unwrap_or_default(),
            _ => "",
        }
    }
}

const TARGET: &str = "Target";
const TYPE: &str = "Type";
const REQUIRED: &str = "Required";
const KIND: &str = "Kind";
const SOURCE: &str = "Source";
const STEPS: &str = "Steps";
const DEFAULT: &str = "Default";
const NOTE: &str = "Note";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mapping::sheet::export::to_csv;

    #[test]
    fn every_problem_is_said_with_its_line_and_column() {
        let csv = "Target,Type,Required,Kind,Source,Steps\na..b,text,maybe,from,x[,explode\nok,,,from,y,\nok,,,from,z,\nl,,,each,,\n";

        let problems = import_csv(csv, None).unwrap_err();

        let said: Vec<_> =
            problems.iter().map(|problem| problem.to_string().chars().take(26).collect::<String>()).collect();
        assert_eq!(
            said,
            [
                "line 2, column Target: exp",
                "line 2, column Source: `[`",
                "line 2, column Type: `text",
                "line 2, column Required: e",
                "line 2, column Steps: unkn",
                "line 4: `ok` is written tw",
                "line 5: the rule for `l` i",
            ]
        );
    }

    #[test]
    fn a_sheet_without_its_columns_is_refused() {
        assert_eq!(
            import_csv("Goal;Source\n", None),
            Err(vec![CsvProblem::NoColumn { column: TARGET }, CsvProblem::NoColumn { column: SOURCE }])
        );
    }

    #[test]
    fn what_a_row_cannot_say_is_taken_from_the_document() {
        let text = include_str!("../../../examples/mappings/shopify_order_to_erp.json");
        let spec = MappingSpec::parse(text).unwrap();

        let fields = import_csv(&to_csv(&spec), Some(&spec)).unwrap();

        assert_eq!(fields, spec.fields);
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof!["[=+@'\"|,; \\n\\r-]{0,5}", any::<String>()]
    }

    proptest! {
        #[test]
        fn simple_rules_are_read_back_as_they_were_written(
            texts in proptest::collection::vec((any_text(), any_text()), 1..5), required in any::<bool>()
        ) {
            let fields: Vec<FieldSpec> = texts.iter().enumerate().map(|(index, (text, note))| {
                let mut field = FieldSpec::new(format!("f{index}"));
                field.required = required;
                // An empty cell says nothing.
                field.note = Some(note.clone()).filter(|note| !note.is_empty());
                match index % 2 {
                    0 => {
                        field.from = Some("a['b c'].d".to_owned());
                        field.default = Some(json!(text));
                        field.steps = serde_json::from_value(json!([{"op": "suffix", "text": text}])).unwrap();
                    }
                    _ => field.constant = Some(json!([text, 1])),
                }
                field
            }).collect();
            let spec = MappingSpec::new("m", 1, fields);

            prop_assert_eq!(import_csv(&to_csv(&spec), None).unwrap(), spec.fields);
        }

        #[test]
        fn any_text_is_a_sheet_or_an_error(text in "(Target|Source|,|\n|a|\"){0,20}") {
            // What it says about arbitrary text is of no interest here.
            let _ = import_csv(&text, None);
        }
    }
}
