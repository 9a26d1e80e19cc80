//! One pass over a text, which fills a slot for each thing that is read and skips the rest.

use std::borrow::Cow;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::limits::Limits;
use crate::mapping::source::scan::{NotJson, Quoted, Scanner};
use crate::mapping::source::slots::{Row, Slot, Slots};
use crate::mapping::source::trie::{Filter, NONE, Node, Trie};
use crate::mapping::source::{too_much, walk};
use crate::mapping::spec::field::Pick;

/// Reads a text into slots.
pub(crate) fn extract<'a>(trie: &Trie, text: &'a str, limits: &Limits) -> Result<Slots<'a>, Failure> {
    let root = trie.frames[0];
    let mut extractor = Extractor {
        trie,
        limits,
        fuel: limits.fuel,
        out: Slots {
            slots: Vec::with_capacity(root.slots as usize * 3),
            rows: Vec::new(),
            unread: Vec::new(),
        },
    };
    let base = extractor.row(0)?;
    let mut scanner = Scanner::new(text);
    let top = &trie.nodes[root.root as usize];
    let read = if trie.wants_unread && scanner.peek() == b'{' {
        extractor.record(&mut scanner, top, base)
    } else {
        extractor.value(&mut scanner, top, base)
    };
    read.and_then(|()| scanner.end().map_err(Failure::from))?;
    Ok(extractor.out)
}

struct Extractor<'t, 'a> {
    trie: &'t Trie,
    limits: &'t Limits,
    /// For elements that are read again, each as often as indexes and filters ask for it.
    fuel: u64,
    out: Slots<'a>,
}

impl<'t, 'a> Extractor<'t, 'a> {
    /// Room for one more row of a frame.
    fn row(&mut self, frame: u32) -> Result<usize, Failure> {
        let base = self.out.slots.len();
        let end = base + self.trie.frames[frame as usize].slots as usize;
        if self.out.rows.len() > self.limits.rows_in_all {
            return Err(Failure::limit("more elements than a run may go through"));
        }
        // A slot costs more than the step that reads it.
        if end as u64 > self.limits.fuel || end > NONE as usize {
            return Err(Failure::limit("more values than a run may read"));
        }
        self.out.slots.resize(end, Slot::Missing);
        self.out.rows.push(Row { base: base as u32, next: NONE });
        Ok(base)
    }

    /// Pays for reading an element once more.
    fn again(&mut self, element: &str) -> Result<(), Failure> {
        let cost = 1 + element.len() as u64 / 64;
        self.fuel = self.fuel.checked_sub(cost).ok_or_else(too_much)?;
        Ok(())
    }

    fn clear(&mut self, node: &Node, base: usize) {
        self.out.slots[base + node.first as usize..base + node.end as usize].fill(Slot::Missing);
    }

    fn put(&mut self, slot: u32, base: usize, value: Slot<'a>) {
        if slot != NONE {
            self.out.slots[base + slot as usize] = value;
        }
    }

    /// The next value of the text, into the slots of a node. As deep as the tree of what is read.
    fn value(&mut self, scanner: &mut Scanner<'a>, node: &'t Node, base: usize) -> Result<(), Failure> {
        let byte = scanner.peek();
        let start = scanner.at;
        match byte {
            b'{' => {
                if node.names.is_empty() {
                    scanner.skip()?;
                } else {
                    self.object(scanner, node, base)?;
                }
                self.put(node.slot, base, Slot::Tree(&scanner.text()[start..scanner.at]));
                self.put(node.rows, base, Slot::NotAList);
            }
            b'[' => {
                if node.rows == NONE && node.items.is_none() {
                    scanner.skip()?;
                } else {
                    self.list(scanner, node, base)?;
                }
                self.put(node.slot, base, Slot::Tree(&scanner.text()[start..scanner.at]));
            }
            b'"' => {
                let Quoted { inner, escaped } = scanner.string()?;
                self.put(node.slot, base, if escaped { Slot::Escaped(inner) } else { Slot::Text(inner) });
                self.put(node.rows, base, Slot::NotAList);
            }
            _ => {
                let raw = scanner.scalar()?;
                let value = match byte {
                    b'n' => Slot::Null,
                    b't' => Slot::Bool(true),
                    b'f' => Slot::Bool(false),
                    _ => Slot::Number(raw),
                };
                self.put(node.slot, base, value);
                self.put(node.rows, base, if byte == b'n' { Slot::Null } else { Slot::NotAList });
            }
        }
        Ok(())
    }

    fn object(&mut self, scanner: &mut Scanner<'a>, node: &'t Node, base: usize) -> Result<(), Failure> {
        scanner.at += 1;
        let mut first = true;
        while let Some(key) = scanner.key(first)? {
            first = false;
            let child = match key.escaped {
                false => node.names.find(key.inner),
                true => node.names.find(&unescape(key.inner)?),
            };
            match child {
                Some(child) => self.child(scanner, child, base)?,
                None => {
                    scanner.skip()?;
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, scanner: &mut Scanner<'a>, child: u32, base: usize) -> Result<(), Failure> {
        let child = &self.trie.nodes[child as usize];
        if !child.is_leaf() {
            // The key may have come before: the last one counts, with nothing of those before it.
            self.clear(child, base);
        }
        self.value(scanner, child, base)
    }

    /// The record itself, where what nobody reads is wanted too.
    fn record(&mut self, scanner: &mut Scanner<'a>, node: &'t Node, base: usize) -> Result<(), Failure> {
        let start = scanner.at;
        scanner.at += 1;
        let mut first = true;
        while let Some(key) = scanner.key(first)? {
            first = false;
            let name = if key.escaped { Cow::Owned(unescape(key.inner)?) } else { Cow::Borrowed(key.inner) };
            match node.names.find(&name) {
                Some(child) => self.child(scanner, child, base)?,
                None => {
                    let raw = scanner.skip()?;
                    self.out.unread.push((name, raw));
                }
            }
        }
        self.put(node.slot, base, Slot::Tree(&scanner.text()[start..scanner.at]));
        self.put(node.rows, base, Slot::NotAList);
        Ok(())
    }

    fn list(&mut self, scanner: &mut Scanner<'a>, node: &'t Node, base: usize) -> Result<(), Failure> {
        scanner.at += 1;
        let mut elements: Vec<&'a str> = Vec::new();
        let (mut head, mut last, mut count) = (NONE, NONE, 0_usize);
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            scanner.peek();
            let start = scanner.at;
            if node.rows == NONE {
                scanner.skip()?;
            } else {
                count += 1;
                if count > self.limits.rows {
                    return Err(Failure::limit("more elements in one list than `each` goes through"));
                }
                let row = self.out.rows.len() as u32;
                let row_base = self.row(node.frame)?;
                match last {
                    NONE => head = row,
                    last => self.out.rows[last as usize].next = row,
                }
                last = row;
                let root = self.trie.frames[node.frame as usize].root;
                self.value(scanner, &self.trie.nodes[root as usize], row_base)?;
            }
            if node.items.is_some() {
                elements.push(&scanner.text()[start..scanner.at]);
            }
        }
        self.put(node.rows, base, Slot::Rows(head));
        self.items(&elements, node, base)
    }

    /// The elements that are asked for one by one. Each is read once more, by the tree below its index or filter.
    fn items(&mut self, elements: &[&'a str], node: &'t Node, base: usize) -> Result<(), Failure> {
        let Some(items) = &node.items else { return Ok(()) };
        for (index, child) in &items.indexes {
            if let Some(at) = walk::place(*index, elements.len()) {
                self.again(elements[at])?;
                self.child(&mut Scanner::new(elements[at]), *child, base)?;
            }
        }
        for filter in &items.filters {
            self.filter(filter, elements, base)?;
        }
        Ok(())
    }

    fn filter(&mut self, filter: &Filter, elements: &[&'a str], base: usize) -> Result<(), Failure> {
        let wanted = V::of(&filter.value);
        let mut found = None;
        for element in elements {
            self.again(element)?;
            if !walk::names_in_text(element, &filter.names)?.equals(&wanted) {
                continue;
            }
            match (found, filter.pick) {
                (Some(_), None) => {
                    let child = &self.trie.nodes[filter.node as usize];
                    let slots = base + child.first as usize..base + child.end as usize;
                    self.out.slots[slots].fill(Slot::Ambiguous);
                    return Ok(());
                }
                (Some(_), Some(Pick::First)) => break,
                (Some(_), Some(Pick::Last)) | (None, _) => found = Some(*element),
            }
        }
        match found {
            Some(element) => self.child(&mut Scanner::new(element), filter.node, base),
            None => Ok(()),
        }
    }
}

/// The text of a string with escapes.
pub(crate) fn unescape(inner: &str) -> Result<String, Failure> {
    let mut quoted = String::with_capacity(inner.len() + 2);
    quoted.push('"');
    quoted.push_str(inner);
    quoted.push('"');
    serde_json::from_str(&quoted)
        .map_err(|_| Failure::new("E-INPUT", "a string with half of a surrogate pair"))
}

impl From<NotJson> for Failure {
    fn from(error: NotJson) -> Self {
        Self {
            code: "E-INPUT",
            message: format!("the input is not JSON: {} at byte {}", error.what, error.at).into(),
            fatal: true,
        }
    }
}
