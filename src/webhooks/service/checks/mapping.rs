//! The document that writes a webhook's bodies.

use crate::error::Problem;
use crate::events::envelope::PayloadFormat;
use crate::webhooks::mapped::Mappings;

/// Everything that is wrong with the document, and a format that it would leave nothing to do.
pub(super) fn check(
    document: Option<&str>,
    format: &PayloadFormat,
    mappings: &Mappings,
    problems: &mut Vec<Problem>,
) {
    let Some(document) = document else { return };
    if *format != PayloadFormat::default() {
        let rule = "a mapping writes the whole body, so that no format stands beside it";
        problems.push(Problem::new("format", rule, "leave the format out, or the mapping"));
    }
    problems.extend(mappings.compile(document).err().into_iter().flatten());
}
