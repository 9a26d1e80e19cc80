//! What a refused request is told, and which fields tell how a rate stands.
//!
//! The fields are those of the IETF's draft `draft-ietf-httpapi-ratelimit-headers`: `RateLimit-Policy` says how many calls fit into a
//! window, `RateLimit` how many are left and in how many seconds the window is whole again.

use std::fmt::Write as _;
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
    let mut text = String::with_capacity(32);
    // Writing into a string does not fail.
    let _ = write!(text, "\"key\";q={};w={}", rate.limit, seconds(rate.window).max(1));
    if let Ok(value) = HeaderValue::try_from(text.as_str()) {
        headers.insert(RATE_LIMIT_POLICY, value);
    }
    text.clear();
    let _ = write!(text, "\"key\";r={remaining};t={}", seconds(reset));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(RATE_LIMIT, value);
    }
}

/// Whole seconds, never too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
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
    fn a_realm_stays_within_its_quotes() {
        let header = TokenHeader::Named(HeaderName::from_static("x-api-key"));

        let challenge = challenge(&header, r#"a"b\c"#).expect("a header");

        assert_eq!(challenge, r#"ApiKey realm="a\"b\\c""#);
    }
}
