//! How a body becomes events: ids, types and times, element by element, and what makes two of them the same.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::inbound::outcome::Item;
use crate::inbound::read::json;
use crate::inbound::read::places::Places;
use crate::inbound::read::time;
use crate::inbound::scheme::field::{Field, WILDCARD};
use crate::inbound::scheme::reception::{Envelope, Moment};

/// The body is not what the envelope promises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::inbound) struct Unparsable;

/// Whether a field outside of the body is vouched for.
pub(in crate::inbound) trait Vouched: Fn(&Field) -> bool {}
impl<F: Fn(&Field) -> bool> Vouched for F {}

/// The events of a body.
pub(in crate::inbound) fn items(
    envelope: &Envelope,
    places: &Places<'_>,
    is_signed: impl Vouched,
    has_signed_time: bool,
) -> Result<Vec<Item>, Unparsable> {
    let pack = Pack::new(envelope, places, &is_signed, has_signed_time);
    // A form has no pointers to follow; nor has a body of which nothing is asked.
    if places.is_form() || !envelope.reads_json() {
        return Ok(vec![pack.item(&Ancestors::none(), None)?]);
    }
    let document = places.document().ok_or(Unparsable)?;
    if envelope.batch.is_none() && !pack.keys.is_empty() {
        // Reading a field looks at the whole document: it is not looked at before as well.
        let root = document.trim_matches([' ', '\t', '\n', '\r']);
        return Ok(vec![pack.item(&Ancestors::of(root), None)?]);
    }
    let root = json::find(document, &[]).map_err(|_| Unparsable)?.ok_or(Unparsable)?;
    let Some(batch) = &envelope.batch else {
        return Ok(vec![pack.item(&Ancestors::of(root), None)?]);
    };
    let ways: Vec<&[String]> = batch.elements.tokens().split(|step| step == WILDCARD).collect();
    if ways.first().is_some_and(|way| way.is_empty()) && !root.starts_with('[') {
        // A provider that sends arrays may send a single event without one.
        return Ok(vec![pack.item(&Ancestors::of(root), None)?]);
    }
    let mut items = Vec::new();
    pack.split(&ways, &mut Ancestors::of(root), &mut items)?;
    Ok(items)
}

/// The whole body as one event, when nothing is known of it.
pub(in crate::inbound) fn unparsable(
    envelope: &Envelope,
    places: &Places<'_>,
    is_signed: impl Vouched,
    has_signed_time: bool,
) -> Item {
    let delivery = envelope.delivery_id.as_ref().filter(|field| !is_in_body(field));
    let known = Envelope { delivery_id: delivery.cloned(), ..Envelope::default() };
    let pack = Pack::new(&known, places, &is_signed, has_signed_time);
    pack.item(&Ancestors::none(), None).unwrap_or_else(|Unparsable| {
        let none = Envelope::default();
        let hash = hash_of("", places.request.body);
        Pack::new(&none, places, &is_signed, has_signed_time).bare(hash)
    })
}

impl Envelope {
    fn reads_json(&self) -> bool {
        self.batch.is_some() || self.fields().any(is_in_body)
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        let moment = self.occurred_at.as_ref().map(|moment| &moment.at);
        let single = [&self.delivery_id, &self.tenant_key, &self.sequence].into_iter().flatten();
        self.event_id.iter().chain(&self.kind).chain(single).chain(moment)
    }

    fn first_steps(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for field in self.fields() {
            if let Field::Json(pointer) = field
                && let Some(first) = pointer.tokens().first()
                && !keys.contains(&first.as_str())
            {
                keys.push(first.as_str());
            }
        }
        keys
    }
}

fn is_in_body(field: &Field) -> bool {
    matches!(field, Field::Json(_) | Field::Document(_))
}

/// The way from the whole document to the element: one value per array that was gone through.
struct Ancestors<'t> {
    values: Vec<&'t str>,
}

impl<'t> Ancestors<'t> {
    fn none() -> Self {
        Self { values: Vec::new() }
    }

    fn of(root: &'t str) -> Self {
        Self { values: vec![root] }
    }

    fn element(&self) -> Option<&'t str> {
        self.values.last().copied()
    }
}

struct Pack<'p, 'r, F> {
    envelope: &'p Envelope,
    places: &'p Places<'r>,
    is_signed: &'p F,
    has_signed_time: bool,
    /// Where pointers into an element begin, each once.
    keys: Vec<&'p str>,
    /// By pointer and by where the value begins that it starts from.
    memory: RefCell<HashMap<(&'p str, usize), Option<String>>>,
}

impl<'p, 'r, F: Vouched> Pack<'p, 'r, F> {
    fn new(envelope: &'p Envelope, places: &'p Places<'r>, is_signed: &'p F, has_signed_time: bool) -> Self {
        let keys = envelope.first_steps();
        Self { envelope, places, is_signed, has_signed_time, keys, memory: RefCell::default() }
    }

    /// Goes the next way, through every element at its end.
    fn split(
        &self,
        ways: &[&[String]],
        ancestors: &mut Ancestors<'r>,
        items: &mut Vec<Item>,
    ) -> Result<(), Unparsable> {
        let Some((way, rest)) = ways.split_first() else {
            return Ok(());
        };
        let start = ancestors.element().ok_or(Unparsable)?;
        let value = json::find(start, way).map_err(|_| Unparsable)?.ok_or(Unparsable)?;
        if rest.is_empty() {
            // What is behind the last `*` is the event itself.
            ancestors.values.push(value);
            items.push(self.item(ancestors, Some(items.len()))?);
            ancestors.values.pop();
            return if items.len() > MOST_ITEMS { Err(Unparsable) } else { Ok(()) };
        }
        for element in json::elements(value, MOST_ITEMS).map_err(|_| Unparsable)?.ok_or(Unparsable)? {
            ancestors.values.push(element);
            self.split(rest, ancestors, items)?;
            ancestors.values.pop();
        }
        Ok(())
    }

    fn item(&self, ancestors: &Ancestors<'r>, index: Option<usize>) -> Result<Item, Unparsable> {
        let envelope = self.envelope;
        let body = ancestors.element();
        let range = match body {
            Some(element) if index.is_some() => json::range_in(self.places.request.body, element),
            _ => 0..self.places.request.body.len(),
        };
        // An object is read once for all pointers into it.
        let members = match body {
            Some(object) if object.starts_with('{') && self.keys.len() > 1 => {
                Some(json::members(object, &self.keys).map_err(|_| Unparsable)?)
            }
            _ => None,
        };
        let text = |field: &'p Field| self.text(field, ancestors, members.as_deref());
        let texts = |fields: &'p [Field]| fields.iter().map(text).collect::<Result<Vec<_>, _>>();
        let kind: Vec<_> = texts(&envelope.kind)?.into_iter().flatten().collect();
        let kind = bounded(kind.join("."));
        let event_id = texts(&envelope.event_id)?.into_iter().collect::<Option<Vec<_>>>();
        let event_id = event_id.map(|parts| parts.join(":")).filter(|id| !id.is_empty());
        let one = |field: &'p Option<Field>| match field {
            Some(field) => text(field),
            None => Ok(None),
        };
        let delivery_id = one(&envelope.delivery_id)?;
        let bytes = self.places.request.body.get(range.clone()).ok_or(Unparsable)?;
        // Computed only where it is needed: it takes as long as the check of the signature.
        let hash = || match bytes {
            [] => hash_of(&kind, self.places.request.query_text().as_bytes()),
            bytes => hash_of(&kind, bytes),
        };
        let (dedupe_key, sources) = match (&event_id, &delivery_id) {
            (Some(id), _) => (key_of("id", id), &envelope.event_id[..]),
            (None, Some(id)) => {
                let id = index.map_or_else(|| id.to_string(), |index| format!("{id}/{index}"));
                (key_of("delivery", &id), envelope.delivery_id.as_slice())
            }
            (None, None) => (hash(), &[][..]),
        };
        let is_anybodys =
            |field: &Field| matches!(field, Field::Header(_) | Field::Query(_)) && !(self.is_signed)(field);
        let guard = (!self.has_signed_time && sources.iter().any(is_anybodys)).then(hash);
        Ok(Item {
            dedupe_key,
            guard,
            event_id: event_id.map(bounded),
            kind,
            tenant_key: one(&envelope.tenant_key)?.map(bounded),
            occurred_at: self.moment(envelope.occurred_at.as_ref(), text)?,
            sequence: one(&envelope.sequence)?.and_then(|text| text.parse().ok()),
            body: range,
        })
    }

    /// An event of which nothing but its bytes is known.
    fn bare(&self, hash: String) -> Item {
        Item {
            dedupe_key: hash,
            guard: None,
            event_id: None,
            kind: String::new(),
            tenant_key: None,
            occurred_at: None,
            sequence: None,
            body: Range { start: 0, end: self.places.request.body.len() },
        }
    }

    fn moment(
        &self,
        moment: Option<&'p Moment>,
        text: impl Fn(&'p Field) -> Result<Option<String>, Unparsable>,
    ) -> Result<Option<DateTime<Utc>>, Unparsable> {
        let Some(moment) = moment else {
            return Ok(None);
        };
        Ok(text(&moment.at)?.and_then(|text| time::lenient(&text, moment.unit)))
    }

    fn text(
        &self,
        field: &'p Field,
        ancestors: &Ancestors<'r>,
        members: Option<&[Option<&'r str>]>,
    ) -> Result<Option<String>, Unparsable> {
        let found = match field {
            Field::Json(pointer) => match (ancestors.element(), members, pointer.tokens().split_first()) {
                (Some(_), Some(members), Some((first, rest))) => {
                    let value =
                        self.keys.iter().zip(members).find_map(|(key, value)| value.filter(|_| key == first));
                    value.map_or(Ok(None), |value| json::follow(value, rest)).map_err(|_| Unparsable)?
                }
                (Some(element), ..) => json::find(element, pointer.tokens()).map_err(|_| Unparsable)?,
                (None, ..) => None,
            },
            // As many values down as the pointer goes through arrays, and then the rest of its way.
            Field::Document(pointer) => {
                let tokens = pointer.tokens();
                let rest = tokens.iter().rposition(|step| step == WILDCARD).map_or(0, |last| last + 1);
                let Some(&value) = ancestors.values.get(pointer.wildcards()) else {
                    return Ok(None);
                };
                return self.remembered((pointer.as_str(), value.as_ptr() as usize), || {
                    let found = json::find(value, &tokens[rest..]).map_err(|_| Unparsable)?;
                    Ok(found.and_then(json::text).map(Cow::into_owned).filter(|text| !text.is_empty()))
                });
            }
            field => {
                let text = self.places.text(field).map_err(|_| Unparsable)?;
                // An empty id would make one item of all that have none.
                let text = text.filter(|text| !text.is_empty());
                return Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()));
            }
        };
        Ok(found.and_then(json::text).map(Cow::into_owned).filter(|text| !text.is_empty()))
    }
}

impl<'p, F> Pack<'p, '_, F> {
    /// Reads once what all elements of an array share: reading it again for each would take time that grows with the square.
    fn remembered(
        &self,
        place: (&'p str, usize),
        read: impl FnOnce() -> Result<Option<String>, Unparsable>,
    ) -> Result<Option<String>, Unparsable> {
        if let Some(text) = self.memory.borrow().get(&place) {
            return Ok(text.clone());
        }
        let text = read()?;
        self.memory.borrow_mut().insert(place, text.clone());
        Ok(text)
    }
}

/// A key of at most 256 bytes: what is longer, or no text for a store, is kept by its digest.
fn key_of(sort: &str, id: &str) -> String {
    if id.len() <= LONGEST_TEXT && !id.contains('\0') {
        format!("{sort}:{id}")
    } else {
        format!("{sort}#{}", hex::encode(Sha256::digest(id.as_bytes())))
    }
}

fn hash_of(kind: &str, bytes: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update((kind.len() as u64).to_be_bytes());
    digest.update(kind.as_bytes());
    digest.update(bytes);
    format!("hash:{}", hex::encode(digest.finalize()))
}

/// A text that a column takes; stores take no NUL either.
fn bounded(mut text: String) -> String {
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

const LONGEST_TEXT: usize = 240;
const MOST_ITEMS: usize = 1_000;
