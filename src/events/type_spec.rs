//! How a host declares one event type.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::events::schema::SchemaMode;
use crate::tenancy::model::Entitlement;

/// One event type as the host declares it, in code; nothing is checked before the catalogue is compiled.
///
/// ```
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use serde_json::json;
///
/// let shipped = EventTypeSpec::new("shipment.shipped")
///     .group("Shipments")
///     .description("A shipment has left the warehouse")
///     .version(2)
///     .example(json!({"order": "A-7", "parcels": 2}))
///     .deprecated("use shipment.departed")
///     .requires_any(["edi", "api"]);
///
/// let catalog = EventCatalog::new().with(shipped).compile(None)?;
///
/// assert_eq!(catalog.find("shipment.shipped").map(|entry| entry.version()), Some(2));
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a type exists once a catalogue has it"]
pub struct EventTypeSpec {
    pub(crate) name: String,
    pub(crate) group: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) version: u32,
    pub(crate) schema: Option<Value>,
    pub(crate) schema_mode: Option<SchemaMode>,
    pub(crate) example: Option<Value>,
    pub(crate) deprecated: Option<String>,
    pub(crate) requires_any: BTreeSet<Entitlement>,
}

impl EventTypeSpec {
    /// A type of this name, in version 1, open to every tenant, whose payload may be any JSON.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            group: None,
            description: None,
            version: 1,
            schema: None,
            schema_mode: None,
            example: None,
            deprecated: None,
            requires_any: BTreeSet::new(),
        }
    }

    /// The heading under which people find it.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// What has happened when it is published, in a sentence for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The version of its payload's shape; counted from 1.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// What its payload looks like, as a JSON Schema of draft 2020-12.
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// What happens to a payload that does not match, if not what the catalogue says.
    pub fn schema_mode(mut self, mode: SchemaMode) -> Self {
        self.schema_mode = Some(mode);
        self
    }

    /// A payload to show to people and to send as a test.
    pub fn example(mut self, example: Value) -> Self {
        self.example = Some(example);
        self
    }

    /// Says that it will go, and what to use instead; it is still published and delivered.
    pub fn deprecated(mut self, instead: impl Into<String>) -> Self {
        self.deprecated = Some(instead.into());
        self
    }

    /// Shows it only to those who have at least one of these entitlements, and lets only them subscribe.
    pub fn requires_any<E: Into<Entitlement>>(mut self, entitlements: impl IntoIterator<Item = E>) -> Self {
        self.requires_any = entitlements.into_iter().map(Into::into).collect();
        self
    }
}
