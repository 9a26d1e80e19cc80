//! Which headers a tenant may add to our requests.

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::error::Problem;

/// A header that a tenant may set; made only by parsing.
///
/// The value may be a credential, so `Debug` shows the name alone.
///
/// ```
/// use crossdock::primitives::header::{HeaderRefusal, TenantHeader};
///
/// let header = TenantHeader::parse("Authorization", "Bearer abc")?;
/// assert_eq!(header.name(), "authorization");
///
/// assert_eq!(TenantHeader::parse("Host", "internal"), Err(HeaderRefusal::Reserved));
/// assert_eq!(TenantHeader::parse("x-team", "a\r\nx-evil: 1"), Err(HeaderRefusal::Value));
/// # Ok::<(), HeaderRefusal>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct TenantHeader {
    name: HeaderName,
    value: HeaderValue,
}

/// Why a tenant's header is not taken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderRefusal {
    /// The name is empty, too long, or holds something other than letters, digits and the marks of a token.
    #[error("a header's name is a token of at most 128 characters")]
    Name,
    /// The value holds a line end or another control character, or is too long.
    #[error("a header's value has no control characters and at most 4096 bytes")]
    Value,
    /// The name belongs to the protocol, to our signatures, or to somebody's identity.
    #[error("this header is ours to set, or nobody's")]
    Reserved,
}

impl TenantHeader {
    /// Reads a header that somebody else wrote; the value is kept byte for byte.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderRefusal> {
        let value = value.as_ref();
        if name.len() > MAX_NAME {
            return Err(HeaderRefusal::Name);
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderRefusal::Name)?;
        if is_reserved(&name) {
            return Err(HeaderRefusal::Reserved);
        }
        if value.len() > MAX_VALUE {
            return Err(HeaderRefusal::Value);
        }
        let mut value = HeaderValue::from_bytes(value).map_err(|_| HeaderRefusal::Value)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// The name, in lower case.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The value, marked as sensitive.
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Both, for a header map.
    pub fn into_parts(self) -> (HeaderName, HeaderValue) {
        (self.name, self.value)
    }
}

impl fmt::Debug for TenantHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantHeader({}: …)", self.name)
    }
}

impl HeaderRefusal {
    /// The stable word for logs, listings and tests.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Name => "header-name",
            Self::Value => "header-value",
            Self::Reserved => "reserved-header",
        }
    }

    /// The refusal as the tenant reads it, for the field that held the header.
    pub fn problem(self, field: impl Into<String>) -> Problem {
        let fix = match self {
            Self::Name => "use letters, digits and hyphens, such as x-team",
            Self::Value => "write the value in one line, without line ends and other control characters",
            Self::Reserved => "choose another name, such as one that begins with x- and your company's name",
        };
        Problem::new(field, self.to_string(), fix)
    }
}

/// Whether a tenant may never set this header.
pub fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    RESERVED_NAMES.contains(&name) || RESERVED_FRONTS.iter().any(|front| name.starts_with(front))
}

const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 4096;

/// In lower case, as header names are kept.
const RESERVED_NAMES: [&str; 34] = [
    // The frame of the message (RFC 9112) and what concerns one connection only (RFC 9110, section 7.6).
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
    // What the body is, and in which form an answer comes: both are ours to decide.
    "content-type",
    "content-encoding",
    "accept-encoding",
    "user-agent",
    "date",
    // Traces are the event's.
    "traceparent",
    "tracestate",
    "baggage",
    // Who asks: proxies believe these.
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    // What unlocks a cloud's metadata service: GCP and IBM, Azure, DigitalOcean and OpenStack.
    "metadata",
    "metadata-flavor",
    "x-metadata-token",
    "x-google-metadata-request",
    "x-identity-header",
];

const RESERVED_FRONTS: [&str; 8] = [
    // Our signatures, and CloudEvents in binary mode.
    "webhook-",
    "ce-",
    "proxy-",
    "x-forwarded-",
    "x-original-",
    "x-rewrite-",
    // Metadata services of AWS and Alibaba.
    "x-aws-ec2-metadata-token",
    "x-aliyun-ecs-metadata-token",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_protocol_or_to_us_is_reserved_in_any_case() {
        for name in [
            "HOST",
            "Transfer-Encoding",
            "keep-alive",
            "Webhook-Signature",
            "X-Forwarded-Host",
            "Metadata-Flavor",
            "X-aws-ec2-metadata-token-ttl-seconds",
            "Content-Type",
            "traceparent",
            "CE-Type",
        ] {
            assert_eq!(TenantHeader::parse(name, "x"), Err(HeaderRefusal::Reserved), "{name}");
        }
        for name in ["authorization", "x-api-key", "x-team", "cookie", "x-webhook-source"] {
            assert!(TenantHeader::parse(name, "x").is_ok(), "{name}");
        }
    }

    #[test]
    fn reserved_names_are_written_as_header_names_are_kept() {
        for name in RESERVED_NAMES.into_iter().chain(RESERVED_FRONTS) {
            assert_eq!(name, name.to_ascii_lowercase());
        }
    }

    #[test]
    fn a_name_is_a_token_and_a_value_is_one_line() {
        for name in ["", "x team", "x-te\u{e4}m", "x:y", "x\r\ny", &"x".repeat(129)] {
            assert_eq!(TenantHeader::parse(name, "v"), Err(HeaderRefusal::Name), "{name}");
        }
        for value in ["a\rb", "a\nb", "a\0b", "a\u{7f}b", &"v".repeat(4097)] {
            assert_eq!(TenantHeader::parse("x-team", value), Err(HeaderRefusal::Value), "{value:?}");
        }
        assert_eq!(TenantHeader::parse("x-team", "café").unwrap().value().as_bytes(), "café".as_bytes());
    }

    #[test]
    fn a_credential_does_not_show() {
        let header = TenantHeader::parse("authorization", "Bearer abc").unwrap();

        assert_eq!(format!("{header:?}"), "TenantHeader(authorization: …)");
        assert!(!format!("{:?}", header.value()).contains("abc"));
    }
}
