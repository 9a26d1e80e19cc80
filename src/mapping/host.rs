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
    /// What is asked for and not found here is looked for there.
    behind: Option<Arc<HostData>>,
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

    /// Everything that this gives, and what is added wins over it: what differs from run to run is laid over what does not.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use crossdock::mapping::HostData;
    /// use serde_json::json;
    ///
    /// let shared = Arc::new(HostData::new().with_context("warehouse", json!("HAM")));
    /// let run = HostData::over(shared).with_context("today", json!("2026-01-01"));
    ///
    /// assert_eq!((run.context("warehouse"), run.context("today")), (Some(&json!("HAM")), Some(&json!("2026-01-01"))));
    /// ```
    pub fn over(shared: Arc<Self>) -> Self {
        Self { behind: Some(shared), ..Self::default() }
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
        self.context.get(name).or_else(|| self.behind.as_ref()?.context(name))
    }

    pub(crate) fn table(&self, name: &str) -> Option<&LookupTable> {
        match self.tables.get(name) {
            Some(table) => Some(table),
            None => self.behind.as_ref()?.table(name),
        }
    }

    pub(crate) fn identity(&self, system: &str, entity: &str, side: XrefSide, id: &str) -> Option<&str> {
        let known = self.identities.get(&(system.to_owned(), entity.to_owned())).and_then(|known| {
            let ids = match side {
                XrefSide::Internal => &known.internal,
                XrefSide::External => &known.external,
            };
            ids.get(id)
        });
        match known {
            Some(id) => Some(id),
            None => self.behind.as_ref()?.identity(system, entity, side, id),
        }
    }

    pub(crate) fn key(&self, name: &str) -> Option<&Secret> {
        self.keys.get(name).or_else(|| self.behind.as_ref()?.key(name))
    }

    /// The names of the values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.context.keys().map(String::as_str)
    }

    /// The names of the tables, in their order.
    pub(crate) fn table_names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<_> = self.tables.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.into_iter()
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
