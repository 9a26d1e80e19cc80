//! The text of a path: reading it gives the path again.

use std::fmt;

use serde_json::Value;

use crate::mapping::path::model::{Origin, Segment, SourcePath, TargetPath};
use crate::mapping::path::read::is_shorthand;

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = false;
        match self.origin {
            Origin::Element if self.segments.is_empty() => f.write_str("@")?,
            Origin::Element => first = true,
            Origin::Root => f.write_str("$")?,
            Origin::Parent(levels) => {
                for level in 0..levels {
                    f.write_str(if level == 0 { "^" } else { ".^" })?;
                }
            }
        }
        for segment in &self.segments {
            match segment {
                Segment::Name(name) => write_name(f, name, first)?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Filter { names, value } => {
                    f.write_str("[")?;
                    let standard = !names.first().is_some_and(|name| is_shorthand(name));
                    if standard {
                        f.write_str("?@")?;
                    }
                    for (index, name) in names.iter().enumerate() {
                        write_name(f, name, index == 0 && !standard)?;
                    }
                    f.write_str(if standard { "==" } else { "=" })?;
                    match value {
                        Value::String(text) => write!(f, "'{}'", Quoted(text))?,
                        other => write!(f, "{other}")?,
                    }
                    f.write_str("]")?;
                }
            }
            first = false;
        }
        Ok(())
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names.iter().enumerate().try_for_each(|(index, name)| write_name(f, name, index == 0))
    }
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str, first: bool) -> fmt::Result {
    match (is_shorthand(name), first) {
        (true, true) => f.write_str(name),
        (true, false) => write!(f, ".{name}"),
        (false, _) => write!(f, "['{}']", Quoted(name)),
    }
}

/// A text as it stands between single quotes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\'' => f.write_str("\\'"),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            c if c.is_control() && u32::from(c) < 0x10000 => write!(f, "\\u{:04x}", u32::from(c)),
            c => write!(f, "{c}"),
        })
    }
}
