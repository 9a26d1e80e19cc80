//! What a request needs: a class, by its method or by its route, and a resource.
//!
//! A resource is written as a scope's, and its segments may be parameters of the route: `orders/{id}` on the route
//! `/v1/orders/{id}` is `orders/ord_1` for the path `/v1/orders/ord_1`. Their values are read from the path segment by segment,
//! as the router matched it, and decoded after that: what is hidden in a segment stays in it.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::api_keys::{InvalidScope, Permission, Scope};

/// What a request needs besides a good key. By default, the class of its method over everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    pub(super) class: Option<Permission>,
    pub(super) resource: Resource,
}

/// Which resource a request is about; without segments, everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Resource(Vec<Piece>);

/// A resource of one request. It takes no memory of its own as long as nothing is encoded.
#[derive(Default)]
pub(super) struct Segments<'a> {
    held: [Cow<'a, str>; MOST_SEGMENTS],
    count: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    Fixed(Box<str>),
    Parameter(Box<str>),
}

/// The route has no such parameter, or the path is not one of this route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoSuchParameter;

impl Demand {
    /// What a scope is a right to, such as `orders/{id}:read`.
    pub(super) fn of_scope(text: &str) -> Result<Self, InvalidScope> {
        let (resource, _) = text.rsplit_once(':').ok_or(InvalidScope::Class)?;
        let class = Scope::from_str(&plain(text))?.permission();
        Ok(Self { class: Some(class), resource: Resource::parse(resource)? })
    }
}

impl Resource {
    /// A resource whose segments may be parameters, such as `orders/{id}`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidScope> {
        // It has the form of a scope's, and a star would demand a right to something by that name.
        let checked = Scope::from_str(&plain(&format!("{text}:read")))?;
        if checked.resource().split('/').any(|segment| segment == "*") {
            return Err(InvalidScope::Star);
        }
        let pieces = text.split('/').map(|segment| match parameter(segment) {
            Some(name) => Piece::Parameter(name.into()),
            None => Piece::Fixed(segment.into()),
        });
        Ok(Self(pieces.collect()))
    }

    pub(super) fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The resource's segments in a request of this route to this path.
    pub(super) fn segments<'a>(
        &'a self,
        route: &str,
        path: &'a str,
    ) -> Result<Segments<'a>, NoSuchParameter> {
        let mut segments = Segments::default();
        for (slot, piece) in segments.held.iter_mut().zip(&self.0) {
            *slot = match piece {
                Piece::Fixed(segment) => Cow::Borrowed(&**segment),
                Piece::Parameter(name) => value_of(name, route, path).ok_or(NoSuchParameter)?,
            };
        }
        segments.count = self.0.len();
        Ok(segments)
    }
}

impl Segments<'_> {
    /// The texts; only the first so many of them are meant.
    #[inline]
    pub(super) fn texts(&self) -> ([&str; MOST_SEGMENTS], usize) {
        (std::array::from_fn(|index| &*self.held[index]), self.count)
    }
}

/// The value of a route's parameter in a path. Nothing is folded: the path must have the route's segments, one by one.
fn value_of<'p>(name: &str, route: &str, path: &'p str) -> Option<Cow<'p, str>> {
    let mut found = None;
    let mut segments = path.split('/');
    for wanted in route.split('/') {
        if wanted.starts_with("{*") {
            // The rest of the path is no segment.
            segments = "".split('/');
            segments.next();
            break;
        }
        let segment = segments.next()?;
        match parameter(wanted) {
            Some(parameter) if parameter == name => found = Some(segment),
            Some(_) => {}
            None if wanted == segment => {}
            None => return None,
        }
    }
    if segments.next().is_some() {
        return None;
    }
    // What is no text when it is decoded stays as it was sent: no scope names it, and a star means it.
    found.map(|segment| percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment)))
}

/// The name in `{name}`.
fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}').filter(|name| !name.is_empty())
}

/// The same text with a plain segment in the place of each parameter.
fn plain(text: &str) -> String {
    let segments = text.split('/').map(|segment| match segment.split_once('}') {
        Some((name, rest))
            if name.len() > 1 && name.starts_with('{') && (rest.is_empty() || rest.starts_with(':')) =>
        {
            format!("parameter{rest}")
        }
        _ => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A scope has no more, and a resource has the form of one.
const MOST_SEGMENTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(resource: &str, route: &str, path: &str) -> Option<Vec<String>> {
        let resource = Resource::parse(resource).expect("a resource");
        let segments = resource.segments(route, path).ok()?;
        let (texts, count) = segments.texts();
        Some(texts[..count].iter().map(ToString::to_string).collect())
    }

    #[test]
    fn parameters_are_read_from_the_segments_that_the_route_names() {
        let of = |path: &str| segments("orders/{id}/lines", "/v1/orders/{id}/lines/{line}", path);

        for (path, id) in [
            ("/v1/orders/ord_1/lines/7", Some("ord_1")),
            ("/v1/orders/a%2Fb/lines/7", Some("a/b")),
            ("/v1/orders/%2e%2e/lines/7", Some("..")),
            ("/v1/orders/*/lines/7", Some("*")),
            ("/v1/orders/%ff/lines/7", Some("%ff")),
            // Some routers take nothing for a segment. No scope names it.
            ("/v1/orders//lines/7", Some("")),
            ("/v1//orders/ord_1/lines/7", None),
            ("/v1/orders/ord_1/lines", None),
            ("/v1/orders/ord_1/lines/7/8", None),
            ("/v2/orders/ord_1/lines/7", None),
        ] {
            let wanted = id.map(|id| ["orders", id, "lines"].map(String::from).to_vec());
            assert_eq!(of(path), wanted, "{path}");
        }
    }

    #[test]
    fn the_rest_of_a_path_is_no_parameter_of_a_resource() {
        assert_eq!(
            segments("files/{shelf}", "/files/{shelf}/{*rest}", "/files/a/b/c"),
            Some(vec!["files".to_owned(), "a".to_owned()])
        );
        assert_eq!(segments("files/{rest}", "/files/{*rest}", "/files/a/b"), None);
    }

    #[test]
    fn a_demand_has_the_form_of_a_scope_and_no_stars() {
        for (text, fits) in [
            ("orders:read", true),
            ("orders/{id}:write", true),
            ("{tenant}/orders:admin", true),
            ("orders/*:read", false),
            ("orders/{id:read", false),
            ("orders/{}:read", false),
            ("orders/{id}x:read", false),
            ("orders", false),
            ("orders:everything", false),
            (":read", false),
            ("", false),
        ] {
            assert_eq!(Demand::of_scope(text).is_ok(), fits, "{text}");
        }
    }
}
