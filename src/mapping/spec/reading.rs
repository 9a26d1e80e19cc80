//! From text to a document, with everything that is wrong.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::limits::Limits;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::locate::{Places, offset_of};
use crate::mapping::spec::overlay::Overlay;
use crate::mapping::spec::shape;

impl MappingSpec {
    /// Reads a document, within the default limits.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it as a document; what is wrong with it as a mapping is found when it is compiled.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        Self::parse_within(text, &Limits::default())
    }

    /// Reads a document, within limits.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse_within(text: &str, limits: &Limits) -> Result<Self, Diagnostics> {
        read(text, Self::json_schema(), limits)
    }
}

impl Overlay {
    /// Reads an overlay, within the default limits.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        read(text, Self::json_schema(), &Limits::default())
    }
}

impl Diagnostics {
    /// Says of each finding which bytes of the document's text are meant.
    #[must_use]
    pub fn located(mut self, text: &str) -> Self {
        if let Some(places) = Places::of(text) {
            for diagnostic in &mut self.0 {
                if diagnostic.span.is_none() {
                    diagnostic.span = places.span(diagnostic, text);
                }
            }
        }
        self
    }
}

fn read<T: DeserializeOwned>(text: &str, schema: &Value, limits: &Limits) -> Result<T, Diagnostics> {
    if text.len() > limits.document_bytes {
        let message =
            format!("the document has {} bytes; at most {} are read", text.len(), limits.document_bytes);
        return Err(Diagnostics(vec![Diagnostic::error("E-LIMIT", "", message)]));
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let at = offset_of(text, error.line(), error.column());
            let mut found = Diagnostic::error("E-JSON", "", format!("the document is not JSON: {error}"));
            found.span = Some(at..text.len().min(at + 1));
            return Err(Diagnostics(vec![found]));
        }
    };
    let mut found = Diagnostics::default();
    if let Some(places) = Places::of(text) {
        for (pointer, span) in places.repeated() {
            let mut repeated = Diagnostic::error(
                "E-KEY-TWICE",
                pointer,
                "this key comes more than once, and only the last would count",
            );
            repeated.span = Some(span);
            found.add(repeated);
        }
        for (pointer, span) in places.changed() {
            let problem = "a number of more digits than a reader keeps, which would take another one";
            let mut changed = Diagnostic::error("E-LITERAL", pointer, problem)
                .with_help("write it as a string, and `decimal` as a step");
            changed.span = Some(span);
            found.add(changed);
        }
    }
    shape::check(&value, schema, &mut found);
    if !found.has_errors() {
        match serde_json::from_value(value) {
            Ok(document) => return Ok(document),
            // What a schema does not say, such as how large numbers may be.
            Err(error) => found.add(Diagnostic::error("E-DOCUMENT", "", error.to_string())),
        }
    }
    Err(found.sorted().located(text))
}
