//! Twilio signs the URL and the sorted fields of a form, or the URL with the body's digest in it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::HeaderName;
use http::header::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;
use url::Url;

use crate::inbound::check::{Key, digest_of};
use crate::inbound::outcome::{Refusal, Verified};
use crate::inbound::read::form;
use crate::inbound::read::places::{content_type, only};
use crate::inbound::request::{Request, SourceSecret};
use crate::inbound::scheme::model::{Algorithm, SignatureText};
use crate::inbound::verifier::Verifier;

/// Checks Twilio's requests with the account's auth tokens; goes with [`presets::twilio`](crate::inbound::presets::twilio).
///
/// Twilio signs the URL with or without its port, as its products differ; both are tried, and so is the URL as browsers
/// normalise it. Unlike some SDKs this takes a body that is no form only with its digest in the signed URL.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::inbound::{PreparedScheme, SourceSecret, TwilioVerifier, presets};
/// use crossdock::primitives::Secret;
/// use http::{HeaderMap, Method};
///
/// let token = SourceSecret::new("current", Secret::from("12345"));
/// let signed = TwilioVerifier::sign(&token, "https://app.example.com/sms", "Body=hi&From=%2B1415");
///
/// let verified = TwilioVerifier::check(&signed.request(), &[token], DateTime::UNIX_EPOCH)?;
/// assert_eq!(verified.matched_secret.as_deref(), Some("current"));
/// # Ok::<(), crossdock::inbound::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TwilioVerifier;

#[async_trait]
impl Verifier for TwilioVerifier {
    async fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[SourceSecret],
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        Self::check(request, secrets, now)
    }
}

impl TwilioVerifier {
    /// Whether a request is Twilio's: the decision, which needs no network.
    ///
    /// # Errors
    /// [`Refusal`] unless exactly this URL and these bytes were signed with one of the tokens.
    pub fn check(
        request: &Request<'_>,
        secrets: &[SourceSecret],
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        let given = only(request.headers, &SIGNATURE)?.ok_or(Refusal::MissingSignature)?.as_bytes();
        if given.is_empty() {
            return Err(Refusal::MalformedSignature);
        }
        let suffix = signed_fields(request)?;
        let urls = spellings(&request.signed_url());
        let mut live =
            secrets.iter().filter(|secret| secret.not_after().is_none_or(|end| now <= end)).peekable();
        if live.peek().is_none() {
            return Err(Refusal::NoSecret);
        }
        let fits = live.find(|secret| {
            Key::new(Algorithm::HmacSha1, secret.secret().expose()).is_ok_and(|key| {
                !secret.secret().expose().is_empty()
                    && urls.iter().any(|url| {
                        let message = [url.as_bytes().into(), suffix.as_bytes().into()];
                        key.fits(&message, &[given], SignatureText::Base64)
                    })
            })
        });
        fits.map(|secret| Verified::with_secret(secret.name())).ok_or(Refusal::NoMatch)
    }

    /// A form as Twilio would send it, for tests of hosts.
    pub fn sign(token: &SourceSecret, url: &str, form: &str) -> crate::inbound::SignedRequest {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let message = [url.as_bytes().into(), sorted(form.as_bytes()).into_bytes().into()];
        let signature = Key::new(Algorithm::HmacSha1, token.secret().expose())
            .ok()
            .and_then(|key| Some(key.code(&message)?.text(SignatureText::Base64, &mut [0; 128]).to_vec()));
        if let Some(value) = signature.and_then(|signature| HeaderValue::from_bytes(&signature).ok()) {
            headers.insert(SIGNATURE, value);
        }
        crate::inbound::SignedRequest::new(url, headers, form.as_bytes().to_vec())
    }
}

/// What is signed behind the URL.
fn signed_fields(request: &Request<'_>) -> Result<String, Refusal> {
    if content_type(request.headers).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(sorted(request.body));
    }
    match form::find(request.query_text().as_bytes(), "bodySHA256").map_err(|_| Refusal::UnreadablePart)? {
        Some(digest) => {
            let expected = hex::encode(digest_of(request.body));
            if expected.as_bytes().ct_eq(digest.as_bytes()).into() {
                Ok(String::new())
            } else {
                Err(Refusal::NoMatch)
            }
        }
        None if request.body.is_empty() => Ok(String::new()),
        // The URL alone says nothing about this body.
        None => Err(Refusal::MissingPart),
    }
}

/// Every field's name and its different values, in their order.
fn sorted(form: &[u8]) -> String {
    let mut fields = BTreeMap::<_, BTreeSet<_>>::new();
    for (name, value) in url::form_urlencoded::parse(form) {
        fields.entry(name).or_default().insert(value);
    }
    let mut text = String::new();
    for (name, values) in &fields {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

/// The URL as Twilio may have written it: without a port, and with the usual one.
fn spellings(url: &str) -> Vec<String> {
    let mut found = Vec::with_capacity(4);
    let normalised = Url::parse(url).ok().map(String::from);
    for url in std::iter::once(url).chain(normalised.as_deref()) {
        for spelling in [with_port(url, Port::Left), with_port(url, Port::Usual), with_port(url, Port::None)]
        {
            if !found.contains(&spelling) {
                found.push(spelling);
            }
        }
    }
    found
}

#[derive(Clone, Copy)]
enum Port {
    Left,
    Usual,
    None,
}

fn with_port(url: &str, port: Port) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let host = &authority[host_start..];
    let colon = host.rfind(':').filter(|&colon| !host[colon..].contains(']'));
    let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let authority = match (port, colon) {
        (Port::None, Some(colon)) => &authority[..host_start + colon],
        _ => authority,
    };
    let port = if matches!(port, Port::Usual) && colon.is_none() { usual } else { "" };
    format!("{scheme}://{authority}{port}{behind}")
}

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_left_added_or_taken_away() {
        for (url, spelled) in [
            ("https://h/p", vec!["https://h/p", "https://h:443/p"]),
            ("https://h:1/p?q=1:2", vec!["https://h:1/p?q=1:2", "https://h/p?q=1:2"]),
            ("http://u:p@h/", vec!["http://u:p@h/", "http://u:p@h:80/"]),
            ("http://[::1]/", vec!["http://[::1]/", "http://[::1]:80/"]),
            ("http://[::1]:8/", vec!["http://[::1]:8/", "http://[::1]/"]),
            ("nonsense", vec!["nonsense"]),
        ] {
            assert_eq!(spellings(url), spelled, "{url}");
        }
    }

    #[test]
    fn fields_are_sorted_and_equal_values_are_signed_once() {
        assert_eq!(sorted(b"b=2&a=2&a=1&a=2&c"), "a1a2b2c");
        assert_eq!(sorted(b""), "");
    }
}
