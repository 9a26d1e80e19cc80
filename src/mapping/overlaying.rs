//! A tenant's changes laid over a mapping that others share.

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::FieldSpec;
use crate::mapping::spec::overlay::{Overlay, Patch};

impl Overlay {
    /// The mapping with these changes: a document of its own, to be compiled, tested and reviewed as any other.
    ///
    /// # Errors
    ///
    /// Everything that does not fit: another base, rules that are not there, or are there already. The places are in the overlay.
    pub fn applied_to(&self, base: &MappingSpec) -> Result<MappingSpec, Diagnostics> {
        let mut found = Diagnostics::default();
        let name = format!("{}@{}", base.id, base.version);
        if self.base != name {
            let message = format!("the overlay is for `{}`, and this is `{name}`", self.base);
            found.add(
                Diagnostic::error("E-OVERLAY-BASE", "/base", message)
                    .with_help("an overlay is looked at again when its base changes"),
            );
        }
        let mut result = base.clone();
        for (at, patch) in self.patch.iter().enumerate() {
            if let Err(problem) = apply(patch, &mut result.fields, &format!("/patch/{at}")) {
                found.add(*problem);
            }
        }
        if found.has_errors() {
            return Err(found.sorted());
        }
        if let Some(id) = &self.id {
            result.id.clone_from(id);
        }
        result.version = self.version.unwrap_or(base.version);
        Ok(result)
    }
}

fn apply(patch: &Patch, fields: &mut Vec<FieldSpec>, pointer: &str) -> Result<(), Box<Diagnostic>> {
    match (&patch.add, &patch.replace, &patch.with, &patch.remove) {
        (Some(rule), None, None, None) => {
            let place = format!("{pointer}/add/to");
            if find(fields, &rule.to).is_some() {
                let message = format!("a rule for `{}` is there already", rule.to);
                return Err(Box::new(
                    Diagnostic::error("E-OVERLAY", place, message).with_help("use `replace`"),
                ));
            }
            let (list, to) = list_of(fields, &rule.to);
            let rule = FieldSpec { to, ..rule.clone() };
            list.push(rule);
            Ok(())
        }
        (None, Some(target), Some(rule), None) => {
            let unknown = missing(fields, target, &format!("{pointer}/replace"));
            let (list, at) = find(fields, target).ok_or(unknown)?;
            let to =
                if rule.to.is_empty() || rule.to == *target { list[at].to.clone() } else { rule.to.clone() };
            list[at] = FieldSpec { to, ..rule.clone() };
            Ok(())
        }
        (None, None, None, Some(target)) => {
            let unknown = missing(fields, target, &format!("{pointer}/remove"));
            let (list, at) = find(fields, target).ok_or(unknown)?;
            list.remove(at);
            Ok(())
        }
        _ => {
            let message = "a change is one of `add`, `replace` (with `with`) and `remove`";
            Err(Box::new(Diagnostic::error("E-OVERLAY", pointer, message)))
        }
    }
}

fn missing(fields: &[FieldSpec], target: &str, pointer: &str) -> Box<Diagnostic> {
    let mut known = Vec::new();
    targets(fields, "", &mut known);
    let found = Diagnostic::error("E-OVERLAY", pointer, format!("there is no rule for `{target}`"))
        .with_nearest(target, known.iter().map(String::as_str));
    Box::new(found)
}

fn targets(fields: &[FieldSpec], prefix: &str, known: &mut Vec<String>) {
    for field in fields {
        let path = if prefix.is_empty() { field.to.clone() } else { format!("{prefix}.{}", field.to) };
        targets(&field.fields, &path, known);
        known.push(path);
    }
}

/// The rule with this target path from the top, and the list that it stands in.
fn find<'f>(fields: &'f mut Vec<FieldSpec>, target: &str) -> Option<(&'f mut Vec<FieldSpec>, usize)> {
    if let Some(at) = fields.iter().position(|field| field.to == target) {
        return Some((fields, at));
    }
    let inner = |field: &FieldSpec| -> Option<String> {
        let rest = target.strip_prefix(&field.to)?.strip_prefix('.')?;
        field.each.is_some().then(|| rest.to_owned())
    };
    let (at, rest) = fields.iter().enumerate().find_map(|(at, field)| inner(field).map(|rest| (at, rest)))?;
    find(&mut fields[at].fields, &rest)
}

/// The list of rules that a new one belongs into, and its target path in there.
fn list_of<'f>(fields: &'f mut Vec<FieldSpec>, target: &str) -> (&'f mut Vec<FieldSpec>, String) {
    let inner = fields.iter().position(|field| {
        field.each.is_some() && target.strip_prefix(&field.to).is_some_and(|rest| rest.starts_with('.'))
    });
    match inner {
        Some(at) => {
            let rest = target[fields[at].to.len() + 1..].to_owned();
            list_of(&mut fields[at].fields, &rest)
        }
        None => (fields, target.to_owned()),
    }
}
