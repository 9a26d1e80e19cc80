//! How a secret's text becomes the key's bytes.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::error::Problem;
use crate::inbound::scheme::model::{KeyEncoding, KeyRule, KeyTransform};
use crate::primitives::secret::Secret;

/// Why a secret is no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::inbound) enum KeyRefusal {
    /// It is empty.
    Empty,
    /// It is not UTF-8, which the rule needs.
    NotText,
    /// It is not written as the rule says.
    Encoding,
    /// It is no key of the algorithm.
    BadKey,
    /// The algorithm is not part of this build.
    Missing,
}

impl KeyRefusal {
    pub(in crate::inbound) fn problem(self, secret: &str) -> Problem {
        let (rule, fix) = match self {
            Self::Empty => ("a secret is not empty", "copy it from the provider"),
            Self::NotText => ("the secret is text", "copy it from the provider"),
            Self::Encoding => {
                ("the secret is written as the scheme says", "copy all of it, with nothing around it")
            }
            Self::BadKey => ("the secret is a usable key", "copy all of it, with nothing around it"),
            Self::Missing => ("ed25519 is not part of this build", "switch on the feature `ed25519`"),
        };
        Problem::new(format!("secrets.{secret}"), rule, fix)
    }
}

/// The key's bytes.
pub(in crate::inbound) fn key_bytes(
    secret: &Secret,
    rule: &KeyRule,
) -> Result<Zeroizing<Vec<u8>>, KeyRefusal> {
    if secret.expose().is_empty() {
        return Err(KeyRefusal::Empty);
    }
    if rule.encoding == KeyEncoding::Utf8 && rule.transforms.is_empty() {
        return Ok(Zeroizing::new(secret.expose().to_vec()));
    }
    let mut text = Zeroizing::new(secret.expose_text().ok_or(KeyRefusal::NotText)?.to_owned());
    for transform in &rule.transforms {
        text = Zeroizing::new(match transform {
            KeyTransform::Nfkd => text.nfkd().collect(),
            KeyTransform::HtmlEntities => without_entities(&text).into_owned(),
        });
    }
    let behind = |prefixes: &[&str]| {
        let base64 = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(&text);
        LENIENT.decode(base64.trim_end_matches('=')).map_err(|_| KeyRefusal::Encoding)
    };
    let bytes = match rule.encoding {
        KeyEncoding::Utf8 => text.as_bytes().to_vec(),
        KeyEncoding::Base64 => STANDARD.decode(text.as_bytes()).map_err(|_| KeyRefusal::Encoding)?,
        KeyEncoding::Hex => hex::decode(text.as_bytes()).map_err(|_| KeyRefusal::Encoding)?,
        KeyEncoding::Whsec => behind(&["whsec_"])?,
        KeyEncoding::Whpk => behind(&["whpk_", "whsk_"])?,
    };
    if bytes.is_empty() { Err(KeyRefusal::Empty) } else { Ok(Zeroizing::new(bytes)) }
}

/// Some tools strip the padding from a secret, others leave bits behind the last byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// As WordPress decodes special characters, quotes of both kinds included: once, from left to right.
fn without_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = ENTITIES.iter().find_map(|(entity, plain)| Some((rest.strip_prefix(entity)?, plain)));
        match found {
            Some((behind, plain)) => {
                decoded.push(*plain);
                rest = behind;
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

const ENTITIES: [(&str, char); 13] = [
    ("&amp;", '&'),
    ("&#038;", '&'),
    ("&#x26;", '&'),
    ("&lt;", '<'),
    ("&#060;", '<'),
    ("&gt;", '>'),
    ("&#062;", '>'),
    ("&quot;", '"'),
    ("&#034;", '"'),
    ("&#x22;", '"'),
    ("&#039;", '\''),
    ("&#39;", '\''),
    ("&#x27;", '\''),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str, encoding: KeyEncoding, transforms: &[KeyTransform]) -> Result<Vec<u8>, KeyRefusal> {
        let rule = KeyRule { encoding, transforms: transforms.to_vec() };
        key_bytes(&Secret::from(text), &rule).map(|bytes| bytes.to_vec())
    }

    #[test]
    fn a_secret_is_read_as_the_scheme_says() {
        for (text, encoding, key) in [
            ("whsec_aGk=", KeyEncoding::Utf8, Ok(b"whsec_aGk=".to_vec())),
            ("whsec_aGk=", KeyEncoding::Whsec, Ok(b"hi".to_vec())),
            ("whsec_aGk", KeyEncoding::Whsec, Ok(b"hi".to_vec())),
            ("aGk", KeyEncoding::Whsec, Ok(b"hi".to_vec())),
            ("whpk_aGk=", KeyEncoding::Whpk, Ok(b"hi".to_vec())),
            ("aGk=", KeyEncoding::Base64, Ok(b"hi".to_vec())),
            ("aGk", KeyEncoding::Base64, Err(KeyRefusal::Encoding)),
            ("6869", KeyEncoding::Hex, Ok(b"hi".to_vec())),
            ("686", KeyEncoding::Hex, Err(KeyRefusal::Encoding)),
            ("whsec_", KeyEncoding::Whsec, Err(KeyRefusal::Empty)),
            ("", KeyEncoding::Utf8, Err(KeyRefusal::Empty)),
        ] {
            assert_eq!(bytes(text, encoding, &[]), key, "{text}");
        }
    }

    #[test]
    fn a_secret_is_transformed_first() {
        let decoded = |text| bytes(text, KeyEncoding::Utf8, &[KeyTransform::HtmlEntities]);

        assert_eq!(bytes("é", KeyEncoding::Utf8, &[KeyTransform::Nfkd]), Ok("e\u{301}".into()));
        assert_eq!(decoded("a&amp;b&lt;&#039;&quot;"), Ok(b"a&b<'\"".to_vec()));
        assert_eq!(decoded("&amp;lt;"), Ok(b"&lt;".to_vec()));
        assert_eq!(decoded("&&x;&"), Ok(b"&&x;&".to_vec()));
    }
}
