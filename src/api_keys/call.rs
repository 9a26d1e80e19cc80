//! One call of the host's API, and whoever makes it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, Method};

use crate::api_keys::cache::Entry;
use crate::api_keys::permission::Permission;
use crate::api_keys::rate::RateStanding;
use crate::api_keys::refusal::Refusal;
use crate::api_keys::scope::{PackedRights, Rights};
use crate::api_keys::token::Environment;
use crate::primitives::id::ApiKeyId;
use crate::tenancy::model::TenantId;

/// A call of the host's API, as its router has matched it. It borrows everything.
///
/// What the call needs is judged on the matched route, never on the path as it was sent: `//`, `%2f` and `..` change nothing,
/// and headers that claim another method are not read.
///
/// ```
/// use std::net::IpAddr;
/// use crossdock::api_keys::ApiCall;
/// use http::{HeaderMap, Method};
///
/// let (headers, peer) = (HeaderMap::new(), IpAddr::from([203, 0, 113, 9]));
///
/// let resource = ["orders", "ord_1"];
/// let call = ApiCall::new(&Method::GET, &headers, peer).route("/orders/{id}").on(&resource);
///
/// assert!(format!("{call:?}").contains("/orders/{id}"));
/// ```
#[derive(Clone, Copy)]
pub struct ApiCall<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: IpAddr,
    pub(crate) route: &'a str,
    resource: &'a [&'a str],
    needs: Option<Permission>,
}

/// In which header a call carries its token. It is never looked for in the query.
///
/// ```
/// use crossdock::api_keys::{ApiKeySettings, TokenHeader};
/// use http::HeaderName;
///
/// let settings = ApiKeySettings::new().header(TokenHeader::Named(HeaderName::from_static("x-api-key")));
/// # drop(settings);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TokenHeader {
    /// `authorization: Bearer <token>`.
    #[default]
    Bearer,
    /// A header that holds the token alone, such as `x-api-key`.
    Named(HeaderName),
}

/// A call that was let in: who makes it, and what they may do. A clone is the same.
///
/// From [`Hub::authenticate`](crate::Hub::authenticate).
#[derive(Clone)]
pub struct Authenticated {
    pub(crate) entry: Arc<Entry>,
    pub(crate) address: IpAddr,
    /// Microseconds.
    pub(crate) at: i64,
}

impl<'a> ApiCall<'a> {
    /// A call with this method and these headers, on a connection from this address.
    pub fn new(method: &'a Method, headers: &'a HeaderMap, peer: IpAddr) -> Self {
        Self { method, headers, peer, route: "", resource: &[], needs: None }
    }

    /// The matched route, such as `/orders/{id}`: it stands in the usage and in the log.
    #[must_use]
    pub fn route(mut self, route: &'a str) -> Self {
        self.route = route;
        self
    }

    /// The resource that it is about, segment by segment, so that a scope such as `orders:read` can be a right to it. Without one
    /// only a class over everything is.
    #[must_use]
    pub fn on(mut self, resource: &'a [&'a str]) -> Self {
        self.resource = resource;
        self
    }

    /// What it needs, in the place of what its method says.
    #[must_use]
    pub fn needs(mut self, permission: Permission) -> Self {
        self.needs = Some(permission);
        self
    }

    /// It is administrative, whatever its method.
    #[must_use]
    pub fn administrative(self) -> Self {
        self.needs(Permission::Admin)
    }

    /// Whether these rights are enough.
    #[inline]
    pub(crate) fn judge(&self, rights: &PackedRights) -> Result<(), Refusal> {
        // A method that nobody knows is refused, whatever the host says that it needs.
        let by_method = Permission::of(self.method).ok_or(Refusal::Method)?;
        if rights.allow(self.needs.unwrap_or(by_method), self.resource) {
            Ok(())
        } else {
            Err(Refusal::Permission)
        }
    }
}

impl fmt::Debug for ApiCall<'_> {
    /// Header values are left out: one of them is the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiCall")
            .field("method", &self.method)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("peer", &self.peer)
            .field("route", &self.route)
            .field("resource", &self.resource)
            .field("needs", &self.needs)
            .finish()
    }
}

impl TokenHeader {
    /// The header's name.
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &http::header::AUTHORIZATION,
            Self::Named(name) => name,
        }
    }

    /// The token in the headers.
    #[inline]
    pub(crate) fn token<'h>(&self, headers: &'h HeaderMap) -> Result<&'h [u8], Refusal> {
        let mut values = headers.get_all(self.name()).iter();
        let value = values.next().ok_or(Refusal::Missing)?.as_bytes();
        if values.next().is_some() {
            return Err(Refusal::Ambiguous);
        }
        match self {
            Self::Named(_) => Ok(value.trim_ascii()),
            Self::Bearer => match value.split_at_checked(BEARER.len()) {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => Ok(token.trim_ascii()),
                // Another way to log in, which may be the host's.
                _ => Err(Refusal::Missing),
            },
        }
    }
}

const BEARER: &[u8] = b"Bearer ";

impl Authenticated {
    /// For whom the call is made.
    pub fn tenant(&self) -> &TenantId {
        &self.entry.key.tenant
    }

    /// With which key.
    pub fn key(&self) -> ApiKeyId {
        self.entry.key.id
    }

    /// What people call the key.
    pub fn name(&self) -> &str {
        &self.entry.key.name
    }

    /// Which world the key opens.
    pub fn environment(&self) -> Environment {
        self.entry.key.environment
    }

    /// What the key may do.
    pub fn rights(&self) -> &Rights {
        &self.entry.key.rights
    }

    /// From where the call comes.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// When the key ends, if it does.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        self.entry.key.ends_at()
    }

    /// What is left of the key's rate, if it has one.
    pub fn rate(&self) -> Option<RateStanding> {
        self.entry.line.as_ref()?.standing(self.at)
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("tenant", self.tenant())
            .field("key", &self.key())
            .field("rights", self.rights())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn token(header: &TokenHeader, lines: &[(&'static str, &str)]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        header.token(&headers).map(|token| String::from_utf8_lossy(token).into_owned())
    }

    #[test]
    fn the_token_stands_in_one_header_once() {
        let bearer = |lines: &[(&'static str, &str)]| token(&TokenHeader::Bearer, lines);
        for (line, expected) in [
            ("Bearer abc", Ok("abc")),
            ("bearer abc", Ok("abc")),
            ("Bearer   abc ", Ok("abc")),
            ("Bearer ", Ok("")),
            ("Bearer", Err(Refusal::Missing)),
            ("Bearerabc", Err(Refusal::Missing)),
            ("Basic YTpi", Err(Refusal::Missing)),
            ("", Err(Refusal::Missing)),
        ] {
            assert_eq!(bearer(&[("authorization", line)]), expected.map(str::to_owned), "{line}");
        }
        assert_eq!(bearer(&[]), Err(Refusal::Missing));
        assert_eq!(bearer(&[("x-api-key", "abc")]), Err(Refusal::Missing));
        let twice = [("authorization", "Bearer abc"), ("authorization", "Bearer abc")];
        assert_eq!(bearer(&twice), Err(Refusal::Ambiguous));

        let named = TokenHeader::Named(HeaderName::from_static("x-api-key"));
        assert_eq!(token(&named, &[("x-api-key", " abc ")]), Ok("abc".to_owned()));
        assert_eq!(token(&named, &[("authorization", "Bearer abc")]), Err(Refusal::Missing));
    }

    #[test]
    fn what_a_call_needs_is_said_by_its_method_and_its_route() {
        let peer = IpAddr::from([203, 0, 113, 9]);
        let mut headers = HeaderMap::new();
        headers.insert("x-http-method-override", HeaderValue::from_static("DELETE"));
        let call = |method| ApiCall::new(method, &headers, peer);
        let read = PackedRights::of(&Rights::new([Permission::Read]));
        let orders = PackedRights::of(&Rights::default().with_scope("orders:read".parse().expect("a scope")));

        assert_eq!(call(&Method::GET).judge(&read), Ok(()));
        assert_eq!(call(&Method::POST).judge(&read), Err(Refusal::Permission));
        assert_eq!(call(&Method::GET).administrative().judge(&read), Err(Refusal::Permission));
        assert_eq!(call(&Method::POST).needs(Permission::Read).judge(&read), Ok(()));
        assert_eq!(
            call(&Method::TRACE).judge(&PackedRights::of(&Rights::new(Permission::ALL))),
            Err(Refusal::Method)
        );
        assert_eq!(call(&Method::TRACE).needs(Permission::Read).judge(&read), Err(Refusal::Method));
        assert_eq!(call(&Method::GET).on(&["orders", "7"]).judge(&orders), Ok(()));
        assert_eq!(call(&Method::GET).judge(&orders), Err(Refusal::Permission));
        assert!(!format!("{:?}", call(&Method::GET)).contains("\"DELETE\""));
    }
}
