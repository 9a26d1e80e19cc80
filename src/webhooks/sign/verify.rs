//! How a receiver checks a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq;

use crate::webhooks::sign::hmac_scheme::{Encoding, Form, HmacScheme, KeyUse};
use crate::webhooks::sign::keys::{SIGNATURE_BYTES, VerifyingKey, verifying_key};
use crate::webhooks::sign::mac::{LONGEST, MacKey};
use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::scheme::{SignatureScheme, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use crate::webhooks::sign::secret::SigningSecret;
use crate::webhooks::sign::signer::mac_keys;
use crate::webhooks::sign::template::Content;

/// Checks that a request was signed by someone who knows the secret, and lately.
///
/// Hand it the body exactly as it came: before any parsing, decoding or re-serialising. Answer every error with the
/// same 401, and remember [`Verified::id`] for as long as the tolerance, because the same request may come twice.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use crossdock::webhooks::{SignatureScheme, SigningSecret, Verifier, VerifyError};
/// use http::{HeaderMap, HeaderValue};
///
/// let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let verifier = Verifier::new(&SignatureScheme::Standard, &[secret])?;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("webhook-id", HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"));
/// headers.insert("webhook-timestamp", HeaderValue::from_static("1614265330"));
/// headers.insert("webhook-signature", HeaderValue::from_static("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
/// let body = br#"{"test": 2432232314}"#;
///
/// let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_614_265_335);
/// assert_eq!(verifier.verify(&headers, body, now)?.id(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
///
/// let much_later = now + TimeDelta::hours(1);
/// assert_eq!(verifier.verify(&headers, body, much_later), Err(VerifyError::TooOld));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Verifier {
    check: Check,
    tolerance: Duration,
    url: Option<String>,
}

/// What the signature vouches for, besides the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verified<'h> {
    id: Option<&'h str>,
    signed_at: Option<DateTime<Utc>>,
}

/// Why a request is not to be trusted.
///
/// The kinds are for your log. Tell the sender none of them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header that the scheme needs is not there.
    #[error("the header `{0}` is missing")]
    MissingHeader(HeaderName),
    /// A header that the scheme needs is there more than once: which one counts is anybody's guess.
    #[error("the header `{0}` is there more than once")]
    RepeatedHeader(HeaderName),
    /// A header that the scheme needs is not of its form.
    #[error("the header `{0}` is malformed")]
    MalformedHeader(HeaderName),
    /// The timestamp is not a plain decimal number.
    #[error("the timestamp is not a number of seconds in decimal digits")]
    InvalidTimestamp,
    /// The request was signed too long ago.
    #[error("the timestamp is too old")]
    TooOld,
    /// The request was signed in the future.
    #[error("the timestamp is too far in the future")]
    TooNew,
    /// More signatures than any honest sender gives.
    #[error("there are more than {most} signatures", most = Verifier::MAX_CANDIDATES)]
    TooManyCandidates,
    /// The scheme signs the URL, and the verifier was not told it.
    #[error("the scheme signs the URL, which the verifier was not told")]
    UnknownUrl,
    /// No signature fits the body, the headers and the secret.
    #[error("no signature fits")]
    NoMatch,
}

#[derive(Clone)]
enum Check {
    Standard(Arc<[MacKey]>),
    Ed25519(Arc<[Arc<dyn VerifyingKey>]>),
    Hmac(HmacScheme, Arc<[MacKey]>),
}

impl Verifier {
    /// How far the sender's clock may be from ours, in both directions, unless told otherwise.
    pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);
    /// At most this many signatures are looked at: more is an attempt to keep us busy.
    pub const MAX_CANDIDATES: usize = 16;

    /// A verifier of this scheme; during a rotation both secrets are given.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when there is no secret of the kind that the scheme needs.
    pub fn new(scheme: &SignatureScheme, secrets: &[SigningSecret]) -> Result<Self, SchemeRefusal> {
        SignatureScheme::check_all(std::slice::from_ref(scheme))?;
        let check = match scheme {
            SignatureScheme::Standard => Check::Standard(mac_keys(secrets, KeyUse::Decoded)?.into()),
            SignatureScheme::StandardEd25519 => Check::Ed25519(verifying_keys(secrets)?),
            SignatureScheme::Hmac(scheme) => {
                Check::Hmac(scheme.clone(), mac_keys(secrets, scheme.key_use())?.into())
            }
        };
        Ok(Self { check, tolerance: Self::DEFAULT_TOLERANCE, url: None })
    }

    /// Allows the sender's clock to differ by this much, in both directions, in whole seconds.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The URL as it was subscribed, for schemes that sign it.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Checks one request.
    ///
    /// # Errors
    /// [`VerifyError`] unless exactly these bytes were signed with one of the secrets, within the tolerance.
    pub fn verify<'h>(
        &self,
        headers: &'h HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Verified<'h>, VerifyError> {
        match &self.check {
            Check::Hmac(scheme, keys) => self.verify_own(scheme, keys, headers, body, now),
            Check::Standard(_) | Check::Ed25519(_) => self.verify_standard(headers, body, now),
        }
    }

    fn verify_standard<'h>(
        &self,
        headers: &'h HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Verified<'h>, VerifyError> {
        let id = text(only(headers, &WEBHOOK_ID)?, &WEBHOOK_ID)?;
        let timestamp = only(headers, &WEBHOOK_TIMESTAMP)?.as_bytes();
        let signed_at = self.check_time(timestamp, now)?;
        let listed = only(headers, &WEBHOOK_SIGNATURE)?.as_bytes();
        if listed.split(|&byte| byte == b' ').count() > Self::MAX_CANDIDATES {
            return Err(VerifyError::TooManyCandidates);
        }
        let content = Content { id: id.as_bytes(), timestamp, url: b"", body };
        let candidates = |version: &'static [u8]| {
            listed.split(|&byte| byte == b' ').filter_map(move |one| one.strip_prefix(version))
        };
        let fits = match &self.check {
            Check::Ed25519(keys) => fits_asymmetric(keys, &content, candidates(b"v1a,")),
            Check::Standard(keys) | Check::Hmac(_, keys) => keys.iter().any(|key| {
                let code = key.code_of(&content.standard());
                is_among(code.text(Encoding::Base64, &mut [0; LONGEST]), candidates(b"v1,"))
            }),
        };
        if fits {
            Ok(Verified { id: Some(id), signed_at: Some(signed_at) })
        } else {
            Err(VerifyError::NoMatch)
        }
    }

    fn verify_own<'h>(
        &self,
        scheme: &HmacScheme,
        keys: &[MacKey],
        headers: &'h HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Verified<'h>, VerifyError> {
        let template = scheme.template();
        let given = only(headers, scheme.header())?.as_bytes();
        let (listed_timestamp, candidates) = match scheme.form() {
            Form::Value(prefix) => {
                let malformed = || VerifyError::MalformedHeader(scheme.header().clone());
                (None, vec![given.strip_prefix(prefix.as_bytes()).ok_or_else(malformed)?])
            }
            Form::List(list) => {
                let (timestamp, candidates) =
                    listed(given, list.timestamp(), list.signature(), list.separator_byte())
                        .ok_or_else(|| VerifyError::MalformedHeader(scheme.header().clone()))?;
                (Some(timestamp), candidates)
            }
        };
        if candidates.len() > Self::MAX_CANDIDATES {
            return Err(VerifyError::TooManyCandidates);
        }
        let timestamp = match listed_timestamp {
            Some(timestamp) => Some(timestamp),
            None if template.signs_timestamp() => {
                Some(only(headers, scheme.timestamp_header().unwrap_or(&WEBHOOK_TIMESTAMP))?.as_bytes())
            }
            None => None,
        };
        let signed_at = timestamp.map(|timestamp| self.check_time(timestamp, now)).transpose()?;
        let id =
            if template.signs_id() { Some(text(only(headers, &WEBHOOK_ID)?, &WEBHOOK_ID)?) } else { None };
        let url = match &self.url {
            None if template.signs_url() => return Err(VerifyError::UnknownUrl),
            url => url.as_deref().unwrap_or_default(),
        };
        let content = Content {
            id: id.unwrap_or_default().as_bytes(),
            timestamp: timestamp.unwrap_or_default(),
            url: url.as_bytes(),
            body,
        };
        let fits = keys.iter().any(|key| {
            let code = key.code(|sink| template.feed(&content, sink));
            is_among(code.text(scheme.encoding(), &mut [0; LONGEST]), candidates.iter().copied())
        });
        if fits { Ok(Verified { id, signed_at }) } else { Err(VerifyError::NoMatch) }
    }

    fn check_time(&self, digits: &[u8], now: DateTime<Utc>) -> Result<DateTime<Utc>, VerifyError> {
        // `parse` alone would take `+1`.
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(VerifyError::InvalidTimestamp);
        }
        let seconds: i64 = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or(VerifyError::InvalidTimestamp)?;
        let now = now.timestamp();
        if seconds.abs_diff(now) > self.tolerance.as_secs() {
            return Err(if seconds < now { VerifyError::TooOld } else { VerifyError::TooNew });
        }
        DateTime::from_timestamp(seconds, 0).ok_or(VerifyError::InvalidTimestamp)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("tolerance", &self.tolerance).finish_non_exhaustive()
    }
}

impl<'h> Verified<'h> {
    /// The message's id, if the scheme signs it: the same id is the same message.
    pub fn id(&self) -> Option<&'h str> {
        self.id
    }

    /// When the request was signed, if the scheme signs that.
    pub fn signed_at(&self) -> Option<DateTime<Utc>> {
        self.signed_at
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h HeaderValue, VerifyError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(VerifyError::MissingHeader(name.clone())),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(VerifyError::RepeatedHeader(name.clone())),
    }
}

fn text<'h>(value: &'h HeaderValue, name: &HeaderName) -> Result<&'h str, VerifyError> {
    match value.to_str() {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(VerifyError::MalformedHeader(name.clone())),
    }
}

/// The one timestamp and all signatures of `t=…,v1=…,v1=…`; `None` when there is no timestamp, or a second one.
fn listed<'h>(
    value: &'h [u8],
    timestamp_name: &str,
    signature_name: &str,
    separator: u8,
) -> Option<(&'h [u8], Vec<&'h [u8]>)> {
    let mut timestamp = None;
    let mut signatures = Vec::new();
    for item in value.split(|&byte| byte == separator) {
        let behind = |name: &str| item.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        if let Some(digits) = behind(timestamp_name) {
            if timestamp.replace(digits).is_some() {
                return None;
            }
        } else if let Some(signature) = behind(signature_name) {
            signatures.push(signature);
        }
    }
    timestamp.map(|timestamp| (timestamp, signatures))
}

/// Compares texts, not decoded bytes, so that there is one way to write a signature; in constant time.
fn is_among<'c>(expected: &[u8], candidates: impl Iterator<Item = &'c [u8]>) -> bool {
    candidates.fold(subtle::Choice::from(0), |found, candidate| found | expected.ct_eq(candidate)).into()
}

fn fits_asymmetric<'c>(
    keys: &[Arc<dyn VerifyingKey>],
    content: &Content<'_>,
    mut candidates: impl Iterator<Item = &'c [u8]>,
) -> bool {
    let pieces = content.standard();
    candidates.any(|candidate| {
        // The decoder wants room for the padding too; a text that stands for more is an error.
        let mut signature = [0; SIGNATURE_BYTES + 2];
        match STANDARD.decode_slice(candidate, &mut signature) {
            Ok(SIGNATURE_BYTES) => signature
                .first_chunk()
                .is_some_and(|signature| keys.iter().any(|key| key.verifies(&pieces, signature))),
            _ => false,
        }
    })
}

fn verifying_keys(secrets: &[SigningSecret]) -> Result<Arc<[Arc<dyn VerifyingKey>]>, SchemeRefusal> {
    let keys: Arc<[_]> = secrets
        .iter()
        .filter(|secret| secret.key().is_some())
        .map(verifying_key)
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(SchemeRefusal::NoSecret { needs: "an ed25519 public key, `whpk_…`" });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_within_the_tolerance_are_a_timestamp() -> Result<(), SchemeRefusal> {
        let verifier = Verifier::new(&SignatureScheme::Standard, &[SigningSecret::generate([1; 32])])?;
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1_000);

        for text in ["", "+1", " 1", "1 ", "1.5", "1e400", "-1", "0x3e8", "١", "-9223372036854775808"] {
            let refusal = verifier.check_time(text.as_bytes(), now);

            assert_eq!(refusal, Err(VerifyError::InvalidTimestamp), "{text}");
        }
        for (text, verdict) in [
            ("99999999999999999999", Err(VerifyError::InvalidTimestamp)),
            ("9223372036854775807", Err(VerifyError::TooNew)),
            ("1301", Err(VerifyError::TooNew)),
            ("1300", Ok(1_300)),
            ("700", Ok(700)),
            ("699", Err(VerifyError::TooOld)),
            ("0", Err(VerifyError::TooOld)),
        ] {
            let found = verifier.check_time(text.as_bytes(), now).map(|time| time.timestamp());

            assert_eq!(found, verdict, "{text}");
        }
        Ok(())
    }

    #[test]
    fn a_boundless_tolerance_does_not_overflow() -> Result<(), SchemeRefusal> {
        let verifier = Verifier::new(&SignatureScheme::Standard, &[SigningSecret::generate([1; 32])])?
            .with_tolerance(Duration::MAX);

        for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(verifier.check_time(b"9223372036854775807", now), Err(VerifyError::InvalidTimestamp));
        }
        Ok(())
    }

    #[test]
    fn a_list_has_one_timestamp_and_any_number_of_signatures() {
        let read = |text: &'static str| listed(text.as_bytes(), "t", "v1", b',');

        assert_eq!(read("t=1,v1=a,v0=x,v1=b"), Some((&b"1"[..], vec![&b"a"[..], b"b"])));
        assert_eq!(read("v1=a,t=1"), Some((&b"1"[..], vec![&b"a"[..]])));
        for text in ["", "v1=a", "t=1,t=1,v1=a", "t", "T=1,v1=a", " t=1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
