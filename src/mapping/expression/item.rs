//! The values of an evaluation: borrowed from the record where they can be, and opened one level at a time.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::budget::{Budget, Exhausted};
use super::number::Number;
use super::raw;

#[derive(Clone, Debug, Default)]
pub(crate) enum Item<'a> {
    /// Nothing is there: what JSONata calls undefined.
    #[default]
    Missing,
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List(List<'a>),
    /// Members, sorted by name: no result depends on the order in which a source wrote them.
    Object(Vec<(Cow<'a, str>, Item<'a>)>),
    /// A list or an object of the record, not opened yet. Made by [`Item::of_raw`].
    Raw(&'a RawValue),
    /// The same in a record that was parsed already. Made by [`Item::of_value`].
    Value(&'a Value),
}

/// Several values.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    pub(crate) items: Vec<Item<'a>>,
    /// Whether a path gathered them. Where one value is wanted, a gathered list of one is that value.
    pub(crate) gathered: bool,
}

/// A value, opened.
#[derive(Debug)]
pub(super) enum Opened<'a> {
    Single(Item<'a>),
    List(List<'a>),
    Object(Vec<(Cow<'a, str>, Item<'a>)>),
}

/// A value of the record that cannot be read as it stands, such as a text with half a character.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unreadable;

/// Why a value could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotOpened {
    Exhausted(Exhausted),
    Unreadable,
}

impl<'a> Item<'a> {
    /// The value that is written here. Scalars are read, lists and objects stay as they are.
    pub(crate) fn of_raw(raw: &'a RawValue) -> Result<Self, Unreadable> {
        raw::read(raw)
    }

    /// The value. Scalars are borrowed, lists and objects stay as they are.
    pub(crate) fn of_value(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            // Never through a binary float, and the same whether or not numbers keep their text.
            Value::Number(number) => Self::Number(match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => Number::Exact(whole.into()),
                (_, Some(whole)) => Number::Exact(whole.into()),
                _ => Number::Text(Cow::Owned(number.to_string())),
            }),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Value(value),
        }
    }

    /// A list that an expression or a record wrote out.
    pub(super) fn list(items: Vec<Item<'a>>) -> Self {
        Self::List(List { items, gathered: false })
    }

    /// What a path gathered: nothing if it is empty.
    pub(super) fn gathered(items: Vec<Item<'a>>) -> Self {
        if items.is_empty() { Self::Missing } else { Self::List(List { items, gathered: true }) }
    }

    pub(super) fn text(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    pub(super) fn is_list(&self) -> bool {
        match self {
            Self::List(_) | Self::Value(Value::Array(_)) => true,
            Self::Raw(raw) => raw.get().starts_with('['),
            _ => false,
        }
    }

    /// The one value that is wanted: a gathered list of one is the value in it.
    pub(super) fn single(self) -> Self {
        match self {
            Self::List(mut list) if list.gathered && list.items.len() == 1 => {
                list.items.pop().unwrap_or_default()
            }
            other => other,
        }
    }

    /// The kind, for messages; never the value.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            _ if self.is_list() => "a list",
            _ => "an object",
        }
    }

    /// The members, one level deep.
    pub(super) fn open(self, budget: &Budget) -> Result<Opened<'a>, NotOpened> {
        Ok(match self {
            Self::List(list) => Opened::List(list),
            Self::Object(members) => Opened::Object(members),
            Self::Raw(raw) => {
                budget.read(raw.get().len())?;
                let opened = raw::open(raw)?;
                budget.members(opened.len())?;
                opened
            }
            Self::Value(Value::Array(values)) => {
                budget.members(values.len())?;
                Opened::List(List { items: values.iter().map(Item::of_value).collect(), gathered: false })
            }
            Self::Value(Value::Object(members)) => {
                budget.members(members.len())?;
                let members = members.iter().map(|(name, value)| (name.into(), Item::of_value(value)));
                Opened::Object(sorted(members.collect()))
            }
            other => Opened::Single(other),
        })
    }

    /// The members of a list; any other value is a list of itself, and nothing is none.
    pub(super) fn into_items(self, budget: &Budget) -> Result<Vec<Item<'a>>, NotOpened> {
        Ok(match self {
            Self::Missing => Vec::new(),
            Self::List(list) => list.items,
            list if list.is_list() => match list.open(budget)? {
                Opened::List(list) => list.items,
                Opened::Single(item) => vec![item],
                Opened::Object(members) => vec![Item::Object(members)],
            },
            other => vec![other],
        })
    }
}

impl Opened<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Single(_) => 1,
            Self::List(list) => list.items.len(),
            Self::Object(members) => members.len(),
        }
    }
}

/// Members by name; of two with the same name the last stays, as in every JSON parser.
pub(super) fn sorted<'a>(mut members: Vec<(Cow<'a, str>, Item<'a>)>) -> Vec<(Cow<'a, str>, Item<'a>)> {
    // Reversed and stable: the last of a name comes first, and the others are dropped.
    members.reverse();
    members.sort_by(|(left, _), (right, _)| left.cmp(right));
    members.dedup_by(|(later, _), (first, _)| later == first);
    members
}

impl From<Exhausted> for NotOpened {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

impl From<Unreadable> for NotOpened {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}
