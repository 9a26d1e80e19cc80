//! The rules of a mapping as CSV.

use crate::mapping::cells::write_row;
use crate::mapping::reverse::{ReverseReport, analyse_reverse};
use crate::mapping::sheet::import::CsvRule;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::FieldSpec;
use crate::mapping::words::{describe_policies, describe_source, describe_steps};

/// The rules of a mapping as CSV, one row each, safe to open in a spreadsheet.
///
/// Rows of the kinds `from`, `const` and `ctx` say everything, and [`import_csv`](crate::mapping::import_csv) reads them back; of all
/// others the words say what they do.
///
/// ```
/// use crossdock::mapping::{MappingSpec, to_csv};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[
///     {"to":"no","from":"id","steps":[{"op":"prefix","text":"SHOP-"}],"note":"=1+1"}]}"#)?;
///
/// let csv = to_csv(&spec);
///
/// assert!(csv.contains("no,,,from,id,prefix text=SHOP-"), "{csv}");
/// assert!(csv.contains(",'=1+1"), "a spreadsheet would have run that");
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
pub fn to_csv(spec: &MappingSpec) -> String {
    let mut out = String::new();
    write_row(COLUMNS, &mut out);
    add_rows(&spec.fields, "", &analyse_reverse(spec), &mut out);
    out
}

fn add_rows(fields: &[FieldSpec], prefix: &str, reverse: &ReverseReport, out: &mut String) {
    for field in fields {
        let target = format!("{prefix}{}", field.to);
        let mut words = vec![describe_source(field), describe_steps(field), describe_policies(field)];
        words.retain(|words| !words.is_empty());
        // Within an `each` a path begins at the element, which a sheet cannot say.
        let rule = CsvRule::of(field).filter(|_| prefix.is_empty()).unwrap_or_else(|| CsvRule::other(field));
        let verdict = reverse.rule(&target).map(|rule| rule.verdict.as_str()).unwrap_or_default();
        write_row(
            [
                target.as_str(),
                &rule.target_type,
                if rule.required { "yes" } else { "" },
                &rule.kind,
                &rule.source,
                &rule.steps,
                &rule.default,
                &words.join("; "),
                verdict,
                rule.note.as_deref().unwrap_or_default(),
            ],
            out,
        );
        add_rows(&field.fields, &format!("{target}[]."), reverse, out);
    }
}

/// The names of the columns, in the order in which they are written.
pub(crate) const COLUMNS: [&str; 10] =
    ["Target", "Type", "Required", "Kind", "Source", "Steps", "Default", "In words", "Reverse", "Note"];
