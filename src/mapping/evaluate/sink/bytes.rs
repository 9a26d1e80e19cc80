//! Bytes of JSON.

use serde_json::Value;

use crate::mapping::evaluate::checks::is_deeper;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::sink::{Entered, Place, Sink, Verdict, too_deep, too_large};
use crate::mapping::evaluate::value::V;
use crate::mapping::limits::Limits;
use crate::mapping::plan::output::Members;
use crate::mapping::source::scan::depth;

/// Bytes behind those that are there already.
pub(crate) struct Bytes<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    limits: &'o Limits,
}

impl<'o> Bytes<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>, limits: &'o Limits) -> Self {
        let start = out.len();
        Self { out, start, limits }
    }

    fn place(&mut self, place: Place<'_>) {
        // The text of a value never ends with an opening bracket.
        if !matches!(place, Place::Top) && !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
        match place {
            Place::Key(key) => self.out.extend_from_slice(&key.json),
            Place::Name(name) => {
                write_text(name, self.out);
                self.out.push(b':');
            }
            Place::Top | Place::Element => {}
        }
    }

    /// Whether so many bytes more may be written: asked before a value is copied, so that no list of copies outgrows memory.
    fn room(&self, length: usize) -> Result<(), Failure> {
        let written = self.out.len() - self.start;
        if written.saturating_add(length) > self.limits.output_bytes { Err(too_large()) } else { Ok(()) }
    }

    fn write(&mut self, value: &V<'_>) -> Result<(), Failure> {
        self.room(match value {
            V::Text(text) | V::Number(text) => text.len(),
            V::Raw(raw) => raw.len(),
            _ => 0,
        })?;
        match value {
            V::Missing | V::Null => self.out.extend_from_slice(b"null"),
            V::Bool(true) => self.out.extend_from_slice(b"true"),
            V::Bool(false) => self.out.extend_from_slice(b"false"),
            V::Number(text) => self.out.extend_from_slice(text.as_bytes()),
            V::Decimal(number) => number.write_to(self.out),
            V::Text(text) => write_text(text, self.out),
            V::Raw(raw) => {
                if depth(raw) > self.limits.json_depth {
                    return Err(too_deep());
                }
                self.out.extend_from_slice(raw.as_bytes());
            }
            V::Node(node) => {
                if is_deeper(node, self.limits.json_depth) {
                    return Err(too_deep());
                }
                let most = self.start.saturating_add(self.limits.output_bytes);
                write_node(node, self.out, most)?;
            }
            // As deep as steps have built it.
            V::List(items) => {
                self.out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.write(item)?;
                }
                self.out.push(b']');
            }
            V::Object(members) => {
                self.out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    write_text(name, self.out);
                    self.out.push(b':');
                    self.write(value)?;
                }
                self.out.push(b'}');
            }
        }
        Ok(())
    }
}

impl<'p> Sink<'p> for Bytes<'_> {
    fn enter_object(&mut self, place: Place<'_>, _: &'p Members) -> Entered {
        let mark = self.out.len();
        self.place(place);
        self.out.push(b'{');
        Entered { mark, is_list: false }
    }

    fn enter_list(&mut self, place: Place<'_>) -> Entered {
        let mark = self.out.len();
        self.place(place);
        self.out.push(b'[');
        Entered { mark, is_list: true }
    }

    fn leave(&mut self, entered: Entered, verdict: Verdict) {
        match verdict {
            Verdict::Undo => self.out.truncate(entered.mark),
            Verdict::Keep => self.out.push(if entered.is_list { b']' } else { b'}' }),
        }
    }

    fn is_full(&self) -> bool {
        self.room(0).is_err()
    }

    fn put(&mut self, place: Place<'_>, value: &mut V<'_>) -> Result<(), Failure> {
        let mark = self.out.len();
        self.place(place);
        let written = self.write(value).and_then(|()| self.room(0));
        if written.is_err() {
            self.out.truncate(mark);
        }
        written
    }
}

/// Writes a value in memory, whose depth has been checked: members sorted by name, so that no feature of serde_json shows.
/// It stops where the output is longer than `most`.
fn write_node(node: &Value, out: &mut Vec<u8>, most: usize) -> Result<(), Failure> {
    if out.len() > most {
        return Err(too_large());
    }
    match node {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_node(item, out, most)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write_node(value, out, most)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Writes a text in quotes.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";
