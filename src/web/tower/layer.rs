//! What the host says about a request: where the peer, the route and the path are found, and what a route demands.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderValue;
use tower_layer::Layer;

use crate::api_keys::{Gate, InvalidScope, Permission, Refused};
use crate::hub::Hub;
use crate::web::tower::answer::challenge;
use crate::web::tower::demand::{Demand, Resource};
use crate::web::tower::head::Head;
use crate::web::tower::service::AuthenticationService;

/// The layer that lets requests in with an API key, and nobody else; it puts [`Authenticated`](crate::api_keys::Authenticated)
/// into the extensions of those that it lets in.
///
/// A clone is the same layer. [`require`](Self::require), [`require_scope`](Self::require_scope) and [`on`](Self::on) give another
/// one, for routes that demand something else than their method says. Each route has exactly one of them: the gate judges, and
/// counts, each call once.
///
/// ```
/// use bytes::Bytes;
/// use crossdock::Hub;
/// use crossdock::web::Authentication;
/// use crossdock::web::tower::PeerAddress;
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let api = ServiceBuilder::new()
///     .layer(Authentication::new(&hub))
///     .service(service_fn(async |_: Request<Bytes>| Ok::<_, std::io::Error>(Response::new(Bytes::new()))));
///
/// let peer = PeerAddress([203, 0, 113, 9].into());
/// let refused = api.oneshot(Request::get("/orders").extension(peer).body(Bytes::new())?).await?;
///
/// assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
/// assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"api\"");
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Authentication(pub(super) Arc<Plan>);

/// The address that a connection comes from, as an extension of its requests. A [`SocketAddr`] or an [`IpAddr`] there is read as
/// well.
///
/// ```
/// use crossdock::web::tower::PeerAddress;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddress([203, 0, 113, 9].into()));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerAddress(pub IpAddr);

/// Everything that the layer knows before a request comes.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) gate: Gate,
    pub(super) demand: Demand,
    pub(super) challenge: HeaderValue,
    pub(super) peer: Arc<ReadAddress>,
    pub(super) route: Arc<ReadText>,
    pub(super) path: Arc<ReadText>,
    pub(super) on_refused: Arc<HearRefusal>,
}

type ReadAddress = dyn Fn(&Head<'_>) -> Option<IpAddr> + Send + Sync;
type HearRefusal = dyn Fn(&Head<'_>, &Refused) + Send + Sync;
type ReadText = dyn for<'a> Fn(&Head<'a>) -> Option<&'a str> + Send + Sync;

impl Authentication {
    /// Bearer tokens or the header that the hub's settings name, the class that the method says, over everything; the peer's
    /// address from a [`PeerAddress`], [`SocketAddr`] or [`IpAddr`] among the request's extensions. If there is none, nobody
    /// comes in: every answer is a 500.
    pub fn new(hub: &Hub) -> Self {
        let gate = hub.gate().clone();
        let challenge = challenge(gate.token_header(), "api").unwrap_or(HeaderValue::from_static("Bearer"));
        Self(Arc::new(Plan {
            gate,
            demand: Demand::default(),
            challenge,
            peer: Arc::new(peer_in_extensions),
            route: Arc::new(|_| None),
            path: Arc::new(|head| Some(head.uri().path())),
            on_refused: Arc::new(|_, _| {}),
        }))
    }

    /// The same layer for routes that need this class, whatever their method.
    pub fn require(&self, class: Permission) -> Self {
        self.with(|plan| plan.demand.class = Some(class))
    }

    /// The same layer for routes that need what this scope is a right to, such as `orders:read`. Segments can be parameters of the
    /// route: with `orders/{id}:read` on the route `/orders/{id}`, a key for `orders/ord_1:read` may read this order alone.
    ///
    /// A key with the class over everything may do it as well.
    ///
    /// # Errors
    /// It is not a scope, or holds a star.
    pub fn require_scope(&self, scope: &str) -> Result<Self, InvalidScope> {
        let demand = Demand::of_scope(scope)?;
        Ok(self.with(|plan| plan.demand = demand))
    }

    /// The same layer for routes about this resource, such as `orders/{id}`: the class is what the method says.
    ///
    /// # Errors
    /// It is not a scope's resource, or holds a star.
    pub fn on(&self, resource: &str) -> Result<Self, InvalidScope> {
        let resource = Resource::parse(resource)?;
        Ok(self.with(|plan| plan.demand.resource = resource))
    }

    /// Where the address of the connection is found, if not among the extensions. Over unix sockets, say which address stands for
    /// them.
    pub fn peer(self, find: impl Fn(&Head<'_>) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.with(|plan| plan.peer = Arc::new(find))
    }

    /// Which route was matched, such as `/orders/{id}`: it stands in the usage and in the log, and its parameters can be named by
    /// scopes.
    pub fn route(self, find: impl for<'a> Fn(&Head<'a>) -> Option<&'a str> + Send + Sync + 'static) -> Self {
        self.with(|plan| plan.route = Arc::new(find))
    }

    /// The path that the route was matched against, if a router has changed the request's own.
    pub fn path(self, find: impl for<'a> Fn(&Head<'a>) -> Option<&'a str> + Send + Sync + 'static) -> Self {
        self.with(|plan| plan.path = Arc::new(find))
    }

    /// What refusals call the area that a key is for; `api` by default. A text that no header can hold is not taken.
    pub fn realm(self, realm: &str) -> Self {
        self.with(|plan| {
            if let Some(challenge) = challenge(plan.gate.token_header(), realm) {
                plan.challenge = challenge;
            }
        })
    }

    /// Hears of every refusal, with its reason: for the host's log.
    pub fn on_refused(self, hear: impl Fn(&Head<'_>, &Refused) + Send + Sync + 'static) -> Self {
        self.with(|plan| plan.on_refused = Arc::new(hear))
    }

    fn with(&self, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = (*self.0).clone();
        change(&mut plan);
        Self(Arc::new(plan))
    }
}

impl<S> Layer<S> for Authentication {
    type Service = AuthenticationService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthenticationService::new(inner, Arc::clone(&self.0))
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("demand", &self.0.demand).finish_non_exhaustive()
    }
}

fn peer_in_extensions(head: &Head<'_>) -> Option<IpAddr> {
    let extensions = head.extensions();
    let named = extensions.get::<PeerAddress>().map(|peer| peer.0);
    let socket = || extensions.get::<SocketAddr>().map(SocketAddr::ip);
    named.or_else(socket).or_else(|| extensions.get::<IpAddr>().copied())
}
