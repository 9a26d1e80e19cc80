//! Rights over parts of an API: `orders:read`, `orders/ord_1:write`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::api_keys::permission::{Permission, Permissions};
use crate::primitives::stored::word::Word;

/// A right over one resource and everything below it: `orders:read`, `orders/ord_1:write`, `orders/*/lines:read`.
///
/// `*` stands for one whole segment. `orders:read` covers `orders`, `orders/ord_1` and `orders/ord_1/lines`; `orders/*:read` all
/// of these but `orders` itself.
///
/// ```
/// use crossdock::api_keys::{Permission, Scope};
///
/// let scope: Scope = "orders:read".parse()?;
///
/// assert!(scope.allows(Permission::Read, &["orders", "ord_1"]));
/// assert!(!scope.allows(Permission::Write, &["orders", "ord_1"]));
/// assert!("ord*:read".parse::<Scope>().is_err());
/// # Ok::<(), crossdock::api_keys::InvalidScope>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Scope {
    resource: Arc<str>,
    permission: Permission,
}

/// Why a text is not a scope.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// There is no `:` with a class behind it.
    #[error(
        "a scope is a resource, a colon, and `read`, `write`, `delete` or `admin`, such as `orders:read`"
    )]
    Class,
    /// A segment is empty or holds something else than letters, digits, `_`, `-`, `.`.
    #[error("a resource is 1 to 16 segments between slashes, each of letters, digits, `_`, `-` and `.`")]
    Segment,
    /// A star beside something else.
    #[error("`*` stands for a whole segment, as in `orders/*:read`")]
    Star,
    /// More than 256 bytes.
    #[error("a scope has at most 256 bytes")]
    Long,
}

/// What a key may do: classes over everything, and scopes over parts. Each of them only adds.
///
/// ```
/// use crossdock::api_keys::{Permission, Rights};
///
/// let rights = Rights::new([Permission::Read]).with_scope("orders:write".parse()?);
///
/// assert!(rights.allow(Permission::Read, &["stock"]));
/// assert!(rights.allow(Permission::Write, &["orders", "ord_1"]));
/// assert!(!rights.allow(Permission::Write, &["stock"]));
/// # Ok::<(), crossdock::api_keys::InvalidScope>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rights {
    permissions: Permissions,
    scopes: Vec<Scope>,
}

/// The same rights in one piece of memory, for looking at them often.
#[derive(Debug)]
pub(crate) struct PackedRights {
    permissions: Permissions,
    /// Line by line, the class's first letter and the resource: neither holds a line's end.
    scopes: Box<str>,
}

/// What is asked for and not had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Excess {
    Permission(Permission),
    Scope(Scope),
}

impl Scope {
    /// What it is a right over.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Which class.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// Whether it is a right to do this to the resource with these segments. A segment is taken as it is: a `*` or a `/` in it
    /// means nothing.
    #[inline]
    pub fn allows(&self, permission: Permission, resource: &[&str]) -> bool {
        permission == self.permission && begins(&self.resource, resource)
    }

    /// Whether everything that the other one allows is allowed by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let mut theirs = other.resource.split('/');
        self.permission == other.permission
            && self
                .resource
                .split('/')
                .all(|ours| theirs.next().is_some_and(|their| ours == ANY || ours == their))
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(InvalidScope::Long);
        }
        let (resource, class) = text.rsplit_once(':').ok_or(InvalidScope::Class)?;
        let permission = Permission::from_word(class).ok_or(InvalidScope::Class)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        for (index, segment) in resource.split('/').enumerate() {
            if segment.is_empty() || segment == "." || segment == ".." || index == MOST_SEGMENTS {
                return Err(InvalidScope::Segment);
            }
            if segment.contains(ANY) && segment != ANY {
                return Err(InvalidScope::Star);
            }
            if segment != ANY && !segment.bytes().all(is_plain) {
                return Err(InvalidScope::Segment);
            }
        }
        Ok(Self { resource: resource.into(), permission })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.permission)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({self})")
    }
}

impl Rights {
    /// These classes over everything.
    pub fn new(permissions: impl Into<Permissions>) -> Self {
        Self { permissions: permissions.into(), scopes: Vec::new() }
    }

    /// Also this scope; it never takes anything away.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        if !self.scopes.contains(&scope) {
            self.scopes.push(scope);
        }
        self
    }

    /// The classes over everything.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The scopes, each once.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whether this may be done to the resource with these segments. Without a segment it is the API as a whole, for which only a
    /// class is a right.
    #[inline]
    pub fn allow(&self, permission: Permission, resource: &[&str]) -> bool {
        self.permissions.contain(permission)
            || self.scopes.iter().any(|scope| scope.allows(permission, resource))
    }

    /// Whether the other rights are all among these: a key makes no key that may do more than it does.
    pub fn cover(&self, other: &Self) -> bool {
        self.excess_of(other).is_none()
    }

    /// Whether there is anything that may be done.
    pub fn is_empty(&self) -> bool {
        self.permissions == Permissions::NONE && self.scopes.is_empty()
    }

    /// The first right of the other ones that is not among these.
    pub(crate) fn excess_of(&self, other: &Self) -> Option<Excess> {
        let missing = self.permissions.lack(other.permissions).iter().next();
        if let Some(permission) = missing {
            return Some(Excess::Permission(permission));
        }
        // Segments are endless in number, so no set of scopes covers a star but by a single one that does.
        let is_covered = |scope: &&Scope| {
            self.permissions.contain(scope.permission) || self.scopes.iter().any(|own| own.covers(scope))
        };
        other.scopes.iter().find(|scope| !is_covered(scope)).cloned().map(Excess::Scope)
    }
}

impl PackedRights {
    pub(crate) fn of(rights: &Rights) -> Self {
        let lines: Vec<_> = rights
            .scopes
            .iter()
            .map(|scope| format!("{}{}", letter(scope.permission), scope.resource))
            .collect();
        Self { permissions: rights.permissions, scopes: lines.join("\n").into() }
    }

    /// As [`Rights::allow`].
    #[inline]
    pub(crate) fn allow(&self, permission: Permission, resource: &[&str]) -> bool {
        let is_in =
            |line: &str| line.strip_prefix(letter(permission)).is_some_and(|scope| begins(scope, resource));
        self.permissions.contain(permission) || self.scopes.split('\n').any(is_in)
    }
}

/// Whether the resource is this one, or below it.
#[inline]
fn begins(scope: &str, resource: &[&str]) -> bool {
    let mut segments = resource.iter();
    scope.split('/').all(|wanted| segments.next().is_some_and(|segment| wanted == ANY || wanted == *segment))
}

const fn letter(permission: Permission) -> char {
    match permission {
        Permission::Read => 'r',
        Permission::Write => 'w',
        Permission::Delete => 'd',
        Permission::Admin => 'a',
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(permission) => write!(f, "{permission}"),
            Self::Scope(scope) => write!(f, "{scope}"),
        }
    }
}

const ANY: &str = "*";
const LONGEST: usize = 256;
const MOST_SEGMENTS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect(text)
    }

    #[test]
    fn a_scope_is_a_resource_and_a_class() {
        for text in
            ["orders:read", "orders/ord_1:write", "*:delete", "orders/*/lines:admin", "a.b-c_d/E9:read"]
        {
            assert_eq!(scope(text).to_string(), text);
        }
        for (text, refusal) in [
            ("", InvalidScope::Class),
            ("orders", InvalidScope::Class),
            ("orders:", InvalidScope::Class),
            ("orders:king", InvalidScope::Class),
            ("orders:Read", InvalidScope::Class),
            (":read", InvalidScope::Segment),
            ("/orders:read", InvalidScope::Segment),
            ("orders/:read", InvalidScope::Segment),
            ("orders//lines:read", InvalidScope::Segment),
            ("orders/..:read", InvalidScope::Segment),
            ("orders/%2f:read", InvalidScope::Segment),
            ("or ders:read", InvalidScope::Segment),
            ("orders:read:read", InvalidScope::Segment),
            ("örders:read", InvalidScope::Segment),
            ("ord*:read", InvalidScope::Star),
            ("orders/**:read", InvalidScope::Star),
        ] {
            assert_eq!(text.parse::<Scope>().err(), Some(refusal), "{text}");
        }
        assert_eq!(format!("{}:read", "a".repeat(252)).parse::<Scope>().err(), Some(InvalidScope::Long));
        assert_eq!(format!("{}a:read", "a/".repeat(16)).parse::<Scope>().err(), Some(InvalidScope::Segment));
    }

    #[test]
    fn a_scope_is_a_right_over_its_resource_and_what_is_below() {
        for (text, resource, allowed) in [
            ("orders:read", &["orders"][..], true),
            ("orders:read", &["orders", "ord_1"], true),
            ("orders:read", &["orders", "ord_1", "lines"], true),
            ("orders:read", &["stock"], false),
            ("orders:read", &["ordersx"], false),
            ("orders:read", &[], false),
            ("orders/ord_1:read", &["orders", "ord_1"], true),
            ("orders/ord_1:read", &["orders", "ord_2"], false),
            ("orders/ord_1:read", &["orders"], false),
            ("orders/*:read", &["orders", "ord_2"], true),
            ("orders/*:read", &["orders"], false),
            ("*:read", &["stock"], true),
            ("*:read", &[], false),
            // What a caller puts into a segment means nothing.
            ("orders/ord_1:read", &["orders", "*"], false),
            ("orders/ord_1:read", &["orders/ord_1"], false),
            ("orders/ord_1:read", &["orders", "ord_1/../ord_2"], false),
            ("orders:read", &["Orders"], false),
        ] {
            assert_eq!(scope(text).allows(Permission::Read, resource), allowed, "{text} {resource:?}");
            assert!(!scope(text).allows(Permission::Write, resource), "another class");
        }
    }

    #[test]
    fn a_key_makes_no_key_that_may_do_more() {
        let rights = |classes: &[Permission], scopes: &[&str]| {
            scopes
                .iter()
                .fold(Rights::new(classes.iter().copied()), |rights, text| rights.with_scope(scope(text)))
        };
        use Permission::{Admin, Read, Write};
        for (own, other, excess) in [
            (rights(&[Read, Admin], &[]), rights(&[Read], &[]), None),
            (rights(&[Read], &[]), rights(&[Read, Write], &[]), Some("write")),
            (rights(&[Read], &[]), rights(&[], &["orders:read", "*:read"]), None),
            (rights(&[Read], &[]), rights(&[], &["orders:write"]), Some("orders:write")),
            (rights(&[], &["*:read"]), rights(&[Read], &[]), Some("read")),
            (rights(&[], &["orders:read"]), rights(&[], &["orders/ord_1:read"]), None),
            (rights(&[], &["orders/ord_1:read"]), rights(&[], &["orders:read"]), Some("orders:read")),
            (rights(&[], &["orders/ord_1:read"]), rights(&[], &["orders/*:read"]), Some("orders/*:read")),
            (rights(&[], &["orders/*:read"]), rights(&[], &["orders/ord_1/*:read"]), None),
            (
                rights(&[], &["orders/a:read", "orders/b:read"]),
                rights(&[], &["orders/*:read"]),
                Some("orders/*:read"),
            ),
            (rights(&[], &[]), rights(&[], &[]), None),
        ] {
            let found = own.excess_of(&other).map(|excess| excess.to_string());
            assert_eq!(found.as_deref(), excess, "{own:?} {other:?}");
            assert_eq!(own.cover(&other), excess.is_none());
        }
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let segments = proptest::collection::vec(select(vec!["a", "b", "*"]), 1..4);
        (segments, select(Permission::ALL.to_vec()))
            .prop_map(|(segments, class)| scope(&format!("{}:{class}", segments.join("/"))))
    }

    fn any_rights() -> impl Strategy<Value = Rights> {
        let classes = proptest::collection::vec(select(Permission::ALL.to_vec()), 0..2);
        (classes, proptest::collection::vec(any_scope(), 0..4))
            .prop_map(|(classes, scopes)| scopes.into_iter().fold(Rights::new(classes), Rights::with_scope))
    }

    fn any_resource() -> impl Strategy<Value = Vec<&'static str>> {
        proptest::collection::vec(select(vec!["a", "b", "c", "*"]), 0..5)
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(scope.to_string(), text);
            }
        }

        #[test]
        fn adding_a_scope_takes_nothing_away(
            rights in any_rights(), scope in any_scope(), resource in any_resource(), class in select(Permission::ALL.to_vec()),
        ) {
            let more = rights.clone().with_scope(scope);
            prop_assert!(!rights.allow(class, &resource) || more.allow(class, &resource));
            prop_assert!(more.cover(&rights));
        }

        #[test]
        fn what_is_covered_is_allowed(
            own in any_rights(), other in any_rights(), resource in any_resource(), class in select(Permission::ALL.to_vec()),
        ) {
            if own.cover(&other) && other.allow(class, &resource) {
                prop_assert!(own.allow(class, &resource));
            }
            prop_assert!(own.cover(&own));
        }

        #[test]
        fn packed_rights_are_the_same_rights(
            rights in any_rights(), resource in any_resource(), class in select(Permission::ALL.to_vec()),
        ) {
            prop_assert_eq!(PackedRights::of(&rights).allow(class, &resource), rights.allow(class, &resource));
        }

        #[test]
        fn what_is_not_covered_goes_too_far_somewhere(own in any_rights(), other in any_rights()) {
            // A segment that nobody names tells whether a star is covered.
            if let Some(Excess::Scope(scope)) = own.excess_of(&other) {
                let fresh: Vec<_> = scope.resource().split('/').map(|part| if part == "*" { "fresh" } else { part }).collect();
                prop_assert!(other.allow(scope.permission(), &fresh));
                prop_assert!(!own.allow(scope.permission(), &fresh));
            }
        }
    }
}
