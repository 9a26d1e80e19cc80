//! The built-in schema engine.

use std::sync::Arc;

use crate::adapters::json_schema::JsonSchemaEngine;
use crate::events::schema::SchemaEngine;
use crate::hub::defaults::Defaults;

impl Defaults {
    /// Wins over [`Absent::schema_engine`](super::defaults::Absent::schema_engine).
    pub(super) fn schema_engine(&self) -> Option<Arc<dyn SchemaEngine>> {
        Some(Arc::new(JsonSchemaEngine::new()))
    }
}
