//! Values as JSON text: what `$string` gives of a list or an object, and what leaves an evaluation.

use std::borrow::Cow;

use super::super::decimal::ArithmeticError;
use super::budget::{Budget, Exhausted};
use super::item::{Item, NotOpened, Opened};
use super::number::Number;

/// Why a value has no text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotWritten {
    NotOpened(NotOpened),
    Arithmetic(ArithmeticError),
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Numbers {
    /// As they were in the record.
    AsWritten,
    /// One text for equal numbers.
    Canonical,
}

/// Appends the value: no blanks, members sorted by name.
pub(super) fn write(
    item: Item<'_>,
    numbers: Numbers,
    budget: &Budget,
    out: &mut String,
) -> Result<(), NotWritten> {
    write_at(item, numbers, budget, out, 0)
}

fn write_at(
    item: Item<'_>,
    numbers: Numbers,
    budget: &Budget,
    out: &mut String,
    depth: u32,
) -> Result<(), NotWritten> {
    if depth > DEEPEST {
        return Err(NotOpened::Exhausted(Exhausted::Depth).into());
    }
    let before = out.len();
    match item {
        Item::Missing | Item::Null => out.push_str("null"),
        Item::Bool(bool) => out.push_str(if bool { "true" } else { "false" }),
        Item::Number(Number::Text(text)) if numbers == Numbers::AsWritten => out.push_str(&text),
        Item::Number(number) => out.push_str(&number.canonical()?),
        Item::Text(text) => quoted(&text, out),
        other => match other.open(budget)? {
            Opened::Single(_) => out.push_str("null"),
            Opened::List(list) => {
                out.push('[');
                for (index, item) in list.items.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_at(item, numbers, budget, out, depth + 1)?;
                }
                out.push(']');
                return Ok(());
            }
            Opened::Object(members) => {
                out.push('{');
                for (index, (name, item)) in members.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    budget.text(name.len())?;
                    quoted(&name, out);
                    out.push(':');
                    write_at(item, numbers, budget, out, depth + 1)?;
                }
                out.push('}');
                return Ok(());
            }
        },
    }
    // The whole text is paid for leaf by leaf: a leaf is never longer than the record's own text of it.
    Ok(budget.text(out.len() - before)?)
}

/// Appends the text with its quotes, as JSON.
fn quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: Cow<'static, str> = match byte {
            b'"' => "\\\"".into(),
            b'\\' => "\\\\".into(),
            b'\n' => "\\n".into(),
            b'\r' => "\\r".into(),
            b'\t' => "\\t".into(),
            0x08 => "\\b".into(),
            0x0c => "\\f".into(),
            0..0x20 => format!("\\u{byte:04x}").into(),
            _ => continue,
        };
        out.push_str(&text[copied..at]);
        out.push_str(&escape);
        copied = at + 1;
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

impl From<NotOpened> for NotWritten {
    fn from(error: NotOpened) -> Self {
        Self::NotOpened(error)
    }
}

impl From<Exhausted> for NotWritten {
    fn from(error: Exhausted) -> Self {
        Self::NotOpened(NotOpened::Exhausted(error))
    }
}

impl From<ArithmeticError> for NotWritten {
    fn from(error: ArithmeticError) -> Self {
        Self::Arithmetic(error)
    }
}

/// JSON deeper than this is refused; serde_json's own limit.
pub(super) const DEEPEST: u32 = 128;
