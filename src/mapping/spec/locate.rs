//! Where in the text of a document something stands.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::mapping::diagnostic::Diagnostic;
use crate::mapping::evaluate::value::number_value;
use crate::mapping::plan::compile::escape;
use crate::mapping::source::extract::unescape;
use crate::mapping::source::scan::{NotJson, Scanner};

/// The place of every value of a document, by its JSON Pointer; of a document whose pointers are longer than is worth keeping, of
/// as many as fit. A finding whose place was not kept is told with the place of what is around it.
pub(super) struct Places {
    places: HashMap<String, Place>,
    repeated: Vec<(String, Range<usize>)>,
    /// Numbers that a reader changes.
    changed: Vec<(String, Range<usize>)>,
    /// Bytes of pointers that may still be kept.
    room: usize,
}

struct Place {
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// Bytes of pointers that are kept: a long name around many values is repeated in the pointer of each.
const MOST_BYTES: usize = 4 << 20;
/// Bytes of one pointer that is kept whole.
const LONGEST: usize = 4_096;
/// So many keys that come twice are told, and so many numbers.
const MOST_REPEATED: usize = 100;

/// What serde_json reads is not nested deeper.
const DEEPEST: usize = 128;

impl Places {
    /// The places of a text; nothing if it is not JSON, or nested too deep.
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::within(text, MOST_BYTES)
    }

    fn within(text: &str, room: usize) -> Option<Self> {
        let mut places = Self { places: HashMap::new(), repeated: Vec::new(), changed: Vec::new(), room };
        let mut scanner = Scanner::new(text);
        places.value(&mut scanner, &mut String::new(), None, 0).ok()?;
        Some(places)
    }

    pub(super) fn repeated(&self) -> impl Iterator<Item = (String, Range<usize>)> {
        self.repeated.iter().cloned()
    }

    /// Numbers that memory does not hold as they are written: a reader takes their neighbours, and says nothing.
    pub(super) fn changed(&self) -> impl Iterator<Item = (String, Range<usize>)> {
        self.changed.iter().cloned()
    }

    /// Which bytes a finding means: a key if that is what is wrong, a part of a string if it says which, else the value.
    pub(super) fn span(&self, diagnostic: &Diagnostic, text: &str) -> Option<Range<usize>> {
        let mut pointer = diagnostic.pointer.as_str();
        let place = loop {
            match self.places.get(pointer) {
                Some(place) => break place,
                // Something that is missing is missing from what is around it.
                None => pointer = &pointer[..pointer.rfind('/')?],
            }
        };
        if let (Some(within), true) = (&diagnostic.within, pointer == diagnostic.pointer) {
            let inner = place.value.start + 1..place.value.end.saturating_sub(1);
            let is_plain = text.get(inner.clone()).is_some_and(|inner| !inner.contains('\\'));
            if is_plain && inner.start + within.end <= inner.end {
                return Some(inner.start + within.start..inner.start + within.end);
            }
        }
        match (&place.key, diagnostic.code) {
            (Some(key), "E-KEY" | "E-KIND") if pointer == diagnostic.pointer => Some(key.clone()),
            _ => Some(place.value.clone()),
        }
    }

    fn value(
        &mut self,
        scanner: &mut Scanner<'_>,
        pointer: &mut String,
        key: Option<Range<usize>>,
        depth: usize,
    ) -> Result<(), NotJson> {
        let byte = scanner.peek();
        let start = scanner.at;
        if depth > DEEPEST {
            return Err(NotJson { at: start, what: "nested too deep" });
        }
        match byte {
            b'{' => {
                scanner.at += 1;
                let mut names: HashSet<Cow<'_, str>> = HashSet::new();
                let mut first = true;
                loop {
                    scanner.peek();
                    let before = scanner.at;
                    let Some(name) = scanner.key(first)? else { break };
                    let end = name.inner.as_ptr() as usize - scanner.text().as_ptr() as usize
                        + name.inner.len()
                        + 1;
                    let span = end - name.inner.len() - 2..end;
                    debug_assert!(span.start >= before);
                    first = false;
                    let name = match name.escaped {
                        false => Cow::Borrowed(name.inner),
                        true => unescape(name.inner).map_or(Cow::Borrowed(name.inner), Cow::Owned),
                    };
                    let length = pointer.len();
                    pointer.push('/');
                    pointer.push_str(&escape(&name));
                    if !names.insert(name) && self.repeated.len() < MOST_REPEATED {
                        self.repeated.push((beginning(pointer), span.clone()));
                    }
                    self.value(scanner, pointer, Some(span), depth + 1)?;
                    pointer.truncate(length);
                }
            }
            b'[' => {
                scanner.at += 1;
                let mut at = 0;
                while scanner.element(at == 0)? {
                    let length = pointer.len();
                    pointer.push_str(&format!("/{at}"));
                    self.value(scanner, pointer, None, depth + 1)?;
                    pointer.truncate(length);
                    at += 1;
                }
            }
            b'-' | b'0'..=b'9' => {
                let number = scanner.scalar()?;
                if number_value(number).is_none() && self.changed.len() < MOST_REPEATED {
                    self.changed.push((beginning(pointer), start..scanner.at));
                }
            }
            _ => {
                scanner.scalar()?;
            }
        }
        if let Some(room) = self.room.checked_sub(pointer.len()) {
            self.room = room;
            self.places.insert(pointer.clone(), Place { key, value: start..scanner.at });
        }
        Ok(())
    }
}

/// A pointer that a finding is told with.
fn beginning(pointer: &str) -> String {
    let end = (0..=LONGEST.min(pointer.len())).rev().find(|end| pointer.is_char_boundary(*end)).unwrap_or(0);
    pointer[..end].to_owned()
}

/// The byte at a line and a column, as serde_json counts them.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_kept_as_long_as_there_is_room_and_repeated_keys_are_told_all_the_same() {
        let name = "x".repeat(100);
        let text = format!(r#"{{"a":1,"{name}":[{}],"b":1,"a":2}}"#, ["1"; 1_000].join(","));

        let places = Places::within(&text, 1_000).expect("JSON");

        assert!(places.places.keys().map(String::len).sum::<usize>() <= 1_000);
        let repeated: Vec<_> =
            places.repeated().map(|(pointer, span)| (pointer, text[span].to_owned())).collect();
        assert_eq!(repeated, [("/a".to_owned(), "\"a\"".to_owned())]);
        assert_eq!(Places::of(&text).expect("JSON").places.len(), 1_004);
    }
}
