//! A value in memory.

use serde_json::{Map, Value};

use crate::mapping::evaluate::checks::is_deeper;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::sink::{Entered, Place, Sink, Verdict, name_length, too_deep, too_large};
use crate::mapping::evaluate::value::{V, number_value, short_decimal};
use crate::mapping::limits::Limits;
use crate::mapping::plan::output::Members;
use crate::mapping::source::extract::unescape;
use crate::mapping::source::scan::{Scanner, depth};

/// A value in memory.
pub(crate) struct Tree<'p> {
    open: Vec<Open<'p>>,
    /// The values of the objects that are open, outermost first: of each as many as it has members, in the order of memory.
    values: Vec<Option<Value>>,
    /// Members of the record under names that no rule has.
    others: Vec<(String, Value)>,
    done: Option<Value>,
    /// Roughly the bytes that the output would have.
    size: usize,
    limits: &'p Limits,
}

struct Open<'p> {
    /// Where it goes among the values.
    place: Option<usize>,
    container: Container<'p>,
}

enum Container<'p> {
    /// Its values begin here.
    Object(usize, &'p Members),
    List(Vec<Value>),
}

impl<'p> Tree<'p> {
    pub(crate) fn new(limits: &'p Limits) -> Self {
        Self {
            open: Vec::with_capacity(4),
            values: Vec::with_capacity(32),
            others: Vec::new(),
            done: None,
            size: 0,
            limits,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        self.done.unwrap_or_default()
    }

    fn enter(&mut self, place: Place<'_>, container: Container<'p>) -> Entered {
        let is_list = matches!(container, Container::List(_));
        let mark = self.size;
        self.size = self.size.saturating_add(VALUE + name_length(place));
        let place = self.index(place);
        self.open.push(Open { place, container });
        Entered { mark, is_list }
    }

    /// Where the member of the object that is open stands among the values.
    fn index(&self, place: Place<'_>) -> Option<usize> {
        match (place, self.open.last()) {
            (Place::Key(key), Some(Open { container: Container::Object(from, _), .. })) => {
                Some(from + key.place)
            }
            _ => None,
        }
    }

    #[inline]
    fn set(&mut self, at: usize, value: Value) {
        if let Some(member) = self.values.get_mut(at) {
            *member = Some(value);
        }
    }

    fn add(&mut self, place: Option<usize>, value: Value) {
        match (place.and_then(|place| self.values.get_mut(place)), self.open.last_mut()) {
            (Some(member), _) => *member = Some(value),
            (None, Some(Open { container: Container::List(items), .. })) => items.push(value),
            (None, _) => self.done = Some(value),
        }
    }

    /// The object of the values from here on.
    fn object(&mut self, from: usize, members: &Members) -> Map<String, Value> {
        let values = self.values.get_mut(from..).unwrap_or_default();
        if values.iter().any(Option::is_none) {
            let named = members.empty.keys().zip(values);
            return named.filter_map(|(name, value)| Some((name.clone(), value.take()?))).collect();
        }
        let mut object = members.empty.clone();
        for (member, value) in object.values_mut().zip(values) {
            *member = value.take().unwrap_or_default();
        }
        object
    }

    /// Counts what is about to be copied, and refuses it before it is if the output would be too large.
    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.size = self.size.saturating_add(bytes);
        if self.size > self.limits.output_bytes { Err(too_large()) } else { Ok(()) }
    }

    fn build(&mut self, value: &mut V<'_>) -> Result<Value, Failure> {
        self.grow(VALUE)?;
        Ok(match value {
            V::Missing | V::Null => Value::Null,
            V::Bool(truth) => Value::Bool(*truth),
            V::Number(text) => number(text)?,
            V::Decimal(exact) => match short_decimal(*exact) {
                Some(short) => short,
                None => number(&exact.to_string())?,
            },
            V::Text(text) => {
                self.grow(text.len())?;
                Value::String(std::mem::take(text).into_owned())
            }
            V::Raw(raw) => {
                if depth(raw) > self.limits.json_depth {
                    return Err(too_deep());
                }
                self.grow(raw.len())?;
                tree(&mut Scanner::new(raw))?
            }
            V::Node(node) => {
                if is_deeper(node, self.limits.json_depth) {
                    return Err(too_deep());
                }
                self.grow(weight(node))?;
                Value::clone(node)
            }
            V::List(items) => {
                Value::Array(items.iter_mut().map(|item| self.build(item)).collect::<Result<_, _>>()?)
            }
            V::Object(members) => {
                let members = members.iter_mut().map(|(name, value)| {
                    self.grow(name.len())?;
                    Ok((std::mem::take(name).into_owned(), self.build(value)?))
                });
                Value::Object(members.collect::<Result<_, Failure>>()?)
            }
        })
    }
}

impl<'p> Sink<'p> for Tree<'p> {
    fn enter_object(&mut self, place: Place<'_>, members: &'p Members) -> Entered {
        let from = self.values.len();
        let entered = self.enter(place, Container::Object(from, members));
        self.values.resize_with(from + members.list.len(), || None);
        entered
    }

    fn enter_list(&mut self, place: Place<'_>) -> Entered {
        self.enter(place, Container::List(Vec::new()))
    }

    fn leave(&mut self, entered: Entered, verdict: Verdict) {
        if verdict == Verdict::Undo {
            self.size = entered.mark;
        }
        let Some(Open { place, container }) = self.open.pop() else { return };
        let value = match container {
            Container::Object(from, members) => {
                let object = (verdict == Verdict::Keep).then(|| self.object(from, members));
                self.values.truncate(from);
                let Some(mut object) = object else { return };
                if self.open.is_empty() {
                    object.extend(self.others.drain(..));
                }
                Value::Object(object)
            }
            Container::List(_) if verdict == Verdict::Undo => return,
            Container::List(items) => Value::Array(items),
        };
        self.add(place, value);
    }

    fn is_full(&self) -> bool {
        self.size > self.limits.output_bytes
    }

    fn put(&mut self, place: Place<'_>, value: &mut V<'_>) -> Result<(), Failure> {
        // Texts and numbers, which are most of what is written, go to their place without another move.
        if let Place::Key(key) = place
            && let Some(at) = self.index(place)
        {
            let name = key.name.len();
            match value {
                V::Text(text) => {
                    self.grow(VALUE + text.len() + name)?;
                    self.set(at, Value::String(std::mem::take(text).into_owned()));
                    return Ok(());
                }
                V::Number(text) => {
                    let number = number(text)?;
                    self.grow(VALUE + name)?;
                    self.set(at, number);
                    return Ok(());
                }
                V::Decimal(exact) => {
                    if let Some(short) = short_decimal(*exact) {
                        self.grow(VALUE + name)?;
                        self.set(at, short);
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        let before = self.size;
        self.grow(name_length(place))?;
        let value = match self.build(value) {
            Ok(value) => value,
            Err(failure) => {
                // Nothing of it is written.
                self.size = before;
                return Err(failure);
            }
        };
        match place {
            Place::Name(name) => self.others.push((name.to_owned(), value)),
            _ => self.add(self.index(place), value),
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<Value, Failure> {
    number_value(text).ok_or_else(|| {
        Failure::new(
            "E-NUMBER-MEMORY",
            "a `serde_json::Value` cannot hold this number exactly; bytes can, or text",
        )
    })
}

/// A value from a text that has been checked and is not too deep.
pub(crate) fn tree(scanner: &mut Scanner<'_>) -> Result<Value, Failure> {
    Ok(match scanner.peek() {
        b'{' => {
            scanner.at += 1;
            let mut members = Map::new();
            let mut first = true;
            while let Some(key) = scanner.key(first)? {
                first = false;
                let name = if key.escaped { unescape(key.inner)? } else { key.inner.to_owned() };
                members.insert(name, tree(scanner)?);
            }
            Value::Object(members)
        }
        b'[' => {
            scanner.at += 1;
            let mut items = Vec::new();
            let mut first = true;
            while scanner.element(first)? {
                first = false;
                items.push(tree(scanner)?);
            }
            Value::Array(items)
        }
        b'"' => {
            let text = scanner.string()?;
            Value::String(if text.escaped { unescape(text.inner)? } else { text.inner.to_owned() })
        }
        b'n' => scanner.scalar().map(|_| Value::Null)?,
        b't' => scanner.scalar().map(|_| Value::Bool(true))?,
        b'f' => scanner.scalar().map(|_| Value::Bool(false))?,
        _ => number(scanner.scalar()?)?,
    })
}

/// Roughly the bytes of a value as text, without writing it.
pub(crate) fn weight(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + weight(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// What a value counts for besides its text.
pub(crate) const VALUE: usize = 8;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mapping::evaluate::sink::Bytes;

    #[test]
    fn neither_sink_copies_more_than_one_value_beyond_its_limit() {
        let limits = Limits { output_bytes: 1_000, ..Limits::default() };
        let node = json!({"text": "x".repeat(400)});
        let raw = node.to_string();
        for copied in [V::Node(&node), V::Raw(&raw), V::of(&node["text"])] {
            let mut out = b"before".to_vec();
            let mut bytes = Bytes::new(&mut out, &limits);
            let failure = bytes.put(Place::Top, &mut V::List(vec![copied.clone(); 100_000]));

            assert_eq!(failure, Err(too_large()));
            assert_eq!(out, b"before");
            assert!(out.capacity() < 3_000, "{}", out.capacity());

            let mut tree = Tree::new(&limits);
            let mut list = V::List(vec![copied; 3]);
            assert_eq!(tree.build(&mut list), Err(too_large()));
            assert!(tree.size < 1_500, "{}", tree.size);
        }
    }

    #[test]
    fn a_value_that_is_not_written_takes_no_room() {
        let limits = Limits { output_bytes: 1_000, json_depth: 2, ..Limits::default() };
        let mut tree = Tree::new(&limits);
        tree.enter_list(Place::Top);
        for _ in 0..100 {
            let deep = V::List(vec![V::owned_text("x".repeat(400)), V::Raw("[[[1]]]")]);
            assert_eq!(tree.put(Place::Element, &mut deep.clone()), Err(too_deep()));
        }
        assert_eq!(tree.put(Place::Element, &mut V::owned_text("x".repeat(400))), Ok(()));
    }
}
