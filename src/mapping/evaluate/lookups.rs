//! Steps that look something up: in tables, among identities, in what the host gives.

use std::borrow::Cow;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::mapping::decimal::Decimal;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::run::Run;
use crate::mapping::evaluate::tracer::Tracer;
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::tables::{LookupTable, number_key};
use crate::mapping::plan::{CurrencyOf, Rows, TableStep, currencies};
use crate::mapping::source::Source;
use crate::mapping::spec::step::{HashText, XrefSide};
use crate::mapping::spec::table::TableMiss;

impl<'a, S: Source<'a>, T: Tracer> Run<'_, 'a, S, T> {
    pub(super) fn look_up(&self, step: &'a TableStep, value: V<'a>) -> Result<V<'a>, Failure> {
        let plan = self.plan;
        let table = &plan.tables[step.table as usize];
        let (rows, key_column, value_column): (&'a LookupTable, usize, usize) = match &table.rows {
            Rows::Inline(rows) => (rows, step.key, step.value),
            Rows::Host(name) => {
                if T::ON
                    && let Some(key) = key_of(&value)
                {
                    let column = table.columns.get(step.key).map(|column| &**column).unwrap_or_default();
                    self.tracer.asks_table(name, column, &key);
                }
                let rows = self.cx.data.table(name);
                let rows =
                    rows.ok_or_else(|| Failure::new("E-HOST", format!("the host gives no table `{name}`")))?;
                let column = |at: usize| {
                    let wanted = &table.columns[at];
                    rows.column(wanted).ok_or_else(|| {
                        Failure::new("E-HOST", format!("the host's table `{name}` has no column `{wanted}`"))
                    })
                };
                (rows, column(step.key)?, column(step.value)?)
            }
        };
        let found = {
            let Some(key) = key_of(&value) else {
                return Err(value.unexpected("text, a number or a boolean"));
            };
            rows.at(key_column, &rows.key_text(&key), value_column)
        };
        match found {
            Some(found) => Ok(V::of(found)),
            None => missed(step.miss, &table.name, value, step.default.as_ref().map(V::of)),
        }
    }

    pub(super) fn identity(
        &mut self,
        system: &str,
        entity: &str,
        side: XrefSide,
        miss: TableMiss,
        value: V<'a>,
    ) -> Result<V<'a>, Failure> {
        let id = value.clone().text_or_number()?;
        if T::ON {
            self.tracer.asks_identity(system, entity, side, &id);
        }
        match self.cx.data.identity(system, entity, side, &id) {
            Some(known) => Ok(V::Text(Cow::Borrowed(known))),
            None => missed(miss, entity, value, None),
        }
    }

    pub(super) fn places_of(&mut self, currency: &CurrencyOf) -> Result<u32, Failure> {
        match currency {
            CurrencyOf::Code(places) => Ok(*places),
            CurrencyOf::Path(path) => {
                let code = self.fetch(*path)?.text()?;
                currencies::places(&code)
                    .ok_or_else(|| Failure::new("E-CURRENCY", "this is no currency of ISO 4217"))
            }
        }
    }

    pub(super) fn rate(&mut self, name: &str) -> Result<Decimal, Failure> {
        let missing = || Failure::new("E-HOST", format!("the host gives no rate `{name}`"));
        let rate = match self.context(name)? {
            V::Text(text) => text.parse().map_err(Failure::from)?,
            V::Missing | V::Null => return Err(missing()),
            number => number.number()?,
        };
        if rate.is_negative() || rate.is_zero() {
            return Err(Failure::new("E-HOST", format!("the rate `{name}` is not above zero")));
        }
        Ok(rate)
    }

    pub(super) fn hash(
        &mut self,
        key: &str,
        written: Option<HashText>,
        value: V<'a>,
    ) -> Result<V<'a>, Failure> {
        let missing = || Failure::new("E-HOST", format!("the host gives no key `{key}`"));
        let secret = self.cx.data.key(key).ok_or_else(missing)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).map_err(|_| missing())?;
        mac.update(value.text_or_number()?.as_bytes());
        let digest = mac.finalize().into_bytes();
        Ok(V::owned_text(match written.unwrap_or(HashText::Hex) {
            HashText::Hex => hex::encode(digest),
            HashText::Base64 => base64::engine::general_purpose::STANDARD.encode(digest),
        }))
    }
}

/// The value as a key of a table.
fn key_of<'v>(value: &'v V<'_>) -> Option<Cow<'v, str>> {
    Some(match value {
        V::Text(text) => Cow::Borrowed(text),
        V::Number(text) => number_key(text),
        V::Decimal(number) => Cow::Owned(number.to_string()),
        V::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        _ => return None,
    })
}

fn missed<'a>(miss: TableMiss, name: &str, key: V<'a>, default: Option<V<'a>>) -> Result<V<'a>, Failure> {
    match miss {
        TableMiss::Pass => Ok(key),
        TableMiss::Null => Ok(V::Null),
        TableMiss::Omit => Ok(V::Missing),
        TableMiss::Default if default.is_some() => Ok(default.unwrap_or(V::Null)),
        TableMiss::Queue => {
            let message = format!("`{name}` has no row for this key; the record waits for one");
            Err(Failure::new("E-TABLE-QUEUED", message))
        }
        TableMiss::Error | TableMiss::Default => {
            Err(Failure::new("E-TABLE-MISS", format!("`{name}` has no row for this key")))
        }
    }
}
