//! Paths: where a value is taken from, and where it is written to.
//!
//! A source path is a singular query of RFC 9535 without the leading `$`, such as `shipping_address.lines[0]`, with three
//! things more. `$.` at the beginning is the root of the record, `^.` the parent element, `@` the element itself. And
//! `[name='x']`, which RFC 9535 writes `[?@.name=='x']`, is the one element whose `name` is `x`.
//!
//! A target path has names only; `['customer.name']` is one name with a dot in it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde_json::Value;

/// Where a source path begins.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// At the element: that of the innermost `each`, or the record.
    Element,
    /// At the record.
    Root,
    /// So many elements further out: `^.` is 1.
    Parent(usize),
}

/// One part of a source path.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// The value of this name.
    Name(String),
    /// The element at this place; negative ones are counted from the end.
    Index(i64),
    /// The one element for which a value at `names` equals `value`.
    Filter {
        /// The names from the element to what is compared.
        names: Vec<String>,
        /// A text, a number, a boolean or null.
        value: Value,
    },
}

/// Where a value is taken from.
///
/// ```
/// use crossdock::mapping::path::{Segment, SourcePath};
///
/// let path: SourcePath = "$.note_attributes[name='vat_id'].value".parse()?;
///
/// assert_eq!(path.segments[2], Segment::Name("value".to_owned()));
/// assert_eq!(path.to_string(), "$.note_attributes[name='vat_id'].value");
/// # Ok::<(), crossdock::mapping::path::InvalidPath>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePath {
    /// Where it begins.
    pub origin: Origin,
    /// What follows; nothing means the origin itself.
    pub segments: Vec<Segment>,
}

/// Where a value is written to: names, outermost first.
///
/// ```
/// use crossdock::mapping::path::TargetPath;
///
/// let path: TargetPath = "shipTo['street.line']".parse()?;
///
/// assert_eq!(path.names, ["shipTo", "street.line"]);
/// # Ok::<(), crossdock::mapping::path::InvalidPath>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TargetPath {
    /// The names; at least one.
    pub names: Vec<String>,
}

/// The text is not a path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct InvalidPath {
    /// What is wrong.
    pub problem: String,
    /// Which bytes are meant.
    pub at: Range<usize>,
    /// What makes it right.
    pub help: Option<String>,
}

impl SourcePath {
    /// The element itself: `@`.
    pub fn element() -> Self {
        Self { origin: Origin::Element, segments: Vec::new() }
    }

    /// The names of the path if it has nothing but names.
    pub fn names(&self) -> Option<Vec<&str>> {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Name(name) => Some(name.as_str()),
                Segment::Index(_) | Segment::Filter { .. } => None,
            })
            .collect()
    }
}

impl FromStr for SourcePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let mut reader = Reader { text, at: 0 };
        let (origin, mut bare) = reader.origin();
        let mut segments = Vec::new();
        while !reader.is_done() {
            segments.push(reader.source_segment(bare)?);
            bare = false;
        }
        if segments.is_empty() && bare {
            return Err(reader
                .wrong("a path has at least one name", 0..text.len())
                .with_help("`@` is the element itself"));
        }
        Ok(Self { origin, segments })
    }
}

impl FromStr for TargetPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let mut reader = Reader { text, at: 0 };
        let mut names = Vec::new();
        while !reader.is_done() {
            let start = reader.at;
            match reader.source_segment(names.is_empty())? {
                Segment::Name(name) => names.push(name),
                Segment::Index(_) | Segment::Filter { .. } => {
                    return Err(reader
                        .wrong("a target path has names only", start..reader.at)
                        .with_help("lists are made by `each`"));
                }
            }
        }
        if names.is_empty() {
            return Err(reader.wrong("a target path has at least one name", 0..text.len()));
        }
        Ok(Self { names })
    }
}

/// Reads a path from left to right; never backwards, so that its time is bounded by the length.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn wrong(&self, problem: impl Into<String>, at: Range<usize>) -> InvalidPath {
        InvalidPath { problem: problem.into(), at, help: None }
    }

    fn wrong_here(&self, problem: impl Into<String>) -> InvalidPath {
        let width = self.rest().chars().next().map_or(0, char::len_utf8);
        self.wrong(problem, self.at..self.at + width)
    }

    /// Where the path begins, and whether its first name stands without a dot.
    fn origin(&mut self) -> (Origin, bool) {
        if self.eat("$") {
            return (Origin::Root, false);
        }
        if self.eat("@") {
            return (Origin::Element, false);
        }
        let mut parents = 0;
        while self.eat("^") {
            parents += 1;
            if !self.rest().starts_with(".^") {
                return (Origin::Parent(parents), false);
            }
            self.at += 1;
        }
        (Origin::Element, true)
    }

    fn source_segment(&mut self, bare: bool) -> Result<Segment, InvalidPath> {
        if self.rest().starts_with('[') {
            return self.bracket();
        }
        if !bare && !self.eat(".") {
            return Err(self.wrong_here("expected `.` or `[`"));
        }
        if self.rest().starts_with('[') {
            return Err(self
                .wrong_here("`.` is followed by a name")
                .with_help("leave the dot out before `[`"));
        }
        Ok(Segment::Name(self.shorthand()?.to_owned()))
    }

    /// A name without quotes.
    fn shorthand(&mut self) -> Result<&'a str, InvalidPath> {
        let rest = self.rest();
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | 0x80..);
        let end = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        if end == 0 {
            let problem = match rest.chars().next() {
                Some('*') => "wildcards are not singular",
                Some('.') => "expected a name, not a second dot",
                Some(_) => "this cannot begin a name",
                None => "expected a name",
            };
            return Err(self.wrong_here(problem).with_help("other names stand in quotes: `['odd name']`"));
        }
        let name = &rest[..end];
        if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            let at = self.at..self.at + end;
            let help = if name.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("an index stands in brackets: `[{name}]`; a name of digits in quotes: `['{name}']`")
            } else {
                format!("in quotes: `['{name}']`")
            };
            return Err(self.wrong("a name begins with a letter or `_`", at).with_help(help));
        }
        self.at += end;
        Ok(name)
    }

    fn bracket(&mut self) -> Result<Segment, InvalidPath> {
        let start = self.at;
        self.at += 1;
        self.skip_space();
        let segment = match self.rest().as_bytes().first() {
            Some(b'\'' | b'"') => Segment::Name(self.quoted()?),
            Some(b'-' | b'0'..=b'9') => Segment::Index(self.index()?),
            Some(b'?') => {
                self.at += 1;
                self.skip_space();
                if !self.eat("@") {
                    return Err(self
                        .wrong_here("a filter compares a value of the element")
                        .with_help("`[?@.name=='x']`"));
                }
                self.filter(true)?
            }
            Some(b'*' | b':') => {
                return Err(self
                    .wrong_here("wildcards and slices are not singular")
                    .with_help("use `each`, or steps on the list"));
            }
            Some(_) => self.filter(false)?,
            None => return Err(self.wrong("`[` is not closed", start..self.text.len())),
        };
        self.skip_space();
        if !self.eat("]") {
            return Err(if self.is_done() {
                self.wrong("`[` is not closed", start..self.text.len())
            } else {
                self.wrong_here("expected `]`")
            });
        }
        Ok(segment)
    }

    fn index(&mut self) -> Result<i64, InvalidPath> {
        let rest = self.rest();
        let digits = rest.trim_start_matches('-');
        let end = rest.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (text, at) = (&rest[..end], self.at..self.at + end);
        let canonical = text.parse::<i64>().ok().filter(|index| index.to_string() == text);
        self.at += end;
        canonical.ok_or_else(|| self.wrong("this is not an index", at))
    }

    /// `name='x'`, or `.name == 'x'` behind `?@`.
    fn filter(&mut self, standard: bool) -> Result<Segment, InvalidPath> {
        let mut names = Vec::new();
        loop {
            let name_follows = self.rest().starts_with('.') || (!standard && names.is_empty());
            if name_follows {
                if standard || !names.is_empty() {
                    self.at += 1;
                }
                names.push(self.shorthand()?.to_owned());
            } else if self.rest().starts_with("['") || self.rest().starts_with("[\"") {
                self.at += 1;
                names.push(self.quoted()?);
                if !self.eat("]") {
                    return Err(self.wrong_here("expected `]`"));
                }
            } else {
                break;
            }
        }
        self.skip_space();
        if !(self.eat("==") || (!standard && self.eat("="))) {
            return Err(self
                .wrong_here("expected `=` and a value")
                .with_help("names in brackets stand in quotes: `['name']`; a filter is `[name='x']`"));
        }
        self.skip_space();
        Ok(Segment::Filter { names, value: self.literal()? })
    }

    fn literal(&mut self) -> Result<Value, InvalidPath> {
        if self.rest().starts_with(['\'', '"']) {
            return Ok(Value::String(self.quoted()?));
        }
        let rest = self.rest();
        let end = rest.find([']', ' ', '\t']).unwrap_or(rest.len());
        let at = self.at..self.at + end;
        let value = match serde_json::from_str(&rest[..end]) {
            Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
            Ok(_) | Err(_) => {
                return Err(self
                    .wrong("this is not a value", at)
                    .with_help("texts stand in quotes; numbers, true, false and null do not"));
            }
        };
        self.at = at.end;
        Ok(value)
    }

    /// A text in single or double quotes, with the escapes of RFC 9535.
    fn quoted(&mut self) -> Result<String, InvalidPath> {
        let start = self.at;
        let quote = self.rest().as_bytes()[0];
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.wrong("the quotes are not closed", start..self.text.len()));
            };
            self.at += c.len_utf8();
            if c == char::from(quote) {
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let escape = self.rest().chars().next();
            self.at += escape.map_or(0, char::len_utf8);
            text.push(match escape {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('u') => self.unicode()?,
                Some(c @ ('\'' | '"' | '\\' | '/')) => c,
                Some(_) | None => {
                    return Err(self.wrong("this is not an escape", self.at.saturating_sub(1)..self.at));
                }
            });
        }
    }

    fn unicode(&mut self) -> Result<char, InvalidPath> {
        let start = self.at;
        let first = self.four_digits()?;
        let code = if (0xD800..0xDC00).contains(&first) && self.eat("\\u") {
            let second = self.four_digits()?;
            // The first half of a pair alone is no character, whatever follows.
            match (0xDC00..0xE000).contains(&second) {
                true => Some(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)),
                false => None,
            }
        } else {
            Some(first)
        };
        code.and_then(char::from_u32).ok_or_else(|| self.wrong("this is not a character", start..self.at))
    }

    fn four_digits(&mut self) -> Result<u32, InvalidPath> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.wrong_here("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

impl InvalidPath {
    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = false;
        match self.origin {
            Origin::Element if self.segments.is_empty() => f.write_str("@")?,
            Origin::Element => first = true,
            Origin::Root => f.write_str("$")?,
            Origin::Parent(levels) => {
                for level in 0..levels {
                    f.write_str(if level == 0 { "^" } else { ".^" })?;
                }
            }
        }
        for segment in &self.segments {
            match segment {
                Segment::Name(name) => write_name(f, name, first)?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Filter { names, value } => {
                    f.write_str("[")?;
                    let standard = !names.first().is_some_and(|name| is_shorthand(name));
                    if standard {
                        f.write_str("?@")?;
                    }
                    for (index, name) in names.iter().enumerate() {
                        write_name(f, name, index == 0 && !standard)?;
                    }
                    f.write_str(if standard { "==" } else { "=" })?;
                    match value {
                        Value::String(text) => write!(f, "'{}'", Quoted(text))?,
                        other => write!(f, "{other}")?,
                    }
                    f.write_str("]")?;
                }
            }
            first = false;
        }
        Ok(())
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names.iter().enumerate().try_for_each(|(index, name)| write_name(f, name, index == 0))
    }
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str, first: bool) -> fmt::Result {
    match (is_shorthand(name), first) {
        (true, true) => f.write_str(name),
        (true, false) => write!(f, ".{name}"),
        (false, _) => write!(f, "['{}']", Quoted(name)),
    }
}

fn is_shorthand(name: &str) -> bool {
    let mut reader = Reader { text: name, at: 0 };
    reader.shorthand().is_ok() && reader.is_done()
}

/// A text as it stands between single quotes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\'' => f.write_str("\\'"),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            c if c.is_control() && u32::from(c) < 0x10000 => write!(f, "\\u{:04x}", u32::from(c)),
            c => write!(f, "{c}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_they_are_read() {
        for text in [
            "id",
            "customer.first_name",
            "$.currency",
            "$",
            "^.id",
            "^.^.id",
            "^",
            "@",
            "lines[0].sku",
            "lines[-1]",
            "['customer.name'].x",
            "note_attributes[name='vat_id'].value",
            "a[b.c=12.5]",
            "a[ok=true]['it\\'s']",
            "created-at",
            "straße.größe",
        ] {
            let path: SourcePath = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));

            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn the_standard_form_of_a_filter_is_the_same_path() {
        let short: SourcePath = "a[name='x'].b".parse().unwrap();
        let standard: SourcePath = "a[?@.name == 'x'].b".parse().unwrap();

        assert_eq!(short, standard);
    }

    #[test]
    fn what_is_wrong_with_a_path_has_a_place() {
        for (text, at) in [
            ("", 0..0),
            ("a..b", 2..3),
            ("a.", 2..2),
            ("a.0", 2..3),
            ("a[", 1..2),
            ("a[0", 1..3),
            ("a[*]", 2..3),
            ("a['x", 2..4),
            ("a[01]", 2..4),
            ("a[b]", 3..4),
            ("a b", 1..2),
            ("a[b=x]", 4..5),
            ("a[--1]", 2..5),
            ("^^", 1..2),
        ] {
            let error = text.parse::<SourcePath>().expect_err(text);

            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn a_target_path_has_names_only() {
        assert_eq!("a.b['c.d']".parse::<TargetPath>().unwrap().names, ["a", "b", "c.d"]);
        assert!("a[0]".parse::<TargetPath>().is_err());
        assert!("$.a".parse::<TargetPath>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_path_or_an_error_with_a_place(text in ".{0,40}") {
            match text.parse::<SourcePath>() {
                Ok(path) => proptest::prop_assert_eq!(path.to_string().parse::<SourcePath>().unwrap(), path),
                Err(error) => proptest::prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error),
            }
        }

        #[test]
        fn texts_made_of_what_paths_are_made_of_too(text in "[a\\.\\[\\]'\"=?@$^*0-9\\\\u -]{0,24}") {
            if let Ok(path) = text.parse::<SourcePath>() {
                proptest::prop_assert_eq!(path.to_string().parse::<SourcePath>().unwrap(), path);
            }
        }
    }
}
