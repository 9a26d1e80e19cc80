//! What a path is made of.

use std::ops::Range;

use serde_json::Value;

/// Where a source path begins.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// At the element: that of the innermost `each`, or the record.
    Element,
    /// At the record.
    Root,
    /// So many elements further out: `^.` is 1.
    Parent(usize),
}

/// One part of a source path.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// The value of this name.
    Name(String),
    /// The element at this place; negative ones are counted from the end.
    Index(i64),
    /// The one element for which a value at `names` equals `value`.
    Filter {
        /// The names from the element to what is compared.
        names: Vec<String>,
        /// A text, a number, a boolean or null.
        value: Value,
    },
}

/// Where a value is taken from.
///
/// ```
/// use crossdock::mapping::path::{Segment, SourcePath};
///
/// let path: SourcePath = "$.note_attributes[name='vat_id'].value".parse()?;
///
/// assert_eq!(path.segments[2], Segment::Name("value".to_owned()));
/// assert_eq!(path.to_string(), "$.note_attributes[name='vat_id'].value");
/// # Ok::<(), crossdock::mapping::path::InvalidPath>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePath {
    /// Where it begins.
    pub origin: Origin,
    /// What follows; nothing means the origin itself.
    pub segments: Vec<Segment>,
}

/// Where a value is written to: names, outermost first.
///
/// ```
/// use crossdock::mapping::path::TargetPath;
///
/// let path: TargetPath = "shipTo['street.line']".parse()?;
///
/// assert_eq!(path.names, ["shipTo", "street.line"]);
/// # Ok::<(), crossdock::mapping::path::InvalidPath>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TargetPath {
    /// The names; at least one.
    pub names: Vec<String>,
}

/// The text is not a path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct InvalidPath {
    /// What is wrong.
    pub problem: String,
    /// Which bytes are meant.
    pub at: Range<usize>,
    /// What makes it right.
    pub help: Option<String>,
}

impl SourcePath {
    /// The element itself: `@`.
    pub fn element() -> Self {
        Self { origin: Origin::Element, segments: Vec::new() }
    }

    /// The names of the path if it has nothing but names.
    pub fn names(&self) -> Option<Vec<&str>> {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Name(name) => Some(name.as_str()),
                Segment::Index(_) | Segment::Filter { .. } => None,
            })
            .collect()
    }
}
