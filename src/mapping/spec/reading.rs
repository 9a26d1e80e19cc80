//! From text to a document, with everything that is wrong.

use crate::mapping::diagnostic::{Diagnostic, Diagnostics};
use crate::mapping::spec::document::MappingSpec;

impl MappingSpec {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        serde_json::from_str(text)
            .map_err(|error| Diagnostics(vec![Diagnostic::error("E-DOCUMENT", "", error.to_string())]))
    }
}
