//! Versions as entity tags: an update says which version it was made from (RFC 9110, `If-Match`).

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use crate::error::{Error, ErrorKind, Problem};
use crate::primitives::Version;
use crate::web::axum::answer::Failure;
use crate::web::tower::ProblemDocument;

/// Which versions an update may be made from. Without `If-Match` there is no update: 428.
#[derive(Debug)]
pub(super) enum IfMatch {
    Any,
    OneOf(Vec<Version>),
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let mut versions = Vec::new();
        let mut lines = parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if lines.peek().is_none() {
            let fix = "read it, and send its `etag` as `if-match`";
            let problem = Problem::new("if-match", "a change says which version it was made from", fix);
            return Err(ProblemDocument::new(StatusCode::PRECONDITION_REQUIRED)
                .with_problem(&problem)
                .into());
        }
        for tag in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
            match tag.trim_ascii() {
                b"*" => return Ok(Self::Any),
                // A weak tag, or one of somebody else's, matches nothing.
                tag => versions.extend(version(tag)),
            }
        }
        Ok(Self::OneOf(versions))
    }
}

impl IfMatch {
    /// Refuses a change of another version with 412.
    pub(super) fn check(&self, present: Version) -> Result<(), Failure> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(versions) if versions.contains(&present) => Ok(()),
            Self::OneOf(_) => Err(changed_meanwhile()),
        }
    }

    /// What a change that failed answers: 412 when somebody else was faster.
    pub(super) fn failure(error: Error) -> Failure {
        let outdated = error.kind() == ErrorKind::Conflict
            && error.problems().iter().any(|problem| problem.field.ends_with("version"));
        if outdated { changed_meanwhile() } else { error.into() }
    }
}

fn changed_meanwhile() -> Failure {
    let fix = "read it again, and repeat the change with its new `etag`";
    let problem = Problem::new("if-match", "somebody has changed it since that version", fix);
    ProblemDocument::new(StatusCode::PRECONDITION_FAILED).with_problem(&problem).into()
}

/// Says which version an answer shows.
pub(super) fn with_etag(mut response: Response, version: Version) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", version.number())) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn version(tag: &[u8]) -> Option<Version> {
    let number = std::str::from_utf8(tag).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_plain).map(Version::new)
}
