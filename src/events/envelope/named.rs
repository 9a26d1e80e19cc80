//! The host's own formats, by name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::error::Problem;
use crate::events::envelope::format::{Body, CustomFormat, PayloadFormat};
use crate::events::model::Event;

/// The formats that a hub was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedFormats(BTreeMap<Arc<str>, Arc<dyn CustomFormat>>);

impl NamedFormats {
    /// Adds a format.
    pub(crate) fn add(&mut self, name: &str, format: Arc<dyn CustomFormat>) -> Result<(), Problem> {
        let broken = |rule: String, fix| Err(Problem::new("payload_format", rule, fix));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_plain) {
            let rule =
                format!("a format's name is 1 to {MAX_NAME} letters, digits, dots, hyphens and underscores");
            return broken(rule, "give a name such as `edifact.2`");
        }
        match self.0.entry(name.into()) {
            Entry::Vacant(place) => {
                place.insert(format);
                Ok(())
            }
            Entry::Occupied(_) => {
                broken(format!("there is one format `{name}`"), "give each a name of its own")
            }
        }
    }

    /// Whether a webhook can have this format.
    pub(crate) fn check(&self, format: &PayloadFormat) -> Result<(), Problem> {
        let PayloadFormat::Named(name) = format else { return Ok(()) };
        if self.0.contains_key(name) {
            return Ok(());
        }
        let names: Vec<_> = self.0.keys().map(|name| format!("`{name}`")).collect();
        let fix = match &names[..] {
            [] => "choose a built-in format: this product has none of its own".to_owned(),
            names => format!("choose among {}", names.join(", ")),
        };
        Err(Problem::new("format", "a format has a name that this product knows", fix))
    }

    /// Writes the event; `None` if this process does not know the format.
    ///
    /// If a host's own format panics, so does this.
    pub(crate) fn render(&self, format: &PayloadFormat, event: &Event) -> Option<Body> {
        match format {
            PayloadFormat::Named(name) => self.0.get(name).map(|format| format.render(event)),
            ours => ours.render(event),
        }
    }
}

const MAX_NAME: usize = 64;
