//! Which texts are paths, and what is wrong with the others, at which byte.

use std::ops::Range;
use std::str::FromStr;

use serde_json::Value;

use crate::mapping::path::model::{InvalidPath, Origin, Segment, SourcePath, TargetPath};

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

/// Whether a name stands without quotes.
pub(super) fn is_shorthand(name: &str) -> bool {
    let mut reader = Reader { text: name, at: 0 };
    reader.shorthand().is_ok() && reader.is_done()
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
