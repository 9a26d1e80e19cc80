//! The management API: what an *Admin → Integrations* page does, as JSON over HTTP.
//!
//! One file per resource, each with its routes, its JSON shapes and its handlers:
//!
//! | module | routes |
//! |---|---|
//! | `keys` | `/keys`: create, list, details, disable, enable, revoke, regenerate, refusals, leaks |
//! | `webhooks` | `/webhooks`: create, list, read, change, delete, switch, rotate, test, release, diagnose |
//! | `event_types` | `/event_types`: list, read, schema |
//! | `deliveries` | `/deliveries`: list, read, attempts, resend |
//! | `replays` | `/replays`: preview, start, list, progress, cancel |
//! | `sources` | `/sources`: create, list, read, change, delete, switch, rotate |
//! | `received` | `/received`: list, read, replay |
//! | `defaults` | `/defaults`: read, change |
//! | `activity` | `/activity`: list |
//!
//! What they share: who asks (`desk`), bodies and queries (`body`, `query`, `input`), pages (`paging`), versions
//! (`etag`), shapes that several speak (`shapes`), the document (`document`).

mod activity;
mod body;
mod defaults;
mod deliveries;
mod desk;
mod document;
mod etag;
mod event_types;
mod input;
mod keys;
mod paging;
mod query;
mod received;
mod replays;
mod shapes;
mod sources;
mod webhooks;

pub use body::MAX_BODY;
pub use desk::Visitor;
pub use document::openapi;

use std::future::Future;

use ::axum::Router;
use ::axum::response::IntoResponse;
use http::request::Parts;

use crate::hub::Hub;

/// The routes of the management API, to be mounted under any path with `nest`.
///
/// `visitor` says for each request who asks, by whatever login the host has: it is given the request without its body, and answers
/// an [`Actor`](crate::tenancy::Actor), or an [`Admin`](crate::hub::Admin) such as
/// [`Hub::admin_by_key`] gives, or an answer of its own when nobody is logged in. The tenant comes from there and from nowhere else.
///
/// The OpenAPI 3.1 document is served at `openapi.json`, to everybody.
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use crossdock::Hub;
/// use crossdock::tenancy::Actor;
/// use crossdock::web::ProblemDocument;
/// use crossdock::web::axum::{Failure, management};
/// use http::request::Parts;
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
///
/// /// The host's own login.
/// async fn visitor(request: Parts) -> Result<Actor, Failure> {
///     let session = request.headers.get("cookie").filter(|cookie| *cookie == "session=ada");
///     let tenant = "org_42".parse().map_err(|_| ProblemDocument::new(StatusCode::UNAUTHORIZED))?;
///     session.map(|_| Actor::org_admin(tenant, "ada")).ok_or(ProblemDocument::new(StatusCode::UNAUTHORIZED).into())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let app: Router = Router::new().nest("/admin/integrations", management(&hub, visitor));
///
/// let request = Request::get("/admin/integrations/keys").body(Body::empty())?;
/// assert_eq!(app.clone().oneshot(request).await?.status(), StatusCode::UNAUTHORIZED);
///
/// let request = Request::get("/admin/integrations/keys").header("cookie", "session=ada").body(Body::empty())?;
/// assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
/// # Ok(()) }
/// ```
pub fn management<S, F, A, V, R>(hub: &Hub, visitor: F) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(Parts) -> A + Send + Sync + 'static,
    A: Future<Output = Result<V, R>> + Send + 'static,
    V: Into<Visitor>,
    R: IntoResponse,
{
    document::routes().with_state(desk::Desk::new(hub, visitor))
}
