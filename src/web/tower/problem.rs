//! The form of every refusal: a problem document (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Problem};

/// What went wrong, as `application/problem+json`.
///
/// The type is always `about:blank`: the status says what kind of problem it is, and `problems` which fields break which rules and
/// what makes them right.
///
/// ```
/// use crossdock::Problem;
/// use crossdock::web::ProblemDocument;
/// use http::StatusCode;
///
/// let document = ProblemDocument::new(StatusCode::UNPROCESSABLE_ENTITY)
///     .with_problem(&Problem::new("url", "a webhook is called by https", "use https://"));
///
/// let answer = document.into_response::<bytes::Bytes>();
/// assert_eq!(answer.headers()["content-type"], "application/problem+json");
/// assert!(answer.body().starts_with(br#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"#));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[must_use]
pub struct ProblemDocument {
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<FieldProblem>,
}

/// One broken rule in a document.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct FieldProblem {
    field: String,
    rule: String,
    fix: String,
}

impl ProblemDocument {
    /// The media type.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// What the status says, and nothing else.
    pub fn new(status: StatusCode) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: None,
            problems: Vec::new(),
        }
    }

    /// What an error of this crate is to a client: its kind, what was being done, and every broken rule. What lies underneath is for
    /// the host's log.
    pub fn of(error: &Error) -> Self {
        let document = match error.kind() {
            // The same for every id that is not there, whatever it was wanted for.
            ErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND),
            kind => Self::new(status_of(kind)).with_detail(format!("could not {}", error.step())),
        };
        error.problems().iter().fold(document, Self::with_problem)
    }

    /// One sentence about this very case.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// One broken rule more.
    pub fn with_problem(mut self, problem: &Problem) -> Self {
        let Problem { field, rule, fix } = problem.clone();
        self.problems.push(FieldProblem { field, rule, fix });
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        // It was made from one.
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        // Texts and a number always have a form in JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(B::from(Bytes::from(body)));
        *response.status_mut() = self.status();
        let media_type = HeaderValue::from_static(Self::MEDIA_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    }
}

/// The status that tells a client what kind of failure it was.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unconfigured => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_its_kind_and_its_rules_and_not_what_lies_underneath() {
        let error = Error::invalid("create webhook", [Problem::new("url", "it is https", "use https")])
            .with_source(std::io::Error::other("a secret detail"));

        let answer = ProblemDocument::of(&error).into_response::<Bytes>();

        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            std::str::from_utf8(answer.body()).expect("text"),
            r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"could not create webhook","problems":[{"field":"url","rule":"it is https","fix":"use https"}]}"#
        );
    }
}
