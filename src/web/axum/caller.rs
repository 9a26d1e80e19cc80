//! Who calls, for handlers.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use crate::api_keys::{self, Permissions};
use crate::primitives::ApiKeyId;
use crate::tenancy::TenantId;
use crate::web::tower::ProblemDocument;

/// Who calls, as an argument of a handler behind [`authentication`](fn@super::authentication).
///
/// A handler that asks for it and stands behind no layer answers 500: nobody comes in by accident.
///
/// ```
/// use crossdock::web::axum::Authenticated;
///
/// async fn whoami(caller: Authenticated) -> String {
///     format!("{} with {} may {}", caller.tenant, caller.key, caller.permissions)
/// }
/// # drop(whoami);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Authenticated {
    /// For whom the call is made.
    pub tenant: TenantId,
    /// With which key.
    pub key: ApiKeyId,
    /// What the key may do over everything; scopes are in [`rights`](api_keys::Authenticated::rights) of the caller.
    pub permissions: Permissions,
    /// Everything that is known of the call.
    pub caller: api_keys::Authenticated,
}

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        match parts.extensions.get::<api_keys::Authenticated>() {
            Some(caller) => Ok(Self {
                tenant: caller.tenant().clone(),
                key: caller.key(),
                permissions: caller.rights().permissions(),
                caller: caller.clone(),
            }),
            None => Err(ProblemDocument::new(StatusCode::INTERNAL_SERVER_ERROR)
                .with_detail("this route is not behind API keys")
                .into_response()),
        }
    }
}
