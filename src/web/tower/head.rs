//! What of a request is looked at: everything but its body.

use std::fmt;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// A request without its body, as a host's own functions see it.
///
/// ```
/// use crossdock::web::tower::Head;
/// use http::Request;
///
/// let request = Request::get("/orders?page=2").body(())?;
///
/// assert_eq!(Head::of(&request).uri().path(), "/orders");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    /// The head of this request.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// The head that was taken from its body.
    pub fn of_parts(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }

    /// The method, as it was sent.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Where to, as far as no router has changed it.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What servers, routers and other layers have added.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl fmt::Debug for Head<'_> {
    /// Header values and the query are left out: secrets may stand in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}
