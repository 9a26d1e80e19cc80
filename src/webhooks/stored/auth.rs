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
