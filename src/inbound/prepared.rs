//! A scheme with its keys: decides what a request is.

use std::fmt;

use chrono::{DateTime, Utc};
use http::{Method, StatusCode};

use crate::error::Problem;
use crate::inbound::check::signature::PreparedSignature;
use crate::inbound::envelope;
use crate::inbound::handshake;
use crate::inbound::outcome::{Genuine, Outcome, Refusal, Reply, Verified};
use crate::inbound::read::places::{Places, content_type};
use crate::inbound::request::{Request, SourceSecret};
use crate::inbound::scheme::field::{Field, Part};
use crate::inbound::scheme::model::{Check, Scheme};
use crate::inbound::scheme::reception::{Handshake, Reception, Trust};

/// A scheme and a source's secrets, made ready once and used for every request.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::inbound::{Outcome, PreparedScheme, Refusal, Request, SourceSecret, presets};
/// use crossdock::primitives::Secret;
/// use http::{HeaderMap, HeaderValue, Method};
///
/// let secret = SourceSecret::new("current", Secret::from("It's a Secret to Everybody"));
/// let github = PreparedScheme::new(&presets::github(), &[secret]).map_err(|problems| problems[0].to_string())?;
///
/// let mut headers = HeaderMap::new();
/// let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
/// headers.insert("x-hub-signature-256", HeaderValue::from_static(signature));
/// let now = DateTime::UNIX_EPOCH;
///
/// let genuine = Request::new(&Method::POST, "https://app.example.com/hooks/7f3a", &headers, b"Hello, World!");
/// assert_eq!(github.verify(&genuine, now)?.matched_secret.as_deref(), Some("current"));
///
/// let forged = Request::new(&Method::POST, "https://app.example.com/hooks/7f3a", &headers, b"Hello, world!");
/// assert!(matches!(github.receive(&forged, now), Outcome::Refused(Refusal::NoMatch)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PreparedScheme {
    reception: Reception,
    signature: Option<PreparedSignature>,
    secrets: Vec<SourceSecret>,
    signed: Vec<Field>,
    bounds_age: bool,
}

impl PreparedScheme {
    /// Checks the scheme and computes its keys.
    ///
    /// # Errors
    /// Everything that is wrong with the scheme, or with a secret under it. A source without a secret is wrong, unless a
    /// handshake brings one.
    pub fn new(scheme: &Scheme, secrets: &[SourceSecret]) -> Result<Self, Vec<Problem>> {
        let mut problems = scheme.problems();
        let reception = scheme.reception.clone();
        let tokens: Vec<&str> = reception.handshakes.iter().filter_map(token_secret).collect();
        if secrets.len() > Self::MOST_SECRETS {
            problems.push(Problem::new(
                "secrets",
                "a source has at most 16 secrets",
                "take the oldest ones out",
            ));
        }
        let (mut signature, mut signed) = (None, Vec::new());
        if let Check::Signature(rule) = &scheme.check {
            let keys = secrets.iter().filter(|secret| !tokens.contains(&secret.name()));
            match PreparedSignature::new(rule, keys) {
                Ok(prepared) => signature = Some(prepared),
                Err(found) => problems.extend(found),
            }
            signed.extend(rule.id.clone().filter(|_| rule.signed.contains(&Part::Id)));
            signed.extend(rule.signed.iter().filter_map(|part| match part {
                Part::Field(field) | Part::Optional(field) => Some(field.clone()),
                _ => None,
            }));
            let brings_secret = |handshake: &Handshake| matches!(handshake, Handshake::HeaderEcho { .. });
            if signature.as_ref().is_some_and(|signature| !signature.has_keys())
                && !reception.handshakes.iter().any(brings_secret)
            {
                problems.push(Problem::new("secrets", "a source has a secret", "copy it from the provider"));
            }
        }
        let bounds_age = match &scheme.check {
            Check::Signature(rule) => rule.timestamp.as_ref().is_some_and(|rule| rule.past.is_some()),
            Check::Code(_) => true,
        };
        if problems.is_empty() {
            Ok(Self { reception, signature, secrets: secrets.to_vec(), signed, bounds_age })
        } else {
            Err(problems)
        }
    }

    /// Decides what the request is; `now` is the time at which it was received.
    ///
    /// A scheme whose check is code is decided by [`receive_by`](Self::receive_by); here it refuses everything.
    pub fn receive(&self, request: &Request<'_>, now: DateTime<Utc>) -> Outcome {
        if let Some(outcome) = self.before(request, now) {
            return outcome;
        }
        match self.verify(request, now) {
            Ok(verified) => self.after(request, verified, now),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Checks the signature and its time alone: no method, no handshake, no envelope.
    ///
    /// # Errors
    /// [`Refusal`] unless exactly these bytes were signed with one of the secrets, within the tolerance.
    pub fn verify(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Verified, Refusal> {
        self.signature.as_ref().ok_or(Refusal::Unconfigured)?.verify(request, now)
    }

    /// What is decided before the signature is looked at: unsigned handshakes, methods, sizes.
    pub fn before(&self, request: &Request<'_>, now: DateTime<Utc>) -> Option<Outcome> {
        if request.body.len() > self.reception.body_cap {
            return Some(Outcome::Refused(Refusal::TooLarge));
        }
        if let Some(outcome) = self.handshake(Trust::Unsigned, request, now) {
            return Some(outcome);
        }
        if !self.reception.methods.contains(request.method) {
            return Some(Outcome::Refused(Refusal::Method));
        }
        let types = &self.reception.content_types;
        let given = content_type(request.headers);
        if !types.is_empty() && !types.iter().any(|known| known.eq_ignore_ascii_case(given)) {
            return Some(Outcome::Refused(Refusal::ContentType));
        }
        None
    }

    /// What is decided once the request is known to be genuine: signed handshakes, events.
    pub fn after(&self, request: &Request<'_>, verified: Verified, now: DateTime<Utc>) -> Outcome {
        if let Some(reply) = verified.answer {
            return Outcome::Answer(reply);
        }
        if let Some(outcome) = self.handshake(Trust::Signed, request, now) {
            return outcome;
        }
        let places = Places::of(request);
        let envelope = &self.reception.envelope;
        let is_signed = |field: &Field| self.signed.contains(field);
        // A time that may be of any age keeps no copy out.
        let has_signed_time = verified.signed_at.is_some() && self.bounds_age;
        let genuine = |items| Genuine {
            matched_secret: verified.matched_secret.clone(),
            signed_at: verified.signed_at,
            items,
        };
        match envelope::items(envelope, &places, is_signed, has_signed_time) {
            Ok(items) => Outcome::Genuine(genuine(items)),
            Err(envelope::Unparsable) => {
                let item = envelope::unparsable(envelope, &places, is_signed, has_signed_time);
                Outcome::Unparsable(genuine(vec![item]))
            }
        }
    }

    /// What a genuine request is answered, once it is stored.
    pub fn acknowledge(&self) -> Reply {
        handshake::fixed(&self.reception.ack)
    }

    /// What a refused request is answered: a status that tells a forger nothing, and no body.
    pub fn refuse(&self, refusal: Refusal) -> Reply {
        let status = match refusal {
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::KeyUnavailable | Refusal::VerifierPanicked => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Unconfigured => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::from_u16(self.reception.reject).unwrap_or(StatusCode::UNAUTHORIZED),
        };
        let reply = Reply::empty(status);
        match refusal {
            Refusal::Method => {
                let methods: Vec<&str> = self.reception.methods.iter().map(Method::as_str).collect();
                match methods.join(", ").try_into() {
                    Ok(value) => reply.with_header(http::header::ALLOW, value),
                    Err(_) => reply,
                }
            }
            _ => reply,
        }
    }

    /// The most bytes that a body may have: no more need be read.
    pub fn body_cap(&self) -> usize {
        self.reception.body_cap
    }

    /// What the source does besides the check.
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// The secrets, for a verifier in code.
    pub(in crate::inbound) fn secrets(&self) -> &[SourceSecret] {
        &self.secrets
    }

    /// As many secrets as a source may have.
    pub const MOST_SECRETS: usize = 16;

    fn handshake(&self, trust: Trust, request: &Request<'_>, now: DateTime<Utc>) -> Option<Outcome> {
        if self.reception.handshakes.is_empty() {
            return None;
        }
        let signature = self.signature.as_ref();
        let known = handshake::Known {
            key: signature.and_then(|signature| signature.live_key(now)),
            has_secret: signature.is_none_or(PreparedSignature::has_keys),
            secrets: &self.secrets,
            now,
        };
        let reply = handshake::reply(&self.reception.handshakes, trust, &Places::of(request), &known)?;
        Some(reply.map_or_else(Outcome::Refused, Outcome::Answer))
    }
}

fn token_secret(handshake: &Handshake) -> Option<&str> {
    match handshake {
        Handshake::QueryEcho { token, .. } => token.as_ref().map(|token| token.secret.as_str()),
        _ => None,
    }
}

impl fmt::Debug for PreparedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedScheme").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}
