//! The mapping of the way back, as a document of its own.

use crate::mapping::reverse::analyse::{ReverseReport, reversed};
use crate::mapping::reverse::optic::Verdict;
use crate::mapping::reverse::rule_inverse::TODO;
use crate::mapping::spec::document::{MappingSpec, Unmapped, UnmappedMode};
use crate::mapping::spec::field::FieldSpec;
use crate::mapping::spec::step::{Op, Step};

/// The mapping of the way back, and what became of each rule.
///
/// ```
/// use crossdock::mapping::{MappingSpec, Op, invert};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"items","version":1,"fields":[
///     {"to":"itemNo","from":"handle","steps":[{"op":"prefix","text":"IT-"}]}]}"#)?;
///
/// let back = invert(&spec).spec;
///
/// assert_eq!((back.fields[0].to.as_str(), back.fields[0].from.as_deref()), ("handle", Some("itemNo")));
/// assert_eq!(back.fields[0].steps[0].op, Op::StripPrefix { text: "IT-".to_owned(), required: true });
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inverted {
    /// A document as any other: to be reviewed, edited, tested and versioned. A note that begins with `CHECK:` says what to look at; a
    /// rule whose note begins with `TODO:` works in neither direction until somebody has said how.
    pub spec: MappingSpec,
    /// What became of each rule.
    pub report: ReverseReport,
}

/// The mapping of the way back. Tests are not turned round: what comes out of them has to be seen by somebody.
pub fn invert(spec: &MappingSpec) -> Inverted {
    let reversed = reversed(spec);
    let mut back = MappingSpec::new(other_name(&spec.id), spec.version, reversed.fields);
    back.title = spec.title.as_ref().map(|title| format!("{title}, reversed"));
    back.source.clone_from(&spec.target);
    back.target.clone_from(&spec.source);
    back.defaults.clone_from(&spec.defaults);
    if spec.unmapped.as_ref().is_some_and(|unmapped| unmapped.mode == UnmappedMode::Pass) {
        back.unmapped = Some(Unmapped { mode: UnmappedMode::Pass, except: written_names(&spec.fields) });
    }
    back.tables = reversed.tables;
    for name in table_names(&back.fields) {
        if let Some(table) = spec.tables.get(&name) {
            back.tables.entry(name).or_insert_with(|| table.clone());
        }
    }
    back.note = open_questions(&reversed.report);
    Inverted { spec: back, report: reversed.report }
}

fn other_name(id: &str) -> String {
    match id.strip_suffix(REVERSED) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => format!("{id}{REVERSED}"),
    }
}

/// What no rule of the reversed document can say: fields for which there is no place in the source.
fn open_questions(report: &ReverseReport) -> Option<String> {
    let open: Vec<_> = report
        .with(Verdict::NeedsExplicit)
        .map(|rule| format!("`{}` ({})", rule.to, rule.reasons.join("; ")))
        .collect();
    if open.is_empty() {
        None
    } else {
        Some(format!("{TODO}say how these are reversed: {}", open.join(", ")))
    }
}

/// The names at the top that rules write: on the way back they are read and not copied as well.
fn written_names(fields: &[FieldSpec]) -> Vec<String> {
    let mut names: Vec<String> = fields
        .iter()
        .filter_map(|field| field.to.parse::<crate::mapping::path::TargetPath>().ok())
        .filter_map(|path| path.names.into_iter().next())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn table_names(fields: &[FieldSpec]) -> Vec<String> {
    fn of_steps(steps: &[Step], names: &mut Vec<String>) {
        for step in steps {
            match &step.op {
                Op::Table { name, .. } => names.push(name.clone()),
                Op::Each { steps } => of_steps(steps, names),
                _ => {}
            }
        }
    }
    let mut names = Vec::new();
    for field in fields {
        of_steps(&field.steps, &mut names);
        names.extend(table_names(&field.fields));
    }
    names
}

const REVERSED: &str = "-reverse";
