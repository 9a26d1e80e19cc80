//! A signature scheme as a part of a stored webhook.

use http::HeaderName;
use serde::{Deserialize, Serialize};

use crate::primitives::stored::field::{Named, Text};
use crate::webhooks::sign::hmac_scheme::{Encoding, HmacScheme, KeyUse, SignatureList};
use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::scheme::SignatureScheme;
use crate::webhooks::sign::template::SignedTemplate;

/// [`SignatureScheme`] as a part of a record.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub(crate) struct StoredScheme(pub(crate) SignatureScheme);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Standard,
    StandardEd25519,
    Hmac {
        header: Text<HeaderName>,
        template: Text<SignedTemplate>,
        encoding: Named<Encoding>,
        key_use: Named<KeyUse>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<KeptList>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_header: Option<Text<HeaderName>>,
    },
}

#[derive(Deserialize, Serialize)]
struct KeptList {
    timestamp: String,
    signature: String,
    separator: char,
}

impl From<StoredScheme> for Kept {
    fn from(StoredScheme(scheme): StoredScheme) -> Self {
        let scheme = match scheme {
            SignatureScheme::Standard => return Self::Standard,
            SignatureScheme::StandardEd25519 => return Self::StandardEd25519,
            SignatureScheme::Hmac(scheme) => scheme,
        };
        Self::Hmac {
            header: Text(scheme.header().clone()),
            template: Text(scheme.template().clone()),
            encoding: Named(scheme.encoding()),
            key_use: Named(scheme.key_use()),
            prefix: scheme.prefix().unwrap_or_default().to_owned(),
            list: scheme.list().map(|list| KeptList {
                timestamp: list.timestamp().to_owned(),
                signature: list.signature().to_owned(),
                separator: list.separator(),
            }),
            timestamp_header: scheme.timestamp_header().cloned().map(Text),
        }
    }
}

impl TryFrom<Kept> for StoredScheme {
    type Error = SchemeRefusal;

    fn try_from(kept: Kept) -> Result<Self, SchemeRefusal> {
        Ok(Self(match kept {
            Kept::Standard => SignatureScheme::Standard,
            Kept::StandardEd25519 => SignatureScheme::StandardEd25519,
            Kept::Hmac { header, template, encoding, key_use, prefix, list, timestamp_header } => {
                // Which headers may be used was judged when the webhook was saved; what is kept stays readable.
                let scheme = HmacScheme::kept(header.0, timestamp_header.map(|Text(header)| header))
                    .with_template(template.0)
                    .with_encoding(encoding.0)
                    .with_key_use(key_use.0);
                SignatureScheme::Hmac(match list {
                    None => scheme.with_prefix(&prefix)?,
                    Some(list) => {
                        let list = SignatureList::new(&list.timestamp, &list.signature, list.separator)?;
                        scheme.with_list(list)
                    }
                })
            }
        }))
    }
}
