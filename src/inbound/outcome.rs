//! What a request turns out to be.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::primitives::secret::Secret;
use crate::primitives::stored::word::words;

/// What a request turns out to be: the whole of the decision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// A handshake: answer it, store nothing.
    Answer(Reply),
    /// Not to be trusted: answer with [`PreparedScheme::refuse`](crate::inbound::PreparedScheme::refuse).
    Refused(Refusal),
    /// Signed by someone who knows a secret: store the items, then acknowledge.
    Genuine(Genuine),
    /// The same, but the body is not what the provider's envelope promises: store it as one item, acknowledge, and
    /// tell somebody.
    Unparsable(Genuine),
}

/// What the signature vouches for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// The name of the secret that fits; `None` where a provider's public key is checked.
    pub matched_secret: Option<Arc<str>>,
    /// When the request was signed, if the scheme signs that.
    pub signed_at: Option<DateTime<Utc>>,
    /// What to answer, if the verifier has found that this is a handshake and no event.
    pub answer: Option<Reply>,
}

/// A verified request and the events in it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Genuine {
    /// The name of the secret that fits.
    pub matched_secret: Option<Arc<str>>,
    /// When the request was signed, if the scheme signs that.
    pub signed_at: Option<DateTime<Utc>>,
    /// The events; none in an empty batch.
    pub items: Vec<Item>,
}

/// One event of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// The same text means the same event, within one source.
    pub dedupe_key: String,
    /// A second key, of type and bytes: given where the id is not signed and no timestamp either, so that a copy under
    /// a new id is still found.
    pub guard: Option<String>,
    /// The provider's id.
    pub event_id: Option<String>,
    /// The provider's type, such as `invoice.paid`; empty if there is none.
    pub kind: String,
    /// Whom of the provider's customers it is about.
    pub tenant_key: Option<String>,
    /// When it happened, as the provider says.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The version of the record, as the provider says.
    pub sequence: Option<i64>,
    /// Where in the body it stands: the bytes are kept as they came.
    pub body: Range<usize>,
}

/// An answer that is decided at once.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// A secret that the provider has sent: keep it for the source before answering.
    pub keep_secret: Option<Secret>,
}

/// Why a request is not trusted: for logs and metrics, never for the sender.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The source takes no such method.
    Method,
    /// The source takes no such content type.
    ContentType,
    /// The body is longer than the source takes.
    TooLarge,
    /// There is no signature.
    MissingSignature,
    /// The signature's header is there more than once: which one counts is anybody's guess.
    RepeatedHeader,
    /// The signature is empty or not of its form.
    MalformedSignature,
    /// There are more signatures than any honest sender gives.
    TooManyCandidates,
    /// The timestamp is missing.
    MissingTimestamp,
    /// The timestamp is not a plain number or time.
    InvalidTimestamp,
    /// The request was signed too long ago.
    Stale,
    /// The request was signed in the future.
    FromTheFuture,
    /// Something that is signed is missing.
    MissingPart,
    /// Something that is signed is there twice, or cannot be read.
    UnreadablePart,
    /// A batch that must be signed element by element has none, or too many.
    Elements,
    /// Every secret has ended, or there is none for this.
    NoSecret,
    /// No signature fits the bytes and the secrets.
    NoMatch,
    /// The key that is said to have signed does not belong to the provider.
    ForeignKey,
    /// The provider's key cannot be had at present: the sender shall try again.
    KeyUnavailable,
    /// The verifier, which is the host's code, panicked: the sender shall try again.
    VerifierPanicked,
    /// The source's verifier is not part of this build or of the host's configuration.
    Unconfigured,
}

words!(Refusal {
    Method => "method",
    ContentType => "content_type",
    TooLarge => "too_large",
    MissingSignature => "missing_signature",
    RepeatedHeader => "repeated_header",
    MalformedSignature => "malformed_signature",
    TooManyCandidates => "too_many_candidates",
    MissingTimestamp => "missing_timestamp",
    InvalidTimestamp => "invalid_timestamp",
    Stale => "stale",
    FromTheFuture => "from_the_future",
    MissingPart => "missing_part",
    UnreadablePart => "unreadable_part",
    Elements => "elements",
    NoSecret => "no_secret",
    NoMatch => "no_match",
    ForeignKey => "foreign_key",
    KeyUnavailable => "key_unavailable",
    VerifierPanicked => "verifier_panicked",
    Unconfigured => "unconfigured",
});

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Refusal {}

impl Verified {
    /// Verified with the secret of this name.
    pub fn with_secret(name: impl Into<Arc<str>>) -> Self {
        Self { matched_secret: Some(name.into()), signed_at: None, answer: None }
    }

    /// Verified with a provider's public key.
    pub fn with_public_key() -> Self {
        Self { matched_secret: None, signed_at: None, answer: None }
    }

    /// Adds when it was signed.
    #[must_use]
    pub fn with_signed_at(mut self, signed_at: DateTime<Utc>) -> Self {
        self.signed_at = Some(signed_at);
        self
    }

    /// Says that it is a handshake, and what is answered.
    #[must_use]
    pub fn with_answer(mut self, answer: Reply) -> Self {
        self.answer = Some(answer);
        self
    }
}

impl Reply {
    /// This status without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), keep_secret: None }
    }

    /// 200 with this text, which no browser takes for a page.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::of(text.into(), "text/plain; charset=utf-8")
    }

    /// 200 with this JSON.
    pub fn json(json: impl Into<Bytes>) -> Self {
        Self::of(json.into(), "application/json")
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Hands over a secret to keep.
    #[must_use]
    pub fn with_kept_secret(mut self, secret: Secret) -> Self {
        self.keep_secret = Some(secret);
        self
    }

    fn of(body: Bytes, content_type: &'static str) -> Self {
        Self { body, ..Self::empty(StatusCode::OK) }
            .with_header(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))
            .with_header(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }
}

impl fmt::Debug for Reply {
    /// Header values and body are left out: they may echo a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("keep_secret", &self.keep_secret)
            .finish()
    }
}
