//! What a call does, in four classes: read, write, delete, administer.

use std::fmt;

use http::Method;

use crate::primitives::stored::word::words;

/// One class of what calls do.
///
/// ```
/// use crossdock::api_keys::Permission;
/// use http::Method;
///
/// assert_eq!(Permission::of(&Method::HEAD), Some(Permission::Read));
/// assert_eq!(Permission::of(&Method::PATCH), Some(Permission::Write));
/// assert_eq!(Permission::of(&Method::TRACE), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Permission {
    /// GET, HEAD, OPTIONS.
    Read,
    /// POST, PUT, PATCH.
    Write,
    /// DELETE.
    Delete,
    /// Whatever the host marks as administrative, whatever its method. Managing keys, webhooks, secrets and connections is always.
    Admin,
}

/// A set of classes. None contains another: who may write may not read unless the set says so.
///
/// ```
/// use crossdock::api_keys::{Permission, Permissions};
///
/// let both = Permissions::from([Permission::Read, Permission::Write]);
///
/// assert!(both.contain(Permission::Read) && !both.contain(Permission::Delete));
/// assert_eq!(both.to_string(), "read write");
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Permissions(u8);

impl Permission {
    /// All classes.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Delete, Self::Admin];

    /// What a request of this method does, unless the host says that it is administrative. `None`: refused. Headers that claim
    /// another method are nobody's business.
    #[inline]
    pub fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Some(Self::Read),
            Method::POST | Method::PUT | Method::PATCH => Some(Self::Write),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

words!(Permission {
    Read => "read",
    Write => "write",
    Delete => "delete",
    Admin => "admin",
});

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Permissions {
    /// No class at all.
    pub const NONE: Self = Self(0);
    /// Every class.
    pub const ALL: Self = Self(0b1111);

    /// Whether the class is one of them.
    #[inline]
    pub const fn contain(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// The same set and this class.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// The classes, each once.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contain(*permission))
    }

    /// What the other set has and this one has not.
    pub(crate) const fn lack(self, other: Self) -> Self {
        Self(other.0 & !self.0)
    }
}

impl<I: IntoIterator<Item = Permission>> From<I> for Permissions {
    fn from(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, permission) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            f.write_str(permission.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_class_and_unknown_ones_have_none() {
        for (method, class) in [
            ("GET", Some(Permission::Read)),
            ("HEAD", Some(Permission::Read)),
            ("OPTIONS", Some(Permission::Read)),
            ("POST", Some(Permission::Write)),
            ("PUT", Some(Permission::Write)),
            ("PATCH", Some(Permission::Write)),
            ("DELETE", Some(Permission::Delete)),
            ("TRACE", None),
            ("CONNECT", None),
            ("PROPFIND", None),
            ("get", None),
            ("GETX", None),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(Permission::of(&method), class, "{method}");
        }
    }

    #[test]
    fn no_class_contains_another() {
        for permission in Permission::ALL {
            let alone = Permissions::from([permission]);
            for other in Permission::ALL {
                assert_eq!(alone.contain(other), permission == other);
            }
        }
        assert_eq!(Permissions::ALL, Permissions::from(Permission::ALL));
        assert_eq!(Permissions::default(), Permissions::NONE);
    }
}
