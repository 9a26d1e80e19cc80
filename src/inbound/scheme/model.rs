//! The scheme: what is checked, and what is done before and after.

use http::{HeaderName, Method};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::inbound::scheme::field::{Field, Part, Pointer};

/// How one provider's requests are verified, answered and taken apart; plain data, as a tenant may write it.
///
/// There is no scheme that verifies nothing. [`presets`](crate::inbound::presets) has those of known providers.
///
/// ```
/// use crossdock::inbound::Scheme;
///
/// let scheme = Scheme::from_json(br#"{
///     "check": {"signature": {
///         "at": "header:x-acme-signature",
///         "format": {"kind": "plain", "prefix": "sha256="},
///         "signed": ["body"]
///     }},
///     "reception": {"envelope": {"event_id": ["json:/id"], "kind": ["json:/type"]}}
/// }"#)?;
///
/// assert!(scheme.problems().is_empty());
/// # Ok::<(), crossdock::Problem>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Scheme {
    /// What makes a request genuine.
    pub check: Check,
    /// Everything besides.
    #[serde(default)]
    pub reception: Reception,
}

/// What makes a request genuine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// A signature, as data.
    Signature(Box<SignatureRule>),
    /// A [`Verifier`](crate::inbound::Verifier) of this name, in the host's configuration.
    Code(String),
}

/// A signature, as data.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignatureRule {
    /// The algorithm; HMAC-SHA-256 unless told otherwise.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How a secret becomes the key.
    #[serde(default)]
    pub key: KeyRule,
    /// Where the signature stands.
    pub at: Field,
    /// How it stands there.
    #[serde(default)]
    pub format: SignatureFormat,
    /// How its bytes are written.
    #[serde(default)]
    pub text: SignatureText,
    /// What is signed, piece by piece; unused by tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed: Vec<Part>,
    /// If given: every element there carries a signature of its own, and all must fit. Pointers of `at`, `signed` and
    /// `timestamp` start at the element then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Pointer>,
    /// Where the part `id` stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Field>,
    /// When it was signed, and how old it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampRule>,
}

/// What is computed over the signed parts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-1, for providers that still use it.
    HmacSha1,
    /// HMAC with SHA-256.
    #[default]
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// SHA-256 over the secret and then the parts.
    Sha256,
    /// Ed25519; needs the feature `ed25519`.
    Ed25519,
    /// No computation: what stands there is the secret.
    StaticToken,
    /// `authorization: Basic …`, where the secret is `user:password`.
    BasicAuth,
}

/// How a secret becomes the key.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyRule {
    /// What the secret's text stands for.
    #[serde(default)]
    pub encoding: KeyEncoding,
    /// What is done to the text first, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<KeyTransform>,
}

/// What a secret's text stands for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyEncoding {
    /// Itself, prefixes included.
    #[default]
    Utf8,
    /// The bytes of its base64.
    Base64,
    /// The bytes of its hex digits.
    Hex,
    /// The bytes of the base64 behind `whsec_`; prefix and padding may be missing.
    Whsec,
    /// The bytes of the base64 behind `whpk_` (for signing: `whsk_`); prefix and padding may be missing.
    Whpk,
}

/// What is done to a secret's text before it is read.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyTransform {
    /// Unicode normalisation form KD.
    Nfkd,
    /// `&amp;`, `&lt;`, `&gt;`, `&quot;`, `&#039;` and their kin become what they stand for.
    HtmlEntities,
}

/// How the signature stands in its place.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum SignatureFormat {
    /// Alone, behind a prefix such as `sha256=`.
    Plain {
        /// The prefix; may be empty.
        #[serde(default)]
        prefix: String,
    },
    /// `t=1700000000,v1=…,v1=…`: any number of signatures by name; other names are skipped.
    KeyValue {
        /// What stands between two items.
        separator: char,
        /// The name of a signature.
        signature: String,
        /// The name of the timestamp, if it stands there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<String>,
    },
    /// `v1,… v1,…`: any number of signatures behind a tag, with spaces between; other tags are skipped.
    Tagged {
        /// The tag with its comma.
        tag: String,
    },
    /// `1700000000:…`: by position, counted from 0.
    Positional {
        /// What stands between two items.
        separator: char,
        /// Which item is the signature.
        signature: usize,
        /// Which item is the timestamp, if it stands there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<usize>,
    },
}

/// How a signature's bytes are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignatureText {
    /// Hexadecimal digits in lower case.
    #[default]
    Hex,
    /// Hexadecimal digits in upper case.
    HexUpper,
    /// Base64 of the standard alphabet, padded.
    Base64,
    /// Base64 of the URL's alphabet; padding may be missing.
    Base64Url,
}

/// When a request was signed, and how old it may be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TimestampRule {
    /// Where it stands; not given where the signature's format has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Field>,
    /// How it is written.
    #[serde(default)]
    pub unit: Unit,
    /// How many seconds ago it may be; any number if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<u64>,
    /// How many seconds ahead it may be; any number if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub future: Option<u64>,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Whole seconds since 1970, in digits.
    #[default]
    Seconds,
    /// Whole milliseconds since 1970, in digits.
    Milliseconds,
    /// RFC 3339, such as `2021-07-25T10:00:00Z`.
    Rfc3339,
}

/// What is done with a source's requests besides the check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Reception {
    /// The methods of events; POST alone unless told otherwise. Handshakes name their own.
    #[serde(with = "methods")]
    pub methods: Vec<Method>,
    /// The content types of events, without parameters; any if empty.
    pub content_types: Vec<String>,
    /// The most bytes that a body may have: 1 MiB unless told otherwise, 10 MiB at most.
    pub body_cap: usize,
    /// What a genuine request is answered.
    pub ack: FixedAnswer,
    /// The status that a forged request is answered, with an empty body.
    pub reject: u16,
    /// What is answered at once.
    pub handshakes: Vec<Handshake>,
    /// How a body becomes events.
    pub envelope: Envelope,
}

/// An answer that is always the same.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FixedAnswer {
    /// The status.
    pub status: u16,
    /// The content type; none without a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// A request that is no event and is answered at once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Handshake {
    /// Unsigned: a parameter of the query comes back as the body (`hub.challenge`, `validationToken`).
    QueryEcho {
        /// The method; any if not given.
        #[serde(default, with = "some_method", skip_serializing_if = "Option::is_none")]
        method: Option<Method>,
        /// The parameter that comes back.
        parameter: String,
        /// If given: a parameter that must hold a secret of the source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<TokenCheck>,
    },
    /// A text of the body comes back as the body (`/challenge` where `/type` is `url_verification`).
    BodyEcho {
        /// When it is one.
        when: Vec<Condition>,
        /// What comes back.
        echo: Field,
        /// Whether it is signed.
        trust: Trust,
    },
    /// A token comes back with its HMAC: proof that we know the secret.
    HmacChallenge {
        /// The method; any if not given.
        #[serde(default, with = "some_method", skip_serializing_if = "Option::is_none")]
        method: Option<Method>,
        /// When it is one; nothing more than the token's presence if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        when: Vec<Condition>,
        /// Where the token stands.
        token: Field,
        /// How the HMAC is written.
        text: SignatureText,
        /// What stands before it, such as `sha256=`.
        #[serde(default)]
        prefix: String,
        /// The member of the answered JSON object that holds the HMAC; a plain text if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The member that holds the token itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_member: Option<String>,
        /// Whether it is signed.
        trust: Trust,
    },
    /// Unsigned, once, while the source has no secret yet: a header comes back, and its value is the secret from now on
    /// (`X-Hook-Secret`).
    HeaderEcho {
        /// The header.
        #[serde(with = "header_name")]
        header: HeaderName,
    },
    /// A fixed answer (a ping).
    Ping {
        /// When it is one.
        when: Vec<Condition>,
        /// What is answered.
        answer: FixedAnswer,
        /// Whether it is signed.
        trust: Trust,
    },
    /// CloudEvents' abuse protection: `OPTIONS` with `WebHook-Request-Origin`, which comes back as allowed.
    Options,
}

/// A parameter that must hold a secret of the source.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenCheck {
    /// The parameter.
    pub parameter: String,
    /// The name of the secret; it verifies no signatures.
    pub secret: String,
}

/// Something that a handshake can be told by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Condition {
    /// Where it stands.
    pub field: Field,
    /// What it must be.
    pub test: Test,
}

/// What something must be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Test {
    /// There.
    Present,
    /// Not there.
    Absent,
    /// This text.
    Is(String),
}

/// Whether a handshake is signed like an event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trust {
    /// It is answered before the signature is looked at, so it must not matter who has sent it.
    Unsigned,
    /// It is answered only if the signature fits.
    Signed,
}

/// How a body becomes events.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Envelope {
    /// If given: the body holds several events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The event's id: all of these, joined by `:`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_id: Vec<Field>,
    /// What tells deliveries apart where events have no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<Field>,
    /// The event's type: those of these that are there, joined by `.`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<Field>,
    /// Whom of the provider's customers it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<Field>,
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Moment>,
    /// The version of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Field>,
}

/// Several events in one body.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Batch {
    /// The elements: a pointer that ends in `/*`, or goes on behind it.
    pub elements: Pointer,
}

/// A time in the body.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Moment {
    /// Where it stands.
    pub at: Field,
    /// How it is written.
    #[serde(default)]
    pub unit: Unit,
}

impl Scheme {
    /// A scheme of this signature, with the usual reception.
    pub fn signed(rule: SignatureRule) -> Self {
        Self { check: Check::Signature(Box::new(rule)), reception: Reception::default() }
    }

    /// A scheme whose requests a verifier of this name checks.
    pub fn by_code(verifier: impl Into<String>) -> Self {
        Self { check: Check::Code(verifier.into()), reception: Reception::default() }
    }

    /// With this reception.
    #[must_use]
    pub fn with_reception(mut self, reception: Reception) -> Self {
        self.reception = reception;
        self
    }

    /// Reads what a tenant has written.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) that says where the text is no scheme; what is wrong within a scheme,
    /// [`problems`](Self::problems) says.
    pub fn from_json(json: &[u8]) -> Result<Self, crate::error::Problem> {
        serde_json::from_slice(json).map_err(|error| {
            crate::error::Problem::new("scheme", error.to_string(), "compare it with the scheme of a preset")
        })
    }
}

impl SignatureRule {
    /// The hex of the body's HMAC-SHA-256 at this place; every field can be changed.
    pub fn at(at: Field) -> Self {
        Self {
            algorithm: Algorithm::default(),
            key: KeyRule::default(),
            at,
            format: SignatureFormat::default(),
            text: SignatureText::default(),
            signed: vec![Part::Body],
            each: None,
            id: None,
            timestamp: None,
        }
    }
}

impl Default for SignatureFormat {
    fn default() -> Self {
        Self::Plain { prefix: String::new() }
    }
}

impl TimestampRule {
    /// A time in whole seconds that may differ from ours by this much, in both directions.
    pub fn within(seconds: u64) -> Self {
        Self { at: None, unit: Unit::Seconds, past: Some(seconds), future: Some(seconds) }
    }

    /// Stands there.
    #[must_use]
    pub fn at(mut self, at: Field) -> Self {
        self.at = Some(at);
        self
    }

    /// Is written so.
    #[must_use]
    pub fn in_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            methods: vec![Method::POST],
            content_types: Vec::new(),
            body_cap: Self::BODY_CAP,
            ack: FixedAnswer::status(200),
            reject: 401,
            handshakes: Vec::new(),
            envelope: Envelope::default(),
        }
    }
}

impl Reception {
    /// The most bytes that a body may have unless told otherwise: 1 MiB.
    pub const BODY_CAP: usize = 1024 * 1024;
    /// The most bytes that a source may allow a body to have: 10 MiB.
    pub const LARGEST_BODY_CAP: usize = 10 * 1024 * 1024;
}

impl FixedAnswer {
    /// This status without a body.
    pub fn status(status: u16) -> Self {
        Self { status, content_type: None, body: String::new() }
    }

    /// This status with a body of this type.
    pub fn with_body(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self { status, content_type: Some(content_type.into()), body: body.into() }
    }
}

impl Condition {
    /// This text stands there.
    pub fn is(field: Field, text: impl Into<String>) -> Self {
        Self { field, test: Test::Is(text.into()) }
    }

    /// Something stands there.
    pub fn present(field: Field) -> Self {
        Self { field, test: Test::Present }
    }

    /// Nothing stands there.
    pub fn absent(field: Field) -> Self {
        Self { field, test: Test::Absent }
    }
}

impl TokenCheck {
    /// The parameter must hold the secret of this name.
    pub fn new(parameter: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), secret: secret.into() }
    }
}

impl Moment {
    /// A time at this place.
    pub fn new(at: Field, unit: Unit) -> Self {
        Self { at, unit }
    }
}

impl Batch {
    /// The elements at this pointer.
    pub fn of(elements: Pointer) -> Self {
        Self { elements }
    }
}

mod methods {
    use super::*;

    pub(super) fn serialize<S: Serializer>(methods: &[Method], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(methods.iter().map(Method::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Method>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
    }
}

mod some_method {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        method: &Option<Method>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        method.as_ref().map(Method::as_str).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Method>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

mod header_name {
    use super::*;

    pub(super) fn serialize<S: Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
        let text = String::deserialize(deserializer)?;
        HeaderName::from_bytes(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}
