//! The layer with what axum knows of a request.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};

use crate::hub::Hub;
use crate::web::tower::{Authentication, Head, PeerAddress};

/// API keys in front of routes: the peer's address comes from axum's `ConnectInfo<SocketAddr>` (or a [`PeerAddress`]), the route from
/// its `MatchedPath`.
///
/// A route has exactly one of the layers: groups of routes with other demands are merged.
///
/// ```
/// use axum::Router;
/// use axum::routing::{get, post};
/// use crossdock::Hub;
/// use crossdock::api_keys::{ApiKeySettings, Permission, Scopes};
/// use crossdock::web::axum::{Authenticated, authentication};
///
/// async fn orders(caller: Authenticated) -> String {
///     format!("the orders of {}", caller.tenant)
/// }
///
/// let settings = ApiKeySettings::new().scopes(Scopes::declare(["orders:read"])?);
/// let hub = Hub::builder().api_keys(settings).build()?;
/// let keys = authentication(&hub);
///
/// let api: Router = Router::new()
///     .route("/stock", get(orders).post(orders).route_layer(keys.clone()))
///     .route("/orders/{id}", get(orders).route_layer(keys.require_scope("orders/{id}:read")?))
///     .route("/close", post(orders).route_layer(keys.require(Permission::Admin)));
/// # drop(api);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: without the peer's address nobody comes in.
pub fn authentication(hub: &Hub) -> Authentication {
    Authentication::new(hub)
        .peer(|head| {
            let connection = head.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
            connection.or_else(|| head.extensions().get::<PeerAddress>().map(|peer| peer.0))
        })
        .route(|head| head.extensions().get::<MatchedPath>().map(MatchedPath::as_str))
        .path(original_path)
}

/// The path before a nested router has cut its own from it: the matched route is whole as well.
fn original_path<'a>(head: &Head<'a>) -> Option<&'a str> {
    let original = head.extensions().get::<OriginalUri>().map(|uri| uri.0.path());
    original.or_else(|| Some(head.uri().path()))
}
