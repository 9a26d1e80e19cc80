//! Whether a document fits the JSON Schemas of the records that come in and go out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::path::{Origin, Segment, SourcePath, TargetPath};
use crate::mapping::schema::{LeafKind, RecordShape, child, is_below};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{Direction, FieldSpec, TargetType};

/// Adds what does not fit; what the source schema says about records.
pub(crate) fn check(
    spec: &MappingSpec,
    source: Option<&Value>,
    target: Option<&Value>,
    found: &mut Diagnostics,
) -> Option<RecordShape> {
    let mut shape = |schema: Option<&Value>, pointer: &str| match RecordShape::from_schema(schema?) {
        Ok(shape) => Some(shape),
        Err(error) => {
            found.add(Diagnostic::warning(
                "W-SCHEMA",
                pointer,
                format!("the schema is not looked at: {error}"),
            ));
            None
        }
    };
    let (source, target) = (shape(source, "/source"), shape(target, "/target"));
    let mut checker = Checker { source, target, written: BTreeSet::new(), found };
    checker.fields(&spec.fields, "/fields", "", &[String::new()]);
    checker.required();
    checker.source
}

struct Checker<'f> {
    source: Option<RecordShape>,
    target: Option<RecordShape>,
    written: BTreeSet<String>,
    found: &'f mut Diagnostics,
}

impl Checker<'_> {
    /// As deep as `each` is nested, which has been bounded.
    fn fields(&mut self, fields: &[FieldSpec], pointer: &str, target: &str, sources: &[String]) {
        for (at, field) in
            fields.iter().enumerate().filter(|(_, field)| field.direction != Some(Direction::Reverse))
        {
            let pointer = format!("{pointer}/{at}");
            let Ok(to) = field.to.parse::<TargetPath>() else { continue };
            let to = to.names.iter().fold(target.to_owned(), |path, name| child(&path, name));
            self.target(field, &to, &pointer);
            let one = field.from.iter().map(|path| (path, format!("{pointer}/from")));
            let many =
                [("first", &field.first), ("join", &field.join)].into_iter().flat_map(|(key, paths)| {
                    let pointer = &pointer;
                    let paths = paths.iter().flatten().enumerate();
                    paths.map(move |(at, path)| (path, format!("{pointer}/{key}/{at}")))
                });
            for (path, place) in one.chain(many) {
                self.source(path, &place, sources);
            }
            if let Some(list) = &field.each
                && let Some(list) = self.source(list, &format!("{pointer}/each"), sources)
            {
                let mut inner = sources.to_vec();
                inner.push(format!("{list}[]"));
                self.fields(&field.fields, &format!("{pointer}/fields"), &format!("{to}[]"), &inner);
            } else {
                self.written.insert(to);
            }
        }
    }

    fn target(&mut self, field: &FieldSpec, to: &str, pointer: &str) {
        let Some(shape) = &self.target else { return };
        let place = format!("{pointer}/to");
        if !shape.may_have(to) {
            let message = format!("`{to}` is not in the target schema");
            self.found
                .add(Diagnostic::error("E-SCHEMA-TARGET", place, message).with_nearest(to, shape.paths()));
            return;
        }
        let (Some(leaf), Some(wanted)) = (shape.leaf(to), field.target_type) else { return };
        let fits = leaf.kinds.is_empty() || kinds(wanted).iter().any(|kind| leaf.kinds.contains(kind));
        if !fits && wanted != TargetType::Any {
            let known: Vec<&str> = leaf.kinds.iter().map(|kind| kind.as_str()).collect();
            let message =
                format!("the target schema has `{to}` as {}, and not as `{wanted}`", known.join(" or "));
            self.found.add(Diagnostic::error("E-SCHEMA-TARGET", format!("{pointer}/type"), message));
        }
    }

    /// The path of the schema that a source path means.
    fn source(&mut self, text: &str, pointer: &str, sources: &[String]) -> Option<String> {
        let full = resolved(text, sources)?;
        if let Some(shape) = &self.source
            && !full.is_empty()
            && !shape.may_have(&full)
        {
            let message = format!("`{full}` is not in the source schema");
            let found = Diagnostic::error("E-SCHEMA-SOURCE", pointer, message);
            self.found.add(found.with_nearest(&full, shape.paths()));
        }
        Some(full)
    }

    /// What the target schema requires and no rule writes.
    fn required(&mut self) {
        let Some(shape) = &self.target else { return };
        for leaf in shape.leaves().filter(|leaf| leaf.required) {
            let is_written = self.written.iter().any(|to| *to == leaf.path || is_below(&leaf.path, to));
            if !is_written {
                let message = format!("the target schema requires `{}`, and no rule writes it", leaf.path);
                self.found.add(Diagnostic::error("E-SCHEMA-REQUIRED", "/fields", message));
            }
        }
    }
}

/// The path of the schema that a source path means; `sources` are the paths of the elements around, the record first.
pub(super) fn resolved(text: &str, sources: &[String]) -> Option<String> {
    let path = text.parse::<SourcePath>().ok()?;
    let innermost = sources.len() - 1;
    let base = match path.origin {
        Origin::Root => 0,
        Origin::Element => innermost,
        Origin::Parent(levels) => innermost.checked_sub(levels)?,
    };
    Some(path.segments.iter().fold(sources[base].clone(), |path, segment| match segment {
        Segment::Name(name) => child(&path, name),
        Segment::Index(_) | Segment::Filter { .. } => format!("{path}[]"),
    }))
}

fn kinds(wanted: TargetType) -> &'static [LeafKind] {
    match wanted {
        TargetType::String => &[LeafKind::Text],
        TargetType::Integer => &[LeafKind::Integer, LeafKind::Number],
        TargetType::Decimal => &[LeafKind::Number],
        TargetType::Boolean => &[LeafKind::Boolean],
        TargetType::Array => &[LeafKind::List],
        TargetType::Object => &[LeafKind::Object],
        TargetType::Any => &[],
    }
}
