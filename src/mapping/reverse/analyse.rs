//! How far each rule of a mapping can be undone, and by what.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::mapping::path::{Origin, SourcePath, TargetPath};
use crate::mapping::reverse::optic::{Optic, Verdict};
use crate::mapping::reverse::rule_inverse::{Inverse, undo_rule};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{Direction, ElementKey, FieldSpec, Keep, Reverse, Rule};
use crate::mapping::spec::table::TableSpec;

/// What becomes of one rule when the mapping is reversed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RuleReverse {
    /// The target path that the rule writes: `shipTo.city`, `lines[].qty`.
    pub to: String,
    /// The source paths that the way back writes.
    pub from: Vec<String>,
    /// How far it can be undone.
    pub optic: Optic,
    /// What is to be done about it.
    pub verdict: Verdict,
    /// What a reviewer should know.
    pub reasons: Vec<String>,
}

/// What becomes of every rule when a mapping is reversed.
///
/// ```
/// use crossdock::mapping::{MappingSpec, Verdict, analyse_reverse};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"items","version":1,"fields":[
///     {"to":"cents","from":"price","steps":[{"op":"scale10","n":2}]},
///     {"to":"name","from":"title","steps":[{"op":"upper"}]},
///     {"to":"total","expr":"price * quantity"}]}"#)?;
///
/// let report = analyse_reverse(&spec);
///
/// assert_eq!(report.with(Verdict::Auto).map(|rule| rule.to.as_str()).collect::<Vec<_>>(), ["cents"]);
/// assert_eq!(report.with(Verdict::NeedsCheck).next().map(|rule| rule.reasons[0].as_str()), Some("upper and lower case are lost"));
/// assert_eq!(report.with(Verdict::NeedsExplicit).map(|rule| rule.to.as_str()).collect::<Vec<_>>(), ["total"]);
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReverseReport {
    /// One entry per rule, in the order of the document; those of an `each` follow it.
    pub rules: Vec<RuleReverse>,
}

impl ReverseReport {
    /// The rules with this verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &RuleReverse> {
        self.rules.iter().filter(move |rule| rule.verdict == verdict)
    }

    /// What becomes of the rule that writes this target path.
    pub fn rule(&self, to: &str) -> Option<&RuleReverse> {
        self.rules.iter().find(|rule| rule.to == to)
    }
}

/// What becomes of every rule of a mapping when it is reversed.
pub fn analyse_reverse(spec: &MappingSpec) -> ReverseReport {
    reversed(spec).report
}

/// Everything that is known about the way back.
pub(crate) struct Reversed {
    pub(crate) report: ReverseReport,
    pub(crate) fields: Vec<FieldSpec>,
    pub(crate) tables: BTreeMap<String, TableSpec>,
}

pub(crate) fn reversed(spec: &MappingSpec) -> Reversed {
    let mut all = Reversed { report: ReverseReport::default(), fields: Vec::new(), tables: BTreeMap::new() };
    let frames = Frames { spec, fields: vec![&spec.fields], prefix: String::new() };
    all.fields = reverse_frame(&frames, &mut all.report, &mut all.tables);
    all
}

/// The rules around a rule: those of the record first, those of the innermost `each` last.
pub(crate) struct Frames<'a> {
    pub(crate) spec: &'a MappingSpec,
    pub(crate) fields: Vec<&'a [FieldSpec]>,
    /// Of target paths: `lines[].`.
    pub(crate) prefix: String,
}

impl Frames<'_> {
    /// Where the value at a source path stands in the target as it is, seen from the innermost element.
    pub(crate) fn image(&self, path: &str) -> Option<String> {
        let path: SourcePath = path.parse().ok()?;
        let innermost = self.fields.len().checked_sub(1)?;
        let (frame, prefix) = match path.origin {
            Origin::Element => (innermost, String::new()),
            Origin::Root => (0, "$.".to_owned()),
            Origin::Parent(levels) => (innermost.checked_sub(levels)?, "^.".repeat(levels)),
        };
        let copies = |field: &&FieldSpec| {
            let from = field.from.as_deref().and_then(|from| from.parse::<SourcePath>().ok());
            field.steps.is_empty()
                && is_reversible(field)
                && from.is_some_and(|from| from.origin == Origin::Element && from.segments == path.segments)
        };
        let copy = self.fields[frame].iter().find(copies)?;
        Some(format!("{prefix}{}", copy.to))
    }
}

fn reverse_frame(
    frames: &Frames<'_>,
    report: &mut ReverseReport,
    tables: &mut BTreeMap<String, TableSpec>,
) -> Vec<FieldSpec> {
    let fields: &[FieldSpec] = frames.fields.last().copied().unwrap_or_default();
    // The best inverse of a source field writes it, whichever rule comes first.
    let mut inverses: Vec<Inverse> = fields.iter().map(|field| undo_rule(field, frames)).collect();
    let mut order: Vec<usize> = (0..inverses.len()).collect();
    order.sort_by_key(|index| (inverses[*index].optic, *index));
    let mut written: Vec<(TargetPath, String)> = Vec::new();
    for index in order {
        claim(&mut inverses[index], &fields[index], &mut written);
    }
    let mut reversed = Vec::new();
    for (field, inverse) in fields.iter().zip(inverses) {
        for (name, table) in inverse.tables {
            tables.insert(name, table);
        }
        let to = format!("{}{}", frames.prefix, field.to);
        let from = inverse.rules.iter().map(|rule| rule.to.clone()).collect();
        report.rules.push(RuleReverse {
            to: to.clone(),
            from,
            optic: inverse.optic,
            verdict: inverse.verdict,
            reasons: inverse.reasons,
        });
        for mut rule in inverse.rules {
            if rule.each.is_some() && inverse.verdict != Verdict::OneWay {
                let mut inner = frames.fields.clone();
                inner.push(&field.fields);
                let inner = Frames { spec: frames.spec, fields: inner, prefix: format!("{to}[].") };
                rule.fields = reverse_frame(&inner, report, tables);
                if rule.fields.is_empty() {
                    continue;
                }
            }
            reversed.push(rule);
        }
    }
    reversed
}

/// Takes the source fields that an inverse writes, unless a better one has them.
fn claim(inverse: &mut Inverse, field: &FieldSpec, written: &mut Vec<(TargetPath, String)>) {
    let paths: Vec<TargetPath> = inverse.rules.iter().filter_map(|rule| rule.to.parse().ok()).collect();
    let taken = paths.iter().find_map(|path| {
        let overlaps = |other: &TargetPath| {
            let shorter = path.names.len().min(other.names.len());
            path.names[..shorter] == other.names[..shorter]
        };
        written.iter().find(|(other, _)| overlaps(other))
    });
    match taken {
        Some((path, by)) => {
            let why = format!("`{path}` is written back by the rule for `{by}`");
            *inverse = Inverse::one_way(why);
        }
        None => written.extend(paths.into_iter().map(|path| (path, field.to.clone()))),
    }
}

/// Whether a rule takes part in the way back at all.
pub(crate) fn is_reversible(field: &FieldSpec) -> bool {
    field.direction != Some(Direction::Forward) && field.reverse != Some(Reverse::None)
}

/// How an `each` is reversed, without its rules.
pub(crate) fn undo_each(field: &FieldSpec, list: &str) -> Inverse {
    let Some(to) = writable(list) else {
        return Inverse::explicit(format!("`{list}` is not a place to which a list can be written"));
    };
    let mut rule = FieldSpec::new(to.to_string());
    rule.each = Some(field.to.clone());
    rule.max = field.max;
    rule.note.clone_from(&field.note);
    let mut inverse = Inverse { optic: Optic::Iso, verdict: Verdict::Auto, ..Inverse::default() };
    match &field.key {
        Some(key) => {
            rule.key = Some(ElementKey { source: key.target.clone(), target: key.source.clone() });
            let copies = |inner: &FieldSpec| inner.to == key.target && is_reversible(inner);
            if !field.fields.iter().any(copies) {
                inverse.lower(
                    Optic::Lossy,
                    format!("no rule writes `{}` back, by which elements are paired", key.target),
                );
            }
        }
        None => inverse.lower(Optic::PartialIso, "elements are paired by their place: say a `key`"),
    }
    if let Some(Keep { .. }) = &field.keep {
        inverse.lower(Optic::Lossy, "elements that are not kept stay as they are in the old record");
    }
    inverse.rules.push(rule);
    inverse
}

/// A source path as a target path, if it can be one.
pub(crate) fn writable(path: &str) -> Option<TargetPath> {
    let path: SourcePath = path.parse().ok()?;
    if path.origin != Origin::Element || path.segments.is_empty() {
        return None;
    }
    Some(TargetPath { names: path.names()?.into_iter().map(str::to_owned).collect() })
}

/// What a rule takes its value from, in a few words.
pub(crate) fn is_constant(rule: &Rule<'_>) -> Option<&'static str> {
    match rule {
        Rule::Const(_) => Some("a constant says nothing about the source"),
        Rule::Ctx(_) => Some("what the host gives says nothing about the source"),
        Rule::Index(_) => Some("the number of an element follows from its place"),
        _ => None,
    }
}

/// A path, pairs of a constant and a value, and the value of all others.
pub(crate) type CaseTable<'a> = (&'a str, Vec<(&'a Value, &'a Value)>, Option<&'a Value>);

/// The values of cases that ask whether one path equals a constant, if that is all they do: the path, and pairs of constant and value.
pub(crate) fn as_table(field: &FieldSpec) -> Option<CaseTable<'_>> {
    let mut path: Option<&str> = None;
    let mut pairs: Vec<(&Value, &Value)> = Vec::new();
    let mut otherwise = None;
    for case in field.cases.as_deref()? {
        if let Some(value) = &case.otherwise {
            otherwise = Some(value);
            continue;
        }
        let (when, value) = (case.when.as_ref()?, case.value.as_ref()?);
        let (asked, constant) = (when.path.as_deref()?, when.eq.as_ref()?);
        let plain = crate::mapping::spec::condition::Condition {
            path: when.path.clone(),
            eq: when.eq.clone(),
            ..Default::default()
        };
        let known = path.is_none_or(|path| path == asked);
        if !known || plain != *when || pairs.iter().any(|(_, other)| *other == value) {
            return None;
        }
        path = Some(asked);
        pairs.push((constant, value));
    }
    if otherwise.is_some_and(|value| pairs.iter().any(|(_, other)| *other == value)) {
        return None;
    }
    Some((path?, pairs, otherwise))
}
