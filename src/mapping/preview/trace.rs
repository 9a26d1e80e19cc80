//! One record, every field, every step.

use serde_json::Value;

use crate::mapping::builtin::{Builtin, BuiltinEngine};
use crate::mapping::diagnostic::Diagnostics;
use crate::mapping::engine::{CompileEnv, CompiledMapping, Payload, RunCx};
use crate::mapping::error::MapError;
use crate::mapping::spec::document::MappingSpec;

/// A mapping that people look at before it is used: everything that happens to a record is written down.
///
/// ```
/// use crossdock::mapping::{CompileEnv, FieldStatus, MappingSpec, Payload, Previewer, RunCx};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[
///     {"to":"no","from":"id","steps":[{"op":"prefix","text":"SHOP-"}]},
///     {"to":"sum","from":"total","steps":[{"op":"decimal"}]}]}"#)?;
/// let previewer = Previewer::compile(&spec, &CompileEnv::default())?;
///
/// let preview = previewer.preview(Payload::Bytes(br#"{"id":"7","total":"a lot"}"#), &RunCx::default());
///
/// assert_eq!(preview.output.as_deref(), Some(r#"{"no":"SHOP-7"}"#));
/// assert_eq!(preview.fields[0].steps[0].after, Ok(Some("\"SHOP-7\"".to_owned())));
/// assert_eq!(preview.fields[1].status, FieldStatus::Error("E-NUMBER"));
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Debug)]
pub struct Previewer {
    mapping: Builtin,
}

/// What a mapping did to one record. It holds values of the record.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preview {
    /// The target record as JSON, without the fields that failed; nothing if the record as a whole cannot be read.
    pub output: Option<String>,
    /// Everything that failed.
    pub errors: Vec<MapError>,
    /// Every field that was tried, in the order in which it was.
    pub fields: Vec<FieldTrace>,
}

/// What happened to one field of one element.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FieldTrace {
    /// The target path, without the places of elements: `lines[].qty`.
    pub to: String,
    /// The places of the elements around, outermost first.
    pub rows: Vec<u32>,
    /// The source paths of the rule.
    pub from: Vec<String>,
    /// Whether it is a list that `each` makes.
    pub is_list: bool,
    /// What was found there, as JSON; the beginning only if it is long.
    pub source: Option<String>,
    /// What was done to it.
    pub steps: Vec<StepTrace>,
    /// What was written, as JSON; the beginning only if it is long.
    pub result: Option<String>,
    /// How it ended.
    pub status: FieldStatus,
    /// The code of what failed: of an error, and of the failure whose place the default took.
    pub failure: Option<&'static str>,
}

/// One step on one value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StepTrace {
    /// The operation.
    pub op: String,
    /// The value before it, as JSON.
    pub before: Option<String>,
    /// The value behind it, or the code of the error.
    pub after: Result<Option<String>, &'static str>,
}

/// How a field ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FieldStatus {
    /// It has its value from the source.
    Mapped,
    /// It has its default.
    Defaulted,
    /// It is not written.
    Omitted,
    /// It failed, with this code.
    Error(&'static str),
}

impl FieldStatus {
    /// The status as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Defaulted => "defaulted",
            Self::Omitted => "omitted",
            Self::Error(_) => "error",
        }
    }
}

impl FieldTrace {
    /// The target path as errors write it, with the places of elements: `lines[3].qty`.
    pub fn place(&self) -> String {
        let mut places = self.rows.iter();
        let mut text = String::with_capacity(self.to.len() + 4);
        for part in self.to.split("[]") {
            text.push_str(part);
            if let Some(place) = places.next() {
                text.push_str(&format!("[{place}]"));
            }
        }
        text
    }
}

impl Previewer {
    /// A mapping to look at.
    ///
    /// # Errors
    /// Everything that is wrong with the document.
    pub fn compile(spec: &MappingSpec, env: &CompileEnv<'_>) -> Result<Self, Diagnostics> {
        Ok(Self { mapping: BuiltinEngine.build(spec, env)? })
    }

    /// The mapping, to be run without looking.
    pub fn mapping(&self) -> &dyn CompiledMapping {
        &self.mapping
    }

    /// What the mapping does to one record. Errors do not end it: every field is tried.
    pub fn preview(&self, input: Payload<'_>, cx: &RunCx<'_>) -> Preview {
        self.mapping.preview(input, cx)
    }
}

/// Where two records differ: numbers as numbers, everything else as it is.
pub(crate) fn differences(expected: &Value, found: &Value, at: String, places: &mut Vec<String>) {
    use crate::mapping::schema::child;
    if places.len() >= MOST_PLACES {
        return;
    }
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                match b.get(name) {
                    Some(other) => differences(value, other, child(&at, name), places),
                    None => places.push(child(&at, name)),
                }
            }
            places.extend(b.keys().filter(|name| !a.contains_key(*name)).map(|name| child(&at, name)));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (value, other)) in a.iter().zip(b).enumerate() {
                differences(value, other, format!("{at}[{index}]"), places);
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let same = crate::mapping::number_text::compare_numbers(&a.to_string(), &b.to_string());
            if same != Some(std::cmp::Ordering::Equal) {
                places.push(at);
            }
        }
        _ if expected == found => {}
        _ => places.push(if at.is_empty() { "the record".to_owned() } else { at }),
    }
}

const MOST_PLACES: usize = 100;
