//! Many records: what becomes of every field, and what another version does differently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::mapping::engine::{Payload, RunCx};
use crate::mapping::preview::trace::{FieldStatus, Previewer, differences};

/// What became of one field over many records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FieldCount {
    /// How often it had its value from the source.
    pub mapped: u64,
    /// How often it had its default.
    pub defaulted: u64,
    /// How often it was not written.
    pub omitted: u64,
    /// How often it failed, by the code of the error.
    pub errors: BTreeMap<&'static str, u64>,
    /// The first records in which it failed, by their place among all.
    pub failed_records: Vec<usize>,
    /// Keys that were in no row of a table, as JSON.
    pub table_misses: BTreeSet<String>,
}

/// What became of every field over many records. It holds keys that tables do not have, and nothing else of the records.
///
/// ```
/// use crossdock::mapping::{Backtest, CompileEnv, MappingSpec, Payload, Previewer, RunCx};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[
///     {"to":"country","from":"c","steps":[{"op":"table","name":"t","key":"a","value":"b"}]}],
///     "tables":{"t":{"columns":["a","b"],"rows":[["US","USA"]]}}}"#)?;
/// let previewer = Previewer::compile(&spec, &CompileEnv::default())?;
///
/// let records = [&br#"{"c":"US"}"#[..], br#"{"c":"XX"}"#, br#"{}"#];
/// let backtest = Backtest::run(&previewer, records.map(Payload::Bytes), &RunCx::default());
///
/// let country = &backtest.fields["country"];
/// assert_eq!((country.mapped, country.omitted), (1, 1));
/// assert_eq!((&country.failed_records[..], country.table_misses.contains("\"XX\"")), (&[1][..], true));
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backtest {
    /// How many records there were.
    pub records: usize,
    /// How many of them would have failed.
    pub failed: usize,
    /// By target path, without the places of elements.
    pub fields: BTreeMap<String, FieldCount>,
}

/// A field in which two versions differ.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FieldDifference {
    /// In how many records.
    pub records: usize,
    /// The first of them, by their place among all.
    pub samples: Vec<usize>,
}

/// What two versions of a mapping do differently to the same records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct VersionDiff {
    /// How many records there were.
    pub records: usize,
    /// How many of them come out differently, or fail with one version only.
    pub changed: usize,
    /// Records that only the old version translates, by their place among all.
    pub newly_failing: Vec<usize>,
    /// Records that only the new version translates.
    pub newly_passing: Vec<usize>,
    /// By target path, without the places of elements.
    pub fields: BTreeMap<String, FieldDifference>,
}

impl Backtest {
    /// What becomes of every field of these records.
    pub fn run<'a>(
        previewer: &Previewer,
        records: impl IntoIterator<Item = Payload<'a>>,
        cx: &RunCx<'_>,
    ) -> Self {
        let mut all = Self::default();
        for (at, record) in records.into_iter().enumerate() {
            let preview = previewer.preview(record, cx);
            all.records += 1;
            all.failed += usize::from(!preview.errors.is_empty());
            for field in preview.fields {
                let count = all.fields.entry(field.to).or_default();
                match field.status {
                    FieldStatus::Mapped => count.mapped += 1,
                    FieldStatus::Defaulted => count.defaulted += 1,
                    FieldStatus::Omitted => count.omitted += 1,
                    FieldStatus::Error(code) => {
                        *count.errors.entry(code).or_default() += 1;
                        if count.failed_records.len() < SAMPLES && count.failed_records.last() != Some(&at) {
                            count.failed_records.push(at);
                        }
                    }
                }
                let missed = field
                    .steps
                    .iter()
                    .filter(|step| matches!(step.after, Err(code) if code.starts_with("E-TABLE")));
                for key in missed.filter_map(|step| step.before.clone()) {
                    if count.table_misses.len() < MISSES {
                        count.table_misses.insert(key);
                    }
                }
            }
        }
        all
    }
}

impl VersionDiff {
    /// What two versions do differently to the same records.
    ///
    /// ```
    /// use crossdock::mapping::{CompileEnv, MappingSpec, Previewer, RunCx, VersionDiff};
    /// use serde_json::json;
    ///
    /// let version = |op: &str| MappingSpec::parse(&format!(
    ///     r#"{{"format":"mapping/1","id":"m","version":1,"fields":[{{"to":"a","from":"a","steps":[{{"op":"{op}"}}]}}]}}"#));
    /// let old = Previewer::compile(&version("trim")?, &CompileEnv::default())?;
    /// let new = Previewer::compile(&version("upper")?, &CompileEnv::default())?;
    ///
    /// let diff = VersionDiff::run(&old, &new, &[json!({"a": "x"}), json!({"a": "Y"})], &RunCx::default());
    ///
    /// assert_eq!((diff.changed, &diff.fields["a"].samples[..]), (1, &[0][..]));
    /// # Ok::<(), crossdock::mapping::Diagnostics>(())
    /// ```
    pub fn run<'a>(
        old: &Previewer,
        new: &Previewer,
        records: impl IntoIterator<Item = &'a Value>,
        cx: &RunCx<'_>,
    ) -> Self {
        let mut diff = Self::default();
        for (at, record) in records.into_iter().enumerate() {
            diff.records += 1;
            let run = |previewer: &Previewer| previewer.mapping().run_to_value(Payload::Value(record), cx);
            let places = match (run(old), run(new)) {
                (Ok((before, _)), Ok((after, _))) => {
                    let mut places = Vec::new();
                    differences(&before, &after, String::new(), &mut places);
                    places
                }
                (Ok(_), Err(_)) => {
                    diff.changed += 1;
                    diff.newly_failing.push(at);
                    continue;
                }
                (Err(_), Ok(_)) => {
                    diff.changed += 1;
                    diff.newly_passing.push(at);
                    continue;
                }
                (Err(_), Err(_)) => continue,
            };
            diff.changed += usize::from(!places.is_empty());
            let fields: BTreeSet<String> = places.iter().map(|place| any_place(place)).collect();
            for field in fields {
                let difference = diff.fields.entry(field).or_default();
                difference.records += 1;
                if difference.samples.len() < SAMPLES {
                    difference.samples.push(at);
                }
            }
        }
        diff
    }
}

/// `lines[3].qty` as `lines[].qty`.
pub(crate) fn any_place(place: &str) -> String {
    let mut text = String::with_capacity(place.len());
    let mut in_place = false;
    for (at, c) in place.char_indices() {
        let digit_next = place[at + c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        match c {
            '[' if digit_next => in_place = true,
            ']' => in_place = false,
            c if in_place && c.is_ascii_digit() => continue,
            _ => {}
        }
        text.push(c);
    }
    text
}

const SAMPLES: usize = 20;
const MISSES: usize = 1_000;
