//! How a signature is written, as data that an administrator chooses.

use http::header::HeaderName;

use crate::webhooks::sign::hmac_scheme::{Encoding, Form, HmacScheme, SignatureList};
use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::template::SignedTemplate;

/// One way to sign; a webhook may have several side by side.
///
/// ```
/// use crossdock::webhooks::SignatureScheme;
///
/// let own = SignatureScheme::hmac_hex("x-betterdata-signature")?;
///
/// assert!(SignatureScheme::check_all(&[SignatureScheme::Standard, own.clone()]).is_ok());
/// assert!(SignatureScheme::check_all(&[own.clone(), own]).is_err());
/// # Ok::<(), crossdock::webhooks::sign::SchemeRefusal>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// [Standard Webhooks](https://www.standardwebhooks.com) with HMAC-SHA-256: `webhook-signature: v1,<base64>`.
    Standard,
    /// Standard Webhooks with ed25519: `webhook-signature: v1a,<base64>`. Needs a `whsk_…` key, and the feature
    /// `ed25519`: without it a signer is refused, so that nothing is ever sent unsigned.
    StandardEd25519,
    /// HMAC-SHA-256 in a header of your own.
    Hmac(HmacScheme),
}

impl SignatureScheme {
    /// As GitHub signs: `x-hub-signature-256: sha256=<hex of the body's code>`.
    pub fn github() -> Self {
        let header = HeaderName::from_static("x-hub-signature-256");
        Self::Hmac(HmacScheme::of(header, Form::Value("sha256=".into()), SignedTemplate::body()))
    }

    /// As Stripe signs: `<header>: t=<seconds>,v1=<hex of the code of timestamp, full stop and body>`.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when the header cannot be used.
    pub fn stripe(header: &str) -> Result<Self, SchemeRefusal> {
        let template = SignedTemplate::timestamp_and_body();
        Ok(Self::Hmac(HmacScheme::new(header)?.with_template(template).with_list(SignatureList::stripe())))
    }

    /// The hex of the body's code, and nothing else, in this header.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when the header cannot be used.
    pub fn hmac_hex(header: &str) -> Result<Self, SchemeRefusal> {
        HmacScheme::new(header).map(Self::Hmac)
    }

    /// The base64 of the body's code, and nothing else, in this header: as Shopify signs.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when the header cannot be used.
    pub fn hmac_base64(header: &str) -> Result<Self, SchemeRefusal> {
        Ok(Self::Hmac(HmacScheme::new(header)?.with_encoding(Encoding::Base64)))
    }

    /// At most this many stand side by side: each of them hashes every request once more.
    pub const MAX_SCHEMES: usize = 8;

    /// Checks that a webhook can have all of these side by side.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when there is none, when two would write the same header, or when one sends a timestamp
    /// that it does not sign.
    pub fn check_all(schemes: &[Self]) -> Result<(), SchemeRefusal> {
        if schemes.is_empty() {
            return Err(SchemeRefusal::NoScheme);
        }
        if schemes.len() > Self::MAX_SCHEMES {
            return Err(SchemeRefusal::TooManySchemes { schemes: schemes.len(), most: Self::MAX_SCHEMES });
        }
        for (index, scheme) in schemes.iter().enumerate() {
            scheme.check()?;
            for earlier in &schemes[..index] {
                if let Some(name) = scheme.clash_with(earlier) {
                    return Err(SchemeRefusal::SharedHeader { name: name.as_str().to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Every header that a request signed this way carries: nothing else may write them.
    pub fn header_names(&self) -> Vec<HeaderName> {
        let mut names = vec![WEBHOOK_ID, WEBHOOK_TIMESTAMP];
        match self {
            Self::Standard | Self::StandardEd25519 => names.push(WEBHOOK_SIGNATURE),
            Self::Hmac(scheme) => {
                names.push(scheme.header().clone());
                names.extend(scheme.timestamp_header().cloned());
            }
        }
        names
    }

    fn check(&self) -> Result<(), SchemeRefusal> {
        let Self::Hmac(scheme) = self else { return Ok(()) };
        if scheme.timestamp_header() == Some(scheme.header()) {
            return Err(SchemeRefusal::SharedHeader { name: scheme.header().as_str().to_owned() });
        }
        let sends_timestamp = scheme.timestamp_header().is_some() || matches!(scheme.form(), Form::List(_));
        if sends_timestamp && !scheme.template().signs_timestamp() {
            return Err(SchemeRefusal::TimestampNotSigned);
        }
        Ok(())
    }

    fn clash_with(&self, other: &Self) -> Option<HeaderName> {
        match (self, other) {
            (Self::Hmac(one), Self::Hmac(two)) => {
                // Two schemes may share a timestamp header: both write the same value.
                let signature_meets = |name: &HeaderName, scheme: &HmacScheme| {
                    name == scheme.header() || Some(name) == scheme.timestamp_header()
                };
                [(one.header(), two), (two.header(), one)]
                    .into_iter()
                    .find(|(name, scheme)| signature_meets(name, scheme))
                    .map(|(name, _)| name.clone())
            }
            // `v1` and `v1a` stand side by side in one header; a header of one's own is never a reserved one.
            _ => (self == other).then_some(WEBHOOK_SIGNATURE),
        }
    }
}

/// The header with the event's id.
pub(super) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// The header with the seconds since 1970.
pub(super) const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header with the signatures of Standard Webhooks.
pub(super) const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_of_a_webhook_has_a_header_of_its_own() -> Result<(), SchemeRefusal> {
        let own = |name: &str| SignatureScheme::hmac_hex(name);
        let stamped = |name: &str, timestamp: &str| -> Result<SignatureScheme, SchemeRefusal> {
            let template = SignedTemplate::timestamp_and_body();
            let scheme = HmacScheme::new(name)?.with_template(template).with_timestamp_header(timestamp)?;
            Ok(SignatureScheme::Hmac(scheme))
        };
        let both = [SignatureScheme::Standard, SignatureScheme::StandardEd25519];
        let shared_timestamp = [stamped("x-a", "x-time")?, stamped("x-b", "x-time")?];
        assert_eq!(SignatureScheme::check_all(&both), Ok(()));
        assert_eq!(
            SignatureScheme::check_all(&[own("x-a")?, own("x-b")?, SignatureScheme::github()]),
            Ok(())
        );
        assert_eq!(SignatureScheme::check_all(&shared_timestamp), Ok(()));

        assert_eq!(SignatureScheme::check_all(&[]), Err(SchemeRefusal::NoScheme));
        let many: Vec<_> = (0..9).map(|number| own(&format!("x-{number}"))).collect::<Result<_, _>>()?;
        assert_eq!(SignatureScheme::check_all(&many[..8]), Ok(()));
        assert_eq!(
            SignatureScheme::check_all(&many),
            Err(SchemeRefusal::TooManySchemes { schemes: 9, most: 8 })
        );
        for (clash, name) in [
            (vec![own("x-a")?, own("X-A")?], "x-a"),
            (vec![SignatureScheme::Standard, own("x-a")?, SignatureScheme::Standard], "webhook-signature"),
            (vec![own("x-a")?, stamped("x-b", "x-a")?], "x-a"),
            (vec![stamped("x-b", "x-a")?, own("x-a")?], "x-a"),
            (vec![stamped("x-a", "x-a")?], "x-a"),
        ] {
            let refusal = SignatureScheme::check_all(&clash);

            assert_eq!(refusal, Err(SchemeRefusal::SharedHeader { name: name.to_owned() }));
        }
        Ok(())
    }

    #[test]
    fn a_timestamp_that_is_sent_is_signed() -> Result<(), SchemeRefusal> {
        let listed = HmacScheme::new("x-a")?.with_list(SignatureList::stripe());
        let stamped = HmacScheme::new("x-a")?.with_timestamp_header("x-time")?;

        for scheme in [listed, stamped] {
            let refusal = SignatureScheme::check_all(&[SignatureScheme::Hmac(scheme)]);

            assert_eq!(refusal, Err(SchemeRefusal::TimestampNotSigned));
        }
        Ok(())
    }
}
