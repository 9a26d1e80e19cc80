//! What is wrong with a document, said so that it can be put right.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// The document works, but probably not as meant.
    Warning,
    /// The document cannot be used.
    Error,
}

/// One finding about a document: which rule of the language, where, and what makes it right.
///
/// ```
/// use crossdock::mapping::{MappingSpec, Severity};
///
/// let text = r#"{"format":"mapping/1","id":"m","version":1,"fields":[{"to":"a","form":"b"}]}"#;
/// let found = MappingSpec::parse(text).unwrap_err();
///
/// assert_eq!(found[0].severity, Severity::Error);
/// assert_eq!(found[0].pointer, "/fields/0/form");
/// assert_eq!(found[0].help.as_deref(), Some("did you mean `from`?"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The code, such as `E-PATH`; `docs/mapping_codes.md` has an example of each.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// A JSON Pointer into the document; the empty text is the whole.
    pub pointer: String,
    /// Which bytes of the document's text are meant, where it was given as text.
    pub span: Option<Range<usize>>,
    /// Which bytes of the string at `pointer` are meant, where it is a path or an expression.
    pub within: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What makes it right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at this place of the document.
    pub fn error(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            pointer: pointer.into(),
            span: None,
            within: None,
            message: message.into(),
            help: None,
        }
    }

    /// A warning about this place of the document.
    pub fn warning(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, pointer, message) }
    }

    /// Says what makes it right.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into().into_owned());
        self
    }

    /// Suggests a known name that is written much like the unknown one, if there is one.
    #[must_use]
    pub fn with_nearest<'a>(self, unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(unknown, known) {
            Some(name) => self.with_help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Says which bytes of the string at the pointer are meant.
    #[must_use]
    pub fn with_within(mut self, within: Range<usize>) -> Self {
        self.within = Some(within);
        self
    }

    /// Whether the document cannot be used because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{severity}[{}] {place}: {}", self.code, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// What was found, errors first, and of errors and of warnings the first two hundred each; never empty when it is an error.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether the document cannot be used.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    /// Keeps a finding, unless there are enough of its kind: nobody reads more, and each is larger than what it is about.
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        let of_its_kind = self.0.iter().filter(|known| known.severity == diagnostic.severity).count();
        if of_its_kind < MOST {
            let mut diagnostic = diagnostic;
            // Names of the document stand in all three, and a name may be as long as the document.
            for text in
                [&mut diagnostic.pointer, &mut diagnostic.message].into_iter().chain(&mut diagnostic.help)
            {
                if text.len() > LONGEST_TEXT {
                    let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
                    text.truncate(end);
                }
            }
            self.0.push(diagnostic);
        }
    }

    /// Errors first, in the order of the document otherwise.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity));
        self
    }
}

impl std::ops::Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The known name that is nearest by edits, if it is near enough to be meant.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (unknown.chars().count() / 3).max(1) + usize::from(unknown.len() > 3);
    known
        .into_iter()
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edits from one text to the other, a swap of neighbours being one; long texts are far from everything.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    if left.len() > LONGEST || right.len() > LONGEST {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let mut best =
                (above[column] + usize::from(a != b)).min(above[column + 1] + 1).min(line[column] + 1);
            let swapped = row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[right.len()]
}

const LONGEST: usize = 64;

/// Bytes of a pointer and of a message that are told.
const LONGEST_TEXT: usize = 4_096;

/// So many errors and so many warnings are told.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_warnings_that_nobody_reads_them_hide_no_error() {
        let mut found = Diagnostics::default();
        for at in 0..1_000 {
            found.add(Diagnostic::warning("W-UNUSED", format!("/{at}"), "unused"));
        }
        for at in 0..1_000 {
            found.add(Diagnostic::error("E-PATH", format!("/{at}"), "wrong"));
        }

        let found = found.sorted();

        assert_eq!(found.len(), 2 * MOST);
        let mut long = Diagnostics::default();
        long.add(
            Diagnostic::error("E-KEY", "/é".repeat(5_000), "x".repeat(5_000)).with_help("y".repeat(5_000)),
        );
        assert!(long[0].pointer.len() <= LONGEST_TEXT && long[0].message.len() == LONGEST_TEXT);
        assert_eq!(long[0].help.as_ref().map(String::len), Some(LONGEST_TEXT));
        assert_eq!(found[0].pointer, "/0");
        assert!(found[MOST - 1].is_error() && !found[MOST].is_error());
    }

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let known = ["from", "first", "join", "shipping_address"];

        assert_eq!(nearest("form", known), Some("from"));
        assert_eq!(nearest("shiping_address", known), Some("shipping_address"));
        assert_eq!(nearest("warehouse", known), None);
    }
}
