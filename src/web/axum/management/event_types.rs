//! `/event_types`: what can happen.

use std::sync::Arc;

use axum::response::IntoResponse;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::events::{self, CatalogEntry};
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::shapes::{Answer, Named, json, mirror, missing};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read)).routes(routes!(schema))
}

mirror!(
    /// What happens to a payload that does not match the schema.
    SchemaMode of events::SchemaMode {
        /// It is refused.
        Enforce,
        /// It is published, with warnings.
        Warn,
        /// Nobody looks.
        Off,
    }
);

/// What can happen.
#[derive(Debug, Serialize, ToSchema)]
struct EventType {
    /// Such as `shipment.shipped`.
    name: String,
    /// The heading under which people find it.
    group: Option<String>,
    description: Option<String>,
    /// The version of its payload's shape.
    version: u32,
    /// What to use instead, if the type will go.
    deprecated: Option<String>,
    /// Whether it has a schema: `/event_types/{name}/schema`.
    has_schema: bool,
    schema_mode: SchemaMode,
}

/// What can happen, with a payload to look at.
#[derive(Debug, Serialize, ToSchema)]
struct EventTypeDetails {
    #[serde(flatten)]
    event_type: EventType,
    /// What its payload looks like, as a JSON Schema of draft 2020-12.
    schema: Option<Value>,
    /// A payload.
    example: Option<Value>,
}

/// All that can happen.
#[derive(Debug, Serialize, ToSchema)]
struct EventTypes {
    /// Groups together.
    items: Vec<EventType>,
}

/// Lists event types
///
/// All that whoever asks may know of, groups together.
#[utoipa::path(get, path = "/event_types", operation_id = "list_event_types", tag = "event types",
    responses((status = 200, body = EventTypes)))]
async fn list(Manager(admin): Manager) -> Answer {
    let items = admin.event_types()?.iter().map(EventType::of).collect();
    json(StatusCode::OK, &EventTypes { items })
}

/// Reads an event type
///
/// With its schema and an example.
#[utoipa::path(get, path = "/event_types/{name}", operation_id = "read_event_type", tag = "event types",
    params(("name" = String, Path, description = "The type, such as `shipment.shipped`")),
    responses((status = 200, body = EventTypeDetails)))]
async fn read(Manager(admin): Manager, Named(name): Named<String>) -> Answer {
    let entry = admin.event_type(&name)?;
    let details = EventTypeDetails {
        event_type: EventType::of(&entry),
        schema: entry.schema().cloned(),
        example: entry.example().cloned(),
    };
    json(StatusCode::OK, &details)
}

/// Reads an event type's schema
///
/// The JSON Schema alone.
#[utoipa::path(get, path = "/event_types/{name}/schema", operation_id = "read_event_type_schema",
    tag = "event types",
    params(("name" = String, Path, description = "The type, such as `shipment.shipped`")),
    responses((status = 200, body = Value, content_type = "application/schema+json")))]
async fn schema(Manager(admin): Manager, Named(name): Named<String>) -> Answer {
    let entry = admin.event_type(&name)?;
    let schema = entry.schema().ok_or_else(missing)?;
    let media_type = HeaderValue::from_static("application/schema+json");
    Ok(([(header::CONTENT_TYPE, media_type)], schema.to_string()).into_response())
}

impl EventType {
    fn of(entry: &Arc<CatalogEntry>) -> Self {
        Self {
            name: entry.event_type().as_str().to_owned(),
            group: entry.group().map(str::to_owned),
            description: entry.description().map(str::to_owned),
            version: entry.version(),
            deprecated: entry.deprecated().map(str::to_owned),
            has_schema: entry.schema().is_some(),
            schema_mode: entry.schema_mode().into(),
        }
    }
}
