//! Which paths a mapping reads and writes, in the words of [`RecordShape`](crate::mapping::schema::RecordShape): `lines[].sku`.

use std::collections::BTreeSet;

use crate::mapping::path::{Origin, Segment, SourcePath, TargetPath};
use crate::mapping::schema::child;
use crate::mapping::spec::condition::Condition;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{Case, Direction, FieldSpec, Rule};
use crate::mapping::spec::step::{Op, Step};

/// A rule, and where in the record it writes.
pub(crate) struct Write<'a> {
    pub(crate) path: String,
    pub(crate) field: &'a FieldSpec,
}

/// Everything that a mapping touches.
#[derive(Default)]
pub(crate) struct Reach<'a> {
    pub(crate) writes: Vec<Write<'a>>,
    /// Values that are read, with everything below them.
    pub(crate) reads: BTreeSet<String>,
    /// Lists whose elements are gone through; by itself this reads none of their fields.
    pub(crate) lists: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
}

impl<'a> Reach<'a> {
    pub(crate) fn of(spec: &'a MappingSpec) -> Self {
        let mut reach = Self::default();
        reach.frame(&spec.fields, "", &[String::new()]);
        reach
    }

    /// `elements` are the source paths of the elements around, the record first.
    fn frame(&mut self, fields: &'a [FieldSpec], target: &str, elements: &[String]) {
        for field in fields.iter().filter(|field| field.direction != Some(Direction::Reverse)) {
            let path = field.to.parse::<TargetPath>().map_or_else(
                |_| field.to.clone(),
                |path| path.names.iter().fold(target.to_owned(), |path, name| child(&path, name)),
            );
            self.writes.push(Write { path: path.clone(), field });
            self.rule(field, &path, elements);
        }
    }

    fn rule(&mut self, field: &'a FieldSpec, target: &str, elements: &[String]) {
        match field.rule() {
            Some(Rule::From(path)) => self.read(path, elements),
            Some(Rule::First(paths) | Rule::Join(paths)) => {
                paths.iter().for_each(|path| self.read(path, elements));
            }
            Some(Rule::Cases(cases)) => self.cases(cases, elements),
            Some(Rule::Expr(expr)) => self.expression(expr, elements),
            Some(Rule::Each(list)) => {
                let Some(list) = self.resolve(list, elements) else { return };
                let mut inner = elements.to_vec();
                inner.push(format!("{list}[]"));
                self.lists.insert(list);
                if let Some(keep) = &field.keep {
                    self.condition(&keep.when, &inner);
                }
                if let Some(key) = &field.key {
                    self.read(&key.source, &inner);
                }
                self.frame(&field.fields, &format!("{target}[]"), &inner);
            }
            Some(Rule::Const(_) | Rule::Ctx(_) | Rule::Index(_)) | None => {}
        }
        if let Some(when) = &field.when {
            self.condition(when, elements);
        }
        self.steps(&field.steps, elements);
    }

    fn steps(&mut self, steps: &'a [Step], elements: &[String]) {
        for step in steps {
            match &step.op {
                Op::Table { name, .. } => {
                    self.tables.insert(name.clone());
                }
                Op::MinorUnits { currency: Some(path), .. } | Op::MajorUnits { currency: Some(path), .. } => {
                    self.read(path, elements);
                }
                Op::Each { steps } => self.steps(steps, elements),
                _ => {}
            }
        }
    }

    fn cases(&mut self, cases: &'a [Case], elements: &[String]) {
        for case in cases {
            if let Some(when) = &case.when {
                self.condition(when, elements);
            }
            if let Some(path) = &case.from {
                self.read(path, elements);
            }
            if let Some(expr) = &case.expr {
                self.expression(expr, elements);
            }
        }
    }

    fn condition(&mut self, when: &Condition, elements: &[String]) {
        for path in [&when.present, &when.absent, &when.path].into_iter().flatten() {
            self.read(path, elements);
        }
        for inner in when.all.iter().chain(&when.any).chain(when.not.as_deref()) {
            self.condition(inner, elements);
        }
        if let Some(expr) = &when.expr {
            self.expression(expr, elements);
        }
    }

    /// The paths in an expression: names with dots that are no function and no word of the language.
    fn expression(&mut self, expr: &str, elements: &[String]) {
        for path in paths_in(expr) {
            self.read(&path, elements);
        }
    }

    fn read(&mut self, path: &str, elements: &[String]) {
        if let Some(path) = self.resolve(path, elements) {
            self.reads.insert(path);
        }
    }

    /// The path from the record on; what filters compare is read as well.
    fn resolve(&mut self, path: &str, elements: &[String]) -> Option<String> {
        let path: SourcePath = path.parse().ok()?;
        let mut at = match path.origin {
            Origin::Root => String::new(),
            Origin::Element => elements.last()?.clone(),
            Origin::Parent(levels) => elements.get((elements.len() - 1).checked_sub(levels)?)?.clone(),
        };
        for segment in &path.segments {
            match segment {
                Segment::Name(name) => at = child(&at, name),
                Segment::Index(_) => at.push_str("[]"),
                Segment::Filter { names, .. } => {
                    at.push_str("[]");
                    self.reads.insert(names.iter().fold(at.clone(), |at, name| child(&at, name)));
                }
            }
        }
        Some(at)
    }
}

/// Paths as they stand in an expression; texts in quotes and functions are passed over.
fn paths_in(expr: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(c) = rest.chars().next() {
        if c == '"' || c == '\'' {
            let end = rest[1..].find(c).map_or(rest.len(), |end| end + 2);
            rest = &rest[end..];
            continue;
        }
        if !(c.is_alphabetic() || matches!(c, '_' | '$' | '`' | '^')) {
            // Digits too, so that the `e` of a number begins no name.
            let end =
                rest.find(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '`' | '^' | '"' | '\''));
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
            let exponent = rest[digits..].starts_with(['e', 'E']) && digits > 0;
            rest = if exponent { &rest[digits + 1..] } else { &rest[end.unwrap_or(rest.len()).max(1)..] };
            continue;
        }
        let mut end = 0;
        let mut quoted = false;
        for (at, c) in rest.char_indices() {
            quoted ^= c == '`';
            if !(quoted || c.is_alphanumeric() || matches!(c, '_' | '$' | '`' | '.' | '^')) {
                break;
            }
            end = at + c.len_utf8();
        }
        let word = &rest[..end];
        let after = rest[end..].trim_start();
        let is_function = word.starts_with('$') && !word.contains('.') && after.starts_with('(');
        let is_word = matches!(word, "and" | "or" | "in" | "true" | "false" | "null");
        if !is_function && !is_word {
            found.push(as_path(word.trim_end_matches('.')));
        }
        rest = &rest[end.max(1)..];
    }
    found
}

/// In expressions `$$` is the root and `$` the element; in paths they are `$` and `@`.
fn as_path(word: &str) -> String {
    let (origin, names) = match (word.strip_prefix("$$"), word.strip_prefix('$')) {
        (Some(rest), _) => ("$", rest),
        (None, Some(rest)) => ("@", rest),
        (None, None) => ("", word),
    };
    let mut path = origin.to_owned();
    let mut name = String::new();
    let mut quoted = false;
    let mut parts = Vec::new();
    for c in names.chars() {
        match c {
            '`' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut name)),
            c => name.push(c),
        }
    }
    parts.push(name);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        path = if part == "^" {
            if path.is_empty() { "^".to_owned() } else { format!("{path}.^") }
        } else {
            child(&path, part)
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_an_expression_are_found() {
        for (expr, paths) in [
            ("price * quantity - total_discount", &["price", "quantity", "total_discount"][..]),
            ("$number(onHand) - $number(reserved ?? '0')", &["onHand", "reserved"]),
            ("$$.currency & \" x.y \" & customer.`first name`", &["$.currency", "customer['first name']"]),
            ("1e3 + 2.5 and true", &[]),
            ("lines[price > 10].sku", &["lines", "price", "sku"]),
        ] {
            assert_eq!(paths_in(expr), paths, "{expr}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_gone_through(expr in ".{0,40}") {
            // That it ends and does not panic is all that is asked here.
            let _ = paths_in(&expr);
        }
    }
}
