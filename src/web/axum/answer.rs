//! Errors of this crate as answers of handlers.

use axum::response::{IntoResponse, Response};

use crate::api_keys::Refused;
use crate::error::Error;
use crate::web::tower::ProblemDocument;

/// What a handler returns when it fails: a problem document, made from an error of this crate by `?`.
///
/// ```
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use crossdock::Hub;
/// use crossdock::tenancy::Actor;
/// use crossdock::web::axum::{Authenticated, Failure};
/// use crossdock::{Error, ErrorKind};
///
/// async fn types(hub: Hub, caller: Authenticated) -> Result<String, Failure> {
///     let types = hub.admin_by_key(&caller.caller)?.event_types()?;
///     Ok(types.len().to_string())
/// }
/// # drop(types);
///
/// let answer = Failure::from(Error::new(ErrorKind::NotFound, "read webhook")).into_response();
/// assert_eq!(answer.status(), StatusCode::NOT_FOUND);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure(ProblemDocument);

impl Failure {
    /// The document.
    pub fn document(&self) -> &ProblemDocument {
        &self.0
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(ProblemDocument::of(&error))
    }
}

impl From<ProblemDocument> for Failure {
    fn from(document: ProblemDocument) -> Self {
        Self(document)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self(ProblemDocument::new(refused.status()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl IntoResponse for ProblemDocument {
    fn into_response(self) -> Response {
        Self::into_response(self)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        ProblemDocument::of(&self).into_response()
    }
}
