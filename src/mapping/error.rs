//! Why a record could not be translated: where, how, and by which rule.

use std::fmt;

use crate::mapping::evaluate::value::V;

/// Says which field of which record failed, by which version of which mapping.
///
/// The text holds nothing of the record unless the host has asked for an [`Excerpt`].
///
/// ```
/// use crossdock::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, Payload, RunCx};
///
/// let text = r#"{"format":"mapping/1","id":"orders","version":3,
///                "fields":[{"to":"total","from":"sum","steps":[{"op":"int"}]}]}"#;
/// let mapping = BuiltinEngine.compile(&MappingSpec::parse(text)?, &CompileEnv::default())?;
/// let error = mapping.run(Payload::Bytes(br#"{"sum":"1.5"}"#), &RunCx::default(), &mut Vec::new()).unwrap_err();
///
/// assert_eq!(error.code, "E-NUMBER");
/// assert_eq!(error.to_string(), "orders@3: `total` from `sum`, step 1 (int): E-NUMBER: the number is not whole");
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapError(Box<MapErrorParts>);

/// What a [`MapError`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MapErrorParts {
    /// The mapping.
    pub mapping: String,
    /// Its version.
    pub version: u64,
    /// The target path, with the elements' places, as in `lines[3].qty`; empty if the record as a whole failed.
    pub target: String,
    /// The source paths of the rule, as they are written.
    pub sources: Vec<String>,
    /// The places of the elements, outermost first.
    pub rows: Vec<u32>,
    /// Which step failed, counted from 0.
    pub step: Option<usize>,
    /// Its operation.
    pub op: Option<&'static str>,
    /// The code; `docs/mapping_codes.md` has an example of each.
    pub code: &'static str,
    /// What went wrong, without anything of the record.
    pub message: String,
    /// As much of the value as the host has asked for.
    pub excerpt: Option<String>,
    /// Whether the record is to be held until a table has been completed.
    pub is_queued: bool,
}

/// How much of a value errors may tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Excerpt {
    /// Nothing.
    #[default]
    Nothing,
    /// Its type, and how long it is.
    TypeAndLength,
    /// Its first forty characters. Errors may then hold personal data.
    Beginning,
}

impl MapError {
    pub(crate) fn new(parts: MapErrorParts) -> Self {
        Self(Box::new(parts))
    }

    /// An error that no field is to blame for.
    pub(crate) fn of_record(
        mapping: &str,
        version: u64,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(MapErrorParts {
            mapping: mapping.to_owned(),
            version,
            target: String::new(),
            sources: Vec::new(),
            rows: Vec::new(),
            step: None,
            op: None,
            code,
            message: message.into(),
            excerpt: None,
            is_queued: false,
        })
    }
}

impl std::ops::Deref for MapError {
    type Target = MapErrorParts;

    fn deref(&self) -> &MapErrorParts {
        &self.0
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}: ", self.mapping, self.version)?;
        if !self.target.is_empty() {
            write!(f, "`{}`", self.target)?;
            for (index, source) in self.sources.iter().enumerate() {
                write!(f, "{} `{source}`", if index == 0 { " from" } else { "," })?;
            }
            if let Some(step) = self.step {
                write!(f, ", step {}", step + 1)?;
            }
            if let Some(op) = self.op {
                write!(f, " ({op})")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.excerpt {
            Some(excerpt) => write!(f, "; found {excerpt}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for MapError {}

/// As much of a value as the host has asked for.
pub(crate) fn excerpt(value: &V<'_>, policy: Excerpt) -> Option<String> {
    let length = |text: &str| text.chars().count();
    match (policy, value) {
        (Excerpt::Nothing, _) | (_, V::Missing) => None,
        (Excerpt::TypeAndLength, V::Text(text)) => Some(format!("text of {} characters", length(text))),
        (Excerpt::TypeAndLength, V::Number(text)) => Some(format!("a number of {} characters", length(text))),
        (Excerpt::TypeAndLength, other) => Some(other.kind().to_owned()),
        (Excerpt::Beginning, V::Text(text)) => Some(format!("{:?}", beginning(text))),
        (Excerpt::Beginning, V::Number(text)) => Some(beginning(text)),
        (Excerpt::Beginning, V::Raw(raw)) => Some(beginning(raw)),
        (Excerpt::Beginning, V::Decimal(number)) => Some(number.to_string()),
        (Excerpt::Beginning, V::Bool(truth)) => Some(truth.to_string()),
        (Excerpt::Beginning, other) => Some(other.kind().to_owned()),
    }
}

fn beginning(text: &str) -> String {
    let mut characters = text.chars();
    let mut beginning: String = characters.by_ref().take(40).collect();
    if characters.next().is_some() {
        beginning.push('…');
    }
    beginning
}
