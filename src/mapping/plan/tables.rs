//! Rows, and which of them a key means.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::mapping::decimal::Decimal;
use crate::mapping::spec::table::LetterCase;

/// A table with its rows: which word on one side is which on the other. Keys are compared as text, and numbers in it as
/// numbers: `1.0` is the key `1`.
///
/// ```
/// use crossdock::mapping::{LetterCase, LookupTable};
/// use serde_json::json;
///
/// let rows = vec![vec![json!("US"), json!("USA")], vec![json!("CA"), json!("CAN")]];
/// let table = LookupTable::new(["iso2", "iso3"], rows, LetterCase::Insensitive)?;
///
/// assert_eq!(table.look_up("iso2", "us", "iso3"), Some(&json!("USA")));
/// # Ok::<(), crossdock::mapping::InvalidTable>(())
/// ```
#[derive(Debug)]
pub struct LookupTable {
    columns: Box<[Box<str>]>,
    rows: Box<[Box<[Value]>]>,
    case: LetterCase,
    /// One for each column that has been searched.
    indexes: Box<[OnceLock<Index>]>,
}

/// A row has not as many values as there are columns, or a value that is a list or an object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("row {row} of the table does not fit its columns")]
pub struct InvalidTable {
    /// Which row, counted from 0.
    pub row: usize,
}

#[derive(Debug)]
enum Index {
    Few(Box<[(Box<str>, u32)]>),
    Many(HashMap<Box<str>, u32>),
}

/// So few keys are compared one by one.
const FEW: usize = 8;

impl LookupTable {
    /// A table of these rows.
    ///
    /// # Errors
    ///
    /// The first row that does not fit.
    pub fn new<C: Into<String>>(
        columns: impl IntoIterator<Item = C>,
        rows: Vec<Vec<Value>>,
        case: LetterCase,
    ) -> Result<Self, InvalidTable> {
        let columns: Box<[Box<str>]> =
            columns.into_iter().map(|column| column.into().into_boxed_str()).collect();
        let fits = |row: &Vec<Value>| row.len() == columns.len() && row.iter().all(is_scalar);
        if let Some(row) = rows.iter().position(|row| !fits(row)) {
            return Err(InvalidTable { row });
        }
        let indexes = columns.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { columns, rows: rows.into_iter().map(Vec::into_boxed_slice).collect(), case, indexes })
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &**column)
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &[Value]> {
        self.rows.iter().map(|row| &**row)
    }

    /// The value in the row with this key; of several such rows, the first.
    pub fn look_up(&self, key_column: &str, key: &str, value_column: &str) -> Option<&Value> {
        self.at(self.column(key_column)?, &self.key_text(key), self.column(value_column)?)
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| **column == *name)
    }

    /// The key as the index has it.
    pub(crate) fn key_text<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match self.case {
            LetterCase::Insensitive => Cow::Owned(key.to_lowercase()),
            LetterCase::Sensitive => Cow::Borrowed(key),
        }
    }

    /// The value for a key that is written as the index has it.
    pub(crate) fn at(&self, key_column: usize, key: &str, value_column: usize) -> Option<&Value> {
        let row = match self.index(key_column)? {
            Index::Few(keys) => keys.iter().find(|(found, _)| found.as_bytes() == key.as_bytes())?.1,
            Index::Many(keys) => *keys.get(key)?,
        };
        self.rows.get(row as usize)?.get(value_column)
    }

    fn index(&self, column: usize) -> Option<&Index> {
        Some(self.indexes.get(column)?.get_or_init(|| {
            let mut keys: HashMap<Box<str>, u32> = HashMap::with_capacity(self.rows.len());
            for (at, row) in self.rows.iter().enumerate() {
                if let Some(key) = self.key_of(&row[column]) {
                    keys.entry(key.into()).or_insert(at as u32);
                }
            }
            if keys.len() > FEW {
                return Index::Many(keys);
            }
            let mut few: Vec<_> = keys.into_iter().collect();
            few.sort_by_key(|(_, row)| *row);
            Index::Few(few.into())
        }))
    }

    /// The rows whose key in this column comes more than once: that of the first, and that of the other.
    pub(crate) fn repeated(&self, column: usize) -> Vec<(usize, usize)> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut repeated = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let Some(key) = self.key_of(&row[column]) else { continue };
            match seen.get(&key) {
                Some(first) => repeated.push((*first, at)),
                None => {
                    seen.insert(key, at);
                }
            }
        }
        repeated
    }

    /// The key that a value in a row is; null is none.
    pub(crate) fn key_of(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number_key(&number.to_string()).into_owned(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(self.key_text(&text).into_owned())
    }
}

/// A number as a key: equal numbers are equal keys.
pub(crate) fn number_key(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().enumerate().all(|(at, byte)| byte.is_ascii_digit() || (at == 0 && byte == b'-'));
    if plain && text != "-0" {
        return Cow::Borrowed(text);
    }
    text.parse::<Decimal>().map_or(Cow::Borrowed(text), |number| Cow::Owned(number.to_string()))
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}
