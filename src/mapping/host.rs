//! What the host gives to a run: values, tables, identities, keys. All of it is there before the run begins.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::mapping::plan::tables::LookupTable;
use crate::mapping::spec::step::XrefSide;
use crate::primitives::secret::Secret;

/// What the host gives to runs. Lookups that need I/O are made before: the facts of a mapping name what it
/// asks for.
///
/// ```
/// use crossdock::mapping::HostData;
/// use serde_json::json;
///
/// let data = HostData::new()
///     .with_context("tenant.default_warehouse", json!("HAM"))
///     .with_identity("shopify", "customer", "gid-7", "cus_19");
///
/// assert_eq!(data.context("tenant.default_warehouse"), Some(&json!("HAM")));
/// ```
#[derive(Clone, Default)]
pub struct HostData {
    context: Map<String, Value>,
    tables: HashMap<String, Arc<LookupTable>>,
    identities: HashMap<(String, String), Identities>,
    keys: HashMap<String, Secret>,
}

#[derive(Clone, Debug, Default)]
struct Identities {
    internal: HashMap<String, String>,
    external: HashMap<String, String>,
}

impl HostData {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value for `ctx` and for rates.
    #[must_use]
    pub fn with_context(mut self, name: impl Into<String>, value: Value) -> Self {
        self.context.insert(name.into(), value);
        self
    }

    /// Adds the rows of a table that a document calls `host:NAME`.
    #[must_use]
    pub fn with_table(mut self, name: impl Into<String>, table: Arc<LookupTable>) -> Self {
        self.tables.insert(name.into(), table);
        self
    }

    /// Adds a record that is known on both sides.
    #[must_use]
    pub fn with_identity(mut self, system: &str, entity: &str, external: &str, internal: &str) -> Self {
        let known = self.identities.entry((system.to_owned(), entity.to_owned())).or_default();
        known.internal.insert(external.to_owned(), internal.to_owned());
        known.external.insert(internal.to_owned(), external.to_owned());
        self
    }

    /// Adds a key for `hash`.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<String>, key: Secret) -> Self {
        self.keys.insert(name.into(), key);
        self
    }

    /// The value of this name.
    pub fn context(&self, name: &str) -> Option<&Value> {
        self.context.get(name)
    }

    pub(crate) fn table(&self, name: &str) -> Option<&LookupTable> {
        self.tables.get(name).map(Arc::as_ref)
    }

    pub(crate) fn identity(&self, system: &str, entity: &str, side: XrefSide, id: &str) -> Option<&str> {
        let known = self.identities.get(&(system.to_owned(), entity.to_owned()))?;
        let ids = match side {
            XrefSide::Internal => &known.internal,
            XrefSide::External => &known.external,
        };
        ids.get(id).map(String::as_str)
    }

    pub(crate) fn key(&self, name: &str) -> Option<&Secret> {
        self.keys.get(name)
    }
}

impl fmt::Debug for HostData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostData")
            .field("context", &self.context.keys().collect::<Vec<_>>())
            .field("tables", &self.tables.keys().collect::<Vec<_>>())
            .field("identities", &self.identities.keys().collect::<Vec<_>>())
            .field("keys", &self.keys.keys().collect::<Vec<_>>())
            .finish()
    }
}
