//! How payloads are held against a schema: a mode, and a port for the validator.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;

/// What happens to a payload that does not match its type's schema.
///
/// ```
/// use crossdock::events::SchemaMode;
///
/// assert_eq!(SchemaMode::default(), SchemaMode::Enforce);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SchemaMode {
    /// It is refused; the error names the JSON pointer and the rule.
    #[default]
    Enforce,
    /// It is published, and what is wrong comes back as warnings: for a schema that is being introduced.
    Warn,
    /// Nobody looks: the schema is documentation only.
    Off,
}

/// One place at which an instance breaks its schema, or at which a schema is no schema.
///
/// ```
/// use crossdock::events::SchemaViolation;
///
/// let violation = SchemaViolation::new("/items/0/units", "minimum: the value is less than 1", "send 1 or more");
///
/// assert_eq!(violation.pointer, "/items/0/units");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SchemaViolation {
    /// The JSON pointer to the offending value; empty for the whole.
    pub pointer: String,
    /// The keyword and what it demands, without the value that was found: that one is the tenant's.
    pub rule: String,
    /// What makes it right.
    pub fix: String,
}

/// Turns a JSON Schema into something that checks payloads.
///
/// `adapters::JsonSchemaEngine`, behind the feature `schemas`, is one.
///
/// # Contract
/// - A schema is read as JSON Schema, draft 2020-12; one that names another draft is refused.
/// - A schema that is none, or that cannot be checked in full, is refused, with every violation that can be told.
/// - Nothing is fetched: a reference that leads outside the schema is refused.
/// - No input panics.
///
/// ```
/// use std::sync::Arc;
///
/// use crossdock::events::{SchemaCheck, SchemaEngine, SchemaViolation};
/// use serde_json::{Value, json};
///
/// /// Knows one keyword only.
/// #[derive(Debug)]
/// struct RequiredOnly;
///
/// #[derive(Debug)]
/// struct Names(Vec<String>);
///
/// impl SchemaEngine for RequiredOnly {
///     fn compile(&self, schema: &Value) -> Result<Arc<dyn SchemaCheck>, Vec<SchemaViolation>> {
///         let names = serde_json::from_value(schema["required"].clone());
///         let refusal = |_| vec![SchemaViolation::new("/required", "required: not a list of names", "list names")];
///         Ok(Arc::new(Names(names.map_err(refusal)?)))
///     }
/// }
///
/// impl SchemaCheck for Names {
///     fn check(&self, instance: &Value) -> Vec<SchemaViolation> {
///         let missing = self.0.iter().filter(|name| instance.get(name).is_none());
///         missing.map(|name| SchemaViolation::new("", format!("required: `{name}`"), "add it")).collect()
///     }
/// }
///
/// let check = RequiredOnly.compile(&json!({"required": ["order"]})).map_err(|found| format!("{found:?}"))?;
///
/// assert_eq!(check.check(&json!({"order": 7})), []);
/// assert_eq!(check.check(&json!({}))[0].rule, "required: `order`");
/// # Ok::<(), String>(())
/// ```
pub trait SchemaEngine: Debug + Send + Sync + 'static {
    /// Reads one schema.
    ///
    /// # Errors
    /// What is wrong with the schema; the pointers lead into the schema.
    fn compile(&self, schema: &Value) -> Result<Arc<dyn SchemaCheck>, Vec<SchemaViolation>>;
}

/// One schema, ready to check payloads.
///
/// # Contract
/// - The list is empty if, and only if, the instance matches the schema; the same instance always gives the same list.
/// - No violation repeats a value of the instance.
/// - No input panics.
///
/// [`SchemaEngine`] shows one.
pub trait SchemaCheck: Debug + Send + Sync + 'static {
    /// What is wrong with this instance.
    fn check(&self, instance: &Value) -> Vec<SchemaViolation>;
}

impl SchemaViolation {
    /// A broken rule at this place.
    pub fn new(pointer: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), rule: rule.into(), fix: fix.into() }
    }
}
