//! Who asks: the host says it, for each request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::hub::{Admin, Hub};
use crate::tenancy::Actor;

/// Whoever asks, as the host knows them.
///
/// ```
/// use crossdock::tenancy::Actor;
/// use crossdock::web::axum::Visitor;
///
/// let visitor = Visitor::from(Actor::org_admin("org_42".parse()?, "ada"));
/// assert!(matches!(visitor, Visitor::Person(_)));
/// # Ok::<(), crossdock::tenancy::InvalidTenantId>(())
/// ```
#[derive(Clone, Debug)]
pub enum Visitor {
    /// Somebody who is logged in.
    Person(Actor),
    /// What somebody may see and change already, such as the owner of a key.
    Admitted(Box<Admin>),
}

/// The state of all routes.
#[derive(Clone)]
pub(super) struct Desk(Arc<Staff>);

struct Staff {
    hub: Hub,
    visitor: Box<dyn Fn(Parts) -> Found + Send + Sync>,
}

type Found = Pin<Box<dyn Future<Output = Result<Visitor, Response>> + Send>>;

/// The hub as whoever asks may see and change it: the first argument of every handler, so that nothing of a request is looked at
/// before it is known who asks.
pub(super) struct Manager(pub(super) Admin);

impl Desk {
    pub(super) fn new<F, A, V, R>(hub: &Hub, visitor: F) -> Self
    where
        F: Fn(Parts) -> A + Send + Sync + 'static,
        A: Future<Output = Result<V, R>> + Send + 'static,
        V: Into<Visitor>,
        R: IntoResponse,
    {
        let visitor = move |parts| -> Found {
            let answer = visitor(parts);
            Box::pin(async move { answer.await.map(Into::into).map_err(IntoResponse::into_response) })
        };
        Self(Arc::new(Staff { hub: hub.clone(), visitor: Box::new(visitor) }))
    }
}

impl FromRequestParts<Desk> for Manager {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Self::Rejection> {
        let staff = &*desk.0;
        Ok(Self(match (staff.visitor)(parts.clone()).await? {
            Visitor::Person(actor) => staff.hub.admin(actor),
            Visitor::Admitted(admin) => *admin,
        }))
    }
}

impl From<Actor> for Visitor {
    fn from(actor: Actor) -> Self {
        Self::Person(actor)
    }
}

impl From<Admin> for Visitor {
    fn from(admin: Admin) -> Self {
        Self::Admitted(Box::new(admin))
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("hub", &self.0.hub).finish_non_exhaustive()
    }
}
