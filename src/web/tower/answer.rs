//! What a refused request is told, and which fields tell how a rate stands.
//!
//! The fields are those of the IETF's draft `draft-ietf-httpapi-ratelimit-headers`: `RateLimit-Policy` says how many calls fit into a
//! window, `RateLimit` how many are left and in how many seconds the window is whole again.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::api_keys::{RateStanding, Refused, TokenHeader};
use crate::web::tower::problem::ProblemDocument;

/// What `www-authenticate` says: the same whatever is wrong with a key.
pub(super) fn challenge(header: &TokenHeader, realm: &str) -> Option<HeaderValue> {
    let scheme = if *header == TokenHeader::Bearer { "Bearer" } else { "ApiKey" };
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::try_from(format!("{scheme} realm=\"{realm}\"")).ok()
}

/// The answer to a call that the gate has refused.
pub(super) fn refusal<B: From<Bytes>>(refused: &Refused, challenge: &HeaderValue) -> Response<B> {
    let status = refused.status();
    let mut response = ProblemDocument::new(status).into_response();
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    if let Some(seconds) = refused.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(rate) = refused.rate() {
        // The next call fits after the wait, and that is what the caller needs to know.
        let wait = refused.retry_after().map_or(rate.reset, Duration::from_secs);
        tell_rate(headers, &rate, 0, wait);
    }
    response
}

/// The answer where the server has not said what the layer must know: nobody comes in.
pub(super) fn misconfigured<B: From<Bytes>>(what: &str) -> Response<B> {
    ProblemDocument::new(StatusCode::INTERNAL_SERVER_ERROR).with_detail(what).into_response()
}

/// Says how the key's rate stands.
pub(super) fn tell_standing(headers: &mut HeaderMap, rate: &RateStanding) {
    tell_rate(headers, rate, rate.remaining, rate.reset);
}

fn tell_rate(headers: &mut HeaderMap, rate: &RateStanding, remaining: u32, reset: Duration) {
    let window = seconds(rate.window).max(1);
    let policy = Line::of(format_args!("\"key\";q={};w={window}", rate.limit));
    let left = Line::of(format_args!("\"key\";r={remaining};t={}", seconds(reset)));
    for (name, line) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::from_bytes(line.written()) {
            headers.insert(name, value);
        }
    }
}

/// A short text that takes no memory of its own: each answer has two of them.
struct Line {
    bytes: [u8; 64],
    length: usize,
}

impl Line {
    fn of(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; 64], length: 0 };
        // The longest numbers fit; what did not would be left out.
        if line.write_fmt(text).is_err() {
            line.length = 0;
        }
        line
    }

    fn written(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Whole seconds, never too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::api_keys::Refusal;

    #[test]
    fn every_refusal_of_a_key_is_the_same_answer() {
        let challenge = challenge(&TokenHeader::Bearer, "api").expect("a header");
        let of = |reason| refusal::<Bytes>(&Refused::new(reason), &challenge);
        let missing = of(Refusal::Missing);

        for reason in [Refusal::Unknown, Refusal::WrongSecret, Refusal::Expired, Refusal::Address] {
            let other = of(reason);
            assert_eq!(
                (other.status(), other.headers(), other.body()),
                (missing.status(), missing.headers(), missing.body())
            );
        }
        assert_eq!(missing.headers()["www-authenticate"], "Bearer realm=\"api\"");
        assert_eq!(
            missing.body(),
            &Bytes::from_static(br#"{"type":"about:blank","title":"Unauthorized","status":401}"#)
        );
    }

    #[test]
    fn the_longest_numbers_fit_into_a_field() {
        let rate =
            RateStanding { limit: u32::MAX, remaining: 0, reset: Duration::MAX, window: Duration::MAX };
        let mut headers = HeaderMap::new();

        tell_rate(&mut headers, &rate, u32::MAX, Duration::from_secs(u64::MAX));

        assert_eq!(headers[RATE_LIMIT], format!("\"key\";r={};t={}", u32::MAX, u64::MAX));
        assert!(headers.contains_key(RATE_LIMIT_POLICY));
    }

    #[test]
    fn a_realm_stays_within_its_quotes() {
        let header = TokenHeader::Named(HeaderName::from_static("x-api-key"));

        let challenge = challenge(&header, r#"a"b\c"#).expect("a header");

        assert_eq!(challenge, r#"ApiKey realm="a\"b\\c""#);
    }
}
