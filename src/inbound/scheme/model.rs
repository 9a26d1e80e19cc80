//! The scheme: what is checked.

use serde::{Deserialize, Serialize};

use crate::inbound::scheme::field::{Field, Part, Pointer};
use crate::inbound::scheme::reception::Reception;

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
