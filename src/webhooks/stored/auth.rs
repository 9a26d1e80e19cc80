//! A login as a part of a record; its credentials are sealed.

use http::HeaderName;
use serde::{Deserialize, Serialize};

use crate::ports::Sealed;
use crate::primitives::stored::field::{Base64, Text};
use crate::webhooks::model::StoredAuth;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeptAuth {
    None,
    Basic {
        username: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<KeptSeal>,
    },
    Bearer {
        token: KeptSeal,
    },
    Headers(Vec<KeptCredential>),
}

#[derive(Deserialize, Serialize)]
pub(super) struct KeptCredential {
    name: Text<HeaderName>,
    sealed: KeptSeal,
}

#[derive(Deserialize, Serialize)]
pub(super) struct KeptSeal(Base64);

impl From<&Sealed> for KeptSeal {
    fn from(sealed: &Sealed) -> Self {
        Self(Base64(sealed.shared()))
    }
}

impl From<KeptSeal> for Sealed {
    fn from(KeptSeal(Base64(bytes)): KeptSeal) -> Self {
        Self::new(bytes)
    }
}

impl From<&StoredAuth> for KeptAuth {
    fn from(auth: &StoredAuth) -> Self {
        match auth {
            StoredAuth::None => Self::None,
            StoredAuth::Basic { username, password } => {
                Self::Basic { username: username.clone(), password: password.as_ref().map(KeptSeal::from) }
            }
            StoredAuth::Bearer { token } => Self::Bearer { token: token.into() },
            StoredAuth::Headers(headers) => {
                let kept = |(name, sealed): &(HeaderName, Sealed)| KeptCredential {
                    name: Text(name.clone()),
                    sealed: sealed.into(),
                };
                Self::Headers(headers.iter().map(kept).collect())
            }
        }
    }
}

impl From<KeptAuth> for StoredAuth {
    fn from(kept: KeptAuth) -> Self {
        match kept {
            KeptAuth::None => Self::None,
            KeptAuth::Basic { username, password } => {
                Self::Basic { username, password: password.map(Sealed::from) }
            }
            KeptAuth::Bearer { token } => Self::Bearer { token: token.into() },
            KeptAuth::Headers(headers) => {
                Self::Headers(headers.into_iter().map(|kept| (kept.name.0, kept.sealed.into())).collect())
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// Every way of logging in.
    pub(in crate::webhooks::stored) fn any_auth() -> impl Strategy<Value = StoredAuth> {
        prop_oneof![
            Just(StoredAuth::None),
            (any::<String>(), option::of(any_seal()))
                .prop_map(|(username, password)| StoredAuth::Basic { username, password }),
            any_seal().prop_map(|token| StoredAuth::Bearer { token }),
            vec((any_name(), any_seal()), 0..3).prop_map(StoredAuth::Headers),
        ]
    }

    pub(in crate::webhooks::stored) fn any_seal() -> impl Strategy<Value = Sealed> {
        vec(any::<u8>(), 0..60).prop_map(Sealed::new)
    }

    pub(in crate::webhooks::stored) fn any_name() -> impl Strategy<Value = HeaderName> {
        "[a-z0-9!#$%&'*+.^_`|~-]{1,20}".prop_map(|name| name.parse().expect("a header's name"))
    }
}
