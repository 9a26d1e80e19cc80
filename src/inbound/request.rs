//! What arrives, and with which secrets it is checked.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{HeaderMap, Method};

use crate::primitives::secret::Secret;

/// A request as it came: nothing decoded, nothing parsed.
///
/// ```
/// use crossdock::inbound::Request;
/// use http::{HeaderMap, Method};
///
/// let headers = HeaderMap::new();
/// let request = Request::new(&Method::POST, "https://app.example.com/hooks/7f3a", &headers, b"{}");
///
/// assert_eq!(request.signed_url(), "https://app.example.com/hooks/7f3a");
/// assert_eq!(request.with_query(Some("a=1")).signed_url(), "https://app.example.com/hooks/7f3a?a=1");
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The public URL that the sender was told, as the host's configuration has it: a proxy may have changed the
    /// request's own.
    pub url: &'a str,
    /// The query of the request as it came, without `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// One secret of a source.
///
/// ```
/// use crossdock::inbound::SourceSecret;
/// use crossdock::primitives::Secret;
///
/// let secret = SourceSecret::new("2024", Secret::from("hush"));
///
/// assert_eq!(secret.name(), "2024");
/// assert!(!format!("{secret:?}").contains("hush"));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct SourceSecret {
    name: Arc<str>,
    secret: Secret,
    not_after: Option<DateTime<Utc>>,
}

impl<'a> Request<'a> {
    /// A request to this public URL.
    pub fn new(method: &'a Method, url: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { method, url, query: None, headers, body }
    }

    /// The query as it came, without `?`.
    #[must_use]
    pub fn with_query(mut self, query: Option<&'a str>) -> Self {
        self.query = query.filter(|query| !query.is_empty());
        self
    }

    /// The URL that a sender signs: the public one, with the request's query unless it has one of its own.
    pub fn signed_url(&self) -> std::borrow::Cow<'a, str> {
        match self.query {
            Some(query) if !self.url.contains('?') => format!("{}?{query}", self.url).into(),
            _ => self.url.into(),
        }
    }

    /// The request's query, or that of the public URL.
    pub(in crate::inbound) fn query_text(&self) -> &'a str {
        self.query.or_else(|| self.url.split_once('?').map(|(_, query)| query)).unwrap_or_default()
    }
}

impl fmt::Debug for Request<'_> {
    /// Header values and body are left out: they hold credentials and payloads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl SourceSecret {
    /// A secret that does not expire; the name says in logs which one has matched.
    pub fn new(name: impl Into<Arc<str>>, secret: Secret) -> Self {
        Self { name: name.into(), secret, not_after: None }
    }

    /// Ends it: after this time it verifies nothing.
    #[must_use]
    pub fn with_not_after(mut self, not_after: DateTime<Utc>) -> Self {
        self.not_after = Some(not_after);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret as the provider shows it.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// When it ends.
    pub fn not_after(&self) -> Option<DateTime<Utc>> {
        self.not_after
    }

    /// The name once more, without a copy.
    pub(in crate::inbound) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

impl fmt::Debug for SourceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSecret")
            .field("name", &self.name)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
