//! The OpenAPI 3.1 document, made from the code, and the routes, made from the same.

use axum::extract::{OriginalUri, Request};
use axum::middleware::map_response;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{
    Content, Info, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, ResponseBuilder, Server,
};
use utoipa::{PartialSchema as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::web::axum::answer::Failure;
use crate::web::axum::management::desk::Desk;
use crate::web::axum::management::shapes::Answer;
use crate::web::axum::management::{
    activity, defaults, deliveries, event_types, keys, received, replays, shapes, sources, webhooks,
};
use crate::web::tower::ProblemDocument;

/// All routes, with the document that describes them.
pub(super) fn routes() -> axum::Router<Desk> {
    let (router, _) = described().split_for_parts();
    router
        .route("/openapi.json", axum::routing::get(serve))
        .fallback(async |_: Request| shapes::missing())
        .method_not_allowed_fallback(async |_: Request| {
            Failure::from(ProblemDocument::new(StatusCode::METHOD_NOT_ALLOWED))
        })
        .layer(map_response(not_to_be_kept))
}

/// The OpenAPI 3.1 document of the management API, as JSON. Where it is served, it says besides under which path the routes are
/// mounted.
///
/// ```
/// let document = crossdock::web::axum::openapi();
///
/// assert_eq!(document["openapi"], "3.1.0");
/// assert!(document["paths"]["/webhooks/{id}/test"]["post"].is_object());
/// ```
pub fn openapi() -> Value {
    let mut document = described().into_openapi();
    tell_failures(&mut document);
    // A document is made of texts, lists and maps, which all have a form in JSON.
    serde_json::to_value(document).unwrap_or_default()
}

fn described() -> OpenApiRouter<Desk> {
    let mut info = Info::new("Integrations", "1");
    info.description = Some(ABOUT.to_owned());
    let document = OpenApiBuilder::new().info(info).build();
    OpenApiRouter::with_openapi(document)
        .merge(keys::routes())
        .merge(webhooks::routes())
        .merge(event_types::routes())
        .merge(deliveries::routes())
        .merge(replays::routes())
        .merge(sources::routes())
        .merge(received::routes())
        .merge(defaults::routes())
        .merge(activity::routes())
}

async fn serve(OriginalUri(uri): OriginalUri) -> Answer {
    let mut document = openapi();
    let mounted = uri.path().strip_suffix("/openapi.json").unwrap_or_default();
    let url = if mounted.is_empty() { "/" } else { mounted };
    document["servers"] = json!([Server::new(url)]);
    shapes::json(StatusCode::OK, &document)
}

/// Says that every operation may answer with a problem document instead.
fn tell_failures(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(PROBLEM.to_owned(), ProblemShape::schema());
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(PROBLEM))));
    let failure = ResponseBuilder::new()
        .description("What went wrong, as RFC 9457 has it")
        .content(ProblemDocument::MEDIA_TYPE, content)
        .build();
    let failure = RefOr::T(failure);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let responses = &mut operation.responses.responses;
        for (status, response) in responses.iter_mut() {
            if let RefOr::T(response) = response {
                response.description = meaning(status).to_owned();
            }
        }
        responses.insert("default".to_owned(), failure.clone());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

fn meaning(status: &str) -> &'static str {
    match status {
        "201" => "It is made: the answer shows it",
        "204" => "It is gone",
        _ => "The answer",
    }
}

/// Secrets stand in some answers, and a tenant's affairs in all of them.
async fn not_to_be_kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How a problem document looks.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used; `ProblemDocument` is what is written")]
struct ProblemShape {
    /// Always `about:blank`: the status says which kind of problem it is.
    r#type: String,
    title: String,
    status: u16,
    detail: Option<String>,
    /// Every broken rule.
    #[schema(inline)]
    problems: Option<Vec<FieldProblem>>,
}

/// One broken rule.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct FieldProblem {
    /// Which field, such as `retry.delays[3]`.
    field: String,
    /// Which rule.
    rule: String,
    /// What makes it right.
    fix: String,
}

const PROBLEM: &str = "Problem";
const ABOUT: &str = "API keys, webhooks, event types, deliveries, replays, sources of inbound webhooks, what they have received, and the activity log of one tenant. Listings have pages: \
                     `next` of one is `after` for the following. Changes say by `if-match` which version they were made from. \
                     Failures are problem documents (RFC 9457) that name field, rule and fix.";
