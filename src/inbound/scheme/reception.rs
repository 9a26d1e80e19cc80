//! What is done before and after the check.

use http::{HeaderName, Method};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::inbound::scheme::field::{Field, Pointer};
use crate::inbound::scheme::model::{SignatureText, Unit};

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
